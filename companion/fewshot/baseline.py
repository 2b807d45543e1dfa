"""The baseline that every few-shot method has to beat: a linear classifier on good features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from companion import checks
from companion.fewshot.border import as_class_ids, as_features, check_finite

__all__ = ["LogisticClassifier", "fit_logistic"]


@dataclass(frozen=True, eq=False)
class LogisticClassifier:
    """A fitted logistic regression on features of unit length.

    Attributes:
        estimator: scikit-learn's `LogisticRegression`, fitted on normalised features.
        feature_dim: how long a feature vector is.
    """

    estimator: Any
    feature_dim: int

    def probabilities(self, query_features: Tensor) -> Tensor:
        """Return class probabilities.

        Args:
            query_features: (items, feature_dim); they are normalised here.

        Returns:
            (items, n_way), fractions that sum to 1 in each row, float64, on the CPU.

        Raises:
            CompanionError: features of another width, or not finite.
        """
        rows = _unit_rows("query features", query_features)
        if rows.shape[1] != self.feature_dim:
            checks.fail(
                "width of query features",
                got=rows.shape[1],
                expected=f"{self.feature_dim}, as in the support",
                do="take both from the same encoder",
            )
        return torch.from_numpy(self.estimator.predict_proba(rows.numpy()))

    def predict(self, query_features: Tensor) -> Tensor:
        """Return the most probable class of each item.

        Args:
            query_features: (items, feature_dim); they are normalised here.

        Returns:
            Class ids, (items,), int64, on the CPU.

        Raises:
            CompanionError: features of another width, or not finite.
        """
        return self.probabilities(query_features).argmax(dim=1)


def fit_logistic(
    support_features: Tensor, support_labels: Tensor, *, inverse_penalty: float = 1.0
) -> LogisticClassifier:
    r"""Fit multinomial logistic regression to the support, its features scaled to unit length.

    Minimises $C \sum_i \ell(W \bar z_i + b, y_i) + \tfrac12 \lVert W \rVert^2$ with
    $\bar z = z / \lVert z \rVert$ (two classes: the same with one weight vector, as scikit-learn
    has it). Nothing in it is random.

    Args:
        support_features: $z$ from a frozen encoder, (items, feature_dim).
        support_labels: class ids 0..n_way-1, (items,).
        inverse_penalty: $C$; larger fits the support more closely.

    Returns:
        The classifier, whose `predict` takes query features.

    Raises:
        CompanionError: shapes that do not fit, numbers that are not finite, fewer than two
            classes, or a class id below the largest without an item.

    Reference: tian2020rethinking, sec. 3; pedregosa2011scikit, for the solver
    """
    from sklearn.linear_model import LogisticRegression

    checks.finite_positive("inverse_penalty", inverse_penalty)
    rows = _unit_rows("support features", support_features)
    labels = as_class_ids("support labels", support_labels, num_items=len(rows)).cpu()
    found = sorted(set(labels.tolist()))
    if len(found) < 2 or found != list(range(len(found))):
        checks.fail(
            "support labels",
            got=f"items of class {', '.join(map(str, found))} only",
            expected="at least two classes, and an item of each class 0, 1, 2, ...",
            do="number the classes of the episode 0, 1, 2, ... without a gap",
        )
    estimator = LogisticRegression(C=inverse_penalty, max_iter=1000)
    estimator.fit(rows.numpy(), labels.numpy())
    return LogisticClassifier(estimator, rows.shape[1])


def _unit_rows(what: str, features: Tensor) -> Tensor:
    """Return features scaled to unit length, float64, on the CPU; a zero vector stays zero."""
    features = as_features(what, features).detach().to("cpu", torch.float64)
    check_finite(what, features)
    return F.normalize(features, dim=1)
