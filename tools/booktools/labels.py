"""Everything in the book that others can refer to, by label."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from booktools.layout import Page
from booktools.myst import Directive, Text, read_blocks

TARGET = re.compile(r"^\(([^)\s]+)\)=\s*$")
HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*(?:\{#[\w-]+\})?\s*$")
DISPLAY_MATH = re.compile(r"^\$\$[ \t]*\(([^)]+)\)[ \t]*$")
INLINE_DISPLAY_MATH = re.compile(r"^\$\$.+\$\$[ \t]*\(([^)]+)\)[ \t]*$")
THEOREM_LIKE = (
    "theorem", "axiom", "lemma", "definition", "criterion", "remark", "conjecture", "corollary",
    "algorithm", "example", "property", "observation", "proposition", "assumption",
)  # fmt: skip


@dataclass(frozen=True)
class Target:
    """Something that can be referred to.

    Args:
        page: where it is.
        kind: `section`, `figure`, `table`, `equation`, `exercise`, or the name of a theorem-like
            block.
        number: its number among those of its kind on its page, from 1; 0 for sections.
        title: heading, caption or title in MyST.
    """

    page: Page
    kind: str
    number: int
    title: str

    @property
    def text(self) -> str:
        """What a sentence calls it, e.g. `Figure 2`; for a section its title."""
        if self.kind == "equation":
            return f"({self.number})"
        if self.kind == "section":
            return self.title
        return f"{self.kind.capitalize()} {self.number}"


class Labels:
    """Targets by label, collected from all pages of the book."""

    def __init__(self, pages: Iterable[Page]) -> None:
        self.targets: dict[str, Target] = {}
        self.titles: dict[str, str] = {}
        self.pages: dict[str, Page] = {}
        self.given: dict[str, list[str]] = {}  # the pages on which a label is given
        for page in pages:
            self.pages[page.docname] = page
            _Collector(self, page).collect(page.body.splitlines())

    def get(self, label: str) -> Target | None:
        """Return the target of a label, or None."""
        return self.targets.get(label)


class _Collector:
    """Walks one page and counts what has a number."""

    def __init__(self, labels: Labels, page: Page) -> None:
        self.labels, self.page = labels, page
        self.counts: dict[str, int] = {}
        self.pending: list[str] = []

    def add(self, label: str, kind: str, title: str) -> None:
        number = 0
        if kind != "section":
            number = self.counts[kind] = self.counts.get(kind, 0) + 1
        if label:
            self.labels.given.setdefault(label, []).append(self.page.name)
            self.labels.targets[label] = Target(self.page, kind, number, title)

    def collect(self, lines: list[str]) -> None:
        for block in read_blocks(lines):
            if isinstance(block, Text):
                self.text(block.lines)
            elif isinstance(block, Directive):
                self.directive(block)

    def text(self, lines: list[str]) -> None:
        for line in lines:
            if match := TARGET.match(line):
                self.pending.append(match[1])
            elif match := HEADING.match(line):
                self.heading(match[2])
            elif match := DISPLAY_MATH.match(line) or INLINE_DISPLAY_MATH.match(line):
                self.add(match[1], "equation", "")
            elif line.strip():
                self.pending.clear()

    def heading(self, title: str) -> None:
        self.labels.titles.setdefault(self.page.docname, title)
        for label in self.pending:
            self.add(label, "section", title)
        self.pending.clear()
        self.labels.targets.setdefault(slug(title), Target(self.page, "section", 0, title))

    def directive(self, block: Directive) -> None:
        name = block.name.removeprefix("prf:")
        if name == "code-cell":
            figure = (block.options.get("mystnb") or {}).get("figure")
            if figure:
                self.add(str(figure.get("name", "")), "figure", str(figure.get("caption", "")))
            return
        if name == "figure":
            self.add(block.label, "figure", next((line for line in block.body if line), ""))
        elif name in ("table", "list-table"):
            self.add(block.label, "table", block.argument)
        elif name == "math":
            if block.label:
                self.add(block.label, "equation", "")
            return
        elif name in ("exercise", "exercise-start"):
            self.add(block.label, "exercise", block.argument)
        elif name in THEOREM_LIKE:
            self.add(block.label, name, block.argument)
        for label in self.pending:
            self.labels.targets.setdefault(label, Target(self.page, "section", 0, block.argument))
        self.pending.clear()
        self.collect(block.body)


def slug(title: str) -> str:
    """Return the anchor that a heading gets by itself."""
    return re.sub(r"[^\w\s-]", "", title.lower()).strip().replace(" ", "-")
