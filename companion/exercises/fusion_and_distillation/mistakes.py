"""Wrong answers as learners give them, made by doing the wrong thing."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["first_level", "fuse", "lesson"]


def fuse(how: str) -> Callable[[Any, Any], Any]:
    """Return a function of two tables of probabilities, right or with one of the mistakes."""

    def geometric(first: Any, second: Any) -> Any:
        product = first * second
        root = product**0.5
        found: dict[str, Any] = {
            "geometric": root / root.sum(1)[:, None],
            "arithmetic": (first + second) / 2,
            "not normalised": root,
            "product": product / product.sum(1)[:, None],
            "logarithms": torch.as_tensor(root).log(),
            "columns": root / root.sum(0),
        }
        return found[how]

    return geometric


def lesson(
    *,
    is_detached: bool = True,
    asks_student: float | None = None,
    power: int = 2,
    is_turned: bool = False,
    has_gradient: bool = True,
    is_sum: bool = False,
) -> Callable[[Tensor, Tensor, float], Tensor]:
    """Return a soft loss, right or with one of the usual mistakes."""

    def loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
        teacher = teacher_logits.detach() if is_detached else teacher_logits
        student = student_logits if has_gradient else student_logits.detach()
        log_q = (teacher / temperature).log_softmax(dim=1)
        log_p = (student / (asks_student or temperature)).log_softmax(dim=1)
        if is_turned:
            log_p, log_q = log_q, log_p
        rows = temperature**power * (log_q.exp() * (log_q - log_p)).sum(dim=1)
        return rows.sum() if is_sum else rows.mean()

    return loss


@functools.cache
def first_level(
    *, is_in_fold: bool = False, method: str = "predict_proba", is_in_order: bool = True
) -> NDArray[np.float64]:
    """Return what a tree and a linear classifier say of each tumour, (tumours, 2)."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeClassifier

    inputs, labels = load_breast_cancer(return_X_y=True)
    models = (
        DecisionTreeClassifier(random_state=0),
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    )
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    order = np.concatenate([held for _, held in folds.split(inputs, labels)])
    answers = []
    for model in models:
        if is_in_fold:
            said = model.fit(inputs, labels).predict_proba(inputs)
        else:
            said = cross_val_predict(model, inputs, labels, cv=folds, method=method)
        answers.append(said if said.ndim == 1 else said[:, 1])
    table = np.stack(answers, axis=1).astype(np.float64)
    return table if is_in_order else table[order]
