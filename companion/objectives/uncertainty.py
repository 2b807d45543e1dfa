r"""Uncertainty weighting: each task learns how noisy it is, and weighs accordingly.

With one noise variance $\sigma_t^2$ a task, a regression with the squared error $\mathcal{L}_t$
adds $\mathcal{L}_t / 2 \sigma_t^2 + \log \sigma_t$ to the negative log-likelihood of all tasks (up
to constants), and a classification with the cross-entropy $\mathcal{L}_t$ adds about
$\mathcal{L}_t / \sigma_t^2 + \log \sigma_t$. What is learned is
$\log \sigma_t^2$, which may take any value. For losses that stay as they are it settles at
$\sigma_t^2 = \mathcal{L}_t$ (regression) or $2 \mathcal{L}_t$ (classification): the weight is then
$1 / 2 \mathcal{L}_t$ for both.

Reference: kendall2018multi, eq. 7 and 10
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from companion import checks
from companion.objectives.inputs import task_losses

__all__ = ["UncertaintyWeighting"]

_FACTORS = {"regression": 0.5, "classification": 1.0}


class UncertaintyWeighting(nn.Module):
    r"""A weighted sum of task losses whose weights are learned with the network.

    Its parameters must be given to the optimizer, without weight decay.

    Args:
        kinds: `"regression"` (squared error) or `"classification"` (cross-entropy), one a task.

    Attributes:
        log_variances: $\log \sigma_t^2$, (num_tasks,), 0 at the start.

    Raises:
        CompanionError: no task, or an unknown kind.

    Reference: kendall2018multi, eq. 7 and 10
    """

    factors: Tensor

    def __init__(self, kinds: Sequence[str]):
        super().__init__()
        checks.non_empty("kinds", kinds, do="name the kind of each task")
        factors = [_FACTORS[checks.one_of("kind", kind, tuple(_FACTORS))] for kind in kinds]
        self.register_buffer("factors", torch.tensor(factors))
        self.log_variances = nn.Parameter(torch.zeros(len(kinds)))

    def forward(self, losses: Sequence[Tensor] | Tensor) -> Tensor:
        """Return the weighted sum, with the logarithms that keep the weights from vanishing.

        Args:
            losses: one scalar a task, in the order of the kinds.

        Returns:
            A scalar; it may fall below 0.

        Raises:
            CompanionError: not one scalar a task.
        """
        scalars = task_losses(losses, num_tasks=len(self.log_variances))
        return (self._weights() * torch.stack(scalars) + self.log_variances / 2).sum()

    def weights(self) -> Tensor:
        """Return by how much each loss is multiplied now, (num_tasks,), without gradient."""
        return self._weights().detach()

    def _weights(self) -> Tensor:
        """Return the same with gradient."""
        return self.factors * torch.exp(-self.log_variances)
