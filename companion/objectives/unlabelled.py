r"""What unlabelled items can teach: consistency, confident pseudo-labels, low entropy.

All three trust that classes are apart where data is sparse. Where a domain shift breaks that, a
confident mistake is learned like a label.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from companion import checks
from companion.objectives.inputs import logit_matrix, logit_pair

__all__ = [
    "PseudoLabels",
    "entropy_loss",
    "pseudo_label_loss",
    "pseudo_labels",
    "view_consistency",
]


@dataclass(frozen=True)
class PseudoLabels:
    """Predictions that may serve as labels.

    Attributes:
        labels: the most probable class of each item, (batch,), int64.
        confidence: its probability, (batch,), as a fraction.
        is_kept: whether the confidence reaches the threshold, (batch,), bool.
    """

    labels: Tensor
    confidence: Tensor
    is_kept: Tensor

    @property
    def share_kept(self) -> float:
        """How many of the items are kept, as a fraction."""
        return float(self.is_kept.double().mean())


def pseudo_labels(logits: Tensor, *, threshold: float = 0.95) -> PseudoLabels:
    r"""Return the predicted classes, and which of them are confident enough to be learned from.

    Args:
        logits: (batch, num_classes); no gradient flows into them.
        threshold: $\tau$, the probability that is enough, as a fraction.

    Raises:
        CompanionError: no such logits, or a threshold outside [0, 1].

    Reference: sohn2020fixmatch, eq. 2
    """
    threshold = checks.fraction("threshold", threshold)
    probabilities = F.softmax(logit_matrix("logits", logits).detach(), dim=-1)
    confidence, labels = probabilities.max(dim=-1)
    return PseudoLabels(labels, confidence, confidence >= threshold)


def pseudo_label_loss(
    weak_logits: Tensor, strong_logits: Tensor, *, threshold: float = 0.95
) -> tuple[Tensor, float]:
    r"""Return the FixMatch loss of unlabelled items: learn under strong what is sure under weak.

    With $p$ the probabilities under weak and $p'$ those under strong augmentation, and the
    pseudo-label $\hat y_i = \arg\max_c p_{ic}$, the loss is
    $\frac{1}{B} \sum_i \mathbb{1}[\max_c p_{ic} \ge \tau]\, (-\log p'_{i \hat y_i})$.
    Items below the threshold count in $B$: the loss weighs more as the model becomes sure.

    Args:
        weak_logits: (batch, num_classes), of weakly augmented items; no gradient flows into them.
        strong_logits: (batch, num_classes), of the same items, strongly augmented.
        threshold: $\tau$, the probability that is enough, as a fraction.

    Returns:
        The loss, a scalar in nats, 0 where no item is kept, and the share of items that are kept,
        as a fraction.

    Raises:
        CompanionError: logits that do not fit together, or a threshold outside [0, 1].

    Reference: sohn2020fixmatch, eq. 4
    """
    logit_pair(("weak logits", "strong logits"), weak_logits, strong_logits)
    found = pseudo_labels(weak_logits, threshold=threshold)
    losses = F.cross_entropy(strong_logits, found.labels, reduction="none")
    return (losses * found.is_kept).mean(), found.share_kept


def view_consistency(first_logits: Tensor, second_logits: Tensor) -> Tensor:
    """Return the mean squared difference of the probabilities of two views.

    Args:
        first_logits: (batch, num_classes), of one view of the items.
        second_logits: (batch, num_classes), of another. Gradients flow into both: detach one to
            make it a target.

    Returns:
        The mean over items and classes, a scalar, from 0 to 2 / num_classes.

    Raises:
        CompanionError: logits that do not fit together.

    Reference: laine2017temporal, alg. 1; sohn2020fixmatch, eq. 1
    """
    logit_pair(("first logits", "second logits"), first_logits, second_logits)
    gap = F.softmax(first_logits, dim=-1) - F.softmax(second_logits, dim=-1)
    return gap.square().mean()


def entropy_loss(logits: Tensor) -> Tensor:
    r"""Return the mean entropy of the predictions, $-\frac{1}{B} \sum_i \sum_c p_{ic} \log p_{ic}$.

    To minimise it makes predictions sure, right or wrong; alone it has a trivial solution, one
    class for all.

    Args:
        logits: (batch, num_classes).

    Returns:
        A scalar in nats, from 0 to the logarithm of num_classes.

    Raises:
        CompanionError: no such logits.

    Reference: grandvalet2005semi, sec. 2
    """
    log_probabilities = F.log_softmax(logit_matrix("logits", logits), dim=-1)
    return -(log_probabilities.exp() * log_probabilities).sum(dim=-1).mean()
