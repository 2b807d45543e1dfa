"""Parts of speech of English words: the English Web Treebank of Universal Dependencies.

Reference: silveira2014gold
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

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

__all__ = ["CARD", "FILES", "UPOS", "load"]

UPOS = tuple(
    "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X".split()
)
"""The universal parts of speech."""

_URL = (
    "https://raw.githubusercontent.com/UniversalDependencies/UD_English-EWT/"
    "15d613d8447b3478787d4c278730a1e48a945efb/"
)
_HASHES = {
    "en_ewt-ud-train.conllu": (
        14203025,
        "3fb78e2b55482c8ee00caa653af436c88c9e5bc9a73ce26e4ae3ddc79d2b7e7b",
    ),
    "en_ewt-ud-dev.conllu": (
        1805545,
        "531a54ff90d6ab12201c5a50c3e78e6ddac4de69abc4bce5d275d3cd29efe2b6",
    ),
    "en_ewt-ud-test.conllu": (
        1804515,
        "e266e515a0a7547657ed3d90d9ba46487d6bd251f27ad4269d4e8a427c8555cd",
    ),
}

FILES = tuple(
    RemoteFile(f"text/ud/{name}", _URL + name, sha256, size_bytes, licence="CC BY-SA 4.0")
    for name, (size_bytes, sha256) in _HASHES.items()
)
"""Train, dev and test of the treebank; each may lie packed by gzip, with `.gz` behind its name."""

CARD = DatasetCard(
    name="ud_english",
    title="Universal Dependencies, English Web Treebank",
    modality="language",
    task="tokens",
    classes=UPOS,
    licence="CC BY-SA 4.0 (the annotations; the texts are of several owners)",
    source="github.com/UniversalDependencies/UD_English-EWT",
    size_bytes=sum(file.size_bytes for file in FILES),
    sha256=checksums(*FILES),
    paper="silveira2014gold",
    notes="The official parts: train (12,544 sentences) is the pool, dev (2,001) the val pool, "
    "test (2,077) the test set. Words are those of the syntax: \"don't\" is do and n't. Lines that "
    "only say what was written together, and words that are not in the text, are skipped. A group "
    "is a document; the id of a sentence begins with its kind (answers, email, newsgroup, reviews, "
    "weblog). Short sentences, such as thanks, are in several parts. Encoders that were pretrained "
    "on the web may have read these texts.",
)

_PARTS = {"pool": 0, "val_pool": 1, "test": 2}
_LABELS = {name: label for label, name in enumerate(UPOS)}
_SENT_ID = "# sent_id = "


def load(path: Path | None = None) -> Source:
    """Load the sentences; the files are downloaded if they are not on this machine.

    Args:
        path: not used; put the files below `COMPANION_DATA` instead.

    Returns:
        Pool, val pool and test of the treebank; sentences are tuples of words, labels parts of
        speech, one a word; groups are documents. At the scale `rehearsal` a few random sentences.

    Raises:
        CompanionError: a file is broken or cannot be had, or a line or a sentence is not in the
            form CoNLL-U.
    """
    refuse_path(CARD, path)
    if runtime.scale() == "rehearsal":
        return stand_in_texts(CARD)
    pool, val_pool, test = (_read(name) for name in _PARTS)
    return Source(pool, test, CARD, val_pool=val_pool)


def _read(name: str) -> Split:
    """Return one part."""
    file = FILES[_PARTS[name]]
    what = PurePosixPath(file.name).name
    found = [
        _sentence(lines, what, file)
        for lines in numbered_sentences(read_bytes(file), what=what)
        if not all(line.startswith("#") for _, line in lines)
    ]
    return Split(
        name,
        [words for _, words, _ in found],
        [labels for _, _, labels in found],
        tuple(f"ud_english/{sent_id}" for sent_id, _, _ in found),
        CARD.classes,
        groups=tuple(sent_id.rpartition("-")[0] for sent_id, _, _ in found),
        task="tokens",
    )


def _sentence(
    lines: list[tuple[int, str]], what: str, file: RemoteFile
) -> tuple[str, tuple[str, ...], Tensor]:
    """Return id, words and parts of speech of one sentence."""
    names = [line.removeprefix(_SENT_ID) for _, line in lines if line.startswith(_SENT_ID)]
    if len(names) != 1:
        spoilt(
            f"{what}, sentence at line {lines[0][0]}",
            f"{len(names)} lines that begin with {_SENT_ID!r}",
            "one",
            file,
        )
    words: list[str] = []
    labels: list[int] = []
    for number, line in lines:
        columns = line.split("\t")
        if line.startswith("#") or _is_no_word(columns[0]):
            continue
        if len(columns) != 10 or columns[0] != str(len(words) + 1) or columns[3] not in _LABELS:
            spoilt(
                f"{what}, line {number}",
                f"{line[:60]!r}",
                f"10 columns with tabs between them, word {len(words) + 1}, and in the fourth "
                "a part of speech such as NOUN",
                file,
            )
        words.append(columns[1])
        labels.append(_LABELS[columns[3]])
    return names[0], tuple(words), torch.tensor(labels, dtype=torch.long)


def _is_no_word(number: str) -> bool:
    """Return whether a line is a range of words (`1-2`) or a word that is not there (`8.1`)."""
    start, sign, end = number.partition("-") if "-" in number else number.partition(".")
    return bool(sign) and start.isdigit() and end.isdigit()
