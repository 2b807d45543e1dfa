r"""Gradient conflict: when what helps one task harms another, and PCGrad against it.

Two tasks conflict where the cosine of their gradients in the shared parameters is negative. PCGrad
takes from each gradient the part that points against another one,
$g_i \leftarrow g_i - (g_i \cdot g_j / \lVert g_j \rVert^2)\, g_j$ where $g_i \cdot g_j < 0$, one
$j$ after the other, in random order; the others enter as they were at first.

Reference: yu2020gradient, def. 1 and alg. 1
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion import checks, runtime
from companion.objectives.inputs import float_matrix, task_losses

__all__ = ["assign_gradients_", "gradient_cosines", "project_conflicts", "task_gradients"]


def task_gradients(losses: Sequence[Tensor] | Tensor, parameters: Iterable[nn.Parameter]) -> Tensor:
    """Return the gradient of each task's loss in the parameters that the tasks share.

    Args:
        losses: one scalar a task; their graphs are kept for a further backward pass.
        parameters: the shared parameters, such as those of the backbone; frozen ones are refused.

    Returns:
        (num_tasks, num_parameters): the parameters one after the other, flattened; 0 where a loss
        does not depend on them.

    Raises:
        CompanionError: no losses, one that is no scalar, no parameters, or a frozen parameter.
    """
    shared = list(parameters)
    checks.non_empty("parameters", shared, do="pass those that the tasks share")
    num_frozen = sum(not parameter.requires_grad for parameter in shared)
    if num_frozen:
        checks.fail(
            "parameters",
            got=f"{num_frozen} frozen of {len(shared)}",
            expected="parameters that are trained",
            do="leave the frozen ones out",
        )
    rows = []
    for loss in task_losses(losses):
        found = torch.autograd.grad(loss, shared, retain_graph=True, materialize_grads=True)
        rows.append(torch.cat([gradient.flatten() for gradient in found]))
    return torch.stack(rows)


def gradient_cosines(gradients: Tensor) -> Tensor:
    """Return the cosine of each pair of task gradients.

    Args:
        gradients: (num_tasks, num_parameters).

    Returns:
        (num_tasks, num_tasks), from -1 (opposed) to 1 (the same way); 0 for a gradient of 0.

    Raises:
        CompanionError: no such gradients.

    Reference: yu2020gradient, def. 1
    """
    directions = F.normalize(_checked(gradients), dim=1)
    return directions @ directions.T


def project_conflicts(gradients: Tensor, *, seed: int, step: int = 0) -> Tensor:
    """Return the task gradients without what conflicts; their sum is the update of PCGrad.

    Args:
        gradients: (num_tasks, num_parameters).
        seed: seed of the run.
        step: which optimizer step it is; the orders are a function of (seed, step) alone. With
            two tasks there is only one order.

    Returns:
        (num_tasks, num_parameters).

    Raises:
        CompanionError: no such gradients, or a negative seed or step.

    Reference: yu2020gradient, alg. 1
    """
    gradients = _checked(gradients)
    step = checks.non_negative_int("step", step)
    generator = torch.Generator().manual_seed(runtime.derive_seed(seed, "pcgrad", step))
    rows = []
    for task, gradient in enumerate(gradients):
        for other in torch.randperm(len(gradients), generator=generator).tolist():
            if other != task:
                gradient = _without_conflict(gradient, gradients[other])
        rows.append(gradient)
    return torch.stack(rows)


def assign_gradients_(parameters: Iterable[nn.Parameter], gradient: Tensor) -> None:
    """Give one flat gradient back to the parameters, for the optimizer's next step.

    Args:
        parameters: the parameters, in the order of `task_gradients`.
        gradient: (num_parameters,).

    Raises:
        CompanionError: a gradient of another length.

    Modifies: `grad` of the parameters.
    """
    shared = list(parameters)
    sizes = [parameter.numel() for parameter in shared]
    if gradient.shape != (sum(sizes),):
        checks.fail(
            "gradient",
            got=f"shape {tuple(gradient.shape)}",
            expected=f"({sum(sizes)},), one number a parameter",
            do="sum the rows of `project_conflicts`",
        )
    for parameter, part in zip(shared, torch.split(gradient.detach(), sizes), strict=True):
        parameter.grad = part.reshape(parameter.shape).to(parameter).clone()


def _without_conflict(gradient: Tensor, other: Tensor) -> Tensor:
    """Return a gradient without its part against another one."""
    product = gradient @ other
    return gradient - product / (other @ other) * other if float(product) < 0 else gradient


def _checked(gradients: Tensor) -> Tensor:
    """Return gradients, one row a task."""
    return float_matrix(
        "gradients",
        gradients,
        expected="(num_tasks, num_parameters)",
        do="take them from `task_gradients`",
    )
