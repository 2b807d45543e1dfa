r"""L2-SP: weight decay towards the pretrained weights instead of towards zero.

With $\theta$ the backbone, $\theta_0$ its pretrained weights (the starting point) and $\phi$ the
new head, the penalty $\Omega$ is
$\frac{\alpha}{2} \lVert \theta - \theta_0 \rVert^2 + \frac{\beta}{2} \lVert \phi \rVert^2$.

Reference: li2018explicit, sec. 3
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from companion import checks
from companion.objectives.inputs import non_negative

__all__ = ["l2_sp", "starting_point"]


def starting_point(backbone: nn.Module) -> dict[str, Tensor]:
    """Return a copy of a backbone's parameters, to be taken before it is fine-tuned.

    Args:
        backbone: the pretrained backbone.

    Returns:
        The parameters by name, without gradient; batch-norm statistics are no parameters.
    """
    return {name: value.detach().clone() for name, value in backbone.named_parameters()}


def l2_sp(
    backbone: nn.Module,
    start: Mapping[str, Tensor],
    head: nn.Module,
    *,
    alpha: float,
    beta: float,
) -> Tensor:
    r"""Return the penalty $\Omega$; the optimizer's own weight decay is then to be 0.

    Args:
        backbone: the backbone that is being fine-tuned.
        start: its pretrained parameters by name, from `starting_point`.
        head: the new head, which has no pretrained weights.
        alpha: $\alpha$, how strongly the backbone is held at its starting point, at least 0.
        beta: $\beta$, how strongly the head is held at zero, at least 0.

    Returns:
        A scalar.

    Raises:
        CompanionError: a negative weight, or a starting point of another backbone.

    Reference: li2018explicit, sec. 3
    """
    alpha, beta = non_negative("alpha", alpha), non_negative("beta", beta)
    parameters = dict(backbone.named_parameters())
    _check_start(parameters, start)
    moved = [(value - start[name].to(value)).square().sum() for name, value in parameters.items()]
    size = [value.square().sum() for value in head.parameters()]
    return alpha / 2 * _total(moved) + beta / 2 * _total(size)


def _total(terms: list[Tensor]) -> Tensor:
    """Return the sum of scalars, 0 for none."""
    return torch.stack(terms).sum() if terms else torch.zeros(())


def _check_start(parameters: Mapping[str, Tensor], start: Mapping[str, Tensor]) -> None:
    """Refuse a starting point that does not have the backbone's parameters."""
    missing, surplus = sorted(parameters.keys() - start), sorted(start.keys() - parameters)
    common = parameters.keys() & start.keys()
    reshaped = sorted(name for name in common if parameters[name].shape != start[name].shape)
    if missing or surplus or reshaped:
        checks.fail(
            "starting point",
            got=f"missing {missing}, surplus {surplus}, of another shape {reshaped}",
            expected="exactly the backbone's parameters",
            do="take it with `starting_point(backbone)` before training",
        )
