"""The checks: a right answer, the usual mistakes, and what is said of each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from companion import runtime
from companion.exercises.answers import WrongKind, as_mapping, as_number, as_numbers
from companion.exercises.framework import Feedback, first_of, right, wrong
from companion.exercises.misconceptions import percent, seeds_not_varied
from companion.exercises.why_transfer.mistakes import BUDGETS, equivalents, turned
from companion.report import LabelEquivalent

__all__ = [
    "check_nonsense_labels",
    "check_other_way_round",
    "check_steps_to",
    "check_upside_down",
]

MIN_SEEDS = 5
BLIND_GUESS = {"laptop": 0.1, "full": 0.5}
"""Accuracy of a blind guess: ten digits, or two kinds of animals."""

LEARNED = 0.8
BEYOND_CHANCE = 0.25
"""From where images count as learned, and how far above a guess forty images may lead by luck."""


# --- 1: labels that mean nothing ---


def check_nonsense_labels(answer: Any) -> Feedback:
    """Check the accuracies after training on shuffled labels."""
    on_train, on_val = as_numbers(answer, length=2, what="two fractions: on train, then on val")
    found = first_of(percent(value) for value in (on_train, on_val))
    if found:
        return found
    if min(on_train, on_val) < 0:
        raise WrongKind("two fractions from 0 to 1", answer)
    if runtime.scale() == "rehearsal":
        return right("Rehearsed.")
    limit = BLIND_GUESS[runtime.scale()] + BEYOND_CHANCE
    return _nonsense_feedback(on_train >= LEARNED, on_val <= limit, on_val >= LEARNED)


def _nonsense_feedback(is_fitted: bool, is_blind: bool, is_skilled: bool) -> Feedback:
    """Say what two accuracies mean."""
    if is_fitted and is_blind:
        return right("Every label learned by heart, and nothing understood: the gap says it all.")
    if is_fitted:
        return wrong(
            "The labels of the training images are shuffled. What could lead to the true label of "
            "a new image?",
            misconception="the source knows the labels",
        )
    if is_skilled:
        return wrong(
            "The first number is for the images with the shuffled labels, the second for val.",
            misconception="train and val exchanged",
        )
    return wrong(
        "Compare the number of weights with the number of images: what can the network store?",
        misconception="wrong labels cannot be learned",
    )


# --- 2: the other way round ---


def check_other_way_round(answer: Any) -> Feedback:
    """Check how many labels with transfer equal some from scratch."""
    given = as_mapping(answer, BUDGETS, what="a dictionary with the keys 10, 20, 40 and 80")
    numbers = {k: _labels(value) for k, value in given.items()}
    wanted = {k: v.labels for k, v in equivalents("scratch", "full").items()}
    if _same(numbers, wanted):
        return right(
            f"{wanted[80]:.0f} labels a class with transfer do what 80 do from scratch, and "
            f"{wanted[10]:.1f} do what 10 do."
        )
    if _same(numbers, {k: 10 * v for k, v in wanted.items()}):
        return wrong(
            "These are labels of all ten classes; the study counts labels a class.",
            misconception="labels of all classes together",
        )
    if _same(numbers, {k: float(k) for k in BUDGETS}):
        return wrong(
            "Each budget equals itself here: strategy and baseline are the same.",
            misconception="compared with itself",
        )
    if all(value <= 1 for value in numbers.values()):
        return wrong(
            "These look like accuracies. The answers are numbers of labels a class.",
            misconception="accuracy for labels",
        )
    if any(numbers[k] > k for k in BUDGETS):
        return wrong(
            "More labels with transfer than from scratch: you asked what transfer is worth, not "
            "what scratch is worth. Which is the strategy, which the baseline?",
            misconception="the question was not turned round",
        )
    return wrong("Use the recorded study `grid`, with strategy and baseline exchanged.")


def _labels(value: object) -> float:
    """Return labels a class; infinite ones too."""
    if isinstance(value, LabelEquivalent):
        return value.labels
    if isinstance(value, float) and math.isinf(value):
        return value
    return as_number(value, what="a number of labels for each budget")


def _same(numbers: dict[int, float], wanted: dict[int, float]) -> bool:
    """Return whether numbers agree to a twentieth."""
    return all(math.isclose(numbers[k], wanted[k], rel_tol=0.05) for k in BUDGETS)


# --- 3: the first step at a goal ---

CURVE = [(0, 0.1), (5, 0.4), (10, 0.7), (15, 0.65), (20, 0.9), (25, 0.85)]


def check_steps_to(answer: Any) -> Feedback:
    """Check a function from a curve and a goal to the first step that reaches it."""
    if not callable(answer):
        raise WrongKind("a function: hand in its name, without brackets behind it", answer)
    detectors: tuple[Callable[[Any], Feedback | None], ...] = (
        _position_for_step,
        _best_for_first,
        _never_as_number,
        _strictly_above,
    )
    found = first_of(detect(answer) for detect in detectors)
    if found:
        return found
    cases = {0.05: 0, 0.4: 5, 0.6: 10, 0.7: 10, 0.8: 20, 0.95: None}
    missed = [goal for goal, step in cases.items() if answer(CURVE, goal) != step]
    if missed:
        return wrong(f"On {CURVE} with the goal {missed[0]} the answer is {cases[missed[0]]}.")
    return right("The first step that suffices, a goal that is met counts, and never is no number.")


def _position_for_step(function: Any) -> Feedback | None:
    """Recognise a position in the list."""
    if function(CURVE, 0.6) == 2:
        return wrong(
            "That is the position in the list; the steps of a curve need not be one apart.",
            misconception="position for step",
        )
    return None


def _best_for_first(function: Any) -> Feedback | None:
    """Recognise the step of the best accuracy."""
    if function(CURVE, 0.6) == 20 and function(CURVE, 0.3) == 20:
        return wrong(
            "That is where the curve is highest. When was it first high enough?",
            misconception="the best for the first",
        )
    return None


def _never_as_number(function: Any) -> Feedback | None:
    """Recognise a number for a goal that is never reached."""
    told = function(CURVE, 0.95)
    if told is not None and not (isinstance(told, float) and math.isinf(told)):
        return wrong(
            f"The goal 0.95 is never reached, and the function says {told!r}.",
            misconception="never reached told as a number",
        )
    if told is not None:
        return wrong("Infinity would do in a formula; here `None` was asked for.")
    return None


def _strictly_above(function: Any) -> Feedback | None:
    """Recognise a goal that counts only when it is passed."""
    if function(CURVE, 0.7) == 20:
        return wrong(
            "At step 10 the accuracy equals the goal 0.7: at least the goal is enough.",
            misconception="a goal just met does not count",
        )
    return None


# --- 4: upside down ---


def check_upside_down(answer: Any) -> Feedback:
    """Check accuracies on digits that were turned by half a circle."""
    what = "a dictionary with the keys 'pixels' and 'letters', each a list of accuracies"
    given = as_mapping(answer, ("pixels", "letters"), what=what)
    lists = {name: as_numbers(values, what=what) for name, values in given.items()}
    found = first_of(percent(value) for values in lists.values() for value in values)
    if found:
        return found
    if runtime.scale() != "laptop":
        return right("Turned pixels keep their distances; features of a network need not.")
    found = _too_few(lists) or first_of(seeds_not_varied(v) for v in lists.values())
    return found or _turned_feedback(lists)


def _too_few(lists: dict[str, list[float]]) -> Feedback | None:
    """Recognise too few seeds for a claim."""
    if min(map(len, lists.values())) < MIN_SEEDS:
        return wrong(
            f"{min(map(len, lists.values()))} seeds are points, no claim: five at least.",
            misconception="fewer than five seeds",
        )
    return None


def _turned_feedback(lists: dict[str, list[float]]) -> Feedback:
    """Compare with both ways of turning, for the first seeds."""
    upright, both = turned(train=False, val=False, seeds=(0, 1)), turned(seeds=(0, 1))
    if _close(lists["letters"], both["letters"]) and _close(lists["pixels"], both["pixels"]):
        means = {name: sum(values) / len(values) for name, values in lists.items()}
        return right(
            f"Pixels {means['pixels']:.3f}, as upright: one order of pixels for all "
            f"images changes no distance. Features of letters {means['letters']:.3f}."
        )
    if _close(lists["letters"], upright["letters"]):
        return wrong(
            "These are the accuracies on upright digits.", misconception="nothing was turned"
        )
    if _close(lists["pixels"], turned(scored_on_train=True, seeds=(0, 1))["pixels"]):
        return wrong(
            "These are accuracies on the labelled images themselves.",
            misconception="training accuracy for test accuracy",
        )
    if sum(lists["pixels"]) / len(lists["pixels"]) < sum(upright["pixels"]) / 2 - 0.15:
        return wrong(
            "Pixels lost a lot, and turning all images changes no distance between them. Were "
            "the labelled images turned as well as the others?",
            misconception="only one side was turned",
        )
    return wrong("Use the draws of the chapter, `draw(seed)` for the seeds 0, 1, 2, ...")


def _close(values: list[float], wanted: list[float]) -> bool:
    """Return whether the first values agree up to a few images that lie on a border."""
    return all(math.isclose(a, b, abs_tol=0.011) for a, b in zip(values, wanted, strict=False))
