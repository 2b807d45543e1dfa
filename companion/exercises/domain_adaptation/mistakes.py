"""Wrong answers as learners give them, made by doing the wrong thing."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from companion.exercises.domain_adaptation.checks import table_of
from companion.objectives import coral_loss, mmd_squared

__all__ = ["distances", "shares", "statistics"]


def distances(
    *, shift: float = 5.0, factor: float = 1.0, both: bool = False, coral_only: bool = False
) -> dict[str, Tensor]:
    """Return both distances before and after a change of the target.

    Args:
        shift: what is added to each target feature.
        factor: what each target feature is multiplied by.
        both: whether the source is changed as well.
        coral_only: whether the CORAL loss stands under both names.
    """
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(40, 6, generator=generator)
    target = 2 * torch.randn(40, 6, generator=generator)
    changed = factor * target + shift
    beside = source + shift if both else source
    second = coral_loss if coral_only else mmd_squared
    return {
        "CORAL before": coral_loss(source, target),
        "CORAL after": coral_loss(beside, changed),
        "MMD before": second(source, target),
        "MMD after": second(beside, changed),
    }


def statistics(
    *, copied: bool = True, gathered: bool = True, momentum: float = 1.0, mode: str = "eval",
    trained: bool = False,
) -> Callable[[Any, Any], Any]:  # fmt: skip
    """Return a function that renews batch statistics, with one of the usual mistakes.

    Args:
        copied: whether it works on a copy.
        gathered: whether the pictures pass in training mode.
        momentum: how far the running statistics move.
        mode: in which mode the network is handed over.
        trained: whether an optimizer step comes along.
    """

    def renewed(network: Any, inputs: Tensor) -> Any:
        network = deepcopy(network) if copied else network
        network.train(gathered)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.momentum = momentum
        loss = network(inputs).square().mean()
        if trained:
            loss.backward()
            torch.optim.SGD(network.parameters(), lr=0.1).step()
        return network.train(mode == "train")

    return renewed


def shares(
    *, solved: bool = True, times_known: bool = True, normalised: bool = False, turned: bool = False
) -> Callable[[Any, Any, Any], Any]:
    """Return an estimate of class shares, with one of the usual mistakes.

    Args:
        solved: whether the table is used at all; without it predictions are counted.
        times_known: whether ratios are multiplied by the shares of the known items.
        normalised: whether ratios are divided by their sum.
        turned: whether rows and columns of the table are exchanged.
    """

    def estimated(labels: Tensor, guesses: Tensor, new_guesses: Tensor) -> Tensor:
        counted = torch.bincount(new_guesses, minlength=10).double() / len(new_guesses)
        if not solved:
            return counted
        joint = table_of(labels, guesses)
        ratio: Tensor = torch.linalg.solve(joint.T if turned else joint, counted)
        ratio = ratio * joint.sum(dim=0) if times_known else ratio
        return ratio / ratio.sum() if normalised else ratio

    return estimated
