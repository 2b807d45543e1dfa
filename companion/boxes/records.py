"""Annotated images as plain records, whatever format they came from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PARTS", "AnnotatedImage", "Annotations", "Box", "Problem", "said"]

PARTS = ("train", "val", "test")
"""The parts that a folder may divide its images into."""


@dataclass(frozen=True)
class Box:
    """An object in an image.

    Attributes:
        label: its class.
        x_min: left edge, in pixels from the left of the image.
        y_min: upper edge, in pixels from the top.
        x_max: right edge.
        y_max: lower edge.
        is_difficult: marked as hard to recognise (VOC).
        is_crowd: stands for a group of objects that were not told apart (COCO's `iscrowd`).
    """

    label: str
    x_min: float
    y_min: float
    x_max: float
    y_max: float
    is_difficult: bool = False
    is_crowd: bool = False

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """The four edges in pixels: x_min, y_min, x_max, y_max."""
        return self.x_min, self.y_min, self.x_max, self.y_max


@dataclass(frozen=True)
class AnnotatedImage:
    """An image file with its boxes.

    Attributes:
        name: tells it from all others; without folder and ending unless these tell them apart.
        path: the image file.
        width: in pixels, upright as its camera says.
        height: in pixels.
        boxes: the objects; none is a statement too.
        part: `"train"`, `"val"` or `"test"` where the folder says so, else empty.
    """

    name: str
    path: Path
    width: int
    height: int
    boxes: tuple[Box, ...]
    part: str = ""


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with an image or a box.

    Attributes:
        file: where it stands, below the folder.
        kind: what kind of fault, such as `"box without area"`.
        detail: which box, what was found.
    """

    file: str
    kind: str
    detail: str


@dataclass(frozen=True)
class Annotations:
    """The images of a folder with their boxes.

    Attributes:
        images: sorted by name.
        classes: names of the classes.
        problems: what was wrong and is not among the boxes, or was clipped.
        format: what they were read from: `"voc"`, `"coco"` or `"yolo"`.
    """

    images: tuple[AnnotatedImage, ...]
    classes: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    format: str = ""

    def class_counts(self) -> dict[str, int]:
        """Return how many boxes of each class there are, zeros included; crowds do not count."""
        counts = Counter(b.label for image in self.images for b in image.boxes if not b.is_crowd)
        return {name: counts[name] for name in self.classes}

    def part_counts(self) -> dict[str, int]:
        """Return how many images each part holds; those in no part under the empty name."""
        counts = Counter(image.part for image in self.images)
        return {part: counts[part] for part in (*PARTS, "") if counts[part]}


def said(problems: Sequence[Problem], *, num_files: int = 3) -> str:
    """Return problems in one line: how many of each kind, and the first few files.

    Args:
        problems: what was wrong.
        num_files: how many files are named of each kind.

    Example:
        >>> said([Problem("a.xml", "box without area", "cell at 3,3,3,3")])
        'box without area: 1 (a.xml)'
    """
    kinds = Counter(problem.kind for problem in problems)
    rows = []
    for kind, number in kinds.most_common():
        files = list(dict.fromkeys(p.file for p in problems if p.kind == kind))
        more = ", ..." if len(files) > num_files else ""
        rows.append(f"{kind}: {number} ({', '.join(files[:num_files])}{more})")
    return "; ".join(rows)
