"""Cards: what is known of each dataset, backbone and strategy, under one name each.

A card is frozen and a name is given once. `overlap` compares what a backbone saw in pretraining
with what a dataset says was seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from companion import checks

__all__ = [
    "BACKBONES",
    "DATASETS",
    "STRATEGIES",
    "BackboneCard",
    "DatasetCard",
    "Registry",
    "StrategyCard",
    "overlap",
]


@dataclass(frozen=True)
class DatasetCard:
    """What is known of a dataset.

    Attributes:
        name: what `load_dataset` calls it.
        title: its name in a table.
        modality: `"vision"`, `"language"` or `"speech"`.
        task: one of `companion.splits.TASKS`; or, in words, what is no task of `Split`.
        classes: names of the labels; empty where they come from the reader's own data.
        licence: under which it may be used.
        source: where it comes from.
        size_bytes: size of what is downloaded; 0 where nothing is.
        sha256: checksums of its files, by file name, as (name, hash) pairs.
        seen_by: names of backbones (or of their pretraining data) that saw items of it.
        paper: key of the bibliography.
        notes: what a reader must know, such as an unusual split.
    """

    name: str
    title: str
    modality: str
    task: str
    classes: tuple[str, ...]
    licence: str
    source: str
    size_bytes: int = 0
    sha256: tuple[tuple[str, str], ...] = ()
    seen_by: tuple[str, ...] = ()
    paper: str | None = None
    notes: str = ""


@dataclass(frozen=True)
class BackboneCard:
    """What is known of a backbone.

    Attributes:
        name: what `load_backbone` calls it.
        title: its name in a table.
        modality: `"vision"`, `"language"` or `"speech"`.
        feature_dim: how many numbers describe an item.
        licence: under which its weights may be used.
        source: where they come from.
        size_bytes: size of the weights.
        sha256: checksum of the weights, 64 hexadecimal digits, or a prefix where only that is
            published; empty where there are none.
        pretrained_on: names of the datasets that it saw.
        paper: key of the bibliography.
        untrained: parameters that never receive a gradient.
        notes: what a reader must know, such as what it is bad at.
    """

    name: str
    title: str
    modality: str
    feature_dim: int
    licence: str
    source: str
    size_bytes: int = 0
    sha256: str = ""
    pretrained_on: tuple[str, ...] = ()
    paper: str | None = None
    untrained: tuple[str, ...] = ()
    notes: str = ""


@dataclass(frozen=True)
class StrategyCard:
    """What is known of a fine-tuning strategy.

    Attributes:
        name: what `fit` and `compare` call it.
        title: its name in a table.
        summary: what it does, in one line.
        paper: key of the bibliography.
    """

    name: str
    title: str
    summary: str
    paper: str | None = None


class Card(Protocol):
    """Anything with a name."""

    @property
    def name(self) -> str:
        """The name that a registry knows it by."""


CardType = TypeVar("CardType", bound=Card)


class Registry(Generic[CardType]):
    """Cards by name, in the order they were added.

    Args:
        kind: what the cards describe, for messages: `"dataset"`, `"backbone"`, ...
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._cards: dict[str, CardType] = {}

    def add(self, card: CardType) -> CardType:
        """Make a card known under its name.

        Raises:
            CompanionError: the name is taken.
        """
        if card.name in self._cards:
            checks.fail(
                f"{self.kind} name",
                got=f"{card.name!r}, which is taken",
                expected="a new name",
                do=f"choose another name; taken are {', '.join(self._cards)}",
            )
        self._cards[card.name] = card
        return card

    def get(self, name: str) -> CardType:
        """Return the card of a name.

        Raises:
            CompanionError: the name is unknown; near matches are listed.
        """
        return self._cards[checks.one_of(self.kind, name, self._cards)]

    def names(self) -> tuple[str, ...]:
        """Return all names, in the order they were added."""
        return tuple(self._cards)

    def __contains__(self, name: object) -> bool:
        """Return whether a name is known."""
        return name in self._cards

    def __iter__(self) -> Iterator[CardType]:
        """Iterate over the cards, in the order they were added."""
        return iter(self._cards.values())

    def __len__(self) -> int:
        """Return how many cards there are."""
        return len(self._cards)


DATASETS: Registry[DatasetCard] = Registry("dataset")
BACKBONES: Registry[BackboneCard] = Registry("backbone")
STRATEGIES: Registry[StrategyCard] = Registry("strategy")


def overlap(dataset: DatasetCard, backbone: BackboneCard) -> str | None:
    """Say whether a backbone saw the dataset in pretraining.

    Args:
        dataset: its card; `seen_by` names backbones or pretraining data.
        backbone: its card; `pretrained_on` names datasets.

    Returns:
        One sentence to warn with, or `None` where no overlap is known.
    """
    names = {backbone.name, *backbone.pretrained_on} & set(dataset.seen_by)
    if dataset.name in backbone.pretrained_on:
        names.add(dataset.name)
    if not names:
        return None
    return (
        f"{backbone.name} saw data of {dataset.name} in pretraining "
        f"(through {', '.join(sorted(names))}): its scores there say less about new data"
    )
