"""Figures, tables, equations and exercises are numbered page by page.

Sphinx counts them through the whole book, so that a new chapter would renumber all later ones, and
a page would not agree with its notebook, which knows no other page.
"""

from __future__ import annotations

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def setup(app: Sphinx) -> None:
    """Register the handler behind Sphinx's own, which counts on the same event."""
    app.connect("env-get-updated", number_by_page, priority=900)


def number_by_page(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Number what has a number from 1 on each page, in the order that Sphinx found.

    Modifies: `env.toc_fignumbers`.
    """
    for kinds in env.toc_fignumbers.values():
        for kind, numbers in kinds.items():
            ordered = sorted(numbers, key=lambda label: numbers[label])
            kinds[kind] = {label: (place,) for place, label in enumerate(ordered, start=1)}
    return []
