"""Running a model over a split: predictions, scores and the constant baseline."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from companion import checks
from companion.batches import by_length
from companion.evaluation.intervals import Interval
from companion.evaluation.main_intervals import main_interval
from companion.evaluation.metrics import item_errors, main_metric, metric_values
from companion.heads import Model
from companion.splits import IGNORED, Split, TestSplit, as_boxes, as_class_ids

__all__ = [
    "Predictions",
    "Scores",
    "evaluate",
    "majority_baseline",
    "predict",
    "score",
    "weights_fingerprint",
]


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says of the items of a split, in the split's order.

    Attributes:
        logits: (items, classes); or one tensor (positions, classes) an item, without padding; of
            detection nothing is kept.
        labels: predicted class ids, (items,), int64; or one tensor an item; of detection
            (detections, 6): class id, corners as fractions of width and height, score.
    """

    logits: Tensor | list[Tensor]
    labels: Tensor | list[Tensor]

    @property
    def probabilities(self) -> Tensor | None:
        """Softmax of the logits, (items, classes); `None` for sequences."""
        return self.logits.softmax(dim=1) if isinstance(self.logits, Tensor) else None


@dataclass(frozen=True, eq=False)
class Scores:
    """What came of evaluating a model on a split.

    Attributes:
        split: name of the split.
        task: one of `companion.splits.TASKS`.
        metric: name of the main metric.
        values: all metrics by name, as fractions.
        interval: interval of the main metric over the items (or groups of items).
        predictions: class ids, (items,), int64; or one tensor an item; of detection as in
            `Predictions`.
        probabilities: (items, classes); `None` for sequences and boxes.
        labels: like the predictions.
        ids: names of the items.
        classes: names of the class ids.
    """

    split: str
    task: str
    metric: str
    values: dict[str, float]
    interval: Interval
    predictions: Tensor | list[Tensor]
    probabilities: Tensor | None
    labels: Tensor | Sequence[Tensor]
    ids: tuple[str, ...]
    classes: tuple[str, ...]

    @property
    def value(self) -> float:
        """The main metric, as a fraction."""
        return self.values[self.metric]

    @property
    def accuracy(self) -> float:
        """The fraction of right items, or of right labelled tokens.

        Raises:
            CompanionError: the task has no accuracy.
        """
        if "accuracy" not in self.values:
            checks.fail(
                "accuracy",
                got=f"the task {self.task!r}",
                expected=f"one of its metrics: {', '.join(self.values)}",
                do="use scores.value",
            )
        return self.values["accuracy"]

    @property
    def errors(self) -> Tensor:
        """Positions of the items with at least one mistake, (mistaken items,), int64."""
        errors, _ = item_errors(self.task, self.predictions, self.labels, classes=self.classes)
        return errors.nonzero().flatten()

    def __repr__(self) -> str:
        """Return the metrics in one line."""
        values = ", ".join(f"{name}={value:.3f}" for name, value in self.values.items())
        low, high = self.interval.low, self.interval.high
        ends = f"{self.interval.level:.0%} of the {self.metric} [{low:.3f}, {high:.3f}]"
        return f"Scores({self.split}, {len(self.ids)} items: {values}; {ends})"


def predict(model: Model, split: Split, *, batch_size: int | None = None) -> Predictions:
    """Run a model over the items of a split, in evaluation mode.

    Args:
        model: the model; it is left in the modes in which it came.
        split: the items.
        batch_size: items a forward pass.

    Raises:
        CompanionError: an empty split.
    """
    batch_size = model.backbone.eval_batch_size if batch_size is None else batch_size
    checks.positive_int("batch_size", batch_size)
    checks.non_empty(f"split {split.name!r}", split.ids, do="evaluate on at least one item")
    device = next(model.parameters()).device
    source = model.backbone.prepare(split)
    order = by_length(source)
    logits: list[Tensor] = []
    labels: list[Tensor] = []
    with _evaluation_mode(model), torch.inference_mode():
        for indices in torch.split(order, batch_size):
            batch = source.batch(indices).to(device)
            output = model(batch.inputs, batch.mask)
            mask = model.backbone.feature_mask(batch.mask)
            labels += [row.cpu() for row in model.head.predict(output, mask)]
            if split.task != "detection":
                logits += _rows(output.float().cpu(), mask)
    place = torch.argsort(order).tolist()
    labels = [labels[p].clone() for p in place]
    logits = [logits[p].clone() for p in place] if logits else []
    if split.task == "classification":
        return Predictions(torch.stack(logits), torch.stack(labels))
    return Predictions(logits, labels)


def _rows(output: Tensor, mask: Tensor | None) -> list[Tensor]:
    """Return the logits of each item, those of padded positions left out."""
    if mask is None or output.dim() == 2:
        return list(output)
    return [row[real] for row, real in zip(output, mask.cpu(), strict=True)]


def evaluate(
    model: Model,
    split: Split | TestSplit,
    *,
    batch_size: int | None = None,
    reading: str | None = None,
) -> Scores:
    """Score a model on a split: the only reader of a test set.

    Args:
        model: the model; it is left in the modes in which it came.
        split: val, train, or the test set.
        batch_size: items a forward pass.
        reading: for a test set, what this evaluation is part of; `None` takes the fingerprint of
            the model's weights, so that the same cell run again is the same reading.

    Returns:
        Metrics as fractions, with a bootstrap interval of the main one over the items; over
        groups where the split has at least ten of them.

    Raises:
        CompanionError: an empty split, or classes that are not the model's.

    Warns:
        TestReadAgainWarning: the test set was read before by something else.
    """
    checks.instance("model", model, Model)
    if not isinstance(split, TestSplit):
        checks.instance("split", split, Split)
    _check_classes(model, split)
    if isinstance(split, TestSplit):
        split = split.open(reading or f"model {weights_fingerprint(model)[:16]}")
    predictions = predict(model, split, batch_size=batch_size)
    return score(split, predictions.labels, probabilities=predictions.probabilities)


def score(
    split: Split,
    predictions: Tensor | Sequence[Any],
    *,
    probabilities: Tensor | None = None,
) -> Scores:
    """Score predictions that were made elsewhere.

    Args:
        split: the items and their labels.
        predictions: class ids, (items,), as a tensor, a numpy array or a list of whole numbers; or
            one such row an item; of detection one row (detections, 6) an image.
        probabilities: (items, classes), for the metrics that need them.

    Raises:
        CompanionError: predictions that are no class ids of the split or do not fit it, or
            nothing to score.
    """
    checks.instance("split", split, Split)
    checked = _checked_predictions(split, predictions)
    values = metric_values(
        split.task,
        checked,
        split.labels,
        classes=split.classes,
        probabilities=probabilities,
    )
    return Scores(
        split=split.name,
        task=split.task,
        metric=main_metric(split.task),
        values=values,
        interval=main_interval(split, checked),
        predictions=checked,
        probabilities=probabilities,
        labels=split.labels,
        ids=split.ids,
        classes=split.classes,
    )


def _checked_predictions(
    split: Split, predictions: Tensor | Sequence[Any]
) -> Tensor | list[Tensor]:
    """Return predictions as class ids or boxes of the split's classes."""
    num_classes = len(split.classes)
    if split.task == "detection":
        return as_boxes("predictions", predictions, num_classes=num_classes, with_scores=True)
    checked = as_class_ids("predictions", predictions, task=split.task, num_classes=num_classes)
    if split.task in ("tokens", "spans"):
        for name, row, truth in zip(split.ids, checked, split.labels, strict=False):
            is_none = row == IGNORED
            if bool(is_none.any()) and bool((truth[: len(row)] != IGNORED)[is_none].any()):
                checks.fail(
                    f"predictions of {name!r}",
                    got=f"{IGNORED} (none) for a labelled token",
                    expected="a class for each labelled token",
                    do="predict one of the classes",
                )
    return checked


def majority_baseline(train: Split, split: Split | TestSplit, *, reading: str = "") -> Scores:
    """Score the constant answer: what a model that never looks at its input can reach.

    The answer is the most frequent class of `train` (the first of several), the most frequent
    token class for tokens, the empty sequence for CTC, and no box at all for detection.

    Args:
        train: the items that the answer is chosen on.
        split: the items that it is scored on.
        reading: for a test set, what this evaluation is part of.

    Raises:
        CompanionError: nothing to choose on or to score.

    Warns:
        TestReadAgainWarning: the test set was read before by something else.

    Reference: pedregosa2011scikit (`DummyClassifier`)
    """
    checks.non_empty("train", train.ids, do="choose the constant answer on at least one item")
    if isinstance(split, TestSplit):
        split = split.open(reading or "majority baseline")
    counts = torch.tensor(list(train.class_counts().values()))
    constant = int(counts.argmax())
    if split.task == "classification":
        return score(split, torch.full((len(split),), constant))
    if split.task in ("tokens", "spans"):
        return score(split, [torch.full_like(row, constant) for row in split.labels])
    width = (0, 6) if split.task == "detection" else (0,)
    return score(split, [row.new_zeros(width) for row in split.labels])


def weights_fingerprint(model: torch.nn.Module) -> str:
    """Return a SHA-256 of all weights and buffers: equal if and only if no bit differs."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(raw.numpy().tobytes())
    return digest.hexdigest()


@contextlib.contextmanager
def _evaluation_mode(model: torch.nn.Module) -> Iterator[None]:
    """Put a model in evaluation mode for a block, then each module back as it was."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _check_classes(model: Model, split: Split | TestSplit) -> None:
    """Refuse a split whose class ids mean something else than the model's."""
    if tuple(model.classes) != tuple(split.classes):
        checks.fail(
            f"classes of split {split.name!r}",
            got=f"{len(split.classes)} classes, {', '.join(map(repr, split.classes[:3]))}, ...",
            expected=f"the model's {len(model.classes)}: "
            f"{', '.join(map(repr, model.classes[:3]))}, ...",
            do="evaluate on the dataset that the model was fitted to",
        )
