"""Sentences of CoNLL files: one token and its label a line, a blank line between sentences."""

from __future__ import annotations

import io
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from companion import checks
from companion.datasets.tables.files import Item, TableFile, and_more, read_letters

__all__ = ["is_bio", "read_sentences", "repaired"]

DOCUMENT = "-DOCSTART-"
"""The token of lines that begin a document; they are no sentences."""


@dataclass(frozen=True)
class _Token:
    """A line of a file: a token with its label."""

    line: int
    columns: tuple[str, ...]


def read_sentences(file: TableFile) -> list[Item]:
    """Return the sentences of a CoNLL file: the first column is the token, the last its label.

    Columns are divided by tabs where a line has some, else by blanks.

    Args:
        file: the file.

    Raises:
        CompanionError: another encoding, no sentence, or lines of different numbers of columns.

    Reference: tjongkimsang2003introduction, sec. 2 (the format)
    """
    sentences: list[list[_Token]] = [[]]
    for number, line in enumerate(io.StringIO(read_letters(file.path), newline=None), start=1):
        columns = _columns(line)
        if columns and columns[0] != DOCUMENT:
            sentences[-1].append(_Token(number, columns))
        elif sentences[-1]:
            sentences.append([])
    found = [tokens for tokens in sentences if tokens]
    checks.non_empty(f"sentences of {file.path}", found, do="add lines with a token and its label")
    _check_columns(file, [token for tokens in found for token in tokens])
    return [_sentence(file, tokens) for tokens in found]


def _sentence(file: TableFile, tokens: Sequence[_Token]) -> Item:
    """Return the sentence of some lines."""
    words = tuple(token.columns[0] for token in tokens)
    labels = tuple(unicodedata.normalize("NFC", token.columns[-1]) for token in tokens)
    return Item(file, tokens[0].line, text=words, label=labels, part=file.part)


def _columns(line: str) -> tuple[str, ...]:
    """Return the columns of a line without blanks around them, none for a blank line."""
    if not line.strip():
        return ()
    if "\t" in line.rstrip():
        return tuple(cell.strip() for cell in line.rstrip().split("\t"))
    return tuple(line.split())


def _check_columns(file: TableFile, tokens: Sequence[_Token]) -> None:
    """Refuse lines with another number of columns than most, with one only, or with empty ones."""
    usual = Counter(len(token.columns) for token in tokens).most_common(1)[0][0]
    expected = f"{usual}, as on most lines" if usual > 1 else "a token and its label"
    odd = [token for token in tokens if len(token.columns) != usual or usual < 2]
    if odd:
        number = len(odd[0].columns)
        checks.fail(
            file.line(odd[0].line),
            got=f"{number} column{'s' if number > 1 else ''}, "
            f"{' '.join(odd[0].columns):.40}{and_more(odd)}",
            expected=expected,
            do="write one token and its label a line, and a blank line between sentences",
        )
    empty = [token for token in tokens if not token.columns[0] or not token.columns[-1]]
    if empty:
        checks.fail(
            file.line(empty[0].line),
            got=f"an empty {'label' if empty[0].columns[0] else 'token'}{and_more(empty)}",
            expected="a token and its label",
            do="fill it in, or take the line out",
        )


def is_bio(items: Sequence[Item]) -> bool:
    """Return whether labels follow the BIO scheme; at least one must open a span.

    Args:
        items: sentences.

    Raises:
        CompanionError: some labels do and others do not.
    """
    labels = [label for item in items for label in item.label]
    if not any(_has_type(label, "BI") for label in labels):
        return False
    odd = [
        (item.file.line(item.line + position), label)
        for item in items
        for position, label in enumerate(item.label)
        if label != "O" and not _has_type(label, "BI")
    ]
    if odd:
        where, label = odd[0]
        checks.fail(
            where,
            got=f"the label {label!r}{and_more(odd)}",
            expected="'O', 'B-x' or 'I-x', as other labels are",
            do="write BIO throughout (of BIOES, E-x becomes I-x and S-x becomes B-x), or rename "
            "the labels if they are no spans",
        )
    return True


def _has_type(label: str, prefixes: str) -> bool:
    """Return whether a label is a prefix, a hyphen and a type."""
    return len(label) > 2 and label[0] in prefixes and label[1] == "-"


def repaired(items: Sequence[Item], *, repair: bool) -> list[Item]:
    """Return sentences whose spans all begin with B-.

    Args:
        items: sentences with BIO labels.
        repair: whether an I-x that goes on with no span of x becomes a B-x, as the scoring
            program of CoNLL reads it; else it is refused.

    Raises:
        CompanionError: there is such a label, and no repair was asked for.

    Reference: tjongkimsang2000introduction, sec. 4 (evaluation)
    """
    kept, wrong = [], []
    for item in items:
        before, labels = "O", []
        for position, label in enumerate(item.label):
            opens = label.startswith("I-") and label[2:] != before[2:]
            if opens:
                wrong.append((item.file.line(item.line + position), label, before))
            labels.append(f"B-{label[2:]}" if opens else label)
            before = label
        kept.append(replace(item, label=tuple(labels)))
    if wrong and not repair:
        where, label, before = wrong[0]
        after = f"after {before!r}" if before != "O" else "after 'O' or at the beginning"
        checks.fail(
            where,
            got=f"{label!r} {after}{and_more(wrong)}",
            expected=f"'B-{label[2:]}' where a span begins",
            do="put the labels right, or pass repair=True (on the command line --repair), which "
            "reads such an I- as the beginning of a span",
        )
    return kept
