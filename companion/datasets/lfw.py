"""Labeled Faces in the Wild: the pairs of its development view, through scikit-learn.

These are photographs of people who were in the news and were not asked. They serve here to repeat
a public measurement, not to build anything that recognises somebody.

Reference: huang2007labeled
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from companion import assets, checks, runtime
from companion.datasets.base import Source
from companion.registry import DatasetCard
from companion.splits import Split

__all__ = ["CARD", "PARTS", "load", "official_pairs"]

FOLDER = "lfw_home"
"""Where scikit-learn keeps the images and the lists of pairs."""

PARTS = {"pool": ("train", "pairsDevTrain.txt"), "test": ("test", "pairsDevTest.txt")}
"""scikit-learn's name of each part, and the list of its pairs."""

CROP = (slice(45, 205), slice(45, 205))
"""The middle of an image of 250 x 250 pixels, rows and columns."""

NUM_PEOPLE, NUM_PICTURES = 20, 2
"""Identities of a part, and pictures of each, at the scale `rehearsal`."""

CARD = DatasetCard(
    name="lfw",
    title="Labeled Faces in the Wild, pairs",
    modality="vision",
    task="classification",
    classes=(),
    licence="none stated; photographs of the press, for research",
    source="scikit-learn, sklearn.datasets.fetch_lfw_pairs",
    size_bytes=243_346_528,
    paper="huang2007labeled",
    notes="View 1 of the authors: 2,200 pairs to develop on are the pool, 1,000 pairs of other "
    "people the test set; each class is a person. Public face networks may have seen some of them.",
)


def load(path: Path | None = None) -> Source:
    """Load the people of the pairs; the images are downloaded if they are not on this machine.

    Args:
        path: folder that holds `lfw_home/`; `None` looks below `COMPANION_DATA`, then in the
            cache, and downloads into the cache.

    Returns:
        Pool and test, of different people; images (items, 3, 160, 160), uint8. At the scale
        `rehearsal` a few random images.

    Raises:
        CompanionError: the images cannot be had, or a person is on both sides.
    """
    if runtime.scale() == "rehearsal":
        return Source(_random_people("pool"), _random_people("test"), CARD)
    root = _root() if path is None else path
    pool, test = (_read(root, part) for part in PARTS)
    shared = set(pool.classes) & set(test.classes)
    if shared:
        checks.fail(
            "people of the dataset 'lfw'",
            got=f"{min(shared)} in pool and test",
            expected="each on one side",
            do="get pairsDevTrain.txt and pairsDevTest.txt again",
        )
    return Source(pool, test, CARD)


def official_pairs(split: Split, *, path: Path | None = None) -> list[tuple[int, int, bool]]:
    """Return the pairs of a part as its authors drew them.

    Args:
        split: the pool or the test set of `load`.
        path: as for `load`.

    Returns:
        One (position, position, whether of one person) a pair. At the scale `rehearsal` every
        pair of random images.

    Raises:
        CompanionError: the list of pairs is missing.
    """
    if runtime.scale() == "rehearsal":
        labels = torch.as_tensor(split.labels).tolist()
        both = [(a, b) for b in range(len(labels)) for a in range(b)]
        return [(a, b, labels[a] == labels[b]) for a, b in both]
    position = {name: number for number, name in enumerate(split.ids)}
    listed = _listed(_root() if path is None else path, split.name)
    return [(position[_id(*a)], position[_id(*b)], a[0] == b[0]) for a, b in listed]


def _root() -> Path:
    """Return the folder that holds lfw_home, or the cache."""
    places = [root / "vision" for root in assets.roots().values()]
    return next((place for place in places if (place / FOLDER).is_dir()), places[-1])


def _id(name: str, number: int) -> str:
    """Return the id of a picture."""
    return f"lfw/{name}/{number:04d}"


def _listed(root: Path, part: str) -> list[tuple[tuple[str, int], tuple[str, int]]]:
    """Return the pairs of a list: name and number of each picture, in scikit-learn's order."""
    path = checks.existing_file(
        f"pairs of the dataset 'lfw' ({part})",
        root / FOLDER / PARTS[part][1],
        do="call `companion.datasets.lfw.load()` to download them",
    )
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    same = [((r[0], int(r[1])), (r[0], int(r[2]))) if len(r) == 3 else
            ((r[0], int(r[1])), (r[2], int(r[3]))) for r in rows if len(r) > 2]  # fmt: skip
    return same


def _read(root: Path, part: str) -> Split:
    """Return the pictures of a part, each once, in the order of its pairs."""
    from sklearn.datasets import fetch_lfw_pairs

    try:
        found: Any = fetch_lfw_pairs(
            subset=PARTS[part][0], data_home=str(root), color=True, slice_=CROP, resize=None
        )
    except OSError as error:
        checks.fail(
            "dataset 'lfw'",
            got=str(error),
            expected=f"lfw-funneled.tgz (0.2 GB) and the lists of pairs from {CARD.source}",
            do=f"try again with a network, or put them into {root / FOLDER}",
        )
    pictures = [picture for pair in _listed(root, part) for picture in pair]
    flat = found.pairs.reshape(len(pictures), *found.pairs.shape[2:])
    first = {picture: row for row, picture in reversed(list(enumerate(pictures)))}
    kept = sorted(first, key=first.__getitem__)
    people = sorted({name for name, _ in kept})
    pixels = flat[[first[picture] for picture in kept]]
    images = torch.from_numpy((pixels * 255).round().clip(0, 255).astype("uint8"))
    return Split(
        part,
        images.permute(0, 3, 1, 2).contiguous(),
        torch.tensor([people.index(name) for name, _ in kept]),
        tuple(_id(*picture) for picture in kept),
        tuple(people),
    )


def _random_people(part: str) -> Split:
    """Return random pictures of people who do not exist."""
    generator = torch.Generator().manual_seed(runtime.derive_seed(0, "stand-in", "lfw", part))
    size = (NUM_PEOPLE * NUM_PICTURES, 3, 32, 32)
    labels = torch.arange(NUM_PEOPLE).repeat_interleave(NUM_PICTURES)
    return Split(
        part,
        torch.randint(256, size, generator=generator, dtype=torch.uint8),
        labels,
        tuple(_id(f"{part} {label}", row) for row, label in enumerate(labels.tolist())),
        tuple(f"{part} {number}" for number in range(NUM_PEOPLE)),
    )
