"""What a loader hands over, and the datasets known by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from companion.registry import DATASETS, DatasetCard
from companion.splits import Split, TestSplit

__all__ = ["LOADERS", "Loader", "Source", "register_dataset"]


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


def register_dataset(card: DatasetCard, loader: Loader) -> None:
    """Make a dataset known by its card's name.

    Args:
        card: what is known of it.
        loader: called with the reader's `path` (or `None`), returns pool and test.

    Raises:
        CompanionError: the name is taken.
    """
    DATASETS.add(card)
    LOADERS[card.name] = loader
