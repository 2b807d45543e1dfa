"""Photographs of single blood cells: crops of the boxes of BCCD, 32 x 32 pixels in colour.

A red cell, a white cell or a platelet each. Crops of one photograph are one group.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import torch

from companion import assets, checks, runtime
from companion.assets import RemoteFile
from companion.datasets.base import Source, refuse_path, stand_in
from companion.registry import DatasetCard
from companion.splits import Split

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["CARD", "FILES", "IMAGE_SIZE", "Box", "load", "read_boxes"]

IMAGE_SIZE = 32
"""Height and width of a crop, in pixels."""

MARGIN = 0.15
"""What is shown around a box on each side, as a share of its longer side."""

RED_CELLS_PER_IMAGE = 2
"""Red cells are eleven times as many as white ones; of each photograph the first two are kept."""

FILES = (
    RemoteFile(
        "vision/bccd_voc.zip",
        "https://github.com/Shenggan/BCCD_Dataset/archive/"
        "d272fb14cdff6e473fafeeeba32aba5f560e9e43.zip",
        "9c05b00ca39d75fc278399fb96344164001d3a7d9a8489be72fd462f408a6b0f",
        7785343,
        licence="MIT",
    ),
)
"""The authors' files in one zip; the address has the same files in another zip."""

CARD = DatasetCard(
    name="bccd_cells",
    title="BCCD, single cells",
    modality="vision",
    task="classification",
    classes=("RBC", "WBC", "Platelets"),
    licence="MIT",
    source="github.com/Shenggan/BCCD_Dataset, boxes cut out",
    size_bytes=FILES[0].size_bytes,
    sha256=((PurePosixPath(FILES[0].name).name, FILES[0].sha256),),
    notes="Boxes cut out with a margin of 15 % and resized to 32 x 32, so that the size of a cell "
    "is lost. Of each photograph the first two red cells are kept, and all others. The official "
    "list trainval is the pool, test the test set; a group is a photograph, of which patient is "
    "not told. Two red cells whose boxes have no area are left out, both of the pool. Stored as "
    "negatives, bright cells on a dark ground, as our backbone wants them.",
)

_NAME = re.compile(r"(?:^|/)(Annotations|JPEGImages|ImageSets/Main)/([^/]+)\.(xml|jpg|txt)$")
_PARTS = {"pool": "trainval", "test": "test"}


@dataclass(frozen=True)
class Box:
    """One box of one photograph.

    Attributes:
        image: name of the photograph.
        label: name of the cell's type.
        corners: x_min, y_min, x_max, y_max, in pixels.
    """

    image: str
    label: str
    corners: tuple[int, int, int, int]

    @property
    def has_area(self) -> bool:
        """Whether the box holds anything."""
        left, top, right, bottom = self.corners
        return right > left and bottom > top


def load(path: Path | None = None) -> Source:
    """Load the crops.

    Args:
        path: not used; put the file below `COMPANION_DATA` instead.

    Returns:
        Pool and test; images (items, 3, 32, 32), uint8, negatives; groups are photographs. At the
        scale `rehearsal` a few random images of this form.

    Raises:
        CompanionError: the file is broken or not on this machine.
    """
    refuse_path(CARD, path)
    if runtime.scale() == "rehearsal":
        return stand_in(CARD, (3, IMAGE_SIZE, IMAGE_SIZE))
    found = assets.locate(FILES[0])
    if found is None:
        checks.fail(
            f"dataset {CARD.name!r}",
            got=f"no {FILES[0].name}",
            expected=f"a zip ({CARD.size_bytes / 1e6:.1f} MB) with SHA-256 {FILES[0].sha256}",
            do="put it below the folder that COMPANION_DATA names",
        )
    with zipfile.ZipFile(found) as archive:
        pool, test = (_split(archive, part) for part in _PARTS)
    return Source(pool, test, CARD, grouped=True)


def read_boxes(archive: zipfile.ZipFile, part: str) -> list[Box]:
    """Return all boxes of the photographs of one official list, those without area included.

    Args:
        archive: the zip.
        part: name of a list, such as `"trainval"`.

    Raises:
        CompanionError: the zip lacks the list, an annotation or its content.
    """
    names = _names(archive)
    listed = archive.read(_member(names, "ImageSets/Main", part)).decode().split()
    return [
        box
        for image in listed
        for box in _boxes(image, archive.read(_member(names, "Annotations", image)))
    ]


def _boxes(image: str, content: bytes) -> Iterator[Box]:
    """Yield the boxes of one annotation, in its order."""
    for element in ElementTree.fromstring(content).iter("object"):
        label = element.findtext("name", "")
        checks.one_of(f"name in Annotations/{image}.xml", label, CARD.classes)
        ends = [element.findtext(f"bndbox/{end}", "") for end in ("xmin", "ymin", "xmax", "ymax")]
        left, top, right, bottom = (int(float(end)) for end in ends)
        yield Box(image, label, (left, top, right, bottom))


def _split(archive: zipfile.ZipFile, name: str) -> Split:
    """Return the crops of one part, photograph by photograph."""
    import numpy as np
    from PIL import Image

    names, crops, kept = _names(archive), [], list[Box]()
    photographs: dict[str, Image.Image] = {}
    for box in _kept(read_boxes(archive, _PARTS[name])):
        if box.image not in photographs:
            raw = archive.read(_member(names, "JPEGImages", box.image))
            photographs = {box.image: Image.open(io.BytesIO(raw)).convert("RGB")}
        crops.append(np.asarray(_crop(photographs[box.image], box)))
        kept.append(box)
    images = 255 - torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous()
    labels = torch.tensor([CARD.classes.index(box.label) for box in kept])
    ids = tuple(f"bccd_cells/{box.image}/{number}" for number, box in _numbered(kept))
    return Split(name, images, labels, ids, CARD.classes, groups=tuple(b.image for b in kept))


def _kept(boxes: list[Box]) -> Iterator[Box]:
    """Yield the boxes with an area, of red cells the first of each photograph."""
    num_red: dict[str, int] = {}
    for box in boxes:
        if not box.has_area:
            continue
        if box.label == "RBC":
            num_red[box.image] = num_red.get(box.image, 0) + 1
            if num_red[box.image] > RED_CELLS_PER_IMAGE:
                continue
        yield box


def _numbered(boxes: list[Box]) -> Iterator[tuple[int, Box]]:
    """Yield each box with its number in its photograph, from 0."""
    seen: dict[str, int] = {}
    for box in boxes:
        seen[box.image] = seen.get(box.image, -1) + 1
        yield seen[box.image], box


def _crop(photograph: Image, box: Box) -> Image:
    """Return the square around a box, as far as it is in the photograph, 32 x 32 pixels."""
    left, top, right, bottom = box.corners
    half = (0.5 + MARGIN) * max(right - left, bottom - top)
    column, row = (left + right) / 2, (top + bottom) / 2
    width, height = photograph.size
    window = (
        max(0.0, column - half),
        max(0.0, row - half),
        min(float(width), column + half),
        min(float(height), row + half),
    )
    from PIL import Image

    return photograph.resize(
        (IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BILINEAR, box=window, reducing_gap=None
    )


def _names(archive: zipfile.ZipFile) -> dict[tuple[str, str], str]:
    """Return the members of the zip by folder and name, wherever the folders lie."""
    found = {name: _NAME.search(name) for name in archive.namelist()}
    return {(hit[1], hit[2]): name for name, hit in found.items() if hit}


def _member(names: dict[tuple[str, str], str], folder: str, name: str) -> str:
    """Return the path of a member that must be there."""
    if (folder, name) not in names:
        checks.fail(
            f"file {FILES[0].name}",
            got=f"no {folder}/{name}",
            expected="the folders Annotations, JPEGImages and ImageSets/Main of BCCD",
            do="get the whole file again",
        )
    return names[folder, name]
