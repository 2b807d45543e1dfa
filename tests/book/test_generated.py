"""Pages written from the code: each paper leads to functions, chapters and tests, and back."""

import json
import re
from pathlib import Path

import pytest

from booktools import generated
from booktools.bibliography import read_works
from booktools.docstrings import modules, public_names, split_sections
from booktools.generated import api, cited_keys, papers, part_studies, wrapped
from booktools.layout import chapters, table_of_contents

ROOT = Path(__file__).resolve().parents[2]
NAMES = public_names(ROOT)


def test_every_reference_of_a_docstring_is_in_the_bibliography():
    works = read_works(ROOT)
    unknown = [
        f"{name.module}.{name.qualname}: {key}"
        for name in NAMES
        for key in name.references
        if key not in works
    ]
    assert unknown == []
    assert sum(bool(name.references) for name in NAMES) >= 5


def test_every_reference_section_names_a_key():
    without = [
        f"{name.module}.{name.qualname}"
        for name in NAMES
        if any(section.title == "Reference" for section in name.sections) and not name.references
    ]
    assert without == []


def test_every_citation_of_a_page_is_in_the_bibliography():
    works = read_works(ROOT)
    pages = table_of_contents(ROOT)
    assert {key for page in pages for key in cited_keys(page)} - set(works) == set()
    assert any(cited_keys(page) for page in pages)


def test_bibliography_is_sorted_and_every_work_can_be_found():
    works = read_works(ROOT)
    assert list(works) == sorted(works)
    assert [key for key, work in works.items() if not work.title or work.year == "n.d."] == []


def test_interface_page_names_everything_public():
    page = api(ROOT, "book/appendix/api", ROOT)
    headings = re.findall(r"^####? `([\w.]+)`$", page, re.MULTILINE)
    assert headings == [name.qualname for name in NAMES]
    anchors = [name.anchor for name in NAMES]
    assert len(anchors) == len(set(anchors)) > 20


def test_every_public_name_has_a_docstring():
    assert [f"{n.module}.{n.qualname}" for n in NAMES if not n.docstring] == []
    assert len(modules(ROOT)) >= 15


def test_table_of_papers_on_the_small_book(mini_book):
    (mini_book / "tests" / "unit").mkdir(parents=True)
    test = mini_book / "tests" / "unit" / "test_exercises.py"
    test.write_text("from companion.exercises import check\n\n\ndef test_it():\n    check(1, 2)\n")
    rows = papers(mini_book, "book/appendix/papers", mini_book).splitlines()
    assert (
        "| {cite:t}`kornblith2019better` | `exercises.check` | – | "
        "`unit/test_exercises.py` |" in rows
    )
    assert (
        "| {cite:t}`hu2021lora` | – | [Does it build?](../vision/image-classification.md) | – |"
        in rows
    )


def test_table_of_studies_on_the_small_book(mini_book):
    page = mini_book / "results" / "vision" / "image-classification.json"
    page.parent.mkdir(parents=True)
    assert part_studies(mini_book, "book/vision/index", page.parents[1]) == (
        "No study was run in this build."
    )
    line = {
        "task": "digits | all", "labels": 5, "best": "probe", "best_score": ".9 [.8, 1.0]",
        "baseline": "scratch", "baseline_score": ".5", "difference": "higher, +.4 [.3, .5]",
        "conditions": 3, "seeds": 5, "live": False,
    }  # fmt: skip
    entries = {
        "study_ladder_5": {"value": line, "kind": "result"},
        "study_ladder_5_seconds": {"value": 0.0312, "kind": "cost"},
        "study_other": {"value": line | {"live": True}, "kind": "result"},
        "accuracy": {"value": 0.5, "kind": "result"},
    }
    page.write_text(json.dumps(entries))
    rows = part_studies(mini_book, "book/vision/index", page.parents[1]).splitlines()
    assert rows[2:] == [
        "| [image classification](image-classification.md): digits &#124; all | 5 | "
        f"probe (of 3): .9 [.8, 1.0] | scratch: .5 | higher, +.4 [.3, .5] | {last} |"
        for last in ("5, recorded | 0.031", "5 | –")
    ]
    assert part_studies(mini_book, "book/speech/index", page.parents[1]).startswith("No study")


def test_every_part_with_chapters_opens_with_its_studies():
    pages = [page for page in table_of_contents(ROOT) if page.docname.endswith("/index")]
    parts = {page.docname.split("/")[1] for page in chapters(ROOT)}
    opening = {
        page.docname.split("/")[1] for page in pages if "```{generated} studies" in page.text
    }
    assert opening == parts


def test_docstring_parts():
    parts = split_sections(
        "One line.\n\nArgs:\n    a: first\n        and on.\n\nReturns:\n    It.\n\n"
        "Reference: hu2021lora, eq. 3"
    )
    assert [(part.title, part.lines) for part in parts] == [
        ("", ("One line.",)),
        ("Args", ("a: first", "    and on.")),
        ("Returns", ("It.",)),
        ("Reference", ("hu2021lora, eq. 3",)),
    ]


def test_a_displayed_formula_of_a_docstring_is_one_on_the_page():
    lines = ["With *a* star:", "", "$$a_1 =", "  b^*,$$", "", "and $c_1$, [not] a link."]
    assert generated._prose(lines) == (
        "With \\*a\\* star:\n\n```{math}\na_1 =\n  b^*,\n```\n\nand $c_1$, \\[not\\] a link."
    )


@pytest.mark.parametrize(
    ("signature", "shown"),
    [
        ("f(a, b) -> int", "f(a, b) -> int"),
        (
            "f(first: dict[str, int], *, second: tuple[int, ...] = (1, 2)) -> dict[str, int]",
            "f(\n    first: dict[str, int],\n    *,\n    second: tuple[int, ...] = (1, 2),\n"
            ") -> dict[str, int]",
        ),
    ],
)
def test_long_signatures_have_one_argument_a_line(signature, shown):
    assert wrapped(signature) == shown


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("student1908probable", "Student (1908)"),
        ("pan2010survey", "Pan and Yang (2010)"),
        ("kumar2022finetuning", "Kumar et al. (2022)"),
    ],
)
def test_works_are_named_by_authors_and_year(key, text):
    assert text in read_works(ROOT)[key].textual()
