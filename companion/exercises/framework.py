"""Exercises, their feedback, and the one call that ends every solution cell."""

from __future__ import annotations

import html
import importlib
import importlib.util
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from companion import checks
from companion.exercises.answers import WrongKind, describe
from companion.registry import Registry

__all__ = [
    "EXERCISES",
    "Exercise",
    "ExerciseFailed",
    "Feedback",
    "Mistake",
    "check",
    "first_of",
    "hint",
    "register",
    "right",
    "wrong",
]

KINDS = ("predict", "change", "repair", "transfer")
DIFFICULTIES = ("easy", "medium", "hard")
MAX_HINTS = 3
ANOTHER_KIND = "another kind of answer"
_ID = re.compile(r"(?P<chapter>[a-z0-9-]+)-ex[1-9][0-9]*")


class ExerciseFailed(checks.CompanionError):
    """A solution that the book itself gives does not pass its check."""


@dataclass(frozen=True)
class Feedback:
    """What a check says of an answer.

    Attributes:
        passed: whether the answer is right.
        message: one or two sentences.
        misconception: the mistake behind a wrong answer, in a few words; `None` where it was not
            recognised.
        is_empty: whether there was no answer to judge.
    """

    passed: bool
    message: str
    misconception: str | None = None
    is_empty: bool = False

    def _word_and_colour(self) -> tuple[str, str]:
        """Return the verdict and the colour that goes with it."""
        if self.is_empty:
            return "No answer yet.", "#6B6B6B"
        return ("Right.", "#009E73") if self.passed else ("Not yet.", "#D55E00")

    def __repr__(self) -> str:
        """Return the feedback as text."""
        word, _ = self._word_and_colour()
        named = f" ({self.misconception})" if self.misconception else ""
        return f"{word}{named} {self.message}"

    def _repr_html_(self) -> str:
        """Return the feedback as HTML; the word says what the colour says."""
        word, colour = self._word_and_colour()
        named = f" <em>{html.escape(self.misconception)}.</em>" if self.misconception else ""
        return (
            f'<div role="status" style="border-left: 4px solid {colour}; padding: .4em .8em">'
            f"<strong>{word}</strong>{named} {html.escape(self.message)}</div>"
        )


def right(message: str) -> Feedback:
    """Return the feedback of a right answer.

    Args:
        message: what it shows.
    """
    return Feedback(True, message)


def wrong(message: str, *, misconception: str | None = None) -> Feedback:
    """Return the feedback of a wrong answer.

    Args:
        message: where to look; not the answer.
        misconception: the mistake behind it, where it is recognised.
    """
    return Feedback(False, message, misconception)


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that the check must recognise: the tests make it and look.

    Attributes:
        misconception: what the feedback must name; `None` where any "not yet" will do.
        answer: makes the wrong answer.
    """

    misconception: str | None
    answer: Callable[[], Any]


@dataclass(frozen=True)
class Exercise:
    """One exercise of a chapter.

    Attributes:
        id: its label in the chapter, `"<chapter>-ex<n>"`.
        chapter: part and file name of the chapter, such as `"vision/image-classification"`.
        kind: `"predict"`, `"change"`, `"repair"` or `"transfer"`.
        minutes: how long it takes.
        difficulty: `"easy"`, `"medium"` or `"hard"`.
        expects: what an answer is, in words: "a fraction from 0 to 1".
        check: from an answer to feedback. It may raise what it likes: that is a wrong answer.
        hints: up to three, each a step further.
        mistakes: at least three wrong answers for the tests.

    Raises:
        CompanionError: a field that is not as stated.
    """

    id: str
    chapter: str
    kind: str
    minutes: int
    difficulty: str
    expects: str
    check: Callable[[Any], Feedback] = field(repr=False)
    hints: tuple[str, ...] = ()
    mistakes: tuple[Mistake, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        """Check the fields."""
        found = _ID.fullmatch(self.id)
        if found is None or found["chapter"] != self.chapter.rpartition("/")[2]:
            checks.fail(
                "exercise id",
                got=repr(self.id),
                expected=f"'{self.chapter.rpartition('/')[2]}-ex<n>', n from 1",
                do="use the label that the chapter gives it",
            )
        checks.one_of("kind", self.kind, KINDS)
        checks.one_of("difficulty", self.difficulty, DIFFICULTIES)
        checks.positive_int("minutes", self.minutes)
        if len(self.hints) > MAX_HINTS:
            checks.fail("hints", got=len(self.hints), expected=f"at most {MAX_HINTS}", do="merge")

    @property
    def name(self) -> str:
        """The id, by which the registry knows it."""
        return self.id


EXERCISES: Registry[Exercise] = Registry("exercise")
_SHOWN_EMPTY: set[str] = set()


def register(exercise: Exercise) -> Exercise:
    """Make an exercise known by its id.

    Args:
        exercise: the exercise.

    Raises:
        CompanionError: the id is taken.
    """
    return EXERCISES.add(exercise)


def check(exercise_id: str, answer: Any = None) -> Feedback:
    """Check an answer; the last line of every answer cell and every solution cell.

    Args:
        exercise_id: label of the exercise, `"<chapter>-ex<n>"`.
        answer: anything.

    Returns:
        Feedback, which a notebook shows. An answer of another kind is wrong, not an error.

    Raises:
        CompanionError: an unknown exercise; near matches are listed.
        ExerciseFailed: in a build of the book, where an answer is the book's own solution. Only
            the `...` of the learner's empty cell, which stands before it, is let through, once.
    """
    exercise = _find(exercise_id)
    feedback, error = _feedback(exercise, answer)
    if answer is Ellipsis and exercise_id not in _SHOWN_EMPTY:
        _SHOWN_EMPTY.add(exercise_id)
        return feedback
    if not feedback.passed and os.environ.get("COMPANION_RESULTS"):
        raise ExerciseFailed(
            f"solution of {exercise_id}: got {feedback!r}; expected a right answer; "
            "correct the solution or its check"
        ) from error
    return feedback


def hint(exercise_id: str, number: int = 1) -> str:
    """Return a hint.

    Args:
        exercise_id: label of the exercise.
        number: which hint, from 1.

    Raises:
        CompanionError: an unknown exercise, or one with fewer hints.
    """
    hints = _find(exercise_id).hints
    if checks.positive_int("number", number) > len(hints):
        checks.fail("hint", got=number, expected=f"1..{len(hints)}", do="look at the solution")
    return hints[number - 1]


def first_of(found: Iterable[Feedback | None]) -> Feedback | None:
    """Return the first misconception that was recognised, or `None`.

    Args:
        found: what detectors returned, in the order of their importance; a generator is asked no
            further than needed.
    """
    return next((feedback for feedback in found if feedback is not None), None)


def _feedback(exercise: Exercise, answer: Any) -> tuple[Feedback, Exception | None]:
    """Return what a check says, whatever the answer, and the error it raised."""
    if answer is None or answer is Ellipsis:
        hints = f' For a hint: exercises.hint("{exercise.id}", 1).' if exercise.hints else ""
        message = f"Expected {exercise.expects}.{hints}"
        return Feedback(False, message, is_empty=True), None
    try:
        feedback = exercise.check(answer)
    except WrongKind as error:
        message = f"{str(error)[:1].upper()}{str(error)[1:]}."
        return wrong(message, misconception=ANOTHER_KIND), error
    except Exception as error:  # a learner's object may raise anything
        message = f"Expected {exercise.expects}, got {_safely_described(answer)}."
        return wrong(message, misconception=ANOTHER_KIND), error
    if not isinstance(feedback, Feedback):
        message = f"the check of {exercise.id} returned {type(feedback).__name__}, not Feedback"
        return wrong(f"This exercise is broken: {message}."), TypeError(message)
    return feedback, None


def _safely_described(answer: object) -> str:
    """Return what an answer is, even where its own methods raise."""
    try:
        return describe(answer)
    except Exception:  # a learner's object may raise anything
        return f"an object of type {type(answer).__name__}"


def _find(exercise_id: str) -> Exercise:
    """Return an exercise, loading its chapter's checks if need be."""
    found = _ID.fullmatch(exercise_id) if isinstance(exercise_id, str) else None
    if found is not None and exercise_id not in EXERCISES:
        module = f"companion.exercises.{found['chapter'].replace('-', '_')}"
        if importlib.util.find_spec(module) is not None:
            importlib.import_module(module)
    return EXERCISES.get(exercise_id)
