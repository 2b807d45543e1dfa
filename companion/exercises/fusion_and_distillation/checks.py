"""The checks: a right answer, the usual mistakes, and what is said of each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from companion.exercises.answers import WrongKind, as_number, as_tensor
from companion.exercises.framework import Feedback, first_of, right, wrong
from companion.exercises.misconceptions import percent
from companion.objectives import soft_target_loss

__all__ = [
    "AMBIGUITY",
    "ERRORS",
    "check_first_level",
    "check_geometric_mean",
    "check_repaired_loss",
    "check_score_of_the_mean",
]

ERRORS = (0.30, 0.20, 0.25, 0.35, 0.15)
AMBIGUITY = 0.06
LOWEST = {"tree": 0.85, "linear": 0.93}
BY_HEART = 0.995
TOLERANCE = 1e-4


# --- 1: the Brier score of an ensemble ---


def check_score_of_the_mean(answer: Any) -> Feedback:
    """Check the Brier score of the mean of five members."""
    value = as_number(answer, what="a Brier score")
    average, best = sum(ERRORS) / len(ERRORS), min(ERRORS)
    if math.isclose(value, average - AMBIGUITY, abs_tol=0.002):
        return right(
            "The mean error of the members less the ambiguity: better than the average member, "
            "and here not better than the best."
        )
    slips = {
        "the mean of the members taken for the member of means": average,
        "ambiguity added": average + AMBIGUITY,
        "the best member taken for the ensemble": best,
        "ambiguity taken from the best member": best - AMBIGUITY,
        "ambiguity divided by the number of members": average - AMBIGUITY / len(ERRORS),
    }
    said = "Look at the sign and at both terms of the decomposition."
    for misconception, slip in slips.items():
        if math.isclose(value, slip, abs_tol=0.002):
            return wrong(said, misconception=misconception)
    return percent(value) or wrong("Which two terms does the decomposition have?")


# --- 2: the geometric mean ---


def _probabilities(seed: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return two tables of probabilities, (6, 4) each."""
    generator = torch.Generator().manual_seed(seed)
    first, second = (2 * torch.randn(2, 6, 4, generator=generator)).to(dtype).softmax(dim=2)
    return first, second


def check_geometric_mean(answer: Any) -> Feedback:
    """Check a function that returns the normalised geometric mean of probabilities."""
    function = _callable(answer, "a function of two tables of probabilities")
    first, second = _probabilities(0, torch.float64)
    found = _call(function, (first, second), (first.numpy(), second.numpy()), shape=(6, 4))
    root = (first * second).sqrt()
    wanted = root / root.sum(dim=1, keepdim=True)
    if _same(found, wanted):
        return right("Each row is the normalised root of the product: a class needs both members.")
    product = first * second
    slips = (
        ("still the arithmetic mean", (first + second) / 2, "This is the mean of before."),
        ("rows do not sum to one", root, "The roots are right, but rows must sum to one."),
        (
            "product without the root",
            product / product.sum(dim=1, keepdim=True),
            "A product counts each member twice as strongly as a mean would: take the root.",
        ),
        ("normalised over the items", root / root.sum(dim=0), "Rows are items: sum over classes."),
    )
    for misconception, slip, message in slips:
        if _same(found, slip):
            return wrong(message, misconception=misconception)
    if bool((found < 0).any()):
        return wrong(
            "Probabilities are not negative: come back from the logarithms.",
            misconception="logarithms for probabilities",
        )
    return wrong("This is not the normalised root of the product of the two.")


# --- 3: a soft loss to repair ---


def _logits() -> tuple[Tensor, Tensor]:
    """Return logits of a student and of a teacher, (5, 4) each."""
    generator = torch.Generator().manual_seed(1)
    student, teacher = 2 * torch.randn(2, 5, 4, generator=generator)
    return student, teacher


def _gradients(
    function: Callable[..., Any], temperature: float
) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients of a loss by student and teacher."""
    student, teacher = (logits.clone().requires_grad_() for logits in _logits())
    loss = function(student, teacher, temperature)
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        raise WrongKind("a function that returns a scalar tensor", loss)
    if not loss.requires_grad:
        return None, None
    by_student, by_teacher = torch.autograd.grad(
        loss.reshape(()), (student, teacher), allow_unused=True
    )
    return by_student, by_teacher


def check_repaired_loss(answer: Any) -> Feedback:
    """Check a soft loss by its gradients, so that a constant in it does not matter."""
    function = _callable(answer, "a function of two tables of logits and a temperature")
    found = {tau: _gradients(function, tau) for tau in (1.0, 3.0)}
    if any(taught is not None and bool((taught != 0).any()) for _, taught in found.values()):
        return wrong(
            "The teacher's logits receive a gradient: detach them.",
            misconception="the teacher is trained too",
        )
    student = {tau: pair[0] for tau, pair in found.items()}
    if any(pulled is None or not bool((pulled != 0).any()) for pulled in student.values()):
        return wrong(
            "The student's logits receive no gradient, so it learns nothing.",
            misconception="the student gets no gradient",
        )
    wanted = {tau: _gradients(_reference, tau)[0] for tau in found}
    if all(_same(student[tau], wanted[tau]) for tau in found):
        return right("Same temperature on both sides, teacher cut off, factor in front.")
    return _slip(student, wanted)


def _reference(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return the loss as it should be."""
    return soft_target_loss(student, teacher, temperature=temperature)


def _turned(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return the divergence the wrong way round."""
    log_q, log_p = ((s / temperature).log_softmax(1) for s in (teacher.detach(), student))
    return temperature**2 * (log_p.exp() * (log_p - log_q)).sum(dim=1).mean()


def _slip(student: dict[float, Tensor | None], wanted: dict[float, Tensor | None]) -> Feedback:
    """Say in what the gradient of the student is wrong."""
    if all(_same(_times(student[tau], 1 / len(_logits()[0])), wanted[tau]) for tau in student):
        return wrong(
            "This is the sum over the items: return the mean.", misconception="sum for mean"
        )
    for power in (1, 2):
        if all(_same(_times(student[tau], tau**power), wanted[tau]) for tau in student):
            return wrong(
                "At temperature one it is right, at higher ones the gradient is too small.",
                misconception="the gradient shrinks with the temperature",
            )
    if all(_same(student[tau], _gradients(_turned, tau)[0]) for tau in student):
        return wrong(
            "The teacher's probabilities stand in front of the logarithms, not the student's.",
            misconception="divergence the wrong way round",
        )
    if _same(student[1.0], wanted[1.0]):
        return wrong(
            "At temperature one it is right, at others not: are both sides divided by it?",
            misconception="the student is asked at another temperature",
        )
    return wrong("Its gradient is not that of the soft loss, even at temperature one.")


def _times(value: Tensor | None, factor: float) -> Tensor | None:
    """Return a tensor times a factor, or nothing."""
    return None if value is None else factor * value


# --- 4: first-level answers for a table ---


def check_first_level(answer: Any) -> Feedback:
    """Check out-of-fold probabilities of a tree and a linear classifier."""
    from sklearn.datasets import load_breast_cancer

    labels = torch.as_tensor(load_breast_cancer().target)
    what = "an array with one row a tumour and two columns: tree, linear"
    found = as_tensor(answer, shape=(len(labels), 2), what=what).detach().double()
    if not bool(((found >= 0) & (found <= 1)).all()):
        return wrong("Probabilities lie between 0 and 1.")
    is_right = ((found > 0.5).long() == labels[:, None]).double().mean(dim=0)
    tree, linear = is_right.tolist()
    slip = first_of(_first_level_slips(found, labels, tree, linear))
    if slip is not None:
        return slip
    if tree < LOWEST["tree"] or linear < LOWEST["linear"]:
        return wrong(
            f"The columns name {tree:.3f} and {linear:.3f} of the tumours right, which is less "
            "than such classifiers do on tumours that they have not seen."
        )
    return right(
        f"Nobody answered for a tumour that it was trained on: {tree:.3f} and {linear:.3f} are "
        "right, and the second level may learn from that."
    )


def _first_level_slips(
    found: Tensor, labels: Tensor, tree: float, linear: float
) -> list[Feedback | None]:
    """Return what is recognised in a first-level table."""
    is_certain = ((found == 0) | (found == 1)).double().mean(dim=0)
    turned = ((found < 0.5).long() == labels[:, None]).double().mean(dim=0)
    share = float(found.round().mean(dim=0)[1])
    has_share = abs(share - float(labels.double().mean())) < 0.05
    heart = wrong(
        "The tree is right on practically every tumour: it answers for those that it was trained "
        "on.",
        misconception="answers learned by heart",
    )
    other = wrong(
        "Nearly all answers are turned round: column 1 of predict_proba is class 1.",
        misconception="probabilities of the other class",
    )
    classes = wrong(
        "These are classes, not probabilities: ask for predict_proba.",
        misconception="classes for probabilities",
    )
    swapped = wrong(
        "The tree, which knows only zeros and ones, belongs into the first column.",
        misconception="columns swapped",
    )
    order = wrong(
        "The answers have the right shares, but they do not belong to their rows: were they "
        "collected fold by fold?",
        misconception="rows in another order",
    )
    return [
        heart if max(tree, float(_accuracy(found[:, 1], labels))) > BY_HEART else None,
        other if float(turned[1]) > LOWEST["linear"] else None,
        swapped if float(is_certain[0]) < 0.5 < float(is_certain[1]) else None,
        classes if float(is_certain[1]) == 1 and linear > LOWEST["linear"] else None,
        order if linear < 0.8 and has_share and _is_graded(found[:, 1]) else None,
    ]


def _accuracy(column: Tensor, labels: Tensor) -> Tensor:
    """Return the accuracy of one column."""
    return ((column > 0.5).long() == labels).double().mean()


def _is_graded(column: Tensor) -> bool:
    """Return whether a column has many different values."""
    return len(set(column.tolist())) > 50


# --- shared ---


def _callable(answer: Any, what: str) -> Callable[..., Any]:
    """Return a function, or refuse the answer."""
    if not callable(answer):
        raise WrongKind(what, answer)
    function: Callable[..., Any] = answer
    return function


def _call(
    function: Callable[..., Any], tensors: tuple[Any, ...], arrays: tuple[Any, ...],
    *, shape: tuple[int, int],
) -> Tensor:  # fmt: skip
    """Return what a function makes of tensors, or of arrays where it knows only those."""
    try:
        value = function(*tensors)
    except (TypeError, ValueError, AttributeError, RuntimeError):
        value = function(*arrays)
    return as_tensor(value, shape=shape, what=f"a function that returns a table {shape}").double()


def _same(found: Tensor | None, wanted: Tensor | None) -> bool:
    """Return whether two tensors agree."""
    if found is None or wanted is None:
        return False
    return torch.allclose(found.double(), wanted.double(), rtol=1e-3, atol=TOLERANCE)
