"""Finds result figures that stand in prose by hand instead of coming from the run."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from booktools.bibliography import read_works
from booktools.generated import cited_keys
from booktools.layout import Page
from booktools.myst import directives, prose_lines

CITED = Path("book") / "cited_figures.toml"
UNITS = r"(?:percent(?:age)?(?: points?)?|points?|seconds?|s|ms|milliseconds?|times as|MB|GB)"
FIGURE = re.compile(
    rf"""(?<![\w.,/-])          # not inside a word, a version or a path
    (?:
        \d[\d,]*\ ?%            # 95 %, 12%
      | \d*\.\d+(?:\ ?%|\b)     # 0.93, .5
      | \d[\d,]*[ ~-]{UNITS}\b  # 3 points, 12 seconds, 3-point
    )""",
    re.VERBOSE,
)
NOT_PROSE = re.compile(
    r"\{[A-Za-z][\w:.+-]*\}(`+).+?\1"  # roles: glue, cite, math, code
    r"|(`+)(?!`).+?\2"  # code
    r"|\$\$.+?\$\$|\$(?!\s)[^$]+?(?<!\s)\$(?!\d)"  # maths
    r"|(?<=\])\([^)]*\)"  # targets of links
    r"|https?://\S+",
    re.DOTALL,
)


@dataclass(frozen=True)
class Fact:
    """A figure from the literature, as it stands in a chapter's prose."""

    chapter: str
    text: str
    cite: str


def cited_facts(root: Path) -> list[Fact]:
    """Return the entries of `book/cited_figures.toml`."""
    loaded = tomllib.loads((root / CITED).read_text(encoding="utf-8"))
    return [Fact(**entry) for entry in loaded.get("fact", [])]


def prose(page: Page) -> str:
    """Return what a reader reads as prose on a page, captions included, without code or maths."""
    matter = page.front_matter
    lines = [*(matter.get("objectives") or []), *(matter.get("prerequisites") or [])]
    lines += prose_lines(page.body.splitlines())
    for block in directives(page.body.splitlines()):
        lines.append("")
        lines.append(str(block.options.get("alt") or ""))
        settings = block.options.get("mystnb") or {}
        lines.append(str((settings.get("figure") or {}).get("caption") or ""))
        lines.append(str((settings.get("image") or {}).get("alt") or ""))
    paragraphs = re.split(r"\n\s*\n", "\n".join(lines))
    return " ".join(NOT_PROSE.sub(" ", re.sub(r"\s+", " ", text)) for text in paragraphs)


def literal_figures(page: Page, facts: list[Fact]) -> list[str]:
    """Return each result figure in a page's prose that neither the run nor the literature gave."""
    text = prose(page)
    for fact in facts:
        if fact.chapter == page.name:
            text = text.replace(fact.text, " ")
    return [
        f"{page.name}: …{text[max(0, m.start() - 40) : m.end() + 20].strip()}…"
        for m in FIGURE.finditer(text)
    ]


def fact_faults(root: Path, pages: list[Page]) -> list[str]:
    """Return the listed facts that are not in their chapter, or that nobody is cited for."""
    by_name = {page.name: page for page in pages}
    works = read_works(root)
    found = []
    for fact in cited_facts(root):
        page = by_name.get(fact.chapter)
        if page is None:
            found.append(f"{fact.chapter}: no such page")
        elif fact.text not in prose(page):
            found.append(f"{fact.chapter}: does not say {fact.text!r} any more")
        elif fact.cite not in works or fact.cite not in cited_keys(page):
            found.append(f"{fact.chapter}: {fact.text!r} needs a citation of {fact.cite}")
    return found
