"""Intervals: of a mean over seeds (t), of a fraction of items (Wilson, bootstrap).

Fewer than ten groups (speakers, fonts) are not resampled: they say nothing of the population.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from companion import checks

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "MIN_GROUPS",
    "Interval",
    "bootstrap_interval",
    "t_interval",
    "wilson_interval",
]

MIN_GROUPS = 10
"""Fewer groups than this are not resampled: they say too little of other groups."""

_CHUNK = 2_000_000


@dataclass(frozen=True)
class Interval:
    """A range that covers the true value in a stated share of repetitions.

    Attributes:
        low: lower end.
        high: upper end.
        level: the share, as a fraction, such as 0.95.
        method: how it was computed, in words.
    """

    low: float
    high: float
    level: float = 0.95
    method: str = ""

    def __contains__(self, value: object) -> bool:
        """Return whether a number lies in the interval, its ends included."""
        return isinstance(value, int | float) and self.low <= value <= self.high


def t_interval(values: Sequence[float], *, level: float = 0.95) -> Interval:
    """Return the t interval of a mean over seeds.

    Args:
        values: one number a seed, at least two.
        level: share of repetitions that it covers, as a fraction.

    Raises:
        CompanionError: fewer than two values, a value that is not finite, or a level outside
            (0, 1).

    Reference: student1908probable
    """
    from scipy import stats

    array = finite("values", values, smallest=2)
    check_level(level)
    half = stats.t.ppf((1 + level) / 2, len(array) - 1) * standard_error(array)
    mean = float(array.mean())
    method = f"t over {len(array)} seeds"
    return Interval(mean - float(half), mean + float(half), level, method)


def wilson_interval(num_correct: int, num_items: int, *, level: float = 0.95) -> Interval:
    """Return Wilson's interval of a fraction of items.

    Args:
        num_correct: how many items are right.
        num_items: how many there are.
        level: share of repetitions that it covers, as a fraction.

    Raises:
        CompanionError: no items, more right than there are, or a level outside (0, 1).

    Reference: wilson1927probable
    """
    from scipy import stats

    checks.positive_int("num_items", num_items)
    if checks.non_negative_int("num_correct", num_correct) > num_items:
        checks.fail(
            "num_correct", got=num_correct, expected=f"at most {num_items}", do="count items once"
        )
    check_level(level)
    z = float(stats.norm.ppf((1 + level) / 2))
    share, spread = num_correct / num_items, z * z / num_items
    centre = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / num_items + spread / num_items / 4) / (1 + spread)
    return Interval(max(0.0, centre - half), min(1.0, centre + half), level, "Wilson")


def bootstrap_interval(
    numerators: Sequence[float] | NDArray[Any],
    denominators: Sequence[float] | NDArray[Any] | None = None,
    *,
    seed: int = 0,
    level: float = 0.95,
    num_resamples: int = 2000,
    groups: Sequence[Hashable] | None = None,
) -> Interval:
    r"""Return the percentile bootstrap interval of $\sum a_i / \sum b_i$ over test items.

    A resample whose $b_i$ are all 0 has no ratio and is left out.

    Args:
        numerators: $a_i$, one an item: 1 for a right answer and 0 for a wrong one, or a number of
            right tokens, or of wrong characters.
        denominators: $b_i$, one an item: how many tokens or characters it has; `None` for 1 each.
        seed: seed of the resampling.
        level: share of repetitions that it covers, as a fraction.
        num_resamples: how many times the items are drawn with replacement.
        groups: draw whole groups (speakers, fonts) instead of items: one name an item, in a list,
            an array or a tensor, at least ten different ones.

    Raises:
        CompanionError: no items, numbers that are not finite, denominators below 0 or all 0,
            fields of different lengths, fewer than ten groups, or a level outside (0, 1).

    Reference: efron1993introduction, ch. 13
    """
    import numpy as np

    checks.positive_int("num_resamples", num_resamples)
    check_level(level)
    above = finite("numerators", numerators, smallest=1)
    below = np.ones_like(above) if denominators is None else finite("denominators", denominators)
    check_same_length("numerators and denominators", above, below)
    if below.min() < 0 or not below.sum() > 0:
        checks.fail(
            "denominators",
            got=f"{below.min():g} to {below.max():g}",
            expected="at least 0, and some above",
            do="pass how many tokens, characters or tries each item has",
        )
    unit = "items"
    if groups is not None:
        index, unit = group_numbers(groups, len(above)), "groups"
        above, below = np.bincount(index, above), np.bincount(index, below)
    ratios = _resampled_ratios(above, below, num_resamples, seed)
    ratios = ratios[~np.isnan(ratios)]
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level, f"bootstrap over {len(above)} {unit}")


def _resampled_ratios(
    above: NDArray[Any], below: NDArray[Any], num_resamples: int, seed: int
) -> NDArray[Any]:
    """Return the ratio of sums of each resample, (num_resamples,); NaN where it has none."""
    import numpy as np

    generator = np.random.default_rng(checks.non_negative_int("seed", seed))
    rows = max(1, _CHUNK // len(above))
    pieces = []
    for start in range(0, num_resamples, rows):
        size = (min(rows, num_resamples - start), len(above))
        drawn = generator.integers(0, len(above), size=size)
        sums = below[drawn].sum(axis=1)
        pieces.append(above[drawn].sum(axis=1) / np.where(sums > 0, sums, np.nan))
    return np.concatenate(pieces)


def group_numbers(groups: Sequence[Hashable], num_items: int) -> NDArray[Any]:
    """Return the number of each item's group, counted from 0 in the order they appear, (items,).

    Args:
        groups: one name an item; a list, an array or a tensor.
        num_items: how many items there are.

    Raises:
        CompanionError: not one name an item, or fewer than ten groups.
    """
    import numpy as np

    as_list = getattr(groups, "tolist", None)  # a tensor's elements are groups of their own
    try:
        names = list(groups if as_list is None else as_list())
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    except TypeError:
        checks.fail(
            "groups",
            got=" ".join(repr(groups).split())[:60],
            expected="one name or number an item",
            do='pass a list such as ["p1", "p1", "p2"]',
        )
    check_same_length("groups and items", names, range(num_items))
    if len(numbers) < MIN_GROUPS:
        checks.fail(
            "bootstrap over groups",
            got=f"{len(numbers)} groups",
            expected=f"at least {MIN_GROUPS}",
            do="show each group as a point; so few say nothing of other groups",
        )
    return np.array([numbers[name] for name in names])


def finite(what: str, values: Any, *, smallest: int = 0) -> NDArray[Any]:
    """Return numbers as a float64 array, (n,)."""
    import numpy as np

    plain = values.detach().cpu() if hasattr(values, "detach") else values
    try:
        array = np.asarray(plain, dtype=np.float64)
    except (TypeError, ValueError):
        checks.fail(
            what,
            got=f"{values!r:.60}",
            expected=f"a row of at least {max(smallest, 1)} finite numbers",
            do="pass one number a seed or an item",
        )
    if array.ndim != 1 or len(array) < smallest or not np.isfinite(array).all():
        shape = f"shape {array.shape}"
        checks.fail(
            what,
            got=shape if array.ndim != 1 or len(array) < smallest else "a NaN or an infinity",
            expected=f"a row of at least {max(smallest, 1)} finite numbers",
            do="pass one number a seed or an item",
        )
    return array


def check_same_length(what: str, first: Any, second: Any) -> None:
    """Refuse rows of different lengths."""
    if len(first) != len(second):
        checks.fail(
            what,
            got=f"{len(first)} and {len(second)}",
            expected="as many of each, in the same order",
            do="pair them by seed or by item",
        )


def check_level(level: float) -> None:
    """Refuse a level that is not between 0 and 1."""
    if checks.fraction("level", level) in (0.0, 1.0):
        checks.fail("level", got=level, expected="above 0 and below 1", do="pass 0.95")


def standard_error(array: NDArray[Any]) -> float:
    """Return the standard error of a mean."""
    return float(array.std(ddof=1)) / math.sqrt(len(array))
