"""Wrong answers as learners give them, made by doing the wrong thing."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from companion.exercises.multi_task.checks import LOSS, RADIAN, sepal_widths, worth

__all__ = ["flowers", "surgery", "units"]


def units(*, half: float = 0.5, power: int = 2) -> dict[str, float]:
    """Return the weights in degrees and radians, with one of the usual mistakes."""
    return {"degrees": half / LOSS, "radians": half / (LOSS * RADIAN**power)}


def surgery(
    *, only_conflicts: bool = True, in_turn: bool = False, own_length: bool = False
) -> Callable[[Tensor], Tensor]:
    """Return gradient surgery on two gradients, with one of the usual mistakes."""

    def operate(gradients: Tensor) -> Tensor:
        rows = list(gradients)
        for i, j in ((0, 1), (1, 0)):
            other = rows[j] if in_turn else gradients[j]
            product = gradients[i] @ other
            if product < 0 or not only_conflicts:
                length = gradients[i] if own_length else other
                rows[i] = gradients[i] - product / (length @ length) * other
        return torch.stack(rows)

    return operate


def flowers(mistake: str) -> float:
    """Return what virginica is worth for versicolor, with one of the usual mistakes."""
    own, other = sepal_widths()
    gap = own.mean() - other.mean()
    found = {
        "limit": own.var() / gap**2,
        "same mean": own.var() * len(other) / other.var(),
        "deviations": own.std() / (other.std() / len(other) + abs(gap)),
        "exchanged": worth(other, own),
    }
    return float(found[mistake])
