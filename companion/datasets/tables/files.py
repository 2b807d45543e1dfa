"""Files of a reader's own texts: which there are, and their letters."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from companion import checks

__all__ = [
    "KINDS",
    "LAYOUT",
    "PARTS",
    "Item",
    "TableFile",
    "and_more",
    "find_files",
    "part_named",
    "read_letters",
    "readable",
    "recognise",
]

KINDS = {
    ".csv": "CSV",
    ".tsv": "TSV",
    ".tab": "TSV",
    ".jsonl": "JSONL",
    ".ndjson": "JSONL",
    ".conll": "CoNLL",
    ".bio": "CoNLL",
    ".iob": "CoNLL",
    ".iob2": "CoNLL",
    ".txt": "CoNLL",
}
"""What a file is read as, by its ending in lower case."""

OTHER_TABLES = (".json", ".ods", ".parquet", ".xls", ".xlsx")
"""Endings of tables that are refused with the advice to save them as one of these."""

PARTS = ("train", "val", "test")
OTHER_NAMES = {"validation": "val", "valid": "val", "dev": "val"}
"""What others call val."""

LAYOUT = (
    "a file that ends in .csv, .tsv, .jsonl or .conll, or a folder with such files named train, "
    "val and test"
)


@dataclass(frozen=True)
class TableFile:
    """A file of texts.

    Attributes:
        path: where it lies.
        kind: `"CSV"`, `"TSV"`, `"JSONL"` or `"CoNLL"`.
        part: the part that it is, by its name; `""` where the file is all there is.
    """

    path: Path
    kind: str
    part: str = ""

    def line(self, number: int) -> str:
        """Return how a message names a line, counted from 1."""
        return f"{self.path}, line {number}"


@dataclass(frozen=True)
class Item:
    """A labelled text, with the line it was read from.

    Attributes:
        file: the file.
        line: its first line there, from 1.
        text: the text, a pair of texts, or a sentence as a tuple of words.
        label: the class, or one label a word.
        part: `"train"`, `"val"` or `"test"`; `""` where the table has no parts.
        group: what it must not be parted from; `None` where the table has no groups.
    """

    file: TableFile
    line: int
    text: str | tuple[str, ...]
    label: str | tuple[str, ...]
    part: str
    group: str | None = None

    @property
    def where(self) -> str:
        """File and line, as a message names them."""
        return self.file.line(self.line)


def find_files(path: Path) -> list[TableFile]:
    """Return the files of a table: itself, or those of a folder, in the order of the parts.

    Args:
        path: a file, or a folder with files named train, val and test.

    Raises:
        CompanionError: nothing is there, the ending is unknown, or a folder has no train, two
            files for one part, or files of two kinds.
    """
    if not path.is_dir():
        checks.existing_file("table of texts", path, do=f"check the path; expected is {LAYOUT}")
        return [TableFile(path, _kind(path))]
    checks.existing_directory("folder with a table of texts", path)
    found: dict[str, TableFile] = {}
    for file in sorted(path.iterdir()):
        part, kind = part_named(file.stem), KINDS.get(file.suffix.lower())
        if not file.is_file() or part is None or kind is None:
            continue
        other = found.setdefault(part, TableFile(file, kind, part))
        if other.path != file:
            _refuse_folder(path, f"{other.path.name} and {file.name} for one part")
    if "train" not in found:
        names = sorted(p.name for p in path.iterdir() if not p.name.startswith("."))
        listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "") or "nothing"
        _refuse_folder(path, f"no file for train among {listed}")
    kinds = {file.kind: file.path.name for file in found.values()}
    if len(kinds) > 1:
        _refuse_folder(path, f"files of two kinds, {' and '.join(sorted(kinds.values()))}")
    return [found[part] for part in PARTS if part in found]


def recognise(path: Path) -> bool:
    """Return whether a path looks like a table: by its ending, or as a folder with a file train.

    Args:
        path: a file, which need not be there, or a folder; one with a folder `train` too holds
            something else.
    """
    if not path.is_dir():
        return path.suffix.lower() in (*KINDS, *OTHER_TABLES)
    names = [file for file in path.iterdir() if part_named(file.stem) == "train"]
    is_known = any(file.is_file() and file.suffix.lower() in KINDS for file in names)
    return is_known and not any(file.is_dir() for file in names)


def part_named(name: str) -> str | None:
    """Return the part that a name means; `None` for another name.

    Args:
        name: such as `"train"`, `"Test"`, `"validation"` or `"dev"`.
    """
    plain = name.strip().lower()
    plain = OTHER_NAMES.get(plain, plain)
    return plain if plain in PARTS else None


def read_letters(path: Path) -> str:
    """Return what a file of UTF-8 holds, without a byte order mark.

    Args:
        path: the file.

    Raises:
        CompanionError: another encoding, or nothing but blanks.
    """
    data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        _refuse_encoding(path, "its first two bytes are those of UTF-16", "UTF-16")
    try:
        letters = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = data[: error.start].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        number, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        found = f"byte 0x{data[error.start]:02x} on line {number} (byte {column} of the line)"
        _refuse_encoding(path, found, "WINDOWS-1252")
    if "\0" in letters:
        number = letters[: letters.index("\0")].count("\n") + 1
        _refuse_encoding(path, f"a zero byte on line {number}", "UTF-16LE")
    if not letters.strip():
        checks.fail(
            f"table {path}",
            got="an empty file" if not data else "nothing but blanks",
            expected="labelled texts",
            do="check whether it was written to its end",
        )
    return letters


def readable(name: str) -> str:
    """Return a file's name as text that can be written; letters with marks are composed (NFC).

    Args:
        name: its name or path.
    """
    return unicodedata.normalize("NFC", os.fsencode(name).decode(errors="backslashreplace"))


def and_more(found: Sequence[object]) -> str:
    """Return how many there are beside the first, in words for a message.

    Args:
        found: all of them.
    """
    return f" (and {len(found) - 1} more)" if len(found) > 1 else ""


def _kind(path: Path) -> str:
    """Return what a file is read as.

    Raises:
        CompanionError: the ending is unknown.
    """
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        checks.fail(
            f"table {path}",
            got=f"the ending {path.suffix!r}",
            expected=f"one of {', '.join(KINDS)}",
            do="save it as CSV in UTF-8, or rename it if it is one of these",
        )
    return kind


def _refuse_folder(path: Path, got: str) -> NoReturn:
    """Raise the error for a folder that holds no table."""
    checks.fail(
        f"folder {path}",
        got=got,
        expected="train.csv and, where you have them, val.csv and test.csv (or .tsv, .jsonl, "
        ".conll), all of one kind",
        do="rename the files, or name one file with a column 'split'",
    )


def _refuse_encoding(path: Path, got: str, guess: str) -> NoReturn:
    """Raise the error for a file that is no UTF-8."""
    checks.fail(
        f"encoding of {path}",
        got=got,
        expected="UTF-8",
        do="save it as UTF-8 in the program it comes from, or convert it, such as with "
        f"`iconv -f {guess} -t UTF-8 {path.name} > {path.stem}_utf8{path.suffix}`",
    )
