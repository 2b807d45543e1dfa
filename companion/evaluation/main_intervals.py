"""Interval of each task's main metric over the items of a split, or over groups of them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from torch import Tensor

from companion.evaluation.detection import detection_interval
from companion.evaluation.intervals import (
    MIN_GROUPS,
    Interval,
    bootstrap_interval,
    wilson_interval,
)
from companion.evaluation.metrics import item_errors, main_metric
from companion.evaluation.spans import count_spans
from companion.splits import Split

__all__ = ["items_interval", "main_interval"]


def main_interval(split: Split, predictions: Tensor | list[Tensor]) -> Interval:
    """Return the interval of the main metric over the items, or over groups of them.

    Args:
        split: the items with their labels; fewer than ten groups are not resampled.
        predictions: class ids or boxes, as in `Scores`.
    """
    if split.task == "spans":
        return _span_interval(split, predictions)
    if split.task != "detection":
        errors, sizes = item_errors(split.task, predictions, split.labels)
        return items_interval(split.task, errors, sizes, groups=split.groups)
    groups = _enough(split.groups)
    return detection_interval(list(predictions), list(split.labels), split.classes, groups=groups)


def _span_interval(split: Split, predictions: Tensor | list[Tensor]) -> Interval:
    """Return the interval of the spans' F1: a ratio of sums, both over sentences.

    Without a labelled or predicted span nothing is known of it.
    """
    counts = count_spans(predictions, split.labels, split.classes)
    below = counts.predicted + counts.labelled
    if int(below.sum()) == 0:
        return Interval(0.0, 1.0, 0.95, f"no span in {len(below)} sentences")
    groups = _enough(split.groups)
    return bootstrap_interval(2 * counts.right.numpy(), below.numpy(), groups=groups)


def _enough(groups: Sequence[Hashable] | None) -> Sequence[Hashable] | None:
    """Return groups where there are enough of them to be resampled."""
    return None if groups is None or len(set(groups)) < MIN_GROUPS else groups


def items_interval(
    task: str, errors: Tensor, sizes: Tensor, *, groups: Sequence[Hashable] | None = None
) -> Interval:
    """Return the interval of the main metric over items, or over groups where there are enough.

    Where all items of a classification are right, or all wrong, every resample is like every
    other: Wilson's interval takes the bootstrap's place.

    Args:
        task: `"classification"`, `"tokens"` or `"ctc"`.
        errors: mistakes of each item, (items,); over several runs their mean.
        sizes: how many mistakes each could hold, (items,).
        groups: what each item must not be parted from; fewer than ten are not resampled.

    Raises:
        CompanionError: another task, or no items.
    """
    metric = main_metric(task)
    groups = _enough(groups)
    num_wrong, num_items = float(errors.sum()), len(errors)
    if task == "classification" and groups is None and num_wrong in (0, num_items):
        return wilson_interval(num_items - int(num_wrong), num_items)
    counted = errors if metric == "cer" else sizes - errors
    return bootstrap_interval(counted.numpy(), sizes.numpy(), groups=groups)
