"""Sphinx extension of this book: fresh results, chapter cards, generated pages, buttons."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

TOOLS = Path(__file__).resolve().parents[3] / "tools"
if str(TOOLS) not in sys.path:
    sys.path.insert(0, str(TOOLS))

from measured_book import cards, generated, numbering, pages, settings  # noqa: E402


def setup(app: Sphinx) -> dict[str, Any]:
    """Register everything; called by Sphinx."""
    for part in (settings, cards, generated, numbering, pages):
        part.setup(app)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
