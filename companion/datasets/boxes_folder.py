"""The reader's own images with boxes: a folder, or a zip of it, in one of three formats.

The folder is read by `companion.boxes`, which tells the layouts. Its own division into train, val
and test is kept. Where it has no test, a fifth of the images of train is set aside by the content
of the files, so that it is the same fifth whatever the seed. What is wrong with boxes or images is
left out (boxes partly outside are clipped), with a warning and with a note on the card; so are
boxes that stand for a crowd. Boxes that are marked as difficult count like any other.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from companion import assets, boxes, checks, runtime
from companion.boxes import AnnotatedImage, Annotations
from companion.datasets.base import Source
from companion.datasets.image_files import ImageFiles
from companion.registry import DatasetCard
from companion.splits import Split, TestSplit

__all__ = ["CARD", "as_labels", "as_split", "load", "unpacked"]

TEST_SHARE = 5
"""Without a test part one image in five is test."""

CARD = DatasetCard(
    name="boxes",
    title="Your own images with boxes",
    modality="vision",
    task="detection",
    classes=(),
    licence="yours",
    source="a folder on this machine",
    notes="Expects a folder (or a zip) in the format of Pascal VOC, COCO or YOLO.",
)


def load(path: Path | None = None) -> Source:
    """Read, verify and part the images of a folder; they are decoded when they are used.

    Args:
        path: the folder, or a zip file of it, which is unpacked into the cache.

    Returns:
        Pool, test, and val where the folder has one; images (3, height, width), float32 in
        [0, 1], each in its own size; labels as `Split` has them for detection.

    Raises:
        CompanionError: no such folder, no annotations in it, no boxes, or an image in two parts.

    Warns:
        UserWarning: problems of images or boxes, images in no part, copies, crowds.
    """
    if path is None:
        checks.fail(
            "path of the dataset 'boxes'",
            got="None",
            expected="a folder or a zip of images with boxes, in the format of VOC, COCO or YOLO",
            do='pass it: load_dataset("boxes", path="my_images")',
        )
    root = unpacked(path) if path.is_file() else path
    found = boxes.read_annotations(root, on_problem="report", whole_images=True)
    if not any(found.class_counts().values()):
        checks.fail(
            f"folder {path}",
            got="no boxes",
            expected="at least one box that is whole",
            do="check it with `python -m companion boxes check`",
        )
    hashes = {image.path: runtime.sha256_file(image.path) for image in found.images}
    images = _with_test(_without_copies(_in_parts(found), hashes), hashes)
    prefix = _readable(path.stem if path.is_file() else path.resolve().name)
    parts = {
        part: as_split(
            "pool" if part == "train" else part,
            [image for image in images if image.part == part],
            found.classes,
            prefix=prefix,
        )
        for part in boxes.PARTS
    }
    key = "".join(sorted(hashes[image.path] for image in images if image.part == "test"))
    card = replace(CARD, title=prefix, classes=found.classes, source=_readable(str(path.resolve())))
    return Source(
        pool=parts["train"],
        val_pool=parts["val"] if len(parts["val"]) else None,
        test=TestSplit(parts["test"], content_key=hashlib.sha256(key.encode()).hexdigest()),
        card=replace(card, notes=notes_on(found)),
    )


def unpacked(archive: Path) -> Path:
    """Return the folder that a zip file was unpacked into, below the cache.

    Args:
        archive: the zip file; it is unpacked once for each content.

    Raises:
        CompanionError: it is no whole zip file, or the cache cannot be written.
    """
    name = f"{archive.stem}-{runtime.sha256_file(archive)[:16]}"
    folder = assets.cache_directory() / "unpacked" / name
    if folder.is_dir():
        return folder
    try:
        with zipfile.ZipFile(archive) as content, runtime.atomic_directory(folder) as temporary:
            content.extractall(temporary)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        checks.fail(
            f"file {archive}",
            got=str(error),
            expected="a whole zip file without a password",
            do="get it again, or unpack it yourself and name the folder",
        )
    return folder


def as_split(
    name: str, images: Sequence[AnnotatedImage], classes: Sequence[str], *, prefix: str
) -> Split:
    """Return annotated images as a split of the task detection.

    Args:
        name: of the split.
        images: the images.
        classes: names of the class ids.
        prefix: what the images' names follow in their ids.
    """
    return Split(
        name,
        ImageFiles([image.path for image in images]),
        [as_labels(image, classes) for image in images],
        tuple(_readable(f"{prefix}/{image.name}") for image in images),
        tuple(classes),
        task="detection",
    )


def as_labels(image: AnnotatedImage, classes: Sequence[str]) -> Tensor:
    """Return the boxes of an image as a label of the task detection, without crowds.

    Args:
        image: with boxes in pixels.
        classes: names of the class ids.

    Returns:
        (boxes, 5), float32: class id and corners as fractions of width and height.
    """
    kept = [box for box in image.boxes if not box.is_crowd]
    if not kept:
        return torch.zeros(0, 5)
    ids = torch.tensor([[classes.index(box.label)] for box in kept], dtype=torch.float64)
    corners = torch.tensor([box.corners for box in kept], dtype=torch.float64)
    fractions = boxes.pixels_to_fractions(corners, width=image.width, height=image.height)
    return torch.cat([ids, fractions], dim=1).float()


def notes_on(found: Annotations) -> str:
    """Return what a reader must know of a folder that was read: format, faults, marks.

    Args:
        found: what was read.
    """
    every = [box for image in found.images for box in image.boxes]
    num_crowds = sum(box.is_crowd for box in every)
    num_difficult = sum(box.is_difficult for box in every)
    notes = [f"Read as {found.format}."]
    if found.problems:
        notes.append(f"Left out or clipped: {boxes.said(found.problems)}.")
    if num_crowds:
        notes.append(f"{num_crowds} crowds are left out.")
    if num_difficult:
        notes.append(f"{num_difficult} boxes marked difficult count like any other.")
    return " ".join(notes)


def _in_parts(found: Annotations) -> list[AnnotatedImage]:
    """Return the images that may be used, each with its part; all in train without a division.

    Raises:
        CompanionError: the folder has parts, but none to train on.
    """
    counts = found.part_counts()
    num_crowds = sum(box.is_crowd for image in found.images for box in image.boxes)
    if num_crowds:
        warnings.warn(f"{num_crowds} boxes that stand for a crowd are left out", stacklevel=4)
    if set(counts) == {""}:
        return [replace(image, part="train") for image in found.images]
    if "train" not in counts:
        checks.fail(
            "images with boxes",
            got=", ".join(f"{number} in {part or 'no part'}" for part, number in counts.items()),
            expected="images in train",
            do="list images to train on, or take the lists away",
        )
    if "" in counts:
        warnings.warn(
            f"{counts['']} images are in no list of the folder and are left out", stacklevel=4
        )
    return [image for image in found.images if image.part]


def _without_copies(
    images: Sequence[AnnotatedImage], hashes: dict[Path, str]
) -> list[AnnotatedImage]:
    """Return the images without byte-equal copies, which are warned of.

    Raises:
        CompanionError: a copy lies in another part or has other boxes.
    """
    first: dict[str, AnnotatedImage] = {}
    copies = []
    for image in images:
        original = first.setdefault(hashes[image.path], image)
        if original is image:
            continue
        copies.append(f"{image.path} is a copy of {original.path}")
        is_apart = original.part != image.part
        if is_apart or sorted(map(repr, original.boxes)) != sorted(map(repr, image.boxes)):
            checks.fail(
                f"images {original.path} and {image.path}",
                got=f"the same file {'in two parts' if is_apart else 'with different boxes'}",
                expected="each image once, so that nothing is judged by what it was trained on",
                do="delete one of them",
            )
    if copies:
        warnings.warn(
            f"{len(copies)} images are used once although there are copies: {copies[0]}",
            stacklevel=4,
        )
    return list(first.values())


def _with_test(
    images: Sequence[AnnotatedImage], hashes: dict[Path, str]
) -> Sequence[AnnotatedImage]:
    """Return the images with a fifth of train moved to test, by checksum, where there is no test.

    Raises:
        CompanionError: there is one image only.
    """
    if any(image.part == "test" for image in images):
        return images
    pool = sorted(hashes[image.path] for image in images if image.part == "train")
    if len(pool) < 2:
        checks.fail(
            "images with boxes",
            got=f"{len(pool)} to train on and none for test",
            expected="at least 2, one to train on and one for test",
            do="add images",
        )
    test = set(pool[: max(1, round(len(pool) / TEST_SHARE))])
    return [
        replace(i, part="test") if i.part == "train" and hashes[i.path] in test else i
        for i in images
    ]


def _readable(name: str) -> str:
    """Return a file's name as text that can be written; letters with marks are composed (NFC)."""
    return unicodedata.normalize("NFC", os.fsencode(name).decode(errors="backslashreplace"))
