"""Which library a docstring is of: a labelled set of real English on every machine.

The texts are the bodies of docstrings, with the names of the libraries masked; whole modules are
held out for the test.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from companion import checks, runtime
from companion.datasets.base import Source
from companion.datasets.docstrings import MIN_CHARACTERS, Docstring, load_docstrings
from companion.registry import DatasetCard
from companion.splits import Split

__all__ = ["CARD", "LIBRARIES", "MASK", "MAX_CHARACTERS", "load", "mask_names", "read_libraries"]

LIBRARIES = ("numpy", "sklearn")
"""The libraries of `load_dataset("docstring_library")`; reading them takes about 3 s, once."""

MASK = "library"
"""What stands for the name of a library, and for a dotted name that begins with it."""

MAX_CHARACTERS = 400
"""Longer bodies are cut before the word that would go beyond."""

TEST_SHARE = 0.2
"""Modules are set aside for the test until they hold this share of a library's texts."""

_NAMES = ("numpy", r"(?<![a-z])np(?![a-z])", "scipy", r"scikit[-_ ]?learn", "sklearn")

CARD = DatasetCard(
    name="docstring_library",
    title="Docstrings, which library",
    modality="language",
    task="classification",
    classes=LIBRARIES,
    licence="BSD-3-Clause (NumPy, scikit-learn); read where they are installed, not passed on",
    source="the source files of the packages on this machine",
    notes="The first 400 characters of what follows the summary of a docstring. The names of the "
    "libraries, and dotted names that begin with them, are masked; names of modules and the habits "
    "of each library's authors are not, and they are what there is to learn. A group is a module: "
    "no module of the test set is in the pool, but related modules may say the same in other "
    "words. Sizes and figures depend on the installed versions, and a little on that of Python: "
    "constraints.txt has those of the tests. Public encoders may have read these docstrings.",
)


def load(path: Path | None = None) -> Source:
    """Read the docstrings of the two libraries.

    Args:
        path: not used.

    Returns:
        Pool and test, of different modules; inputs are texts, groups modules.

    Raises:
        CompanionError: a path was given.
    """
    if path is not None:
        checks.fail(
            f"path of the dataset {CARD.name!r}",
            got=f"'{path}'",
            expected="None: the docstrings are those of installed packages",
            do="leave it out, or call `docstring_library.read_libraries` with other packages",
        )
    return read_libraries(LIBRARIES)


def read_libraries(libraries: Sequence[str]) -> Source:
    """Read the docstrings of some libraries as a dataset whose classes they are.

    Args:
        libraries: at least two installed packages, as they are imported.

    Returns:
        Pool and test, of different modules; inputs are texts, groups modules.

    Raises:
        CompanionError: fewer than two libraries, or one of them is not installed or has fewer
            than two modules with docstrings.
    """
    names = tuple(dict.fromkeys([libraries] if isinstance(libraries, str) else libraries))
    if len(names) < 2:
        checks.fail(
            "libraries", got=f"{list(names)}", expected="at least two", do="name another package"
        )
    pool: list[tuple[Docstring, str]] = []
    test: list[tuple[Docstring, str]] = []
    texts = _texts(names)
    for name in names:
        mine = [(row, text) for row, text in texts if row.package == name]
        held = _test_modules([row for row, _ in mine], name)
        test += [pair for pair in mine if pair[0].module in held]
        pool += [pair for pair in mine if pair[0].module not in held]
    card = CARD if names == LIBRARIES else replace(CARD, classes=names, licence="their owners'")
    return Source(_split("pool", pool, names), _split("test", test, names), card, grouped=True)


def mask_names(text: str, *, also: Sequence[str] = ()) -> str:
    """Return a text without the names of libraries.

    Args:
        text: any text.
        also: names to mask beside those of NumPy, SciPy and scikit-learn.

    Example:
        >>> mask_names("As in NumPy, np.linalg.norm returns a float.")
        'As in library, library returns a float.'
    """
    names = "|".join((*_NAMES, *map(re.escape, also)))
    return re.sub(rf"(?:{names})(?:\.\w+)*", MASK, text, flags=re.IGNORECASE)


def _texts(libraries: tuple[str, ...]) -> list[tuple[Docstring, str]]:
    """Return the docstrings whose masked and cut bodies are long enough and new."""
    seen: set[str] = set()
    kept = []
    for row in load_docstrings(libraries):
        text = " ".join(mask_names(row.body, also=libraries).split())
        if len(text) > MAX_CHARACTERS:
            text = text[: MAX_CHARACTERS + 1].rpartition(" ")[0] or text[:MAX_CHARACTERS]
        if len(text) >= MIN_CHARACTERS and text not in seen:
            seen.add(text)
            kept.append((row, text))
    return kept


def _test_modules(rows: Sequence[Docstring], library: str) -> set[str]:
    """Return modules that hold a fifth of a library's texts, by a seeded hash of their names."""
    sizes: dict[str, int] = {}
    for row in rows:
        sizes[row.module] = sizes.get(row.module, 0) + 1
    if len(sizes) < 2:
        checks.fail(
            f"library {library!r}",
            got=f"{len(sizes)} modules with long docstrings",
            expected="at least two, one to train on and one for test",
            do="name a larger package",
        )
    held: set[str] = set()
    order = sorted(sizes, key=lambda name: runtime.derive_seed(0, CARD.name, name))
    for module in order[:-1]:
        if sum(sizes[name] for name in held) >= TEST_SHARE * len(rows):
            break
        held.add(module)
    return held


def _split(name: str, pairs: Sequence[tuple[Docstring, str]], classes: tuple[str, ...]) -> Split:
    """Return some texts with the library and the module of each."""
    return Split(
        name,
        [text for _, text in pairs],
        torch.tensor([classes.index(row.package) for row, _ in pairs], dtype=torch.long),
        tuple(f"docstring_library/{row.name}" for row, _ in pairs),
        classes,
        groups=tuple(row.module for row, _ in pairs),
    )
