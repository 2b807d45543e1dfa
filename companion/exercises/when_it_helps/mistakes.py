"""Wrong answers as learners give them, made by doing the wrong thing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from companion.transferability import log_me

__all__ = ["changes", "choice", "distance"]


def changes(
    *, factor: float = 255, shift: float = 10, own_units: bool = True, num_items: int = 60
) -> dict[str, float]:
    """Return LogME of changed features, one of the changes gone wrong.

    Args:
        factor: what all features are multiplied by.
        shift: what is added to them.
        own_units: whether each feature is standardised by itself, or all by one number.
        num_items: how many items the score with the factor sees.
    """
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    raw = (rng.standard_normal((60, 6)) + rng.standard_normal((3, 6))[labels]) * np.arange(1, 7)
    standardised = (raw - raw.mean(axis=0)) / raw.std(axis=0) if own_units else raw / raw.std()
    return {
        "raw": log_me(raw, labels),
        "times 255": log_me(factor * raw[:num_items], labels[:num_items]),
        "plus 10": log_me(raw + shift, labels),
        "standardised": log_me(standardised, labels),
    }


def distance(
    *, held_out: bool = True, balanced: bool = True, clipped: bool = True, scale: float = 2.0
) -> Callable[[Any, Any], float]:
    """Return a proxy A-distance with one of the usual mistakes.

    Args:
        held_out: whether items are judged that the classifier was not trained on.
        balanced: whether both domains count the same number of items.
        clipped: whether negative values become 0.
        scale: the factor before the bracket.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    def measured(source: Any, target: Any) -> float:
        sizes = [min(len(source), len(target))] * 2 if balanced else [len(source), len(target)]
        rows = np.concatenate([source[: sizes[0]], target[: sizes[1]]])
        domains = np.repeat([0, 1], sizes)
        order = np.random.default_rng(0).permutation(len(rows))
        rows, domains = rows[order], domains[order]
        classifier = LogisticRegression(max_iter=1000)
        if held_out:
            guesses = cross_val_predict(classifier, rows, domains, cv=5)
        else:
            guesses = classifier.fit(rows, domains).predict(rows)
        found = float(scale * (1 - 2 * (guesses != domains).mean()))
        return max(0.0, found) if clipped else found

    return measured


def choice(chosen: str, *, factor: float = 1, same: bool = False) -> dict[str, Any]:
    """Return a choice among four sources.

    Args:
        chosen: its name; "a" has the highest score, "c" the highest accuracy.
        factor: what accuracies are multiplied by.
        same: whether the accuracies are handed in as scores.
    """
    accuracies = {"a": 0.6 * factor, "b": 0.5 * factor, "c": 0.7 * factor, "d": 0.4 * factor}
    scores = accuracies if same else {"a": -0.1, "b": -0.3, "c": -0.2, "d": -0.4}
    return {"scores": scores, "accuracies": accuracies, "chosen": chosen}
