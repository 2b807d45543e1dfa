"""What wrong decisions cost, and the threshold that makes them cheap.

Class 1 is the positive one, and an item is called positive where its score is at least the
threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

from companion import checks
from companion.evaluation.decisions import Column, columns, decision_rates, threshold_counts

__all__ = ["Costs", "cheapest_threshold", "expected_cost", "threshold_from_costs"]


@dataclass(frozen=True)
class Costs:
    """What each kind of mistake costs, in one unit of the reader's choice; right answers are free.

    Attributes:
        false_positive: cost of calling a negative item positive, above 0.
        false_negative: cost of missing a positive item, above 0.

    Raises:
        CompanionError: a cost that is not a finite number above 0.

    Reference: elkan2001foundations, sec. 1
    """

    false_positive: float
    false_negative: float

    def __post_init__(self) -> None:
        """Check both costs."""
        checks.finite_positive("false_positive", self.false_positive)
        checks.finite_positive("false_negative", self.false_negative)


def threshold_from_costs(costs: Costs) -> float:
    """Return the probability from which on calling an item positive is the cheaper bet.

    It holds for probabilities that mean what they say; of others choose the threshold on val, by
    `cheapest_threshold`, or calibrate them first.

    Args:
        costs: of the two mistakes.

    Raises:
        CompanionError: something else than `Costs`.

    Example:
        >>> threshold_from_costs(Costs(false_positive=1, false_negative=9))
        0.1

    Reference: elkan2001foundations, eq. 2
    """
    checks.instance("costs", costs, Costs)
    return costs.false_positive / (costs.false_positive + costs.false_negative)


def expected_cost(scores: Column, labels: Column, *, threshold: float, costs: Costs) -> float:
    """Return the mean cost of an item when a threshold decides.

    Args:
        scores: how positive each item looks, (items,).
        labels: 1 for a positive item and 0 for a negative one, (items,).
        threshold: scores of at least this are called positive.
        costs: of the two mistakes.

    Returns:
        The mean over the items, in the unit of the costs.

    Raises:
        CompanionError: fields or a threshold that `decision_rates` refuses, or no `Costs`.

    Reference: elkan2001foundations, eq. 1
    """
    checks.instance("costs", costs, Costs)
    rates = decision_rates(scores, labels, threshold=threshold)
    false, missed = rates.false_positives, rates.false_negatives
    return (costs.false_positive * false + costs.false_negative * missed) / rates.num_items


def cheapest_threshold(scores: Column, labels: Column, *, costs: Costs) -> float:
    """Return the threshold with the lowest mean cost on these items: those of val.

    Args:
        scores: how positive each item looks, (items,).
        labels: 1 for a positive item and 0 for a negative one, (items,).
        costs: of the two mistakes.

    Returns:
        One of the scores, or the next number above the highest of them; of several that cost the
        same the lowest, which misses fewest.

    Raises:
        CompanionError: fields that `decision_rates` refuses, or no `Costs`.
    """
    checks.instance("costs", costs, Costs)
    values, is_positive = columns(scores, labels)
    thresholds, true_positives, false_positives = threshold_counts(values, is_positive)
    missed = int(is_positive.sum()) - true_positives
    total = costs.false_positive * false_positives + costs.false_negative * missed
    return float(thresholds[total <= total.min() * (1 + 1e-12)][-1])
