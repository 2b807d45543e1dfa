"""Small folders of annotated images for the tests of boxes, whole and broken."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from companion.boxes import AnnotatedImage, Annotations, Box

SIZES = {"a": (40, 30), "b": (64, 48), "c": (33, 57), "d": (50, 50), "e": (50, 50), "f": (21, 9)}
PARTS = {"a": "train", "b": "train", "c": "val", "d": "train", "e": "test", "f": "test"}
BOXES = {
    "a": [Box("cat", 1, 2, 13, 17), Box("dog", 20, 0, 40, 30, is_difficult=True)],
    "b": [Box("dog", 10.25, 7.5, 63.125, 48)],
    "c": [Box("cat", 0, 0, 33, 57), Box("cat", 5, 6, 7, 9), Box("dog", 1, 1, 2, 2)],
    "d": [],
    "e": [Box("bird & fish", 10, 10, 30, 20)],
    "f": [Box("cat", 1, 1, 20, 8)],
}
WHOLE = "cat 1 2 13 17"
CLASSES = ("bird & fish", "cat", "dog")


def draw_image(path: Path, size: tuple[int, int], seed: int = 0) -> Path:
    """Write an image of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3))
    Image.fromarray(noise.astype(np.uint8)).save(path)
    return path


def made(root: Path, *, divided: bool = True) -> Annotations:
    """Six images of three classes, one of them empty, with or without parts."""
    images = tuple(
        AnnotatedImage(
            name=name,
            path=draw_image(root / f"{name}.png", SIZES[name], seed=number),
            width=SIZES[name][0],
            height=SIZES[name][1],
            boxes=tuple(BOXES[name]),
            part=PARTS[name] if divided else "",
        )
        for number, name in enumerate(SIZES)
    )
    return Annotations(images, CLASSES)


def voc_xml(*boxes: str, size: str | None = "<width>40</width><height>30</height>", **more: str):
    """The text of an xml file; a box is like "cat 1 2 13 17"."""
    rows = [box.split() for box in boxes]
    objects = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin>"
        f"<xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
        for label, a, b, c, d in rows
    )
    size = "" if size is None else f"<size>{size}</size>"
    others = "".join(f"<{key}>{value}</{key}>" for key, value in more.items())
    return f"<annotation>{others}{size}{objects}</annotation>"


def write_voc(root: Path, files: dict[str, str], *, images: tuple[str, ...] = ("a",)) -> Path:
    """Write xml files, and images of 40 x 30 pixels beside them."""
    root.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (root / f"{name}.xml").write_text(content)
    for number, name in enumerate(images):
        draw_image(root / f"{name}.png", (40, 30), number)
    return root


def coco(root: Path, **changes: object) -> Path:
    """Write a json file of two images, one box, with other lists where wanted."""
    content = {
        "images": [
            {"id": 1, "file_name": "a.png", "width": 40, "height": 30},
            {"id": 2, "file_name": "b.png", "width": 40, "height": 30},
        ],
        "annotations": [{"id": 7, "image_id": 1, "category_id": 4, "bbox": [1, 2, 12, 15]}],
        "categories": [{"id": 4, "name": "cat"}],
    }
    root.mkdir(parents=True)
    (root / "all.json").write_text(json.dumps(content | changes))
    for name in "ab":
        draw_image(root / f"{name}.png", (40, 30))
    return root


def coco_row(**changes: object):
    """Return what writes a json file whose one box is changed."""
    row = {"id": 7, "image_id": 1, "category_id": 4, "bbox": [1, 2, 12, 15]} | changes
    return lambda root: coco(root, annotations=[row])


def yolo(root: Path, labels: str = "0 0.5 0.5 0.5 0.5\n", yaml: str = "names: [cat]\n") -> Path:
    """Write a yaml file, and one image with its label file."""
    (root / "labels").mkdir(parents=True)
    (root / "data.yaml").write_text(yaml)
    (root / "labels" / "a.txt").write_text(labels)
    draw_image(root / "images" / "a.png", (40, 30))
    return root
