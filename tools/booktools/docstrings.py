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
        module: dotted module that a reader imports it from: the package where it exports the name.
        qualname: name inside the module, `Class.method` for methods.
        kind: `function`, `class`, `method` or `property`.
        signature: as it would be typed, without the name and without `self`.
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


def modules(root: Path) -> list[tuple[str, list[Path]]]:
    """Return the package's modules as readers see them: dotted name and the files behind it.

    A folder with an `__init__.py` is one module, made of all its files.
    """
    package = root / "companion"
    found = []
    for path in sorted(package.iterdir()):
        if path.name.startswith("_") or path.name == "assets":
            continue
        name = f"companion.{path.stem}"
        if path.suffix == ".py":
            found.append((name, [path]))
        elif (path / "__init__.py").is_file():
            found.append((name, sorted(path.rglob("*.py"))))
    return found


def module_docstring(paths: list[Path]) -> str:
    """Return the text at the top of a module, of its `__init__.py` if it is a folder."""
    first = next((path for path in paths if path.name == "__init__.py"), paths[0])
    return ast.get_docstring(_parsed(first)) or ""


def public_names(root: Path) -> list[Name]:
    """Return every public function, class, method and property that readers can import."""
    return [name for module, paths in modules(root) for name in _names_of(module, paths)]


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _names_of(module: str, paths: list[Path]) -> Iterator[Name]:
    exported = None
    if paths[0].parent.name != "companion":
        exported = exports(next(path for path in paths if path.name == "__init__.py"))
    for path in paths:
        for name in _names(module, _parsed(path)):
            if exported is None or name.qualname.partition(".")[0] in exported:
                yield name


def exports(path: Path) -> set[str]:
    """Return the names in a module's `__all__`."""
    for node in _parsed(path).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


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
    returns = ast.unparse(node.returns) if node.returns else ""
    if kind == "property":
        signature = f": {returns}" if returns else ""
    else:
        signature = _arguments(node.args) + (f" -> {returns}" if returns else "")
    return Name(module, qualname, kind, signature, ast.get_docstring(node) or "")


def _arguments(arguments: ast.arguments) -> str:
    text = ast.unparse(arguments)
    return "(" + re.sub(r"^(self|cls)(, |$)", "", text) + ")"


def _class(module: str, node: ast.ClassDef) -> Iterator[Name]:
    methods = [child for child in node.body if isinstance(child, ast.FunctionDef)]
    initial = next((method for method in methods if method.name == "__init__"), None)
    signature = _arguments(initial.args) if initial else _dataclass_signature(node)
    yield Name(module, node.name, "class", signature, ast.get_docstring(node) or "")
    for method in methods:
        if _is_public(method) and ast.get_docstring(method):
            decorators = [ast.unparse(decorator) for decorator in method.decorator_list]
            kind = "property" if any("property" in name for name in decorators) else "method"
            yield _function(module, f"{node.name}.{method.name}", kind, method)


def _dataclass_signature(node: ast.ClassDef) -> str:
    decorators = " ".join(ast.unparse(decorator) for decorator in node.decorator_list)
    if "dataclass" not in decorators:
        return ""
    fields = [
        ast.unparse(child)
        for child in node.body
        if isinstance(child, ast.AnnAssign) and not ast.unparse(child.target).startswith("_")
    ]
    return f"({', '.join(fields)})"
