"""The checks: a right answer, the usual mistakes, and what is said of each."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from companion import evaluation
from companion.datasets import LOADERS
from companion.exercises.answers import WrongKind, as_mapping, as_number, as_tensor
from companion.exercises.framework import Feedback, right, wrong
from companion.objectives import ArcFace

__all__ = [
    "MARGINS",
    "NUM_CLASSES",
    "WIDTH",
    "check_door",
    "check_embedded_digits",
    "check_margin_alone",
    "check_repaired_report",
    "little_pairs",
]

RATE, NUM_ENROLLED = 1 / 1000, 1000
MARGINS = (0.0, 0.5)
WIDTH, NUM_CLASSES = 16, 10
ENOUGH = 0.2
LIMITS = (0.02, 0.1)


# --- 1: a thousand at the door ---


def check_door(answer: Any) -> Feedback:
    """Check the probability that a stranger is taken for one of a thousand."""
    number = as_number(answer, what="a probability")
    wanted = 1 - (1 - RATE) ** NUM_ENROLLED
    if abs(number - wanted) < 0.01:
        return right(
            "About 1 - 1/e. A rate that is harmless for one telephone opens a door more often than "
            "not."
        )
    if abs(number - RATE) < 1e-6:
        return wrong(
            "That is the rate of one comparison; the stranger is compared with everybody.",
            misconception="the gallery's size left out",
        )
    if abs(number - RATE * NUM_ENROLLED) < 1e-6:
        return wrong(
            "Adding the rates counts a stranger twice who is taken for two people.",
            misconception="rates added up",
        )
    if abs(number - (1 - wanted)) < 0.01:
        return wrong("With that probability it stays shut.", misconception="the other event")
    return wrong("With what probability are all comparisons right?")


# --- 2: a margin and nothing else ---


def check_margin_alone(answer: Any) -> Feedback:
    """Check that two ArcFace losses differ in their margin alone."""
    given = as_mapping(answer, MARGINS, what="a dictionary with the keys 0.0 and 0.5")
    without, with_margin = (given[margin] for margin in MARGINS)
    if not all(isinstance(loss, ArcFace) for loss in (without, with_margin)):
        raise WrongKind("two objectives.ArcFace", answer)
    if tuple(loss.margin for loss in (without, with_margin)) != MARGINS:
        return wrong(
            "Under 0 belongs the loss with the margin 0, under 0.5 the one with 0.5.",
            misconception="the margin was not changed",
        )
    if any(loss.weight.shape != (NUM_CLASSES, WIDTH) for loss in (without, with_margin)):
        return wrong(
            "Asked for were embeddings of 16 numbers and 10 classes.", misconception="other sizes"
        )
    if without.scale != with_margin.scale:
        return wrong(
            "The scale differs, too: it alone changes the loss.",
            misconception="the scale was changed too",
        )
    if not torch.equal(without.weight.detach(), with_margin.weight.detach()):
        return wrong(
            "Their class vectors were drawn anew: a difference would be one of the draw as much "
            "as of the margin. Seed both alike.",
            misconception="other class vectors",
        )
    return right("Same vectors, same scale: what differs now is the margin's doing.")


# --- 3: a report to repair ---


@functools.cache
def little_pairs(name: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return similarities and kinds of val or test pairs, always the same; test is harder."""
    generator = np.random.default_rng({"val": 0, "test": 1}[name])
    is_genuine = generator.random(3000) < 0.7
    shift = 0.0 if name == "val" else 0.3
    return generator.normal(1.5 * is_genuine + shift, 1.0), is_genuine


Report = Callable[..., tuple[float, float]]


def check_repaired_report(answer: Any) -> Feedback:
    """Check a function that chooses a threshold on val and reports rates on test."""
    if not callable(answer):
        raise WrongKind("a function of similarities and kinds of val and test, and a limit", answer)
    found = [_rates(answer, limit) for limit in LIMITS]
    if _alike(found, [_right_rates("val", limit) for limit in LIMITS]):
        return right("Val chose, test judged, and the FAR is a share of impostor pairs.")
    if _alike(found, [_right_rates("val", limit)[::-1] for limit in LIMITS]):
        return wrong(
            "These are the right rates: FAR first, then TAR.",
            misconception="the rates in another order",
        )
    if _alike(found, [_right_rates("test", limit) for limit in LIMITS]):
        return wrong(
            "The threshold was chosen on the pairs that it is judged on.",
            misconception="chosen on test data",
        )
    if _alike(found, [_rates_of_all(limit) for limit in LIMITS]):
        return wrong(
            "The limit speaks of impostor pairs; the genuine ones push a quantile of all up.",
            misconception="quantile of all pairs",
        )
    if all(far > 1 - limit - 0.2 for (far, _), limit in zip(found, LIMITS, strict=True)):
        return wrong(
            "Nearly every impostor is accepted: accept pairs that are at least as *alike* as the "
            "threshold.",
            misconception="the unlike are accepted",
        )
    return wrong("These are not the rates of test at a threshold that val chose.")


def _rates(report: Report, limit: float) -> tuple[float, float]:
    """Return what a function reports on the little pairs."""
    try:
        far, tar = report(*little_pairs("val"), *little_pairs("test"), limit)
    except (TypeError, ValueError) as error:
        raise WrongKind(
            "a function of five arguments that returns FAR and TAR", str(error)
        ) from error
    return as_number(far, what="a FAR"), as_number(tar, what="a TAR")


def _right_rates(chosen_on: str, limit: float) -> tuple[float, float]:
    """Return FAR and TAR on test at a threshold that one of the parts chose."""
    threshold = evaluation.threshold_at(limit, *little_pairs(chosen_on))
    found = evaluation.rates_at(threshold, *little_pairs("test"))
    return found.false_accept_rate, found.true_accept_rate


def _rates_of_all(limit: float) -> tuple[float, float]:
    """Return FAR and TAR on test at a quantile of all val pairs."""
    threshold = float(np.quantile(little_pairs("val")[0], 1 - limit))
    found = evaluation.rates_at(threshold, *little_pairs("test"))
    return found.false_accept_rate, found.true_accept_rate


def _alike(found: list[tuple[float, float]], wanted: list[tuple[float, float]]) -> bool:
    """Return whether rates agree; a quantile between two pairs may move one pair over."""
    return bool(np.allclose(found, wanted, atol=0.011))


# --- 4: digits as identities ---


def check_embedded_digits(answer: Any) -> Feedback:
    """Check embeddings of handwritten digits by the equal error rate of drawn pairs."""
    labels = torch.as_tensor(LOADERS["digits"](None).pool.labels)
    what = "a tensor of 1000 rows, one a picture of the pool"
    if not isinstance(answer, Tensor) or answer.dim() != 2 or len(answer) != len(labels):
        raise WrongKind(what, answer)
    embeddings = as_tensor(answer, shape=tuple(answer.shape), what=what).detach().cpu().float()
    rate = _equal_error_rate(embeddings, labels)
    if rate < 1e-9:
        return wrong(
            "No error at all: these embeddings know the labels.",
            misconception="labels of the target used",
        )
    if rate < ENOUGH:
        return right(
            f"Equal error rate {rate:.3f}, with no digit seen in training and no label used."
        )
    if _equal_error_rate(embeddings.flip(0), labels) < ENOUGH:
        return wrong(
            f"Equal error rate {rate:.3f}; from the last row to the first they would pass.",
            misconception="rows in another order",
        )
    return wrong(
        f"Equal error rate {rate:.3f}. Do the weights come from letters, or from chance?",
        misconception="untrained network",
    )


def _equal_error_rate(embeddings: Tensor, labels: Tensor) -> float:
    """Return the equal error rate on pairs that are always the same."""
    pairs = evaluation.make_pairs(labels, num_pairs=2000, seed=0)
    similarities = evaluation.cosine_of_pairs(embeddings, pairs)
    return evaluation.equal_error_rate(similarities, pairs.is_genuine.numpy()).rate
