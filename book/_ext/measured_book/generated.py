"""Parts of pages that are written from the code at build time.

A page asks for one with an empty fence of the directive `generated`, for example

    ```{generated} api
    ```

which is replaced by Markdown before the page is parsed, so that its headings are ordinary
headings. Nothing generated is committed, so nothing can be stale.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError

from booktools.generated import PARTS

FENCE = re.compile(r"^```\{generated\} *(\S+) *\n```$", re.MULTILINE)


def setup(app: Sphinx) -> None:
    """Register the events."""
    app.connect("source-read", _write_parts)
    app.connect("env-get-outdated", _always_outdated)
    app.connect("env-before-read-docs", _read_last)


def _write_parts(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replace each fence in one page's source."""

    def written(match: re.Match[str]) -> str:
        name = match[1]
        if name not in PARTS:
            raise ExtensionError(f"{docname}: generated {name!r}: use one of {', '.join(PARTS)}")
        return PARTS[name](Path(app.srcdir), docname, Path(os.environ["COMPANION_RESULTS"]))

    source[0] = FENCE.sub(written, source[0])


def _generated_pages(app: Sphinx, env: BuildEnvironment) -> set[str]:
    return {
        docname
        for docname in env.found_docs
        if docname.startswith("book/")
        and "```{generated}" in Path(env.doc2path(docname)).read_text(encoding="utf-8")
    }


def _always_outdated(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> set[str]:
    """Have these pages written again in every build: code and results are not their source."""
    return _generated_pages(app, env) - added


def _read_last(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Read these pages after the chapters whose results they show."""
    last = _generated_pages(app, env)
    docnames.sort(key=lambda docname: (docname in last, docname))
