"""COCO: one json file for many images, with the lists `images`, `annotations` and `categories`.

Read are json files in the folder itself, in `annotations/`, and in `train/`, `val/` (`valid/`) and
`test/`; the part is taken from that folder, or from the file's name (`instances_val2017.json` is
val). An image is looked for by its `file_name` beside the json file, in the folder, in `images/`,
and in folders named like the part. Where some json files begin with `instances`, the others (of
keypoints and the like) are left alone. Ids may be any numbers. A box is `[x, y, width, height]` in
pixels, a corner being a point: no pixel is counted.

An annotation with `iscrowd` 1 stands for a group of objects that were not told apart. It is kept as
a box with `is_crowd`, which no dataset hands on as an object. An image that no annotation refers to
has no box; one that the file does not list is no part of it.

Reference: lin2014microsoft
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from companion.boxes import checking
from companion.boxes.checking import IMAGE_SUFFIXES, Findings, RawBox, RawImage, as_number, visible
from companion.boxes.records import PARTS, Annotations, Box
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
    for file, part in _files(root):
        try:
            content = json.loads(file.read_bytes())
            names = {row["id"]: str(row["name"]) for row in content["categories"]}
            images += _images(root, file, part, content, names, findings)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            said = f"no {error}" if isinstance(error, KeyError) else str(error)
            findings.add(file, checking.BROKEN_ANNOTATION, said)
            continue
        classes |= dict.fromkeys(names[number] for number in sorted(names))
    return images, tuple(classes)


def _files(root: Path) -> list[tuple[Path, str]]:
    """Return the json files that are annotations, with the part that each describes."""
    places = [(root, ""), (root / "annotations", "")]
    places += [(root / name, part) for name, part in FOLDERS_OF_PARTS.items()]
    found = [
        (path, part or _part_in_name(path.stem))
        for folder, part in places
        for path in visible(folder)
        if path.suffix.lower() == ".json" and _has_lists(path)
    ]
    of_objects = [row for row in found if row[0].name.startswith("instances")]
    return of_objects or found


def _has_lists(path: Path) -> bool:
    """Return whether a json file speaks of images, annotations and categories."""
    content = path.read_bytes()
    return all(f'"{key}"'.encode() in content for key in KEYS)


def _part_in_name(stem: str) -> str:
    """Return the part that a file's name speaks of; empty for none."""
    words = r"(?<![a-z])(train(?:ing)?|trainval|val(?:id(?:ation)?)?|test(?:ing)?)(?![a-z])"
    found = re.search(words, stem.lower())
    return next((part for part in PARTS if found and found[1].startswith(part)), "")


def _images(
    root: Path,
    file: Path,
    part: str,
    content: Mapping[str, Any],
    names: Mapping[Any, str],
    findings: Findings,
) -> list[RawImage]:
    """Return the images of a json file with their boxes."""
    boxes: dict[Any, list[RawBox]] = {row["id"]: [] for row in content["images"]}
    if len(boxes) < len(content["images"]):
        raise ValueError("two images with the same id")
    for row in content["annotations"]:
        if row["image_id"] in boxes:
            boxes[row["image_id"]].append(_raw_box(row, names))
        else:
            what = f"annotation {row.get('id')} of image {row['image_id']}, which is not listed"
            findings.add(file, checking.MISSING_IMAGE, what)
    places = _places(root, file, part)
    images = []
    for row in content["images"]:
        name = str(row["file_name"]).replace("\\", "/")
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
    return next((place / relative for place in places if (place / relative).is_file()), None)


def _size(row: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return width and height of an image; `None` where the file does not give them."""
    if row.get("width") is None or row.get("height") is None:
        return None
    return int(row["width"]), int(row["height"])


def _raw_box(row: Mapping[str, Any], names: Mapping[Any, str]) -> RawBox:
    """Return an annotation as a box."""
    values = row.get("bbox")
    numbers = [as_number(v) for v in values] if isinstance(values, list) else []
    x, y, width, height = numbers if len(numbers) == 4 else [float("nan")] * 4
    label = names.get(row.get("category_id"))
    return RawBox(
        label,
        (x, y, x + width, y + height),
        f"{label or 'category ' + str(row.get('category_id'))} [x, y, w, h] {values}",
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
