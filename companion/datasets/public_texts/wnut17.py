"""Names in noisy texts of social media: the emerging entities of WNUT 2017.

Reference: derczynski2017results
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import torch

from companion import runtime
from companion.assets import RemoteFile
from companion.datasets.base import Source
from companion.datasets.public_texts.files import (
    checksums,
    numbered_sentences,
    read_bytes,
    refuse_path,
    spoilt,
)
from companion.datasets.public_texts.stand_ins import stand_in_texts
from companion.registry import DatasetCard
from companion.splits import Split

__all__ = ["CARD", "FILES", "TYPES", "load"]

TYPES = ("corporation", "creative-work", "group", "location", "person", "product")
"""What a name may be of."""

_URL = (
    "https://raw.githubusercontent.com/leondz/emerging_entities_17/"
    "e52a2d2a71ac1a051ca2d532eef28653c5c02603/"
)
_HASHES = {
    "wnut17train.conll": (
        493781,
        "731820e13f71af324c6b55a1575ec2ce59fbaa2a0806f8f0400b98d56cd6a7a5",
    ),
    "emerging.dev.conll": (
        114749,
        "e053b752b8155113ca66e7db08af5f2f5f43ab993694e4774f1ec5bad42312d8",
    ),
    "emerging.test.annotated": (
        192425,
        "2aa79b764e56ec9264a1b30fdd9b70195bd00ff400b62edd8f399d5f13c178f0",
    ),
}

FILES = tuple(
    RemoteFile(f"text/wnut17/{name}", _URL + name, sha256, size_bytes, licence="CC BY 4.0")
    for name, (size_bytes, sha256) in _HASHES.items()
)
"""Train, dev and test as the shared task published them."""

CARD = DatasetCard(
    name="wnut17",
    title="WNUT 2017, emerging entities",
    modality="language",
    task="spans",
    classes=("O", *(f"{prefix}-{kind}" for kind in TYPES for prefix in "BI")),
    licence="CC BY 4.0",
    source="github.com/leondz/emerging_entities_17",
    size_bytes=sum(file.size_bytes for file in FILES),
    sha256=checksums(*FILES),
    paper="derczynski2017results",
    notes="The official parts: train (3,394 sentences) is the pool, dev (1,009) the val pool, "
    "test (1,287) the test set. They come from different sites and years, and the names are new by "
    "design: of the 1,079 names of test, capitals aside, 24 are names in train. 90 sentences of "
    "train are there more than once, 11 of these with different labels. Tweets, comments and forum "
    "posts with user names and rude words, as they were written.",
)

_PARTS = {"pool": ("train", 0), "val_pool": ("dev", 1), "test": ("test", 2)}


def load(path: Path | None = None) -> Source:
    """Load the sentences; the files are downloaded if they are not on this machine.

    Args:
        path: not used; put the files below `COMPANION_DATA` instead.

    Returns:
        Pool, val pool and test of the shared task; sentences are tuples of words, labels BIO
        classes, one a word. At the scale `rehearsal` a few random sentences.

    Raises:
        CompanionError: a file is broken or cannot be had, or a line is not a word and a label.
    """
    refuse_path(CARD, path)
    if runtime.scale() == "rehearsal":
        return stand_in_texts(CARD)
    pool, val_pool, test = (_read(name) for name in _PARTS)
    return Source(pool, test, CARD, val_pool=val_pool)


def _read(name: str) -> Split:
    """Return one part."""
    part, position = _PARTS[name]
    file = FILES[position]
    what = PurePosixPath(file.name).name
    rows = [
        [_word_and_label(line, number, what, file) for number, line in sentence]
        for sentence in numbered_sentences(read_bytes(file), what=what)
    ]
    return Split(
        name,
        [tuple(word for word, _ in row) for row in rows],
        [torch.tensor([label for _, label in row]) for row in rows],
        tuple(f"wnut17/{part}/{number:04d}" for number in range(1, len(rows) + 1)),
        CARD.classes,
        task="spans",
    )


_LABELS = {name: label for label, name in enumerate(CARD.classes)}


def _word_and_label(line: str, number: int, what: str, file: RemoteFile) -> tuple[str, int]:
    """Return the word and the class id of one line."""
    word, tab, name = line.partition("\t")
    if not (word.strip() and tab and name in _LABELS):
        spoilt(
            f"{what}, line {number}",
            f"{line[:60]!r}",
            "a word, a tab and a label such as O or B-person",
            file,
        )
    return word, _LABELS[name]
