"""Heads of one linear layer: for classes, for tokens, and for sequences by CTC."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion import checks
from companion.batches import IGNORE_LABEL
from companion.heads.base import Head

__all__ = [
    "POOLINGS",
    "CTCHead",
    "LinearHead",
    "SpanHead",
    "TokenHead",
    "masked_mean",
    "pool_positions",
]

POOLINGS = ("mean", "cls")
"""One vector of a sequence: the mean over its real positions, or the first position."""


class _OneLayer(Head):
    """A linear layer on features; the subclasses say what its logits mean.

    Args:
        feature_dim: size of a feature vector.
        num_classes: how many labels there are.
    """

    def __init__(self, feature_dim: int, num_classes: int):
        super().__init__(num_classes)
        self.linear = nn.Linear(feature_dim, num_classes)


class LinearHead(_OneLayer):
    """One class an item; the features of several positions become one vector.

    Args:
        feature_dim: size of a feature vector.
        num_classes: how many labels there are.
        pooling: `"mean"` of the real positions, or `"cls"`, the first one.
    """

    task = "classification"

    def __init__(self, feature_dim: int, num_classes: int, *, pooling: str = "mean"):
        super().__init__(feature_dim, num_classes)
        self.pooling = checks.one_of("pooling", pooling, POOLINGS)

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return logits.

        Args:
            features: (batch, feature_dim) or (batch, positions, feature_dim).
            mask: which positions are real, (batch, positions), bool.

        Returns:
            Logits, (batch, num_classes).
        """
        logits: Tensor = self.linear(self.pool(features, mask))
        return logits

    def pool(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return one vector an item, (batch, feature_dim)."""
        return pool_positions(features, mask, pooling=self.pooling)

    def losses(
        self,
        logits: Tensor,
        labels: Tensor,
        mask: Tensor | None = None,
        *,
        label_smoothing: float = 0.0,
    ) -> Tensor:
        """Return the cross-entropy of each item, (batch,), in nats."""
        return F.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)

    def predict(self, logits: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the most probable class of each item, (batch,), int64."""
        return logits.argmax(dim=-1)


class TokenHead(_OneLayer):
    """One class a token; tokens labelled `IGNORE_LABEL` count nowhere."""

    task = "tokens"

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return logits, (batch, positions, num_classes), of features (batch, positions, dim)."""
        logits: Tensor = self.linear(features)
        return logits

    def losses(
        self,
        logits: Tensor,
        labels: Tensor,
        mask: Tensor | None = None,
        *,
        label_smoothing: float = 0.0,
    ) -> Tensor:
        """Return the mean cross-entropy over the labelled tokens of each item, (batch,)."""
        losses = F.cross_entropy(
            logits.transpose(1, 2),
            labels,
            reduction="none",
            ignore_index=IGNORE_LABEL,
            label_smoothing=label_smoothing,
        )
        counts = (labels != IGNORE_LABEL).sum(dim=1).clamp(min=1)
        return losses.sum(dim=1) / counts

    def predict(self, logits: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        """Return the most probable class of each real token, one tensor (tokens,) an item."""
        best = logits.argmax(dim=-1)
        if mask is None:
            return list(best)
        return [row[real] for row, real in zip(best, mask, strict=True)]


class SpanHead(TokenHead):
    """One class of the BIO scheme a token: what is judged are the spans that they spell."""

    task = "spans"


class CTCHead(_OneLayer):
    """A sequence of labels an item, shorter than the features; class 0 is the blank.

    Reference: graves2006connectionist, eq. 8
    """

    task = "ctc"

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return logits, (batch, frames, num_classes), of features (batch, frames, dim)."""
        logits: Tensor = self.linear(features)
        return logits

    def losses(
        self,
        logits: Tensor,
        labels: Tensor,
        mask: Tensor | None = None,
        *,
        label_smoothing: float = 0.0,
    ) -> Tensor:
        """Return the negative log-likelihood of each label sequence, (batch,), in nats a label.

        Args:
            logits: (batch, frames, num_classes).
            labels: (batch, labels), padded with `IGNORE_LABEL`.
            mask: which frames are real, (batch, frames), bool.
            label_smoothing: must be 0: it is not defined for sequences.

        Raises:
            CompanionError: `label_smoothing` is not 0.
        """
        if label_smoothing:
            checks.fail(
                "label_smoothing", got=label_smoothing, expected="0 for CTC", do="leave it out"
            )
        log_probabilities = F.log_softmax(logits.float(), dim=-1).transpose(0, 1)
        num_labels = (labels != IGNORE_LABEL).sum(dim=1)
        losses = F.ctc_loss(
            log_probabilities,
            labels.clamp(min=0),
            _num_frames(logits, mask),
            num_labels,
            reduction="none",
        )
        return losses / num_labels.clamp(min=1)

    def predict(self, logits: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        """Return greedy label sequences: the best class of each frame, repeats and blanks out."""
        best = logits.argmax(dim=-1)
        lengths = _num_frames(logits, mask).tolist()
        rows = [row[:n].unique_consecutive() for row, n in zip(best, lengths, strict=True)]
        return [row[row != 0] for row in rows]


def _num_frames(logits: Tensor, mask: Tensor | None) -> Tensor:
    """Return how many frames of each item are real, (batch,), int64."""
    if mask is None:
        return torch.full((len(logits),), logits.shape[1], dtype=torch.long)
    return mask.sum(dim=1)


def pool_positions(features: Tensor, mask: Tensor | None, *, pooling: str) -> Tensor:
    """Return one vector an item.

    Args:
        features: (batch, feature_dim) or (batch, positions, feature_dim).
        mask: which positions are real, (batch, positions), bool; `None` if all are.
        pooling: one of `POOLINGS`.

    Returns:
        (batch, feature_dim).
    """
    if features.dim() == 2:
        return features
    return features[:, 0] if pooling == "cls" else masked_mean(features, mask)


def masked_mean(features: Tensor, mask: Tensor | None) -> Tensor:
    """Return the mean over the real positions.

    Args:
        features: (batch, positions, feature_dim).
        mask: which positions are real, (batch, positions), bool; `None` if all are.

    Returns:
        (batch, feature_dim); zeros for an item without a real position.
    """
    if mask is None:
        return features.mean(dim=1)
    weights = mask.to(features.dtype)[:, :, None]
    return (features * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)
