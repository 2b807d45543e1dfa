"""Sentences of film reviews, positive or negative: the sentence polarity data of Pang and Lee.

Reference: pang2005seeing
"""

from __future__ import annotations

import re
from pathlib import Path

import torch

from companion import runtime
from companion.assets import RemoteFile
from companion.datasets.base import Source
from companion.datasets.public_texts.files import checksums, read_member, refuse_path, spoilt
from companion.datasets.public_texts.stand_ins import stand_in_texts
from companion.registry import DatasetCard
from companion.splits import Split

__all__ = ["CARD", "FILES", "NUM_TEST_PER_CLASS", "letters_only", "load"]

NUM_TEST_PER_CLASS = 1000
"""Sentences of each class that are test, by a seeded rule of ours; there is no official one."""

FILES = (
    RemoteFile(
        "text/nltk_data/corpora/sentence_polarity.zip",
        "https://raw.githubusercontent.com/nltk/nltk_data/"
        "5db857e6f7df11eabb5e5665836db9ec8df07e28/packages/corpora/sentence_polarity.zip",
        "6e1ed4405b65c7eabf1d199a7f7c437091ac21da0ea7467b410a74062574566b",
        490256,
        licence="CC BY 4.0",
    ),
)
"""The zip as NLTK distributes it."""

CARD = DatasetCard(
    name="sentence_polarity",
    title="Sentence polarity of film reviews",
    modality="language",
    task="classification",
    classes=("negative", "positive"),
    licence="CC BY 4.0",
    source="Bo Pang and Lillian Lee, through github.com/nltk/nltk_data",
    size_bytes=FILES[0].size_bytes,
    sha256=checksums(*FILES),
    paper="pang2005seeing",
    notes="5,331 lines of each class in lower case, mostly one whole sentence each. The labels "
    "are those of whole reviews ('fresh' or 'rotten'): nobody read the single sentence. The test "
    "set is ours: 1,000 lines of each class by a seeded hash of their words. Near duplicates "
    "exist: lines that differ in punctuation only fall on one side, lines that differ in a word "
    "may not; and lines about one film, or from one review, are on both sides, as nothing tells "
    "which they are. Some dashes and quotes are control characters (U+0091 to U+0097), as in "
    "the source.",
)

_MEMBERS = {"negative": "rt-polarity.neg", "positive": "rt-polarity.pos"}


def load(path: Path | None = None) -> Source:
    """Load the sentences; the file is downloaded if it is not on this machine.

    Args:
        path: not used; put the file below `COMPANION_DATA` instead.

    Returns:
        Pool (8,662 texts) and test (2,000), both balanced. At the scale `rehearsal` a few random
        texts.

    Raises:
        CompanionError: the file is broken or cannot be had, or holds an empty line.
    """
    refuse_path(CARD, path)
    if runtime.scale() == "rehearsal":
        return stand_in_texts(CARD)
    pool, test = [], []
    for label, name in enumerate(CARD.classes):
        rows = [(number, text, label) for number, text in enumerate(_lines(name), start=1)]
        chosen = {row[0] for row in sorted(rows, key=_rank)[:NUM_TEST_PER_CLASS]}
        test += [row for row in rows if row[0] in chosen]
        pool += [row for row in rows if row[0] not in chosen]
    return Source(_split("pool", pool), _split("test", test), CARD)


def letters_only(text: str) -> str:
    """Return a text without punctuation, case and additional blanks: what near duplicates share.

    Args:
        text: a sentence.

    Example:
        >>> letters_only(". . . A pretentious mess . . .")
        'a pretentious mess'
    """
    return " ".join(re.findall(r"\w+", text.lower()))


def _rank(row: tuple[int, str, int]) -> int:
    """Return a number that decides who is test; the same for lines of the same words."""
    return runtime.derive_seed(0, CARD.name, letters_only(row[1]))


def _lines(name: str) -> list[str]:
    """Return the lines of a class, without blanks around them."""
    member = _MEMBERS[name]
    content = read_member(FILES[0], f"sentence_polarity/{member}").decode("utf-8")
    lines = [line.strip() for line in content.removesuffix("\n").split("\n")]
    empty = [number for number, line in enumerate(lines, start=1) if not line]
    if empty:
        spoilt(f"{member}, line {empty[0]}", "nothing", "a sentence", FILES[0])
    return lines


def _split(name: str, rows: list[tuple[int, str, int]]) -> Split:
    """Return some lines, in the order of the files."""
    return Split(
        name,
        [text for _, text, _ in rows],
        torch.tensor([label for _, _, label in rows], dtype=torch.long),
        tuple(f"sentence_polarity/{CARD.classes[label]}/{n:04d}" for n, _, label in rows),
        CARD.classes,
    )
