"""Photographs of cats and dogs: the Oxford-IIIT Pet dataset, through torchvision.

Reference: parkhi2012cats
"""

from __future__ import annotations

from pathlib import Path

import torch

from companion import assets, checks, runtime
from companion.datasets.base import Source, stand_in
from companion.datasets.image_files import ImageFiles
from companion.registry import DatasetCard
from companion.splits import Split

__all__ = ["CARD", "load"]

FOLDER = "oxford-iiit-pet"
"""Where torchvision unpacks the archives."""

CARD = DatasetCard(
    name="pets",
    title="Oxford-IIIT Pet, cats and dogs",
    modality="vision",
    task="classification",
    classes=("cat", "dog"),
    licence="CC BY-SA 4.0",
    source="www.robots.ox.ac.uk/~vgg/data/pets",
    size_bytes=811_000_000,
    paper="parkhi2012cats",
    notes="The official trainval part is the pool, the official test part the test set; "
    "two classes, although 37 breeds are known. Photographs of the kind that ImageNet shows, "
    "cats and dogs among its classes: a near source.",
)


def load(path: Path | None = None) -> Source:
    """Load the cats and dogs; the archives are downloaded if they are not on this machine.

    Args:
        path: folder that holds `oxford-iiit-pet/`; `None` looks below `COMPANION_DATA`, then in
            the cache, and downloads into the cache.

    Returns:
        Pool and test; images are decoded when they are asked for. At the scale `rehearsal` a few
        random images.

    Raises:
        CompanionError: the archives cannot be had, or do not match their checksums.
    """
    if runtime.scale() == "rehearsal":
        return stand_in(CARD, (3, 64, 64))
    root = _root() if path is None else path
    return Source(_read(root, "pool"), _read(root, "test"), CARD)


def _root() -> Path:
    """Return the folder that holds the unpacked archives, or the cache."""
    places = [root / "vision" for root in assets.roots().values()]
    return next((place for place in places if (place / FOLDER).is_dir()), places[-1])


def _read(root: Path, name: str) -> Split:
    """Return the pool or the test set from the folder that holds oxford-iiit-pet."""
    from torchvision.datasets import OxfordIIITPet

    part = "trainval" if name == "pool" else "test"
    is_there = (root / FOLDER / "annotations" / f"{part}.txt").is_file()
    try:
        raw = OxfordIIITPet(
            str(root), split=part, target_types="binary-category", download=not is_there
        )
    except (OSError, RuntimeError) as error:
        checks.fail(
            "dataset 'pets'",
            got=str(error),
            expected="images.tar.gz and annotations.tar.gz (0.8 GB) from " + CARD.source,
            do=f"try again with a network, or unpack both in {root / FOLDER}",
        )
    ids = tuple(f"pets/{image.stem}" for image in raw._images)
    return Split(name, ImageFiles(raw._images), torch.tensor(raw._bin_labels), ids, CARD.classes)
