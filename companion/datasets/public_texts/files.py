"""Public files of text: found or downloaded, unpacked, and read line by line with clear errors."""

from __future__ import annotations

import gzip
import hashlib
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NoReturn

from companion import assets, checks
from companion.assets import RemoteFile
from companion.registry import DatasetCard

__all__ = ["checksums", "numbered_sentences", "read_bytes", "read_member", "refuse_path", "spoilt"]


def checksums(*files: RemoteFile) -> tuple[tuple[str, str], ...]:
    """Return the names and checksums of files, as a card has them.

    Args:
        *files: the files.
    """
    return tuple((PurePosixPath(file.name).name, file.sha256) for file in files)


def refuse_path(card: DatasetCard, path: Path | None) -> None:
    """Refuse a path for public texts, which lie at a place of their own.

    Args:
        card: the dataset.
        path: what the reader gave.

    Raises:
        CompanionError: it is not `None`.
    """
    if path is not None:
        checks.fail(
            f"path of the dataset {card.name!r}",
            got=f"'{path}'",
            expected="None: its files are looked for below COMPANION_DATA, then downloaded",
            do="leave it out",
        )


def read_bytes(file: RemoteFile) -> bytes:
    """Return the content of a public file, which is downloaded if it is not on this machine.

    A copy that gzip packed, of the same name with `.gz` behind it, is taken too: its content has
    to be that of the public file.

    Args:
        file: the file.

    Raises:
        CompanionError: the file is broken or cannot be had; the message says where to put it.
    """
    packed = [root / PurePosixPath(f"{file.name}.gz") for root in assets.roots().values()]
    there = next((path for path in packed if path.is_file()), None)
    if there is None or assets.locate(file) is not None:
        return assets.fetch(file).read_bytes()
    try:
        content = gzip.decompress(there.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        spoilt(f"file {there}", str(error), "a file that gzip packed", file)
    if hashlib.sha256(content).hexdigest() != file.sha256:
        spoilt(f"file {there}", "another content", f"SHA-256 {file.sha256} once unpacked", file)
    return content


def read_member(file: RemoteFile, member: str) -> bytes:
    """Return one member of a public zip.

    Args:
        file: the zip.
        member: its path in the zip.

    Raises:
        CompanionError: the zip is broken, cannot be had, or lacks the member.
    """
    try:
        with zipfile.ZipFile(assets.fetch(file)) as archive:
            return archive.read(member)
    except (KeyError, zipfile.BadZipFile) as error:
        spoilt(f"file {file.name}", str(error).strip("'\""), f"a zip that holds {member}", file)


def numbered_sentences(content: bytes, *, what: str) -> Iterator[list[tuple[int, str]]]:
    """Yield the sentences of a file that has one word a line, and an empty line between sentences.

    A line of blanks alone, such as a single tab, counts as empty.

    Args:
        content: the file, UTF-8.
        what: name of the file, for the message.

    Yields:
        The lines of a sentence, each with its number from 1.

    Raises:
        CompanionError: the file is no UTF-8.
    """
    sentence: list[tuple[int, str]] = []
    for number, line in enumerate(_decoded(content, what).split("\n"), start=1):
        if line.strip():
            sentence.append((number, line.rstrip("\r")))
        elif sentence:
            yield sentence
            sentence = []
    if sentence:
        yield sentence


def _decoded(content: bytes, what: str) -> str:
    """Return bytes as text."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        checks.fail(
            what,
            got=f"a byte that is no UTF-8, in line {line}",
            expected="text in UTF-8",
            do="get the whole file again, and do not let an editor save it",
        )


def spoilt(what: str, got: str, expected: str, file: RemoteFile) -> NoReturn:
    """Raise the error for a public file that is not what it should be.

    Args:
        what: the file, or its line.
        got: what is there.
        expected: what should be there.
        file: where it can be had again.

    Raises:
        CompanionError: always.
    """
    checks.fail(what, got=got, expected=expected, do=f"delete it and get {file.url} again")
