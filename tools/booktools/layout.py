"""Where the book's files are and which pages it has, as `_toc.yml` says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

BOOK = "book"


@dataclass(frozen=True)
class Page:
    """One page that `_toc.yml` lists.

    Args:
        root: the repository.
        docname: path without suffix, relative to the repository, as in `_toc.yml`.
    """

    root: Path
    docname: str

    @property
    def source(self) -> Path:
        """The MyST source."""
        return self.root / f"{self.docname}.md"

    @property
    def notebook(self) -> Path:
        """The generated notebook that lies beside the source of a chapter."""
        return self.root / f"{self.docname}.ipynb"

    @property
    def name(self) -> str:
        """Name used by `--chapters`, budgets and results, e.g. `vision/image-classification`."""
        return self.docname.removeprefix(f"{BOOK}/")

    @property
    def stem(self) -> str:
        """Last part of the name; exercise labels and section anchors begin with it."""
        return self.docname.rpartition("/")[2]

    @cached_property
    def text(self) -> str:
        """The whole source."""
        return self.source.read_text(encoding="utf-8")

    @cached_property
    def front_matter(self) -> dict[str, Any]:
        """The YAML block at the top; empty when there is none."""
        return split_front_matter(self.text)[0]

    @property
    def body(self) -> str:
        """The source without its YAML block."""
        return split_front_matter(self.text)[1]

    @property
    def is_chapter(self) -> bool:
        """Whether the page has cells to run."""
        return "kernelspec" in self.front_matter

    def results(self, directory: Path) -> Path:
        """Path of the chapter's results file below `directory`."""
        return directory / f"{self.name}.json"


def split_front_matter(text: str) -> tuple[dict[str, Any], str]:
    """Return the YAML block at the top of a source as a dictionary, and the rest."""
    if not text.startswith("---\n"):
        return {}, text
    block, _, rest = text[4:].partition("\n---\n")
    loaded = yaml.safe_load(block)
    return (loaded if isinstance(loaded, dict) else {}), rest


def table_of_contents(root: Path) -> list[Page]:
    """Return every page of `_toc.yml`, root first, in reading order.

    Raises:
        SystemExit: a listed page has no source.
    """
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    docnames: list[str] = [toc["root"]]

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if "file" in node:
                docnames.append(node["file"].removesuffix(".md"))
            for key in ("parts", "chapters", "sections"):
                walk(node.get(key, []))
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk({key: value for key, value in toc.items() if key != "root"})
    pages = [Page(root, docname) for docname in docnames]
    missing = [page.docname for page in pages if not page.source.is_file()]
    if missing:
        raise SystemExit(f"_toc.yml lists pages that have no .md file: {', '.join(missing)}")
    return pages


def chapters(root: Path, names: list[str] | None = None) -> list[Page]:
    """Return the pages with cells, in reading order, or those named.

    Raises:
        SystemExit: a name is none of the book's chapters.
    """
    found = [page for page in table_of_contents(root) if page.is_chapter]
    if not names:
        return found
    known = {page.name: page for page in found}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(
            f"no chapter called {', '.join(unknown)}; _toc.yml lists: {', '.join(known) or 'none'}"
        )
    return [known[name] for name in names]
