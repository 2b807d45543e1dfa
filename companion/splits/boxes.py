"""Labelled boxes: the labels and the predictions of detection, checked when they are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor

from companion import checks

__all__ = ["BOX_COLUMNS", "as_boxes"]

BOX_COLUMNS = ("class id", "x_min", "y_min", "x_max", "y_max")
"""Columns of a label. Corners are fractions of the image's width and height, so that resizing an
image leaves its labels as they are; the overlap of two boxes is the same in fractions."""


def as_boxes(
    what: str, rows: Sequence[Any] | Tensor, *, num_classes: int, with_scores: bool = False
) -> list[Tensor]:
    """Return boxes as one float32 tensor an image.

    Args:
        what: what they are, for the message.
        rows: one row a box, an image each: class id and corners as fractions of the image's width
            and height (`BOX_COLUMNS`); with scores a sixth column.
        num_classes: how many classes there are, the background not counted.
        with_scores: whether each box has a score in [0, 1], as predictions have.

    Returns:
        One tensor (boxes, 5 or 6) an image; (0, 5 or 6) for an image without a box.

    Raises:
        CompanionError: another shape, a class id that is none, a corner outside the image, a box
            without area, or a score outside [0, 1]; the image is named by its position.
    """
    num_columns = len(BOX_COLUMNS) + with_scores
    try:
        images = None if isinstance(rows, (str, bytes)) else list(rows)
    except TypeError:
        images = None
    if images is None:
        _refuse(what, f"a {type(rows).__name__}", num_columns)
    found = []
    for position, row in enumerate(images):
        try:
            boxes = torch.as_tensor(row, dtype=torch.float32)
        except (TypeError, ValueError, RuntimeError):
            _refuse(f"{what}, image {position}", f"{str(row)[:40]}", num_columns)
        if boxes.numel() == 0:
            boxes = boxes.reshape(0, num_columns)
        if boxes.dim() != 2 or boxes.shape[1] != num_columns:
            _refuse(f"{what}, image {position}", f"shape {tuple(boxes.shape)}", num_columns)
        _check_boxes(f"{what}, image {position}", boxes, num_classes, with_scores)
        found.append(boxes)
    return found


def _check_boxes(what: str, boxes: Tensor, num_classes: int, with_scores: bool) -> None:
    """Refuse boxes of no class, outside the image or without area."""
    ids, corners = boxes[:, 0], boxes[:, 1:5]
    if not bool(torch.isfinite(boxes).all()):
        _refuse_box(what, boxes[~torch.isfinite(boxes).all(dim=1)], "finite numbers")
    wrong = (ids != ids.round()) | (ids < 0) | (ids >= num_classes)
    if bool(wrong.any()):
        _refuse_box(what, boxes[wrong], f"a class id in 0..{num_classes - 1}")
    wrong = ((corners < 0) | (corners > 1)).any(dim=1)
    if bool(wrong.any()):
        _refuse_box(what, boxes[wrong], "corners as fractions of width and height, in [0, 1]")
    wrong = (corners[:, 2:] < corners[:, :2]).any(dim=1)
    if not with_scores:
        wrong |= (corners[:, 2:] == corners[:, :2]).any(dim=1)
    if bool(wrong.any()):
        _refuse_box(what, boxes[wrong], "x_min below x_max and y_min below y_max")
    if with_scores and bool(((boxes[:, 5] < 0) | (boxes[:, 5] > 1)).any()):
        _refuse_box(what, boxes[(boxes[:, 5] < 0) | (boxes[:, 5] > 1)], "a score in [0, 1]")


def _refuse(what: str, got: str, num_columns: int) -> NoReturn:
    """Raise the error for what has not the form of boxes."""
    columns = ", ".join((*BOX_COLUMNS, "score")[:num_columns])
    checks.fail(
        what,
        got=got,
        expected=f"one tensor (boxes, {num_columns}) an image: {columns}",
        do="give an image without a box an empty tensor of that width",
    )


def _refuse_box(what: str, wrong: Tensor, expected: str) -> NoReturn:
    """Raise the error for the first wrong box."""
    numbers = ", ".join(f"{value:.4g}" for value in wrong[0].tolist())
    checks.fail(
        what,
        got=f"the box ({numbers})",
        expected=expected,
        do="correct it, or leave it out and say so (`companion.boxes` lists such boxes)",
    )
