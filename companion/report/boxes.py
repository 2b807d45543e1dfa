"""Boxes drawn on pictures: what is labelled there, and what a detector found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from companion import checks
from companion.report.style import figure_size, finish, new_figure, palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_boxes", "plot_boxes"]

_COLOURS = ("vermilion", "sky blue", "green", "purple", "orange", "blue", "black")
_FURTHEST = 1.0
"""Corners may lie so far outside the picture, as a fraction of it; further out they are pixels."""

_WIDTHS = {1: 0.45, 2: 0.75}
"""Width of a figure with few pictures a row, as a fraction of the column's."""


def plot_boxes(
    images: Sequence[Tensor] | Tensor,
    *,
    classes: Sequence[str],
    labels: Sequence[Tensor] | None = None,
    detections: Sequence[Tensor] | None = None,
    min_score: float = 0.5,
    titles: Sequence[str] | None = None,
    named: bool = True,
    columns: int = 4,
) -> Figure:
    """Draw pictures in rows with their boxes: labels dashed, detections solid with their score.

    Args:
        images: each (channels, height, width) with 1 or 3 channels, uint8 or float in [0, 1].
        classes: names of the class ids.
        labels: an image's boxes, (boxes, 5): class id, corners as fractions of width and height.
        detections: an image's detections, (detections, 6): the same, then the score.
        min_score: detections with a lower score are not drawn.
        titles: words above each image.
        named: whether class and score are written beside a box.
        columns: images a row.

    Raises:
        CompanionError: no images, labels, detections or titles for another number of images, or
            what `draw_boxes` refuses.
    """
    checks.positive_int("columns", columns)
    checks.fraction("min_score", min_score)
    checks.non_empty("images", range(len(images)), do="choose at least one image")
    given = {"labels": labels, "detections": detections, "titles": titles}
    for name, values in given.items():
        if values is not None and len(values) != len(images):
            checks.fail(name, got=len(values), expected=f"{len(images)}, one an image", do="match")
    for number, image in enumerate(images):
        _check_picture(f"image {number}", image)
    for name, rows, num_columns in (("labels", labels, 5), ("detections", detections, 6)):
        for number, some in enumerate(() if rows is None else rows):
            _check_rows(f"{name} of image {number}", some, num_columns, len(classes))
    figure, places = _grid(len(images), columns, shape=tuple(images[0].shape[1:]), titled=titles)
    for number, (place, image) in enumerate(zip(places, images, strict=False)):
        found = None if detections is None else detections[number]
        truth = None if labels is None else labels[number]
        draw_boxes(
            place,
            image,
            classes=classes,
            labels=truth,
            detections=found,
            min_score=min_score,
            named=named,
        )
        if titles is not None:
            place.set_title(titles[number], fontsize=8, parse_math=False)
    return finish(figure, alt=_words(len(images), labels, detections, min_score))


def draw_boxes(
    axes: Axes,
    image: Tensor,
    *,
    classes: Sequence[str],
    labels: Tensor | None = None,
    detections: Tensor | None = None,
    min_score: float = 0.5,
    named: bool = True,
) -> None:
    """Draw one picture with its boxes.

    Args:
        axes: where; its axis is switched off.
        image: (channels, height, width).
        classes: names of the class ids.
        labels: (boxes, 5), as in `plot_boxes`.
        detections: (detections, 6), as in `plot_boxes`.
        min_score: detections with a lower score are not drawn.
        named: whether class and score are written beside a box.

    Raises:
        CompanionError: no image, rows of another width, a class id without a name, or corners in
            pixels.

    Modifies: `axes`.
    """
    _check_picture("image", image)
    for name, rows, num_columns in (("labels", labels, 5), ("detections", detections, 6)):
        if rows is not None:
            _check_rows(name, rows, num_columns, len(classes))
    pixels = torch.as_tensor(image).detach().cpu()
    shown = pixels.permute(1, 2, 0).expand(-1, -1, 3)
    axes.imshow(shown.numpy(), vmin=0, vmax=255 if pixels.dtype == torch.uint8 else 1)
    axes.axis("off")
    height, width = pixels.shape[1:]
    for row in () if labels is None else labels.tolist():
        _draw_frame(axes, row[1:5], (width, height), colour="white", style="--")
        if named and detections is None:
            _write(axes, classes[int(row[0])], row[1:3], (width, height), colour="black")
    for row in () if detections is None else detections.tolist():
        if row[5] >= min_score:
            colour = palette()[_COLOURS[int(row[0]) % len(_COLOURS)]]
            _draw_frame(axes, row[1:5], (width, height), colour=colour, style="-")
            if named:
                words = f"{classes[int(row[0])]} {row[5]:.2f}"
                _write(axes, words, row[1:3], (width, height), colour=colour)


def _check_picture(what: str, image: Tensor) -> None:
    """Refuse what cannot be shown as a picture."""
    checks.instance(what, image, Tensor)
    if image.dim() != 3 or image.shape[0] not in (1, 3) or 0 in image.shape:
        checks.fail(
            what,
            got=f"shape {tuple(image.shape)}",
            expected="(channels, height, width) with 1 or 3 channels",
            do="pass a list of images, and channels first: image.permute(2, 0, 1)",
        )


def _check_rows(what: str, rows: Tensor, num_columns: int, num_classes: int) -> None:
    """Refuse boxes that would be drawn wrongly, or nowhere."""
    checks.instance(what, rows, Tensor)
    if rows.dim() != 2 or rows.shape[1] != num_columns:
        checks.fail(
            what,
            got=f"shape {tuple(rows.shape)}",
            expected=f"(boxes, {num_columns}): class id, four corners"
            + (", score" if num_columns == 6 else ""),
            do=f"pass one such tensor an image, torch.zeros(0, {num_columns}) for no box",
        )
    ids, corners = rows[:, 0], rows[:, 1:5]
    wrong = ids[(ids < 0) | (ids >= num_classes) | (ids != ids.round())]
    if len(wrong):
        checks.fail(
            what,
            got=f"class id {float(wrong[0]):g}",
            expected=f"0..{num_classes - 1}, as there are {num_classes} classes",
            do="pass the names of all classes",
        )
    wrong = corners[~((corners >= -_FURTHEST) & (corners <= 1 + _FURTHEST)).all(dim=1)]
    if len(wrong):
        numbers = ", ".join(f"{value:.4g}" for value in wrong[0].tolist())
        checks.fail(
            what,
            got=f"corners ({numbers})",
            expected="fractions of width and height, from 0 to 1",
            do="divide pixels with companion.boxes.pixels_to_fractions",
        )


def _grid(
    num: int, columns: int, *, shape: tuple[int, ...], titled: Sequence[str] | None
) -> tuple[Figure, list[Axes]]:
    """Return a figure with a place for each image; places that are left over stay empty."""
    columns = min(columns, num)
    rows = -(-num // columns)
    width = figure_size(width=_WIDTHS.get(columns, 1.0))[0]
    lines = max((title.count("\n") + 1 for title in titled), default=0) if titled else 0
    height = rows * (width / columns * shape[0] / shape[1] + 0.16 * lines)
    figure, axes = new_figure(rows, columns, figsize=(width, height))
    places = list(axes.flat)
    for place in places[num:]:
        place.axis("off")
    return figure, places[:num]


def _draw_frame(
    axes: Axes, corners: Sequence[float], size: tuple[int, int], *, colour: str, style: str
) -> None:
    """Draw a box; a dashed one on a dark line, so that it is seen on bright ground too."""
    from matplotlib.patches import Rectangle

    (left, top), (right, low) = _place(corners[:2], size), _place(corners[2:], size)
    layers = [("black", "-", 1.6), (colour, style, 1.1)] if style == "--" else [(colour, "-", 1.4)]
    for shade, line, thickness in layers:
        axes.add_patch(
            Rectangle(
                (left, top), right - left, low - top, fill=False, edgecolor=shade,
                linestyle=line, linewidth=thickness,
            )
        )  # fmt: skip


def _write(
    axes: Axes, words: str, corner: Sequence[float], size: tuple[int, int], *, colour: str
) -> None:
    """Write words at the upper left corner of a box, within the picture."""
    left, top = _place(corner, size)
    axes.text(
        left, max(top, 0.0), words, fontsize=6, color="white", va="top", parse_math=False,
        clip_on=True, bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.8},
    )  # fmt: skip


def _place(corner: Sequence[float], size: tuple[int, int]) -> tuple[float, float]:
    """Return a corner in the axes of `imshow`, where the first pixel's middle is at 0."""
    return corner[0] * size[0] - 0.5, corner[1] * size[1] - 0.5


def _words(
    num: int,
    labels: Sequence[Tensor] | None,
    detections: Sequence[Tensor] | None,
    min_score: float,
) -> str:
    """Return what is drawn, in words."""
    parts = []
    if labels is not None:
        parts.append(f"{sum(map(len, labels))} labelled boxes, dashed")
    if detections is not None:
        count = sum(int((rows[:, 5] >= min_score).sum()) for rows in detections)
        parts.append(f"{count} detections with a score of at least {min_score:.2f}")
    return f"{num} pictures{': ' + ', '.join(parts) if parts else ''}."
