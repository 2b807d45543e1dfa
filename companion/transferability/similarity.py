"""How alike two sets of features are: linear centred kernel alignment."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion import checks
from companion.evaluation.intervals import check_same_length
from companion.transferability.arrays import Values, matrix

__all__ = ["linear_cka"]

NO_SPREAD = 1e-12
"""Features whose centred length is below this share of their length do not vary."""


def linear_cka(first: Values, second: Values) -> float:
    r"""Return linear centred kernel alignment of two sets of features of the same items.

    With $X$ and $Y$ the features less their means over the items,

    $$\mathrm{CKA}(X, Y) = \frac{\lVert Y^\top X \rVert_F^2}
    {\lVert X^\top X \rVert_F \, \lVert Y^\top Y \rVert_F}.$$

    Args:
        first: features of a layer, (items, width), at least two items.
        second: features of another layer of the same items in the same order, (items, any width).

    Returns:
        A number from 0 to 1, higher for more alike; 1 where one set is the other, rotated, shifted
        and multiplied by one number. With few items for the widths even unrelated features come
        out alike: compare numbers of the same items and widths only.

    Raises:
        CompanionError: shapes or types that do not fit, a NaN or an infinity, fewer than two
            items, or features that are the same for all items.

    Example:
        >>> round(linear_cka([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], [[2.0], [0.0], [0.0]]), 3)
        0.791

    Reference: kornblith2019similarity, sec. 3
    """
    one, two = _centred("first", first), _centred("second", second)
    check_same_length("items of both sets", one, two)
    # The same by (items, items) or by (width, width) matrices: whichever are smaller.
    if len(one) < max(one.shape[1], two.shape[1]):
        own, other = one @ one.T, two @ two.T
        cross = float((own * other).sum())
    else:
        own, other = one.T @ one, two.T @ two
        cross = float(((two.T @ one) ** 2).sum())
    return min(1.0, float(cross / (np.linalg.norm(own) * np.linalg.norm(other))))


def _centred(what: str, rows: Values) -> NDArray[Any]:
    """Return features less their mean over the items, in units of their length."""
    values = matrix(what, rows)
    if len(values) < 2:
        checks.fail(what, got="1 item", expected="at least two", do="pass features of more items")
    centred: NDArray[Any] = values - values.mean(axis=0)
    length = float(np.linalg.norm(centred))
    if length <= NO_SPREAD * float(np.linalg.norm(values)):
        checks.fail(
            what,
            got="features that are the same for all items",
            expected="features that vary",
            do="look at the layer they come from: all its units may be dead",
        )
    return centred / length
