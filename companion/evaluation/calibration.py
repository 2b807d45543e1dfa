"""Whether a confidence means what it says."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from companion import checks

__all__ = [
    "ReliabilityBin",
    "expected_calibration_error",
    "fit_temperature",
    "reliability_bins",
    "scale_logits",
]

TEMPERATURES = (0.01, 100.0)
"""Where `fit_temperature` looks: between nearly certain and nearly even probabilities."""


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


def scale_logits(logits: Tensor, *, temperature: float) -> Tensor:
    r"""Return logits divided by a temperature.

    The order of the logits of an item stays, so no prediction changes, only its confidence:
    above 1 a temperature lowers it, below 1 it raises it.

    Args:
        logits: (items, classes).
        temperature: above 0, fitted on val by `fit_temperature`.

    Returns:
        Logits, (items, classes); `.softmax(dim=1)` makes them probabilities.

    Raises:
        CompanionError: logits of another shape, or a temperature that is not above 0.

    Reference: guo2017calibration, eq. 9
    """
    _check_logits(logits, None)
    return logits / checks.finite_positive("temperature", temperature)


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    r"""Return the temperature with the smallest mean cross-entropy.

    With $\beta = 1/T$ the loss is convex, and its derivative, the mean of
    $\sum_c p_c s_c - s_y$ over the items, crosses zero at most once.

    Args:
        logits: of validation items, not of those that the model was trained on,
            (items, classes).
        labels: class ids, (items,), int64.

    Returns:
        The temperature, from 0.01 to 100. The loss has no minimum where every label has the
        highest logit of its item, or where the logits are no better than even ones; then it is
        the end of that range.

    Raises:
        CompanionError: shapes that do not fit, logits that are not finite, or labels out of range.

    Reference: guo2017calibration, sec. 4.2
    """
    from scipy.optimize import brentq

    _check_logits(logits, labels)
    scores = logits.detach().double().cpu()
    own = scores.gather(1, labels.cpu()[:, None])[:, 0]

    def slope(inverse: float) -> float:
        expected = ((inverse * scores).softmax(dim=1) * scores).sum(dim=1)
        return float((expected - own).mean())

    low, high = 1 / TEMPERATURES[1], 1 / TEMPERATURES[0]
    if slope(low) >= 0:
        return TEMPERATURES[1]
    if slope(high) <= 0:
        return TEMPERATURES[0]
    return 1 / float(brentq(slope, low, high, xtol=1e-12))


def _check_logits(logits: Tensor, labels: Tensor | None) -> None:
    """Refuse what is not one row of finite logits, and one class id, an item."""
    shapes_fit = logits.dim() == 2 and (labels is None or labels.shape == logits.shape[:1])
    if not shapes_fit or logits.numel() == 0 or not bool(logits.isfinite().all()):
        shapes = [str(tuple(part.shape)) for part in (logits, labels) if part is not None]
        if shapes_fit and logits.numel():
            shapes.append("a NaN or an infinity")
        checks.fail(
            "logits" if labels is None else "logits and labels",
            got=" and ".join(shapes),
            expected="finite (items, classes), one label an item, at least one item",
            do="pass what companion.evaluation.predict returns, and the labels of the same split",
        )
    is_id = labels is None or not (labels.is_floating_point() or labels.dtype == torch.bool)
    if labels is None or (is_id and 0 <= int(labels.min()) <= int(labels.max()) < logits.shape[1]):
        return
    checks.fail(
        "labels",
        got=f"{labels.dtype} from {labels.min()} to {labels.max()}",
        expected=f"class ids 0..{logits.shape[1] - 1}",
        do="number the classes as the columns of the logits are",
    )


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
