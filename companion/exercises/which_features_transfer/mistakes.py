"""Wrong answers as learners give them, made by doing the wrong thing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from torch import nn

from companion.exercises.which_features_transfer.checks import COPIED, GROUPS
from companion.strategies import Adaptation, Phase

__all__ = ["cutter", "slow", "verdict"]


def slow(
    *, below: float | None = 0.1, new: float = 1.0, head: float | None = 3.0, kept: bool = True
) -> Adaptation:
    """Return a plan for a cut after `layer3`.

    Args:
        below: factor of what was carried over; `None` leaves it out.
        new: factor of `layer4`.
        head: factor of the head; `None` leaves it out.
        kept: whether pretrained weights are kept.
    """
    given = dict.fromkeys(COPIED, below) | {GROUPS[4]: new, GROUPS[5]: head}
    factors = {name: factor for name, factor in given.items() if factor is not None}
    return Adaptation("slow", (Phase("train", 1.0, factors),), is_pretrained=kept)


def cutter(
    *,
    copied: bool = True,
    frozen: bool = True,
    in_evaluation: bool = True,
    all_in_evaluation: bool = False,
    head_frozen: bool = False,
    shift: int = 0,
) -> Callable[[Any, Any, int], Any]:
    """Return a function that cuts, with one of the usual mistakes.

    Args:
        copied: whether the origin's parts are copied.
        frozen: whether parameters below the cut are frozen.
        in_evaluation: whether what lies below is in evaluation mode.
        all_in_evaluation: whether everything is.
        head_frozen: whether the head is frozen as well.
        shift: how many parts too far the cut lies.
    """

    def cut(origin: Any, fresh: Any, n: int) -> Any:
        below = origin[: n + shift]
        below = copy.deepcopy(below) if copied else below
        above = fresh[n + shift :].train(not all_in_evaluation)
        below.requires_grad_(not frozen).train(not in_evaluation)
        above[-1].requires_grad_(not head_frozen)
        return nn.Sequential(*below, *above)

    return cut


def verdict(word: str, *, gain: float = 0.1, factor: float = 1, num: int = 5) -> dict[str, Any]:
    """Return accuracies of two networks, and a verdict.

    Args:
        word: the verdict.
        gain: mean gain of the second.
        factor: what all accuracies are multiplied by.
        num: how many seeds.
    """
    base = [0.51, 0.55, 0.49, 0.53, 0.52][:num]
    noise = [0.02, -0.02, 0.01, -0.01, 0.0][:num]
    tuned = [value + gain + extra for value, extra in zip(base, noise, strict=True)]
    lists = {"base": base, "tuned": tuned}
    return {name: [factor * v for v in values] for name, values in lists.items()} | {
        "verdict": word
    }
