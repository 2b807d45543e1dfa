"""Checks that all few-shot methods share: feature matrices and the class ids beside them."""

from __future__ import annotations

import torch
from torch import Tensor

from companion import checks

__all__ = ["as_class_ids", "as_features", "check_finite", "check_widths"]


def as_features(what: str, features: Tensor) -> Tensor:
    """Return a matrix of floats with at least one row, (items, feature_dim).

    Raises:
        CompanionError: it is something else.
    """
    checks.instance(what, features, Tensor)
    if features.dim() != 2 or len(features) == 0 or not features.is_floating_point():
        checks.fail(
            what,
            got=f"{features.dtype} of shape {tuple(features.shape)}",
            expected="floats of shape (items, feature_dim), at least one item",
            do="pass one feature vector an item",
        )
    return features


def as_class_ids(what: str, labels: Tensor, *, num_items: int) -> Tensor:
    """Return class ids from 0, one an item, as int64.

    Raises:
        CompanionError: they are no whole numbers from 0, or there are more or fewer than items.
    """
    checks.instance(what, labels, Tensor)
    is_whole = not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
    if labels.shape != (num_items,) or not is_whole or bool((labels < 0).any()):
        smallest = f", smallest {int(labels.min())}" if is_whole and labels.numel() else ""
        checks.fail(
            what,
            got=f"{labels.dtype} of shape {tuple(labels.shape)}{smallest}",
            expected=f"class ids 0, 1, 2, ... of shape ({num_items},), one an item",
            do="pass the labels of these very items",
        )
    return labels.long()


def check_widths(what: str, first: Tensor, second: Tensor) -> None:
    """Refuse two matrices whose rows differ in length."""
    if first.shape[1] != second.shape[1]:
        checks.fail(
            what,
            got=f"{first.shape[1]} and {second.shape[1]}",
            expected="as many columns in both",
            do="take both from the same encoder or the same description",
        )


def check_finite(what: str, values: Tensor) -> None:
    """Refuse a NaN or an infinity."""
    if not bool(torch.isfinite(values).all()):
        checks.fail(
            what,
            got="a NaN or an infinity",
            expected="finite numbers",
            do="look for the item that broke the encoder",
        )
