"""Whether a confidence means what it says."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from companion import checks

__all__ = ["ReliabilityBin", "expected_calibration_error", "reliability_bins"]


@dataclass(frozen=True)
class ReliabilityBin:
    """Predictions of similar confidence.

    Attributes:
        low: lowest confidence of the bin (not included, except 0), as a fraction.
        high: highest confidence of the bin (included), as a fraction.
        num_items: how many predictions fall into it.
        confidence: their mean confidence; NaN where there are none.
        accuracy: the fraction of them that is right; NaN where there are none.
    """

    low: float
    high: float
    num_items: int
    confidence: float
    accuracy: float


def reliability_bins(
    probabilities: Tensor, labels: Tensor, *, num_bins: int = 15
) -> list[ReliabilityBin]:
    """Return bins of equal width over the confidence of the predicted class.

    Args:
        probabilities: (items, classes), rows that sum to 1.
        labels: class ids, (items,), int64.
        num_bins: how many bins part [0, 1].

    Raises:
        CompanionError: shapes that do not fit, or rows that are no probabilities.

    Reference: guo2017calibration, sec. 2
    """
    checks.positive_int("num_bins", num_bins)
    _check_probabilities(probabilities, labels)
    confidence, predictions = probabilities.double().max(dim=1)
    is_right = (predictions == labels).double()
    edges = torch.linspace(0, 1, num_bins + 1, dtype=torch.float64)
    index = torch.bucketize(confidence, edges[1:-1])
    bins = []
    for number in range(num_bins):
        held = index == number
        bins.append(
            ReliabilityBin(
                low=float(edges[number]),
                high=float(edges[number + 1]),
                num_items=int(held.sum()),
                confidence=float(confidence[held].mean()),
                accuracy=float(is_right[held].mean()),
            )
        )
    return bins


def expected_calibration_error(
    probabilities: Tensor, labels: Tensor, *, num_bins: int = 15
) -> float:
    """Return the mean gap of confidence and accuracy over bins, weighted by their items.

    Args:
        probabilities: (items, classes), rows that sum to 1.
        labels: class ids, (items,), int64.
        num_bins: how many bins of equal width part [0, 1].

    Returns:
        A fraction: 0 where confidence means what it says.

    Raises:
        CompanionError: shapes that do not fit, or rows that are no probabilities.

    Reference: guo2017calibration, eq. 3
    """
    bins = reliability_bins(probabilities, labels, num_bins=num_bins)
    filled = [row for row in bins if row.num_items]
    return sum(row.num_items * abs(row.confidence - row.accuracy) for row in filled) / len(labels)


def _check_probabilities(probabilities: Tensor, labels: Tensor) -> None:
    """Refuse what is not one row of probabilities and one label an item."""
    shapes_fit = probabilities.dim() == 2 and labels.shape == probabilities.shape[:1]
    if not shapes_fit or len(labels) == 0:
        checks.fail(
            "probabilities and labels",
            got=f"shapes {tuple(probabilities.shape)} and {tuple(labels.shape)}",
            expected="(items, classes) and (items,), at least one item",
            do="pass scores.probabilities and scores.labels",
        )
    sums = probabilities.sum(dim=1)
    if bool((probabilities < 0).any()) or not torch.allclose(
        sums, torch.ones_like(sums), atol=1e-3
    ):
        checks.fail(
            "probabilities",
            got=f"rows that sum to {float(sums.min()):.3g}..{float(sums.max()):.3g}",
            expected="rows of probabilities that sum to 1",
            do="apply softmax to logits first",
        )
