"""Wrong answers as learners give them, made by doing the wrong thing."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from companion.boxes import box_iou, nms
from companion.evaluation import Scores, score
from companion.exercises.object_detection.checks import CELLS, THRESHOLDS
from companion.splits import Split

__all__ = ["heap", "no_suppression", "precision", "scores", "suppressed", "two_scores"]


def heap() -> Tensor:
    """Return many boxes around three things, (boxes, 6)."""
    draw = torch.Generator().manual_seed(0)
    truth = torch.tensor([[0.1, 0.1, 0.4, 0.4], [0.5, 0.2, 0.8, 0.5], [0.3, 0.6, 0.6, 0.9]])
    corners = truth.repeat_interleave(12, dim=0)
    spread = torch.tensor([0.005, 0.05]).repeat(18)[:, None]
    corners = (corners + spread * torch.randn(corners.shape, generator=draw)).clamp(0, 1)
    score = torch.rand(len(corners), 1, generator=draw)
    return torch.cat([torch.zeros(len(corners), 1), corners, score], dim=1)


def suppressed(
    *thresholds: float, by_score: bool = False, sign: float = 1.0
) -> dict[float, Tensor]:
    """Return what stays of the heap, with one of the usual mistakes."""
    rows, kept = heap(), {}
    for key, threshold in zip(THRESHOLDS, thresholds or THRESHOLDS, strict=True):
        if by_score:
            kept[key] = rows[rows[:, 5] >= threshold]
        else:
            kept[key] = rows[nms(rows[:, 1:5], sign * rows[:, 5], iou_threshold=threshold)]
    return kept


def no_suppression() -> dict[float, Tensor]:
    """Return the whole heap for each threshold."""
    return dict.fromkeys(THRESHOLDS, heap())


def precision(
    *,
    by_score: bool = True,
    frees: bool = True,
    best: bool = True,
    counts_missed: bool = True,
    threshold_used: bool = True,
    factor: float = 1.0,
) -> Callable[[Tensor, Tensor], float]:
    """Return a function for average precision, with one of the usual mistakes."""

    def average(found: Tensor, truth: Tensor) -> float:
        rows = found[found[:, 4].argsort(descending=True)] if by_score else found
        free, hits, curve = list(range(len(truth))), 0, []
        for number, row in enumerate(rows, start=1):
            iou = box_iou(row[None, :4], truth)[0]
            box = max(free, key=lambda position: float(iou[position]), default=None)
            if box is not None and (float(iou[box]) >= 0.5 or not threshold_used):
                hits += 1
                if frees:
                    free.remove(box)
            curve.append((hits, hits / number))
        total = len(truth) if counts_missed else max(hits, 1)
        at = [[p for h, p in curve if h / total >= w / 100 - 1e-9] for w in range(101)]
        read = [(max(v) if best else v[0]) if v else 0.0 for v in at]
        return factor * sum(read) / len(read)

    return average


def scores(
    *,
    split: str = "val",
    classes: tuple[str, ...] = CELLS,
    shift: int = 0,
    confidence: float = 0.9,
) -> Scores:
    """Return made-up scores of four pictures with one box each."""
    box = torch.tensor([[0, 0.2, 0.2, 0.6, 0.6]])
    ids = tuple(f"smears/pool/{number + shift:04d}" for number in range(4))
    images = torch.zeros(4, 3, 8, 8, dtype=torch.uint8)
    made = Split(split, images, [box] * 4, ids, classes, task="detection")
    found = torch.cat([box, torch.tensor([[confidence]])], dim=1)
    return score(made, [found] * 4)


def two_scores(*, split: str = "val", classes: tuple[str, ...] = CELLS) -> dict[str, Scores]:
    """Return scores of two trainings."""
    return {
        "scratch": scores(split=split, classes=classes, confidence=0.3),
        "full": scores(split=split, classes=classes),
    }
