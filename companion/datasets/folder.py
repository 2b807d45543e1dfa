"""The reader's own images: one folder a class, or train/val/test folders with classes inside.

Without a `test` folder a fifth of each class is set aside by the content of the files, so that it
is the same fifth whatever the seed. Copies of a file are used once; a file that lies in two parts,
or under two classes, is refused: a model could learn it by heart.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from companion import checks
from companion.datasets.base import Source
from companion.datasets.image_files import SUFFIXES, ImageFiles, find_images, fingerprints
from companion.registry import DatasetCard
from companion.splits import Split, TestSplit

__all__ = ["CARD", "load"]

TEST_SHARE = 5
"""Without a test folder one image in five is test."""

PARTS = ("train", "val", "test")
LAYOUT = "a folder of images for each class, or train, val and test with such folders inside"

CARD = DatasetCard(
    name="folder",
    title="Your own images",
    modality="vision",
    task="classification",
    classes=(),
    licence="yours",
    source="a folder on this machine",
    notes=f"Expects {LAYOUT}.",
)


@dataclass(frozen=True)
class _Image:
    """An image file with its class and the part of the folder it lies in."""

    path: Path
    label: str
    part: str
    sha256: str = ""


def load(path: Path | None = None) -> Source:
    """Find, verify and part the images of a folder; they are decoded when they are used.

    Args:
        path: the folder.

    Returns:
        Pool, test, and val where the folder has one; images (3, height, width), float32 in
        [0, 1], each in its own size.

    Raises:
        CompanionError: no such folder, no images, one class only, a class without images, a file
            that is no image or broken, a file in two parts or under two classes.
    """
    if path is None:
        checks.fail(
            "path of the dataset 'folder'",
            got="None",
            expected=f"a folder that holds {LAYOUT}",
            do='pass it: load_dataset("folder", path="my_images")',
        )
    root = checks.existing_directory("folder of images", path).resolve()
    images = _verified(_without_parts(root) or _with_parts(root))
    images = _without_copies(images)
    if not any(image.part == "test" for image in images):
        images = _set_test_aside(images)
    classes = tuple(sorted({image.label for image in images if image.part == "train"}))
    card = replace(CARD, title=_readable(root.name), classes=classes, source=_readable(str(root)))
    parts = {part: _split(root, images, part, classes) for part in PARTS}
    key = hashlib.sha256("".join(sorted(i.sha256 for i in images if i.part == "test")).encode())
    return Source(
        pool=parts["train"],
        val_pool=parts["val"] if len(parts["val"]) else None,
        test=TestSplit(parts["test"], content_key=key.hexdigest()),
        card=card,
    )


def _folders(root: Path) -> list[Path]:
    """Return the visible folders in a folder, sorted."""
    checks.existing_directory("folder of images", root)
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def _without_parts(root: Path) -> list[_Image]:
    """Return the images of a folder with one folder a class; none where it has parts."""
    names = {folder.name for folder in _folders(root)}
    if "train" in names:
        return []
    if names & set(PARTS):
        checks.fail(
            f"folder {root}",
            got=f"a folder {min(names & set(PARTS))!r} without 'train' beside it",
            expected=LAYOUT,
            do="add 'train', or rename the folder if it is a class",
        )
    return _classes_in(root, "train")


def _with_parts(root: Path) -> list[_Image]:
    """Return the images of a folder with the folders train and, where there are, val and test."""
    images = []
    for folder in _folders(root):
        if folder.name not in PARTS:
            checks.fail(
                f"folder {folder}",
                got="a folder beside 'train' that is neither 'val' nor 'test'",
                expected=LAYOUT,
                do="rename it to 'val' or 'test', or move it into 'train' if it is a class",
            )
        images += _classes_in(folder, folder.name)
    known = {image.label for image in images if image.part == "train"}
    for image in images:
        if image.label not in known:
            checks.fail(
                f"class {image.label!r} in {image.part}",
                got="no such class in train",
                expected=f"one of {', '.join(map(repr, sorted(known)))}",
                do="add the class to train or delete the folder",
            )
    return images


def _classes_in(folder: Path, part: str) -> list[_Image]:
    """Return the images of a folder with one folder a class.

    Raises:
        CompanionError: images beside the class folders, no images, a class without any in train,
            or one class only.
    """
    loose = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in SUFFIXES and p.is_file()]
    classes = _folders(folder)
    if loose:
        checks.fail(
            f"image {loose[0]}",
            got="no class folder around it",
            expected=LAYOUT,
            do="move it there",
        )
    found: dict[str, list[Path]] = {}
    for sub in classes:  # two spellings of one name are one class
        found.setdefault(_readable(sub.name), []).extend(find_images(sub))
    if not any(found.values()):
        checks.fail(
            f"folder {folder}", got="no images", expected=LAYOUT, do="check the path, or add images"
        )
    empty = [name for name, paths in found.items() if not paths]
    if part == "train" and (empty or len(found) < 2):
        checks.fail(
            f"classes in {folder}",
            got=f"no image in {empty[0]!r}" if empty else f"one class only, {classes[0].name!r}",
            expected="at least two class folders, none of them empty",
            do="add images, or another class folder, or delete the empty one",
        )
    return [_Image(path, name, part) for name, paths in found.items() for path in paths]


def _verified(images: Sequence[_Image]) -> list[_Image]:
    """Return the images with their checksums, after reading each once."""
    hashes = fingerprints([image.path for image in images])
    return [replace(i, sha256=sha256) for i, sha256 in zip(images, hashes, strict=True)]


def _without_copies(images: Sequence[_Image]) -> list[_Image]:
    """Return the images without byte-equal copies, which are warned of.

    Raises:
        CompanionError: a copy lies in another part or under another class.
    """
    first: dict[str, _Image] = {}
    copies = []
    for image in images:
        original = first.setdefault(image.sha256, image)
        if (original.part, original.label) != (image.part, image.label):
            where = "two classes" if original.label != image.label else "two parts"
            checks.fail(
                f"images {original.path} and {image.path}",
                got=f"the same file in {where}",
                expected="each image once, so that nothing is judged by what it was trained on",
                do="delete one of them",
            )
        if original is not image:
            copies.append(f"{image.path} is a copy of {original.path}")
    if copies:
        warnings.warn(
            f"{len(copies)} images are used once although there are copies: {copies[0]}",
            stacklevel=4,
        )
    return list(first.values())


def _set_test_aside(images: Sequence[_Image]) -> list[_Image]:
    """Return the images with a fifth of each class of train moved to test, by checksum."""
    test: set[str] = set()
    for label in sorted({image.label for image in images}):
        hashes = sorted(i.sha256 for i in images if i.label == label and i.part == "train")
        if len(hashes) < 2:
            checks.fail(
                f"class {label!r}",
                got=f"{len(hashes)} image",
                expected="at least 2, one to train on and one for test",
                do="add images of this class",
            )
        test |= set(hashes[: max(1, round(len(hashes) / TEST_SHARE))])
    return [replace(i, part="test") if i.sha256 in test else i for i in images]


def _readable(name: str) -> str:
    """Return a file's name as text that can be written, even where its bytes are no UTF-8.

    Letters with marks are composed (NFC): the same name comes decomposed from some systems.
    """
    return unicodedata.normalize("NFC", os.fsencode(name).decode(errors="backslashreplace"))


def _split(root: Path, images: Sequence[_Image], part: str, classes: tuple[str, ...]) -> Split:
    """Return the images of one part."""
    chosen = [image for image in images if image.part == part]
    labels = torch.tensor([classes.index(image.label) for image in chosen], dtype=torch.long)
    ids = tuple(
        _readable(f"{root.name}/{image.path.relative_to(root).as_posix()}") for image in chosen
    )
    name = "pool" if part == "train" else part
    return Split(name, ImageFiles([i.path for i in chosen]), labels, ids, classes)
