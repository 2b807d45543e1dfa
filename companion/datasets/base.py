"""What a loader hands over, and the datasets known by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from companion import checks, runtime
from companion.assets import RemoteFile
from companion.registry import DATASETS, DatasetCard
from companion.splits import Split, TestSplit

__all__ = ["FILES", "LOADERS", "Loader", "Source", "refuse_path", "register_dataset", "stand_in"]

REHEARSAL_PER_CLASS = 20
REHEARSAL_TEST = 8


@dataclass(frozen=True, eq=False)
class Source:
    """A dataset before the labelled budget is drawn.

    Attributes:
        pool: items that may be trained on.
        test: items that judge.
        card: what is known of it, with its classes.
        val_pool: items that were set aside for val beforehand; `None` takes val from the pool.
        grouped: whether train and val are drawn from different groups.
    """

    pool: Split
    test: Split | TestSplit
    card: DatasetCard
    val_pool: Split | None = None
    grouped: bool = False


Loader = Callable[[Path | None], Source]
LOADERS: dict[str, Loader] = {}
FILES: dict[str, tuple[RemoteFile, ...]] = {}


def register_dataset(
    card: DatasetCard, loader: Loader, *, files: tuple[RemoteFile, ...] = ()
) -> None:
    """Make a dataset known by its card's name.

    Args:
        card: what is known of it.
        loader: called with the reader's `path` (or `None`), returns pool and test.
        files: the public files that the loader fetches.

    Raises:
        CompanionError: the name is taken.
    """
    DATASETS.add(card)
    LOADERS[card.name] = loader
    FILES[card.name] = files


def refuse_path(card: DatasetCard, path: Path | None) -> None:
    """Refuse a path for a dataset that does not take one.

    Args:
        card: the dataset.
        path: what the reader gave.

    Raises:
        CompanionError: it is not `None`.
    """
    if path is not None:
        checks.fail(
            f"path of the dataset {card.name!r}",
            got=f"'{path}'",
            expected="None: this dataset knows where it lies",
            do="leave it out; your own data are the datasets 'folder', 'boxes' and 'table'",
        )


def stand_in(card: DatasetCard, shape: tuple[int, ...]) -> Source:
    """Return random images in the form of a dataset, for the scale `rehearsal`.

    Args:
        card: the dataset that they stand for.
        shape: of one image, (channels, height, width).

    Returns:
        A pool of `REHEARSAL_PER_CLASS` items a class and a test set of `REHEARSAL_TEST` items,
        images (items, *shape), uint8.
    """
    generator = torch.Generator().manual_seed(runtime.derive_seed(0, "stand-in", card.name))

    def split(name: str, num_items: int) -> Split:
        images = torch.randint(256, (num_items, *shape), generator=generator, dtype=torch.uint8)
        ids = tuple(f"{card.name}/{name}/{number}" for number in range(num_items))
        labels = torch.arange(num_items) % len(card.classes)
        return Split(name, images, labels, ids, card.classes)

    pool = split("pool", REHEARSAL_PER_CLASS * len(card.classes))
    return Source(pool, split("test", REHEARSAL_TEST), card)
