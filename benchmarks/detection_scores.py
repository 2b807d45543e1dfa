"""Question 6: what does mean average precision cost beside torchmetrics?"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks import timing
from benchmarks.tasks import SEED
from companion.evaluation import detection

__all__ = ["WAYS", "made_up", "report"]

NUM_IMAGES = 200
NUM_CLASSES = 10
AT_MOST = 1.0
TORCHMETRICS = "torchmetrics (pycocotools)"
CLASSES = [f"class {number}" for number in range(NUM_CLASSES)]


def made_up(num_images: int) -> tuple[list[Tensor], list[Tensor]]:
    """Return detections and boxes: each box found about once, some badly, and as many inventions.

    Args:
        num_images: images with 4 to 12 boxes each.
    """
    draw = torch.Generator().manual_seed(SEED)
    predictions, labels = [], []
    for _ in range(num_images):
        size = int(torch.randint(4, 13, (), generator=draw))
        boxes, invented = _boxes(size, draw), _boxes(size, draw)
        moved = boxes[:, 1:] + 0.02 * torch.randn(size, 4, generator=draw)
        found = torch.cat([torch.cat([boxes[:, :1], moved], dim=1), invented])
        found[:, 1:] = found[:, 1:].clamp(0, 1)
        scores = torch.rand(2 * size, 1, generator=draw).sort(dim=0, descending=True).values
        labels.append(boxes)
        predictions.append(torch.cat([found, scores], dim=1))
    return predictions, labels


def _boxes(size: int, draw: torch.Generator) -> Tensor:
    """Return class ids and corners, (size, 5), at least 0.1 wide and high."""
    low = 0.7 * torch.rand(size, 2, generator=draw)
    high = low + 0.1 + 0.2 * torch.rand(size, 2, generator=draw)
    classes = torch.randint(0, NUM_CLASSES, (size, 1), generator=draw)
    return torch.cat([classes, low, high], dim=1)


def with_companion(predictions: list[Tensor], labels: list[Tensor]) -> dict[str, float]:
    """Return all metrics of detection."""
    return detection.detection_values(predictions, labels, CLASSES)


def with_interval(predictions: list[Tensor], labels: list[Tensor]) -> dict[str, float]:
    """Return all metrics of detection and the interval of the main one."""
    interval = detection.detection_interval(predictions, labels, CLASSES)
    return with_companion(predictions, labels) | {"low": interval.low, "high": interval.high}


def with_torchmetrics(predictions: list[Tensor], labels: list[Tensor]) -> dict[str, float]:
    """Return the two means; torchmetrics takes dictionaries, which are made here.

    It is given the recalls of COCO's program: its own are single precision, which where a recall
    reaches one of them exactly changes the means by some 1e-4.
    """
    from torchmetrics.detection import MeanAveragePrecision

    metric = MeanAveragePrecision(rec_thresholds=list(detection.RECALLS))
    # Corners in pixels: torchmetrics also sorts boxes by their area.
    metric.update(
        [{**_boxes_of(rows), "scores": rows[:, 5]} for rows in predictions],
        [_boxes_of(rows) for rows in labels],
    )
    found = metric.compute()
    return {"map50": float(found["map_50"]), "map": float(found["map"])}


def _boxes_of(rows: Tensor) -> dict[str, Tensor]:
    """Return class ids and corners, in pixels of a picture of 640 x 640, by name."""
    return {"boxes": 640 * rows[:, 1:5], "labels": rows[:, 0].long()}


WAYS: dict[str, Callable[[list[Tensor], list[Tensor]], dict[str, float]]] = {
    TORCHMETRICS: with_torchmetrics,
    "detection_values": with_companion,
    "the same with an interval": with_interval,
}


def prepare(way: str) -> Callable[[], object]:
    """Return an evaluation without arguments; libraries are imported and boxes made here."""
    run = functools.partial(WAYS[way], *made_up(NUM_IMAGES))
    run()
    return run


def report(rounds: int) -> str:
    """Score the same detections in each way and return the table."""
    contestants = {way: timing.Contestant(prepare, (way,)) for way in WAYS}
    found = timing.measure(contestants, rounds=rounds)
    measured = timing.ratios(found, reference=TORCHMETRICS)
    rows = [
        [way, f"{ratio.wall:.3f}", f"{ratio.low:.3f}-{ratio.high:.3f}", f"{ratio.cpu:.3f}"]
        for way, ratio in measured.items()
    ]
    ours = measured["detection_values"].wall
    return "\n\n".join(
        [
            "## 6. Mean average precision",
            f"{NUM_IMAGES} images, {NUM_CLASSES} classes, 4 to 12 boxes and twice as many "
            f"detections an image, 1 thread, {rounds} rounds.",
            timing.table(["", "time", "range", "CPU time"], rows),
            f"Target: at most {AT_MOST:.2f} of torchmetrics. "
            + timing.met(ours, at_most=AT_MOST, shown=f"{ours:.3f}"),
        ]
    )
