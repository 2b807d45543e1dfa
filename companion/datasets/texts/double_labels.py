"""Both passes over the labels of a set: how far a reader agrees with the labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from companion import checks
from companion.datasets.texts import entities, reviews, sentence_pairs
from companion.datasets.texts.marks import CLASSES, read_marks
from companion.datasets.texts.rows import read_rows

__all__ = ["DoubleLabels", "load_double_labels"]


@dataclass(frozen=True, eq=False)
class DoubleLabels:
    """The labels of two passes over the same texts.

    Attributes:
        ids: one name an item, those of the dataset.
        first: labels of the first pass, one an item; these are the dataset's labels.
        second: labels of the second pass.
        classes: names of the class ids; empty where a label is a grade.
    """

    ids: tuple[str, ...]
    first: tuple[Any, ...]
    second: tuple[Any, ...]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.ids)


def load_double_labels(name: str) -> DoubleLabels:
    """Load both passes over all items of a set, those of its test part included.

    They say how far the labels can be trusted. No choice about a model may rest on them.

    Args:
        name: `"reviews"`, `"review_stars"` (class ids), `"entities"` (one tuple of class ids a
            sentence) or `"sentence_pairs"` (scores in [0, 1]).

    Raises:
        CompanionError: another name, or the bundled file is missing or broken.
    """
    checks.one_of("set that was labelled twice", name, _SETS)
    file, sha256, column, classes, read = _SETS[name]
    rows = read_rows(file, sha256)
    return DoubleLabels(
        ids=tuple(f"{file}/{row['id']}" for row in rows),
        first=tuple(read(row[column]) for row in rows),
        second=tuple(read(row[f"second_{column}"]) for row in rows),
        classes=classes,
    )


def _read_marks(text: str) -> tuple[int, ...]:
    """Return the class ids of a marked text."""
    return tuple(read_marks(text)[1])


_SETS: dict[str, tuple[str, str, str, tuple[str, ...], Callable[[Any], Any]]] = {
    "reviews": (
        "reviews",
        reviews.SHA256,
        "polarity",
        reviews.POLARITIES,
        reviews.POLARITIES.index,
    ),
    "review_stars": (
        "reviews",
        reviews.SHA256,
        "stars",
        reviews.STARS,
        lambda stars: reviews.STARS.index(str(stars)),
    ),
    "entities": ("entities", entities.SHA256, "text", CLASSES, _read_marks),
    "sentence_pairs": (
        "sentence_pairs",
        sentence_pairs.SHA256,
        "score",
        (),
        lambda score: score / sentence_pairs.HIGHEST,
    ),
}
"""File, checksum, column, classes and how to read a label, by name."""
