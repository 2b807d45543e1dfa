"""What went wrong, detection by detection and box by box: for a gallery of failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from companion import checks
from companion.evaluation.detection.matching import (
    Rows,
    checked_rows,
    match_detections,
    pair_iou,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["KINDS", "DetectionErrors", "detection_errors"]

KINDS = ("right", "doubled", "confused", "badly placed", "background", "missed")
"""What a detection can be, the best first; only a box can be `"missed"`."""

TOUCHING = 0.1
"""IoU from which on a detection counts as meant for a box, though badly placed."""


@dataclass(frozen=True, eq=False)
class DetectionErrors:
    """What became of each detection and of each labelled box.

    Attributes:
        detections: the kind of each detection, a tuple an image, in the order of the predictions;
            `"unsure"` where the score is too low to count.
        judged_by: the row in the image's labels of the box that decided, or -1; likewise.
        boxes: of each labelled box, in the order of the labels: `"right"` where it was found,
            `"confused"` or `"badly placed"` where only such a detection lies on it, `"missed"`
            where none does.
    """

    detections: tuple[tuple[str, ...], ...]
    judged_by: tuple[tuple[int, ...], ...]
    boxes: tuple[tuple[str, ...], ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many detections are of each kind, and how many boxes are missed."""
        found = Counter(kind for image in self.detections for kind in image)
        found["missed"] = len(self.places("missed"))
        return {kind: found[kind] for kind in KINDS}

    def places(self, kind: str) -> list[tuple[int, int]]:
        """Return image and row of all detections of a kind, or of all missed boxes.

        Args:
            kind: one of `KINDS`.

        Raises:
            CompanionError: another kind.
        """
        checks.one_of("kind", kind, KINDS)
        images = self.boxes if kind == "missed" else self.detections
        return [
            (number, row)
            for number, kinds in enumerate(images)
            for row, found in enumerate(kinds)
            if found == kind
        ]


def detection_errors(
    predictions: Sequence[Tensor],
    labels: Sequence[Tensor],
    classes: Sequence[str],
    *,
    min_score: float = 0.5,
    iou: float = 0.5,
) -> DetectionErrors:
    """Say of each detection and each box what became of it.

    A detection is `"right"` where it takes a box as in `match_detections`. The others are, in this
    order: `"doubled"` on a box of their class that a better one took, `"confused"` on a box of
    another class, `"badly placed"` where they only touch (IoU from 0.1) a box of their class, and
    `"background"`.

    Args:
        predictions: an image's detections, (detections, 6), as for `match_detections`.
        labels: an image's boxes, (boxes, 5).
        classes: names of the class ids.
        min_score: detections with a lower score are `"unsure"` and take no box.
        iou: the IoU from which on a detection lies on a box.

    Raises:
        CompanionError: a threshold that is no fraction, or what `match_detections` refuses.

    Reference: bolya2020tide, section 2.2 (there with classes of their own for two mistakes at once)
    """
    checks.fraction("min_score", min_score)
    found = checked_rows("predictions", predictions, len(classes), columns=6)
    truth = checked_rows("labels", labels, len(classes), columns=5)
    sure = found.scores >= min_score
    confident = [rows[rows[:, 5] >= min_score] for rows in predictions]
    most = max([len(rows) for rows in confident], default=1)
    matches = match_detections(confident, labels, len(classes), [iou], max_detections=max(most, 1))
    taken = np.full(len(found.images), -1)
    starts = np.searchsorted(found.images[sure], np.arange(len(labels)))
    taken[sure.nonzero()[0][starts[matches.images] + matches.rows]] = matches.boxes[0]
    told = []
    for image in range(len(labels)):
        ours, theirs = found.images == image, truth.images == image
        told.append(_judge(found.take(ours), truth.take(theirs), sure[ours], taken[ours], iou))
    detections, judged_by, boxes = zip(*told, strict=True) if told else ((), (), ())
    return DetectionErrors(detections, judged_by, boxes)


def _judge(
    found: Rows, truth: Rows, sure: NDArray[Any], taken: NDArray[Any], iou: float
) -> tuple[tuple[str, ...], tuple[int, ...], tuple[str, ...]]:
    """Return kinds of detections, the boxes that decided, and kinds of boxes, of one image."""
    overlaps = pair_iou(found.corners[:, None], truth.corners[None])
    is_class = found.classes[:, None] == truth.classes[None]
    detections = [
        _kind(*row, iou) for row in zip(overlaps, is_class, sure, taken.tolist(), strict=True)
    ]
    boxes = ["missed"] * len(truth.rows)
    for kind in ("badly placed", "confused", "right"):
        for name, box in detections:
            if name == kind:
                boxes[box] = kind
    kinds, judged_by = zip(*detections, strict=True) if detections else ((), ())
    return kinds, judged_by, tuple(boxes)


def _kind(
    overlaps: NDArray[Any], is_class: NDArray[Any], sure: bool, taken: int, iou: float
) -> tuple[str, int]:
    """Return the kind of one detection and the row of the box that decided, or -1."""
    if not sure:
        return "unsure", -1
    if taken >= 0:
        return "right", taken
    for kind, allowed, least in (
        ("doubled", is_class, iou),
        ("confused", ~is_class, iou),
        ("badly placed", is_class, min(TOUCHING, iou)),
    ):
        near = np.where(allowed, overlaps, -1.0)
        if near.max(initial=-1.0) >= least:
            return kind, int(near.argmax())
    return "background", -1
