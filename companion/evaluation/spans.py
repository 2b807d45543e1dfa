"""Scores of labelled spans: a span is right where type, first and last token are all right.

Token accuracy flatters: most tokens lie outside every span, and a span with one wrong end still has
most of its tokens right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from companion import checks
from companion.batches import IGNORE_LABEL
from companion.splits import check_bio_classes, read_spans

__all__ = ["SpanCounts", "count_spans", "span_values"]


@dataclass(frozen=True, eq=False)
class SpanCounts:
    """How many spans each sentence holds.

    Attributes:
        right: predicted spans whose type and ends are right, (sentences,), int64.
        predicted: predicted spans, (sentences,), int64.
        labelled: labelled spans, (sentences,), int64.
        by_type: the sums of the three over all sentences, by type.
    """

    right: Tensor
    predicted: Tensor
    labelled: Tensor
    by_type: dict[str, tuple[int, int, int]]


def count_spans(
    predictions: Sequence[Tensor] | Tensor,
    labels: Sequence[Tensor] | Tensor,
    classes: Sequence[str],
) -> SpanCounts:
    """Count predicted, labelled and right spans.

    Args:
        predictions: class ids of each sentence, one tensor (tokens,) a sentence.
        labels: likewise; tokens labelled -100 are left out of both.
        classes: names of the class ids, of the BIO scheme.

    Raises:
        CompanionError: classes of another scheme, or sentences of different lengths.

    Reference: tjongkimsang2003introduction, sec. 2.2 (evaluation)
    """
    check_bio_classes(classes)
    rows: list[tuple[int, int, int]] = []
    totals: dict[str, Counter[str]] = {
        name: Counter() for name in ("right", "predicted", "labelled")
    }
    for predicted, truth in zip(predictions, labels, strict=True):
        found, wanted = _spans(predicted, truth, classes)
        right = found & wanted
        rows.append((len(right), len(found), len(wanted)))
        for name, spans in (("right", right), ("predicted", found), ("labelled", wanted)):
            totals[name].update(kind for kind, _, _ in spans)
    types = sorted(totals["predicted"] | totals["labelled"])
    columns = torch.tensor(rows, dtype=torch.long).reshape(-1, 3).unbind(dim=1)
    by_type = {
        t: (totals["right"][t], totals["predicted"][t], totals["labelled"][t]) for t in types
    }
    return SpanCounts(columns[0], columns[1], columns[2], by_type)


def _spans(
    predicted: Tensor, truth: Tensor, classes: Sequence[str]
) -> tuple[set[tuple[str, int, int]], set[tuple[str, int, int]]]:
    """Return the predicted and the labelled spans of one sentence."""
    counts = truth != IGNORE_LABEL
    if len(predicted) < len(truth) and not bool(counts[len(predicted) :].any()):
        truth, counts = truth[: len(predicted)], counts[: len(predicted)]
    if len(predicted) != len(truth):
        checks.fail(
            "predictions and labels",
            got=f"{len(predicted)} predicted and {len(truth)} labelled tokens of one item",
            expected="one prediction for each label, in the same order",
            do="take both from one evaluation",
        )
    rows = (predicted[counts].tolist(), truth[counts].tolist())
    found, wanted = (set(read_spans(row, classes)) for row in rows)
    return found, wanted


def span_values(
    predictions: Sequence[Tensor] | Tensor,
    labels: Sequence[Tensor] | Tensor,
    classes: Sequence[str],
) -> dict[str, float]:
    """Return the metrics of labelled spans by name, all fractions.

    Args:
        predictions: class ids of each sentence, one tensor (tokens,) a sentence.
        labels: likewise; tokens labelled -100 are left out of both.
        classes: names of the class ids, of the BIO scheme.

    Returns:
        `span_f1` (over the spans of all types together), `span_precision`, `span_recall`,
        `f1_<type>` of each type that is labelled, and `token_accuracy`. Without a predicted span
        the precision is 0.

    Raises:
        CompanionError: classes of another scheme, or sentences of different lengths.

    Reference: tjongkimsang2003introduction, sec. 2.2 (evaluation)
    """
    counts = count_spans(predictions, labels, classes)
    right, predicted, labelled = (
        int(x.sum()) for x in (counts.right, counts.predicted, counts.labelled)
    )
    values = {
        "span_f1": _f1(right, predicted, labelled),
        "span_precision": right / max(predicted, 1),
        "span_recall": right / max(labelled, 1),
    }
    for name, numbers in counts.by_type.items():
        if numbers[2]:
            values[f"f1_{name}"] = _f1(*numbers)
    hits = size = 0
    for row, truth in zip(predictions, labels, strict=True):
        real = truth[: len(row)] != IGNORE_LABEL
        hits += int((row == truth[: len(row)])[real].sum())
        size += int(real.sum())
    return values | {"token_accuracy": hits / max(size, 1)}


def _f1(right: int, predicted: int, labelled: int) -> float:
    """Return the harmonic mean of precision and recall; 0 where there is nothing."""
    return 2 * right / max(predicted + labelled, 1)
