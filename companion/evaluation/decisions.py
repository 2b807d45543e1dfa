"""From a score to a decision: what a threshold finds and what it misses.

Everywhere here class 1 is the positive one, and an item is called positive where its score is at
least the threshold. A threshold is chosen on val and judged elsewhere.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from companion import checks

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "DecisionRates",
    "average_precision_score",
    "decision_rates",
    "precision_recall",
    "sensitivity_at_specificity",
    "threshold_for_specificity",
]

Column = Sequence[float] | Sequence[int] | Tensor
"""One number an item: scores, or labels 0 and 1."""


@dataclass(frozen=True)
class DecisionRates:
    """What a threshold does to the items of a split.

    Attributes:
        threshold: scores from here on are called positive.
        true_positives: positive items that are found.
        false_negatives: positive items that are missed.
        true_negatives: negative items that are left alone.
        false_positives: negative items that are called positive.
    """

    threshold: float
    true_positives: int
    false_negatives: int
    true_negatives: int
    false_positives: int

    @property
    def num_items(self) -> int:
        """How many items there are."""
        return self.num_positives + self.num_negatives

    @property
    def num_positives(self) -> int:
        """How many items are positive in truth."""
        return self.true_positives + self.false_negatives

    @property
    def num_negatives(self) -> int:
        """How many items are negative in truth."""
        return self.true_negatives + self.false_positives

    @property
    def sensitivity(self) -> float:
        """The fraction of the positive items that is found (recall of the positive class)."""
        return self.true_positives / self.num_positives

    @property
    def specificity(self) -> float:
        """The fraction of the negative items that is left alone."""
        return self.true_negatives / self.num_negatives

    @property
    def prevalence(self) -> float:
        """The fraction of the items that is positive."""
        return self.num_positives / self.num_items

    @property
    def positive_predictive_value(self) -> float:
        """The fraction of those called positive that is (precision); NaN where none is called."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def negative_predictive_value(self) -> float:
        """The fraction of those called negative that is; NaN where none is called."""
        return _ratio(self.true_negatives, self.true_negatives + self.false_negatives)

    @property
    def accuracy(self) -> float:
        """The fraction of right decisions."""
        return (self.true_positives + self.true_negatives) / self.num_items


def decision_rates(scores: Column, labels: Column, *, threshold: float) -> DecisionRates:
    """Count what a threshold finds and misses.

    Args:
        scores: how positive each item looks, such as its probability of class 1, (items,).
        labels: 1 for a positive item and 0 for a negative one, (items,).
        threshold: scores of at least this are called positive.

    Raises:
        CompanionError: fields of different lengths, scores that are not finite, labels other than
            0 and 1, items of one class only, or a threshold that is no number.

    Example:
        >>> rates = decision_rates([0.1, 0.4, 0.6, 0.9], [0, 1, 0, 1], threshold=0.5)
        >>> rates.sensitivity, rates.specificity
        (0.5, 0.5)
    """
    threshold = as_threshold(threshold)
    values, is_positive = columns(scores, labels)
    called = values >= threshold
    return DecisionRates(
        threshold=threshold,
        true_positives=int((called & is_positive).sum()),
        false_negatives=int((~called & is_positive).sum()),
        true_negatives=int((~called & ~is_positive).sum()),
        false_positives=int((called & ~is_positive).sum()),
    )


def threshold_for_specificity(scores: Column, labels: Column, *, specificity: float) -> float:
    """Return the lowest threshold that leaves enough of the negative items alone.

    The lowest one that is allowed finds the most positive items. Choose it on val: on other items
    the specificity will be another.

    Args:
        scores: how positive each item looks, (items,).
        labels: 1 for a positive item and 0 for a negative one, (items,).
        specificity: the fraction of negative items that must be below the threshold.

    Returns:
        One of the scores; or the next number above the highest of them, where nothing may be
        called positive.

    Raises:
        CompanionError: fields that `decision_rates` refuses, or a specificity outside [0, 1].
    """
    values, is_positive = columns(scores, labels)
    checks.fraction("specificity", specificity)
    thresholds, _, false_positives = threshold_counts(values, is_positive)
    num_negatives = int((~is_positive).sum())
    # Whole items, so that 0.9 of ten negatives is nine of them and no rounding decides.
    allowed = num_negatives - _at_least(specificity * num_negatives)
    return float(thresholds[false_positives <= allowed][-1])


def sensitivity_at_specificity(scores: Column, labels: Column, *, specificity: float) -> float:
    """Return the highest sensitivity that these very items allow at a specificity.

    It is a point of their ROC curve and so describes a ranking. What a threshold from val reaches
    elsewhere is `decision_rates(..., threshold=threshold_for_specificity(val ...))`.

    Args:
        scores: how positive each item looks, (items,).
        labels: 1 for a positive item and 0 for a negative one, (items,).
        specificity: the fraction of negative items that must stay below the threshold.

    Raises:
        CompanionError: fields that `decision_rates` refuses, or a specificity outside [0, 1].
    """
    threshold = threshold_for_specificity(scores, labels, specificity=specificity)
    return decision_rates(scores, labels, threshold=threshold).sensitivity


def precision_recall(
    scores: Column, labels: Column
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return precision and recall at each threshold, from the strictest to the loosest.

    Args:
        scores: how positive each item looks, (items,).
        labels: 1 for a positive item and 0 for a negative one, (items,).

    Returns:
        Precision (positive predictive value), recall (sensitivity) and the thresholds, one each
        for every different score, float64.

    Raises:
        CompanionError: fields that `decision_rates` refuses.

    Reference: saito2015precision
    """
    values, is_positive = columns(scores, labels)
    thresholds, true_positives, false_positives = (
        x[1:] for x in threshold_counts(values, is_positive)
    )
    precision = true_positives / (true_positives + false_positives)
    return precision, true_positives / is_positive.sum(), thresholds


def average_precision_score(scores: Column, labels: Column) -> float:
    r"""Return $\sum_n (R_n - R_{n-1}) P_n$ over the thresholds, from the strictest on.

    A ranking without any knowledge has the fraction of positive items, not one half: unlike the
    area under the ROC curve it depends on how rare they are.

    Args:
        scores: how positive each item looks, (items,).
        labels: 1 for a positive item and 0 for a negative one, (items,).

    Raises:
        CompanionError: fields that `decision_rates` refuses.

    Reference: saito2015precision; pedregosa2011scikit (`average_precision_score`)
    """
    import numpy as np

    precision, recall, _ = precision_recall(scores, labels)
    return float((np.diff(recall, prepend=0.0) * precision).sum())


def columns(scores: Column, labels: Column) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return scores as float64 and labels as bool, (items,) each.

    Args:
        scores: how positive each item looks, (items,).
        labels: 1 for a positive item and 0 for a negative one, (items,).

    Raises:
        CompanionError: fields of different lengths, scores that are not finite, labels other than
            0 and 1, or items of one class only.
    """
    import numpy as np

    values, truth = _numbers("scores", scores), _numbers("labels", labels)
    if values.ndim != 1 or values.shape != truth.shape or not np.isfinite(values).all():
        checks.fail(
            "scores and labels",
            got=f"shapes {values.shape} and {truth.shape}, or a score that is not finite",
            expected="one finite score and one label an item, (items,) each",
            do="of probabilities (items, 2) pass the second column, probabilities[:, 1]",
        )
    found = {float(label) for label in np.unique(truth)}
    if found != {0.0, 1.0}:
        checks.fail(
            "labels",
            got=", ".join(f"{label:g}" for label in sorted(found)[:5]) or "none",
            expected="items of both classes, 0 (negative) and 1 (positive)",
            do="pass (labels == positive_class), on items of which some are positive, some not",
        )
    return values, truth.astype(bool)


def _numbers(what: str, column: Column) -> NDArray[Any]:
    """Return a column as float64.

    Raises:
        CompanionError: it holds something else than numbers.
    """
    import numpy as np

    plain = column.detach().cpu() if isinstance(column, Tensor) else column
    try:
        return np.asarray(plain, dtype=np.float64)
    except (TypeError, ValueError):
        checks.fail(
            what,
            got=f"{column!r:.60}",
            expected="one number an item, (items,)",
            do="pass scores as numbers and labels as 0 and 1",
        )


def as_threshold(value: object) -> float:
    """Return a threshold; an infinite one calls everything or nothing.

    Args:
        value: Python or numpy number, or a tensor of one; a bool is none.

    Raises:
        CompanionError: it is no number, or NaN, with which nothing compares.
    """
    if isinstance(value, Tensor) and value.dim() == 0:
        value = value.item()
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or math.isnan(value):  # type: ignore[arg-type]
        checks.fail(
            "threshold",
            got=f"{value!r:.60}",
            expected="a number, compared with the scores",
            do="choose it on val, as `threshold_at` and `threshold_for_specificity` do",
        )
    return float(value)  # type: ignore[arg-type]


def threshold_counts(
    values: NDArray[Any], is_positive: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return falling thresholds and how many positive and negative items each calls positive.

    Args:
        values: scores, (items,).
        is_positive: which items are, (items,), bool.

    Returns:
        Thresholds, positive and negative items that are called, one each for every different
        score; before them a threshold just above all scores, which calls nothing.
    """
    import numpy as np

    order = np.argsort(-values, kind="stable")
    ranked, hits = values[order], is_positive[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    found, false = np.cumsum(hits)[last], np.cumsum(~hits)[last]
    above = np.nextafter(ranked[0], np.inf)
    return np.append(above, ranked[last]), np.append(0, found), np.append(0, false)


def _at_least(number: float) -> int:
    """Return the smallest whole number that is not below a number, up to rounding errors."""
    return math.ceil(number - 1e-9)


def _ratio(part: int, whole: int) -> float:
    """Return a fraction; NaN of nothing."""
    return part / whole if whole else float("nan")
