"""Average precision against a slow rewrite and COCO's own program; intervals; kinds of mistakes."""

from __future__ import annotations

import contextlib
import io
import math
import time

import numpy as np
import pytest
import torch

from companion.checks import CompanionError
from companion.evaluation import detection
from companion.evaluation.detection import IOU_THRESHOLDS, RECALLS

CLASSES = ("cat", "dog", "owl")
NO_COCO = "pycocotools is not installed: pip install -c constraints.txt -e '.[test]'"


def box_rows(rows, columns):
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, columns)


def random_boxes(rng, size, grid):
    """Boxes in [0, 1]; on a grid of so many steps, where IoUs tie and reach thresholds exactly."""
    low = rng.integers(0, grid - 1, (size, 2))
    high = np.minimum(low + rng.integers(1, grid // 2 + 1, (size, 2)), grid)
    return np.concatenate([low, high], axis=1) / grid


def random_case(seed, *, num_images=8, num_classes=3, grid=64, crowd=1, tied=False):
    """Labels, and predictions that are moved labels, some of another class, and inventions."""
    rng = np.random.default_rng(seed)
    labels, predictions = [], []
    for _ in range(num_images):
        boxes = random_boxes(rng, rng.integers(0, 6 * crowd), grid)
        classes = rng.integers(0, num_classes, len(boxes))
        labels.append(box_rows(np.column_stack([classes, boxes]), 5))
        twice = np.repeat(np.arange(len(boxes)), rng.choice(3, len(boxes), p=[0.2, 0.6, 0.2]))
        moved = boxes[twice] + rng.integers(-2, 3, (len(twice), 4)) / grid
        invented = random_boxes(rng, rng.integers(0, 3 * crowd), grid)
        ids = rng.integers(0, num_classes, len(moved) + len(invented))
        same = rng.random(len(moved)) < 0.8
        ids[: len(moved)] = np.where(same, classes[twice], ids[: len(moved)])
        found = np.clip(np.concatenate([moved, invented]), 0, 1)
        kept = (found[:, 0] < found[:, 2]) & (found[:, 1] < found[:, 3])
        found, ids = found[kept], ids[kept]
        scores = rng.integers(1, 5, len(found)) / 5 if tied else rng.random(len(found))
        predictions.append(box_rows(np.column_stack([ids, found, scores]), 6))
    return predictions, labels


CASES = {
    **{f"plain {seed}": {"seed": seed} for seed in range(20)},
    **{f"coarse grid {seed}": {"seed": seed, "grid": 8} for seed in range(20)},
    **{f"tied scores {seed}": {"seed": seed, "grid": 8, "tied": True} for seed in range(20)},
    **{f"crowded {seed}": {"seed": seed, "num_images": 3, "crowd": 30} for seed in range(4)},
    **{
        f"crowded and tied {seed}": {
            "seed": seed, "num_images": 2, "num_classes": 1, "crowd": 60, "grid": 8, "tied": True
        }
        for seed in range(4)
    },
    **{f"mostly empty {seed}": {"seed": seed, "num_classes": 12, "num_images": 3}
       for seed in range(8)},
}  # fmt: skip


# --- oracles -----------------------------------------------------------------------------------


def slow_iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def slow_precision(predictions, labels, number, threshold, max_detections=100):
    """Average precision of one class at one IoU, in plain loops; None without a box."""
    ranked, total = [], 0
    for found, truth in zip(predictions, labels, strict=True):
        boxes = [row[1:] for row in truth.double().tolist() if row[0] == number]
        total += len(boxes)
        rows = [row for row in found.double().tolist() if row[0] == number]
        rows = sorted(rows, key=lambda row: -row[5])[:max_detections]
        free = set(range(len(boxes)))
        for row in rows:
            ious = [(slow_iou(row[1:5], boxes[i]), i) for i in free]
            best = max(ious, default=(0.0, -1))
            if best[0] >= threshold:
                free.remove(best[1])
            ranked.append((row[5], best[0] >= threshold))
    if total == 0:
        return None
    ranked.sort(key=lambda pair: -pair[0])
    points, right = [], 0
    for seen, (_, hit) in enumerate(ranked, start=1):
        right += hit
        points.append((right / total, right / seen))
    best = [max((p for r, p in points if r >= level), default=0.0) for level in RECALLS]
    return sum(best) / len(best)


def coco_precision(predictions, labels, num_classes, *, width=640, height=512):
    """COCO's own average precision, (thresholds, classes), -1 for a class without boxes."""
    coco = pytest.importorskip("pycocotools.coco", reason=NO_COCO)
    cocoeval = pytest.importorskip("pycocotools.cocoeval", reason=NO_COCO)
    size = torch.tensor([width, height, width, height], dtype=torch.float64)

    def annotation(image, row):
        x_min, y_min, x_max, y_max = (row[1:5].double() * size).tolist()
        box = [x_min, y_min, x_max - x_min, y_max - y_min]
        where = {"image_id": image, "category_id": int(row[0])}
        return where | {"bbox": box, "area": box[2] * box[3], "iscrowd": 0}

    truth, found = coco.COCO(), []
    for image, (rows, boxes) in enumerate(zip(predictions, labels, strict=True)):
        truth.dataset.setdefault("images", []).append({"id": image})
        for box in boxes:
            known = truth.dataset.setdefault("annotations", [])
            known.append(annotation(image, box) | {"id": len(known) + 1})
        found += [annotation(image, row) | {"score": float(row[5])} for row in rows]
    truth.dataset["categories"] = [{"id": number} for number in range(num_classes)]
    truth.dataset.setdefault("annotations", [])
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        run = cocoeval.COCOeval(truth, truth.loadRes(found), "bbox")
        run.evaluate()
        run.accumulate()
    precision = run.eval["precision"][:, :, :, 0, -1]
    return precision.mean(axis=1), precision[precision > -1]


# --- average precision -------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_average_precision_is_cocos_and_a_slow_rewrite(name):
    case = CASES[name]
    predictions, labels = random_case(**case)
    num_classes = case.get("num_classes", 3)
    matches = detection.match_detections(predictions, labels, num_classes)
    found = detection.average_precision(matches)
    wanted, _ = coco_precision(predictions, labels, num_classes)
    assert np.isnan(found[0]).tolist() == (wanted[0] < 0).tolist()
    assert np.nan_to_num(found, nan=-1.0) == pytest.approx(wanted, abs=1e-9)
    for number in range(min(num_classes, 3)):
        slow = slow_precision(predictions, labels, number, IOU_THRESHOLDS[2])
        assert found[2, number] == pytest.approx(math.nan if slow is None else slow, nan_ok=True)


def test_the_cases_hold_what_they_are_for():
    """Ties, empty images, more than a hundred detections of a class, values that are not 0 or 1."""
    tied, _ = random_case(**CASES["tied scores 0"])
    scores = torch.cat(tied)[:, 5]
    assert len(scores.unique()) < len(scores) / 4
    predictions, labels = random_case(**CASES["crowded and tied 0"])
    assert max(len(rows) for rows in predictions) > 120
    empty = [len(rows) == 0 for name in CASES for rows in random_case(**CASES[name])[1]]
    assert 30 < sum(empty) < len(empty)
    values = [detection.detection_values(*random_case(seed), CLASSES)["map50"] for seed in range(9)]
    assert 0.05 < min(values) < max(values) < 0.95


@pytest.mark.parametrize("seed", range(6))
def test_values_are_cocos_means(seed):
    predictions, labels = random_case(seed, num_images=5)
    by_class, points = coco_precision(predictions, labels, len(CLASSES))
    found = detection.detection_values(predictions, labels, CLASSES)
    assert list(found) == ["map50", "map", "ap50_cat", "ap50_dog", "ap50_owl"]
    assert found["map"] == pytest.approx(points.mean(), abs=1e-9)
    assert found["map50"] == pytest.approx(by_class[0][by_class[0] >= 0].mean(), abs=1e-9)
    assert found["ap50_dog"] == pytest.approx(by_class[0, 1], abs=1e-9)


def test_a_case_by_hand():
    """Scores 0.9 right, 0.8 wrong, 0.7 right, of three boxes: 1 up to 1/3, 2/3 up to 2/3, then 0.

    Recalls 0.00 to 0.33 are 34 points, 0.34 to 0.66 are 33.
    """
    labels = [box_rows([[0, 0.0, 0.0, 0.1, 0.1], [0, 0.2, 0.2, 0.4, 0.4], [0, 0.5, 0.5, 1, 1]], 5)]
    predictions = [
        box_rows(
            [
                [0, 0.2, 0.2, 0.4, 0.4, 0.7],
                [0, 0.0, 0.0, 0.1, 0.1, 0.9],
                [0, 0.7, 0.0, 0.9, 0.1, 0.8],
            ],
            6,
        )
    ]
    found = detection.detection_values(predictions, labels, ["owl"])
    assert found["ap50_owl"] == pytest.approx((34 * 1 + 33 * 2 / 3) / 101)


def test_perfect_detections_score_one_and_none_score_zero():
    _, labels = random_case(1)
    perfect = [torch.cat([rows, torch.ones(len(rows), 1)], dim=1) for rows in labels]
    nothing = [rows.new_zeros(0, 6) for rows in labels]
    assert detection.detection_values(perfect, labels, CLASSES)["map"] == pytest.approx(1.0)
    assert detection.detection_values(nothing, labels, CLASSES)["map"] == 0.0


def test_a_box_is_found_once_and_a_second_time_is_a_false_alarm():
    labels = [box_rows([[0, 0.1, 0.1, 0.5, 0.5], [0, 0.6, 0.6, 0.9, 0.9]], 5)]
    twice = [box_rows([[0, 0.1, 0.1, 0.5, 0.5, 0.9]] * 2 + [[0, 0.6, 0.6, 0.9, 0.9, 0.5]], 6)]
    found = detection.detection_values(twice, labels, ["owl"])
    assert found["map50"] == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)


def test_a_detection_whose_best_box_is_taken_takes_the_next():
    labels = [box_rows([[0, 0.0, 0.0, 0.5, 0.5], [0, 0.0, 0.05, 0.5, 0.5]], 5)]
    predictions = [box_rows([[0, 0.0, 0.0, 0.5, 0.5, 0.9], [0, 0.0, 0.01, 0.5, 0.5, 0.8]], 6)]
    matches = detection.match_detections(predictions, labels, 1, [0.5])
    assert matches.boxes.tolist() == [[0, 1]]
    assert matches.rows.tolist() == [0, 1]


def test_rows_point_at_predictions_and_boxes_at_labels():
    predictions, labels = random_case(3, crowd=3)
    matches = detection.match_detections(predictions, labels, 3, [0.5, 0.75])
    assert (matches.boxes >= 0).sum() > 20
    for level, threshold in enumerate(matches.thresholds):
        taken = set()
        for image, row, box in zip(matches.images, matches.rows, matches.boxes[level], strict=True):
            if box >= 0:
                detected, truth = predictions[image][row].double(), labels[image][box].double()
                assert detected[0] == truth[0]
                assert slow_iou(detected[1:5].tolist(), truth[1:].tolist()) >= threshold
                assert (image, box) not in taken
                taken.add((image, box))


def test_max_detections_counts_for_each_class_of_each_image():
    predictions, labels = random_case(5, crowd=10, num_images=3)
    matches = detection.match_detections(predictions, labels, 3, [0.5], max_detections=2)
    assert len(matches.images) == 18
    found = detection.average_precision(matches)[0]
    slow = [slow_precision(predictions, labels, c, 0.5, max_detections=2) for c in range(3)]
    assert found == pytest.approx(slow)


def test_order_of_rows_and_stretching_change_nothing():
    predictions, labels = random_case(6)
    wanted = detection.detection_values(predictions, labels, CLASSES)
    turned = [rows.flip(0) for rows in predictions], [rows.flip(0) for rows in labels]
    assert detection.detection_values(*turned, CLASSES) == pytest.approx(wanted)
    halved = torch.tensor([1, 0.5, 1, 0.5, 1])
    low = [rows * torch.cat([halved, torch.ones(1)]) for rows in predictions]
    found = detection.detection_values(low, [rows * halved for rows in labels], CLASSES)
    assert found == pytest.approx(wanted)


def test_a_class_without_boxes_counts_nowhere():
    labels = [box_rows([[1, 0.1, 0.1, 0.5, 0.5]], 5)]
    predictions = [box_rows([[1, 0.1, 0.1, 0.5, 0.5, 0.9], [0, 0.1, 0.1, 0.5, 0.5, 0.9]], 6)]
    found = detection.detection_values(predictions, labels, CLASSES)
    assert (found["map50"], found["ap50_dog"]) == pytest.approx((1.0, 1.0))
    assert math.isnan(found["ap50_cat"])
    assert math.isnan(found["ap50_owl"])


@pytest.mark.parametrize("images", [[0, 1, 2], [4], [0, 0, 3, 5, 5, 5], [7, 2]])
def test_some_images_are_scored_as_if_matched_alone(images):
    predictions, labels = random_case(11)
    matches = detection.match_detections(predictions, labels, 3)
    alone = detection.match_detections([predictions[i] for i in images],
                                       [labels[i] for i in images], 3)  # fmt: skip
    found = detection.average_precision(matches, images)
    assert found == pytest.approx(detection.average_precision(alone), nan_ok=True)


# --- intervals ---------------------------------------------------------------------------------


def slow_interval(predictions, labels, metric, num_resamples, seed, units=None):
    """Draw images (or groups of them) and score each resample from the beginning."""
    units = units or [[i] for i in range(len(labels))]
    drawn = np.random.default_rng(seed).integers(0, len(units), (num_resamples, len(units)))
    values = []
    for row in drawn:
        images = sorted(image for unit in row for image in units[unit])
        rows = [predictions[i] for i in images], [labels[i] for i in images]
        values.append(detection.detection_values(*rows, CLASSES)[metric])
    return np.quantile([v for v in values if not math.isnan(v)], [0.025, 0.975])


@pytest.mark.parametrize("metric", ["map50", "map", "ap50_dog"])
def test_the_interval_is_a_slow_rewrite(metric):
    predictions, labels = random_case(7, num_images=12)
    found = detection.detection_interval(
        predictions, labels, CLASSES, metric, seed=3, num_resamples=60
    )
    wanted = slow_interval(predictions, labels, metric, 60, 3)
    assert (found.low, found.high) == pytest.approx(tuple(wanted), abs=1e-12)
    assert found.method == "bootstrap over 12 images"
    assert detection.detection_values(predictions, labels, CLASSES)[metric] in found


def test_the_interval_draws_whole_groups():
    predictions, labels = random_case(8, num_images=30)
    groups = [f"film {i % 10}" for i in range(30)]
    units = [[i for i in range(30) if i % 10 == group] for group in range(10)]
    found = detection.detection_interval(
        predictions, labels, CLASSES, num_resamples=40, groups=groups
    )
    wanted = slow_interval(predictions, labels, "map50", 40, 0, units)
    assert (found.low, found.high) == pytest.approx(tuple(wanted), abs=1e-12)
    assert found.method == "bootstrap over 10 groups"


def test_the_interval_in_pieces_is_the_same(monkeypatch):
    predictions, labels = random_case(9, num_images=12)
    whole = detection.detection_interval(predictions, labels, CLASSES, num_resamples=50)
    monkeypatch.setattr(detection.precision, "_CHUNK", 100)
    assert whole == detection.detection_interval(predictions, labels, CLASSES, num_resamples=50)
    other = detection.detection_interval(predictions, labels, CLASSES, num_resamples=50, seed=1)
    assert whole != other


def test_matching_in_pieces_is_the_same(monkeypatch):
    predictions, labels = random_case(9, crowd=4)
    whole = detection.detection_values(predictions, labels, CLASSES)
    monkeypatch.setattr(detection.matching, "_CHUNK", 7)
    assert whole == detection.detection_values(predictions, labels, CLASSES)


def test_resamples_without_a_box_are_left_out():
    """One image in six has a box: two resamples in five have none, and none of them counts."""
    empty = [box_rows([], 5)] * 5
    labels = [box_rows([[0, 0.1, 0.1, 0.5, 0.5]], 5), *empty]
    predictions = [box_rows([[0, 0.1, 0.1, 0.5, 0.5, 0.9]], 6), *[box_rows([], 6)] * 5]
    found = detection.detection_interval(predictions, labels, CLASSES)
    assert (found.low, found.high) == pytest.approx((1.0, 1.0))


def test_a_thousand_resamples_are_fast():
    predictions, labels = random_case(10, num_images=100, num_classes=10, crowd=3)
    names = [f"c{i}" for i in range(10)]
    started = time.process_time()
    detection.detection_interval(predictions, labels, names, num_resamples=1000)
    assert time.process_time() - started < 2


# --- what went wrong ---------------------------------------------------------------------------


def test_each_kind_of_mistake():
    labels = [
        box_rows([[0, 0.0, 0.0, 0.2, 0.2], [1, 0.5, 0.5, 0.9, 0.9], [2, 0.0, 0.8, 0.1, 0.9]], 5),
        box_rows([[1, 0.2, 0.2, 0.4, 0.4]], 5),
        box_rows([], 5),
    ]
    predictions = [
        box_rows(
            [
                [0, 0.0, 0.0, 0.2, 0.2, 0.99],
                [0, 0.0, 0.0, 0.2, 0.21, 0.95],
                [2, 0.5, 0.5, 0.9, 0.88, 0.9],
                [1, 0.7, 0.5, 1.0, 0.9, 0.8],
                [0, 0.3, 0.3, 0.4, 0.4, 0.7],
                [2, 0.0, 0.8, 0.1, 0.9, 0.3],
            ],
            6,
        ),
        box_rows([[1, 0.3, 0.2, 0.5, 0.4, 0.6]], 6),
        box_rows([[1, 0.3, 0.2, 0.5, 0.4, 0.5]], 6),
    ]
    found = detection.detection_errors(predictions, labels, CLASSES)
    assert found.detections == (
        ("right", "doubled", "confused", "badly placed", "background", "unsure"),
        ("badly placed",),
        ("background",),
    )
    assert found.judged_by == ((0, 0, 1, 1, -1, -1), (0,), (-1,))
    assert found.boxes == (("right", "confused", "missed"), ("badly placed",), ())
    assert found.counts == {"right": 1, "doubled": 1, "confused": 1, "badly placed": 2,
                            "background": 2, "missed": 1}  # fmt: skip
    assert found.places("badly placed") == [(0, 3), (1, 0)]
    assert found.places("missed") == [(0, 2)]
    strict = detection.detection_errors(predictions, labels, CLASSES, min_score=0.2, iou=0.3)
    assert strict.detections == (
        ("right", "doubled", "confused", "right", "background", "right"),
        ("right",),
        ("background",),
    )


@pytest.mark.parametrize("seed", range(5))
def test_right_ones_are_those_that_average_precision_counts(seed):
    predictions, labels = random_case(seed, crowd=4)
    found = detection.detection_errors(predictions, labels, CLASSES, min_score=0.0)
    matches = detection.match_detections(predictions, labels, 3, [0.5])
    hits = matches.boxes[0] >= 0
    places = zip(matches.images[hits].tolist(), matches.rows[hits].tolist(), strict=True)
    assert sorted(places) == found.places("right")
    assert found.counts["right"] == sum(kinds.count("right") for kinds in found.boxes)
    few = detection.detection_errors(predictions, labels, CLASSES, min_score=0.6)
    for rows, kinds in zip(predictions, few.detections, strict=True):
        assert [kind == "unsure" for kind in kinds] == (rows[:, 5] < 0.6).tolist()


def test_no_images_have_no_mistakes():
    found = detection.detection_errors([], [], CLASSES)
    assert (found.detections, found.boxes, set(found.counts.values())) == ((), (), {0})
    with pytest.raises(CompanionError, match="kind: got 'mised'.*did you mean 'missed'"):
        found.places("mised")


# --- what is refused ---------------------------------------------------------------------------

GOOD = box_rows([[0, 0.1, 0.1, 0.5, 0.5]], 5)
SURE = box_rows([[0, 0.1, 0.1, 0.5, 0.5, 0.9]], 6)


def changed(rows, column, value):
    rows = rows.clone()
    rows[0, column] = value
    return rows


@pytest.mark.parametrize(
    ("predictions", "labels", "message"),
    [
        ([SURE], [GOOD, GOOD], "predictions and labels: got 1 and 2"),
        ([SURE, GOOD], [GOOD, GOOD], r"predictions of image 1: got \(1, 5\).*\(boxes, 6\)"),
        ([SURE], [[[0, 0.1, 0.1, 0.5, 0.5]]], "labels of image 0: got list"),
        ([SURE], [changed(GOOD, 0, 3)], "class ids from 0 to 2"),
        ([changed(SURE, 0, 0.5)], [GOOD], "predictions of image 0.*class ids from 0 to 2"),
        ([changed(SURE, 5, math.nan)], [GOOD], "expected finite numbers"),
        ([changed(SURE, 5, 90)], [GOOD], "score as fractions"),
        ([SURE], [changed(GOOD, 3, 64)], "divide pixels by width and height"),
        ([SURE], [changed(GOOD, 3, 0.1)], "labels of image 0.*x_min < x_max"),
        ([changed(SURE, 3, 0.05)], [GOOD], "predictions of image 0.*x_min < x_max"),
        ([SURE], [GOOD[:0]], "got 1 images without a labelled box"),
        ([], [], "got 0 images without a labelled box"),
    ],
)
def test_bad_input_is_refused(predictions, labels, message):
    with pytest.raises(CompanionError, match=message):
        detection.detection_values(predictions, labels, CLASSES)


def test_boxes_without_area_are_no_mistake_of_a_detector():
    found = detection.detection_values([changed(SURE, 3, 0.1)], [GOOD], CLASSES)
    assert found["map50"] == 0.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "map75"}, "metric: got 'map75'.*'map50'"),
        ({"metric": "ap50_dog"}, "without a labelled box"),
        ({"num_resamples": 0}, "num_resamples"),
        ({"level": 95}, "level"),
        ({"groups": [0] * 9}, "got 1 groups; expected at least 10"),
        ({"groups": [0]}, "groups and images: got 1 and 9"),
    ],
)
def test_an_interval_refuses(options, message):
    with pytest.raises(CompanionError, match=message):
        detection.detection_interval([SURE] * 9, [GOOD] * 9, CLASSES, **options)


@pytest.mark.parametrize("threshold", [0.0, 1.5, math.nan])
def test_an_iou_threshold_is_above_0_and_at_most_1(threshold):
    with pytest.raises(CompanionError, match="IoU threshold"):
        detection.match_detections([SURE], [GOOD], 1, [threshold])


def test_an_image_that_is_not_there_is_refused():
    matches = detection.match_detections([SURE], [GOOD], 1)
    for images in ([1], [-1]):
        with pytest.raises(CompanionError, match="expected from 0 to 0"):
            detection.average_precision(matches, images)
