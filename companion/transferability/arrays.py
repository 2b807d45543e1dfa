"""What the scores take: one row of numbers an item, and one class id an item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from companion import checks
from companion.evaluation.intervals import check_same_length

__all__ = ["MIN_ITEMS_PER_CLASS", "Values", "class_ids", "labelled", "matrix"]

Values = Tensor | NDArray[Any] | Sequence[Any]

MIN_ITEMS_PER_CLASS = 2
"""The mean of a single item is the item itself: a score would take it for a perfect class."""


def labelled(what: str, rows: Values, labels: Values) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return rows with the classes of their items, numbered from 0 without a gap.

    Args:
        what: name of the rows, for the message.
        rows: (items, width).
        labels: class ids, (items,), integers of at least 0.

    Returns:
        The rows, (items, width), float64, and the class of each, (items,), int64.

    Raises:
        CompanionError: shapes or types that do not fit, a NaN or an infinity, fewer than two
            classes, or a class with fewer than two items.
    """
    values = matrix(what, rows)
    ids = class_ids(labels)
    check_same_length(f"{what} and labels", values, ids)
    names, classes, counts = np.unique(ids, return_inverse=True, return_counts=True)
    if len(names) < 2:
        checks.fail(
            "labels",
            got=f"{len(names)} class",
            expected="at least two classes, as a score says how well they are told apart",
            do="pass items of all classes of the target",
        )
    if counts.min() < MIN_ITEMS_PER_CLASS:
        checks.fail(
            f"class {names[counts.argmin()]}",
            got=f"{counts.min()} item",
            expected=f"at least {MIN_ITEMS_PER_CLASS} items of each class",
            do="add items of this class, or leave it out",
        )
    return values, classes


def matrix(what: str, rows: Values) -> NDArray[Any]:
    """Return rows of finite numbers, (items, width), float64; at least one of each.

    Raises:
        CompanionError: another shape, something else than real numbers, a NaN or an infinity.
    """
    values = _array(what, rows)
    if values.ndim != 2 or 0 in values.shape:
        checks.fail(
            what,
            got=f"shape {values.shape}",
            expected="one row an item, (items, width), neither of them 0",
            do="flatten each item to one row, or pool its positions",
        )
    numbers: NDArray[Any] = values.astype(np.float64)
    is_finite = np.isfinite(numbers).all(axis=1)
    if not is_finite.all():
        checks.fail(
            what,
            got=f"a NaN or an infinity in {int((~is_finite).sum())} of {len(numbers)} rows",
            expected="finite numbers",
            do=f"look at row {int(is_finite.argmin())} first",
        )
    return numbers


def class_ids(labels: Values) -> NDArray[Any]:
    """Return class ids, (items,), int64.

    Raises:
        CompanionError: another shape, or something else than integers of at least 0.
    """
    ids = _array("labels", labels)
    if ids.ndim != 1 or ids.dtype.kind not in "iu" or (ids < 0).any():
        got = f"shape {ids.shape}, {ids.dtype}"
        checks.fail(
            "labels",
            got=f"{got}, smallest {ids.min()}" if ids.size else got,
            expected="class ids, (items,), integers of at least 0",
            do="pass one class id an item, without padding",
        )
    return ids.astype(np.int64)


def _array(what: str, values: Values) -> NDArray[Any]:
    """Return real numbers as an array on the CPU."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = (values.double() if values.is_floating_point() else values).numpy()
    try:
        array = np.asarray(values)
    except ValueError:
        array = np.asarray(None)
    if array.dtype.kind not in "fiub":
        checks.fail(
            what,
            got=f"{values!r:.60}",
            expected="a tensor or an array of real numbers",
            do="stack rows of equal length",
        )
    return array
