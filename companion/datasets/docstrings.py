"""Docstrings of installed packages: real English on every machine, read without importing them.

What is read depends on the versions that are installed; figures are comparable for equal versions
only (`constraints.txt` has those of the tests). What was read of a package is kept in the cache,
so that the seconds of parsing are spent once.
"""

from __future__ import annotations

import ast
import functools
import gzip
import hashlib
import importlib.metadata
import importlib.util
import json
import platform
import re
import sys
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from companion import assets, checks, runtime
from companion.checks import CompanionError

__all__ = ["MIN_CHARACTERS", "PACKAGES", "SKIPPED", "Docstring", "load_docstrings"]

PACKAGES = ("numpy", "scipy", "sklearn")
"""Packages that come with the companion, with long docstrings."""

MIN_CHARACTERS = 80
"""Shorter docstrings say little more than the name does."""

SKIPPED = ("tests", "test", "testing", "conftest", "externals", "extern", "_vendor", "vendored")
"""Folders and modules that hold tests, or copies of other packages."""

DISTRIBUTIONS = {"sklearn": "scikit-learn"}
"""Names that packages are installed under, where they are others. Of one that is not found here
the version is unknown, and names and sizes of its files alone say whether it changed."""

FORMAT = 1
"""Goes up when the rows of a file change, so that what an older version kept is read no more."""

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Docstring:
    """What the source says about one module, class or function.

    Attributes:
        package: the package that was asked for, such as `"numpy"`.
        module: where it stands, such as `"numpy.linalg._linalg"`.
        name: the whole name, such as `"numpy.linalg._linalg.norm"`; of a module its own.
        summary: the first paragraph, in one line.
        body: the paragraphs after it, with their line breaks; may be empty.
    """

    package: str
    module: str
    name: str
    summary: str
    body: str

    @property
    def text(self) -> str:
        """Summary and body, with an empty line between them."""
        return f"{self.summary}\n\n{self.body}" if self.body else self.summary


def load_docstrings(
    packages: Sequence[str] = PACKAGES, *, min_characters: int = MIN_CHARACTERS
) -> list[Docstring]:
    """Read the docstrings of installed packages from their source files.

    Nothing is imported. Tests and copies of other packages are left out, so are functions inside
    functions, and what is written in C. A text that occurs twice is taken where it occurs first.

    Args:
        packages: names as they are imported.
        min_characters: shorter docstrings (after removing the indentation) are left out.

    Returns:
        The docstrings, package by package, modules in alphabetical order, in the order of the
        source: the same rows for the same versions.

    Raises:
        CompanionError: a package is not installed or has no Python source.
    """
    min_characters = checks.non_negative_int("min_characters", min_characters)
    if isinstance(packages, str):
        packages = (packages,)
    names: set[str] = set()
    texts: set[str] = set()
    kept = []
    for package in dict.fromkeys(packages):
        for row in _rows(package):
            is_new = row.name not in names and row.text not in texts
            if len(row.text) >= min_characters and is_new:
                names.add(row.name)
                texts.add(row.text)
                kept.append(row)
    return kept


def _rows(package: str) -> tuple[Docstring, ...]:
    """Return all docstrings of a package, from the cache where they are there."""
    root, files = _sources(package)
    listed = "\n".join(f"{file.relative_to(root)} {file.stat().st_size}" for file in files)
    digest = hashlib.sha256(listed.encode()).hexdigest()[:16]
    python = ".".join(map(str, sys.version_info[:2]))
    name = f"{package}-{_version(package)}-python{python}-{FORMAT}-{digest}.json.gz"
    return _cached(package, root, files, assets.cache_directory() / "docstrings" / name)


@functools.lru_cache(maxsize=8)
def _cached(package: str, root: Path, files: tuple[Path, ...], path: Path) -> tuple[Docstring, ...]:
    """Return the docstrings of some files; what is not in the cache is put there."""
    rows = _read_cache(path)
    if rows is None:
        rows = tuple(row for file in files for row in _in_file(package, root, file))
        content = json.dumps(
            [tuple(vars(row).values()) for row in rows], ensure_ascii=False
        ).encode()
        try:
            runtime.atomic_write(path, gzip.compress(content, compresslevel=1, mtime=0))
        except CompanionError as error:
            warnings.warn(f"docstrings are read anew each time: {error}", stacklevel=4)
    return rows


def _read_cache(path: Path) -> tuple[Docstring, ...] | None:
    """Return the rows that were put into the cache; `None` where there are none, or broken ones."""
    try:
        rows = json.loads(gzip.decompress(path.read_bytes()))
        return tuple(Docstring(*row) for row in rows)
    except (OSError, EOFError, zlib.error, ValueError, TypeError):
        return None


def _sources(package: str) -> tuple[Path, tuple[Path, ...]]:
    """Return the folder that a package lies in, and its source files in alphabetical order."""
    is_name = isinstance(package, str) and package.isidentifier()
    spec = importlib.util.find_spec(package) if is_name else None
    if spec is None:
        checks.fail(
            "package",
            got=repr(package),
            expected="the name of an installed package, as it is imported",
            do="install it, or name another one, such as 'numpy'",
        )
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    if folders:
        root = folders[0].parent
        found = sorted(folders[0].rglob("*.py"), key=lambda file: file.with_suffix("").parts)
    else:
        file = Path(spec.origin or "")
        root, found = file.parent, [file] if file.suffix == ".py" else []
    parts = {file: set(file.relative_to(root).with_suffix("").parts[1:]) for file in found}
    kept = tuple(file for file in found if not parts[file] & set(SKIPPED))
    if not kept:
        checks.fail(
            f"package {package!r}",
            got="no Python source",
            expected="files that end in .py",
            do="name another package, such as 'numpy'",
        )
    return root, kept


def _version(package: str) -> str:
    """Return the version of a package; that of Python for its standard library."""
    if package in sys.stdlib_module_names:
        return platform.python_version()
    try:
        return importlib.metadata.version(DISTRIBUTIONS.get(package, package))
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _in_file(package: str, root: Path, file: Path) -> Iterator[Docstring]:
    """Yield the docstrings of a source file; none where it is no Python of this version."""
    parts = file.relative_to(root).with_suffix("").parts
    module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return
    for name, node in _documented(tree, module):
        text = ast.get_docstring(node)
        if text and text.strip():
            summary, body = _parted(text)
            yield Docstring(package, module, name, summary, body)


def _documented(node: ast.AST, name: str) -> Iterator[tuple[str, Documented]]:
    """Yield what may have a docstring, with its whole name, in the order of the source."""
    if isinstance(node, Documented):
        yield name, node
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    for inner in _statements(node):
        if isinstance(inner, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _documented(inner, f"{name}.{inner.name}")
        else:
            yield from _documented(inner, name)


def _statements(node: ast.AST) -> Iterable[ast.AST]:
    """Return the statements inside a module, a class, an `if`, a `try` or a `with`."""
    blocks = [getattr(node, field, []) for field in ("body", "handlers", "orelse", "finalbody")]
    return (inner for block in blocks if isinstance(block, list) for inner in block)


def _parted(text: str) -> tuple[str, str]:
    """Return the first paragraph in one line, and what follows."""
    first, *rest = re.split(r"\n[ \t]*\n", text.strip(), maxsplit=1)
    return " ".join(first.split()), rest[0].strip("\n").rstrip() if rest else ""
