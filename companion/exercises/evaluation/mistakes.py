"""Wrong answers as learners give them, made by doing the wrong thing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from companion.exercises.evaluation.checks import Folds
from companion.splits import Split

__all__ = ["folds", "pictures", "wines"]


def pictures() -> Split:
    """Return six small pictures of three faces."""
    images, labels = torch.zeros(6, 1, 2, 2), torch.tensor([0, 1] * 3)
    ids = tuple(f"face {number // 2}/{number % 2}" for number in range(6))
    groups = tuple(name[:6] for name in ids)
    return Split("pool", images, labels, ids, ("a", "b"), groups=groups)


def folds(*judged: Sequence[int], train: Sequence[int] | None = None) -> Folds:
    """Return folds of the small pictures with given judged positions."""
    split = pictures()
    return [
        (
            split.subset([p for p in range(6) if p not in held] if train is None else train),
            split.subset(held),
        )
        for held in judged
    ]


def wines(majority: float = 0.4, *, near: float = 0.96, top: float = 1.0, num: int = 50) -> Any:
    """Return made-up accuracies of the three methods."""
    values = {"majority": majority, "nearest neighbours": near, "logistic regression": 0.98}
    answer = {name: [value] * num for name, value in values.items()}
    answer["logistic regression"] = [top, *[1.0] * (num - 1)]
    return answer
