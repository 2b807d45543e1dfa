"""Sentences with names of persons, locations and organisations, and dates, as BIO classes."""

from __future__ import annotations

from pathlib import Path

import torch

from companion.datasets.base import Source, refuse_path
from companion.datasets.texts.marks import CLASSES, read_marks
from companion.datasets.texts.rows import LICENCE, SOURCE, file_name, held_out, read_rows
from companion.registry import DatasetCard
from companion.splits import Split

__all__ = ["ENTITIES", "GENRES", "SHA256", "load_entities"]

SHA256 = "f2aa915e450b8e73dd01d5a26546c9ade83e34ce8ab2dcd37db3789f85020cf1"
"""Checksum of the packed file."""

GENRES = ("chat", "history", "mail", "news", "notes")

TEST_SHARE = 0.3
"""Of the sentences of each genre."""

ENTITIES = DatasetCard(
    name="entities",
    title="Names and dates in short sentences",
    modality="language",
    task="spans",
    classes=CLASSES,
    licence=LICENCE,
    source=SOURCE,
    sha256=((file_name("entities"), SHA256),),
    notes="Composed for this course, and labelled twice by its authors, each pass without sight of "
    "the other: the figures are the agreement of two passes with one guide, not agreement between "
    "independent annotators of the public. 420 sentences of five genres (the groups), 85 without "
    "a name. Second pass against first: span F1 0.989, token accuracy 0.999. Test: a fixed 30 % "
    "of each genre, chosen by a hash of the ids. Known weaknesses: a name that may be a place or "
    "an organisation (a pub, a town that acts) is decided by the guide, and another guide would "
    "decide otherwise; few names come twice; the agreement is near its ceiling.",
)


def load_entities(path: Path | None = None) -> Source:
    """Load the sentences with their names and dates.

    Args:
        path: not used.

    Returns:
        Pool (295 sentences) and test (125); each input is a tuple of words, each label one class
        id a word; groups are genres.

    Raises:
        CompanionError: a path was given, or the bundled file is missing or broken.
    """
    refuse_path(ENTITIES, path)
    rows = read_rows("entities", SHA256)
    read = [read_marks(row["text"]) for row in rows]
    everything = Split(
        "pool",
        [words for words, _ in read],
        [torch.tensor(labels) for _, labels in read],
        tuple(f"entities/{row['id']}" for row in rows),
        CLASSES,
        groups=tuple(row["genre"] for row in rows),
        task="spans",
    )
    chosen = set[str]()
    for genre in GENRES:
        names = [row["id"] for row in rows if row["genre"] == genre]
        chosen |= set(held_out(names, TEST_SHARE, "entities"))
    pool = [p for p, row in enumerate(rows) if row["id"] not in chosen]
    test = [p for p, row in enumerate(rows) if row["id"] in chosen]
    return Source(everything.subset(pool), everything.subset(test, name="test"), ENTITIES)
