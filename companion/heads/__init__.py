"""Heads: features in, logits out; each knows its loss and how to read its logits.

A head is where the task lives. The training loop asks it for one loss an item and the evaluation
for predictions, so that neither knows whether it deals with classes, tokens, characters or boxes.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from companion import checks, runtime
from companion.backbones import Backbone
from companion.heads.base import Head
from companion.heads.detection import DetectionHead, OneStageHead, TwoStageHead, detection_head
from companion.heads.linear import (
    CTCHead,
    LinearHead,
    SpanHead,
    TokenHead,
    masked_mean,
    pool_positions,
)
from companion.splits import TASKS, Split

__all__ = [
    "HEADS",
    "CTCHead",
    "DetectionHead",
    "Head",
    "LinearHead",
    "Model",
    "OneStageHead",
    "SpanHead",
    "TokenHead",
    "TwoStageHead",
    "build_head",
    "head_for",
    "masked_mean",
    "pool_positions",
]

HEADS: dict[str, Callable[[int, int], Head]] = {
    kind.task: kind for kind in (LinearHead, TokenHead, SpanHead, CTCHead)
}
"""The heads of one layer, by task; `head_for` knows those of detectors too."""


def head_for(task: str, backbone: Backbone, num_classes: int) -> Head:
    """Return a head that stands on a backbone, with random weights from the global generator.

    A detection head brings what its backbone's pretraining taught it of finding things; only its
    layers that name classes are new.

    Args:
        task: one of `companion.splits.TASKS`.
        backbone: what it stands on.
        num_classes: how many labels there are.

    Raises:
        CompanionError: an unknown task, or detection on a backbone that finds no boxes.
    """
    checks.one_of("task", task, TASKS)
    if task == "classification":
        return LinearHead(backbone.feature_dim, num_classes, pooling=backbone.pooling)
    if task in HEADS:
        return HEADS[task](backbone.feature_dim, num_classes)
    if backbone.detector is None:
        checks.fail(
            "backbone",
            got=f"{backbone.name!r}, which makes one feature vector of an image",
            expected="a backbone with feature maps, as the task is detection",
            do='load one that was made for it, such as "spotnet"',
        )
    return detection_head(backbone.detector, backbone.feature_dim, num_classes)


def build_head(backbone: Backbone, split: Split, *, seed: int) -> Head:
    """Return the head for a split's task, with seeded random weights.

    Args:
        backbone: what it stands on.
        split: names the task and the classes.
        seed: seed of the run.

    Raises:
        CompanionError: no head of the task stands on this backbone.
    """
    with runtime.fork_seed(seed, "head"):
        return head_for(split.task, backbone, len(split.classes))


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
