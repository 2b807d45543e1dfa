"""Markdown that is written from the code and the last run: interface, papers, chapters, launch."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

from booktools.cards import chapter_table, study_table
from booktools.docstrings import (
    Name,
    Section,
    module_docstring,
    modules,
    public_names,
    split_sections,
)
from booktools.layout import Page, chapters, table_of_contents
from booktools.public_address import address, launch_sentence
from booktools.results import cost, studies

Part = Callable[[Path, str, Path], str]
CITED = re.compile(r"\{cite(?::[a-z]+)?\}`([^`]+)`")
WIDEST = 78
LIST_ITEM = re.compile(r"^(\*{0,2}[\w.]+(?: \([^)]*\))?):\s+(.*)$")


# --- interface --------------------------------------------------------------------------------


def api(root: Path, docname: str, results: Path) -> str:
    """Return the page of the interface: each public name, its signature and its docstring."""
    by_module: dict[str, list[Name]] = {}
    for name in public_names(root):
        by_module.setdefault(name.module, []).append(name)
    blocks = []
    for module, paths in modules(root):
        if module not in by_module:
            continue
        blocks += [f"## `{module}`", _docstring(split_sections(module_docstring(paths)))]
        blocks += [_entry(name) for name in by_module[module]]
    return "\n\n".join(blocks)


def _entry(name: Name) -> str:
    level = "###" if name.kind in ("class", "function") else "####"
    word = "class " if name.kind == "class" else ""
    lines = [f"({name.anchor})=", f"{level} `{name.qualname}`", ""]
    lines += ["```python", wrapped(f"{word}{name.qualname}{name.signature}"), "```", ""]
    return "\n".join([*lines, _docstring(name.sections)])


def wrapped(signature: str) -> str:
    """Return a long signature with one argument a line."""
    if len(signature) <= WIDEST or "(" not in signature:
        return signature
    start, pieces, depth = signature.index("(") + 1, [""], 0
    end = start
    for end in range(start, len(signature)):
        character = signature[end]
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            break
        if character == "," and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += character
    inside = "".join(f"    {piece.strip()},\n" for piece in pieces)
    return f"{signature[:start]}\n{inside}{signature[end:]}"


def _docstring(sections: list[Section]) -> str:
    return "\n\n".join(_section(part.title, list(part.lines)) for part in sections)


def _section(title: str, lines: list[str]) -> str:
    if title in ("Example", "Examples"):
        return "**Example**\n\n```python\n" + "\n".join(lines) + "\n```"
    if title == "Reference":
        return "**Reference** " + _reference(" ".join(lines))
    if title in ("Args", "Attributes", "Raises"):
        return f"**{title}**\n\n" + "\n".join(f"- {item}" for item in _items(lines))
    return (f"**{title}** " if title else "") + _prose(lines)


def _reference(text: str) -> str:
    return re.sub(r"\b([a-z]+\d{4}[a-z]+)\b", r"{cite:t}`\1`", text)


def _items(lines: list[str]) -> list[str]:
    """Join the lines of each `name: text` entry; deeper lines continue the entry above."""
    entries: list[str] = []
    for line in lines:
        if line.strip() and not line.startswith(" "):
            match = LIST_ITEM.match(line)
            entries.append(f"`{match[1].lstrip('*')}`: {match[2]}" if match else line)
        elif line.strip() and entries:
            entries[-1] += " " + line.strip()
    return [_literal(entry) for entry in entries]


def _literal(text: str) -> str:
    """Keep what Markdown would read as markup outside code and maths as plain characters."""
    pieces = re.split(r"(`+[^`]+`+|\$(?!\s)[^$\n]+(?<!\s)\$)", text)
    return "".join(
        piece if index % 2 else re.sub(r"([*_\[\]{}<>$|#])", r"\\\1", piece)
        for index, piece in enumerate(pieces)
    )


def _prose(lines: list[str]) -> str:
    """Return docstring paragraphs as Markdown: indented ones are code, those in $$ are formulas."""
    blocks = []
    for paragraph in re.split(r"\n\s*\n", "\n".join(lines).strip("\n")):
        if re.match(r"\s+\S|>>>", paragraph):
            blocks.append(f"```text\n{dedent(paragraph)}\n```")
        elif formula := re.fullmatch(r"\$\$(.+?)\$\$([.,;]?)", paragraph, flags=re.DOTALL):
            blocks.append(f"```{{math}}\n{formula[1]}{formula[2]}\n```")
        else:
            blocks.append(_literal(paragraph))
    return "\n\n".join(blocks)


# --- papers -----------------------------------------------------------------------------------


def papers(root: Path, docname: str, results: Path) -> str:
    """Return the table that leads from each paper to functions, chapters and tests."""
    names = public_names(root)
    pages = table_of_contents(root)
    tests = test_sources(root)
    keys = sorted({key for name in names for key in name.references} | _cited(pages))
    lines = ["| Paper | In the package | In the book | Tested by |", "|---|---|---|---|"]
    for key in keys:
        cells = [f"{{cite:t}}`{key}`"]
        functions = [name for name in names if key in name.references]
        cells.append(", ".join(_name_link(name, pages, docname) for name in functions))
        citing = [page for page in pages if key in cited_keys(page)]
        cells.append(", ".join(_page_link(page, docname) for page in citing))
        testing = [path.removeprefix("tests/") for path in _tests_of(functions, tests)]
        cells.append(", ".join(f"`{path}`" for path in testing))
        lines.append("| " + " | ".join(cell or "–" for cell in cells) + " |")
    return "\n".join(lines)


def cited_keys(page: Page) -> set[str]:
    """Return the bibliography keys that a page cites."""
    return {key.strip() for match in CITED.finditer(page.text) for key in match[1].split(",")}


def _cited(pages: list[Page]) -> set[str]:
    return set().union(*(cited_keys(page) for page in pages))


def _name_link(name: Name, pages: list[Page], docname: str) -> str:
    text = f"{name.module.removeprefix('companion.')}.{name.qualname}"
    if any(page.name == "appendix/api" for page in pages):
        return f"[`{text}`](#{name.anchor})"
    return f"`{text}`"


def _page_link(page: Page, docname: str) -> str:
    title = re.search(r"^# (.+)$", page.body, re.MULTILINE)
    target = os.path.relpath(f"/{page.docname}.md", f"/{docname}/..")
    return f"[{title[1] if title else page.stem}]({target})"


def _stem_link(page: Page, docname: str) -> str:
    """Return a link to a page by the name of its file, in words: shorter than its title."""
    link = _page_link(page, docname)
    return f"[{page.stem.replace('-', ' ')}]{link[link.rindex('(') :]}"


def test_sources(root: Path) -> dict[str, set[str]]:
    """Return for each test file the identifiers that its code uses."""
    return {
        path.relative_to(root).as_posix(): _identifiers(path)
        for path in sorted((root / "tests").rglob("test_*.py"))
    }


def _identifiers(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return names | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


def _tests_of(names: list[Name], tests: dict[str, set[str]]) -> list[str]:
    """Return the test files that use one of `names`, the one of the module's own name first."""
    wanted = {name.qualname.rpartition(".")[2] for name in names}
    own = {f"test_{part}.py" for name in names for part in name.module.split(".")[1:]}
    found = [path for path, used in tests.items() if wanted & used]
    named = [path for path in found if path.rpartition("/")[2] in own]
    return named or found


# --- chapters and launch ----------------------------------------------------------------------


def chapter_list(root: Path, docname: str, results: Path) -> str:
    """Return the table of all chapters with what their last run took."""
    rows = [
        (_page_link(page, docname), page.front_matter, cost(page.results(results)))
        for page in chapters(root)
    ]
    return chapter_table(rows)


def part_studies(root: Path, docname: str, results: Path) -> str:
    """Return the table of the studies of all chapters beside a page."""
    part = docname.rpartition("/")[0]
    pages = [page for page in chapters(root) if page.docname.rpartition("/")[0] == part]
    return study_table(
        [(_stem_link(page, docname), studies(page.results(results))) for page in pages]
    )


def launch(root: Path, docname: str, results: Path) -> str:
    """Return the sentence on how chapters are opened as notebooks."""
    return launch_sentence(address(root))


PARTS: dict[str, Part] = {
    "api": api,
    "papers": papers,
    "chapters": chapter_list,
    "launch": launch,
    "studies": part_studies,
}
