"""Rows of CSV, TSV and JSONL files, and the labelled texts in their columns."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from companion import checks
from companion.datasets.tables.files import (
    PARTS,
    Item,
    TableFile,
    and_more,
    part_named,
    read_letters,
)

__all__ = ["Columns", "read_items"]

SPLIT = "split"
"""The column that says which part a row belongs to, where there is one."""


@dataclass(frozen=True)
class Columns:
    """Names of the columns.

    Attributes:
        text: of the texts.
        label: of the labels.
        text_pair: of the second texts; `None` takes `text_pair` where there is such a column.
        group: of the groups; `None` takes `group` where there is such a column.
    """

    text: str = "text"
    label: str = "label"
    text_pair: str | None = None
    group: str | None = None

    def named(self) -> dict[str, str]:
        """Return the columns that must be there, by what they are for.

        Raises:
            CompanionError: one column for two purposes.
        """
        roles = ("text", "label", "text_pair", "group")
        found = {role: name for role in roles if (name := getattr(self, role)) is not None}
        taken: dict[str, str] = {SPLIT: "the parts train, val and test"}
        for role, name in found.items():
            if name in taken:
                checks.fail(
                    f"column of {role}",
                    got=f"{name!r}, which is that of {taken[name]}",
                    expected="a column of its own",
                    do="name another one, or rename the column in the table",
                )
            taken[name] = role
        return found


@dataclass(frozen=True)
class _Row:
    """The values of a row by column, with its first line."""

    line: int
    values: Mapping[str, Any]


def read_items(file: TableFile, columns: Columns) -> list[Item]:
    """Return the labelled texts of a CSV, TSV or JSONL file.

    Args:
        file: the file.
        columns: names of its columns.

    Raises:
        CompanionError: another encoding, broken quotes, rows of different lengths, a line that is
            no JSON object, no such column, an empty text or label, or an unknown part.
    """
    letters = read_letters(file.path)
    rows = _json_rows(file, letters) if file.kind == "JSONL" else _cell_rows(file, letters)
    checks.non_empty(f"rows of {file.path}", rows, do="add rows below the header")
    names = list(dict.fromkeys(name for row in rows for name in row.values))
    roles = _roles(file, columns, names)
    _check_filled(file, rows, roles)
    return [_item(file, row, roles) for row in rows]


def _item(file: TableFile, row: _Row, roles: Mapping[str, str]) -> Item:
    """Return the labelled text of a row."""
    cells = {role: _cell(row.values[name]) for role, name in roles.items()}
    pair = cells.get("text_pair")
    return Item(
        file,
        row.line,
        text=cells["text"] if pair is None else (cells["text"], pair),
        label=unicodedata.normalize("NFC", cells["label"]),
        part=_part(file, row, cells.get(SPLIT)),
        group=cells.get("group"),
    )


def _part(file: TableFile, row: _Row, value: str | None) -> str:
    """Return the part of a row by its column or, without one, by its file's name.

    Raises:
        CompanionError: the column names no part, or another one than the file.
    """
    if value is None:
        return file.part
    part = part_named(value)
    if part is None or (file.part and part != file.part):
        checks.fail(
            file.line(row.line),
            got=f"{value!r} in the column {SPLIT!r}",
            expected=f"{file.part!r}, as the file is named" if part else "'train', 'val' or 'test'",
            do="write one of them, or rename the column if it means something else",
        )
    return part


def _roles(file: TableFile, columns: Columns, names: Sequence[str]) -> dict[str, str]:
    """Return the column of each purpose: those that are named, and those that are found.

    Raises:
        CompanionError: a column that is named is not there.
    """
    roles = columns.named()
    for role, name in roles.items():
        if name not in names:
            _refuse_column(file, role, name, names)
    for role in ("text_pair", "group", SPLIT):
        if role in names and role not in roles and role not in roles.values():
            roles[role] = role
    return roles


def _refuse_column(file: TableFile, role: str, name: str, names: Sequence[str]) -> NoReturn:
    """Raise the error for a column that is not there, with near matches."""
    near = checks.suggest(name, names)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    option = f" (on the command line --{role}-column)" if role in ("text", "label") else ""
    listed = [f"{found:.30}" for found in names[:8]] + ["..."] * (len(names) > 8)
    checks.fail(
        f"column {name!r} of {file.path}",
        got=f"the columns {', '.join(map(repr, listed))}",
        expected=f"{name!r} among them",
        do=f"{hint}name the right one with {role}={option}, or write the names of the columns "
        "into the first line"
        if file.kind != "JSONL"
        else f"{hint}name the right one with {role}={option}",
    )


def _check_filled(file: TableFile, rows: Sequence[_Row], roles: Mapping[str, str]) -> None:
    """Refuse cells that hold nothing, or no text."""
    for role, name in roles.items():
        empty = [row for row in rows if _is_empty(row.values.get(name))]
        if empty:
            checks.fail(
                file.line(empty[0].line),
                got=f"nothing in the column {name!r}{and_more(empty)}",
                expected=f"{' or '.join(PARTS)}" if role == SPLIT else f"a {role} in every row",
                do="fill it in, or leave the row out",
            )
        for row in rows:
            _check_kind(file, row, role, row.values[name])


def _check_kind(file: TableFile, row: _Row, role: str, value: Any) -> None:
    """Refuse a value of JSON that is no text (labels and groups may be whole numbers too)."""
    is_number = isinstance(value, (int, bool)) and role in ("label", "group")
    is_text = isinstance(value, str) and _can_be_written(value)
    if not (is_text or is_number):
        kind = "half a letter" if isinstance(value, str) else f"a {type(value).__name__}"
        checks.fail(
            file.line(row.line),
            got=f"{ascii(value):.40} as {role}, {kind}",
            expected="a string" + (" or a whole number" if role in ("label", "group") else ""),
            do="write it as a string",
        )


def _can_be_written(text: str) -> bool:
    r"""Return whether a text is one of whole letters: JSON may hold halves, such as \ud800."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _is_empty(value: Any) -> bool:
    """Return whether a cell holds nothing."""
    return value is None or (isinstance(value, str) and not value.strip())


def _cell(value: Any) -> str:
    """Return a cell as text, without blanks around it."""
    return (value if isinstance(value, str) else json.dumps(value)).strip()


def _json_rows(file: TableFile, letters: str) -> list[_Row]:
    """Return the objects of a JSONL file.

    Raises:
        CompanionError: a line is no JSON, or no object.
    """
    rows = []
    for number, line in enumerate(io.StringIO(letters, newline=None), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            _refuse_json(file, number, f"{line.strip():.40} ({error})")
        if not isinstance(value, dict):
            _refuse_json(file, number, f"{line.strip():.40}, a {type(value).__name__}")
        rows.append(_Row(number, value))
    return rows


def _refuse_json(file: TableFile, number: int, got: str) -> NoReturn:
    """Raise the error for a line that is no JSON object."""
    checks.fail(
        file.line(number),
        got=got,
        expected='one object a line, such as {"text": "...", "label": "..."}',
        do="write each item as an object in a line of its own",
    )


def _cell_rows(file: TableFile, letters: str) -> list[_Row]:
    """Return the rows of a CSV or TSV file by the columns of its header.

    Raises:
        CompanionError: broken quotes, a column named twice, rows of different lengths.
    """
    if file.kind == "TSV":
        header, *rows = _tab_rows(file, letters)
    else:
        header, *rows = _quoted_rows(file, letters, _separator(letters))
    names = [name.strip() for name in header[1]]
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        checks.fail(
            file.line(header[0]),
            got=f"the column {twice!r} twice",
            expected="each column once",
            do="rename one of them",
        )
    ragged = [(number, cells) for number, cells in rows if len(cells) != len(names)]
    if ragged:
        number, cells = ragged[0]
        checks.fail(
            file.line(number),
            got=f"{len(cells)} columns{and_more(ragged)}",
            expected=f"{len(names)}, as in the header",
            do="put texts that hold the separator or quotes between double quotes, and double the "
            "quotes inside",
        )
    return [_Row(number, dict(zip(names, cells, strict=True))) for number, cells in rows]


def _separator(letters: str) -> str:
    """Return what divides the columns of a CSV file: what its header holds most of."""
    header = letters.lstrip().split("\n", 1)[0]
    return max(",;\t", key=header.count)


def _tab_rows(file: TableFile, letters: str) -> list[tuple[int, list[str]]]:
    """Return the rows of a TSV file, each with its first line.

    Quotes are letters, but for those around a whole cell. Only where the lines do not fit so and
    do fit with quotes that may hold tabs and ends of lines, they are read that way.
    """
    lines = enumerate(io.StringIO(letters, newline=None), start=1)
    plain = [(number, line.rstrip("\n").split("\t")) for number, line in lines if line.strip()]
    if not _is_ragged(plain):
        return [(number, [_unquoted(cell) for cell in cells]) for number, cells in plain]
    try:
        quoted = _quoted_rows(file, letters, "\t")
    except checks.CompanionError:
        return plain
    return plain if _is_ragged(quoted) else quoted


def _is_ragged(rows: Sequence[tuple[int, list[str]]]) -> bool:
    """Return whether rows are of different lengths."""
    return len({len(cells) for _, cells in rows}) > 1


def _unquoted(cell: str) -> str:
    """Return a cell without quotes around it, where those inside are doubled."""
    inside = cell[1:-1]
    is_quoted = len(cell) >= 2 and cell[0] == cell[-1] == '"'
    if is_quoted and '"' not in inside.replace('""', ""):
        return inside.replace('""', '"')
    return cell


def _quoted_rows(file: TableFile, letters: str, separator: str) -> list[tuple[int, list[str]]]:
    """Return the rows of a file whose cells may stand between quotes, each with its first line.

    Raises:
        CompanionError: a quote is not closed, or letters follow the closing one.
    """
    reader = csv.reader(io.StringIO(letters, newline=""), delimiter=separator, strict=True)
    return list(_numbered(file, reader))


def _numbered(file: TableFile, reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a reader that hold something, each with its first line.

    Raises:
        CompanionError: as in `_quoted_rows`.
    """
    number = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            is_open = "end of data" in str(error) or "field limit" in str(error)
            checks.fail(
                f"{file.line(number)}",
                got="broken quotes: one is opened and not closed"
                if is_open
                else f"broken quotes on line {reader.line_num} ({error})",
                expected="cells between double quotes that are closed before the next separator",
                do="close them, and double the quotes inside a text",
            )
        if len(cells) > 1 or (cells and cells[0].strip()):
            yield number, cells
        number = reader.line_num + 1
