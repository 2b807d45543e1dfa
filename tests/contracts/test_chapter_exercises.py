"""The checks of every chapter: all four kinds, and three wrong answers each that are recognised."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from companion import exercises
from companion.exercises import framework

FRAMEWORK = {"__init__", "answers", "framework", "misconceptions", "verdicts"}
FOLDER = Path(framework.__file__).parent
MODULES = [*FOLDER.glob("*.py"), *(path.parent for path in FOLDER.glob("*/__init__.py"))]
CHAPTERS = sorted(path.stem for path in MODULES if path.stem not in FRAMEWORK)
ROOT = FOLDER.parents[1]

for name in CHAPTERS:
    importlib.import_module(f"companion.exercises.{name}")
ALL = tuple(exercises.EXERCISES)
MISTAKES = [(one, mistake) for one in ALL for mistake in one.mistakes]


def test_every_chapter_with_exercises_has_checks():
    sources = [
        path
        for path in (ROOT / "book").rglob("*.md")
        if "companion.exercises.check(" in path.read_text(encoding="utf-8")
        or "exercises.check(" in path.read_text(encoding="utf-8")
    ]
    assert {path.stem.replace("-", "_") for path in sources} == set(CHAPTERS)
    assert CHAPTERS


@pytest.mark.parametrize("chapter", sorted({one.chapter for one in ALL}))
def test_a_chapter_has_one_exercise_of_each_kind_and_they_are_numbered(chapter):
    own = [one for one in ALL if one.chapter == chapter]
    assert list(dict.fromkeys(one.kind for one in own)) == list(framework.KINDS)
    stem = chapter.rpartition("/")[2]
    assert [one.id for one in own] == [f"{stem}-ex{n}" for n in range(1, len(own) + 1)]
    text = (ROOT / "book" / f"{chapter}.md").read_text(encoding="utf-8")
    assert [one.id for one in own if f'"{one.id}"' not in text] == []


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.id)
def test_an_exercise_has_three_wrong_answers(one):
    named = {mistake.misconception for mistake in one.mistakes}
    assert len(named - {None, "another kind of answer"}) >= 3


@pytest.mark.parametrize(("one", "mistake"), MISTAKES, ids=lambda value: getattr(value, "id", ""))
def test_a_wrong_answer_is_recognised(one, mistake):
    feedback = exercises.check(one.id, mistake.answer())
    assert not feedback.passed
    assert feedback.misconception == mistake.misconception, feedback
    assert len(feedback.message) > 15


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.id)
def test_no_answer_says_what_is_expected(one):
    feedback = exercises.check(one.id)
    assert not feedback.passed
    assert one.expects in feedback.message


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.id)
def test_there_are_as_many_hints_as_on_the_page(one):
    text = (ROOT / "book" / f"{one.chapter}.md").read_text(encoding="utf-8")
    stated = text.partition(f":label: {one.id}\n")[2].partition("\n````\n")[0]
    assert 1 <= len(re.findall(r"```\{dropdown\} Hint \d\n", stated)) == len(one.hints) <= 3


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.id)
def test_the_learner_has_a_cell_before_the_solution(one):
    text = (ROOT / "book" / f"{one.chapter}.md").read_text(encoding="utf-8")
    own = f'answer = ...  # yours\nexercises.check("{one.id}", answer)\n'
    assert text.count(own) == 1
    assert text.index(own) < text.index(f"{{solution-start}} {one.id}\n")


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.id)
def test_nothing_passes_by_chance(one):
    for answer in (None, "", [], {}, 0, 1, -1, 0.5, True, "x", [0] * 10, object(), {"a": None}):
        assert not exercises.check(one.id, answer).passed, answer
