"""What is done to finished pages: the download button and repairs for screen readers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from booktools.layout import Page
from booktools.notebooks import notebook_text

# A browser lets no page that was opened from a file read another file, so the search cannot show
# summaries there; without this line it tries and fills the console with errors.
NO_SUMMARIES_FROM_FILES = (
    'if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;'
)


def setup(app: Sphinx) -> None:
    """Register the events; late, after the theme has made its buttons."""
    app.connect("env-updated", _number_by_page)
    app.connect("html-page-context", _offer_notebook, priority=900)
    app.connect("html-page-context", _mend_roles, priority=900)
    app.add_js_file(None, body=NO_SUMMARIES_FROM_FILES, priority=450)
    app.connect("build-finished", _write_notebooks)


def _number_by_page(app: Sphinx, env: BuildEnvironment) -> None:
    """Number figures, tables, exercises and theorems from 1 on each page, as notebooks do."""
    for kinds in env.toc_fignumbers.values():
        for numbers in kinds.values():
            for position, label in enumerate(sorted(numbers, key=numbers.__getitem__), start=1):
                numbers[label] = (position,)


def _chapters(app: Sphinx) -> list[Page]:
    pages = [Page(Path(app.srcdir), docname) for docname in sorted(app.env.found_docs)]
    return [page for page in pages if page.source.is_file() and page.is_chapter]


def _offer_notebook(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.Node
) -> None:
    """Let the download button offer the generated notebook, the one that Colab opens."""
    page = Page(Path(app.srcdir), pagename)
    is_chapter = page.source.is_file() and page.is_chapter
    for group in context.get("header_buttons", []):
        if group.get("label") != "download-buttons":
            continue
        buttons = [b for b in group["buttons"] if b["label"] == "download-pdf-button"]
        if is_chapter:
            buttons.insert(0, _notebook_button(context, pagename))
        group["buttons"] = buttons


def _mend_roles(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.Node
) -> None:
    """Drop the list role of the bibliography, whose entries have no list items' role."""
    if "body" in context:
        context["body"] = context["body"].replace(
            '<div role="list" class="citation-list">', '<div class="citation-list">'
        )


def _notebook_button(context: dict[str, Any], pagename: str) -> dict[str, str]:
    return {
        "type": "link",
        "url": f"{context['pathto']('_sources', 1)}/{pagename}.ipynb",
        "text": ".ipynb",
        "icon": "fas fa-code",
        "tooltip": "Download this chapter as a notebook",
        "label": "download-notebook-button",
    }


def _write_notebooks(app: Sphinx, exception: Exception | None) -> None:
    """Put the notebooks that the buttons offer beside the pages."""
    if exception is not None or app.builder.format != "html":
        return
    for page in _chapters(app):
        target = Path(app.outdir) / "_sources" / f"{page.docname}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(notebook_text(page), encoding="utf-8")
