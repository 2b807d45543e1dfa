"""What the objectives accept: matrices of features and of logits that fit together."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence

import torch
from torch import Tensor

from companion import checks

__all__ = [
    "class_labels",
    "feature_matrix",
    "feature_pair",
    "float_matrix",
    "logit_matrix",
    "logit_pair",
    "non_negative",
    "task_losses",
]


def feature_matrix(what: str, features: Tensor, *, smallest: int = 1) -> Tensor:
    """Return features as numbers of at least single precision.

    Args:
        what: name of the features, for the message.
        features: (batch, feature_dim), floats.
        smallest: how many items there must be.

    Raises:
        CompanionError: no such matrix, or too few items.
    """
    float_matrix(what, features, expected="(batch, feature_dim)", do="flatten or average first")
    if len(features) < smallest:
        checks.fail(
            what,
            got=f"{len(features)} items",
            expected=f"at least {smallest}",
            do="use larger batches",
        )
    return features if features.dtype == torch.float64 else features.float()


def feature_pair(
    source: Tensor,
    target: Tensor,
    *,
    names: tuple[str, str] = ("source", "target"),
    smallest: int = 1,
) -> tuple[Tensor, Tensor]:
    """Return the features of two domains, or of two views, which have the same width.

    Args:
        source: (source_batch, feature_dim), floats.
        target: (target_batch, feature_dim), floats.
        names: names of the two, for the message.
        smallest: how many items there must be in each.

    Raises:
        CompanionError: no such matrices, too few items, or different widths.
    """
    first = feature_matrix(f"{names[0]} features", source, smallest=smallest)
    second = feature_matrix(f"{names[1]} features", target, smallest=smallest)
    if first.shape[1] != second.shape[1]:
        checks.fail(
            f"feature_dim of {names[0]} and {names[1]}",
            got=f"{first.shape[1]} and {second.shape[1]}",
            expected="the same width",
            do="take both from the same layer, or project one onto the width of the other",
        )
    return first, second


def logit_matrix(what: str, logits: Tensor) -> Tensor:
    """Return logits.

    Args:
        what: name of the logits, for the message.
        logits: (batch, num_classes), floats, at least one item.

    Raises:
        CompanionError: no such matrix.
    """
    return float_matrix(what, logits, expected="(batch, num_classes)", do="pass logits of a batch")


def logit_pair(names: tuple[str, str], first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return two predictions for the same items and classes.

    Args:
        names: names of the two, for the message.
        first: (batch, num_classes), floats.
        second: (batch, num_classes), floats.

    Raises:
        CompanionError: no such matrices, or different shapes.
    """
    logit_matrix(names[0], first)
    logit_matrix(names[1], second)
    if first.shape != second.shape:
        checks.fail(
            f"{names[0]} and {names[1]}",
            got=f"shapes {tuple(first.shape)} and {tuple(second.shape)}",
            expected="the same items and the same classes",
            do="predict the same batch with both, with heads of the same classes",
        )
    return first, second


def class_labels(labels: Tensor, logits: Tensor) -> Tensor:
    """Return the labels of a batch.

    Args:
        labels: (batch,), int64, in 0..num_classes-1.
        logits: (batch, num_classes), which they belong to.

    Raises:
        CompanionError: not one label an item, or a label that is no class.
    """
    num_items, num_classes = logits.shape
    if labels.shape != (num_items,) or labels.dtype != torch.int64:
        checks.fail(
            "labels",
            got=f"shape {tuple(labels.shape)} of {labels.dtype}",
            expected=f"({num_items},) of torch.int64, one class an item",
            do="pass class indices, not one-hot rows",
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        checks.fail(
            "labels",
            got=f"{low}..{high}",
            expected=f"0..{num_classes - 1} for {num_classes} classes",
            do="remap them to the head's classes",
        )
    return labels


def non_negative(what: str, value: object) -> float:
    """Return a weight or a strength: a finite number of at least 0.

    Args:
        what: name of the value, for the message.
        value: Python or numpy number; a bool is none.

    Raises:
        CompanionError: it is not such a number.
    """
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        number = float(value)
        if math.isfinite(number) and number >= 0:
            return number
    checks.fail(
        what,
        got=repr(value),
        expected="a finite number of at least 0",
        do="pass 0 to switch it off",
    )


def float_matrix(what: str, matrix: Tensor, *, expected: str, do: str) -> Tensor:
    """Return a matrix of floats that is not empty.

    Args:
        what: name of the matrix, for the message.
        matrix: (rows, columns).
        expected: what the rows and columns should be, for the message.
        do: what to do where it is none, for the message.

    Raises:
        CompanionError: another number of axes, whole numbers, or nothing in it.
    """
    checks.instance(what, matrix, Tensor)
    if matrix.dim() != 2 or 0 in matrix.shape or not matrix.is_floating_point():
        checks.fail(
            what,
            got=f"shape {tuple(matrix.shape)} of {matrix.dtype}",
            expected=f"{expected} of floats, not empty",
            do=do,
        )
    return matrix


def task_losses(losses: Sequence[Tensor] | Tensor, *, num_tasks: int | None = None) -> list[Tensor]:
    """Return the losses of several tasks.

    Args:
        losses: one scalar a task.
        num_tasks: how many there must be; `None` for at least one.

    Raises:
        CompanionError: another number of losses, or one that is no scalar.
    """
    is_single = isinstance(losses, Tensor) and losses.dim() == 0
    found = [] if is_single else list(losses)
    fits = len(found) == num_tasks if num_tasks else len(found) > 0
    if not fits or any(loss.dim() for loss in found):
        checks.fail(
            "losses",
            got="a single scalar" if is_single else f"shapes {[tuple(x.shape) for x in found]}",
            expected=f"{num_tasks or 'a list of'} scalars, one a task",
            do="pass the mean loss of each task",
        )
    return found
