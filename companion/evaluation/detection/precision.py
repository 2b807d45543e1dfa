"""Average precision of detections: its mean over classes, and the interval of that."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from companion import checks
from companion.evaluation.detection.matching import IOU_THRESHOLDS, Matches, match_detections
from companion.evaluation.intervals import MIN_GROUPS, Interval, check_level, check_same_length

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RECALLS", "average_precision", "detection_interval", "detection_values"]

RECALLS: tuple[float, ...] = tuple(np.linspace(0.0, 1.0, 101).tolist())
"""The recalls at which precision is read: 0.00, 0.01, ..., 1.00."""

_CHUNK = 200_000


def average_precision(matches: Matches, images: Sequence[int] | None = None) -> NDArray[Any]:
    r"""Return COCO's average precision, $\frac{1}{101} \sum_r \max_{r' \ge r} p(r')$.

    Args:
        matches: what `match_detections` returned.
        images: positions of the images to take, an image as often as it is named; `None` for all.

    Returns:
        (thresholds, classes), float64; NaN for a class that has no box in these images.

    Raises:
        CompanionError: a position at which there is no image.

    Reference: lin2014microsoft; everingham2010pascal, section 4.2
    """
    num_images = len(matches.num_boxes)
    positions = np.arange(num_images) if images is None else np.array(images, dtype=np.int64)
    if ((positions < 0) | (positions >= num_images)).any():
        checks.fail(
            "images",
            got=f"positions from {positions.min()} to {positions.max()}",
            expected=f"from 0 to {num_images - 1}",
            do="count images in the order in which they were matched",
        )
    times = np.bincount(positions, minlength=num_images)
    found: NDArray[Any] = _weighted_precision(matches, times[None])[0]
    return found


def _weighted_precision(matches: Matches, times: NDArray[Any]) -> NDArray[Any]:
    """Return average precision where images count so often.

    Copies of a detection follow each other, so that a resample costs no new matching.

    Args:
        matches: what was matched.
        times: how often each image counts, (resamples, images).

    Returns:
        (resamples, thresholds, classes); NaN where a class has no box.
    """
    totals = times @ matches.num_boxes
    found = np.full((len(times), len(matches.thresholds), totals.shape[1]), np.nan)
    for number in range(totals.shape[1]):
        here = slice(*matches.starts[number : number + 2])
        weights = times[:, matches.images[here]]
        seen = weights.cumsum(axis=1)
        for level, boxes in enumerate(matches.boxes[:, here]):
            hits = (boxes >= 0).nonzero()[0]
            right = weights[:, hits].cumsum(axis=1)
            found[:, level, number] = _area(right, seen[:, hits], totals[:, number])
    return found


def _area(right: NDArray[Any], seen: NDArray[Any], total: NDArray[Any]) -> NDArray[Any]:
    """Return the mean of the precisions at the 101 recalls, (resamples,).

    Only detections that found a box are needed: between them precision falls.

    Args:
        right: boxes found up to each such detection, (resamples, hits).
        seen: detections up to it.
        total: boxes there are, (resamples,).
    """
    precision = right / np.maximum(seen, 1)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = right / np.maximum(total, 1)[:, None]
    reached = np.searchsorted(RECALLS, recall, side="right")
    counts = np.diff(reached, axis=1, prepend=0)
    return np.where(total > 0, (envelope * counts).sum(axis=1) / len(RECALLS), np.nan)


def detection_values(
    predictions: Sequence[Tensor], labels: Sequence[Tensor], classes: Sequence[str]
) -> dict[str, float]:
    """Return the metrics of detection by name, the main one first.

    Args:
        predictions: an image's detections, (detections, 6), as for `match_detections`.
        labels: an image's boxes, (boxes, 5).
        classes: names of the class ids.

    Returns:
        Fractions: `map50`, the mean over classes of the average precision at IoU 0.5; `map`, the
        mean over IoU 0.50, 0.55, ..., 0.95 too; and `ap50_<class>` of each class. A class without
        a labelled box counts nowhere: its own value is NaN.

    Raises:
        CompanionError: no labelled box at all, or what `match_detections` refuses.

    Reference: lin2014microsoft
    """
    matches = match_detections(predictions, labels, len(classes))
    _check_boxes(matches)
    found = average_precision(matches)
    names = [f"ap50_{name}" for name in classes]
    means = {"map50": float(np.nanmean(found[0])), "map": float(np.nanmean(found))}
    return means | dict(zip(names, found[0].tolist(), strict=True))


def detection_interval(
    predictions: Sequence[Tensor],
    labels: Sequence[Tensor],
    classes: Sequence[str],
    metric: str = "map50",
    *,
    seed: int = 0,
    level: float = 0.95,
    num_resamples: int = 2000,
    groups: Sequence[Hashable] | None = None,
) -> Interval:
    """Return the percentile bootstrap interval of a metric over images.

    A resample leaves out the classes that have no box in it, as the metric itself does.

    Args:
        predictions: an image's detections, (detections, 6), as for `match_detections`.
        labels: an image's boxes, (boxes, 5).
        classes: names of the class ids.
        metric: a name of `detection_values`.
        seed: seed of the resampling.
        level: share of repetitions that it covers, as a fraction.
        num_resamples: how many times the images are drawn with replacement.
        groups: draw whole groups (patients, films) instead of images: one name an image, at least
            ten different ones.

    Raises:
        CompanionError: an unknown metric, no labelled box that it could count, fewer than ten
            groups, or what `match_detections` refuses.

    Reference: efron1993introduction, ch. 13
    """
    names = ["map50", "map", *(f"ap50_{name}" for name in classes)]
    position = names.index(checks.one_of("metric", metric, names)) - 2
    checks.positive_int("num_resamples", num_resamples)
    check_level(level)
    thresholds = IOU_THRESHOLDS if metric == "map" else IOU_THRESHOLDS[:1]
    matches = match_detections(predictions, labels, len(classes), thresholds)
    if position >= 0:
        matches = _only_class(matches, position)
    _check_boxes(matches)
    membership, unit = _groups(groups, len(labels))
    generator = np.random.default_rng(checks.non_negative_int("seed", seed))
    values = []
    for size in _rounds(num_resamples, matches):
        drawn = _draw(generator, size, int(membership.max()) + 1)[:, membership]
        found = _weighted_precision(matches, drawn).reshape(size, -1)
        found = found[~np.isnan(found).all(axis=1)]
        values.append(np.nanmean(found, axis=1))
    low, high = np.quantile(np.concatenate(values), [(1 - level) / 2, (1 + level) / 2])
    method = f"bootstrap over {membership.max() + 1} {unit}"
    return Interval(float(low), float(high), level, method)


def _rounds(num_resamples: int, matches: Matches) -> list[int]:
    """Return how many resamples are worked at together: as many as memory allows."""
    widest = max(int(np.diff(matches.starts).max()), len(matches.num_boxes), 1)
    size = max(1, _CHUNK // widest)
    return [min(size, num_resamples - start) for start in range(0, num_resamples, size)]


def _draw(generator: np.random.Generator, size: int, num_units: int) -> NDArray[Any]:
    """Return how often each unit is drawn with replacement, (size, num_units)."""
    drawn = generator.integers(0, num_units, size=(size, num_units))
    flat = drawn + num_units * np.arange(size)[:, None]
    return np.bincount(flat.ravel(), minlength=size * num_units).reshape(size, num_units)


def _groups(groups: Sequence[Hashable] | None, num_images: int) -> tuple[NDArray[Any], str]:
    """Return the number of the unit that each image is drawn with, and what the units are."""
    if groups is None:
        return np.arange(num_images), "images"
    check_same_length("groups and images", groups, range(num_images))
    groups = groups.tolist() if isinstance(groups, Tensor) else groups
    numbers = {name: number for number, name in enumerate(dict.fromkeys(groups))}
    if len(numbers) < MIN_GROUPS:
        checks.fail(
            "bootstrap over groups",
            got=f"{len(numbers)} groups",
            expected=f"at least {MIN_GROUPS}",
            do="show each group as a point; so few say nothing of other groups",
        )
    return np.array([numbers[name] for name in groups]), "groups"


def _only_class(matches: Matches, position: int) -> Matches:
    """Return what was matched of one class."""
    here = slice(*matches.starts[position : position + 2])
    return Matches(
        thresholds=matches.thresholds,
        images=matches.images[here],
        rows=matches.rows[here],
        boxes=matches.boxes[:, here],
        starts=np.array([0, here.stop - here.start]),
        num_boxes=matches.num_boxes[:, [position]],
    )


def _check_boxes(matches: Matches) -> None:
    """Refuse a set of images in which there is nothing to find."""
    if matches.num_boxes.sum() == 0:
        checks.fail(
            "evaluation of detections",
            got=f"{len(matches.num_boxes)} images without a labelled box",
            expected="at least one box of a class that is scored",
            do="evaluate on labelled images",
        )
