"""Every chapter has the shape that all chapters have; the rules notice when one has not."""

from pathlib import Path

import pytest

from booktools.layout import Page, chapters
from booktools.structure import faults

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = chapters(ROOT)


def test_there_are_chapters():
    assert len(CHAPTERS) >= 1


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.name)
def test_chapter_has_the_shape_of_a_chapter(page):
    assert faults(page) == []


def test_the_small_chapter_has_no_fault(mini_book):
    assert faults(chapters(mini_book)[0]) == []


LONG = "\n".join(f"x{number} = {number}" for number in range(21))
CHANGES = [
    ("objectives:", "aims:", "objectives must be a list"),
    ("prerequisites:", "minutes: 5\nprerequisites:", "minutes is measured by the build"),
    ("```{chapter-card}\n```", "", "0 {chapter-card} directives"),
    ("(image-classification-idea)=\n", "", "no section is marked (image-classification-idea)="),
    ("image-classification-idea", "image-classification-swap", "no section is marked"),
    ("num_points = 5", LONG, "a cell has 22 lines, at most 20: x0 = 0"),
    ('report.chapter("vision/image-classification")', "print()", "the first cell must call"),
    ("    alt: A curve that rises faster and faster.\n", "    width: 5\n", "has no alt text"),
    ("    name: fig-image-classification-line\n", "", "has no name"),
    (":alt: Parts of the course.\n", "", "figure of ../figures/course_map.svg has no alt text"),
    ("The *map* shows that everything hangs together.", "", "has no caption"),
    (":label: image-classification-ex2", ":label: second", "labelled 'second', expected"),
    ("**Repair** · 10 minutes · medium", "**Repair** · medium", "its first line must be like"),
    ("**Repair**", "**Predict**", "no exercise of the kind 'Repair'"),
    ("### BEGIN SOLUTION\nanswer = 36", "answer = 36", "0 BEGIN and 1 END SOLUTION marks"),
    (
        'companion.exercises.check("image-classification-ex2", answer)',
        'companion.exercises.check("image-classification-ex1", answer)',
        "image-classification-ex2: its last cell must end in exercises.check",
    ),
    (
        "```{dropdown} Hint 1\nIt is a square.\n```",
        "```{dropdown} Hint\nIt is.\n```\n" * 4,
        "4 hints, at most 3",
    ),
]


@pytest.mark.parametrize(("old", "new", "told"), CHANGES, ids=[told for _, _, told in CHANGES])
def test_fault_is_noticed(mini_book, old, new, told):
    page = chapters(mini_book)[0]
    assert old in page.text
    page.source.write_text(page.text.replace(old, new))
    found = faults(Page(mini_book, page.docname))
    assert any(told in fault for fault in found), found


def test_long_median_and_rows_of_cells_are_noticed(mini_book):
    page = chapters(mini_book)[0]
    cell = "```{code-cell} ipython3\n" + "x = 1\n" * 9 + "```\n\n"
    page.source.write_text(page.text.replace("## By hand\n", "## By hand\n\n" + cell * 12))
    found = faults(Page(mini_book, page.docname))
    assert "cells have 9 lines in the median, at most 8" in found
    assert "three code cells in a row, the last: x = 1" in found


def test_sections_out_of_order_are_noticed(mini_book):
    page = chapters(mini_book)[0]
    text = page.text.replace("classification-idea)=", "classification-swap)=")
    text = text.replace("(image-classification-formula)=", "(image-classification-idea)=")
    text = text.replace("(image-classification-swap)=", "(image-classification-formula)=")
    page.source.write_text(text)
    assert any("sections stand in the order" in fault for fault in faults(chapters(mini_book)[0]))
