"""Checks at the public border: what is wrong, what was got, what is expected, what to do.

Every mistake of a user ends in one `CompanionError` of this form. The checks return the value they
were given, so that they can stand where the value is used.
"""

from __future__ import annotations

import difflib
import math
import numbers
import operator
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NoReturn

__all__ = [
    "CompanionError",
    "existing_directory",
    "existing_file",
    "fail",
    "finite_positive",
    "fraction",
    "instance",
    "non_empty",
    "non_negative_int",
    "one_of",
    "positive_int",
    "suggest",
]


class CompanionError(ValueError):
    """A mistake that the reader of the message can put right."""


def fail(what: str, *, got: object, expected: object, do: str) -> NoReturn:
    """Raise the project's one kind of error.

    Args:
        what: which argument, file or step it is about.
        got: what was found there.
        expected: what would have been right.
        do: what to do now.

    Raises:
        CompanionError: always.

    Example:
        >>> fail("labels", got="max 12", expected="0..9", do="remap them")
        Traceback (most recent call last):
        companion.checks.CompanionError: labels: got max 12; expected 0..9; remap them
    """
    raise CompanionError(f"{what}: got {got}; expected {expected}; {do}")


def positive_int(what: str, value: object) -> int:
    """Return an integer of at least 1.

    Args:
        what: name of the value, for the message.
        value: Python or numpy integer; a bool is none.

    Raises:
        CompanionError: it is not a positive integer.
    """
    return _integer(what, value, smallest=1, expected="a positive integer")


def non_negative_int(what: str, value: object) -> int:
    """Return an integer of at least 0.

    Args:
        what: name of the value, for the message.
        value: Python or numpy integer; a bool is none.

    Raises:
        CompanionError: it is not a non-negative integer.
    """
    return _integer(what, value, smallest=0, expected="an integer of at least 0")


def _integer(what: str, value: object, *, smallest: int, expected: str) -> int:
    """Return an integer that is at least `smallest`."""
    if not isinstance(value, bool):
        try:
            number = operator.index(value)  # type: ignore[arg-type]
        except TypeError:
            number = smallest - 1
        if number >= smallest:
            return number
    fail(what, got=repr(value), expected=expected, do=f"pass {expected}, such as {smallest}")


def finite_positive(what: str, value: object) -> float:
    """Return a number that is greater than 0 and finite (a NaN is neither).

    Args:
        what: name of the value, for the message.
        value: Python or numpy number; a bool is none.

    Raises:
        CompanionError: it is not such a number.
    """
    number = _number(value)
    if not (math.isfinite(number) and number > 0):
        fail(
            what,
            got=repr(value),
            expected="a finite number above 0",
            do="pass a number such as 0.001",
        )
    return number


def fraction(what: str, value: object) -> float:
    """Return a number in [0, 1].

    Args:
        what: name of the value, for the message.
        value: Python or numpy number; a bool is none.

    Raises:
        CompanionError: it is not such a number.
    """
    number = _number(value)
    if not 0 <= number <= 1:
        fail(
            what,
            got=repr(value),
            expected="a fraction from 0 to 1",
            do="divide a percentage by 100",
        )
    return number


def _number(value: object) -> float:
    """Return a real number as a float, NaN for anything else."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return float(value) if is_number else math.nan  # type: ignore[arg-type]


def one_of(what: str, value: object, choices: Collection[str]) -> str:
    """Return a name that is among the choices.

    Args:
        what: name of the value, for the message.
        value: the name.
        choices: the names that are known.

    Raises:
        CompanionError: it is not among them; near matches are listed first.
    """
    if isinstance(value, str) and value in choices:
        return value
    near = suggest(value, choices)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "choose one of these"
    fail(what, got=repr(value), expected=f"one of {', '.join(map(repr, choices))}", do=hint)


def suggest(value: object, choices: Iterable[str]) -> list[str]:
    """Return up to three choices that look like the value, the nearest first.

    Args:
        value: a name that may be misspelt.
        choices: the names that are known.

    Example:
        >>> suggest("LP-FT", ["scratch", "lp_ft", "probe"])
        ['lp_ft']
    """
    plain = {_plain(choice): choice for choice in choices}
    near = difflib.get_close_matches(_plain(str(value)), plain, n=3, cutoff=0.6)
    return [plain[name] for name in near]


def _plain(name: str) -> str:
    """Return a name without case, spaces, hyphens and underscores."""
    return "".join(letter for letter in name.lower() if letter not in " -_")


def instance(what: str, value: object, kind: type) -> None:
    """Pass an object of a class.

    Args:
        what: name of the value, for the message.
        value: the object.
        kind: the class.

    Raises:
        CompanionError: it is of another class.
    """
    if not isinstance(value, kind):
        fail(
            what,
            got=f"{' '.join(repr(value).split()):.60}, a {type(value).__name__}",
            expected=f"a {kind.__name__}",
            do=f"pass the {kind.__name__} itself",
        )


def non_empty(what: str, value: Collection[object], *, do: str) -> None:
    """Pass a collection that holds something.

    Args:
        what: name of the value, for the message.
        value: the collection.
        do: what to do where it is empty.

    Raises:
        CompanionError: it is empty.
    """
    if len(value) == 0:
        fail(what, got="nothing", expected="at least one item", do=do)


def existing_file(what: str, path: str | Path, *, do: str = "check the path") -> Path:
    """Return the path of a file that is there.

    Args:
        what: what the file is for, for the message.
        path: where it should be; `~` stands for the home folder.
        do: what to do where it is not.

    Raises:
        CompanionError: nothing is there, or a folder, or it cannot be read.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        fail(what, got=f"{path}, {_kind(path)}", expected="a file", do=do)
    try:
        path.open("rb").close()
    except OSError as error:
        _cannot_read(what, path, error)
    return path


def existing_directory(what: str, path: str | Path, *, do: str = "check the path") -> Path:
    """Return the path of a folder that is there.

    Args:
        what: what the folder is for, for the message.
        path: where it should be; `~` stands for the home folder.
        do: what to do where it is not.

    Raises:
        CompanionError: nothing is there, or a file, or it cannot be read.
    """
    path = Path(path).expanduser()
    if not path.is_dir():
        fail(what, got=f"{path}, {_kind(path)}", expected="a folder", do=do)
    try:
        next(path.iterdir(), None)
    except OSError as error:
        _cannot_read(what, path, error)
    return path


def _cannot_read(what: str, path: Path, error: OSError) -> NoReturn:
    """Raise the error for a path without read permission."""
    fail(
        what,
        got=f"{path}, which cannot be read ({error.strerror or error})",
        expected="read permission",
        do="change its permissions or copy it to a place of your own",
    )


def _kind(path: Path) -> str:
    """Return what lies at a path, in words."""
    if path.is_dir():
        return "which is a folder"
    return "which is a file" if path.exists() else "which does not exist"
