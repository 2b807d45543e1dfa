"""COCO: one json file for many images, with the lists `images`, `annotations` and `categories`.

Read are json files in the folder itself, in `annotations/`, and in `train/`, `val/` (`valid/`) and
`test/`; the part is taken from that folder, or from the file's name (`instances_val2017.json` is
val). An image is looked for by its `file_name` beside the json file, in the folder, in `images/`,
and in folders named like the part. Where some json files begin with `instances`, the others (of
keypoints and the like) are left alone. Ids may be any numbers, or any texts; a text is no number.
Categories of one name are one class. A box is `[x, y, width, height]` in
pixels, a corner being a point: no pixel is counted.

An annotation with `iscrowd` 1 stands for a group of objects that were not told apart. It is kept as
a box with `is_crowd`, which no dataset hands on as an object. An image that no annotation refers to
has no box; one that the file does not list is no part of it.

Reference: lin2014microsoft
"""

from __future__ import annotations

import codecs
import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from companion.boxes import checking
from companion.boxes.checking import IMAGE_SUFFIXES, Findings, RawBox, RawImage, as_number, visible
from companion.boxes.records import PARTS, Annotations, Box
from companion.boxes.texts import is_label, reason
from companion.boxes.writing import DECIMALS, Put, write_text

__all__ = ["is_here", "read", "write"]

FOLDERS_OF_PARTS = {"train": "train", "val": "val", "valid": "val", "test": "test"}
KEYS = ("images", "annotations", "categories")


def is_here(root: Path) -> bool:
    """Return whether a folder holds a json file with the three lists where this format has it.

    Args:
        root: the folder.
    """
    return bool(_files(root))


def read(root: Path, findings: Findings) -> tuple[list[RawImage], tuple[str, ...]]:
    """Return what the json files of a folder say, and the names of their categories.

    Args:
        root: the folder.
        findings: where problems are written down.

    Modifies: `findings`.
    """
    images: list[RawImage] = []
    classes: dict[str, None] = {}
    for file, _ in _json_files(root):
        if not file.exists():
            findings.add(file, checking.BROKEN_ANNOTATION, "a link to nothing")
    for file, part in _files(root):
        try:
            content = json.loads(file.read_bytes())
            _check_lists(content)
            names = _names(content["categories"])
            images += _images(root, file, part, content, names, findings)
        except (ValueError, KeyError, RecursionError) as error:
            findings.add(file, checking.BROKEN_ANNOTATION, reason(error))
            continue
        classes |= dict.fromkeys(names[number] for number in sorted(names))
    return images, tuple(classes)


def _files(root: Path) -> list[tuple[Path, str]]:
    """Return the json files that are annotations, with the part that each describes."""
    found = [row for row in _json_files(root) if _has_lists(row[0])]
    of_objects = [row for row in found if row[0].name.startswith("instances")]
    return of_objects or found


def _json_files(root: Path) -> list[tuple[Path, str]]:
    """Return the json files of a folder, with the part that each would describe."""
    places = [(root, ""), (root / "annotations", "")]
    places += [(root / name, part) for name, part in FOLDERS_OF_PARTS.items()]
    return [
        (path, part or _part_in_name(path.stem))
        for folder, part in places
        for path in visible(folder)
        if path.suffix.lower() == ".json" and not path.is_dir()
    ]


def _has_lists(path: Path) -> bool:
    """Return whether a json file speaks of images, annotations and categories."""
    if not path.is_file():
        return False
    content = path.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        content = content.replace(b"\0", b"")
    return all(f'"{key}"'.encode() in content for key in KEYS)


def _part_in_name(stem: str) -> str:
    """Return the part that a file's name speaks of; empty for none."""
    words = r"(?<![a-z])(train(?:ing)?|trainval|val(?:id(?:ation)?)?|test(?:ing)?)(?![a-z])"
    found = re.search(words, stem.lower())
    return next((part for part in PARTS if found and found[1].startswith(part)), "")


def _check_lists(content: Any) -> None:
    """Refuse what is no table with the three lists of tables.

    Raises:
        KeyError: a list is missing.
        ValueError: something is of another kind.
    """
    if not isinstance(content, dict):
        raise ValueError(f"a {type(content).__name__} where a table of lists is expected")
    for key in KEYS:
        rows = content[key]
        wrong = [rows] if not isinstance(rows, list) else [r for r in rows if type(r) is not dict]
        if wrong:
            raise ValueError(f"{key} holds {wrong[0]!r:.40}, where a list of tables is expected")


def _names(categories: list[dict[str, Any]]) -> dict[Any, str]:
    """Return the names of the categories by their ids.

    Raises:
        KeyError: an id or a name is missing.
        ValueError: an id is none or stands for two names, ids are of two kinds, a name is none.
    """
    names: dict[Any, str] = {}
    for row in categories:
        number, name = row["id"], row["name"]
        if not _is_id(number):
            raise ValueError(f"{number!r:.40} is the id of a category; numbers or texts can be ids")
        name = name.strip() if isinstance(name, str) else name
        if not is_label(name):
            raise ValueError(f"category {number!r:.40} is called {name!r:.40}, which is no name")
        if names.setdefault(number, name) != name:
            raise ValueError(f"category {number!r:.40} is called {names[number]} and {name}")
    texts = [number for number in names if isinstance(number, str)]
    if texts and len(texts) < len(names):
        raise ValueError(f"ids of categories are numbers and texts, such as {texts[0]!r:.40}")
    return names


def _is_id(value: object) -> bool:
    """Return whether something may be an id: a number or a text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    return not isinstance(value, float) or math.isfinite(value)


def _images(
    root: Path,
    file: Path,
    part: str,
    content: Mapping[str, Any],
    names: Mapping[Any, str],
    findings: Findings,
) -> list[RawImage]:
    """Return the images of a json file with their boxes."""
    boxes: dict[Any, list[RawBox]] = {}
    for row in content["images"]:
        number = row["id"]
        if not _is_id(number):
            raise ValueError(f"{number!r:.40} is the id of an image; numbers or texts can be ids")
        if number in boxes:
            raise ValueError(f"two images with the same id {number!r:.40}")
        boxes[number] = []
    for row in content["annotations"]:
        number = row.get("image_id")
        if _is_id(number) and number in boxes:
            boxes[number].append(_raw_box(row, names))
        else:
            what = f"annotation {row.get('id')} of image {number!r:.40}, which is not listed"
            findings.add(file, checking.MISSING_IMAGE, what)
    places = _places(root, file, part)
    images = []
    for row in content["images"]:
        if not isinstance(row.get("file_name"), str):
            what = f"image {row['id']} has the file_name {row.get('file_name')!r:.40}"
            findings.add(file, checking.BROKEN_ANNOTATION, what)
            continue
        name = row["file_name"].replace("\\", "/")
        path = _find(name, places)
        if path is None:
            findings.add(file, checking.MISSING_IMAGE, f"no {name}")
            continue
        stem = str(PurePosixPath(name).with_suffix(""))
        images.append(RawImage(file, path, stem, boxes[row["id"]], part, _size(row)))
    return images


def _places(root: Path, file: Path, part: str) -> list[Path]:
    """Return the folders where the images of a json file may lie."""
    named = [file.stem.removeprefix("instances_"), *([part] if part else [])]
    inside = [root / "images", root]
    return [file.parent, *inside, *(folder / name for name in named for folder in inside)]


def _find(name: str, places: list[Path]) -> Path | None:
    """Return where an image lies; a name that leads out of the folder leads nowhere."""
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts or not relative.parts:
        return None
    if relative.suffix.lower() not in IMAGE_SUFFIXES:
        return None
    paths = [place / relative for place in places]
    return next((path for path in paths if os.path.isfile(path)), None)


def _size(row: Mapping[str, Any]) -> tuple[object, object] | None:
    """Return width and height of an image as they stand; `None` where they do not."""
    if row.get("width") is None or row.get("height") is None:
        return None
    return row["width"], row["height"]


def _raw_box(row: Mapping[str, Any], names: Mapping[Any, str]) -> RawBox:
    """Return an annotation as a box."""
    values = row.get("bbox")
    numbers = [as_number(v) for v in values] if isinstance(values, list) else []
    x, y, width, height = numbers if len(numbers) == 4 else [float("nan")] * 4
    number = row.get("category_id")
    label = names.get(number) if _is_id(number) else None
    return RawBox(
        label,
        (x, y, x + width, y + height),
        f"{label or f'category {number!r:.40}'} [x, y, w, h] {values!s:.200}",
        is_difficult=row.get("difficult") == 1,
        is_crowd=row.get("iscrowd") == 1,
    )


def write(annotations: Annotations, folder: Path, put: Put) -> None:
    """Write images and one json file, or one for each part where the images have parts.

    COCO does not know `difficult`: it is written as a key of its own, which others pass over.

    Args:
        annotations: each image named as its file may be called.
        folder: where to; it is there and empty.
        put: brings an image into a folder and returns the name of its file there.
    """
    ids = {name: number for number, name in enumerate(annotations.classes, start=1)}
    categories = [{"id": number, "name": name} for name, number in ids.items()]
    for part in annotations.part_counts():
        images: list[dict[str, object]] = []
        rows: list[dict[str, object]] = []
        for image in annotations.images:
            if image.part != part:
                continue
            number = len(images) + 1
            size = {"width": image.width, "height": image.height}
            images.append({"id": number, "file_name": put(image, folder / "images"), **size})
            rows += [_as_row(b, len(rows) + i, number, ids) for i, b in enumerate(image.boxes, 1)]
        content = {"images": images, "annotations": rows, "categories": categories}
        name = f"instances_{part}.json" if part else "instances.json"
        write_text(folder / "annotations" / name, json.dumps(content, indent=1) + "\n")


def _as_row(box: Box, number: int, image: int, ids: Mapping[str, int]) -> dict[str, object]:
    """Return a box as an annotation."""
    width, height = box.x_max - box.x_min, box.y_max - box.y_min
    row: dict[str, object] = {
        "id": number,
        "image_id": image,
        "category_id": ids[box.label],
        "bbox": [round(value, DECIMALS) for value in (box.x_min, box.y_min, width, height)],
        "area": round(width * height, DECIMALS),
        "iscrowd": int(box.is_crowd),
    }
    return row | ({"difficult": 1} if box.is_difficult else {})
