"""Wrong answers as learners give them, made by doing the wrong thing."""

from __future__ import annotations

import copy
import functools

import torch

from companion.backbones import Backbone, load_backbone
from companion.datasets import load_dataset
from companion.evaluation import Scores, score
from companion.exercises.image_classification.checks import ALPHAS, GROUPS
from companion.heads import Model, build_head
from companion.splits import Split, Splits
from companion.strategies import wise_ft
from companion.training import Recipe, fit

__all__ = ["mixture", "mixtures_without", "probe_by_hand", "scores"]


@functools.cache
def _digits() -> tuple[Backbone, Splits]:
    """Return the chapter's backbone and its ten training images."""
    return load_backbone("glyphnet"), load_dataset("digits", labels_per_class=1, seed=0)


def mixture(alpha: float) -> Model:
    """Return a short WiSE-FT with one mixing weight."""
    backbone, splits = _digits()
    recipe = Recipe(epochs=1, min_steps=8)
    strategy = wise_ft(GROUPS, interpolation=alpha)
    return fit(backbone, splits, strategy=strategy, seed=0, recipe=recipe).model


def mixtures_without(part: str) -> dict[float, Model]:
    """Return mixtures in which the tensors with a word in their names were not mixed."""
    models = {alpha: mixture(alpha) for alpha in ALPHAS}
    end = models[1].state_dict()
    models[0.5].load_state_dict({n: v for n, v in end.items() if part in n}, strict=False)
    return models


def probe_by_hand(*, mode: str = "eval", train_all: bool = False, steps: int = 3) -> Model:
    """Return a probe by hand with one of the usual mistakes."""
    backbone, splits = _digits()
    head = build_head(backbone.feature_dim, splits.train, seed=0)
    model = Model(copy.deepcopy(backbone), head, splits.train.classes)
    source = model.backbone.prepare(splits.train)
    batch = source.batch(torch.arange(len(source)))
    model.train(mode != "eval")
    optimizer = torch.optim.AdamW((model if train_all else model.head).parameters(), lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model.head.losses(model(batch.inputs), batch.labels).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model.train(mode == "train")


def scores(name: str = "val", *, num_rare: int = 2, num_found: int = 2, more: int = 0) -> Scores:
    """Return scores on eighteen images, some of them rare and some of those found."""
    labels = torch.tensor([0] * (18 - num_rare) + [1] * num_rare)
    predictions = labels.clone()
    predictions[18 - num_rare + num_found :] = 0
    images = torch.zeros(18, 1, 8, 8)
    classes = ("1", "7", *(f"other {number}" for number in range(more)))
    ids = tuple(f"image {number}" for number in range(18))
    return score(Split(name, images, labels, ids, classes), predictions)
