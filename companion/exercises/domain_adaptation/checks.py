"""The checks: a right answer, the usual mistakes, and what is said of each."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from companion.exercises.answers import WrongKind, as_mapping, as_number, as_numbers
from companion.exercises.framework import Feedback, right, wrong

__all__ = [
    "ACCURACY",
    "DISTANCES",
    "archive",
    "check_accuracy",
    "check_distances",
    "check_shares",
    "check_statistics",
    "table_of",
    "with_batch_norm",
]

ACCURACY = 0.66
DISTANCES = ("CORAL before", "CORAL after", "MMD before", "MMD after")
TOLERANCE = 1e-3


# --- 1: an accuracy under other class shares ---


def check_accuracy(answer: Any) -> Feedback:
    """Check the mean of two recalls, weighted with the shares of the target."""
    value = as_number(answer, what="a number")
    if abs(value - ACCURACY) < TOLERANCE:
        return right("Recalls stay, shares change: a fifth of 0.9 and four fifths of 0.6.")
    known = {
        0.75: ("the shares of the source", "That is the accuracy where both are equally frequent."),
        0.84: ("the shares exchanged", "Which of the two classes became frequent?"),
        0.675: ("four times taken for three quarters", "One against four: that is five parts."),
        66.0: ("percent", "Accuracies are fractions in this book."),
    }
    for number, (misconception, message) in known.items():
        if abs(value - number) < TOLERANCE:
            return wrong(message, misconception=misconception)
    return wrong("Which share has each class, and which part of it is found?")


# --- 2: what two distances do not see ---


def check_distances(answer: Any) -> Feedback:
    """Check that a shift of all features is seen by MMD and not by CORAL."""
    given = as_mapping(answer, DISTANCES)
    values = {
        name: as_number(value, what=f"a number for {name!r}") for name, value in given.items()
    }
    before, after = values["MMD before"], values["MMD after"]
    if min(values.values()) < 0 or min(before, values["CORAL before"]) <= 0:
        return wrong("Neither distance is below 0, and two different samples are apart in both.")
    if abs(values["CORAL before"] - before) < 1e-9:
        return wrong(
            "Both distances are the same number: was each computed by its own function?",
            misconception="one distance under two names",
        )
    if abs(values["CORAL after"] - values["CORAL before"]) > 0.01 * values["CORAL before"]:
        return wrong(
            "The CORAL loss changed. Adding a number leaves a covariance alone; multiplying does "
            "not.",
            misconception="features were not shifted but changed",
        )
    if after <= before * 1.01:
        return wrong(
            "The MMD did not grow: is the target shifted in 'MMD after', and the source not?",
            misconception="the shift is missing",
        )
    return right(
        "CORAL compares covariances and is blind to means; a head is not. MMD sees both, as its "
        "kernel sees the features themselves."
    )


# --- 3: batch statistics to repair ---


def with_batch_norm() -> tuple[nn.Sequential, Tensor]:
    """Return a small network with statistics of elsewhere, in evaluation mode, and inputs."""
    generator = torch.Generator().manual_seed(3)
    network = nn.Sequential(
        nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 4), nn.BatchNorm1d(4)
    )
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.rand(parameter.shape, generator=generator) + 0.1)
        for layer in (network[1], network[4]):
            layer.running_mean.fill_(-3.0)  # type: ignore[operator]
            layer.running_var.fill_(7.0)  # type: ignore[operator]
    return network.eval(), torch.randn(40, 6, generator=generator) + 1


def check_statistics(answer: Any) -> Feedback:
    """Check a function that returns a copy of a network with the statistics of its inputs."""
    if not callable(answer) or isinstance(answer, nn.Module):
        raise WrongKind("a function of a network and its inputs", answer)
    network, inputs = with_batch_norm()
    untouched = deepcopy(network)
    found = answer(network, inputs)
    if not isinstance(found, nn.Module) or set(found.state_dict()) != set(network.state_dict()):
        raise WrongKind("a function that returns the network", found)
    moved = _parameters_moved(found, untouched)
    if moved:
        return wrong(
            "Weights changed. New statistics need no gradient and no optimizer.",
            misconception="weights were trained",
        )
    return _judge_statistics(found, network, untouched, inputs)


def _judge_statistics(
    found: nn.Module, network: nn.Module, untouched: nn.Sequential, inputs: Tensor
) -> Feedback:
    """Say what is wrong with the statistics of a network whose weights are right."""
    if found is network or not _near(network, untouched):
        return wrong(
            "The network that was passed has changed: its owner still needs it. Copy it first.",
            misconception="the original was changed",
        )
    if _near(found, untouched):
        return wrong(
            "The statistics are the old ones: in evaluation mode a network does not gather any.",
            misconception="statistics did not change",
        )
    if _near(found, _expected(untouched, inputs, momentum=0.1)):
        return wrong(
            "The running mean moved a tenth of the way: that is the default of one batch.",
            misconception="a tenth of the way",
        )
    if not _near(found, _expected(untouched, inputs, momentum=1.0)):
        return wrong("The statistics are not those of the inputs, in each layer of the network.")
    if any(module.training for module in found.modules()):
        return wrong(
            "In training mode it normalises by each batch that it is shown: call eval().",
            misconception="left in training mode",
        )
    return right("Its statistics are those of the new pictures, and nothing else has moved.")


def _parameters_moved(found: nn.Module, untouched: nn.Module) -> bool:
    """Return whether any weight differs."""
    before = dict(untouched.named_parameters())
    return any(not torch.equal(p, before[name]) for name, p in found.named_parameters())


def _expected(network: nn.Sequential, inputs: Tensor, *, momentum: float) -> nn.Sequential:
    """Return the network after one pass in training mode."""
    network = deepcopy(network).train()
    for module in network:
        if isinstance(module, nn.BatchNorm1d):
            module.momentum = momentum
    with torch.no_grad():
        network(inputs)
    return network


def _near(first: nn.Module, second: nn.Module) -> bool:
    """Return whether two networks have the same statistics; either divisor of a variance will do.

    A variance with the divisor 40 in place of 39 is 2.5% smaller.
    """
    wanted = dict(second.named_buffers())
    return all(
        torch.allclose(buffer, wanted[name], rtol=0.03 if name.endswith("var") else 1e-3, atol=1e-3)
        for name, buffer in first.named_buffers()
        if buffer.is_floating_point()
    )


# --- 4: class shares without labels ---

KNOWN = torch.tensor([20] * 5 + [60] * 5)
NEW = torch.tensor([10, 100, 100, 10, 10, 10, 10, 10, 10, 20])
MISTAKEN = torch.tensor([0.1, 0.2] * 5)


def archive(sizes: Tensor) -> tuple[Tensor, Tensor]:
    """Return labels and predictions of items; of each class a fixed part is named one too high.

    Args:
        sizes: how many items each class has, (10,).
    """
    labels, guesses = [], []
    for label, (size, part) in enumerate(zip(sizes.tolist(), MISTAKEN.tolist(), strict=True)):
        num_wrong = round(size * part)
        labels += [label] * size
        guesses += [(label + 1) % 10] * num_wrong + [label] * (size - num_wrong)
    return torch.tensor(labels), torch.tensor(guesses)


def table_of(labels: Tensor, guesses: Tensor) -> Tensor:
    """Return the joint shares of predictions (rows) and labels (columns), (10, 10)."""
    joint = torch.zeros(10, 10, dtype=torch.double)
    one = torch.ones(len(labels), dtype=torch.double) / len(labels)
    return joint.index_put_((guesses, labels), one, accumulate=True)


def check_shares(answer: Any) -> Feedback:
    """Check a function on known and new items that differ in their class shares only."""
    if not callable(answer):
        raise WrongKind("a function of labels, predictions and new predictions", answer)
    labels, guesses = archive(KNOWN)
    _, new_guesses = archive(NEW)
    what = "a function that returns ten numbers"
    given = answer(labels.clone(), guesses.clone(), new_guesses.clone())
    found = torch.tensor(as_numbers(given, length=10, what=what), dtype=torch.double)
    if _alike(found, NEW / NEW.sum()):
        return right("These are the shares, from predictions that are wrong one time in seven.")
    counted = torch.bincount(new_guesses, minlength=10) / len(new_guesses)
    joint = table_of(labels, guesses)
    ratio = torch.linalg.solve(joint, counted.double())
    turned = torch.linalg.solve(joint.T, counted.double()) * joint.sum(dim=0)
    for wrong_one, misconception, message in (
        (counted, "predictions counted", "That is what is named, mistakes included."),
        (ratio, "ratios for shares", "These are ratios to the shares of the known items."),
        (
            ratio / ratio.sum(),
            "known items taken for even",
            "The ratios belong to the shares of the known items, which are not all alike.",
        ),
        (turned, "the table is turned", "Rows are predictions, columns are labels: look at mu."),
    ):
        if _alike(found, wrong_one):
            return wrong(message, misconception=misconception)
    return wrong("Try it on known items as if they were new: it must return their own shares.")


def _alike(first: Tensor, second: Tensor) -> bool:
    """Return whether two rows of numbers agree."""
    return torch.allclose(first, second.double(), atol=2e-3)
