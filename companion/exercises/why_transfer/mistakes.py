"""Answers as learners give them, right and wrong, made by doing the thing."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from companion import study
from companion.backbones import Backbone, load_backbone
from companion.datasets import load_dataset
from companion.fewshot import compute_prototypes, prototype_logits
from companion.report import LabelEquivalent, labels_from_scratch_equal
from companion.splits import Split, Splits

__all__ = [
    "BUDGETS",
    "STUDY",
    "Curve",
    "accuracies_of_scratch",
    "equivalents",
    "last_reaching",
    "never_is_zero",
    "position",
    "step_of_best",
    "strictly_above",
    "turned",
]

STUDY = "foundations/why-transfer/labels"
BUDGETS = (10, 20, 40, 80)
NUM_VAL = 200
FEW = 4
Curve = Sequence[tuple[int, float]]


# --- 2: how many labels with transfer ---


def equivalents(strategy: str, baseline: str) -> dict[int, LabelEquivalent]:
    """Return the worth of each budget in the recorded study."""
    grid = study.recorded(STUDY)
    return {
        k: labels_from_scratch_equal(grid, k, strategy=strategy, baseline=baseline) for k in BUDGETS
    }


def accuracies_of_scratch() -> dict[int, float]:
    """Return accuracies where labels are asked for."""
    return {k: v.score for k, v in equivalents("scratch", "full").items()}


# --- 3: the first step at a goal ---


def position(curve: Curve, goal: float) -> int | None:
    """Return the position in the list and not the step."""
    return next((i for i, (_, accuracy) in enumerate(curve) if accuracy >= goal), None)


def step_of_best(curve: Curve, goal: float) -> int | None:
    """Return the step of the best accuracy."""
    step, best = max(curve, key=lambda point: point[1])
    return step if best >= goal else None


def never_is_zero(curve: Curve, goal: float) -> int:
    """Return 0 where the goal is never reached."""
    return next((step for step, accuracy in curve if accuracy >= goal), 0)


def strictly_above(curve: Curve, goal: float) -> int | None:
    """Return the first step above the goal."""
    return next((step for step, accuracy in curve if accuracy > goal), None)


def last_reaching(curve: Curve, goal: float) -> int | None:
    """Return the last step at which the goal is reached."""
    return next((step for step, accuracy in reversed(curve) if accuracy >= goal), None)


# --- 4: digits upside down ---


@functools.cache
def _digits() -> tuple[Backbone, Splits]:
    """Return the chapter's backbone and its data."""
    return load_backbone("glyphnet"), load_dataset("digits", labels_per_class=FEW, seed=0)


def _draw(seed: int) -> tuple[Split, Split]:
    """Return the training and val images of a seed, as the chapter draws them."""
    drawn = _digits()[1].redraw(seed=seed)
    pool = drawn.pool
    assert pool is not None
    order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(seed)).tolist()
    used = set(drawn.train.ids)
    others = [item for item in order if pool.ids[item] not in used]
    return drawn.train, pool.subset(others[:NUM_VAL], name="val")


def turned(
    *,
    train: bool = True,
    val: bool = True,
    scored_on_train: bool = False,
    seeds: Sequence[int] = range(5),
) -> dict[str, list[float]]:
    """Return the accuracies of the nearest mean on pixels and on features of letters.

    Args:
        train: whether the labelled images are turned.
        val: whether the images to read are turned.
        scored_on_train: whether the labelled images are read again.
        seeds: the draws.
    """
    found: dict[str, list[float]] = {"pixels": [], "letters": []}
    for seed in seeds:
        (x, y), (x_val, y_val) = (_prepared(split) for split in _draw(seed))
        x, x_val = (x.flip((-2, -1)) if train else x), (x_val.flip((-2, -1)) if val else x_val)
        if scored_on_train:
            x_val, y_val = x, y
        for name, features in _features(x, x_val).items():
            logits = prototype_logits(features[1], compute_prototypes(features[0], y))
            found[name].append(float((logits.argmax(dim=1) == y_val).double().mean()))
    return found


def _prepared(split: Split) -> tuple[Tensor, Tensor]:
    """Return the images of a split as the backbone wants them, and their labels."""
    prepared = _digits()[0].prepare(split)
    batch = prepared.batch(torch.arange(len(prepared)))
    return batch.inputs, batch.labels


def _features(x: Tensor, x_val: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Return pixels, and features of the backbone, of labelled and of other images."""
    backbone = _digits()[0]
    with torch.no_grad():
        return {
            "pixels": (x.flatten(1), x_val.flatten(1)),
            "letters": (backbone(x), backbone(x_val)),
        }
