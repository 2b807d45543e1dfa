"""Recorded studies by name: in a checkout of the book, or in the installed package."""

from __future__ import annotations

from pathlib import Path

from companion import checks
from companion.study.results import Study
from companion.study.storage import load

__all__ = ["path_of", "recorded", "recorded_names"]

PACKAGE = Path(__file__).resolve().parents[1]
PLACES = (PACKAGE.parent / "book" / "studies", PACKAGE / "recorded")
"""Where the book keeps them, and where an installation from the repository puts them."""


def recorded(name: str) -> Study:
    """Read a study that the book recorded.

    Args:
        name: part, chapter and study, such as `"vision/image-classification/ladder"`.

    Raises:
        CompanionError: no study of this name; near matches are listed.
    """
    return load(path_of(name))


def path_of(name: str) -> Path:
    """Return the file of a recorded study.

    Args:
        name: as for `recorded`.

    Raises:
        CompanionError: no study of this name; near matches are listed.
    """
    names = recorded_names()
    if not names:
        checks.fail(
            "recorded studies",
            got="none in this installation",
            expected=f"studies in {PLACES[0]} or {PLACES[1]}",
            do="install the companion from the book's repository",
        )
    checks.one_of("recorded study", name, names)
    return next(p for place in PLACES if (p := place / f"{name}.json").is_file())


def recorded_names() -> tuple[str, ...]:
    """Return the names of all recorded studies, sorted."""
    found = {
        path.relative_to(place).with_suffix("").as_posix()
        for place in PLACES
        for path in place.rglob("*.json")
    }
    return tuple(sorted(found))
