"""YOLO: a text file an image, a line a box, all in fractions; a yaml file names the classes.

A line is `class x_centre y_centre width height`, the class a number from 0. The yaml file in the
folder (`data.yaml`, or another with `names`) lists the classes in `names`, and under `train`, `val`
and `test` where the images lie: a folder, several, or a text file of paths. The label file of
`images/a.jpg` is `labels/a.txt`: the last folder `images` of the path is exchanged; where there is
none, it lies beside the image. Without a yaml file a `classes.txt`, one name a line, serves.

An empty label file says that nothing is in the image. A missing one is a problem, although the
format lets it mean the same: an image that nobody has labelled yet would teach that nothing is
there. The format has no marks for difficult objects or crowds. Paths that lead out of the folder,
and the yaml file's own `path` where it does, are not followed.

Reference: redmon2016you
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from companion import checks
from companion.boxes import checking
from companion.boxes.checking import (
    IMAGE_SUFFIXES,
    Findings,
    RawBox,
    RawImage,
    as_number,
    images_by_stem,
    visible,
)
from companion.boxes.records import PARTS, AnnotatedImage, Annotations
from companion.boxes.writing import Put, as_text, write_text

__all__ = ["FRACTION_DECIMALS", "is_here", "read", "write"]

FRACTION_DECIMALS = 10
"""Decimals of a fraction that is written: a millionth of a pixel in an image of 10,000."""

NAMES_ALONE = "classes.txt"
IMAGES, LABELS = "images", "labels"
NO_LABELS = {NAMES_ALONE, *(f"{part}.txt" for part in PARTS)}


def is_here(root: Path) -> bool:
    """Return whether a folder holds a yaml file with `names`, or `classes.txt` with images.

    Args:
        root: the folder.

    Raises:
        CompanionError: its `data.yaml` cannot be read.
    """
    return _settings(root) is not None


def read(root: Path, findings: Findings) -> tuple[list[RawImage], tuple[str, ...]]:
    """Return what the label files of a folder say, and the names of the classes.

    Args:
        root: the folder.
        findings: where problems are written down.

    Raises:
        CompanionError: its `data.yaml` cannot be read, or names no classes.

    Modifies: `findings`.
    """
    settings = _settings(root) or {}
    names = _names(settings.get("names"))
    images: list[RawImage] = []
    part_of = _parts(root, settings, findings)
    for path, part in part_of.items():
        file = _label_file(path, root)
        if not file.is_file():
            missing = file.relative_to(root).as_posix()
            findings.add(path, checking.MISSING_ANNOTATION, f"no {missing}")
            continue
        boxes = _boxes(file, names, findings)
        if boxes is not None:
            images.append(RawImage(file, path, path.stem, boxes, part, in_fractions=True))
    expected = {_label_file(path, root) for path in part_of}
    for folder in sorted({file.parent for file in expected}):
        for file in visible(folder):
            if file.suffix.lower() == ".txt" and file not in expected | {
                folder / n for n in NO_LABELS
            }:
                findings.add(file, checking.MISSING_IMAGE, f"no image {file.stem}")
    return images, tuple(names.values())


def _settings(root: Path) -> dict[str, Any] | None:
    """Return what the yaml file of a folder says; `None` where there is none with `names`."""
    import yaml

    files = [path for path in visible(root) if path.suffix.lower() in (".yaml", ".yml")]
    for path in sorted(files, key=lambda path: path.stem != "data"):
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            if path.stem != "data":
                continue
            why = " ".join(str(error).split())
            checks.fail(f"file {path}", got=why, expected="yaml", do="put it right")
        if isinstance(content, dict) and "names" in content:
            return content
    names = root / NAMES_ALONE
    if names.is_file() and ((root / LABELS).is_dir() or images_by_stem(root)):
        return {"names": list(filter(None, names.read_text(encoding="utf-8-sig").splitlines()))}
    return None


def _names(names: Any) -> dict[int, str]:
    """Return the class names by number, from a list or from a table of numbers.

    Raises:
        CompanionError: it is neither, or names nothing.
    """
    try:
        rows = names.items() if isinstance(names, Mapping) else enumerate(names)
        found = {int(number): str(name) for number, name in rows}
    except (TypeError, ValueError):
        found = {}
    if not found or isinstance(names, str):
        checks.fail(
            "names in the yaml file",
            got=f"{names!r:.60}",
            expected="a list of class names, or a table such as {0: cat, 1: dog}",
            do="name the classes in the order of their numbers",
        )
    return dict(sorted(found.items()))


def _parts(root: Path, settings: Mapping[str, Any], findings: Findings) -> dict[Path, str]:
    """Return each image of a folder with the part it lies in; empty for those in no part."""
    part_of: dict[Path, str] = {}
    for part in PARTS:
        entries = settings.get(part) or []
        for entry in [entries] if isinstance(entries, str) else entries:
            place = _place(root, str(settings.get("path") or ""), str(entry))
            if place is None:
                what = f"{part}: {entry}, which is not in the folder"
                findings.add(root, checking.MISSING_IMAGE, what)
                continue
            for path in _images_at(place, root, findings):
                if part_of.setdefault(path, part) != part:
                    findings.add(path, checking.TWO_PARTS, f"{part_of[path]} and {part}")
                    part_of[path] = part
    rest = root / IMAGES if (root / IMAGES).is_dir() else root
    for path in [] if part_of and rest == root else _images_below(rest):
        part_of.setdefault(path, "")
    return part_of


def _place(root: Path, base: str, entry: str) -> Path | None:
    """Return the folder or the list that an entry names; `None` where it is not in the folder."""
    upwards = entry
    while upwards.startswith("../"):  # written for a yaml file that lay a folder deeper
        upwards = upwards[3:]
    for start in (root / base, root):
        for name in (entry, upwards):
            path = Path(os.path.normpath(start / name))
            if path.exists() and path.is_relative_to(root):
                return path
    return None


def _images_at(place: Path, root: Path, findings: Findings) -> Iterator[Path]:
    """Yield the images in a folder, or those that a text file lists."""
    if place.is_dir():
        yield from _images_below(place)
        return
    for line in filter(None, map(str.strip, place.read_text(encoding="utf-8-sig").splitlines())):
        path = _place(root, str(place.parent.relative_to(root)), line)
        if path is None or not path.is_file():
            findings.add(place, checking.MISSING_IMAGE, f"no {line}")
        else:
            yield path


def _images_below(folder: Path) -> Iterator[Path]:
    """Yield the image files in a folder and in its subfolders, sorted."""
    for path in visible(folder):
        if path.is_dir():
            yield from _images_below(path)
        elif path.suffix.lower() in IMAGE_SUFFIXES:
            yield path


def _label_file(path: Path, root: Path) -> Path:
    """Return where the label file of an image belongs."""
    parts = list(path.relative_to(root).with_suffix(".txt").parts)
    for position in reversed(range(len(parts) - 1)):
        if parts[position] == IMAGES:
            parts[position] = LABELS
            break
    return root.joinpath(*parts)


def _boxes(file: Path, names: Mapping[int, str], findings: Findings) -> list[RawBox] | None:
    """Return the boxes of a label file; `None` where it cannot be read."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (UnicodeDecodeError, OSError) as error:
        findings.add(file, checking.BROKEN_ANNOTATION, str(error))
        return None
    boxes = []
    for number, line in enumerate(lines, start=1):
        values = line.split()
        if len(values) == 5:
            boxes.append(_raw_box(values, names, f"line {number}, {line.strip()},"))
        elif values:
            what = f"line {number} has {len(values)} values where 5 are expected"
            findings.add(file, checking.BROKEN_ANNOTATION, what)
    return boxes


def _raw_box(values: list[str], names: Mapping[int, str], text: str) -> RawBox:
    """Return a line of a label file as a box, its corners in fractions."""
    label = names.get(int(values[0])) if values[0].isdecimal() else None
    x, y, width, height = map(as_number, values[1:])
    corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return RawBox(label, corners, text)


def write(annotations: Annotations, folder: Path, put: Put) -> None:
    """Write images, label files and `data.yaml`; marks of boxes are lost.

    Args:
        annotations: each image named as its file may be called.
        folder: where to; it is there and empty.
        put: brings an image into a folder and returns the name of its file there.
    """
    import yaml

    parts = annotations.part_counts()
    is_divided = any(parts)
    for image in annotations.images:
        below = (image.part or "in_no_part") if is_divided else ""
        put(image, folder / IMAGES / below)
        lines = _as_lines(image, annotations.classes)
        write_text(folder / LABELS / below / f"{image.name}.txt", lines)
    places = {part: f"{IMAGES}/{part}" for part in PARTS if part in parts}
    settings: dict[str, Any] = places if is_divided else {"train": IMAGES}
    settings |= {"names": dict(enumerate(annotations.classes))}
    write_text(folder / "data.yaml", yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))


def _as_lines(image: AnnotatedImage, classes: tuple[str, ...]) -> str:
    """Return the label file of an image."""
    rows = []
    for box in image.boxes:
        numbers = (
            (box.x_min + box.x_max) / 2 / image.width,
            (box.y_min + box.y_max) / 2 / image.height,
            (box.x_max - box.x_min) / image.width,
            (box.y_max - box.y_min) / image.height,
        )
        texts = [as_text(number, decimals=FRACTION_DECIMALS) for number in numbers]
        rows.append(f"{classes.index(box.label)} {' '.join(texts)}\n")
    return "".join(rows)
