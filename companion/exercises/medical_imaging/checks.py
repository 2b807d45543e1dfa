"""The checks: a right answer, the usual mistakes, and what is said of each."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from companion.evaluation import decision_rates, threshold_for_specificity
from companion.exercises.answers import WrongKind, as_mapping, as_number
from companion.exercises.framework import Feedback, right, wrong
from companion.exercises.misconceptions import percent
from companion.splits import Split

__all__ = [
    "MISSES",
    "ROWS",
    "check_needed_specificity",
    "check_split",
    "check_thresholds",
    "check_tumours",
    "patients_split",
    "tumour_answer",
]


# --- 1: how specific must a screening be? ---

PREVALENCE, SENSITIVITY = 0.01, 0.9


def check_needed_specificity(answer: Any) -> Feedback:
    """Check at which specificity half of the positive answers are right."""
    value = as_number(answer, what="a fraction from 0 to 1")
    alarms = SENSITIVITY * PREVALENCE / (1 - PREVALENCE)
    if abs(value - (1 - alarms)) < 4e-4:
        return right("Fewer than one false alarm in a hundred healthy people, and still a coin.")
    usual = (
        (alarms, "false alarms for specificity", "That is how many healthy people are called."),
        (0.5, "prevalence forgotten", "There are 99 healthy people for each sick one."),
        (1 - SENSITIVITY, "prevalence forgotten", "There are 99 healthy people for a sick one."),
        (1 - PREVALENCE, "one minus the prevalence", "Not all of the sick are found."),
        (SENSITIVITY, "specificity like sensitivity", "Then eleven alarms to one are false."),
    )
    for number, name, message in usual:
        if abs(value - number) < 1e-4:
            return wrong(f"{message} Count ten thousand people.", misconception=name)
    return percent(value) or wrong("Count, among ten thousand people, who gets a positive answer.")


# --- 2: thresholds from other costs ---

MISSES = (1, 4, 99)


def check_thresholds(answer: Any) -> Feedback:
    """Check the thresholds from three costs of a miss, a false alarm costing 1."""
    given = as_mapping(answer, MISSES, what="a dictionary from 1, 4 and 99 to thresholds")
    found = {float(key): as_number(value) for key, value in given.items()}
    rules: tuple[tuple[Callable[[float], float], str, str], ...] = (
        (lambda m: m / (1 + m), "costs exchanged", "These rise as a miss becomes dearer."),
        (lambda m: 1 / m, "odds for probability", "That is the ratio of the two costs."),
        (lambda m: 0.5, "threshold left at one half", "One half is for equal costs."),
        (lambda m: 1 / 21, "costs of the chapter", "Change the cost of the miss."),
    )
    if _fits(found, lambda m: 1 / (1 + m)):
        return right("The dearer a miss, the lower the threshold; no data are needed for it.")
    for rule, name, message in rules:
        if _fits(found, rule):
            return wrong(message, misconception=name)
    return wrong("Put the costs into the equation of the threshold, one after another.")


def _fits(found: Mapping[float, float], rule: Callable[[float], float]) -> bool:
    """Return whether all thresholds follow a rule."""
    return all(math.isclose(value, rule(miss), abs_tol=1e-6) for miss, value in found.items())


# --- 3: a split by patient ---


@functools.cache
def patients_split() -> Split:
    """Return 120 items of 12 patients, with two classes."""
    groups = tuple(f"patient {number % 12}" for number in range(120))
    labels = torch.tensor([int(number % 12 < 4 and number % 3 == 0) for number in range(120)])
    images = torch.zeros(120, 1, 2, 2)
    ids = tuple(f"item/{number}" for number in range(120))
    return Split("pool", images, labels, ids, ("other", "blast"), groups)


def check_split(answer: Any) -> Feedback:
    """Check a function that splits by patient, by letting it split."""
    if not callable(answer):
        raise WrongKind("a function of a split and a seed", answer)
    pool = patients_split()
    for seed in range(3):
        train, val = answer(pool, seed)
        found = _judged(pool, train, val)
        if found is not None:
            return found
    return right("No patient is on both sides, and no cell is lost.")


def _judged(pool: Split, train: Split, val: Split) -> Feedback | None:
    """Return what is wrong with two parts, if anything."""
    if set(train.ids) & set(val.ids):
        return wrong("Some cells are in train and in val.", misconception="cells are in both parts")
    if len(train) + len(val) < len(pool):
        return wrong("Some cells are in neither part.", misconception="cells are lost")
    shared = set(train.groups or ()) & set(val.groups or ())
    if shared:
        return wrong(
            f"{len(shared)} patients have cells in both parts: draw patients.",
            misconception="patients on both sides",
        )
    if not 0.1 <= len(val) / len(pool) <= 0.34:
        return wrong(
            "Val should be about a fifth of the cells.", misconception="too little to judge by"
        )
    return None


# --- 4: tumours as numbers ---

ROWS = {"train": slice(0, 300), "val": slice(300, 400), "test": slice(400, None)}


@functools.cache
def _judge(positive: int) -> tuple[Any, Any]:
    """Return the probability of the positive class for each row, and the labels."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows, benign = load_breast_cancer(return_X_y=True)
    labels = (benign == positive).astype(int)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(rows[ROWS["train"]], labels[ROWS["train"]])
    return model.predict_proba(rows)[:, 1], labels


def tumour_answer(
    *,
    positive: int = 0,
    chosen_on: str = "val",
    judged_on: str = "test",
    threshold: float | None = None,
) -> dict[str, float]:
    """Return the answer of exercise 4, or that of a usual mistake.

    Args:
        positive: scikit-learn's label of the class to be found; 0 is malignant.
        chosen_on: part that the threshold is chosen on.
        judged_on: part that it is judged on.
        threshold: a threshold that is not chosen at all.
    """
    scores, labels = _judge(positive)
    if threshold is None:
        rows = ROWS[chosen_on]
        threshold = threshold_for_specificity(scores[rows], labels[rows], specificity=0.95)
    rows = ROWS[judged_on]
    rates = decision_rates(scores[rows], labels[rows], threshold=threshold)
    return {
        "threshold": threshold,
        "sensitivity": rates.sensitivity,
        "specificity": rates.specificity,
    }


def check_tumours(answer: Any) -> Feedback:
    """Check the threshold from validation and what it does on test."""
    given = as_mapping(answer, ("threshold", "sensitivity", "specificity"))
    found = {str(name): as_number(value) for name, value in given.items()}
    if _near(found, tumour_answer()):
        return right("On test the specificity is not exactly that of validation; say so.")
    usual: tuple[tuple[dict[str, Any], str, str], ...] = (
        ({"chosen_on": "test"}, "threshold chosen on test", "Test may not choose its threshold."),
        (
            {"chosen_on": "train"},
            "threshold chosen on train",
            "Scores of training rows flatter: choose on validation.",
        ),
        ({"positive": 1}, "benign taken for positive", "Malignant is the class to be found."),
        ({"threshold": 0.5}, "threshold left at one half", "Choose the threshold on validation."),
        ({"judged_on": "val"}, "judged on validation", "Judge on rows that chose nothing."),
    )
    for options, name, message in usual:
        if _near(found, tumour_answer(**options)):
            return wrong(message, misconception=name)
    return wrong("Follow the three parts: train fits, validation chooses, test judges.")


def _near(found: Mapping[str, float], wanted: Mapping[str, float]) -> bool:
    """Return whether two answers are alike, up to another build of the solver."""
    return all(abs(found[name] - wanted[name]) < 2e-3 for name in wanted)
