"""Contents, budgets, links and the public address, as the sources state them."""

import re
from pathlib import Path
from urllib.parse import urlparse

import pytest
import yaml

from booktools.build import budgets
from booktools.labels import Labels
from booktools.layout import chapters, table_of_contents
from booktools.myst import directives
from booktools.public_address import Address, address, launch_sentence, theme_options_for

ROOT = Path(__file__).resolve().parents[2]
PAGES = table_of_contents(ROOT)
CHAPTERS = chapters(ROOT)
LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)\s]+)\)")
MOST_SECONDS_A_CHAPTER, MOST_SECONDS = 90, 20 * 60


def test_every_source_below_book_is_in_the_contents():
    sources = {
        path.relative_to(ROOT).with_suffix("").as_posix()
        for path in (ROOT / "book").rglob("*.md")
        if "studies" not in path.parts
    }
    assert sources == {page.docname for page in PAGES}
    assert len(PAGES) == len({page.docname for page in PAGES}) >= 6


def test_budgets_cover_the_chapters_and_fit():
    allowed = budgets(ROOT)
    assert set(allowed) == {page.name for page in CHAPTERS}
    assert [name for name, seconds in allowed.items() if seconds > MOST_SECONDS_A_CHAPTER] == []
    assert 0 < sum(allowed.values()) <= MOST_SECONDS


def links(page) -> list[tuple[bool, str]]:
    """Return what a page links to, and whether it is a picture; code is no prose."""
    fence = r"^(`{3,}|~{3,})(?!\{(?!code-cell)).*?^\1`*$"
    text = re.sub(fence, "", page.body, flags=re.M | re.S)
    found = [(bool(mark), target) for mark, target in LINK.findall(re.sub(r"`[^`\n]+`", "", text))]
    pictures = [d for d in directives(page.body.splitlines()) if d.name in ("figure", "image")]
    return found + [(True, picture.argument) for picture in pictures]


def test_a_label_is_given_once_in_the_book():
    given = Labels(PAGES).given
    assert {label: pages for label, pages in given.items() if len(pages) > 1} == {}
    assert len(given) > 100


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    labels = Labels(PAGES)
    broken = []
    for is_picture, target in links(page):
        if re.match(r"[a-z]+:", target):
            parts = urlparse(target)
            good = parts.scheme in ("https", "mailto") and (parts.netloc or parts.path)
        elif target.startswith("#"):
            good = labels.get(target[1:]) is not None
        else:
            path = (page.source.parent / target.partition("#")[0]).resolve()
            good = path.is_file() and (
                is_picture or path.suffix != ".md" or any(p.source == path for p in PAGES)
            )
        if not good:
            broken.append(target)
    assert broken == []


def test_links_are_found_at_all():
    assert sum(len(links(page)) for page in PAGES) >= 1


# --- the public address ---

OPTIONS = {
    "repository_url": "https://github.com/someone/book",
    "launch_buttons": {"colab_url": "https://colab.research.google.com"},
    "search_bar_text": "Search",
}


def test_decided_address_keeps_the_buttons():
    assert theme_options_for(OPTIONS) == OPTIONS


@pytest.mark.parametrize("url", ["", "https://example.invalid/undecided"])
def test_undecided_address_leaves_the_buttons_out(url):
    options = theme_options_for(OPTIONS | {"repository_url": url})
    assert options == {"repository_url": "", "launch_buttons": {}, "search_bar_text": "Search"}


def test_addresses_of_a_decided_repository():
    place = Address("https://github.com/someone/book.git")
    assert place.is_decided
    assert place.repository == "someone/book"
    base = "https://colab.research.google.com/github/someone/book/blob/main"
    assert place.colab("book/a.ipynb") == f"{base}/book/a.ipynb"
    assert place.page("README.md") == "https://github.com/someone/book/blob/main/README.md"
    assert place.raw("a.svg") == "https://github.com/someone/book/raw/main/a.svg"


def test_launch_sentence_tells_the_two_states_apart():
    assert "not decided yet" in launch_sentence(Address(""))
    assert "Colab or Binder" in launch_sentence(Address("https://github.com/someone/book"))


def test_the_configuration_states_the_address_of_pyproject():
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert config["repository"]["url"] == address(ROOT).url
