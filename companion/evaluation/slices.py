"""Where the mistakes are: the main metric on parts of the items."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from companion import checks
from companion.evaluation.intervals import Interval, wilson_interval
from companion.evaluation.metrics import item_errors
from companion.evaluation.scores import Scores
from companion.evaluation.spans import count_spans

__all__ = ["Slice", "error_slices"]


@dataclass(frozen=True)
class Slice:
    """Items that have something in common.

    Attributes:
        name: what they have in common.
        num_items: how many they are.
        value: the main metric on them, as a fraction.
        interval: Wilson's, for classes; `None` for sequences, whose tokens are not independent.
    """

    name: str
    num_items: int
    value: float
    interval: Interval | None


def error_slices(scores: Scores, slices: Sequence[Hashable]) -> list[Slice]:
    """Return the main metric on parts of the items, the worst part first; last those without it.

    Args:
        scores: of an evaluation.
        slices: which part each item belongs to, such as its class, its speaker or its length.

    Raises:
        CompanionError: not one part an item.
    """
    errors, sizes = item_errors(
        scores.task, scores.predictions, scores.labels, classes=scores.classes
    )
    if len(slices) != len(errors):
        checks.fail(
            "slices",
            got=f"{len(slices)} names",
            expected=f"{len(errors)}, one an item",
            do="say for each item which part it belongs to",
        )
    found = []
    for name in dict.fromkeys(slices):
        held = torch.tensor([other == name for other in slices])
        part = _slice(scores, str(name), errors[held], sizes[held])
        found.append(_with_span_f1(scores, part, held) if scores.task == "spans" else part)
    sign = -1 if scores.metric == "cer" else 1

    def rank(row: Slice) -> tuple[float, str]:
        return (math.inf if math.isnan(row.value) else sign * row.value), row.name

    return sorted(found, key=rank)


def _slice(scores: Scores, name: str, errors: Tensor, sizes: Tensor) -> Slice:
    """Return one part of the items."""
    num_wrong, size = int(errors.sum()), int(sizes.sum())
    rate = num_wrong / size if size else float("nan")
    interval = None
    if scores.task == "classification":
        interval = wilson_interval(size - num_wrong, size)
    return Slice(name, len(errors), rate if scores.metric == "cer" else 1 - rate, interval)


def _with_span_f1(scores: Scores, part: Slice, held: Tensor) -> Slice:
    """Return a part with the F1 of its spans; NaN where none is labelled or predicted."""
    chosen = held.nonzero().flatten().tolist()
    counts = count_spans(
        [scores.predictions[i] for i in chosen], [scores.labels[i] for i in chosen], scores.classes
    )
    both = int((counts.predicted + counts.labelled).sum())
    return replace(part, value=2 * int(counts.right.sum()) / both if both else float("nan"))
