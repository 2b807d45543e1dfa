"""The checks: a right answer, the usual mistakes, and what is said of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from companion.exercises.answers import (
    WrongKind,
    as_fraction,
    as_mapping,
    as_number,
    as_numbers,
)
from companion.exercises.framework import Feedback, right, wrong

__all__ = [
    "ADDED",
    "CHANGES",
    "COPIES",
    "check_added",
    "check_changes_of_log_me",
    "check_choice",
    "check_copies",
    "check_distance",
    "noise",
]

ADDED = 0.4
ERROR = 0.3
CHANGES = ("raw", "times 255", "plus 10", "standardised")
TOLERANCE = 1e-4


# --- 1: what a mistaken domain classifier adds to the bound ---


def check_added(answer: Any) -> Feedback:
    """Check half the proxy A-distance at an error of three in ten."""
    value = as_number(answer, what="a number")
    if _near(value, ADDED):
        return right("The distance is 0.8 of at most 2, and half of it is added.")
    known = {
        2 * ADDED: ("the half forgotten", "That is the distance; the bound adds half of it."),
        ERROR: ("the error taken for the distance", "At error one half the domains are alike."),
        1 - ERROR: ("the accuracy taken for the distance", "What is the accuracy by chance?"),
        2 * ERROR: ("the error doubled", "The distance falls as the error rises."),
    }
    for number, (misconception, message) in known.items():
        if _near(value, number):
            return wrong(message, misconception=misconception)
    return wrong("Put the error into the formula of the proxy A-distance, then look at the bound.")


# --- 2: LogME in other units ---


def check_changes_of_log_me(answer: Any) -> Feedback:
    """Check that one common factor changes nothing, and that a shift and own units do."""
    given = as_mapping(answer, CHANGES)
    scores = {name: as_number(value, what=f"a score for {name!r}") for name, value in given.items()}
    raw = scores["raw"]
    if all(_near(score, raw) for score in scores.values()):
        return wrong(
            "All four are equal: were the changed features passed on?",
            misconception="features not changed",
        )
    if not _near(scores["times 255"], raw):
        return wrong(
            "One factor for all features is taken up by the prior: same items, same labels?",
            misconception="other items for one of the scores",
        )
    if _near(scores["plus 10"], raw):
        return wrong(
            "Without an intercept a shift must show: was 10 added before the score was computed?",
            misconception="the shift was lost",
        )
    if _near(scores["standardised"], raw):
        return wrong(
            "Dividing all features by one number changes nothing: take each by itself, axis=0.",
            misconception="one unit for all features",
        )
    return right(
        "LogME does not see a common unit. It sees shifts, as it has no intercept, and units of "
        "single features, as one prior serves all weights: say how features were prepared."
    )


# --- 3: a distance to repair ---


def noise(size: int, *, shift: float = 0.0, seed: int = 0, width: int = 20) -> Any:
    """Return a cloud of features, (size, width).

    Args:
        size: number of items.
        shift: where its centre lies, in each feature.
        seed: which cloud.
        width: number of features.
    """
    return shift + np.random.default_rng(seed).standard_normal((size, width))


def check_distance(answer: Any) -> Feedback:
    """Check a function on domains that are alike, far apart and of unequal size."""
    if not callable(answer):
        raise WrongKind("a function of source and target features", answer)
    far = _call(answer, noise(60), noise(60, shift=5.0, seed=1))
    alike = _call(answer, noise(60, width=80), noise(60, seed=1, width=80))
    unequal = _call(answer, noise(450), noise(50, seed=1))
    several = [_call(answer, noise(40, seed=s), noise(40, seed=s + 90)) for s in range(6)]
    if far < 1.5:
        return wrong(
            "Domains that no item links must be 2 apart, up to a few mistakes.",
            misconception="the scale is not 0 to 2",
        )
    if alike > 1.2:
        return wrong(
            "Two clouds of the same noise come out far apart: judge on items that were held out.",
            misconception="judged on its own training items",
        )
    if unequal > 0.9:
        return wrong(
            "With 450 against 50 items of the same noise the distance is large: chance is no "
            "longer one half.",
            misconception="domains of unequal size",
        )
    if min(*several, alike, unequal) < 0:
        return wrong("A held-out error may exceed one half; a distance is never negative.",
                     misconception="not clipped at 0")  # fmt: skip
    return right("Held out, balanced, clipped: the distance of equal noise is small again.")


def _call(function: Any, source: Any, target: Any) -> float:
    """Return what a learner's function says of two domains."""
    return as_number(function(source, target), what="a function that returns a number")


# --- 4: a choice for another target ---


def check_choice(answer: Any) -> Feedback:
    """Check that a source was chosen by its score, and before the accuracies."""
    given = as_mapping(answer, ("scores", "accuracies", "chosen"))
    scores, reached = given["scores"], given["accuracies"]
    for part in (scores, reached):
        if not isinstance(part, Mapping) or len(part) < 4:
            raise WrongKind("scores and accuracies of at least four sources, by their names", part)
    values = {name: as_number(value) for name, value in scores.items()}
    accuracies = as_mapping(reached, list(values))
    if any(as_number(value) > 1 for value in accuracies.values()):
        return wrong("Accuracies are fractions in this book.", misconception="percent")
    accuracies = {name: as_fraction(value) for name, value in accuracies.items()}
    if values == accuracies:
        return wrong(
            "Scores and accuracies are the same numbers: a score is had without training.",
            misconception="the accuracy taken for a score",
        )
    return _judged(values, accuracies, given["chosen"])


def _judged(values: dict[str, float], accuracies: dict[str, float], chosen: Any) -> Feedback:
    """Say whether the source with the highest score was chosen, and what it cost."""
    by_score, by_accuracy = max(values, key=values.__getitem__), max(
        accuracies, key=accuracies.__getitem__
    )  # fmt: skip
    if chosen not in values:
        raise WrongKind(f"one of {', '.join(values)} as 'chosen'", chosen)
    if chosen == min(values, key=values.__getitem__):
        return wrong("Higher scores are better.", misconception="the lowest score chosen")
    if chosen != by_score and chosen == by_accuracy:
        return wrong(
            "That is the source with the best accuracy, which nobody knows beforehand.",
            misconception="chosen by the accuracy",
        )
    if chosen != by_score:
        return wrong("Another source has a higher score.")
    lost = accuracies[by_accuracy] - accuracies[chosen]
    return right(f"{chosen} was chosen; against the best source it loses {lost:.3f} in accuracy.")


# --- 5: find the copies ---

COPIES = (7, 9, 12, 15, 17)


def check_copies(answer: Any) -> Feedback:
    """Check which of twenty judging items have a copy in the pretraining pictures."""
    found = as_numbers(answer, what="a list of positions")
    missed = set(COPIES) - set(found)
    surplus = set(found) - set(COPIES)
    if not missed and not surplus:
        return right("All copies, and nothing else: set them aside before anything is judged.")
    if len(found) == 0 or not set(found) & set(COPIES):
        return wrong(
            "None of these has a copy: are they positions in judging, from 0?",
            misconception="positions of the wrong set",
        )
    if missed:
        return wrong(
            f"{len(missed)} copies are missing: a copy is brighter, so its distance is not 0.",
            misconception="only exact copies",
        )
    return wrong(
        f"{len(surplus)} of these are only alike: look for the gap in the sorted distances.",
        misconception="every neighbour is called a copy",
    )


def _near(value: float, wanted: float) -> bool:
    """Return whether two numbers are equal up to rounding."""
    return abs(value - wanted) <= TOLERANCE * max(1.0, abs(wanted))
