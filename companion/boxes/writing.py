"""What all writers of annotations need: images brought to their place, numbers as text."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from companion import checks
from companion.boxes.records import AnnotatedImage

__all__ = ["DECIMALS", "Put", "as_text", "named_as_files", "put_by", "write_text"]

DECIMALS = 6
"""Corners in pixels are written with this many decimals at most, whole numbers without any."""

Put = Callable[[AnnotatedImage, Path], str]
"""Brings an image into a folder and returns the name of its file there."""


def as_text(value: float, *, decimals: int = DECIMALS) -> str:
    """Return a number with as few decimals as it needs.

    Args:
        value: the number.
        decimals: the most decimals.

    Example:
        >>> as_text(503.9999999997), as_text(0.25)
        ('504', '0.25')
    """
    text = f"{value:.{decimals}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def write_text(path: Path, content: str) -> None:
    """Write a text file, UTF-8, lines ended by a line feed on every system.

    Args:
        path: where to; missing folders are made.
        content: the text.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8", newline="\n")


def put_by(how: str) -> Put:
    """Return what brings images to their place.

    Args:
        how: `"copy"`, or `"link"`: a hard link where the file system has them, else a copy.

    Raises:
        CompanionError: it is neither.
    """
    checks.one_of("images", how, ("copy", "link"))

    def put(image: AnnotatedImage, folder: Path) -> str:
        target = folder / f"{image.name}{image.path.suffix.lower()}"
        folder.mkdir(parents=True, exist_ok=True)
        if how == "link":
            try:
                os.link(image.path.resolve(), target)
                return target.name
            except OSError:
                pass
        shutil.copyfile(image.path, target)
        return target.name

    return put


def named_as_files(images: Sequence[AnnotatedImage]) -> tuple[AnnotatedImage, ...]:
    """Return images whose names may name files in one folder: no slash, none twice.

    Args:
        images: with names that tell them apart.

    Returns:
        The images, sorted by name. Letters that some file system refuses become underscores.

    Raises:
        CompanionError: two names become one.
    """
    named = [replace(image, name=_as_file_name(image.name)) for image in images]
    counts = Counter(image.name.lower() for image in named)
    twice = [image for image in named if counts[image.name.lower()] > 1]
    if twice:
        checks.fail(
            "names of images",
            got=f"{twice[0].path} and {twice[1].path}, which would both be called {twice[0].name}",
            expected="names that differ in more than case and the letters a file may not have",
            do="rename one of them",
        )
    return tuple(sorted(named, key=lambda image: image.name))


def _as_file_name(name: str) -> str:
    """Return a name that every file system takes."""
    return re.sub(r'[\\/:*?"<>|\x00-\x1f\x7f-\x9f\ud800-\udfff]', "_", name).rstrip(". ") or "_"
