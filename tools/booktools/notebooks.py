"""Generates the notebook beside each chapter: no outputs, plain Markdown, stable cell ids."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jupytext

from booktools.bibliography import read_works
from booktools.inline import Inline
from booktools.labels import Labels
from booktools.layout import Page, chapters, table_of_contents
from booktools.markdown import Converter
from booktools.public_address import BRANCH, address

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
HIDDEN = {"jupyter": {"source_hidden": True}, "cellView": "form"}


@dataclass(frozen=True)
class Cell:
    """One cell: `kind` is `code` or `markdown`."""

    kind: str
    source: str
    metadata: dict[str, Any]


def source_cells(page: Page) -> list[Cell]:
    """Return the cells of a chapter's source as jupytext reads them."""
    notebook = jupytext.reads(page.text, fmt="md:myst")
    return [
        Cell(cell.cell_type, cell.source, dict(cell.metadata))
        for cell in notebook.cells
        if cell.cell_type in ("code", "markdown")
    ]


def pointers(cells: list[Cell], name: str, position: int) -> str:
    """Say which cell prints a recorded value, seen from the text at `position`."""
    call = re.compile(rf"""record\(\s*(?:name\s*=\s*)?["']{re.escape(name)}["']""")
    recording = [
        index
        for index, cell in enumerate(cells)
        if cell.kind == "code" and call.search(cell.source)
    ]
    if not recording:
        return f"`{name}` (printed by a cell of this notebook)"
    is_above = any(index < position for index in recording)
    return f"`{name}` (printed {'above' if is_above else 'below'})"


def convert_cells(page: Page) -> list[Cell]:
    """Return the cells of a chapter with text in plain Markdown and code as it stands.

    Raises:
        ConversionError: something in the source has no plain Markdown here.
    """
    cells = source_cells(page)
    position = 0
    inline = Inline(
        page=page,
        labels=Labels(table_of_contents(page.root)),
        works=read_works(page.root),
        place=address(page.root),
        pointer=lambda name: pointers(cells, name, position),
    )
    converter = Converter(inline)
    converted: list[Cell] = []
    for position, cell in enumerate(cells):  # noqa: B007  (read by the pointer above)
        if cell.kind == "code":
            converted += _code(cell, converter)
        elif text := converter.convert(cell.source):
            converted.append(Cell("markdown", text, {}))
    return converted


def _code(cell: Cell, converter: Converter) -> list[Cell]:
    """Return a code cell, folded when it solves an exercise, and the caption of its figure."""
    metadata = {key: value for key, value in cell.metadata.items() if key == "tags"}
    if converter.solution:
        metadata |= HIDDEN
    cells = [Cell("code", cell.source, metadata)]
    figure = (cell.metadata.get("mystnb") or {}).get("figure") or {}
    if figure.get("caption"):
        caption = converter.cell_caption(str(figure.get("name", "")), str(figure["caption"]))
        cells.append(Cell("markdown", caption, {}))
    return cells


def set_up_cell(root: Path) -> Cell:
    """Return the generated first cell: installs `companion` on Colab, elsewhere does nothing."""
    from stamp import setup_cell

    return Cell("code", setup_cell(address(root).url, BRANCH), {"tags": ["setup"], **HIDDEN})


def notebook_text(page: Page) -> str:
    """Return the notebook of a chapter as the text of its file."""
    seen: dict[str, int] = {}
    cells = []
    for cell in [set_up_cell(page.root), *convert_cells(page)]:
        digest = hashlib.sha256(f"{cell.kind}\n{cell.source}".encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, 0) + 1
        identity = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        cells.append(_as_json(cell, identity))
    document = {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _as_json(cell: Cell, identity: str) -> dict[str, Any]:
    shared = {
        "cell_type": cell.kind,
        "id": identity,
        "metadata": cell.metadata,
        "source": cell.source.splitlines(keepends=True),
    }
    return shared | ({"execution_count": None, "outputs": []} if cell.kind == "code" else {})


def stale_notebooks(root: Path) -> list[Path]:
    """Return the notebooks that differ from what their sources give, and those without a source.

    Raises:
        SystemExit: the book has no chapter, so nothing was compared.
    """
    pages = chapters(root)
    if not pages:
        raise SystemExit("_toc.yml lists no chapter with cells: no notebook was compared")
    stale = [
        page.notebook
        for page in pages
        if not page.notebook.is_file()
        or page.notebook.read_text(encoding="utf-8") != notebook_text(page)
    ]
    return stale + _strays(root, pages)


def _strays(root: Path, pages: list[Page]) -> list[Path]:
    wanted = {page.notebook for page in pages}
    found = (root / "book").rglob("*.ipynb")
    return sorted(p for p in found if p not in wanted and ".ipynb_checkpoints" not in p.parts)


def write_notebooks(root: Path) -> list[Path]:
    """Write every notebook whose text changed, remove those without a source; return them."""
    written = stale_notebooks(root)
    wanted = {page.notebook: page for page in chapters(root)}
    for path in written:
        if path in wanted:
            path.write_text(notebook_text(wanted[path]), encoding="utf-8")
        else:
            path.unlink()
    return written
