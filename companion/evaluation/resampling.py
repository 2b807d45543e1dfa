"""Bootstrap intervals of any statistic, whole groups at a time: patients, writers, speakers."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

from companion import checks
from companion.evaluation.intervals import Interval, check_level, group_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["bootstrap_statistic"]


def bootstrap_statistic(
    statistic: Callable[[NDArray[Any]], float],
    num_items: int,
    *,
    groups: Sequence[Hashable] | None = None,
    seed: int = 0,
    level: float = 0.95,
    num_resamples: int = 1000,
) -> Interval:
    """Return the percentile bootstrap interval of a statistic of test items.

    For ratios of sums, such as an accuracy, `bootstrap_interval` does the same faster.

    Args:
        statistic: from the positions of the drawn items, (drawn items,), int64, to a number; NaN
            where it is not defined for them, such as a sensitivity without a positive item.
        num_items: how many items there are; positions are 0..num_items - 1.
        groups: draw whole groups (patients) instead of items: one name an item, at least ten
            different ones.
        seed: seed of the resampling.
        level: share of repetitions that it covers, as a fraction.
        num_resamples: how many times is drawn with replacement.

    Returns:
        The interval over the resamples on which the statistic is defined; its `method` says how
        many were not.

    Raises:
        CompanionError: no items, fewer than ten groups, not one group an item, a level outside
            (0, 1), or a statistic that is no number, infinite, or undefined on a tenth of the
            resamples or more.

    Example:
        >>> import numpy as np
        >>> ages = np.arange(100.0)
        >>> interval = bootstrap_statistic(lambda drawn: np.median(ages[drawn]), 100)
        >>> 49.5 in interval
        True

    Reference: efron1993introduction, ch. 13
    """
    import numpy as np

    checks.positive_int("num_items", num_items)
    checks.positive_int("num_resamples", num_resamples)
    check_level(level)
    check_statistic(statistic)
    members = _members(num_items, groups)
    generator = np.random.default_rng(checks.non_negative_int("seed", seed))
    found = []
    for _ in range(num_resamples):
        drawn = generator.integers(0, len(members), size=len(members))
        found.append(statistic(np.concatenate([members[number] for number in drawn])))
    unit = "items" if groups is None else "groups"
    return percentile_interval(found, level=level, method=f"bootstrap over {len(members)} {unit}")


def check_statistic(statistic: object) -> None:
    """Refuse what is no function, such as the name of one."""
    if not callable(statistic):
        checks.fail(
            "statistic",
            got=f"{statistic!r:.60}",
            expected="a function that returns a number",
            do="pass the function itself",
        )


def percentile_interval(values: Sequence[object], *, level: float, method: str) -> Interval:
    """Return the interval between two quantiles of what a statistic was on the resamples.

    Args:
        values: one a resample; NaN where the statistic is not defined.
        level: share of repetitions that it covers, as a fraction.
        method: what was drawn, in words; how many resamples were undefined is added.

    Raises:
        CompanionError: a value that is no number, or infinite, or a tenth of them or more NaN.
    """
    import numpy as np

    found = [_as_number(value) for value in values]
    defined = [value for value in found if not math.isnan(value)]
    num_undefined = len(found) - len(defined)
    if num_undefined * 10 >= len(found):
        checks.fail(
            "statistic",
            got=f"undefined on {num_undefined} of {len(found)} resamples",
            expected="fewer than a tenth",
            do="collect more of the rare class; so few items (or groups) hold no interval",
        )
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    if num_undefined:
        method += f", {num_undefined} of {len(found)} resamples undefined"
    return Interval(float(low), float(high), level, method)


def _as_number(value: object) -> float:
    """Return what a statistic gave as a float, finite or NaN."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        number = math.inf
    if math.isinf(number):
        checks.fail(
            "statistic",
            got=f"{value!r:.60} on a resample",
            expected="a finite number, or NaN where it is not defined",
            do="return NaN where you would divide by 0",
        )
    return number


def _members(num_items: int, groups: Sequence[Hashable] | None) -> list[NDArray[Any]]:
    """Return the positions of the items of each group; of each item where there are no groups."""
    import numpy as np

    if groups is None:
        return [np.array([position]) for position in range(num_items)]
    index = group_numbers(groups, num_items)
    ends = np.cumsum(np.bincount(index))[:-1]
    return np.split(np.argsort(index, kind="stable"), ends)
