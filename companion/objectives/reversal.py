r"""Gradient reversal: the backbone learns what the domain classifier cannot use.

The layer passes features on unchanged and multiplies their gradient by $-\lambda$ on the way back.
Behind it a classifier learns to tell the domains apart; before it the backbone, which gets the
opposite gradient, learns to make that impossible.

Reference: ganin2016domain, sec. 4.2
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from companion import checks
from companion.objectives.inputs import non_negative

__all__ = ["GradientReversal", "reversal_strength", "reverse_gradient"]


class _Reverse(torch.autograd.Function):
    """The identity forwards, a negative multiple backwards."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, strength: float) -> Tensor:
        """Return the inputs."""
        ctx.strength = strength
        return inputs.view_as(inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Return the reversed gradient of the inputs, and none of the strength."""
        return -ctx.strength * gradients[0], None


def reverse_gradient(inputs: Tensor, *, strength: float = 1.0) -> Tensor:
    r"""Return the inputs unchanged; their gradient is multiplied by $-\lambda$.

    Args:
        inputs: a tensor of any shape, such as features (batch, feature_dim).
        strength: $\lambda$, at least 0; at 0 nothing flows back.

    Raises:
        CompanionError: a strength that is negative or not finite.

    Reference: ganin2016domain, sec. 4.2
    """
    reversed_: Tensor = _Reverse.apply(inputs, non_negative("strength", strength))
    return reversed_


class GradientReversal(nn.Module):
    r"""The same as a layer, to stand first in a domain classifier.

    Args:
        strength: $\lambda$ at the start, at least 0.

    Attributes:
        strength: $\lambda$; set it before a step, for instance to what `reversal_strength` says.

    Raises:
        CompanionError: a strength that is negative or not finite.

    Reference: ganin2016domain, sec. 4.2
    """

    def __init__(self, *, strength: float = 1.0):
        super().__init__()
        self.strength = non_negative("strength", strength)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the inputs unchanged, of any shape."""
        return reverse_gradient(inputs, strength=self.strength)

    def extra_repr(self) -> str:
        """Return what is shown between the brackets when the layer is printed."""
        return f"strength={self.strength}"


def reversal_strength(progress: float, *, gamma: float = 10.0) -> float:
    r"""Return the strength $\lambda_p = 2 / (1 + e^{-\gamma p}) - 1$, which grows from 0.

    At the start the domain classifier knows nothing, and its reversed gradient would be noise.

    Args:
        progress: $p$, the share of the training steps that are done, from 0 to 1.
        gamma: $\gamma$, how soon the strength comes near 1, above 0.

    Raises:
        CompanionError: a progress outside [0, 1], or a gamma that is not above 0.

    Example:
        >>> [round(reversal_strength(p), 3) for p in (0.0, 0.1, 0.5, 1.0)]
        [0.0, 0.462, 0.987, 1.0]

    Reference: ganin2016domain, sec. 5.2
    """
    progress = checks.fraction("progress", progress)
    gamma = checks.finite_positive("gamma", gamma)
    return math.tanh(gamma * progress / 2)
