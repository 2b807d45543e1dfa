"""Matching detections to labelled boxes, once for all that is computed from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from companion import checks
from companion.evaluation.intervals import check_same_length

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["IOU_THRESHOLDS", "Matches", "match_detections", "pair_iou"]

IOU_THRESHOLDS: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())
"""COCO's: 0.50, 0.55, ..., 0.95."""

_CHUNK = 2_000_000
_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Matches:
    """Which detection took which box: all that average precision needs of a set of images.

    Detections stand class by class, and within a class by falling score (ties by image, then row).

    Attributes:
        thresholds: IoU from which on a detection may take a box, (thresholds,).
        images: image of each detection, (detections,), int64.
        rows: its row in the image's predictions, (detections,), int64.
        boxes: row in the image's labels of the box it took, or -1, (thresholds, detections), int64.
        starts: where each class begins among the detections, and the end, (classes + 1,), int64.
        num_boxes: labelled boxes, (images, classes), int64.
    """

    thresholds: tuple[float, ...]
    images: NDArray[Any]
    rows: NDArray[Any]
    boxes: NDArray[Any]
    starts: NDArray[Any]
    num_boxes: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Rows:
    """Boxes of all images, one after the other: image, row in it, class, corners and score."""

    images: NDArray[Any]
    rows: NDArray[Any]
    classes: NDArray[Any]
    corners: NDArray[Any]
    scores: NDArray[Any]

    def take(self, order: NDArray[Any]) -> Rows:
        """Return some of the rows, in an order."""
        return Rows(*(getattr(self, name)[order] for name in self.__dataclass_fields__))


def match_detections(
    predictions: Sequence[Tensor],
    labels: Sequence[Tensor],
    num_classes: int,
    thresholds: Sequence[float] = IOU_THRESHOLDS,
    *,
    max_detections: int = 100,
) -> Matches:
    """Match detections to boxes as COCO's program does.

    Within an image and a class, detections choose in the order of their scores; each takes the
    free box with the highest IoU that is at least the threshold (the last of several).

    Args:
        predictions: an image's detections, (detections, 6): class id, x_min, y_min, x_max, y_max
            as fractions of width and height, score in [0, 1].
        labels: an image's boxes, (boxes, 5): class id and corners.
        num_classes: how many classes there are.
        thresholds: the IoUs to match at, each above 0 and at most 1.
        max_detections: how many of the best detections count, of each class in each image (so
            COCO's program counts them too, and not per image).

    Raises:
        CompanionError: predictions and labels do not fit together, a class id that is not one, or
            corners that are no fractions.

    Reference: lin2014microsoft
    """
    checks.positive_int("max_detections", max_detections)
    checks.positive_int("num_classes", num_classes)
    for threshold in thresholds:
        checks.finite_positive("IoU threshold", checks.fraction("IoU threshold", threshold))
    check_same_length("predictions and labels", predictions, labels)
    found = checked_rows("predictions", predictions, num_classes, columns=6)
    truth = checked_rows("labels", labels, num_classes, columns=5)
    found = _best_in_group(found, num_classes, max_detections)
    truth = truth.take(np.lexsort((truth.classes, truth.images)))
    taken = _take_boxes(found, truth, num_classes, thresholds)
    rows = np.append(truth.rows, -1)[taken]
    order = np.lexsort((-found.scores, found.classes))
    found = found.take(order)
    starts = np.searchsorted(found.classes, np.arange(num_classes + 1))
    groups = truth.images * num_classes + truth.classes
    counts = np.bincount(groups, minlength=len(labels) * num_classes)
    num_boxes = counts.reshape(len(labels), num_classes)
    return Matches(tuple(thresholds), found.images, found.rows, rows[:, order], starts, num_boxes)


def _best_in_group(found: Rows, num_classes: int, max_detections: int) -> Rows:
    """Return the best detections of each class in each image, by image, class and score."""
    found = found.take(np.lexsort((-found.scores, found.classes, found.images)))
    groups = found.images * num_classes + found.classes
    ranks = np.arange(len(groups)) - np.searchsorted(groups, groups)
    return found.take(ranks < max_detections)


def _take_boxes(
    found: Rows, truth: Rows, num_classes: int, thresholds: Sequence[float]
) -> NDArray[Any]:
    """Return the position of the box that each detection takes, or -1, (thresholds, detections)."""
    least = min(thresholds, default=1.0)
    detections, boxes, overlaps = _candidates(found, truth, num_classes, least)
    taken = np.full((len(thresholds), len(found.images)), -1)
    for number, threshold in enumerate(thresholds):
        enough = overlaps >= reachable(threshold)
        is_free, done = bytearray(b"\1") * len(truth.images), -1
        chosen = []
        for pair in zip(detections[enough].tolist(), boxes[enough].tolist(), strict=True):
            detection, box = pair
            if detection != done and is_free[box]:
                is_free[box], done = 0, detection
                chosen.append(pair)
        if chosen:
            rows, columns = np.array(chosen).T
            taken[number, rows] = columns
    return taken


def _candidates(
    found: Rows, truth: Rows, num_classes: int, least: float
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the pairs of one image and class whose IoU reaches the lowest threshold.

    They stand by detection, and for each by falling IoU, the later box first among equals.
    """
    groups = truth.images * num_classes + truth.classes
    wanted = found.images * num_classes + found.classes
    first, end = np.searchsorted(groups, wanted), np.searchsorted(groups, wanted, side="right")
    pieces = []
    for part in _parts(end - first):
        sizes = (end - first)[part]
        detections = np.repeat(part, sizes)
        within = np.arange(len(detections)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        boxes = first[detections] + within
        overlaps = pair_iou(found.corners[detections], truth.corners[boxes])
        near = overlaps >= reachable(least)
        pieces.append((detections[near], boxes[near], overlaps[near]))
    detections, boxes, overlaps = (np.concatenate(column) for column in zip(*pieces, strict=True))
    order = np.lexsort((-boxes, -overlaps, detections))
    return detections[order], boxes[order], overlaps[order]


def _parts(sizes: NDArray[Any]) -> list[NDArray[Any]]:
    """Return the positions in parts that have some two million pairs each."""
    num_parts = 1 + int(sizes.sum()) // _CHUNK
    return np.array_split(np.arange(len(sizes)), num_parts)


def reachable(threshold: float) -> float:
    """Return a threshold that rounding does not put out of reach, as COCO's program has it."""
    return min(threshold, 1 - 1e-10)


def pair_iou(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    """Return intersection over union, 0 where both boxes are without area.

    Args:
        first: corners x_min, y_min, x_max, y_max in any unit, (..., 4).
        second: likewise, of a shape that goes with it.
    """
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., 2:], second[..., 2:])
    shared = (high - low).clip(min=0).prod(axis=-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(axis=-1) for boxes in (first, second)]
    union = areas[0] + areas[1] - shared
    iou: NDArray[Any] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return iou


def checked_rows(what: str, tensors: Sequence[Tensor], num_classes: int, *, columns: int) -> Rows:
    """Return the rows of all images one after the other, or refuse what cannot be meant.

    Args:
        what: `"predictions"` or `"labels"`, for the message.
        tensors: (rows, columns) an image.
        num_classes: how many classes there are.
        columns: 5, or 6 with scores.

    Raises:
        CompanionError: another shape, a number that is not finite, a class id that is not one,
            corners that are no fractions, or a score that is none.
    """
    for number, tensor in enumerate(tensors):
        if not isinstance(tensor, Tensor) or tensor.dim() != 2 or tensor.shape[1] != columns:
            shape = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
            checks.fail(
                f"{what} of image {number}",
                got=shape,
                expected=f"a tensor (boxes, {columns})",
                do=f"pass a tensor (0, {columns}) where there is none",
            )
    parts = [tensor.detach().cpu().double() for tensor in tensors]
    table: NDArray[Any] = torch.cat(parts).numpy() if parts else np.zeros((0, columns))
    sizes = np.array([len(tensor) for tensor in tensors], dtype=np.int64)
    images = np.repeat(np.arange(len(sizes)), sizes)
    _check_table(what, table, images, num_classes)
    rows = np.arange(len(table)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    scores = table[:, 5] if columns == 6 else np.ones(len(table))
    return Rows(images, rows, table[:, 0].astype(np.int64), table[:, 1:5], scores)


def _check_table(what: str, table: NDArray[Any], images: NDArray[Any], num_classes: int) -> None:
    """Refuse the first row whose numbers cannot be what they should be."""
    classes, low, high = table[:, 0], table[:, 1:3], table[:, 3:5]
    fractions = (table[:, 1:] >= -_TOLERANCE) & (table[:, 1:] <= 1 + _TOLERANCE)
    is_class = (classes == np.floor(classes)) & (classes >= 0) & (classes < num_classes)
    has_area = (low < high).all(axis=1) if what == "labels" else (low <= high).all(axis=1)
    for wrong, expected, do in (
        (~np.isfinite(table).all(axis=1), "finite numbers", "look for the NaN in the model"),
        (~is_class, f"class ids from 0 to {num_classes - 1} in column 0", "leave out background"),
        (
            ~fractions.all(axis=1),
            "corners and score as fractions from 0 to 1",
            "divide pixels by width and height, clip boxes to the image",
        ),
        (~has_area, "x_min < x_max and y_min < y_max", "turn the corners round or drop the box"),
    ):
        if wrong.any():
            row = int(wrong.argmax())
            shown = [round(float(value), 4) for value in table[row]]
            checks.fail(f"{what} of image {images[row]}", got=shown, expected=expected, do=do)
