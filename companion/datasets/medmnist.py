"""Small public medical images, 28 x 28 pixels: two sets of MedMNIST, through its own package.

Reference: yang2023medmnist
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch

from companion import assets, checks, runtime
from companion.datasets.base import Source, stand_in
from companion.registry import DatasetCard
from companion.splits import Split

__all__ = ["BLOOD", "PNEUMONIA", "load_blood", "load_pneumonia"]

FOLDER = "vision/medmnist"
"""Where the files lie below each root, under the names that the package gives them."""

_NOTES = (
    "The official parts: train is the pool, val the pool of val, test the test set. The files do "
    "not say which images are of one patient, so no grouped split can be made. A benchmark of "
    "small pictures, not meant for clinical use."
)

BLOOD = DatasetCard(
    name="bloodmnist",
    title="BloodMNIST",
    modality="vision",
    task="classification",
    classes=(
        "basophil",
        "eosinophil",
        "erythroblast",
        "immature granulocyte",
        "lymphocyte",
        "monocyte",
        "neutrophil",
        "platelet",
    ),
    licence="CC BY 4.0",
    source="medmnist.com, package medmnist",
    size_bytes=35_461_855,
    paper="yang2023medmnist",
    notes=_NOTES,
)

PNEUMONIA = DatasetCard(
    name="pneumoniamnist",
    title="PneumoniaMNIST",
    modality="vision",
    task="classification",
    classes=("normal", "pneumonia"),
    licence="CC BY 4.0",
    source="medmnist.com, package medmnist",
    size_bytes=4_170_669,
    paper="yang2023medmnist",
    notes=_NOTES + " Chest radiographs of children; most of them show pneumonia, which is not "
    "how often it is met.",
)


def load_blood(path: Path | None = None) -> Source:
    """Load BloodMNIST; the file is downloaded if it is not on this machine.

    Args:
        path: folder that holds `bloodmnist.npz`; `None` looks below `COMPANION_DATA`, then in the
            cache, and downloads into the cache.

    Returns:
        Pool (11959), pool of val (1712) and test (3421); images (items, 3, 28, 28), uint8. At the
        scale `rehearsal` a few random images of this form, without the package.

    Raises:
        CompanionError: the package is missing, or the file cannot be had.
    """
    if runtime.scale() == "rehearsal":
        return stand_in(BLOOD, (3, 28, 28))
    return _load(BLOOD, "BloodMNIST", path)


def load_pneumonia(path: Path | None = None) -> Source:
    """Load PneumoniaMNIST; the file is downloaded if it is not on this machine.

    Args:
        path: folder that holds `pneumoniamnist.npz`; `None` looks below `COMPANION_DATA`, then in
            the cache, and downloads into the cache.

    Returns:
        Pool (4708), pool of val (524) and test (624); images (items, 1, 28, 28), uint8. At the
        scale `rehearsal` a few random images of this form, without the package.

    Raises:
        CompanionError: the package is missing, or the file cannot be had.
    """
    if runtime.scale() == "rehearsal":
        return stand_in(PNEUMONIA, (1, 28, 28))
    return _load(PNEUMONIA, "PneumoniaMNIST", path)


def _load(card: DatasetCard, kind: str, path: Path | None) -> Source:
    """Return the three official parts of a set of the package."""
    package = _package(card)
    root = _root(card) if path is None else checks.existing_directory(f"path of {card.name}", path)
    is_there = (root / f"{card.name}.npz").is_file()
    root.mkdir(parents=True, exist_ok=True)
    parts = {}
    for part in ("train", "val", "test"):
        try:
            parts[part] = getattr(package, kind)(
                split=part, root=str(root), download=not is_there and part == "train"
            )
        except (OSError, RuntimeError) as error:
            checks.fail(
                f"dataset {card.name!r}",
                got=str(error),
                expected=f"{card.name}.npz ({card.size_bytes / 1e6:.1f} MB) from {card.source}",
                do=f"try again with a network, or put the file into {root}",
            )
    names = {"train": "pool", "val": "val", "test": "test"}
    pool, val, test = (_split(card, names[part], raw) for part, raw in parts.items())
    return Source(pool, test, card, val_pool=val)


def _package(card: DatasetCard) -> Any:
    """Return the package `medmnist`, which is no dependency of the companion itself."""
    try:
        return importlib.import_module("medmnist")
    except ImportError:
        checks.fail(
            f"dataset {card.name!r}",
            got="no package medmnist",
            expected="the extra [medical] of the companion",
            do="pip install 'transfer-learning-companion[medical]', or pip install medmnist",
        )


def _root(card: DatasetCard) -> Path:
    """Return the folder that holds the file, or the one in the cache."""
    places = [root / FOLDER for root in assets.roots().values()]
    return next((place for place in places if (place / f"{card.name}.npz").is_file()), places[-1])


def _split(card: DatasetCard, name: str, raw: Any) -> Split:
    """Return one part: images with their channels first, one class id an image."""
    images = torch.from_numpy(raw.imgs)
    images = images[:, None] if images.dim() == 3 else images.permute(0, 3, 1, 2).contiguous()
    ids = tuple(f"{card.name}/{name}/{number:05d}" for number in range(len(images)))
    return Split(name, images, torch.from_numpy(raw.labels).long()[:, 0], ids, card.classes)
