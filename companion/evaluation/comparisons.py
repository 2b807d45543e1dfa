"""What may be said of a difference, of a table of differences, and of a ranking.

Fewer than five seeds are shown as points and claim nothing; fewer than twelve sources are no rank
correlation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from companion import checks
from companion.evaluation.intervals import (
    Interval,
    check_same_length,
    finite,
    standard_error,
    t_interval,
)

__all__ = [
    "MIN_SEEDS",
    "MIN_SOURCES",
    "Correlation",
    "Paired",
    "compare_with_baseline",
    "correct_together",
    "holm",
    "paired_comparison",
    "spearman",
]

MIN_SEEDS = 5
"""Fewer pairs than this are points, without an interval and without a claim."""

MIN_SOURCES = 12
"""A rank correlation over fewer sources than this is not computed."""

NO_SPREAD = 1e-12


@dataclass(frozen=True)
class Paired:
    """The difference of two conditions over the same seeds.

    Attributes:
        mean_difference: mean of the differences, as a fraction.
        interval: t interval of the mean difference; `None` with fewer than five pairs, or where
            the differences do not vary at all.
        p_value: two-sided paired t test; `None` where there is no interval.
        num_pairs: how many seeds both conditions were run with.
        differences: one a seed, as fractions.
        adjusted_p_value: after Holm's correction over a table; `None` outside a table.
        seeds: the seeds of the pairs, where they are known.
    """

    mean_difference: float
    interval: Interval | None
    p_value: float | None
    num_pairs: int
    differences: tuple[float, ...] = ()
    adjusted_p_value: float | None = None
    seeds: tuple[int, ...] = ()

    @property
    def claim(self) -> bool:
        """Whether the sign of the difference may be claimed, at the interval's level.

        The corrected p-value decides where there is one.
        """
        p_value = self.p_value if self.adjusted_p_value is None else self.adjusted_p_value
        if self.interval is None or p_value is None:
            return False
        return 0 not in self.interval and p_value < 1 - self.interval.level

    def __str__(self) -> str:
        """Return the comparison as a clause."""
        if self.interval is None or self.p_value is None:
            return f"{self.mean_difference:+.3f} ({self.num_pairs} seeds: points only, no claim)"
        low, high = self.interval.low, self.interval.high
        p_value, word = self.p_value, "p"
        if self.adjusted_p_value is not None:
            p_value, word = self.adjusted_p_value, "Holm-corrected p"
        return (
            f"{self.mean_difference:+.3f} [{low:+.3f}, {high:+.3f}], "
            f"{word} = {p_value:.2g}, {self.num_pairs} seeds"
        )


@dataclass(frozen=True)
class Correlation:
    """A rank correlation.

    Attributes:
        coefficient: in [-1, 1].
        p_value: two-sided.
        num_sources: how many pairs it rests on.
    """

    coefficient: float
    p_value: float
    num_sources: int


def paired_comparison(
    first: Sequence[float],
    second: Sequence[float],
    *,
    level: float = 0.95,
    seeds: Sequence[int] = (),
) -> Paired:
    """Compare two conditions that were run with the same seeds.

    Args:
        first: scores of the condition in question, one a seed, as fractions.
        second: scores of the baseline, in the same order of seeds.
        level: level of the interval, as a fraction.
        seeds: the seeds, if they are to be kept.

    Returns:
        The mean of `first - second`. With fewer than five pairs, or where all differences are
        equal (a t test of them is undefined), without interval, p-value and claim.

    Raises:
        CompanionError: different numbers of scores, none at all, or scores that are not finite.

    Reference: student1908probable; bouthillier2021accounting, sec. 4
    """
    from scipy import stats

    a, b = finite("first", first, smallest=1), finite("second", second, smallest=1)
    check_same_length("scores to compare", a, b)
    differences = a - b
    interval, p_value = None, None
    if len(differences) >= MIN_SEEDS and float(differences.max() - differences.min()) > NO_SPREAD:
        interval = t_interval(differences.tolist(), level=level)
        t = float(differences.mean()) / standard_error(differences)
        p_value = float(2 * stats.t.sf(abs(t), len(differences) - 1))
    return Paired(
        mean_difference=float(differences.mean()),
        interval=interval,
        p_value=p_value,
        num_pairs=len(differences),
        differences=tuple(differences.tolist()),
        seeds=tuple(seeds),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for all comparisons of one table, in the order given.

    Args:
        p_values: one a comparison, each a fraction.

    Raises:
        CompanionError: a p-value that is not a fraction.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]

    Reference: holm1979simple, sec. 3
    """
    values = [checks.fraction("p-value", value) for value in p_values]
    order = sorted(range(len(values)), key=values.__getitem__)
    corrected, largest = [0.0] * len(values), 0.0
    for rank, position in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank) * values[position]))
        corrected[position] = largest
    return corrected


def correct_together(comparisons: Sequence[Paired]) -> list[Paired]:
    """Return the comparisons of one table with their corrected p-values, in the order given.

    Args:
        comparisons: all of a table; those without a p-value take no part.

    Reference: holm1979simple, sec. 3
    """
    tested = [i for i, paired in enumerate(comparisons) if paired.p_value is not None]
    corrected = dict(
        zip(tested, holm([comparisons[i].p_value or 0.0 for i in tested]), strict=True)
    )
    return [replace(p, adjusted_p_value=corrected.get(i)) for i, p in enumerate(comparisons)]


def compare_with_baseline(
    values: Mapping[str, Sequence[float]], baseline: str, *, level: float = 0.95
) -> dict[str, Paired]:
    """Compare every condition of a table with one of them, corrected together.

    Args:
        values: scores by the condition's name, as fractions; each list one a seed, all in the same
            order of seeds.
        baseline: the condition that the others are compared with.
        level: level of the intervals, as a fraction.

    Returns:
        The comparison of each other condition, in the order given. Those with fewer than five
        pairs, or without any spread, have no p-value and take no part in the correction.

    Raises:
        CompanionError: no such baseline, nothing to compare it with, or lists that
            `paired_comparison` refuses.

    Example:
        >>> scores = {"scratch": [0.1, 0.2, 0.1, 0.3, 0.2], "probe": [0.3, 0.5, 0.4, 0.5, 0.4]}
        >>> compare_with_baseline(scores, "scratch")["probe"].claim
        True

    Reference: holm1979simple, sec. 3
    """
    checks.instance("values", values, Mapping)
    checks.one_of("baseline", baseline, tuple(values))
    rows = {name: finite(f"scores of {name!r}", row, smallest=1) for name, row in values.items()}
    others = [name for name in values if name != baseline]
    checks.non_empty("values", others, do="pass the baseline and at least one other condition")
    for name in others:
        check_same_length(f"scores of {baseline!r} and {name!r}", rows[baseline], rows[name])
    found = [paired_comparison(values[name], values[baseline], level=level) for name in others]
    return dict(zip(others, correct_together(found), strict=True))


def spearman(first: Sequence[float], second: Sequence[float]) -> Correlation:
    """Return the rank correlation of two measurements of the same sources.

    Args:
        first: one number a source (backbone x layer).
        second: another number of each, in the same order.

    Raises:
        CompanionError: fewer than twelve sources, different numbers of them, numbers that are
            not finite, or all alike.

    Reference: spearman1904proof
    """
    from scipy import stats

    a, b = finite("first", first), finite("second", second)
    check_same_length("sources", a, b)
    if len(a) < MIN_SOURCES:
        checks.fail(
            "rank correlation",
            got=f"{len(a)} sources",
            expected=f"at least {MIN_SOURCES}",
            do="add backbones or layers, or show the points without a coefficient",
        )
    if min(float(x.max() - x.min()) for x in (a, b)) == 0:
        checks.fail("rank correlation", got="values all alike", expected="ranks", do="vary them")
    result = stats.spearmanr(a, b)
    return Correlation(float(result.statistic), float(result.pvalue), len(a))
