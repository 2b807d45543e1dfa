r"""LogME: the largest evidence of the labels under a linear model of the features."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion import checks
from companion.transferability.arrays import Values, labelled

__all__ = ["log_me"]

TOLERANCE = 1e-11
"""The iteration ends where a round changes the evidence an item by less than this."""

MAX_ROUNDS = 2000
GRID_SIZE = 200

LARGEST_RATIO = 1e9
"""Of beta / alpha, in units of the smallest eigenvalue: beyond it only the limit is left."""

EXACT = 1e-12
"""A squared residual below this fraction of the squared labels is none."""


def log_me(features: Values, labels: Values) -> float:
    r"""Return the logarithm of the maximum evidence, an item, averaged over the classes.

    One column $y$ a class is 1 for its items and 0 for the others (one against the rest). With
    $n$ items, features $F$ of width $D$, weights $w \sim N(0, \alpha^{-1} I)$ and labels
    $y \sim N(F w, \beta^{-1} I)$, the weights are integrated out:

    $$\mathcal{L}(\alpha, \beta) = \tfrac n2 \log\beta + \tfrac D2 \log\alpha
    - \tfrac n2 \log 2\pi - \tfrac\beta2 \lVert F m - y \rVert^2 - \tfrac\alpha2 m^\top m
    - \tfrac12 \log\lvert A \rvert, \quad A = \alpha I + \beta F^\top F,\
    m = \beta A^{-1} F^\top y.$$

    The score is $\max \mathcal{L} / n$, found by the paper's fixed-point iteration
    $\alpha \leftarrow \gamma / m^\top m$, $\beta \leftarrow (n - \gamma) / \lVert F m - y \rVert^2$
    with $\gamma = \sum_i \beta\sigma_i / (\alpha + \beta\sigma_i)$ over the eigenvalues $\sigma_i$
    of $F^\top F$. The paper starts it at $\alpha = \beta = 1$; the evidence can have several
    maxima, and then that start may end in a lower one and depend on the unit of the features.
    Here it starts at the best point of a grid over $\beta / \alpha$ that moves with their scale.

    Args:
        features: of the target's items, by a frozen source, (items, feature_dim).
        labels: their classes, (items,), integers of at least 0, at least two items of each.

    Returns:
        The score, in nats an item: higher is better, and it can be positive. It does not change
        when all features are rotated or multiplied by one number; it does when each gets its own
        scale or when they are shifted, as the model has no intercept.

    Raises:
        CompanionError: shapes or types that do not fit, a NaN or an infinity, fewer than two
            classes, a class with fewer than two items, features that are all 0, or features that
            name a class exactly with fewer directions than items: the evidence is then unbounded.

    Example:
        >>> round(log_me([[2.0], [1.0], [-1.0], [-2.0]], [0, 0, 1, 1]), 3)
        -1.03

    Reference: you2021logme, eq. 2 and algorithm 1
    """
    values, classes = labelled("features", features, labels)
    problem = _decompose(values, np.eye(classes.max() + 1)[classes])
    return float(_maximum_evidence(problem).mean() / problem.num_items)


@dataclass(frozen=True)
class _Problem:
    """The evidence in the coordinates where it is a sum.

    Attributes:
        num_items: n.
        eigenvalues: those of F^T F that are not 0, (directions,).
        explained: squared part of each column of labels along each direction of the features,
            (classes, directions).
        unexplained: squared part that no direction reaches, (classes,).
    """

    num_items: int
    eigenvalues: NDArray[Any]
    explained: NDArray[Any]
    unexplained: NDArray[Any]


def _decompose(values: NDArray[Any], columns: NDArray[Any]) -> _Problem:
    """Turn features, (items, feature_dim), and columns of labels, (items, classes)."""
    left, singular, _ = np.linalg.svd(values, full_matrices=False)
    smallest = singular[0] * max(values.shape) * np.finfo(np.float64).eps
    rank = int((singular > smallest).sum())
    if rank == 0:
        checks.fail(
            "features",
            got="0 in all of them",
            expected="at least one that is not",
            do="look at the layer they come from: all its units may be dead",
        )
    left = left[:, :rank]
    parts = left.T @ columns
    unexplained = np.zeros(columns.shape[1])
    if rank < len(values):
        unexplained = ((columns - left @ parts) ** 2).sum(axis=0)
        _check_bounded(unexplained / columns.sum(axis=0), rank, len(values))
    return _Problem(len(values), singular[:rank] ** 2, (parts**2).T, unexplained)


def _check_bounded(residuals: NDArray[Any], rank: int, num_items: int) -> None:
    """Refuse columns that fewer directions than items fit exactly: noise 0 is infinitely good."""
    if residuals.min() < EXACT:
        checks.fail(
            "features",
            got=f"an exact linear fit of a class, by {rank} directions for {num_items} items",
            expected="a residual, as the evidence has no maximum without one",
            do="drop repeated items and features that hold the label, or add items",
        )


def _maximum_evidence(problem: _Problem) -> NDArray[Any]:
    """Return the largest evidence of each column of labels, (classes,), in nats.

    With as many directions as items the evidence may rise for ever with beta / alpha, towards a
    finite limit; the iteration would then run into numbers that are not finite.
    """
    largest = LARGEST_RATIO / problem.eigenvalues.min()
    ratio = _best_of_grid(problem)
    best = _evidence(problem, ratio)
    for _ in range(MAX_ROUNDS):
        ratio = np.minimum(_next_ratio(problem, ratio), largest)
        evidence = _evidence(problem, ratio)
        change = float(np.abs(evidence - best).max())
        best = np.maximum(best, evidence)
        if change < TOLERANCE * problem.num_items:
            break
    return best


def _best_of_grid(problem: _Problem) -> NDArray[Any]:
    """Return the best ratio beta / alpha of a grid, one a column, (classes,)."""
    eigenvalues = problem.eigenvalues
    grid = np.geomspace(1e-3 / eigenvalues.max(), 1e3 / eigenvalues.min(), GRID_SIZE)
    tried = [_evidence(problem, np.full(len(problem.explained), ratio)) for ratio in grid]
    best: NDArray[Any] = grid[np.argmax(tried, axis=0)]
    return best


def _next_ratio(problem: _Problem, ratio: NDArray[Any]) -> NDArray[Any]:
    """Return beta / alpha after one round of the fixed-point iteration, (classes,)."""
    eigenvalues, num_directions = problem.eigenvalues, len(problem.eigenvalues)
    kept = 1 / (1 + ratio[:, None] * eigenvalues)
    residual = (problem.explained * kept**2).sum(axis=1) + problem.unexplained
    weights = (problem.explained * eigenvalues * kept**2).sum(axis=1)
    num_free = problem.num_items - num_directions + kept.sum(axis=1)
    step = weights * num_free / ((eigenvalues * kept).sum(axis=1) * residual)
    following: NDArray[Any] = ratio * step
    return following


def _evidence(problem: _Problem, ratio: NDArray[Any]) -> NDArray[Any]:
    """Return the evidence at a ratio beta / alpha and the best beta for it, (classes,)."""
    num_items, scaled = problem.num_items, ratio[:, None] * problem.eigenvalues
    noise = ((problem.explained / (1 + scaled)).sum(axis=1) + problem.unexplained) / num_items
    fit = num_items * (np.log(2 * math.pi * noise) + 1)
    evidence: NDArray[Any] = -(fit + np.log1p(scaled).sum(axis=1)) / 2
    return evidence
