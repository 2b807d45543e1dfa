"""Wrong answers as learners give them, made by doing the wrong thing."""

from __future__ import annotations

import copy
import functools
from typing import Any

import torch

from companion.backbones import Backbone, load_backbone
from companion.datasets import load_dataset
from companion.evaluation import Scores, score
from companion.exercises.image_classification.checks import ALPHAS, GROUPS
from companion.heads import Model, build_head
from companion.splits import Split, Splits
from companion.strategies import Adaptation, wise_ft
from companion.training import Recipe, fit

__all__ = [
    "head_left_alone",
    "mixture",
    "mixtures_by_name",
    "mixtures_without",
    "probe_by_hand",
    "probe_with_a_head_of_another",
    "runs",
    "scores",
    "statistics_left_alone",
]


@functools.cache
def _digits() -> tuple[Backbone, Splits]:
    """Return the chapter's backbone and its ten training images."""
    return load_backbone("glyphnet"), load_dataset("digits", labels_per_class=1, seed=0)


def _fitted(strategy: str | Adaptation, num_steps: int) -> Model:
    """Return a short training on the chapter's ten images."""
    backbone, splits = _digits()
    recipe = Recipe(epochs=1, min_steps=num_steps)
    return fit(backbone, splits, strategy=strategy, seed=0, recipe=recipe).model


def mixture(alpha: float) -> Model:
    """Return a short WiSE-FT with one mixing weight."""
    return copy.deepcopy(_mixture(alpha))


@functools.cache
def _mixture(alpha: float) -> Model:
    """Return the one WiSE-FT with a mixing weight, of which each caller gets a copy."""
    return _fitted(wise_ft(GROUPS, interpolation=alpha), 8)


def mixtures_by_name() -> dict[float, Model]:
    """Return strategies that look like the three mixtures; the probe has twice the steps."""
    return {0: _fitted("probe", 8), 0.5: _fitted("wise_ft", 8), 1: _fitted("lp_ft", 8)}


def mixtures_without(part: str) -> dict[float, Model]:
    """Return mixtures in which the tensors with a word in their names were not mixed."""
    models = {alpha: mixture(alpha) for alpha in ALPHAS}
    end = models[1].state_dict()
    models[0.5].load_state_dict({n: v for n, v in end.items() if part in n}, strict=False)
    return models


def head_left_alone() -> dict[float, Model]:
    """Return mixtures that all have the head of the end."""
    models = {alpha: mixture(alpha) for alpha in ALPHAS}
    for alpha in (0, 0.5):
        models[alpha].head.load_state_dict(models[1].head.state_dict())
    return models


def statistics_left_alone() -> dict[float, Model]:
    """Return mixtures of the parameters alone: all statistics are the pretrained ones."""
    models = {alpha: mixture(alpha) for alpha in ALPHAS}
    start = models[0].state_dict()
    for alpha in (0.5, 1):
        models[alpha].load_state_dict(
            {n: v for n, v in start.items() if ".running_" in n}, strict=False
        )
    return models


def probe_by_hand(
    *,
    mode: str = "eval",
    train_all: bool = False,
    steps: int = 10,
    learning_rate: float = 1e-2,
    shift: int = 0,
    sign: int = 1,
) -> Model:
    """Return a probe by hand with one of the usual mistakes.

    Args:
        mode: `"eval"`, `"train"`, or `"train, then eval"`.
        train_all: give all parameters to the optimizer.
        steps: how many steps.
        learning_rate: of the optimizer.
        shift: what is added to each label, modulo their number.
        sign: -1 raises the loss.
    """
    backbone, splits = _digits()
    head = build_head(backbone, splits.train, seed=0)
    model = Model(copy.deepcopy(backbone), head, splits.train.classes)
    source = model.backbone.prepare(splits.train)
    batch = source.batch(torch.arange(len(source)))
    labels = (batch.labels + shift) % len(splits.train.classes)
    model.train(mode != "eval")
    trained = (model if train_all else model.head).parameters()
    optimizer = torch.optim.AdamW(trained, lr=learning_rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = sign * model.head.losses(model(batch.inputs), labels).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model.train(mode == "train")


def probe_with_a_head_of_another() -> Model:
    """Return a model whose head has random weights of another seed."""
    backbone, splits = _digits()
    head = build_head(backbone, splits.train, seed=1)
    return Model(copy.deepcopy(backbone), head, splits.train.classes).eval()


@functools.cache
def scores(
    name: str = "val",
    *,
    draw: int = 0,
    num_common: int = 14,
    num_rare: int = 2,
    num_found: int = 2,
    common_probability: float = 0.05,
    classes: tuple[str, ...] = ("8", "not 8"),
) -> Scores:
    """Return scores on a draw of common and rare images, some of the rare found.

    Args:
        name: of the split.
        draw: which draw: its images have names of their own.
        num_common: how many images of the second class there are, all named right.
        num_rare: how many of the first class.
        num_found: how many of those are named right.
        common_probability: what the rare class is given on common images; on rare images it is
            given 0.9 where they are found, else 0.3.
        classes: names of the classes, the rare one first.
    """
    labels = torch.tensor([1] * num_common + [0] * num_rare)
    predictions = torch.ones_like(labels)
    predictions[num_common : num_common + num_found] = 0
    likely = torch.where(labels == 0, 0.3, common_probability).double()
    likely[predictions == 0] = 0.9
    rest = torch.zeros(len(labels), len(classes) - 2).double()
    probabilities = torch.cat([torch.stack([likely, 1 - likely], dim=1), rest], dim=1)
    ids = tuple(f"folder/{number}-{draw}.png" for number in range(len(labels)))
    split = Split(name, torch.zeros(len(labels), 1, 8, 8), labels, ids, classes)
    return score(split, predictions, probabilities=probabilities)


def runs(*, num_draws: int = 10, **changes: Any) -> dict[str, list[Scores]]:
    """Return a right answer to exercise 4, or one with something changed in all its scores."""
    weighted = {"common_probability": 0.1} | changes
    return {
        "plain": [scores(draw=draw, **changes) for draw in range(num_draws)],
        "weighted": [scores(draw=draw, **weighted) for draw in range(num_draws)],
    }
