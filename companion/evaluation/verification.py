r"""Verification: is this pair of one identity? Rates at a threshold, and what moves with it.

A pair is *genuine* if both items are of one identity, else an *impostor* pair. It is accepted if
its similarity is at least the threshold $t$. The false accept rate (FAR) is the share of impostor
pairs that are accepted, the true accept rate (TAR) the share of genuine ones; 1 - TAR is the false
reject rate (FRR). All rates take weights, one a pair, which is what the bootstrap needs.

Reference: grother2019face; fawcett2006introduction
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from companion import checks
from companion.evaluation.decisions import as_threshold
from companion.evaluation.intervals import MIN_GROUPS, Interval, check_level, finite
from companion.evaluation.pairs import Pairs, check_positions
from companion.evaluation.resampling import check_statistic, percentile_interval
from companion.objectives.metric import identity_labels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "EqualErrorRate",
    "Rates",
    "Roc",
    "equal_error_rate",
    "rates_at",
    "roc",
    "threshold_at",
    "true_accept_rate_at",
    "verification_interval",
]

Statistic = Callable[[Any, Any, Any], float]


@dataclass(frozen=True)
class Rates:
    """What a threshold does.

    Attributes:
        threshold: pairs at least so similar are accepted.
        false_accept_rate: share of the impostor pairs that are accepted, as a fraction.
        true_accept_rate: share of the genuine pairs that are accepted, as a fraction.
    """

    threshold: float
    false_accept_rate: float
    true_accept_rate: float

    @property
    def false_reject_rate(self) -> float:
        """Share of the genuine pairs that are rejected, as a fraction."""
        return 1 - self.true_accept_rate


@dataclass(frozen=True, eq=False)
class Roc:
    """The receiver operating characteristic: both accept rates at each threshold that matters.

    Attributes:
        thresholds: falling; first one that accepts nothing (infinity), then each different
            similarity, (points,).
        false_accept_rates: rising from 0 to 1, (points,).
        true_accept_rates: rising from 0 to 1, (points,).
    """

    thresholds: NDArray[Any]
    false_accept_rates: NDArray[Any]
    true_accept_rates: NDArray[Any]


def roc(similarities: ArrayLike, is_genuine: ArrayLike, weights: ArrayLike | None = None) -> Roc:
    """Return both accept rates at every threshold.

    Args:
        similarities: one a pair, (pairs,).
        is_genuine: one a pair, (pairs,), bool.
        weights: how much each pair counts, at least 0; `None` for 1 each.

    Raises:
        CompanionError: rows that do not fit together, values that are not finite, or a kind of
            pair that is missing or has no weight.

    Reference: fawcett2006introduction, alg. 1
    """
    import numpy as np

    values, genuine, weight = _checked(similarities, is_genuine, weights)
    order = np.argsort(-values, kind="stable")
    values, genuine, weight = values[order], genuine[order], weight[order]
    is_last = np.append(np.diff(values) != 0, True)  # equal similarities fall together
    accepted = np.cumsum(np.where(genuine, weight, 0.0))[is_last]
    fooled = np.cumsum(np.where(genuine, 0.0, weight))[is_last]
    return Roc(
        np.append(math.inf, values[is_last]),
        np.append(0.0, fooled / fooled[-1]),
        np.append(0.0, accepted / accepted[-1]),
    )


def _checked(
    similarities: ArrayLike, is_genuine: ArrayLike, weights: ArrayLike | None
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return three rows that fit together."""
    import numpy as np

    values = finite("similarities", similarities, smallest=1)
    genuine = np.asarray(is_genuine)
    weight = np.ones_like(values) if weights is None else finite("weights", weights)
    if genuine.dtype != bool or not genuine.shape == values.shape == weight.shape:
        checks.fail(
            "is_genuine and weights",
            got=f"{genuine.dtype} of shape {genuine.shape}, and shape {weight.shape}",
            expected=f"bool, and numbers, of shape {values.shape}",
            do="pass one of each a pair",
        )
    if weight.min() < 0 or not weight[genuine].sum() > 0 or not weight[~genuine].sum() > 0:
        checks.fail(
            "pairs",
            got=f"{genuine.sum()} genuine and {(~genuine).sum()} impostor pairs",
            expected="some of both, with weight",
            do="make them with `make_pairs`",
        )
    return values, genuine, weight


def rates_at(
    threshold: float,
    similarities: ArrayLike,
    is_genuine: ArrayLike,
    weights: ArrayLike | None = None,
) -> Rates:
    """Return both accept rates at one threshold.

    Args:
        threshold: pairs at least so similar are accepted.
        similarities: one a pair, (pairs,).
        is_genuine: one a pair, (pairs,), bool.
        weights: how much each pair counts, at least 0; `None` for 1 each.

    Raises:
        CompanionError: a threshold that is no number, rows that do not fit together, or a kind of
            pair that is missing.
    """
    import numpy as np

    threshold = as_threshold(threshold)
    values, genuine, weight = _checked(similarities, is_genuine, weights)
    is_accepted = values >= threshold
    return Rates(
        threshold,
        float(np.average(is_accepted[~genuine], weights=weight[~genuine])),
        float(np.average(is_accepted[genuine], weights=weight[genuine])),
    )


@dataclass(frozen=True)
class EqualErrorRate:
    """Where false accepts and false rejects are as frequent.

    Attributes:
        rate: the common value of both rates, as a fraction.
        threshold: where they meet.
    """

    rate: float
    threshold: float


def equal_error_rate(
    similarities: ArrayLike, is_genuine: ArrayLike, weights: ArrayLike | None = None
) -> EqualErrorRate:
    """Return the rate at which FAR = FRR, and the threshold.

    With finitely many pairs the rates jump and need not meet at any threshold. Between the two
    neighbouring points of the ROC curve where FAR - FRR changes its sign, both rates and the
    threshold are interpolated linearly.

    Args:
        similarities: one a pair, (pairs,).
        is_genuine: one a pair, (pairs,), bool.
        weights: how much each pair counts, at least 0; `None` for 1 each.

    Raises:
        CompanionError: rows that do not fit together, or a kind of pair that is missing.
    """
    import numpy as np

    curve = roc(similarities, is_genuine, weights)
    gaps = curve.false_accept_rates + curve.true_accept_rates - 1  # FAR - FRR, rising from -1 to 1
    after = int(np.argmax(gaps >= 0))
    before = after - 1
    share = -gaps[before] / (gaps[after] - gaps[before])
    rate = _between(curve.false_accept_rates, before, share)
    high, low = curve.thresholds[before], curve.thresholds[after]
    return EqualErrorRate(rate, float(low if math.isinf(high) else high + share * (low - high)))


def _between(values: NDArray[Any], position: int, share: float) -> float:
    """Return the value at a share of the way from one point of a curve to the next."""
    return float(values[position] + share * (values[position + 1] - values[position]))


def threshold_at(
    false_accept_rate: float,
    similarities: ArrayLike,
    is_genuine: ArrayLike,
    weights: ArrayLike | None = None,
) -> float:
    """Return the most lenient threshold whose false accept rate is not above a limit.

    Args:
        false_accept_rate: the limit, as a fraction.
        similarities: one a pair, (pairs,).
        is_genuine: one a pair, (pairs,), bool.
        weights: how much each pair counts, at least 0; `None` for 1 each.

    Returns:
        One of the similarities; just above the highest of them where even that one is too lenient.

    Raises:
        CompanionError: a limit that is no fraction, rows that do not fit together, or a kind of
            pair that is missing.
    """
    import numpy as np

    checks.fraction("false_accept_rate", false_accept_rate)
    curve = roc(similarities, is_genuine, weights)
    last = int(np.flatnonzero(curve.false_accept_rates <= false_accept_rate)[-1])
    return float(curve.thresholds[last] if last else np.nextafter(curve.thresholds[1], math.inf))


def true_accept_rate_at(
    false_accept_rate: float,
    similarities: ArrayLike,
    is_genuine: ArrayLike,
    weights: ArrayLike | None = None,
) -> float:
    """Return the true accept rate at the threshold of `threshold_at`, on the same pairs.

    The threshold is chosen on the pairs that it is judged on: good to compare embeddings, too good
    to promise anything. Choose it on val and use `rates_at` for that.

    Args:
        false_accept_rate: the limit, as a fraction.
        similarities: one a pair, (pairs,).
        is_genuine: one a pair, (pairs,), bool.
        weights: how much each pair counts, at least 0; `None` for 1 each.

    Raises:
        CompanionError: what `threshold_at` refuses.
    """
    pairs = (similarities, is_genuine, weights)
    return rates_at(threshold_at(false_accept_rate, *pairs), *pairs).true_accept_rate


def verification_interval(
    statistic: Statistic,
    similarities: ArrayLike,
    pairs: Pairs,
    labels: Tensor,
    *,
    seed: int = 0,
    level: float = 0.95,
    num_resamples: int = 1000,
) -> Interval:
    """Return the percentile bootstrap interval of a statistic of pairs, over identities.

    Pairs share items and identities, so they are not independent, and drawing pairs anew would
    give intervals that are too narrow. Identities are drawn with replacement instead: if a was
    drawn three times and b twice, the impostor pairs of a and b count six times and the genuine
    pairs of a three times. Resamples that are left without one kind of pair are drawn again.

    Args:
        statistic: from similarities, is_genuine and weights, each (pairs,), to a number; NaN where
            it is not defined for them.
        similarities: one a pair, (pairs,).
        pairs: the pairs.
        labels: identities of all items of the split, (items,), int64.
        seed: seed of the resampling.
        level: share of repetitions that it covers, as a fraction.
        num_resamples: how many times the identities are drawn.

    Returns:
        The interval over the resamples on which the statistic is defined; its `method` says how
        many were not.

    Raises:
        CompanionError: rows that do not fit together, a level outside (0, 1), fewer than ten
            identities, or a statistic that is no number, infinite, or undefined on a tenth of the
            resamples or more.

    Reference: snijders1999non, sec. 3 (the bootstrap of vertices); efron1993introduction, ch. 13
    """
    import numpy as np

    check_level(level)
    checks.positive_int("num_resamples", num_resamples)
    check_statistic(statistic)
    check_positions(pairs, len(identity_labels("labels", labels)))
    values, genuine, _ = _checked(similarities, pairs.is_genuine.numpy(), None)
    names, index = np.unique(labels.numpy(), return_inverse=True)
    first, second = index[pairs.first.numpy()], index[pairs.second.numpy()]
    num_identities = _enough_identities(np.unique([first, second]))
    generator = np.random.default_rng(checks.non_negative_int("seed", seed))
    found: list[object] = []
    while len(found) < num_resamples:
        drawn = generator.integers(0, len(names), size=len(names))
        counts = np.bincount(drawn, minlength=len(names)).astype(float)
        weights = np.where(genuine, counts[first], counts[first] * counts[second])
        if weights[genuine].sum() > 0 and weights[~genuine].sum() > 0:
            found.append(statistic(values, genuine, weights))
    method = f"bootstrap over {num_identities} identities"
    return percentile_interval(found, level=level, method=method)


def _enough_identities(identities: NDArray[Any]) -> int:
    """Return how many identities there are; refuse too few."""
    if len(identities) < MIN_GROUPS:
        checks.fail(
            "bootstrap over identities",
            got=f"{len(identities)} identities",
            expected=f"at least {MIN_GROUPS}",
            do="show the figure without an interval; so few say nothing of other identities",
        )
    return len(identities)
