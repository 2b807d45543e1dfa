"""Random texts in the form of a dataset, for the scale `rehearsal`."""

from __future__ import annotations

import torch
from torch import Tensor

from companion import runtime
from companion.datasets.base import REHEARSAL_TEST, Source
from companion.registry import DatasetCard
from companion.splits import Split

__all__ = ["stand_in_texts"]

NUM_PER_CLASS = 160
"""Items of a class in the pool; of other tasks, sentences. As many as a chapter asks labels for."""

WORDS = ("the", "film", "plot", "is", "was", "slow", "warm", "and", "but", "never", "dull", "there")


def stand_in_texts(card: DatasetCard) -> Source:
    """Return random words in the form of a dataset.

    Args:
        card: the dataset that they stand for; its task is `"classification"`, `"tokens"` or
            `"spans"`.

    Returns:
        A pool of `NUM_PER_CLASS` texts a class (or sentences in all), and a test set of
        `REHEARSAL_TEST` of them. Sentences are tuples of words.
    """
    generator = torch.Generator().manual_seed(runtime.derive_seed(0, "stand-in", card.name))

    def draw(high: int, num: int) -> Tensor:
        return torch.randint(high, (num,), generator=generator)

    def split(name: str, num_items: int) -> Split:
        lengths = (draw(5, num_items) + 3).tolist()
        sentences = [tuple(WORDS[i] for i in draw(len(WORDS), n).tolist()) for n in lengths]
        ids = tuple(f"{card.name}/{name}/{number}" for number in range(num_items))
        num_classes = len(card.classes)
        if card.task == "classification":
            labels = torch.arange(num_items) % num_classes
            return Split(name, [" ".join(s) for s in sentences], labels, ids, card.classes)
        rows = [draw(num_classes, length) for length in lengths]
        return Split(name, sentences, rows, ids, card.classes, task=card.task)

    num_rows = len(card.classes) if card.task == "classification" else 1
    return Source(split("pool", NUM_PER_CLASS * num_rows), split("test", REHEARSAL_TEST), card)
