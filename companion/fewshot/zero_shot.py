"""Zero-shot: classes without a single labelled item, known by their descriptions alone."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from companion import checks
from companion.fewshot.border import as_class_ids, as_features, check_finite, check_widths

__all__ = ["fit_zero_shot", "zero_shot_logits"]


def fit_zero_shot(
    features: Tensor,
    labels: Tensor,
    class_vectors: Tensor,
    *,
    feature_penalty: float = 1.0,
    class_penalty: float = 1.0,
) -> Tensor:
    r"""Learn from seen classes how features and class descriptions belong together (ESZSL).

    With the features as columns of $X$ ($D \times m$), the descriptions of the seen classes as
    columns of $S$ ($a \times z$) and $Y$ ($m \times z$) 1 where an item is of a class and -1
    elsewhere, it returns

    $$V = (X X^\top + \gamma I)^{-1} \, X Y S^\top \, (S S^\top + \lambda I)^{-1},$$

    the minimum of $\lVert X^\top V S - Y \rVert^2 + \gamma \lVert V S \rVert^2 + \lambda \lVert
    X^\top V \rVert^2 + \gamma \lambda \lVert V \rVert^2$ (Frobenius norms).

    Args:
        features: of items of seen classes, (items, feature_dim).
        labels: class ids of the items, rows of `class_vectors`, (items,).
        class_vectors: one description a seen class, such as attributes or a text embedding,
            (seen classes, description_dim).
        feature_penalty: $\gamma$, above 0. It is added to sums over items: more items, more of it.
        class_penalty: $\lambda$, above 0.

    Returns:
        The mapping $V$, (feature_dim, description_dim), of the features' type; solved in float64.

    Raises:
        CompanionError: shapes that do not fit, numbers that are not finite, penalties that are
            not positive, labels without a description, or a description without an item.

    Reference: romeraparedes2015embarrassingly, sec. 3; lampert2014attribute, for the setting
    """
    checks.finite_positive("feature_penalty", feature_penalty)
    checks.finite_positive("class_penalty", class_penalty)
    as_features("features", features)
    as_features("class vectors", class_vectors)
    check_finite("features", features)
    check_finite("class vectors", class_vectors)
    labels = as_class_ids("labels", labels, num_items=len(features)).to(features.device)
    _check_seen(labels, class_vectors)
    x, s = features.detach().double(), class_vectors.detach().to(features.device).double()
    signs = 2 * F.one_hot(labels, len(s)).double() - 1
    left = x.T @ x + feature_penalty * torch.eye(x.shape[1]).to(x)
    right = s.T @ s + class_penalty * torch.eye(s.shape[1]).to(s)
    half = torch.linalg.solve(left, x.T @ signs @ s)
    mapping: Tensor = torch.linalg.solve(right, half.T).T.to(features.dtype)
    return mapping


def zero_shot_logits(features: Tensor, class_vectors: Tensor, mapping: Tensor) -> Tensor:
    r"""Return how well each item fits the description of each class, $z^\top V s_c$.

    The classes may be unseen ones, seen ones, or both. The length of a description multiplies the
    logits of its class: give all the same length unless it means something.

    Args:
        features: $z$, (items, feature_dim).
        class_vectors: $s_c$, (classes, description_dim).
        mapping: $V$ of `fit_zero_shot`, (feature_dim, description_dim).

    Returns:
        Logits, (items, classes): scores to be compared within a row, not log-probabilities.

    Raises:
        CompanionError: widths that do not fit the mapping.

    Reference: romeraparedes2015embarrassingly, sec. 3
    """
    features = as_features("features", features)
    class_vectors = as_features("class vectors", class_vectors).to(features)
    mapping = as_features("mapping", mapping).to(features)
    check_widths("widths of features and of what the mapping takes", features, mapping.T)
    check_widths("widths of class vectors and of what the mapping makes", class_vectors, mapping)
    return features @ mapping @ class_vectors.T


def _check_seen(labels: Tensor, class_vectors: Tensor) -> None:
    """Refuse seen classes without a description, and descriptions without an item."""
    counts = torch.bincount(labels, minlength=len(class_vectors))
    without = (counts == 0).nonzero().flatten().tolist()
    if len(counts) > len(class_vectors) or without:
        missing = f", no item of class {without[0]}" if without else ""
        checks.fail(
            "labels",
            got=f"largest {int(labels.max())} beside {len(class_vectors)} class vectors{missing}",
            expected="an item of each class 0, 1, ... and one class vector for each of them",
            do="pass the descriptions of the seen classes here, those of unseen ones when scoring",
        )
