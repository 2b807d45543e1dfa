"""Real handwritten digits, 8 x 8 pixels, that come with scikit-learn: nothing is downloaded.

Reference: alpaydin1998optical, kaynak1995methods
"""

from __future__ import annotations

from pathlib import Path

import torch

from companion.datasets.base import Source, refuse_path
from companion.registry import DatasetCard
from companion.splits import Split

__all__ = ["CARD", "NUM_POOL", "load"]

NUM_POOL = 1000
"""Samples 0..999 may be trained on; the last 797, in the official order, are the test set."""

CARD = DatasetCard(
    name="digits",
    title="Handwritten digits (8 x 8)",
    modality="vision",
    task="classification",
    classes=tuple("0123456789"),
    licence="CC BY 4.0",
    source="scikit-learn, sklearn.datasets.load_digits; UCI Optical Recognition of Handwritten "
    "Digits, doi.org/10.24432/C50P49",
    paper="alpaydin1998optical",
    notes="1,797 samples in their official order, which is not shuffled: 0..999 are the pool, "
    "1000..1796 the test set. They are the test part of the UCI set, by 13 writers who are not "
    "named, so that one writer may be on both sides.",
)


def load(path: Path | None = None) -> Source:
    """Load the digits.

    Args:
        path: not used.

    Returns:
        Pool (1000 items) and test (797 items); images (items, 1, 8, 8), float32 in [0, 1].

    Raises:
        CompanionError: a path was given.
    """
    from sklearn.datasets import load_digits

    refuse_path(CARD, path)
    raw = load_digits()
    images = torch.from_numpy(raw.images).float().div(16)[:, None]
    labels = torch.from_numpy(raw.target).long()
    ids = tuple(f"digits/{number:04d}" for number in range(len(labels)))
    everything = Split("pool", images, labels, ids, CARD.classes)
    pool = everything.subset(range(NUM_POOL))
    test = everything.subset(range(NUM_POOL, len(labels)), name="test")
    return Source(pool, test, CARD)
