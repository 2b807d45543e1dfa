"""From what a file says to boxes that can be trusted; what cannot is written down, not dropped."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from companion import checks
from companion.boxes.records import AnnotatedImage, Box, Problem
from companion.boxes.texts import readable, reason

__all__ = [
    "EDGE_SLACK",
    "IMAGE_SUFFIXES",
    "KINDS",
    "Findings",
    "RawBox",
    "RawImage",
    "as_number",
    "checked_image",
    "image_files",
    "visible",
]

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Endings of files that are looked for as images, in lower case."""

EDGE_SLACK = 0.05
"""A corner no further outside than this, in pixels, is taken to lie on the edge: fractions written
with a few digits miss it by that much."""

NO_AREA = "box without area"
OUTSIDE = "box outside the image"
PARTLY_OUTSIDE = "box partly outside the image"
NO_NUMBER = "corner that is no number"
UNKNOWN_LABEL = "unknown label"
MISSING_ANNOTATION = "image without annotation"
MISSING_IMAGE = "annotation without image"
BROKEN_IMAGE = "image that cannot be read"
BROKEN_ANNOTATION = "annotation that cannot be read"
OTHER_SIZE = "size that is not the image's"
LISTED_TWICE = "image listed twice"

KINDS = (
    NO_AREA,
    OUTSIDE,
    PARTLY_OUTSIDE,
    NO_NUMBER,
    UNKNOWN_LABEL,
    MISSING_ANNOTATION,
    MISSING_IMAGE,
    BROKEN_IMAGE,
    BROKEN_ANNOTATION,
    OTHER_SIZE,
    LISTED_TWICE,
)
"""The kinds of problems."""


@dataclass
class Findings:
    """The problems found so far.

    Attributes:
        root: the folder that is read; files are named below it.
        problems: in the order they were found.
    """

    root: Path
    problems: list[Problem] = field(default_factory=list)

    def add(self, path: Path, kind: str, detail: str) -> None:
        """Write down a problem.

        Args:
            path: the file it stands in.
            kind: one of `KINDS`.
            detail: what was found; what is no letter is written as its code.

        Modifies: `problems`.
        """
        inside = path.is_relative_to(self.root)
        name = path.relative_to(self.root).as_posix() if inside else str(path)
        self.problems.append(Problem(readable(name), kind, readable(detail)))


@dataclass(frozen=True)
class RawBox:
    """A box as its file has it.

    Attributes:
        label: its class; `None` where the file does not name one that is known.
        corners: x_min, y_min, x_max, y_max; NaN for what is no number.
        text: the label and the numbers as they stand there, for messages.
        is_difficult: VOC's mark.
        is_crowd: COCO's mark.
    """

    label: str | None
    corners: tuple[float, float, float, float]
    text: str
    is_difficult: bool = False
    is_crowd: bool = False


@dataclass(frozen=True)
class RawImage:
    """An image as its annotation has it.

    Attributes:
        file: the annotation file.
        path: the image file.
        name: what the image may be called.
        boxes: as they stand there.
        part: train, val, test or empty.
        size: width and height as they stand there; `None` where it gives none.
        in_fractions: whether corners are fractions of the image and not pixels.
    """

    file: Path
    path: Path
    name: str
    boxes: Sequence[RawBox]
    part: str = ""
    size: tuple[object, object] | None = None
    in_fractions: bool = False


def as_number(value: object) -> float:
    """Return a number, or a text that is one, as a float; NaN for anything else."""
    try:
        return math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan


def visible(folder: Path) -> list[Path]:
    """Return what lies in a folder, sorted, without what begins with a dot; nothing if it is none.

    Args:
        folder: where to look.

    Raises:
        CompanionError: the folder cannot be read.
    """
    if not os.path.isdir(folder):
        return []
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries)
    except OSError as error:
        checks.fail(
            f"folder {folder}",
            got=reason(error),
            expected="a folder that can be read",
            do="change its permissions or copy it to a place of your own",
        )
    return [folder / name for name in names if not name.startswith(".")]


def image_files(folder: Path) -> list[Path]:
    """Return the image files of a folder, sorted.

    Args:
        folder: where to look; its subfolders are left alone.
    """
    return [path for path in visible(folder) if path.suffix.lower() in IMAGE_SUFFIXES]


def checked_image(
    raw: RawImage, findings: Findings, classes: Sequence[str] | None, *, whole: bool
) -> AnnotatedImage | None:
    """Return an image with the boxes that can be trusted.

    Args:
        raw: what the annotation says.
        findings: where problems are written down.
        classes: the labels that are known; `None` takes all.
        whole: whether the image is decoded, to see that it is whole.

    Returns:
        The image; `None` where it cannot be read, or where the annotation gives another size, as
        nobody knows then what its boxes refer to. Boxes partly outside are clipped.

    Modifies: `findings`.
    """
    try:
        size = _image_size(raw.path, whole=whole)
    except _image_errors() as error:
        findings.add(raw.path, BROKEN_IMAGE, reason(error))
        return None
    if raw.size is not None and not _is_size(raw.size, size):
        said, found = (f"{width!s:.20} x {height!s:.20}" for width, height in (raw.size, size))
        findings.add(raw.file, OTHER_SIZE, f"{said} for {raw.path.name}, which is {found}")
        return None
    boxes = [_checked_box(box, raw, size, findings, classes) for box in raw.boxes]
    kept = tuple(box for box in boxes if box is not None)
    return AnnotatedImage(raw.name, raw.path, *size, kept, raw.part)


def _is_size(said: tuple[object, object], size: tuple[int, int]) -> bool:
    """Return whether what a file says of an image's size is so; decimals are cut off."""
    numbers = [as_number(value) for value in said]
    return all(map(math.isfinite, numbers)) and tuple(map(int, numbers)) == size


def _checked_box(
    raw: RawBox,
    image: RawImage,
    size: tuple[int, int],
    findings: Findings,
    classes: Sequence[str] | None,
) -> Box | None:
    """Return a box within its image; `None` for one that cannot be trusted."""
    width, height = size
    scale = (width, height, width, height) if image.in_fractions else (1, 1, 1, 1)
    corners = [corner * side for corner, side in zip(raw.corners, scale, strict=True)]
    x_min, y_min, x_max, y_max = corners
    low_x, high_x = max(x_min, 0.0), min(x_max, float(width))
    low_y, high_y = max(y_min, 0.0), min(y_max, float(height))
    overhang = max(low_x - x_min, x_max - high_x, low_y - y_min, y_max - high_y)
    kind = ""
    if raw.label is None or (classes is not None and raw.label not in classes):
        kind = UNKNOWN_LABEL
    elif not all(map(math.isfinite, corners)):
        kind = NO_NUMBER
    elif x_max <= x_min or y_max <= y_min:
        kind = NO_AREA
    elif low_x >= high_x or low_y >= high_y:
        kind = OUTSIDE
    elif overhang > EDGE_SLACK:
        kind = PARTLY_OUTSIDE
    if kind:
        detail = f"{raw.text} in an image of {width} x {height}"
        findings.add(image.file, kind, detail + (", clipped" if kind == PARTLY_OUTSIDE else ""))
    if kind not in ("", PARTLY_OUTSIDE) or raw.label is None:
        return None
    return Box(raw.label, low_x, low_y, high_x, high_y, raw.is_difficult, raw.is_crowd)


def _image_size(path: Path, *, whole: bool) -> tuple[int, int]:
    """Return width and height in pixels, upright as the camera says, from the head of the file."""
    from PIL import ExifTags, Image

    with Image.open(path) as image:
        width, height = image.size
        # A PNG without the entry in its head would be decoded to look for one behind the pixels.
        has_exif = image.format != "PNG" or "exif" in image.info
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1) if has_exif else 1
        if whole:
            # A JPEG is read to its end at an eighth of its size: a fraction of the time.
            image.draft(image.mode, (1, 1))
            image.load()
    return (height, width) if orientation in (5, 6, 7, 8) else (width, height)


def _image_errors() -> tuple[type[Exception], ...]:
    """Return what Pillow raises on files that are missing, cut off, damaged or far too large."""
    from PIL import Image

    bomb = Image.DecompressionBombError
    return (OSError, SyntaxError, ValueError, EOFError, struct.error, bomb)
