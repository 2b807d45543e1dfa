r"""Losses that shape a space: near where the identity is the same, far where it is not.

All embeddings are scaled to unit length first, so that the squared distance of two of them is
$d_{ij}^2 = 2 - 2 \cos\theta_{ij}$ and lies in [0, 4]. The contrastive loss looks at pairs, the
triplet loss at pairs of distances from one anchor, ArcFace at the angle to one vector a class.

Reference: hadsell2006dimensionality; schroff2015facenet; deng2019arcface
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion import checks
from companion.objectives.inputs import class_labels, feature_matrix, feature_pair

__all__ = ["MINING", "ArcFace", "contrastive_loss", "squared_distances", "triplet_loss"]

MINING = ("all", "semi_hard", "batch_hard")
"""Which triplets of a batch count; see `triplet_loss`."""


def squared_distances(first: Tensor, second: Tensor) -> Tensor:
    r"""Return $2 - 2\cos\theta$ for all pairs of rows, after scaling each to unit length.

    Args:
        first: (items, embedding_dim).
        second: (others, embedding_dim).

    Returns:
        (items, others), from 0 to 4, up to rounding.

    Raises:
        CompanionError: no such matrices, or different widths.
    """
    first, second = feature_pair(first, second, names=("first", "second"))
    return 2 - 2 * _cosines(first, second)


def _cosines(first: Tensor, second: Tensor) -> Tensor:
    """Return the cosines of all pairs of rows, in the wider of the two number types."""
    dtype = torch.promote_types(first.dtype, second.dtype)
    return F.normalize(first.to(dtype), dim=1) @ F.normalize(second.to(dtype), dim=1).T


def contrastive_loss(embeddings: Tensor, labels: Tensor, *, margin: float = 1.0) -> Tensor:
    r"""Return the contrastive loss over all pairs of a batch.

    A pair of one identity costs $\frac12 d^2$, a pair of two costs
    $\frac12 \max(0, m - d)^2$. A batch has far more of the latter; here the mean over each kind is
    taken, and the two means are added. (The paper adds up the pairs that it is given.)

    Args:
        embeddings: (batch, embedding_dim).
        labels: identities, (batch,), int64.
        margin: $m$, the distance from which a pair of two identities costs nothing, above 0 and
            at most 2, the largest distance of two vectors of unit length.

    Returns:
        A scalar of at least 0.

    Raises:
        CompanionError: embeddings and labels that do not fit together, embeddings that are not
            finite, a batch without both kinds of pairs, or a margin out of range.

    Reference: hadsell2006dimensionality, eq. 4
    """
    if checks.finite_positive("margin", margin) > 2:
        checks.fail("margin", got=margin, expected="at most 2", do="pass 1.0")
    embeddings, is_same, is_other = _pair_kinds(embeddings, labels)
    squared = squared_distances(embeddings, embeddings)
    distances = squared.clamp(min=1e-12).sqrt()
    genuine = squared[is_same].mean()
    impostor = (margin - distances[is_other]).clamp(min=0).square().mean()
    return (genuine + impostor) / 2


def triplet_loss(
    embeddings: Tensor, labels: Tensor, *, margin: float = 0.2, mining: str = "semi_hard"
) -> Tensor:
    r"""Return the triplet loss over the triplets of a batch that the mining keeps.

    A triplet is an anchor $a$, another item $p$ of its identity and an item $n$ of another one;
    it costs $\max(0, d_{ap}^2 - d_{an}^2 + \alpha)$.

    Args:
        embeddings: (batch, embedding_dim).
        labels: identities, (batch,), int64.
        margin: $\alpha$, above 0.
        mining: `"all"`, the mean over all triplets that cost something; `"semi_hard"`, over those
            of them with $d_{ap} < d_{an}$; `"batch_hard"`, for each anchor the furthest $p$ and
            the nearest $n$, and the mean over anchors, those without cost included.

    Returns:
        A scalar of at least 0; 0, with a gradient of 0, where no triplet is kept.

    Raises:
        CompanionError: embeddings and labels that do not fit together, embeddings that are not
            finite, a batch without both kinds of pairs, a margin that is not above 0, or an
            unknown mining.

    Reference: schroff2015facenet, eq. 1-4; hermans2017defense, sec. 2
    """
    checks.finite_positive("margin", margin)
    checks.one_of("mining", mining, MINING)
    embeddings, is_same, is_other = _pair_kinds(embeddings, labels)
    squared = squared_distances(embeddings, embeddings)
    if mining == "batch_hard":
        return _batch_hard(squared, is_same, is_other, margin)
    gaps = squared[:, None, :] - squared[:, :, None]  # [a, p, n]
    keep = is_same[:, :, None] & is_other[:, None, :] & (gaps < margin)
    if mining == "semi_hard":
        keep &= gaps > 0
    return (margin - gaps[keep]).sum() / keep.sum().clamp(min=1)


def _batch_hard(squared: Tensor, is_same: Tensor, is_other: Tensor, margin: float) -> Tensor:
    """Return the mean over anchors of the loss with the furthest positive, nearest negative."""
    anchors = is_same.any(dim=1) & is_other.any(dim=1)
    furthest = squared.masked_fill(~is_same, -math.inf).amax(dim=1)[anchors]
    nearest = squared.masked_fill(~is_other, math.inf).amin(dim=1)[anchors]
    return (furthest - nearest + margin).clamp(min=0).mean()


def identity_labels(
    what: str, labels: Tensor, *, num_items: int | None = None, smallest: int = 0
) -> Tensor:
    """Return identities: whole numbers that stand for people, characters or classes.

    Args:
        what: name of the labels, for the message.
        labels: (items,), int64.
        num_items: how many there must be; `None` for any number.
        smallest: the lowest number that stands for one.

    Raises:
        CompanionError: no tensor, no whole numbers, another number of them, or one too low.
    """
    checks.instance(what, labels, Tensor)
    is_whole = not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
    if labels.dim() != 1 or not is_whole or (num_items is not None and len(labels) != num_items):
        checks.fail(
            what,
            got=f"shape {tuple(labels.shape)} of {labels.dtype}",
            expected=f"({'items' if num_items is None else num_items},) of torch.int64, "
            "one identity an item",
            do="pass the labels of the same items, as whole numbers",
        )
    if len(labels) and int(labels.min()) < smallest:
        checks.fail(
            what,
            got=f"identity {int(labels.min())}",
            expected=f"identities from {smallest} on",
            do="leave out items without an identity",
        )
    return labels


def _pair_kinds(embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return embeddings, which pairs are of one identity, and which of two, (batch, batch)."""
    embeddings = feature_matrix("embeddings", embeddings, smallest=2)
    identity_labels("labels", labels, num_items=len(embeddings))
    if not bool(torch.isfinite(embeddings).all()):
        checks.fail(
            "embeddings",
            got="a value that is not finite",
            expected="finite numbers",
            do="lower the learning rate, and look at the inputs",
        )
    is_equal = labels[:, None] == labels[None, :]
    is_itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    is_same = is_equal & ~is_itself
    if not is_same.any() or is_equal.all():
        checks.fail(
            "batch",
            got=f"{len(labels)} items of {len(set(labels.tolist()))} identities",
            expected="two identities or more, and two items of at least one of them",
            do="draw batches with `companion.embedding.balanced_rows`",
        )
    return embeddings, is_same, ~is_equal


class ArcFace(nn.Module):
    r"""Softmax over angles, with a margin on the right one; it has one vector a class.

    With $\theta_c$ the angle between an embedding and the vector of class $c$, $y$ the label, $m$
    the margin and $s$ the scale, the logits are $s \cos\theta_c$ for the other classes and
    $s \cos(\theta_y + m)$ for the label's. Where $\theta_y + m > \pi$ the cosine would rise again;
    there the logit goes on as $s(\cos\theta_y - m \sin m)$, as in the authors' code. The vectors
    are thrown away after training.

    Args:
        embedding_dim: length of an embedding.
        num_classes: identities of the training set.
        margin: $m$, in radians, at least 0 and below pi; 0 is a softmax over cosines.
        scale: $s$, above 0.

    Raises:
        CompanionError: a number that is not positive, or a margin out of range.

    Reference: deng2019arcface, eq. 3
    """

    def __init__(
        self, embedding_dim: int, num_classes: int, *, margin: float = 0.5, scale: float = 64.0
    ):
        super().__init__()
        checks.positive_int("embedding_dim", embedding_dim)
        checks.positive_int("num_classes", num_classes)
        if margin != 0 and checks.finite_positive("margin", margin) >= math.pi:
            checks.fail("margin", got=margin, expected="radians, below pi", do="pass 0.5")
        self.margin = float(margin)
        self.scale = checks.finite_positive("scale", scale)
        self.weight = nn.Parameter(torch.empty(num_classes, embedding_dim))
        nn.init.xavier_uniform_(self.weight)

    def logits(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the logits, with the margin on the right class.

        Args:
            embeddings: (batch, embedding_dim).
            labels: class ids, (batch,), int64.

        Returns:
            (batch, num_classes), in double precision where embeddings or vectors are.

        Raises:
            CompanionError: labels that are no classes, or embeddings of another width.
        """
        embeddings = feature_matrix("embeddings", embeddings)
        if embeddings.shape[1] != self.weight.shape[1]:
            checks.fail(
                "embedding_dim",
                got=embeddings.shape[1],
                expected=self.weight.shape[1],
                do="make the loss for the embeddings that it is given",
            )
        checks.instance("labels", labels, Tensor)
        cosines = _cosines(embeddings, self.weight)
        own = cosines.gather(1, class_labels(labels, cosines)[:, None])
        return self.scale * cosines.scatter(1, labels[:, None], self._with_margin(own))

    def _with_margin(self, cosines: Tensor) -> Tensor:
        r"""Return $\cos(\theta + m)$, and its continuation beyond $\pi$."""
        sines = (1 - cosines.square()).clamp(min=1e-7).sqrt()
        moved = cosines * math.cos(self.margin) - sines * math.sin(self.margin)
        beyond = cosines < -math.cos(self.margin)  # theta > pi - m
        return torch.where(beyond, cosines - self.margin * math.sin(self.margin), moved)

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the mean cross-entropy, in nats.

        Args:
            embeddings: (batch, embedding_dim).
            labels: class ids, (batch,), int64.

        Raises:
            CompanionError: labels that are no classes, or embeddings of another width.
        """
        return F.cross_entropy(self.logits(embeddings, labels), labels)
