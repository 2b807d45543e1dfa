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
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from companion import checks
from companion.boxes import checking
from companion.boxes.checking import (
    IMAGE_SUFFIXES,
    Findings,
    RawBox,
    RawImage,
    as_number,
    image_files,
    visible,
)
from companion.boxes.geometry import (
    centres_to_corners,
    corners_to_centres,
    pixels_to_fractions,
)
from companion.boxes.records import PARTS, AnnotatedImage, Annotations
from companion.boxes.texts import (
    as_listed,
    is_label,
    read_listed,
    read_text,
    reason,
    refuse_file,
)
from companion.boxes.writing import Put, as_text, write_text

__all__ = ["FRACTION_DECIMALS", "is_here", "read", "write"]

FRACTION_DECIMALS = 10
"""Decimals of a fraction that is written: a millionth of a pixel in an image of 10,000."""

NAMES_ALONE = "classes.txt"
IMAGES, LABELS = "images", "labels"
SOURCE = "read from"
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
        CompanionError: its `data.yaml` cannot be read, names no classes, or names parts otherwise
            than by texts; a list of classes or of images is no text.

    Modifies: `findings`.
    """
    settings = _settings(root) or {}
    names = _names(settings.get("names"), settings.get(SOURCE))
    images: list[RawImage] = []
    part_of = _parts(root, settings, findings)
    image_of: dict[Path, Path] = {}
    for path, part in part_of.items():
        file = _label_file(path, root)
        if image_of.setdefault(file, path) != path:
            what = f"{image_of[file].name} has its name"
            findings.add(path, checking.MISSING_ANNOTATION, what)
            continue
        if not file.is_file():
            missing = file.relative_to(root).as_posix()
            findings.add(path, checking.MISSING_ANNOTATION, f"no {missing}")
            continue
        boxes = _boxes(file, names, findings)
        if boxes is not None:
            images.append(RawImage(file, path, path.stem, boxes, part, in_fractions=True))
    for folder in sorted({file.parent for file in image_of}) or [root / LABELS]:
        for file in visible(folder):
            is_text = file.suffix.lower() == ".txt" and file.name not in NO_LABELS
            if is_text and file not in image_of:
                findings.add(file, checking.MISSING_IMAGE, f"no image {file.stem}")
    return images, tuple(names.values())


def _settings(root: Path) -> dict[str, Any] | None:
    """Return what the yaml file of a folder says; `None` where there is none with `names`."""
    import yaml

    files = [path for path in visible(root) if path.suffix.lower() in (".yaml", ".yml")]
    broken: dict[Path, Exception] = {}
    for path in sorted(files, key=lambda path: path.stem != "data"):
        try:
            content = yaml.safe_load(path.read_bytes().decode().removeprefix("\ufeff"))
        except (yaml.YAMLError, ValueError, OSError, RecursionError) as error:
            if path.stem == "data":
                refuse_file(path, error, expected="yaml in UTF-8", do="put it right")
            if not isinstance(error, OSError):
                broken[path] = error
            continue
        if isinstance(content, dict) and "names" in content:
            return {**content, SOURCE: "the yaml file"}
        if path.stem == "data":
            broken[path] = ValueError("no names")
    names = root / NAMES_ALONE
    if names.is_file() and ((root / LABELS).is_dir() or image_files(root)):
        lines = map(str.strip, read_text(names).splitlines())
        return {"names": list(filter(None, lines)), SOURCE: NAMES_ALONE}
    for path, why in broken.items() if (root / LABELS).is_dir() else ():
        refuse_file(path, why, expected="yaml with the names of the classes", do="put it right")
    return None


def _names(names: Any, source: Any) -> dict[int, str]:
    """Return the class names by number, from a list or from a table of numbers.

    Raises:
        CompanionError: it is neither, names nothing, or gives a number or a name twice.
    """
    is_table = isinstance(names, Mapping)
    rows = list(names.items() if is_table else enumerate(names if isinstance(names, list) else []))
    found = {int(key): str(name).strip() for key, name in rows if str(key).isdecimal()}
    twice = [name for name, number in Counter(found.values()).items() if number > 1]
    # yaml takes a bare `no` or `off` for a truth value, and a bare 1.50 for the number 1.5.
    wrong = [n for _, n in rows if type(n) not in (str, int) or not is_label(str(n).strip())]
    if not found or wrong or twice or len(found) < len(rows):
        said = f", where {(wrong + twice)[0]!r:.40} stands" if wrong or twice else ""
        checks.fail(
            f"names in {source}",
            got=f"{names!r:.60}{said}{' twice' if said and not wrong else ''}",
            expected="a list of class names, or a table such as {0: cat, 1: dog}, each name once",
            do="name the classes in the order of their numbers, in quotes where yaml has another "
            "meaning for them ('no')",
        )
    return dict(sorted(found.items()))


def _listed(settings: Mapping[str, Any], key: str) -> list[str]:
    """Return the paths that an entry of the yaml file names; none where it is empty.

    Raises:
        CompanionError: it is no text and no list of texts.
    """
    entry = settings.get(key)
    texts = entry if isinstance(entry, list) else [] if entry in (None, "") else [entry]
    is_odd = key == "path" and len(texts) > 1
    if is_odd or not all(isinstance(text, str) and text.strip() for text in texts):
        checks.fail(
            f"{key} in the yaml file",
            got=f"{entry!r:.60}",
            expected="a folder, a text file of paths, or a list of these",
            do="write the name of the folder, in quotes where it is a number",
        )
    return texts


def _parts(root: Path, settings: Mapping[str, Any], findings: Findings) -> dict[Path, str]:
    """Return each image of a folder with the part it lies in; empty for those in no part."""
    part_of: dict[Path, str] = {}
    base = "".join(_listed(settings, "path"))
    for part in PARTS:
        for entry in _listed(settings, part):
            place = _place(root, base, entry)
            if place is None:
                what = f"{part}: {entry}, which is not in the folder"
                findings.add(root, checking.MISSING_IMAGE, what)
                continue
            for path in _images_at(place, root, findings):
                if part_of.setdefault(path, part) != part:
                    findings.add(path, checking.LISTED_TWICE, f"{part_of[path]} and {part}")
                    part_of[path] = part
    rest = root / IMAGES if (root / IMAGES).is_dir() else root
    for path in [] if part_of and rest == root else _images_below(rest):
        part_of.setdefault(path, "")
    return part_of


def _place(root: Path, base: str, entry: str) -> Path | None:
    """Return the folder or the list that an entry names; `None` where it is not in the folder."""
    entry = upwards = entry.replace("\\", "/")
    while upwards.startswith("../"):  # written for a yaml file that lay a folder deeper
        upwards = upwards[3:]
    for start in (root / base, root):
        for name in (entry, upwards):
            path = Path(os.path.normpath(start / name))
            if os.path.exists(path) and path.is_relative_to(root):
                return path
    return None


def _images_at(place: Path, root: Path, findings: Findings) -> Iterator[Path]:
    """Yield the images in a folder, or those that a text file lists.

    Raises:
        CompanionError: the list is no text.
    """
    if place.is_dir():
        yield from _images_below(place)
        return
    for line in read_listed(place):
        path = _place(root, str(place.parent.relative_to(root)), line)
        if path is None or not path.is_file():
            findings.add(place, checking.MISSING_IMAGE, f"no {as_listed(line)}")
        else:
            yield path


def _images_below(folder: Path) -> Iterator[Path]:
    """Yield the image files in a folder and in its subfolders, sorted; no link leads back up."""
    for path in visible(folder):
        if os.path.isdir(path):
            if not folder.resolve().is_relative_to(path.resolve()):
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
        lines = file.read_bytes().decode().removeprefix("\ufeff").splitlines()
    except (UnicodeDecodeError, OSError) as error:
        findings.add(file, checking.BROKEN_ANNOTATION, reason(error))
        return None
    rows, texts = list[list[str]](), list[str]()
    for number, line in enumerate(lines, start=1):
        values = line.split()
        if len(values) == 5:
            rows.append(values)
            texts.append(f"line {number}, {line.strip():.200},")
        elif values:
            what = f"line {number} has {len(values)} values where 5 are expected"
            findings.add(file, checking.BROKEN_ANNOTATION, what)
    numbers = [list(map(as_number, values[1:])) for values in rows]
    corners = centres_to_corners(torch.tensor(numbers, dtype=torch.float64).reshape(-1, 4)).tolist()
    labels = [names.get(_number(values[0])) for values in rows]
    return [RawBox(*row) for row in zip(labels, map(tuple, corners), texts, strict=True)]


def _number(text: str) -> int:
    """Return the number of a class; -1 for what is none."""
    return int(text) if text.isdecimal() and len(text) <= 9 else -1


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
    corners = torch.tensor([box.corners for box in image.boxes], dtype=torch.float64).reshape(-1, 4)
    fractions = pixels_to_fractions(corners, width=image.width, height=image.height)
    rows = []
    for box, numbers in zip(image.boxes, corners_to_centres(fractions).tolist(), strict=True):
        texts = [as_text(number, decimals=FRACTION_DECIMALS) for number in numbers]
        rows.append(f"{classes.index(box.label)} {' '.join(texts)}\n")
    return "".join(rows)
