"""From predictions and labels to metrics, all of them fractions.

Each task has a main metric: accuracy of items or of labelled tokens, F1 of spans, or the character
error rate, ratios of sums over items, which is what the bootstrap resamples; or the mean average
precision of boxes, which is none and has a bootstrap of its own.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from companion import checks
from companion.batches import IGNORE_LABEL
from companion.evaluation.detection import detection_errors, detection_values
from companion.evaluation.spans import count_spans, span_values

if TYPE_CHECKING:
    from companion.evaluation.scores import Scores

__all__ = [
    "class_recalls",
    "confusion",
    "edit_distance",
    "item_errors",
    "item_sizes",
    "main_metric",
    "metric_values",
]

MAIN_METRIC = {
    "classification": "accuracy",
    "tokens": "accuracy",
    "spans": "span_f1",
    "ctc": "cer",
    "detection": "map50",
}
CLASS_TASKS = ("classification", "tokens", "spans")
Labels = Tensor | Sequence[Tensor]


def main_metric(task: str) -> str:
    """Return the name of a task's main metric: `"accuracy"`, `"span_f1"`, `"map50"`, `"cer"`.

    Of the character error rate less is better.

    Args:
        task: one of `companion.splits.TASKS`.

    Raises:
        CompanionError: another task.
    """
    return MAIN_METRIC[checks.one_of("task", task, tuple(MAIN_METRIC))]


def item_errors(
    task: str, predictions: Labels, labels: Labels, *, classes: Sequence[str] = ()
) -> tuple[Tensor, Tensor]:
    """Return how many mistakes each item holds, and how many it could hold.

    Args:
        task: one of `companion.splits.TASKS`.
        predictions: class ids, (items,), or one tensor an item; boxes with scores for detection.
        labels: likewise; tokens labelled -100 count nowhere.
        classes: names of the class ids; only spans need them.

    Returns:
        Mistakes and sizes, each (items,), int64. Sizes are 1 for a class, the number of labelled
        tokens, of spans, of boxes, or the length of the label sequence. With CTC there can be
        more mistakes (edits) than labels. So too with spans: those that were not found and those
        that were found and are not there; and with boxes: those that were not found and the
        detections with a score of at least 0.5 that are not right, both at an IoU of 0.5.

    Raises:
        CompanionError: predictions and labels do not fit together.
    """
    checks.one_of("task", task, tuple(MAIN_METRIC))
    if len(predictions) != len(labels):
        _do_not_fit(f"{len(predictions)} predictions and {len(labels)} labels")
    if task == "detection":
        return _box_errors(predictions, labels)
    if task == "classification":
        answers, truth = torch.as_tensor(predictions), torch.as_tensor(labels)
        if answers.shape != truth.shape or answers.dim() != 1:
            _do_not_fit(f"shapes {tuple(answers.shape)} and {tuple(truth.shape)}")
        return (answers != truth).long(), torch.ones(len(truth), dtype=torch.long)
    if task == "spans":
        counts = count_spans(predictions, labels, classes)
        return counts.predicted + counts.labelled - 2 * counts.right, counts.labelled
    count = _token_errors if task == "tokens" else _sequence_errors
    pairs = [count(p, t) for p, t in zip(predictions, labels, strict=True)]
    errors, sizes = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).unbind(dim=1)
    return errors, sizes


def item_sizes(task: str, labels: Labels, *, classes: Sequence[str] = ()) -> Tensor:
    """Return how many mistakes each item could hold, (items,), int64, as in `item_errors`.

    Args:
        task: one of `companion.splits.TASKS`.
        labels: class ids, (items,), or one tensor an item.
        classes: names of the class ids; only spans need them.
    """
    if task == "detection":
        return torch.tensor([len(rows) for rows in labels], dtype=torch.long)
    return item_errors(task, labels, labels, classes=classes)[1]


def _box_errors(predictions: Labels, labels: Labels) -> tuple[Tensor, Tensor]:
    """Return wrong detections and boxes not found of each image, and its boxes, (images,)."""
    ids = [rows[:, 0] for rows in (*predictions, *labels) if len(rows)]
    num_classes = int(torch.cat(ids).max()) + 1 if ids else 1
    names = [str(number) for number in range(num_classes)]
    found = detection_errors(list(predictions), list(labels), names)
    wrong = [sum(kind not in ("right", "unsure") for kind in image) for image in found.detections]
    missed = [sum(kind != "right" for kind in image) for image in found.boxes]
    mistakes = torch.tensor(wrong, dtype=torch.long) + torch.tensor(missed, dtype=torch.long)
    return mistakes, item_sizes("detection", labels)


def _token_errors(predictions: Tensor, labels: Tensor) -> tuple[int, int]:
    """Return wrong tokens and labelled tokens of one item; labels may be padded at the end."""
    if len(predictions) < len(labels) and bool((labels[len(predictions) :] == IGNORE_LABEL).all()):
        labels = labels[: len(predictions)]
    if len(predictions) != len(labels):
        _do_not_fit(f"{len(predictions)} predicted and {len(labels)} labelled tokens of one item")
    counts = labels != IGNORE_LABEL
    return int(((predictions != labels) & counts).sum()), int(counts.sum())


def _sequence_errors(predictions: Tensor, labels: Tensor) -> tuple[int, int]:
    """Return edits and length of one label sequence, padding left out."""
    truth = labels[labels != IGNORE_LABEL].tolist()
    return edit_distance(predictions.tolist(), truth), len(truth)


def _do_not_fit(got: str) -> None:
    checks.fail(
        "predictions and labels",
        got=got,
        expected="one prediction for each label, in the same order",
        do="take both from one evaluation",
    )


def edit_distance(first: Sequence[object], second: Sequence[object]) -> int:
    """Return the fewest insertions, deletions and substitutions from one sequence to the other.

    Args:
        first: any sequence: a string, a list of words, a list of class ids.
        second: likewise.

    Example:
        >>> edit_distance("kitten", "sitting")
        3
    """
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, start=1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(second, start=1):
            substitution = diagonal + (a != b)
            diagonal = row[j]
            row[j] = min(substitution, row[j] + 1, row[j - 1] + 1)
    return row[-1]


def metric_values(
    task: str,
    predictions: Labels,
    labels: Labels,
    *,
    classes: Sequence[str],
    probabilities: Tensor | None = None,
) -> dict[str, float]:
    """Return all metrics of a task by name, the main one first.

    Args:
        task: one of `companion.splits.TASKS`.
        predictions: class ids, (items,), or one tensor an item; boxes with scores for detection.
        labels: likewise; tokens labelled -100 count nowhere.
        classes: names of the class ids.
        probabilities: (items, classes), for the metrics that need them.

    Returns:
        Fractions: `accuracy`, `balanced_accuracy`, `macro_f1` and, with probabilities of two
        classes, `auc`; or those of `span_values`; or `cer` and, where a class is a space, `wer`;
        or `map50`, `map` and `ap50_<class>` of each class that has a box.

    Raises:
        CompanionError: predictions and labels do not fit together, or there is nothing to score.

    Reference: brodersen2010balanced (balanced accuracy); hanley1982meaning (AUC)
    """
    errors, sizes = item_errors(task, predictions, labels, classes=classes)
    is_labelled = int(sizes.sum()) > 0
    if task == "spans":  # sentences without any span are labelled too
        is_labelled = any(bool((row != IGNORE_LABEL).any()) for row in labels)
    if not is_labelled:
        checks.fail(
            "evaluation", got="no label", expected="at least one", do="evaluate on labelled items"
        )
    if task == "detection":
        found = detection_values(list(predictions), list(labels), classes)
        return {name: value for name, value in found.items() if not math.isnan(value)}
    if task == "spans":
        return span_values(predictions, labels, classes)
    rate = int(errors.sum()) / int(sizes.sum())
    if task == "ctc":
        return {"cer": rate} | _word_error_rate(predictions, labels, classes)
    flat_predictions, flat_labels = _flatten(predictions, labels)
    values = {"accuracy": 1 - rate, **_class_metrics(flat_predictions, flat_labels)}
    if task == "classification" and probabilities is not None and len(classes) == 2:
        values["auc"] = _auc(flat_labels, probabilities[:, 1])
    return values


def _flatten(predictions: Labels, labels: Labels) -> tuple[Tensor, Tensor]:
    """Return predictions and labels of all items or labelled tokens, (n,) each."""
    if isinstance(predictions, Tensor) and isinstance(labels, Tensor) and labels.dim() == 1:
        return predictions, labels
    pairs = [(p, t[: len(p)]) for p, t in zip(predictions, labels, strict=True)]
    flat_predictions = torch.cat([p for p, _ in pairs])
    flat_labels = torch.cat([t for _, t in pairs])
    counts = flat_labels != IGNORE_LABEL
    return flat_predictions[counts], flat_labels[counts]


def _class_metrics(predictions: Tensor, labels: Tensor) -> dict[str, float]:
    """Return the metrics that weigh all classes alike."""
    from sklearn import metrics

    with warnings.catch_warnings():
        # A class may be predicted and yet have no item; its recall is not defined and not used.
        warnings.simplefilter("ignore", UserWarning)
        balanced = metrics.balanced_accuracy_score(labels.numpy(), predictions.numpy())
    f1 = metrics.f1_score(labels.numpy(), predictions.numpy(), average="macro", zero_division=0)
    return {"balanced_accuracy": float(balanced), "macro_f1": float(f1)}


def _auc(labels: Tensor, positive: Tensor) -> float:
    """Return the area under the ROC curve; NaN where only one class has items."""
    from sklearn import metrics

    if bool((labels == labels[0]).all()):
        return math.nan
    return float(metrics.roc_auc_score(labels.numpy(), positive.numpy()))


def _word_error_rate(
    predictions: Labels, labels: Labels, classes: Sequence[str]
) -> dict[str, float]:
    """Return the word error rate where the classes are characters with a space."""
    if " " not in classes:
        return {}
    edits = words = 0
    for predicted, truth in zip(predictions, labels, strict=True):
        wanted = _words(truth, classes)
        edits += edit_distance(_words(predicted, classes), wanted)
        words += len(wanted)
    return {"wer": edits / words if words else math.nan}


def _words(ids: Tensor, classes: Sequence[str]) -> list[str]:
    """Return the words of a sequence of characters."""
    return "".join(classes[i] for i in ids.tolist() if i != IGNORE_LABEL).split()


def confusion(scores: Scores) -> Tensor:
    """Return how often each class was taken for each.

    Args:
        scores: of a task with one class an item or a token.

    Returns:
        Counts, (classes, classes), int64: row is the label, column the prediction.

    Raises:
        CompanionError: the task has no confusion matrix.
    """
    checks.one_of("task of a confusion matrix", scores.task, CLASS_TASKS)
    predictions, labels = _flatten(scores.predictions, scores.labels)
    num_classes = len(scores.classes)
    flat = torch.bincount(labels * num_classes + predictions, minlength=num_classes**2)
    return flat.reshape(num_classes, num_classes)


def class_recalls(scores: Scores) -> dict[str, float]:
    """Return the fraction of each class's items that were found; NaN for a class without items.

    Args:
        scores: of a task with one class an item or a token.

    Raises:
        CompanionError: the task has no classes to recall.
    """
    counts = confusion(scores).double()
    recalls = (counts.diagonal() / counts.sum(dim=1)).tolist()
    return dict(zip(scores.classes, recalls, strict=True))
