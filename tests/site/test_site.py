"""The built pages in a browser without a network."""

import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from booktools.layout import table_of_contents  # noqa: E402
from booktools.public_address import address  # noqa: E402

SOURCES = Path(os.environ.get("COMPANION_SITE_SOURCES") or ROOT).resolve()
PAGES = table_of_contents(SOURCES)
CHAPTERS = [page for page in PAGES if page.is_chapter]
PHONE = 390
FAULTS = ("serious", "critical")
EXTRA = ("search.html", "genindex.html")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
every_chapter = pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.name)
every_scheme = pytest.mark.parametrize("scheme", ["http", "file"])


def html_path(page) -> str:
    return f"{page.docname}.html"


def test_every_page_of_the_contents_was_built_and_no_other(html):
    built = {path.relative_to(html).as_posix() for path in (html / "book").rglob("*.html")}
    assert built == {html_path(page) for page in PAGES}
    assert len(CHAPTERS) >= 1


@every_chapter
def test_figures_are_numbered_from_1_on_each_page_as_in_its_notebook(page, html):
    text = (html / html_path(page)).read_text(encoding="utf-8")
    numbers = [int(n) for n in re.findall(r'"caption-number">Figure (\d+) <', text)]
    assert numbers and numbers == list(range(1, len(numbers) + 1))
    notebook = page.notebook.read_text(encoding="utf-8")
    assert f"Figure {len(numbers)}" in notebook and f"Figure {len(numbers) + 1}" not in notebook
    equations = [int(n) for n in re.findall(r'class="eqno">\((\d+)\)', text)]
    assert equations == list(range(1, len(equations) + 1))


@dataclass(frozen=True)
class Look:
    """What one visit to a page showed."""

    problems: list[str]
    titles: int
    pictures: list[list]
    formulas: int
    formula_errors: int
    text: str


SEEN: dict[tuple[str, str], Look] = {}
PICTURES = "found => found.map(i => [i.src, i.naturalWidth, i.alt])"
TEXT = """() => {
    const copy = document.querySelector('article').cloneNode(true);
    copy.querySelectorAll('pre, code, mjx-container').forEach(n => n.remove());
    return copy.textContent
}"""


@pytest.fixture
def look(visit):
    """Return what a page shows; each page is visited once in each way of opening it."""

    def looked(page, scheme: str = "http") -> Look:
        key = (page.docname, scheme)
        if key not in SEEN:
            with visit(html_path(page), scheme=scheme) as visited:
                SEEN[key] = Look(
                    list(visited.problems),
                    visited.page.locator("article h1").count(),
                    visited.page.eval_on_selector_all("article img", PICTURES),
                    visited.page.locator("mjx-container").count(),
                    visited.page.locator("mjx-merror").count(),
                    visited.page.evaluate(TEXT),
                )
        return SEEN[key]

    return looked


@every_scheme
@every_page
def test_page_opens_quietly_and_needs_no_network(look, page, scheme):
    seen = look(page, scheme)
    assert seen.problems == []
    assert seen.titles == 1


@pytest.mark.parametrize("path", EXTRA)
def test_extra_page_opens_quietly(visit, path):
    with visit(path) as visited:
        assert visited.problems == []


@every_scheme
def test_the_front_door_leads_to_the_first_page(visit, scheme):
    with visit("index.html", scheme=scheme) as visited:
        visited.page.wait_for_url(f"**/{html_path(PAGES[0])}")


@every_scheme
@every_page
def test_pictures_arrive_and_say_what_they_show(look, page, scheme):
    pictures = look(page, scheme).pictures
    wanted = len(re.findall(r"```\{(?:figure|image)\}|^mystnb:", page.text, re.MULTILINE))
    assert len(pictures) >= wanted
    assert [source for source, width, alt in pictures if not width or not alt.strip()] == []


@every_scheme
@every_page
def test_formulas_are_drawn(look, page, scheme):
    written = re.findall(r"\$[^$\n]+\$|```\{math\}", re.sub(r"`[^`\n]*`", "", page.body))
    seen = look(page, scheme)
    assert seen.formula_errors == 0
    assert seen.formulas > 0 or not written
    assert re.findall(r"\$\$|\\\(|\\\[|\\begin\{", seen.text) == []


@every_page
def test_phone_does_not_scroll_sideways(visit, page):
    with visit(html_path(page), width=PHONE) as visited:
        width = visited.page.evaluate("document.scrollingElement.scrollWidth")
        outside = visited.page.evaluate(
            """width => [...document.querySelectorAll('article *')]
                .filter(n => n.getBoundingClientRect().right > width + 1)
                .filter(n => { for (let p = n; p; p = p.parentElement) {
                    const style = getComputedStyle(p);
                    if (style.overflowX !== 'visible' || style.position === 'absolute')
                        return false;
                } return true; })
                .map(n => n.outerHTML.slice(0, 120))""",
            PHONE,
        )
    assert outside == []
    assert width <= PHONE


def axe_options(page) -> dict:
    """Return how a page is checked: by every rule, but the longest one not for its colours.

    The page of the interface has thousands of coloured pieces, in the colours of all pages, and
    measuring each takes half a minute.
    """
    options: dict = {"resultTypes": ["violations"]}
    if page.name == "appendix/api":
        options["rules"] = {"color-contrast": {"enabled": False}}
    return options


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@every_page
def test_accessibility(visit, page, dark):
    from axe_playwright_python.sync_playwright import Axe

    axe = Axe()
    with visit(html_path(page), dark=dark) as visited:
        theme = visited.page.evaluate("document.documentElement.dataset.theme")
        report = axe.run(visited.page, options=axe_options(page)).response
    assert theme == ("dark" if dark else "light")
    assert len(report["passes"]) > 10
    assert [
        f"{fault['id']}: {fault['help']}: {node['html'][:160]} {node['any'][:1]}"
        for fault in report["violations"]
        if fault["impact"] in FAULTS
        for node in fault["nodes"]
    ] == []


@every_scheme
def test_search_finds_a_word(visit, scheme):
    with visit("search.html?q=backbone", scheme=scheme) as visited:
        visited.page.wait_for_selector("#search-results li a")
        targets = visited.page.eval_on_selector_all(
            "#search-results li a", "found => found.map(a => a.getAttribute('href'))"
        )
        assert visited.problems == []
    assert any("glossary" in target for target in targets)


@every_chapter
def test_copy_button_copies_the_cell(visit, page):
    with visit(html_path(page)) as visited:
        cells = visited.page.locator("div.cell_input div.highlight:visible")
        first = cells.first
        code = first.locator("pre").inner_text()
        first.hover()
        first.locator("button.copybtn").click()
        copied = visited.page.evaluate("navigator.clipboard.readText()")
        buttons = visited.page.locator("div.cell_input button.copybtn:visible")
        assert cells.count() == buttons.count() > 0
    assert copied.strip() == code.strip()


@every_chapter
def test_download_button_offers_the_notebook_that_lies_beside_the_source(visit, page, html):
    with visit(html_path(page)) as visited:
        button = visited.page.locator("a.btn-download-notebook-button").first
        target = button.evaluate("found => new URL(found.href).pathname")
    offered = html / target.lstrip("/")
    assert offered.name == page.notebook.name
    if page.notebook.is_file():
        assert offered.read_bytes() == page.notebook.read_bytes()
    assert json.loads(offered.read_text(encoding="utf-8"))["nbformat"] == 4


@every_chapter
def test_launch_buttons_lead_to_the_notebook_or_are_absent(visit, page):
    place = address(SOURCES)
    with visit(html_path(page)) as visited:
        links = visited.page.eval_on_selector_all(
            "a[href*='colab'], a[href*='mybinder']", "found => found.map(a => a.href)"
        )
        everything = visited.page.content()
    assert "example.invalid" not in everything
    if not place.is_decided:
        assert links == []
        return
    path = f"{page.docname}.ipynb"
    assert place.colab(path) in links
    binder = f"https://mybinder.org/v2/gh/{place.repository}/{place.branch}?urlpath=lab/tree/{path}"
    assert binder in links


def test_without_an_address_one_page_says_why_there_are_no_launch_buttons(html):
    told = [
        page.name
        for page in PAGES
        if "address of this book's repository is not decided"
        in re.sub(r"\s+", " ", (html / html_path(page)).read_text("utf-8").replace("’", "'"))
    ]
    assert bool(told) == (not address(SOURCES).is_decided)


@every_chapter
def test_solutions_are_folded_and_open(visit, page):
    with visit(html_path(page)) as visited:
        solutions = visited.page.locator("div.solution")
        assert solutions.count() == page.text.count("```{solution-start}")
        assert visited.page.locator("div.solution section:visible").count() == 0
        solutions.first.locator("p.admonition-title").click()
        visited.page.wait_for_timeout(400)
        assert visited.page.locator("div.solution section:visible").count() >= 1
