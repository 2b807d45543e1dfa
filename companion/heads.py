"""Heads: features in, logits out; each knows its loss and how to read its logits.

A head is where the task lives. The training loop asks it for one loss an item and the evaluation
for predictions, so that neither knows whether it deals with classes, tokens or characters.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion import checks, runtime
from companion.backbones import Backbone
from companion.batches import IGNORE_LABEL
from companion.splits import Split

__all__ = ["HEADS", "CTCHead", "Head", "LinearHead", "Model", "TokenHead", "build_head"]


class Head(nn.Module):
    """A linear layer on features; the subclasses say what its logits mean.

    Args:
        feature_dim: size of a feature vector.
        num_classes: how many labels there are.
    """

    def __init__(self, feature_dim: int, num_classes: int):
        super().__init__()
        self.num_classes = num_classes
        self.linear = nn.Linear(feature_dim, num_classes)

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


class LinearHead(Head):
    """One class an item; features of several positions are averaged over the real ones."""

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return logits.

        Args:
            features: (batch, feature_dim) or (batch, positions, feature_dim).
            mask: which positions are real, (batch, positions), bool.

        Returns:
            Logits, (batch, num_classes).
        """
        if features.dim() == 3:
            features = masked_mean(features, mask)
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
        """Return the cross-entropy of each item, (batch,), in nats."""
        return F.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)

    def predict(self, logits: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the most probable class of each item, (batch,), int64."""
        return logits.argmax(dim=-1)


class TokenHead(Head):
    """One class a token; tokens labelled `IGNORE_LABEL` count nowhere."""

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


class CTCHead(Head):
    """A sequence of labels an item, shorter than the features; class 0 is the blank.

    Reference: graves2006connectionist, eq. 8
    """

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


HEADS: dict[str, Callable[[int, int], Head]] = {
    "classification": LinearHead,
    "tokens": TokenHead,
    "ctc": CTCHead,
}


def build_head(feature_dim: int, split: Split, *, seed: int) -> Head:
    """Return the head for a split's task, with seeded random weights.

    Args:
        feature_dim: size of the backbone's features.
        split: names the task and the classes.
        seed: seed of the run.

    Raises:
        CompanionError: no head is known for the task.
    """
    checks.one_of("task", split.task, tuple(HEADS))
    with runtime.fork_seed(seed, "head"):
        return HEADS[split.task](feature_dim, len(split.classes))


class Model(nn.Module):
    """A backbone and a head.

    Args:
        backbone: makes features.
        head: makes logits of them.
        classes: names of the labels, in the order of the logits.
    """

    def __init__(self, backbone: Backbone, head: Head, classes: tuple[str, ...]):
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.classes = classes

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return logits.

        Args:
            inputs: prepared inputs, (batch, ...).
            mask: True where an input is real; `None` if all are.

        Returns:
            Logits, (batch, num_classes) or (batch, positions, num_classes).
        """
        features = self.backbone(inputs, mask)
        logits: Tensor = self.head(features, self.backbone.feature_mask(mask))
        return logits
