"""Training on a loss of one's own: what `training.fit` does in a step, for any scalar.

`fit` knows labelled items, a backbone and a head. Two datasets at once, a teacher, pairs of views
or several tasks need another loss; `minimise_` takes it as a function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from companion import checks
from companion.objectives.inputs import non_negative
from companion.training.phase_loop import clip_gradients_
from companion.training.recipe import learning_rate_factor

__all__ = ["minimise_"]


def minimise_(
    loss: Callable[[int], Tensor],
    parameters: Iterable[Tensor],
    *,
    num_steps: int,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-2,
    warmup_fraction: float = 0.1,
    max_grad_norm: float | None = 1.0,
) -> list[float]:
    """Take AdamW steps on a loss, with warm-up, a cosine and gradient clipping as in `fit`.

    What draws at random inside the loss is the caller's to seed (`runtime.fork_seed`), and so are
    train and evaluation mode and the device. Every parameter decays alike.

    Args:
        loss: from the step, counted from 0, to a scalar with a gradient.
        parameters: what is trained; those that require no gradient are left out.
        num_steps: optimizer steps.
        learning_rate: the highest, reached after the warm-up.
        weight_decay: AdamW's decay, at least 0.
        warmup_fraction: part of the steps in which the learning rate rises from 0, before it falls
            to 0 along a cosine.
        max_grad_norm: length to which longer gradients are cut; `None` cuts nothing.

    Returns:
        The loss before each step.

    Raises:
        CompanionError: options out of range, nothing to train, a loss that is no scalar, has no
            gradient or does not depend on the parameters, or a loss or gradient that is not
            finite; the step is named.

    Modifies: `parameters`.

    Reference: loshchilov2019decoupled, algorithm 2
    """
    num_steps = checks.positive_int("num_steps", num_steps)
    rate = checks.finite_positive("learning_rate", learning_rate)
    decay = non_negative("weight_decay", weight_decay)
    checks.fraction("warmup_fraction", warmup_fraction)
    if max_grad_norm is not None:
        checks.finite_positive("max_grad_norm", max_grad_norm)
    trained = _trained(parameters)
    fused = all(parameter.device.type in ("cpu", "cuda") for parameter in trained)
    optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=decay, fused=fused or None)
    losses: list[float] = []
    for step in range(num_steps):
        factor = learning_rate_factor(step, num_steps, warmup_fraction=warmup_fraction)
        optimizer.param_groups[0]["lr"] = rate * factor
        value = loss(step)
        losses.append(_check_loss(value, step))
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        _check_gradients(trained, step)
        if max_grad_norm is not None:
            clip_gradients_(trained, max_grad_norm)
        optimizer.step()
    optimizer.zero_grad()
    return losses


def _trained(parameters: Iterable[Tensor]) -> list[Tensor]:
    """Return the parameters that require a gradient, each once: a tied weight comes twice."""
    given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    for parameter in given:
        checks.instance("parameters", parameter, Tensor)
    trained = list({id(p): p for p in given if p.requires_grad}.values())
    checks.non_empty("parameters", trained, do="pass those that require a gradient")
    if not all(parameter.is_leaf for parameter in trained):
        checks.fail(
            "parameters",
            got="a tensor that was computed",
            expected="parameters themselves",
            do="pass module.parameters()",
        )
    return trained


def _check_gradients(trained: list[Tensor], step: int) -> None:
    """Stop before a step that would change nothing, or make the parameters not finite."""
    gradients = [parameter.grad for parameter in trained if parameter.grad is not None]
    if not gradients:
        checks.fail(
            f"loss at step {step}",
            got="a loss that none of the parameters takes part in",
            expected="a scalar tensor that depends on the parameters",
            do="pass the parameters that the loss uses",
        )
    if not math.isfinite(torch.stack(torch._foreach_norm(gradients)).sum().item()):
        checks.fail(
            f"gradient at step {step}",
            got="a value that is not finite",
            expected="finite numbers",
            do="look for a root or a logarithm at 0, or lower the learning rate",
        )


def _check_loss(value: object, step: int) -> float:
    """Return the number of a loss that can be trained on."""
    if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
        got = (
            f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
        )
        if isinstance(value, Tensor) and value.numel() == 1:
            got = "a scalar without a gradient"
        checks.fail(
            f"loss at step {step}",
            got=got,
            expected="a scalar tensor that depends on the parameters",
            do="return the mean over the batch, computed with gradients on",
        )
    number = float(value.detach())
    if not math.isfinite(number):
        checks.fail(
            f"loss at step {step}",
            got=number,
            expected="a finite number",
            do="lower the learning rate, or look for values that are not finite in the batch",
        )
    return number
