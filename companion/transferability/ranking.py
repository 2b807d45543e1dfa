"""Whether a score ranks sources as fine-tuning does, with the uncertainty of the sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion import checks
from companion.evaluation import Interval, spearman
from companion.evaluation.intervals import check_level, finite

__all__ = ["RankCorrelation", "rank_correlation"]


@dataclass(frozen=True)
class RankCorrelation:
    """How far two rankings of the same sources agree.

    Attributes:
        kendall: Kendall's tau-b, in [-1, 1].
        kendall_interval: its bootstrap interval over the sources.
        spearman: Spearman's rho, in [-1, 1].
        spearman_interval: its bootstrap interval over the sources.
        num_sources: how many sources it rests on.
    """

    kendall: float
    kendall_interval: Interval
    spearman: float
    spearman_interval: Interval
    num_sources: int

    def __str__(self) -> str:
        """Return both coefficients with their intervals."""
        rows = [("tau", self.kendall, self.kendall_interval)]
        rows += [("rho", self.spearman, self.spearman_interval)]
        parts = [f"{name} {x:+.2f} [{ends.low:+.2f}, {ends.high:+.2f}]" for name, x, ends in rows]
        return f"{', '.join(parts)}, {self.num_sources} sources"


def rank_correlation(
    scores: Sequence[float],
    accuracies: Sequence[float],
    *,
    seed: int = 0,
    level: float = 0.95,
    num_resamples: int = 2000,
) -> RankCorrelation:
    r"""Return how well a score ranks sources, as fine-tuning ranked them afterwards.

    Kendall's $\tau_b$ is the plain one: each pair of sources that the two rankings put in the same
    order counts +1, in opposite order -1, over the pairs that are not tied. It is not weighted
    towards the top: with a dozen sources a weight would let the order of two or three decide.

    Args:
        scores: one a source (backbone x layer), higher for better.
        accuracies: what fine-tuning reached from each, in the same order, as fractions.
        seed: seed of the resampling.
        level: share of repetitions that the intervals cover, as a fraction.
        num_resamples: how many times the sources are drawn with replacement.

    Returns:
        Both coefficients with percentile intervals. A resample in which all values of a ranking
        are alike shows no agreement and counts as 0. Layers of one backbone are drawn as if
        they were independent sources; where they are not, the intervals are too narrow.

    Raises:
        CompanionError: fewer than twelve sources, different numbers of scores and accuracies,
            values that are not finite, or all alike, or a level outside (0, 1).

    Reference: kendall1945treatment; spearman1904proof; efron1993introduction, ch. 13
    """
    from scipy import stats

    checks.positive_int("num_resamples", num_resamples)
    check_level(level)
    first, second = finite("scores", scores), finite("accuracies", accuracies)
    rho = spearman(first.tolist(), second.tolist())
    rng = np.random.default_rng(checks.non_negative_int("seed", seed))
    num_sources = rho.num_sources
    draws = rng.integers(0, num_sources, size=(num_resamples, num_sources))
    taus, rhos = _resampled(first, second, draws)
    method = f"bootstrap over {num_sources} sources"
    return RankCorrelation(
        kendall=float(stats.kendalltau(first, second).statistic),
        kendall_interval=_percentiles(taus, level, method),
        spearman=rho.coefficient,
        spearman_interval=_percentiles(rhos, level, method),
        num_sources=num_sources,
    )


def _resampled(
    scores: NDArray[Any], accuracies: NDArray[Any], draws: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return tau and rho of each resample, (num_resamples,) each; 0 where all values are alike.

    Both follow from the sign of each pair: tau from their products; rho from their sums, as the
    rank of a source less the mean rank is half the sum of its signs, ties included.
    """
    counts = np.stack([np.bincount(row, minlength=len(scores)) for row in draws]).astype(float)
    signs = [np.sign(values[:, None] - values) for values in (scores, accuracies)]

    def over_pairs(first: NDArray[Any], second: NDArray[Any]) -> Any:
        return ((counts @ (first * second)) * counts).sum(axis=1)

    def over_ranks(first: NDArray[Any], second: NDArray[Any]) -> Any:
        return (counts * (counts @ first) * (counts @ second)).sum(axis=1)

    found = []
    for product in (over_pairs, over_ranks):
        above = product(signs[0], signs[1])
        below = np.sqrt(product(signs[0], signs[0]) * product(signs[1], signs[1]))
        found.append(above / np.where(below > 0, below, 1.0))
    return found[0], found[1]


def _percentiles(values: NDArray[Any], level: float, method: str) -> Interval:
    """Return the percentile interval of resampled values."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level, method)
