"""What changes when the positive items are rarer, or more frequent, than where one trained.

Only the share of the classes shifts here, not how the items of a class look: label shift.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from companion import checks

__all__ = ["PredictiveValues", "estimate_priors", "predictive_values", "shift_priors"]

_ITERATIONS = 1000
_CONVERGED = 1e-8


@dataclass(frozen=True)
class PredictiveValues:
    """What a decision is worth to the one who gets it.

    Attributes:
        positive: the probability that an item called positive is; NaN where none is called.
        negative: the probability that an item called negative is; NaN where none is called.
    """

    positive: float
    negative: float


def predictive_values(
    *, sensitivity: float, specificity: float, prevalence: float
) -> PredictiveValues:
    """Return the predictive values at another prevalence, by Bayes' rule.

    Args:
        sensitivity: fraction of the positive items that is found.
        specificity: fraction of the negative items that is left alone.
        prevalence: fraction of the items that is positive, where the values are to hold.

    Raises:
        CompanionError: one of the three is not a fraction.

    Example:
        >>> predictive_values(sensitivity=0.9, specificity=0.9, prevalence=0.1).positive
        0.5

    Reference: altman1994diagnostic
    """
    checks.fraction("prevalence", prevalence)
    found = checks.fraction("sensitivity", sensitivity) * prevalence
    kept = checks.fraction("specificity", specificity) * (1 - prevalence)
    missed, false = (1 - sensitivity) * prevalence, (1 - specificity) * (1 - prevalence)
    return PredictiveValues(_share(found, false), _share(kept, missed))


def _share(part: float, other: float) -> float:
    """Return a part's share of two; NaN of nothing. Rounded errors of the sum are cut off."""
    return round(part / (part + other), 15) if part + other > 0 else float("nan")


def shift_priors(probabilities: Tensor, *, old: Tensor, new: Tensor) -> Tensor:
    r"""Return the probabilities of the classes where the classes have other shares.

    $p'(c \mid x) \propto p(c \mid x)\, \pi'_c / \pi_c$: exact, if the items of a class look the
    same in both places and the probabilities were right in the first.

    Args:
        probabilities: of calibrated predictions, rows that sum to 1, (items, classes).
        old: shares of the classes that the probabilities were made for, (classes,), above 0.
        new: shares of the classes where they are to hold, (classes,).

    Returns:
        Probabilities, (items, classes), float64.

    Raises:
        CompanionError: shapes that do not fit, or rows that are no probabilities.

    Reference: saerens2002adjusting, eq. 2.4; elkan2001foundations, theorem 2 (two classes)
    """
    _check(probabilities, old=old, new=new)
    weights = new.double() / old.double()
    weighted = probabilities.double() * weights
    if not bool((weighted.sum(dim=1) > 0).all()):
        checks.fail(
            "probabilities",
            got="an item that no class with a new share allows",
            expected="some probability on such a class",
            do="give each class a share above 0",
        )
    return weighted / weighted.sum(dim=1, keepdim=True)


def estimate_priors(probabilities: Tensor, *, old: Tensor) -> Tensor:
    """Return the shares of the classes among unlabelled items, by expectation maximisation.

    Args:
        probabilities: of calibrated predictions on the new items, made for the old shares, rows
            that sum to 1, (items, classes).
        old: shares of the classes that the probabilities were made for, (classes,), above 0.

    Returns:
        Shares of the classes, (classes,), float64.

    Raises:
        CompanionError: shapes that do not fit, or rows that are no probabilities.

    Reference: saerens2002adjusting, eq. 2.9
    """
    _check(probabilities, old=old)
    shares = old.double()
    for _ in range(_ITERATIONS):
        last, shares = shares, shift_priors(probabilities, old=old, new=shares).mean(dim=0)
        if float((shares - last).abs().max()) < _CONVERGED:
            break
    return shares


def _check(probabilities: Tensor, **shares: Tensor) -> None:
    """Refuse rows that are no probabilities, and shares of classes that do not fit them."""
    checks.instance("probabilities", probabilities, Tensor)
    for name, share in shares.items():
        checks.instance(f"shares of the classes, {name}", share, Tensor)
    if probabilities.dim() != 2 or len(probabilities) == 0 or not _is_simplex(probabilities):
        checks.fail(
            "probabilities",
            got=f"shape {tuple(probabilities.shape)}, or rows that do not sum to 1",
            expected="(items, classes), each row at least 0 and of sum 1",
            do="apply softmax to logits first",
        )
    for name, share in shares.items():
        is_short = name == "old" and not bool((share > 0).all())
        if share.shape != probabilities.shape[1:] or not _is_simplex(share[None]) or is_short:
            checks.fail(
                f"shares of the classes, {name}",
                got=share.tolist(),
                expected=f"{probabilities.shape[1]} fractions of sum 1, the old ones above 0",
                do="count the classes: counts / counts.sum()",
            )


def _is_simplex(rows: Tensor) -> bool:
    """Return whether all rows are at least 0 and sum to 1."""
    sums = rows.double().sum(dim=1)
    return bool((rows >= 0).all()) and bool(((sums - 1).abs() < 1e-3).all())
