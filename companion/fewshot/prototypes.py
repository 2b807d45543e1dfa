"""Prototypical networks: a class is the mean of its support features, the nearest class wins."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from companion import checks
from companion.fewshot.border import as_class_ids, as_features, check_widths
from companion.fewshot.episodes import Episode, tensor_inputs

__all__ = [
    "DISTANCES",
    "compute_prototypes",
    "episode_logits",
    "episode_loss",
    "prototype_logits",
]

DISTANCES = ("euclidean", "cosine")
"""Distances that `prototype_logits` knows: squared Euclidean, and one minus the cosine."""


def compute_prototypes(features: Tensor, labels: Tensor) -> Tensor:
    r"""Return the mean feature vector of each class, $c_k = \frac{1}{|S_k|} \sum_{i \in S_k} z_i$.

    Args:
        features: of the support, (items, feature_dim).
        labels: class ids 0..n_way-1, (items,).

    Returns:
        Prototypes, (n_way, feature_dim); differentiable.

    Raises:
        CompanionError: shapes that do not fit, or a class id below the largest without an item.

    Reference: snell2017prototypical, eq. 1
    """
    features = as_features("support features", features)
    labels = as_class_ids("support labels", labels, num_items=len(features)).to(features.device)
    members = F.one_hot(labels).to(features.dtype)
    counts = members.sum(dim=0)
    if bool((counts == 0).any()):
        checks.fail(
            "support labels",
            got=f"no item of class {int((counts == 0).nonzero()[0])}",
            expected=f"at least one item of each class 0..{len(counts) - 1}",
            do="number the classes of the episode 0, 1, 2, ... without a gap",
        )
    return members.T @ features / counts[:, None]


def prototype_logits(
    query_features: Tensor,
    prototypes: Tensor,
    *,
    distance: str = "euclidean",
    scale: float = 1.0,
) -> Tensor:
    r"""Return $-\text{scale} \cdot d(z, c_k)$ of each query item and prototype.

    Args:
        query_features: $z$, (items, feature_dim).
        prototypes: $c_k$, (n_way, feature_dim).
        distance: `"euclidean"` takes the squared distance $d(z, c) = \lVert z - c \rVert^2$;
            `"cosine"` takes $d(z, c) = 1 - z^\top c / (\lVert z \rVert \lVert c \rVert)$, where a
            zero vector has the distance 1 from everything.
        scale: factor of the distance, above 0. A larger one makes the softmax of the logits
            sharper; it never changes which class is nearest. Cosine distances lie in [0, 2]: with
            scale 1 their softmax stays nearly flat.

    Returns:
        Logits, (items, n_way), at most 0. Memory grows with items * n_way * feature_dim.

    Raises:
        CompanionError: an unknown distance, widths that differ, a scale that is not positive.

    Reference: snell2017prototypical, eq. 2
    """
    checks.one_of("distance", distance, DISTANCES)
    checks.finite_positive("scale", scale)
    query_features = as_features("query features", query_features)
    prototypes = as_features("prototypes", prototypes)
    check_widths("widths of query features and prototypes", query_features, prototypes)
    if distance == "cosine":
        cosines = F.normalize(query_features, dim=1) @ F.normalize(prototypes, dim=1).T
        return -scale * (1 - cosines)
    gaps = query_features[:, None, :] - prototypes[None, :, :]
    return -scale * gaps.square().sum(dim=2)


def episode_logits(
    encoder: Callable[[Tensor], Tensor],
    episode: Episode,
    *,
    distance: str = "euclidean",
    scale: float = 1.0,
) -> Tensor:
    """Return logits of the query from prototypes of the support.

    Support and query go through the encoder in one batch. An encoder in train mode therefore
    normalises (batch norm) with statistics of both, so that a query item is seen beside the others
    of its episode; in eval mode each item is encoded for itself.

    Args:
        encoder: from inputs, (items, ...), to features, (items, feature_dim).
        episode: its inputs are what the encoder takes; see `Episode.with_inputs`.
        distance: as in `prototype_logits`.
        scale: as in `prototype_logits`.

    Returns:
        Logits, (query items, n_way).

    Raises:
        CompanionError: inputs that are no tensors, or what the two steps refuse.

    Reference: snell2017prototypical, alg. 1
    """
    support, query = tensor_inputs(episode)
    features = as_features("what the encoder returned", encoder(torch.cat([support, query])))
    prototypes = compute_prototypes(features[: len(support)], episode.support_labels)
    return prototype_logits(features[len(support) :], prototypes, distance=distance, scale=scale)


def episode_loss(
    encoder: Callable[[Tensor], Tensor],
    episode: Episode,
    *,
    distance: str = "euclidean",
    scale: float = 1.0,
) -> Tensor:
    """Return the mean cross-entropy of the query, in nats: what a prototypical network minimises.

    Args:
        encoder: from inputs, (items, ...), to features, (items, feature_dim).
        episode: support to make prototypes of, query to classify.
        distance: as in `prototype_logits`.
        scale: as in `prototype_logits`.

    Returns:
        A scalar; its gradient reaches the encoder through query and prototypes.

    Raises:
        CompanionError: what `episode_logits` refuses.

    Reference: snell2017prototypical, alg. 1
    """
    logits = episode_logits(encoder, episode, distance=distance, scale=scale)
    return F.cross_entropy(logits, episode.query_labels.to(logits.device))
