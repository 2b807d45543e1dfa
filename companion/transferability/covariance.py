"""H-score: how far apart the class means lie, in units of the features' own covariance."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion import checks
from companion.transferability.arrays import Values, labelled

__all__ = ["LEDOIT_WOLF", "h_score"]

LEDOIT_WOLF = "ledoit_wolf"


def h_score(features: Values, labels: Values, *, shrinkage: float | str = LEDOIT_WOLF) -> float:
    r"""Return the H-score of features, with a covariance that is shrunk to be invertible.

    $$H_\alpha = \operatorname{tr}\big(\operatorname{cov}_\alpha(f)^{-1}\,
    (1 - \alpha) \operatorname{cov}(\mathrm{E}[f \mid y])\big), \qquad
    \operatorname{cov}_\alpha(f) = (1 - \alpha) \operatorname{cov}(f)
    + \alpha\, \tfrac{\operatorname{tr} \operatorname{cov}(f)}{D}\, I.$$

    Covariances divide by the number of items; $D$ is the width of the features. $\alpha = 0$ is
    the score of Bao et al., which needs more items than features. Ledoit and Wolf's $\alpha$
    follows from the features alone. A pseudo-inverse, as in the first published code, is not
    offered: with no more items than features it gives every source the number of classes less 1.

    Args:
        features: of the target's items, by a frozen source, (items, feature_dim).
        labels: their classes, (items,), integers of at least 0, at least two items of each.
        shrinkage: `"ledoit_wolf"`, or $\alpha$ itself, in [0, 1).

    Returns:
        The score, from 0 to the number of classes less 1: higher is better. Without shrinkage it
        does not change under invertible linear maps of the features; with it, under rotations
        and one common factor only. Shifts never change it.

    Raises:
        CompanionError: shapes or types that do not fit, a NaN or an infinity, fewer than two
            classes, a class with fewer than two items, a shrinkage that is neither of the two, or
            a covariance that is singular after shrinkage.

    Example:
        >>> values = [[2.0], [1.0], [-1.0], [-2.0]]
        >>> round(h_score(values, [0, 0, 1, 1], shrinkage=0.0), 3)
        0.9

    Reference: bao2019information, eq. 4; ibrahim2022newer, for the shrinkage; ledoit2004well
    """
    values, classes = labelled("features", features, labels)
    alpha = _shrinkage(values, shrinkage)
    centred = values - values.mean(axis=0)
    shrunk = _shrunk_covariance(centred, alpha)
    shares = np.bincount(classes) / len(classes)
    means = np.eye(len(shares))[classes].T @ centred / (shares * len(classes))[:, None]
    spread = (means * np.linalg.solve(shrunk, means.T).T).sum(axis=1)
    return float((1 - alpha) * shares @ spread)


def _shrinkage(values: NDArray[Any], shrinkage: float | str) -> float:
    """Return how much of the covariance is replaced, in [0, 1]."""
    if isinstance(shrinkage, str):
        from sklearn.covariance import ledoit_wolf_shrinkage

        checks.one_of("shrinkage", shrinkage, (LEDOIT_WOLF,))
        return float(ledoit_wolf_shrinkage(values))
    alpha = checks.fraction("shrinkage", shrinkage)
    if alpha == 1:
        checks.fail(
            "shrinkage",
            got=shrinkage,
            expected="below 1, where nothing of the covariance is left",
            do=f"pass {LEDOIT_WOLF!r}, or a fraction such as 0.1",
        )
    return alpha


def _shrunk_covariance(centred: NDArray[Any], alpha: float) -> NDArray[Any]:
    """Return the shrunk covariance, (feature_dim, feature_dim), which is invertible."""
    num_items, width = centred.shape
    covariance = centred.T @ centred / num_items
    shrunk: NDArray[Any] = (1 - alpha) * covariance
    shrunk += alpha * np.trace(covariance) / width * np.eye(width)
    rank = int(np.linalg.matrix_rank(shrunk, hermitian=True))
    if rank < width:
        checks.fail(
            "covariance of the features",
            got=f"rank {rank} with {width} features of {num_items} items, shrinkage {alpha:.3g}",
            expected="full rank",
            do=f"pass shrinkage={LEDOIT_WOLF!r} or a larger fraction, or drop constant features",
        )
    return shrunk
