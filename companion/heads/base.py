"""What every head is: features in, logits out, one loss an item, predictions."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

__all__ = ["Head"]


class Head(nn.Module):
    """The part of a model that knows the task.

    Args:
        num_classes: how many labels there are.

    Attributes:
        task: the task of the splits that it is for.
    """

    task: ClassVar[str]

    def __init__(self, num_classes: int):
        super().__init__()
        self.num_classes = num_classes

    def pool(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the part of its work that holds no weights, so that it can be kept for reuse.

        Args:
            features: (batch, feature_dim) or (batch, positions, feature_dim).
            mask: which positions are real, (batch, positions), bool; `None` if all are.
        """
        return features

    def losses(
        self,
        logits: Tensor,
        labels: Tensor,
        mask: Tensor | None = None,
        *,
        label_smoothing: float = 0.0,
    ) -> Tensor:
        """Return one loss an item, (batch,)."""
        raise NotImplementedError

    def predict(self, logits: Tensor, mask: Tensor | None = None) -> Tensor | list[Tensor]:
        """Return predicted labels: a tensor (batch,), or one tensor an item."""
        raise NotImplementedError
