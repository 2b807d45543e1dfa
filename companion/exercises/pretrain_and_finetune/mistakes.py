"""Wrong answers as learners give them, made by doing the wrong thing."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from companion.backbones import load_backbone
from companion.datasets import load_dataset
from companion.heads import Model
from companion.training import Recipe, fit

__all__ = ["adapted", "in_training_mode", "merge"]


def merge(*, scale: bool = True, in_place: bool = False, change: bool = True) -> Callable[..., Any]:
    """Return a function that merges a low-rank layer, with one of the usual mistakes."""

    def merged(low_rank: Any) -> nn.Module:
        layer: nn.Module = low_rank.layer if in_place else copy.deepcopy(low_rank.layer)
        product = low_rank.B.weight.flatten(1) @ low_rank.A.weight.flatten(1)
        with torch.no_grad():
            if change:
                factor = low_rank.scale if scale else 1.0
                layer.weight += factor * product.view_as(layer.weight)
        return layer

    return merged


def adapted(strategy: str, **options: Any) -> Model:
    """Return glyphnet after a short training on digits in negative."""
    digits = load_dataset("digits", labels_per_class=10, seed=0)
    dark = dataclasses.replace(digits.train, inputs=1 - torch.as_tensor(digits.train.inputs))
    recipe = Recipe(
        **({"epochs": 1, "min_steps": 60, "batch_size": 16, "freeze_batch_norm": True} | options)
    )
    splits = dataclasses.replace(digits, train=dark, val=None)
    return fit(load_backbone("glyphnet"), splits, strategy=strategy, seed=0, recipe=recipe).model


def in_training_mode() -> Model:
    """Return a model that was left in training mode."""
    return adapted("probe").train()
