"""Public names of the package with their signatures and docstrings, read without importing it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import cleandoc
from pathlib import Path

SECTION = re.compile(
    r"^(Args|Attributes|Returns|Yields|Raises|Modifies|Warns|Shape|Example|Examples|Note|Reference)"
    r":[ \t]*(.*)$"
)
REFERENCE_KEY = re.compile(r"\b([a-z]+(?:\d{4})[a-z]+)\b")


@dataclass(frozen=True)
class Section:
    """One part of a docstring: its title, `""` for the text before the first, and its lines."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Name:
    """A public function, class or method.

    Args:
        module: dotted module.
        qualname: name inside the module, `Class.method` for methods.
        kind: `function`, `class` or `method`.
        signature: as it would be typed, without the name; empty for classes without `__init__`.
        docstring: cleaned text, `""` where there is none.
    """

    module: str
    qualname: str
    kind: str
    signature: str
    docstring: str

    @property
    def anchor(self) -> str:
        """Label of this name on the page of the interface."""
        return (
            f"api-{self.kind}-{self.module}.{self.qualname}".replace("_", "-")
            .replace(".", "-")
            .lower()
        )

    @property
    def sections(self) -> list[Section]:
        """The docstring in parts."""
        return split_sections(self.docstring)

    @property
    def references(self) -> list[str]:
        """Keys that the docstring's `Reference:` lines name, in order."""
        text = " ".join(
            line
            for section in self.sections
            if section.title == "Reference"
            for line in section.lines
        )
        return list(dict.fromkeys(REFERENCE_KEY.findall(text)))


def split_sections(docstring: str) -> list[Section]:
    """Split a Google-style docstring into its parts, in order."""
    parts: list[tuple[str, list[str]]] = [("", [])]
    for line in docstring.splitlines():
        match = SECTION.match(line)
        if match:
            parts.append((match[1], [match[2]] if match[2] else []))
        else:
            parts[-1][1].append(line)
    return [
        Section(title, tuple(cleandoc("\n" + "\n".join(lines)).splitlines()))
        for title, lines in parts
        if any(line.strip() for line in lines)
    ]


def modules(root: Path) -> list[tuple[str, Path]]:
    """Return the package's public modules, dotted name and path, sorted by name."""
    found = []
    for path in sorted((root / "companion").rglob("*.py")):
        relative = path.relative_to(root).with_suffix("")
        if "__pycache__" in path.parts or "assets" in relative.parts:
            continue
        parts = [part for part in relative.parts if part != "__init__"]
        if not any(part.startswith("_") for part in parts):
            found.append((".".join(parts), path))
    return found


def module_docstring(path: Path) -> str:
    """Return the text at the top of a module."""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def public_names(root: Path) -> list[Name]:
    """Return every public function, class and method that the package defines."""
    return [
        name
        for module, path in modules(root)
        for name in _names(module, ast.parse(path.read_text(encoding="utf-8")))
    ]


def _names(module: str, tree: ast.Module) -> Iterator[Name]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_public(node):
            yield _function(module, node.name, "function", node)
        elif isinstance(node, ast.ClassDef) and _is_public(node):
            yield from _class(module, node)


def _is_public(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    return not node.name.startswith("_")


def _function(
    module: str, qualname: str, kind: str, node: ast.FunctionDef | ast.AsyncFunctionDef
) -> Name:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    signature = f"({ast.unparse(node.args)}){returns}"
    return Name(module, qualname, kind, signature, ast.get_docstring(node) or "")


def _class(module: str, node: ast.ClassDef) -> Iterator[Name]:
    methods = [child for child in node.body if isinstance(child, ast.FunctionDef)]
    initial = next((method for method in methods if method.name == "__init__"), None)
    signature = f"({ast.unparse(initial.args)})" if initial else _dataclass_signature(node)
    yield Name(module, node.name, "class", signature, ast.get_docstring(node) or "")
    for method in methods:
        if _is_public(method) and ast.get_docstring(method):
            yield _function(module, f"{node.name}.{method.name}", "method", method)


def _dataclass_signature(node: ast.ClassDef) -> str:
    decorators = " ".join(ast.unparse(decorator) for decorator in node.decorator_list)
    if "dataclass" not in decorators:
        return ""
    fields = [ast.unparse(child) for child in node.body if isinstance(child, ast.AnnAssign)]
    return f"({', '.join(fields)})"
