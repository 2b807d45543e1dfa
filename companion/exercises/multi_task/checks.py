"""The checks: a right answer, the usual mistakes, and what is said of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from companion.exercises.answers import WrongKind, as_mapping, as_number, as_numbers
from companion.exercises.framework import Feedback, right, wrong

__all__ = [
    "COSINE",
    "LENGTHS",
    "LOSS",
    "RADIAN",
    "STEP_SIZE",
    "check_changes",
    "check_iris",
    "check_surgery",
    "check_units",
    "sepal_widths",
    "worth",
]

# --- 1: what a step along the sum does to each loss ---

LENGTHS, COSINE, STEP_SIZE = (3.0, 1.0), -0.5, 0.01


def check_changes(answer: Any) -> Feedback:
    """Check the first-order changes of two losses after a step along minus the sum."""
    given = as_numbers(answer, length=2, what="two numbers, the change of the first loss first")
    product = COSINE * LENGTHS[0] * LENGTHS[1]
    if _close(given, _changes(product)):
        return right(
            "The first loss falls, the second rises: the conflict harms the shorter gradient, and "
            "only because the cosine is below minus the ratio of the lengths."
        )
    for factor, name, words in (
        (-1.0, "the sign of the step", "A step against a gradient lowers its loss"),
        (1 / STEP_SIZE, "the step size forgotten", "Multiply by the size of the step"),
    ):
        if _close(given, [factor * change for change in _changes(product)]):
            return wrong(f"{words}.", misconception=name)
    if _close(given, _changes(COSINE)):
        return wrong(
            "The cosine is not the product: multiply it by both lengths.",
            misconception="cosine taken for the product",
        )
    if _close(given, _changes(0.0)):
        return wrong(
            "Each loss also feels the gradient of the other one.",
            misconception="the other gradient forgotten",
        )
    if _close(given[::-1], _changes(product)):
        return wrong("Right numbers, the wrong way round.", misconception="losses exchanged")
    return wrong("Minus the step size times (own length squared plus the product), for each.")


def _changes(product: float) -> list[float]:
    """Return the first-order change of each loss for a product of the gradients."""
    return [-STEP_SIZE * (length**2 + product) for length in LENGTHS]


def _close(given: Sequence[float], wanted: Sequence[float]) -> bool:
    """Return whether all numbers agree to within a percent."""
    return all(math.isclose(g, w, rel_tol=0.01) for g, w in zip(given, wanted, strict=True))


# --- 2: the weight of a loss in two units ---

LOSS, RADIAN = 400.0, math.pi / 180


def check_units(answer: Any) -> Feedback:
    """Check where uncertainty weighting settles for a squared error in degrees and in radians."""
    given = as_mapping(answer, ("degrees", "radians"))
    degrees, radians = (as_number(given[key]) for key in ("degrees", "radians"))
    settled = 1 / (2 * LOSS)
    if not math.isclose(degrees, settled, rel_tol=0.01):
        if math.isclose(degrees, 1 / LOSS, rel_tol=0.01):
            return wrong(
                "That is where the noise variance's inverse settles; the weight of a regression "
                "has a factor of one half before it.",
                misconception="the half forgotten",
            )
        return wrong("In degrees: for which weight is the derivative in u zero?")
    if math.isclose(radians, settled / RADIAN**2, rel_tol=0.01):
        return right(
            "The loss falls by the factor by which the weight rises: their product is one half in "
            "either unit."
        )
    if math.isclose(radians, settled / RADIAN, rel_tol=0.01):
        return wrong(
            "The loss is a squared error: its unit changes by the square of the factor.",
            misconception="the factor not squared",
        )
    if math.isclose(radians, settled * RADIAN**2, rel_tol=0.01):
        return wrong("A smaller loss gets a larger weight.", misconception="the wrong way round")
    if math.isclose(radians, settled, rel_tol=0.01):
        return wrong(
            "The weight is not what stays the same. Which product does?",
            misconception="the weight taken to stay",
        )
    return wrong("In radians: what is the squared error now?")


# --- 3: gradient surgery to repair ---

_PAIRS = (
    ((1.0, 0.0, 2.0), (-2.0, 1.0, 0.0)),
    ((3.0, -1.0, 0.5), (-0.5, 0.4, 0.3)),
    ((1.0, 2.0, 0.0), (0.5, -0.2, 1.0)),
    ((1.0, 1.0, 0.0), (-1.0, 1.0, 0.0)),
)


def check_surgery(answer: Any) -> Feedback:
    """Check a function that does PCGrad on two gradients."""
    if not callable(answer):
        raise WrongKind("a function from gradients, (2, parameters), to gradients", answer)
    pairs = [torch.tensor(pair) for pair in _PAIRS]
    found = [_rows(answer, pair) for pair in pairs]
    wanted = [_surgery(pair) for pair in pairs]
    if all(torch.allclose(f, w, atol=1e-5) for f, w in zip(found, wanted, strict=True)):
        return right("What conflicts is gone, what does not is untouched.")
    for pair, own, due in zip(pairs, found, wanted, strict=True):
        is_peaceful = bool(pair[0] @ pair[1] >= 0)
        if is_peaceful and not torch.allclose(own, due, atol=1e-5):
            return wrong(
                "Gradients whose product is not negative were changed.",
                misconception="projected without a conflict",
            )
    return _named_fault(pairs, found)


def _named_fault(pairs: Sequence[Tensor], found: Sequence[Tensor]) -> Feedback:
    """Say what is wrong with gradients that did conflict."""
    usual = (
        (_in_turn, "the changed row used", "The second row was projected against the new first "
         "one. PCGrad projects against the others as they were."),
        (_by_own_length, "divided by its own length", "Divide by the squared length of the row "
         "that is taken away, not of the row it is taken from."),
        (torch.Tensor.clone, "the conflict was left", "Gradients that conflict came back as they "
         "were."),
    )  # fmt: skip
    for function, name, message in usual:
        if all(torch.allclose(f, function(p), atol=1e-5)
               for p, f in zip(pairs, found, strict=True)):  # fmt: skip
            return wrong(message, misconception=name)
    return wrong(
        "After the surgery each row should be at a right angle to the old other one, if the two "
        "conflicted."
    )


def _rows(function: Callable[[Tensor], Any], pair: Tensor) -> Tensor:
    """Return what a function makes of two gradients, as two rows."""
    found = function(pair.clone())
    if isinstance(found, list | tuple) and len(found) == 2:
        found = torch.stack([torch.as_tensor(row) for row in found])
    if not isinstance(found, Tensor) or found.shape != pair.shape:
        raise WrongKind("a function that returns two gradients, (2, parameters)", found)
    return found.detach().float()


def _surgery(pair: Tensor) -> Tensor:
    """Return both gradients without what conflicts."""
    a, b = pair
    conflict = min(0.0, float(a @ b))
    return torch.stack([a - conflict / (b @ b) * b, b - conflict / (a @ a) * a])


def _in_turn(pair: Tensor) -> Tensor:
    """Return the gradients with the second projected against the changed first."""
    a, b = pair
    a = a - min(0.0, float(a @ b)) / (b @ b) * b
    return torch.stack([a, b - min(0.0, float(a @ b)) / (a @ a) * a])


def _by_own_length(pair: Tensor) -> Tensor:
    """Return the gradients with each divided by its own squared length."""
    a, b = pair
    conflict = min(0.0, float(a @ b))
    return torch.stack([a - conflict / (a @ a) * b, b - conflict / (b @ b) * a])


# --- 4: what flowers of another kind are worth ---


def sepal_widths() -> tuple[Any, Any]:
    """Return the sepal widths of versicolor and of virginica, in cm."""
    from sklearn.datasets import load_iris

    iris = load_iris()
    return iris.data[iris.target == 1, 1], iris.data[iris.target == 2, 1]


def worth(own: Any, other: Any, *, ddof: int = 0) -> float:
    """Return how many items of one kind those of another kind are worth for its mean."""
    gap = own.mean() - other.mean()
    return float(own.var(ddof=ddof) / (other.var(ddof=ddof) / len(other) + gap**2))


def check_iris(answer: Any) -> Feedback:
    """Check what fifty flowers of virginica are worth for the mean width of versicolor."""
    value = as_number(answer, what="a number of flowers")
    own, other = sepal_widths()
    gap = own.mean() - other.mean()
    if any(math.isclose(value, worth(own, other, ddof=ddof), rel_tol=0.005) for ddof in (0, 1)):
        return right(
            "About two flowers for fifty. The difference of the kinds sets the limit, not their "
            "number."
        )
    usual = (
        (own.var() / gap**2, "the limit for the worth",
         "That is the limit for endlessly many flowers; these are fifty."),
        (own.var() * len(other) / other.var(), "the difference of the means forgotten",
         "That would be right if both kinds had the same mean."),
        (own.std() / (other.std() / len(other) + abs(gap)), "deviations taken for variances",
         "The formula wants variances, and the difference squared."),
        (worth(other, own), "the kinds exchanged",
         "That is what versicolor is worth for virginica."),
    )  # fmt: skip
    for number, name, message in usual:
        if any(math.isclose(value, float(number) * f, rel_tol=0.005) for f in (1.0, 50 / 49)):
            return wrong(message, misconception=name)
    return wrong("Variance of the own kind over (variance of the other over 50, plus gap squared).")
