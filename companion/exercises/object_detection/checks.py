"""The checks: a right answer, the usual mistakes, and what is said of each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from companion import runtime
from companion.boxes import box_iou
from companion.evaluation import Scores
from companion.evaluation.detection import average_precision, match_detections
from companion.exercises.answers import WrongKind, as_mapping, as_number, as_tensor
from companion.exercises.framework import Feedback, first_of, right, wrong
from companion.exercises.misconceptions import chosen_on_test, percent
from companion.training import Result

__all__ = [
    "CASES",
    "CELLS",
    "SIDE",
    "THRESHOLDS",
    "check_iou",
    "check_new_cells",
    "check_repaired_precision",
    "check_suppressed",
]

SIDE, SHIFT = 20, 5
THRESHOLDS = (0.1, 0.5, 0.9)
CELLS = ("RBC", "WBC", "Platelets")


# --- 1: how much do two boxes overlap? ---


def check_iou(answer: Any) -> Feedback:
    """Check the overlap of two squares that are moved against each other on both axes."""
    value = as_number(answer, what="a number from 0 to 1, the IoU")
    shared, area = (SIDE - SHIFT) ** 2, SIDE**2
    if (found := percent(value)) is not None:
        return found
    told = {
        shared / (2 * area - shared): right(
            "It is wrong at one half: a quarter of a side off on both axes is enough."
        ),
        shared / area: wrong(
            "That is the share of one box that the other covers. What is the union?",
            misconception="share of one box for the IoU",
        ),
        (SIDE - SHIFT) / (SIDE + SHIFT): wrong(
            "So it would be if the box had moved along one axis only.",
            misconception="moved along one axis only",
        ),
        shared / (2 * area): wrong(
            "Both areas together count the shared part twice.",
            misconception="the shared part counted twice in the union",
        ),
        (SIDE - SHIFT) / SIDE: wrong(
            "That is the share of a side. Areas are compared.", misconception="a side for the area"
        ),
    }
    near = [text for number, text in told.items() if math.isclose(value, number, abs_tol=0.006)]
    return near[0] if near else wrong("Draw the two squares and count what they share.")


# --- 2: another threshold of suppression ---


def check_suppressed(answer: Any) -> Feedback:
    """Check that what stays overlaps no more than each threshold, and that no more was taken."""
    given = as_mapping(answer, THRESHOLDS, what="a dictionary with the keys 0.1, 0.5 and 0.9")
    what = "rows of `heap`: a tensor (rows, 6) for each threshold"
    kept = {t: as_tensor(given[t], shape=(None, 6), what=what).float() for t in THRESHOLDS}
    most = {t: _largest_overlap(rows) for t, rows in kept.items()}
    counts = [len(kept[t]) for t in THRESHOLDS]
    # The rows that the others were taken from are not handed in: the widest answer stands for them.
    if (
        any(rows[:, 5].numel() and rows[:, 5].min() >= t for t, rows in kept.items() if t == 0.9)
        and most[0.1] > 0.1
    ):
        return wrong(
            "What is left under 0.9 are the boxes with a score above 0.9. The threshold is one of "
            "overlap.",
            misconception="the threshold of the score",
        )
    return first_of(
        look(kept, most, counts) for look in (_all_alike, _wrong_way, _too_much, _worse_kept)
    ) or right(f"Of the heap {counts[0]}, {counts[1]} and {counts[2]} boxes stay.")


def _largest_overlap(rows: Tensor) -> float:
    """Return the largest IoU of two different rows."""
    iou = box_iou(rows[:, 1:5], rows[:, 1:5]).fill_diagonal_(0)
    return float(iou.max()) if len(rows) > 1 else 0.0


Kept = dict[float, Tensor]


def _all_alike(kept: Kept, most: dict[float, float], counts: list[int]) -> Feedback | None:
    """Recognise three times the same."""
    if len(set(counts)) > 1:
        return None
    if most[0.9] > 0.9:
        return wrong(
            "Boxes are left that overlap by more than 0.9.", misconception="nothing suppressed"
        )
    return wrong(
        "The same boxes stay under each threshold: was it passed on?",
        misconception="the threshold not passed on",
    )


def _wrong_way(kept: Kept, most: dict[float, float], counts: list[int]) -> Feedback | None:
    """Recognise more boxes under a lower threshold."""
    if counts[0] <= counts[2]:
        return None
    return wrong(
        "A lower threshold takes more away: less overlap is tolerated.",
        misconception="the threshold the wrong way round",
    )


def _too_much(kept: Kept, most: dict[float, float], counts: list[int]) -> Feedback | None:
    """Recognise boxes that overlap too much, or that would not have had to go."""
    if any(most[t] > t + 1e-6 for t in THRESHOLDS):
        return wrong("Under one of the thresholds two boxes overlap by more than it allows.")
    return None


def _worse_kept(kept: Kept, most: dict[float, float], counts: list[int]) -> Feedback | None:
    """Recognise what suppression by score, from the best down, would not have done."""
    widest = kept[0.9]
    best = widest[widest[:, 5].argmax()]
    if any(not (rows == best).all(dim=1).any() for rows in kept.values()):
        return wrong(
            "The best box of all is gone under one of the thresholds: the better one stays.",
            misconception="the worse box kept",
        )
    for threshold in THRESHOLDS[:2]:
        rows = kept[threshold]
        left = box_iou(widest[:, 1:5], rows[:, 1:5]).amax(dim=1) <= threshold
        if left.any():
            return wrong(
                "A box was taken away that overlaps no better one by more than the threshold.",
                misconception="more suppressed than was asked",
            )
    return None


# --- 3: an average precision to repair ---


def _case(seed: int) -> tuple[Tensor, Tensor]:
    """Return detections (corners, score), in no order, and boxes, of one picture."""
    draw = torch.Generator().manual_seed(seed)
    low = torch.rand(4, 2, generator=draw) * 0.7
    truth = torch.cat([low, low + 0.1 + 0.2 * torch.rand(4, 2, generator=draw)], dim=1)
    near = truth[torch.tensor([0, 0, 1, 2, 1, 0])]
    near = (near + 0.02 * torch.randn(near.shape, generator=draw)).clamp(0, 1)
    away = torch.rand(3, 2, generator=draw) * 0.8
    found = torch.cat([near, torch.cat([away, away + 0.15], dim=1)])
    score = torch.rand(len(found), 1, generator=draw)
    return torch.cat([found, score], dim=1), truth


CASES = tuple(_case(seed) for seed in range(8))
"""Pictures with doubles, inventions and a box that nobody found."""


def _expected(found: Tensor, truth: Tensor) -> float:
    """Return the average precision at an IoU of one half."""
    zeros = torch.zeros(len(found), 1), torch.zeros(len(truth), 1)
    rows = torch.cat([zeros[0], found], dim=1), torch.cat([zeros[1], truth], dim=1)
    matches = match_detections([rows[0]], [rows[1]], 1, [0.5])
    return float(average_precision(matches)[0, 0])


def check_repaired_precision(answer: Any) -> Feedback:
    """Check a function on pictures with doubles, inventions and missed boxes."""
    if not callable(answer):
        raise WrongKind("a function of detections and boxes", answer)
    wanted = [_expected(*case) for case in CASES]
    given = [_called(answer, *case) for case in CASES]
    if all(math.isclose(a, b, abs_tol=1e-4) for a, b in zip(given, wanted, strict=True)):
        return right("Sorted, each box taken once, the best precision from each recall on.")
    if all(math.isclose(a, 100 * b, abs_tol=1e-2) for a, b in zip(given, wanted, strict=True)):
        return wrong("Average precision is a fraction here.", misconception="percent for fraction")
    return first_of(look(answer) for look in LOOKS) or wrong(
        "Some pictures come out wrong. Try one with a double of a high score."
    )


def _called(function: Callable[..., Any], found: Tensor, truth: Tensor) -> float:
    """Return what the learner's function says of a picture."""
    try:
        value = function(found.clone(), truth.clone())
    except Exception as error:
        raise WrongKind(f"a function that runs on a picture ({error})", function) from error
    return as_number(value, what="a function that returns a number")


_BOX = torch.tensor([[0.1, 0.1, 0.5, 0.5], [0.6, 0.6, 0.9, 0.9]])


def _found(*rows: tuple[int, float]) -> Tensor:
    """Return detections that lie exactly on a box (0 or 1) or on nothing (-1), with scores."""
    nothing = torch.tensor([0.0, 0.8, 0.05, 0.9])
    corners = [nothing if number < 0 else _BOX[number] for number, _ in rows]
    scores = torch.tensor([[score] for _, score in rows])
    return torch.cat([torch.stack(corners), scores], dim=1)


def _unsorted(answer: Callable[..., Any]) -> Feedback | None:
    """Recognise a value that depends on the order of the rows."""
    rows = _found((0, 0.9), (1, 0.8), (-1, 0.3))
    if math.isclose(_called(answer, rows, _BOX), _called(answer, rows.flip(0), _BOX), abs_tol=1e-6):
        return None
    return wrong(
        "The same detections in another order get another value.",
        misconception="not sorted by score",
    )


def _taken_twice(answer: Callable[..., Any]) -> Feedback | None:
    """Recognise a double that counts as right."""
    value = _called(answer, _found((0, 0.9), (0, 0.8), (0, 0.7)), _BOX)
    if value <= 0.51 or value > 1.5:
        return None
    return wrong(
        "Three detections of one box, the other box missed: more than half cannot be right.",
        misconception="a box taken twice",
    )


def _missed_forgotten(answer: Callable[..., Any]) -> Feedback | None:
    """Recognise a recall that is measured against what was found."""
    if _called(answer, _found((0, 0.9)), _BOX) < 0.9:
        return None
    return wrong(
        "One of two boxes is found, and that gets full marks: recall is a share of all boxes.",
        misconception="missed boxes forgotten",
    )


def _threshold_unused(answer: Callable[..., Any]) -> Feedback | None:
    """Recognise detections on nothing that count."""
    if _called(answer, _found((-1, 0.9)), _BOX[:1]) < 0.01:
        return None
    return wrong(
        "A detection that touches no box counts as right.", misconception="the threshold not used"
    )


def _no_envelope(answer: Callable[..., Any]) -> Feedback | None:
    """Recognise the precision at a recall for the best from there on."""
    value = _called(answer, _found((-1, 0.9), (0, 0.8), (1, 0.7)), _BOX)
    if math.isclose(value, 2 / 3, abs_tol=1e-3):
        return None
    return wrong(
        "At low recalls the precision rises again further on, and that best one counts.",
        misconception="not the best precision from there on",
    )


LOOKS = (_threshold_unused, _missed_forgotten, _taken_twice, _unsorted, _no_envelope)


# --- 4: cells instead of digits ---


def check_new_cells(answer: Any) -> Feedback:
    """Check that two trainings on the same drawn smears were scored on val."""
    what = "a dictionary with the keys 'scratch' and 'full'"
    given = as_mapping(answer, ("scratch", "full"), what=what)
    scores = {name: _as_scores(value) for name, value in given.items()}
    if (found := chosen_on_test(scores.values())) is not None:
        return found
    if any(one.split == "train" for one in scores.values()):
        return wrong(
            "These are scores of the pictures that were trained on.",
            misconception="training score for test score",
        )
    if any(one.classes != CELLS for one in scores.values()):
        return wrong(
            f"These detectors name {', '.join(scores['full'].classes)}: load the new data.",
            misconception="the chapter's own data",
        )
    scratch, full = scores["scratch"], scores["full"]
    if scratch.ids != full.ids:
        return wrong(
            "The two were scored on different pictures: give both the same splits.",
            misconception="the pictures are not the same",
        )
    is_rehearsal = runtime.scale() == "rehearsal"  # there both start from the same random weights
    if not is_rehearsal and _same(scratch.predictions, full.predictions):
        return wrong(
            "Both detectors say exactly the same: was the strategy passed on?",
            misconception="the two are one training",
        )
    return right(
        f"mAP50 on {len(full.ids)} smears: {full.value:.3f} fine-tuned, {scratch.value:.3f} from "
        "scratch. One seed shows a difference; a claim needs five."
    )


def _as_scores(value: Any) -> Scores:
    """Return scores of boxes, also from the result of a training."""
    value = value.scores if isinstance(value, Result) else value
    if not isinstance(value, Scores) or value.task != "detection":
        raise WrongKind("scores of a detector, such as `companion.fit(...).scores`", value)
    return value


def _same(first: Any, second: Any) -> bool:
    """Return whether all detections are equal; none at all is no sign of one training."""
    pairs = list(zip(first, second, strict=True))
    return any(len(a) for a, _ in pairs) and all(torch.equal(a, b) for a, b in pairs)
