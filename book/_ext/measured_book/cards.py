"""Directives of a chapter: its card and the mark of recorded studies."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from booktools import cards as texts
from booktools.layout import Page
from booktools.results import cost


def setup(app: Sphinx) -> None:
    """Register the directives."""
    app.add_directive("chapter-card", ChapterCard)
    app.add_directive("recorded-study", RecordedStudy)


class _FromMarkdown(SphinxDirective):
    """A directive whose content is Markdown that it writes itself."""

    def box(self, markdown: str, *classes: str, label: str) -> nodes.Element:
        container = nodes.container(classes=list(classes))
        container["aria-label"] = label
        lines = StringList(markdown.splitlines(), self.env.docname)
        self.state.nested_parse(lines, 0, container)
        return container

    @property
    def root(self) -> Path:
        return Path(self.env.srcdir)


class ChapterCard(_FromMarkdown):
    """What a chapter teaches and needs, from its front matter, and what its last run took.

    The run is over when this is called: cells are executed before the page is rendered.
    """

    def run(self) -> list[nodes.Node]:
        """Return the card."""
        page = Page(self.root, self.env.docname)
        measured = cost(page.results(Path(os.environ["COMPANION_RESULTS"])))
        markdown = texts.card(page.front_matter, measured)
        return [self.box(markdown, "chapter-card", label="What this chapter teaches and needs")]


class RecordedStudy(_FromMarkdown):
    """Marks what follows as drawn from a study that this build did not run.

    Args:
        path: the study's JSON file, relative to `book/`.
    """

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Return the mark; the study's file becomes a dependency of the page."""
        path = self.root / "book" / self.arguments[0]
        if not path.is_file():
            raise self.error(f"recorded study {self.arguments[0]}: no such file below book/")
        self.env.note_dependency(str(path))
        study: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        markdown = texts.recorded_mark(study, path.name)
        return [self.box(markdown, "recorded-study", label="Recorded study")]
