"""LEEP: what the classes that a source predicts say of the target's classes."""

from __future__ import annotations

import numpy as np

from companion import checks
from companion.transferability.arrays import Values, labelled

__all__ = ["leep"]

SUM_TOLERANCE = 1e-3


def leep(source_probabilities: Values, labels: Values) -> float:
    r"""Return the log expected empirical prediction of a source classifier on a target.

    With the probability $\theta(x)_z$ that the source gives to its class $z$, over $n$ items:

    $$\hat P(y, z) = \frac1n \sum_{i: y_i = y} \theta(x_i)_z, \qquad
    T = \frac1n \sum_i \log \sum_z \hat P(y_i \mid z)\, \theta(x_i)_z.$$

    Args:
        source_probabilities: of the source's own classes for the target's items, by its own head,
            (items, source classes); rows that sum to 1. Classes without any probability count
            nothing.
        labels: the items' target classes, (items,), integers of at least 0, at least two items of
            each.

    Returns:
        The score, in nats an item: at most 0, higher is better. A source that sees no difference
        between items gets minus the entropy of the labels.

    Raises:
        CompanionError: shapes or types that do not fit, a source with one class, rows that are no
            probabilities, fewer than two target classes, or one with fewer than two items.

    Example:
        >>> source = [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.2, 0.8]]
        >>> round(leep(source, [0, 0, 1, 1]), 3)
        -0.384

    Reference: nguyen2020leep, eq. 2
    """
    theta, classes = labelled("source_probabilities", source_probabilities, labels)
    if theta.shape[1] < 2:
        checks.fail(
            "source_probabilities",
            got="a source with one class",
            expected="at least two: with one, every source gets the same score",
            do="use a score of features, such as log_me",
        )
    sums = theta.sum(axis=1)
    if theta.min() < 0 or np.abs(sums - 1).max() > SUM_TOLERANCE:
        checks.fail(
            "source_probabilities",
            got=f"smallest {theta.min():.3g}, rows that sum to {sums.min():.3g}..{sums.max():.3g}",
            expected="rows of probabilities that sum to 1",
            do="apply softmax to the source's logits first",
        )
    joint = np.eye(classes.max() + 1)[classes].T @ theta
    totals = joint.sum(axis=0)
    conditional = joint / np.where(totals > 0, totals, 1.0)
    return float(np.log((conditional[classes] * theta).sum(axis=1)).mean())
