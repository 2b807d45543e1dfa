"""The checks: a right answer, the usual mistakes, and what is said of each."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from companion import runtime, strategies
from companion.checks import CompanionError
from companion.exercises.answers import (
    WrongKind,
    as_number,
)
from companion.exercises.framework import Feedback, first_of, right, wrong
from companion.exercises.verdicts import judged_verdict

__all__ = [
    "COPIED",
    "GROUPS",
    "NUM_TRAINED",
    "check_cut",
    "check_plan",
    "check_trained",
    "check_verdict",
    "small_network",
]

# --- 1: what is trained above a cut ---

KERNELS, SHORTCUT, NORMS, HEAD = (9 * 64 + 9 * 128) * 128, 64 * 128, 3 * 2 * 128, 128 * 10 + 10
NUM_TRAINED = KERNELS + SHORTCUT + NORMS + HEAD
BELOW = 77_360
"""Parameters of the letters network below the cut."""
BUFFERS = 3 * (2 * 128 + 1)


def check_trained(answer: Any) -> Feedback:
    """Check the number of parameters above the cut."""
    value = as_number(answer, what="a number of parameters")
    known = {
        NUM_TRAINED - HEAD: ("the head was forgotten", "The head is new and is trained as well."),
        NUM_TRAINED - 10: ("the head's biases were forgotten", "The head has one bias a class."),
        NUM_TRAINED - NORMS: ("batch norm was forgotten", "A scale and a shift for each channel."),
        NUM_TRAINED - SHORTCUT: ("the shortcut was forgotten", "There are three convolutions."),
        NUM_TRAINED + BUFFERS: ("buffers were counted", "No gradient reaches the statistics."),
        NUM_TRAINED + NORMS: ("buffers were counted", "No gradient reaches the statistics."),
        NUM_TRAINED + BELOW: ("the frozen layers were counted", "Below the cut nothing learns."),
    }
    if value == NUM_TRAINED:
        return right("Three quarters of the network lie above this cut: the last layers are wide.")
    if int(value) == value and int(value) in known:
        misconception, message = known[int(value)]
        return wrong(message, misconception=misconception)
    return wrong("Add up the three convolutions, the three batch norms and the head.")


# --- 2: slow instead of frozen ---

GROUPS = ("stem", "layer1", "layer2", "layer3", "layer4", "head")
COPIED = GROUPS[:4]


def check_plan(answer: Any) -> Feedback:
    """Check a plan that trains copied layers at a tenth of the rate."""
    if not isinstance(answer, strategies.Adaptation):
        raise WrongKind("an Adaptation", answer)
    if len(answer.phases) != 1:
        return wrong("One phase does it, with factors for all six groups.")
    factors = dict(answer.phases[0].factors)
    if "head" not in factors:
        return wrong(
            "The head is new and random: it must be in the plan.",
            misconception="the head was frozen too",
        )
    try:
        strategies.plan(answer, GROUPS)
    except CompanionError as error:
        return wrong(f"This plan cannot be carried out: {error}")
    return _judged_factors(factors) or _judged_start(answer)


def _judged_factors(factors: dict[str, float]) -> Feedback | None:
    """Return what is wrong with factors that a plan may have."""
    missing = [name for name in GROUPS if name not in factors]
    if missing:
        return wrong(
            f"{', '.join(missing)}: not named, so frozen. Slow is a small factor.",
            misconception="a group that is not named is frozen",
        )
    ratios = {name: factors[name] / factors["layer4"] for name in GROUPS}
    if all(abs(ratios[name] - 1) < 1e-9 for name in COPIED):
        return wrong(
            "What was carried over takes the same rate as layer4, which is new.",
            misconception="one rate for old and new layers",
        )
    if all(ratios[name] > 1 for name in COPIED):
        return wrong(
            "What was carried over moves faster than what is new.",
            misconception="the wrong way round",
        )
    if any(abs(ratios[name] - 0.1) > 1e-6 for name in COPIED):
        return wrong("Each group that was carried over takes a tenth of the rate of layer4.")
    if ratios["head"] < 1 - 1e-9:
        return wrong(
            "The head is the newest part of all: at least the rate of layer4.",
            misconception="the head is slowed down",
        )
    return None


def _judged_start(answer: strategies.Adaptation) -> Feedback:
    """Return whether the plan keeps what was carried over."""
    if not answer.is_pretrained:
        return wrong(
            "With is_pretrained=False all weights start at random: nothing is carried over.",
            misconception="nothing is carried over",
        )
    return right("Nothing is frozen, and what was carried over changes little in a few steps.")


# --- 3: a cut to repair ---


def small_network(seed: int) -> nn.Sequential:
    """Return three parts and a head, with a batch norm in each of the first two."""
    with runtime.fork_seed(seed, "cut to repair"):
        parts = [nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6)), nn.Linear(6, 6)]
        parts = [parts[0], nn.Sequential(parts[1], nn.BatchNorm1d(6)), nn.Linear(6, 6)]
        return nn.Sequential(*parts, nn.Linear(6, 3))


def _state(network: nn.Module) -> dict[str, Tensor]:
    """Return a copy of all parameters and buffers."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def _moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> list[str]:
    """Return the names of the tensors that differ."""
    return [name for name, tensor in before.items() if not torch.equal(tensor, after[name])]


def _train_(network: nn.Module) -> None:
    """Take three steps with whatever can be trained, in whatever mode it is."""
    trained = [p for p in network.parameters() if p.requires_grad]
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.SGD(trained, lr=0.5)
    for _ in range(3):
        inputs = torch.randn(16, 4, generator=generator)
        labels = torch.randint(3, (16,), generator=generator)
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(inputs), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def check_cut(answer: Any) -> Feedback:
    """Check a function that cuts, by what a training moves."""
    if not callable(answer) or isinstance(answer, type | nn.Module):
        raise WrongKind("a function of origin, fresh network and cut", answer)
    return _judged_cut(answer, 2) or _judged_cut(answer, 1) or right(
        "Below the cut no bit moves, above it all learns, and the origin is as it was."
    )  # fmt: skip


def _judged_cut(function: Any, cut: int) -> Feedback | None:
    """Return what is wrong with a cut after so many parts, or `None`."""
    origin, fresh = small_network(0).eval(), small_network(1)
    first, new = _state(origin), _state(copy.deepcopy(fresh))
    network = function(origin, fresh, cut)
    if not isinstance(network, nn.Module) or set(network.state_dict()) != set(first):
        raise WrongKind("a function that returns a network of the same parts", network)
    start = _state(network)
    below = [name for name in first if int(name.split(".")[0]) < cut]
    above = [name for name in first if name not in below]
    taken = [name for name in below if not torch.equal(start[name], first[name])]
    kept = [name for name in above if not torch.equal(start[name], new[name])]
    if taken or kept:
        return wrong(
            f"{(taken + kept)[0]} comes from the wrong network: below the cut from the origin, "
            "above it from the fresh one.",
            misconception="cut in the wrong place",
        )
    return first_of(_findings(network, origin, first, start, above))


def _findings(
    network: nn.Module,
    origin: nn.Module,
    first: dict[str, Tensor],
    start: dict[str, Tensor],
    above: list[str],
) -> Any:
    """Yield what is wrong before, and what a training shows."""
    parameters = dict(network.named_parameters())
    learning = {name for name, parameter in parameters.items() if parameter.requires_grad}
    wanted = {name for name in parameters if name in above}
    if {name for name in wanted if name.startswith("3.")} - learning:
        yield wrong("The new head cannot learn.", misconception="the head was frozen too")
    if wanted - learning:
        yield wrong("A fresh part above the cut is frozen.", misconception="too much is frozen")
    if learning - wanted:
        yield wrong("A parameter below the cut still gets a gradient.", misconception="not frozen")
    if not all(parameter.requires_grad for parameter in origin.parameters()):
        yield wrong(
            "The origin's own parts were taken and frozen: copy them.",
            misconception="the origin was changed",
        )
    _train_(network)
    moved = _moved(start, _state(network))
    if _moved(first, _state(origin)):
        yield wrong("Training changed the origin.", misconception="the origin was changed")
    if [name for name in moved if name not in above]:
        yield wrong(
            "Batch-norm statistics below the cut moved, though no gradient reached them.",
            misconception="batch-norm statistics moved",
        )
    if [name for name in above if name not in moved and "running" in name]:
        yield wrong(
            "Batch norm above the cut is in evaluation mode: its statistics stay at their start.",
            misconception="all parts in evaluation mode",
        )


# --- 4: a verdict on new data ---


def check_verdict(answer: Any) -> Feedback:
    """Check two lists of accuracies, and a verdict that follows from them."""
    return judged_verdict(
        answer,
        first="base",
        second="tuned",
        too_few="Five seeds each, the same for both.",
        judged_twice="one network judged twice",
    )
