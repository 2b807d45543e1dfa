"""Training on episodes: one optimizer step for a handful of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from companion import checks
from companion.fewshot.episodes import Episode

__all__ = ["train_on_episodes_"]


def train_on_episodes_(
    model: nn.Module,
    episodes: Sequence[Episode],
    loss: Callable[[nn.Module, Episode], Tensor],
    *,
    learning_rate: float = 1e-3,
    episodes_per_step: int = 1,
) -> tuple[float, ...]:
    """Take one Adam step on the mean loss of every few episodes, in their order.

    Args:
        model: what is trained, in the mode in which it comes: its mode decides about batch norm.
        episodes: each is seen once.
        loss: from model and episode to a scalar: `episode_loss`, or `maml_loss` with its options
            bound by `functools.partial`.
        learning_rate: of Adam; for MAML the outer one.
        episodes_per_step: how many losses are averaged; the last step may have fewer.

    Returns:
        The loss of each episode before the step it belongs to, in nats.

    Raises:
        CompanionError: no episodes, or options that are not positive.

    Modifies: the parameters of `model` that require a gradient (and, in train mode, what its
        forward pass updates).

    Reference: kingma2015adam, alg. 1
    """
    checks.instance("model", model, nn.Module)
    checks.non_empty("episodes", episodes, do="draw at least one")
    checks.positive_int("episodes_per_step", episodes_per_step)
    checks.finite_positive("learning_rate", learning_rate)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=learning_rate)
    losses: list[float] = []
    for start in range(0, len(episodes), episodes_per_step):
        batch = episodes[start : start + episodes_per_step]
        optimizer.zero_grad()
        for episode in batch:
            value = loss(model, episode)
            (value / len(batch)).backward()  # type: ignore[no-untyped-call]
            losses.append(float(value.detach()))
        optimizer.step()
    return tuple(losses)
