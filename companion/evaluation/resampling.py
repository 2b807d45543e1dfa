"""Bootstrap intervals of any statistic, whole groups at a time: patients, writers, speakers."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

from companion import checks
from companion.evaluation.intervals import MIN_GROUPS, Interval, check_level, check_same_length

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
            (0, 1), or a statistic that is undefined on a tenth of the resamples or more.

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
    members = _members(num_items, groups)
    generator = np.random.default_rng(checks.non_negative_int("seed", seed))
    found = []
    for _ in range(num_resamples):
        drawn = generator.integers(0, len(members), size=len(members))
        found.append(float(statistic(np.concatenate([members[number] for number in drawn]))))
    defined = [value for value in found if not math.isnan(value)]
    num_undefined = num_resamples - len(defined)
    if num_undefined * 10 >= num_resamples:
        checks.fail(
            "statistic",
            got=f"undefined on {num_undefined} of {num_resamples} resamples",
            expected="fewer than a tenth",
            do="collect more of the rare class; so few items (or groups) hold no interval",
        )
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    unit = "items" if groups is None else "groups"
    method = f"bootstrap over {len(members)} {unit}"
    if num_undefined:
        method += f", {num_undefined} of {num_resamples} resamples undefined"
    return Interval(float(low), float(high), level, method)


def _members(num_items: int, groups: Sequence[Hashable] | None) -> list[NDArray[Any]]:
    """Return the positions of the items of each group; of each item where there are no groups."""
    import numpy as np

    if groups is None:
        return [np.array([position]) for position in range(num_items)]
    check_same_length("groups and items", groups, range(num_items))
    as_list = getattr(groups, "tolist", None)  # a tensor's elements are groups of their own
    groups = groups if as_list is None else as_list()
    positions: dict[Hashable, list[int]] = {}
    for position, name in enumerate(groups):
        positions.setdefault(name, []).append(position)
    if len(positions) < MIN_GROUPS:
        checks.fail(
            "bootstrap over groups",
            got=f"{len(positions)} groups",
            expected=f"at least {MIN_GROUPS}",
            do="show each group as a point; so few say nothing of other groups",
        )
    return [np.array(rows) for rows in positions.values()]
