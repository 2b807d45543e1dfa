"""Boxes as numbers: other ways to write them, area, overlap, and the suppression of doubles.

A box is a row of four numbers, by default its corners (x_min, y_min, x_max, y_max), in pixels or in
fractions of the image. A corner is a point on the image's plane, not a pixel: a box round the first
pixel alone is (0, 0, 1, 1).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from companion import checks

__all__ = [
    "box_area",
    "box_iou",
    "centres_to_corners",
    "clip_boxes",
    "corners_to_centres",
    "corners_to_sizes",
    "fractions_to_pixels",
    "nms",
    "pixels_to_fractions",
    "sizes_to_corners",
]


def corners_to_centres(boxes: Tensor) -> Tensor:
    """Return boxes as centre, width and height, as YOLO writes them.

    Args:
        boxes: (..., 4): x_min, y_min, x_max, y_max.

    Returns:
        (..., 4): x_centre, y_centre, width, height, in the same unit.

    Raises:
        CompanionError: not four numbers a box.
    """
    low, high = _halves(boxes)
    return torch.cat([(low + high) / 2, high - low], dim=-1)


def centres_to_corners(boxes: Tensor) -> Tensor:
    """Return boxes as corners from centre, width and height.

    Args:
        boxes: (..., 4): x_centre, y_centre, width, height.

    Returns:
        (..., 4): x_min, y_min, x_max, y_max, in the same unit.

    Raises:
        CompanionError: not four numbers a box.
    """
    centre, size = _halves(boxes)
    return torch.cat([centre - size / 2, centre + size / 2], dim=-1)


def corners_to_sizes(boxes: Tensor) -> Tensor:
    """Return boxes as first corner, width and height, as COCO writes them.

    Args:
        boxes: (..., 4): x_min, y_min, x_max, y_max.

    Returns:
        (..., 4): x_min, y_min, width, height, in the same unit.

    Raises:
        CompanionError: not four numbers a box.
    """
    low, high = _halves(boxes)
    return torch.cat([low, high - low], dim=-1)


def sizes_to_corners(boxes: Tensor) -> Tensor:
    """Return boxes as corners from first corner, width and height.

    Args:
        boxes: (..., 4): x_min, y_min, width, height.

    Returns:
        (..., 4): x_min, y_min, x_max, y_max, in the same unit.

    Raises:
        CompanionError: not four numbers a box.
    """
    low, size = _halves(boxes)
    return torch.cat([low, low + size], dim=-1)


def pixels_to_fractions(boxes: Tensor, *, width: float, height: float) -> Tensor:
    """Return boxes in fractions of the image, in which form resizing does not touch them.

    Args:
        boxes: (..., 4), pixels; corners, or one of the other ways to write a box.
        width: of the image, in pixels.
        height: of the image, in pixels.

    Returns:
        (..., 4), fractions of width and height.

    Raises:
        CompanionError: not four numbers a box, or a size that is not above 0.
    """
    return _checked(boxes) / _image_size(boxes, width, height)


def fractions_to_pixels(boxes: Tensor, *, width: float, height: float) -> Tensor:
    """Return boxes in pixels of an image.

    Args:
        boxes: (..., 4), fractions of width and height; corners, or another way to write a box.
        width: of the image, in pixels.
        height: of the image, in pixels.

    Returns:
        (..., 4), pixels.

    Raises:
        CompanionError: not four numbers a box, or a size that is not above 0.
    """
    return _checked(boxes) * _image_size(boxes, width, height)


def clip_boxes(boxes: Tensor, *, width: float = 1.0, height: float = 1.0) -> Tensor:
    """Return boxes without what lies outside the image; a box wholly outside loses its area.

    Args:
        boxes: (..., 4), corners.
        width: of the image, in the boxes' unit; 1 for fractions.
        height: of the image, in the boxes' unit; 1 for fractions.

    Returns:
        (..., 4), corners within the image.

    Raises:
        CompanionError: not four numbers a box, or a size that is not above 0.
    """
    size = _image_size(boxes, width, height)
    return torch.minimum(_checked(boxes).clamp(min=0), size)


def box_area(boxes: Tensor) -> Tensor:
    """Return the area of each box; 0 for one whose corners are the wrong way round.

    Args:
        boxes: (..., 4), corners.

    Returns:
        (...), in the square of the boxes' unit.

    Raises:
        CompanionError: not four numbers a box.
    """
    low, high = _halves(boxes)
    return (high - low).clamp(min=0).prod(dim=-1)


def box_iou(first: Tensor, second: Tensor, *, generalised: bool = False) -> Tensor:
    r"""Return the intersection over union of each box of one list with each of the other.

    IoU is $|A \cap B| / |A \cup B|$, 0 where both have no area. Stretching an axis changes
    nothing, so that fractions and pixels give the same. The generalised IoU subtracts the share of
    the smallest enclosing box C that neither fills, $|C \setminus (A \cup B)| / |C|$: of boxes
    that lie apart it tells how far.

    Args:
        first: (first_boxes, 4), corners.
        second: (second_boxes, 4), corners in the same unit.
        generalised: whether to return the generalised IoU.

    Returns:
        (first_boxes, second_boxes), in [0, 1]; generalised in [-1, 1].

    Raises:
        CompanionError: no list of boxes, or not four numbers a box.

    Reference: everingham2010pascal; rezatofighi2019generalized, algorithm 1
    """
    rows, columns = _listed("first", first)[:, None], _listed("second", second)[None]
    shared = _between(torch.maximum, torch.minimum, rows, columns)
    union = box_area(rows) + box_area(columns) - shared
    iou = _ratio(shared, union)
    if not generalised:
        return iou
    enclosing = _between(torch.minimum, torch.maximum, rows, columns)
    return iou - _ratio(enclosing - union, enclosing)


def nms(
    boxes: Tensor,
    scores: Tensor,
    *,
    iou_threshold: float = 0.5,
    classes: Tensor | None = None,
) -> Tensor:
    """Return which boxes remain when doubles of a better one are taken out.

    The best box stays; those that overlap it by more than the threshold go; then the best of
    what is left stays, and so on. Of equal scores the one that stands first counts as better.

    Args:
        boxes: (boxes, 4), corners.
        scores: (boxes,), higher is better.
        iou_threshold: how much two boxes may overlap and both stay, from 0 to 1.
        classes: (boxes,), class ids; boxes of different classes leave each other alone. `None`
            takes all for one class.

    Returns:
        (kept,), positions in `boxes`, int64, best first.

    Raises:
        CompanionError: not four numbers a box, not one score (or class) a box, a box or a score
            that is NaN, a threshold outside [0, 1].

    Reference: felzenszwalb2010object
    """
    checks.fraction("iou_threshold", iou_threshold)
    boxes = _listed("boxes", boxes)
    scores = _one_a_box("scores", scores, boxes)
    for what, values in (("boxes", boxes), ("scores", scores)):
        if bool(values.isnan().any()):
            checks.fail(what, got="a NaN", expected="numbers", do="look at the model's losses")
    labels = torch.zeros_like(scores) if classes is None else _one_a_box("classes", classes, boxes)
    order = torch.argsort(scores, descending=True, stable=True)
    kept = []
    while len(order):
        best, others = order[0], order[1:]
        kept.append(best)
        overlap = box_iou(boxes[best][None], boxes[others])[0]
        is_double = (overlap > iou_threshold) & (labels[others] == labels[best])
        order = others[~is_double]
    return torch.stack(kept) if kept else order


def _checked(boxes: Any) -> Tensor:
    """Return boxes that are rows of four numbers.

    Raises:
        CompanionError: they are not.
    """
    if not isinstance(boxes, Tensor) or boxes.dim() == 0 or boxes.shape[-1] != 4:
        got = f"shape {tuple(boxes.shape)}" if isinstance(boxes, Tensor) else type(boxes).__name__
        checks.fail(
            "boxes",
            got=got,
            expected="a tensor (boxes, 4): x_min, y_min, x_max, y_max",
            do="leave out class ids and scores, as in labels[:, 1:5]; no box is torch.zeros(0, 4)",
        )
    return boxes if boxes.is_floating_point() else boxes.float()


def _listed(what: str, boxes: Any) -> Tensor:
    """Return boxes that are a list, (boxes, 4).

    Raises:
        CompanionError: they are not, such as a single box (4,) or those of several images.
    """
    if _checked(boxes).dim() != 2:
        checks.fail(
            what,
            got=f"shape {tuple(boxes.shape)}",
            expected="(boxes, 4), the boxes of one image",
            do="write a single box as box[None]",
        )
    return _checked(boxes)


def _halves(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first two and the last two numbers of each box."""
    boxes = _checked(boxes)
    return boxes[..., :2], boxes[..., 2:]


def _image_size(boxes: Tensor, width: float, height: float) -> Tensor:
    """Return width, height, width, height, (4,), in the type of the boxes."""
    sides = [checks.finite_positive("width", width), checks.finite_positive("height", height)]
    return torch.tensor(sides * 2, dtype=_checked(boxes).dtype, device=boxes.device)


def _between(choose_low: Any, choose_high: Any, rows: Tensor, columns: Tensor) -> Tensor:
    """Return the area between a low corner and a high corner, each chosen from two boxes."""
    low = choose_low(rows[..., :2], columns[..., :2])
    high = choose_high(rows[..., 2:], columns[..., 2:])
    return box_area(torch.cat([low, high], dim=-1))


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Return part / whole, 0 where the whole is 0."""
    return torch.where(whole > 0, part / whole.where(whole > 0, torch.ones_like(whole)), 0)


def _one_a_box(what: str, values: Tensor, boxes: Tensor) -> Tensor:
    """Return values of which there is one a box.

    Raises:
        CompanionError: they are no tensor, or there are more or fewer.
    """
    checks.instance(what, values, Tensor)
    if values.shape != boxes.shape[:1]:
        checks.fail(
            what,
            got=f"shape {tuple(values.shape)} for boxes {tuple(boxes.shape)}",
            expected="one number a box: (boxes,) for boxes (boxes, 4)",
            do="pass those of one image",
        )
    return values
