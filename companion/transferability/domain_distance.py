"""Proxy A-distance: how well a linear classifier tells two domains apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion import checks, runtime
from companion.transferability.arrays import Values, matrix

__all__ = ["proxy_a_distance"]


def proxy_a_distance(
    source_features: Values, target_features: Values, *, seed: int, num_folds: int = 5
) -> float:
    r"""Return $2 (1 - 2 \epsilon)$, with the held-out error $\epsilon$ of a domain classifier.

    The classifier is scikit-learn's logistic regression on standardised features. Chance must be
    one half: of the larger domain as many items as the smaller one has are drawn at random. Each
    item is judged by a classifier that was trained without it and without the rest of its fold.

    Args:
        source_features: (source items, feature_dim).
        target_features: (target items, feature_dim), by the same network; no labels.
        seed: seed of the drawing and of the folds.
        num_folds: number of folds, at least 2; each domain needs as many items.

    Returns:
        From 0, the domains look alike to a linear classifier, to 2, no item is mistaken. Errors
        above one half are chance and clipped to 0, as the theory allows each classifier its
        opposite. With few items the held-out error exceeds that of the best linear classifier,
        and the distance comes out too small.

    Raises:
        CompanionError: shapes or types that do not fit, a NaN or an infinity, different widths, or
            fewer items than folds.

    Example:
        >>> near, far = [[0.0], [1.0], [2.0]], [[7.0], [8.0], [9.0]]
        >>> proxy_a_distance(near, far, seed=0, num_folds=3)
        2.0

    Reference: bendavid2006analysis, for the name; bendavid2010theory, lemma 2
    """
    source = matrix("source_features", source_features)
    target = matrix("target_features", target_features)
    if source.shape[1] != target.shape[1]:
        checks.fail(
            "source_features and target_features",
            got=f"widths {source.shape[1]} and {target.shape[1]}",
            expected="the same features of both",
            do="compute both by one network at one layer",
        )
    size = min(len(source), len(target))
    if checks.positive_int("num_folds", num_folds) < 2 or size < num_folds:
        checks.fail(
            "num_folds",
            got=f"{num_folds} for {len(source)} source and {len(target)} target items",
            expected="at least 2, and at least as many items of each domain",
            do="add items, or pass fewer folds",
        )
    rng = np.random.default_rng(runtime.derive_seed(seed, "domains"))
    drawn = [rows[rng.choice(len(rows), size, replace=False)] for rows in (source, target)]
    error = _held_out_error(np.concatenate(drawn), np.repeat([0, 1], size), num_folds, seed)
    return max(0.0, 2 * (1 - 2 * error))


def _held_out_error(
    values: NDArray[Any], domains: NDArray[Any], num_folds: int, seed: int
) -> float:
    """Return the fraction of items whose domain is mistaken."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = StratifiedKFold(
        num_folds, shuffle=True, random_state=runtime.derive_seed(seed, "folds") % 2**32
    )
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    guesses = cross_val_predict(classifier, values, domains, cv=folds)
    return float((guesses != domains).mean())
