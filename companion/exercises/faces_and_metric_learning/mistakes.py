"""Wrong answers as learners give them, made by doing the wrong thing."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from companion import runtime
from companion.backbones import load_backbone
from companion.datasets import LOADERS
from companion.embedding import EmbeddingNet, embed
from companion.exercises.faces_and_metric_learning.checks import MARGINS, NUM_CLASSES, WIDTH
from companion.objectives import ArcFace

__all__ = ["digit_embeddings", "margins", "one_hot_digits", "reporter"]


def margins(
    *,
    values: tuple[float, float] = MARGINS,
    seeds: tuple[int, int] = (0, 0),
    scales: tuple[float, float] = (64.0, 64.0),
    num_classes: int = NUM_CLASSES,
) -> dict[float, ArcFace]:
    """Return two ArcFace losses under the keys 0 and 0.5."""
    found = {}
    for key, value, seed, scale in zip(MARGINS, values, seeds, scales, strict=True):
        with runtime.fork_seed(seed, "class vectors"):
            found[key] = ArcFace(WIDTH, num_classes, margin=value, scale=scale)
    return found


def reporter(
    *,
    on_test: bool = False,
    of_all: bool = False,
    is_turned: bool = False,
    is_swapped: bool = False,
) -> Callable[..., tuple[float, float]]:
    """Return a function that reports FAR and TAR, with one of the usual mistakes."""

    def report(
        val_similarity: np.ndarray[Any, Any],
        val_genuine: np.ndarray[Any, Any],
        similarity: np.ndarray[Any, Any],
        is_genuine: np.ndarray[Any, Any],
        limit: float,
    ) -> tuple[float, float]:
        values, kinds = (similarity, is_genuine) if on_test else (val_similarity, val_genuine)
        chosen_from = values if of_all else values[~kinds]
        at = np.quantile(chosen_from, 1 - limit)
        is_accepted = similarity < at if is_turned else similarity >= at
        rates = float(is_accepted[~is_genuine].mean()), float(is_accepted[is_genuine].mean())
        return rates[::-1] if is_swapped else rates

    return report


@functools.cache
def digit_embeddings(*, pretrained: bool = True) -> Tensor:
    """Return embeddings of the pool of handwritten digits by glyphnet."""
    net = EmbeddingNet(load_backbone("glyphnet", pretrained=pretrained))
    return embed(net, LOADERS["digits"](None).pool)


def one_hot_digits() -> Tensor:
    """Return the labels in the form of embeddings."""
    return torch.nn.functional.one_hot(torch.as_tensor(LOADERS["digits"](None).pool.labels)).float()
