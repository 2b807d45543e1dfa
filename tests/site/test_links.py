"""Links of the built pages: every file and anchor they name is there."""

import functools
import os
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from booktools.layout import table_of_contents  # noqa: E402

SOURCES = Path(os.environ.get("COMPANION_SITE_SOURCES") or ROOT).resolve()
PAGES = table_of_contents(SOURCES)


class Reader(HTMLParser):
    """Collects what a page can be asked for and what it asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag, attributes) -> None:
        for name, value in attributes:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


@functools.cache
def read(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(html, page):
    path = html / f"{page.docname}.html"
    reader = read(path)
    broken = []
    for link in reader.links:
        parts = urlparse(link)
        if parts.scheme in ("https", "http", "mailto"):
            good = bool(parts.netloc or parts.path) and " " not in link
        elif parts.scheme == "data":
            good = True
        else:
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            good = target.is_file() and (
                not parts.fragment
                or target.suffix != ".html"
                or unquote(parts.fragment) in read(target).anchors
            )
        if not good:
            broken.append(link)
    assert len(reader.links) > 20
    assert broken == []
