"""`companion.fit`: clipping and val off, and as it comes."""

from __future__ import annotations

import dataclasses

from torch import nn

import companion
from benchmarks.tasks import SEED, Task, unadorned_recipe
from companion.splits import Splits
from companion.training import Recipe


def tuned(task: Task) -> nn.Module:
    """Train along a cosine without warm-up; no decay, clipping or val."""
    recipe = unadorned_recipe(task)
    splits = dataclasses.replace(task.splits, val=None)
    return _plain(task, splits, recipe, progress=False)


def default(task: Task) -> nn.Module:
    """Train and look at val as by default, with the progress bar that a terminal gets."""
    recipe = Recipe(epochs=task.num_epochs, min_steps=1)
    return _plain(task, task.splits, recipe, progress=True)


def _plain(task: Task, splits: Splits, recipe: Recipe, *, progress: bool) -> nn.Module:
    """Fit and return encoder and head as the others have them."""
    model = companion.fit(
        task.backbone,
        splits,
        strategy="full",
        seed=SEED,
        recipe=recipe,
        device="cpu",
        progress=progress,
    ).model
    return nn.Sequential(model.backbone.encoder, model.head.linear)
