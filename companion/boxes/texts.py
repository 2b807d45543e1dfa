"""Texts that come from files of others: decoded, told apart from bytes, safe to show."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import NoReturn

from companion import checks

__all__ = ["as_listed", "is_label", "read_listed", "read_text", "readable", "reason", "refuse_file"]

_NO_LETTERS = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories of what is no part of a name: controls, halves of pairs, ends of lines."""


def is_label(text: object) -> bool:
    """Return whether something may name a class: a text of letters, with no blanks around it.

    Args:
        text: what a file has there.
    """
    return isinstance(text, str) and text == text.strip() != "" and readable(text) == text


def readable(text: str) -> str:
    r"""Return a text as it can be shown and written: what is no letter becomes its code.

    Args:
        text: such as the name of a file, which may hold bytes that are not UTF-8.

    Example:
        >>> readable("L\udcf6we\n")
        'L\\xf6we\\x0a'
    """
    return "".join(
        _code(letter) if unicodedata.category(letter) in _NO_LETTERS else letter for letter in text
    )


def _code(letter: str) -> str:
    """Return the code of a letter, or of the byte that it stands for in the name of a file."""
    code = ord(letter)
    code -= 0xDC00 if 0xDC80 <= code <= 0xDCFF else 0
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def reason(error: BaseException) -> str:
    """Return why a file could not be read, in words and without its path.

    Args:
        error: what reading it raised.
    """
    if isinstance(error, UnicodeDecodeError):
        bad = error.object[error.start]
        return f"byte 0x{bad:02x} at position {error.start}, which is not {error.encoding.upper()}"
    if isinstance(error, KeyError):
        return f"no {error}"
    if isinstance(error, RecursionError):
        return "lists within lists without end"
    strerror = getattr(error, "strerror", None)
    return strerror or " ".join(str(error).split()) or type(error).__name__


def read_text(path: Path) -> str:
    """Return a text file; a mark of the byte order before it is passed over.

    Args:
        path: the file.

    Raises:
        CompanionError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode().removeprefix("\ufeff")
    except (OSError, UnicodeDecodeError) as error:
        refuse_file(path, error, expected="text in UTF-8", do="save it as UTF-8")


def read_listed(path: Path) -> list[str]:
    """Return the lines of a list of files, without blanks around them and without empty ones.

    Bytes that are not UTF-8 are kept as the names of files have them (`os.fsdecode`), so that a
    list made where a file is called by them names that file.

    Args:
        path: the list.

    Raises:
        CompanionError: it cannot be read, or is no text.
    """
    try:
        content = path.read_bytes()
        if b"\0" in content:
            raise ValueError("a byte 0, as in images and in text of two bytes a letter")
    except (OSError, ValueError) as error:
        refuse_file(path, error, expected="a text file, one name a line", do="save it as UTF-8")
    text = content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    return [line for line in map(str.strip, text.splitlines()) if line]


def as_listed(name: str) -> str:
    """Return what is said of a name in a list: itself, with a hint where it is not UTF-8.

    Args:
        name: from `read_listed`.
    """
    return f"{name} (not UTF-8)" if any("\ud800" <= c <= "\udfff" for c in name) else name


def refuse_file(path: Path, error: BaseException, *, expected: str, do: str) -> NoReturn:
    """Raise the error for a file that everything else depends on.

    Args:
        path: the file.
        error: what reading it raised.
        expected: what it should be.
        do: what to do now.

    Raises:
        CompanionError: always.
    """
    checks.fail(f"file {path}", got=reason(error), expected=expected, do=do)
