"""Splits of images with boxes: what is a label, budgets in images, parts that hold a box."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from companion.checks import CompanionError
from companion.evaluation import score
from companion.registry import DatasetCard
from companion.splits import (
    BOX_COLUMNS,
    Split,
    Splits,
    TestSplit,
    as_boxes,
    draw,
    hold_out,
    k_shot,
)

CLASSES = ("cup", "plate", "fork")
CARD = DatasetCard("table", "Table", "vision", "detection", CLASSES, "MIT", "here")
GOOD = [1, 0.1, 0.2, 0.5, 0.6]


def make(num_images: int, *, name: str = "pool", start: int = 0, **options) -> Split:
    """A split whose image i is as grey as its number and has i modulo 3 boxes."""
    numbers = range(start, start + num_images)
    images = torch.stack(
        [torch.full((3, 4, 4), number % 256).to(torch.uint8) for number in numbers]
    )
    rows = [torch.tensor([[k, 0.1 * k, 0.2, 0.1 * k + 0.3, 0.9] for k in range(n % 3)])
            for n in numbers]  # fmt: skip
    ids = [f"photo/{number}" for number in numbers]
    return Split(name, images, rows, ids, CLASSES, task="detection", **options)


TEST = make(6, name="test", start=1000)


# What is a box


def test_boxes_become_one_tensor_an_image():
    given = [
        [GOOD, [2, 0, 0, 1, 1]],
        [],
        np.array([GOOD]),
        torch.zeros(0),
        torch.tensor([GOOD]).double(),
    ]
    found = as_boxes("labels", given, num_classes=3)
    assert [tuple(rows.shape) for rows in found] == [(2, 5), (0, 5), (1, 5), (0, 5), (1, 5)]
    assert {rows.dtype for rows in found} == {torch.float32}
    assert found[0].tolist() == [pytest.approx(GOOD), [2, 0, 0, 1, 1]]
    assert found[2].tolist() == found[4].tolist() == [pytest.approx(GOOD)]
    assert BOX_COLUMNS[1:] == ("x_min", "y_min", "x_max", "y_max")


def test_a_tensor_of_as_many_boxes_each_is_taken():
    whole = torch.tensor([[GOOD], [GOOD]])
    assert [tuple(rows.shape) for rows in as_boxes("labels", whole, num_classes=2)] == [(1, 5)] * 2


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (7, "labels: got a int; expected one tensor (boxes, 5) an image: class id, x_min"),
        (None, "labels: got a NoneType; expected one tensor (boxes, 5) an image"),
        ("boxes", "labels: got a str; expected one tensor (boxes, 5) an image"),
        (torch.tensor(3.0), "labels: got a Tensor; expected one tensor (boxes, 5) an image"),
        ([[GOOD], ["a", "b"]], "labels, image 1: got ['a', 'b']; expected one tensor (boxes, 5)"),
        ([[GOOD, GOOD[:4]]], "labels, image 0: got [[1, 0.1, 0.2, 0.5, 0.6], [1, 0.1, 0.2, ; exp"),
        ([[GOOD], GOOD], "labels, image 1: got shape (5,); expected one tensor (boxes, 5)"),
        ([[[*GOOD, 0.9]]], "labels, image 0: got shape (1, 6); expected one tensor (boxes, 5)"),
        ([[GOOD, [3, 0, 0, 1, 1]]], "image 0: got the box (3, 0, 0, 1, 1); expected a class id in "
         "0..2"),
        ([[[-1, 0, 0, 1, 1]]], "got the box (-1, 0, 0, 1, 1); expected a class id in 0..2"),
        ([[[0.5, 0, 0, 1, 1]]], "got the box (0.5, 0, 0, 1, 1); expected a class id in 0..2"),
        ([[], [[0, 12, 20, 50, 60]]], "labels, image 1: got the box (0, 12, 20, 50, 60); expected "
         "corners as fractions of width and height, in [0, 1]"),
        ([[[0, -0.1, 0, 1, 1]]], "expected corners as fractions"),
        ([[[0, 0.5, 0, 0.5, 1]]], "got the box (0, 0.5, 0, 0.5, 1); expected x_min below x_max and "
         "y_min below y_max"),
        ([[[0, 0, 0.7, 1, 0.2]]], "expected x_min below x_max and y_min below y_max; correct it, "
         "or leave it out and say so"),
        ([[[0, 0, float("nan"), 1, 1]]], "got the box (0, 0, nan, 1, 1); expected finite numbers"),
        ([[[float("inf"), 0, 0, 1, 1]]], "got the box (inf, 0, 0, 1, 1); expected finite numbers"),
    ],
)  # fmt: skip
def test_what_is_no_label_is_refused(rows, message):
    with pytest.raises(CompanionError, match=re.escape(message)):
        as_boxes("labels", rows, num_classes=3)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (GOOD, "predictions, image 0: got shape (1, 5); expected one tensor (boxes, 6) an image: "
         "class id, x_min, y_min, x_max, y_max, score"),
        ([*GOOD, 1.2], "got the box (1, 0.1, 0.2, 0.5, 0.6, 1.2); expected a score in [0, 1]"),
        ([*GOOD, -0.1], "expected a score in [0, 1]"),
        ([*GOOD, float("nan")], "expected finite numbers"),
        ([1, 0.5, 0.2, 0.1, 0.6, 0.9], "expected x_min below x_max"),
    ],
)  # fmt: skip
def test_what_is_no_prediction_is_refused(row, message):
    with pytest.raises(CompanionError, match=re.escape(message)):
        as_boxes("predictions", [[row]], num_classes=3, with_scores=True)


def test_a_prediction_clipped_to_the_edge_may_have_no_area():
    row = [1, 1.0, 0.2, 1.0, 0.6, 0.9]
    (found,) = as_boxes("predictions", [[row]], num_classes=3, with_scores=True)
    assert found.tolist() == [pytest.approx(row)]


@pytest.mark.parametrize("predictions", [None, 3])
def test_scoring_what_is_no_list_of_boxes_is_refused(predictions):
    with pytest.raises(
        CompanionError, match=r"predictions: got a .*expected one tensor \(boxes, 6\)"
    ):
        score(make(3), predictions)


# Splits


def test_a_split_names_the_wrong_image_and_keeps_empty_ones():
    split = make(4)
    assert [tuple(rows.shape) for rows in split.labels] == [(0, 5), (1, 5), (2, 5), (0, 5)]
    assert split.class_counts() == {"cup": 2, "plate": 1, "fork": 0}
    chosen = split.subset([2, 0])
    assert [len(rows) for rows in chosen.labels] == [2, 0]
    with pytest.raises(CompanionError, match=r"labels of split 'pool', image 1: got the box \(9"):
        Split("pool", split.inputs[:2], [[], [[9, 0, 0, 1, 1]]], ["a", "b"], CLASSES,
              task="detection")  # fmt: skip


def test_fingerprint_tells_boxes_apart():
    first, again, other = make(4), make(4), make(4)
    other.labels[2][0, 1] += 0.01
    moved = make(4)
    moved.labels[0], moved.labels[1] = moved.labels[1], moved.labels[0]
    found = [split.fingerprint() for split in (first, again, other, moved)]
    assert found[0] == found[1]
    assert len(set(found)) == 3


@pytest.mark.parametrize(("k", "train", "val"), [(1, 1, 0), (4, 4, 0), (5, 4, 1), (9, 8, 1),
                                                 (10, 8, 2), (30, 24, 6)])  # fmt: skip
def test_the_budget_counts_images_and_a_fifth_is_val(k, train, val):
    pool = make(60)
    pool = pool.subset([p for p in range(60) if len(pool.labels[p])])
    found = draw(pool, TEST, CARD, labels_per_class=k, seed=3)
    assert len(found.train) == train
    assert (0 if found.val is None else len(found.val)) == val
    ids = [*found.train.ids, *(found.val.ids if found.val else ())]
    assert len(set(ids)) == k and set(ids) <= set(pool.ids)


def test_a_smaller_budget_is_a_part_of_a_larger_one():
    pool = make(60)
    drawn = {k: set(k_shot(pool, k, seed=4).ids) for k in (1, 5, 20, 60)}
    assert drawn[1] < drawn[5] < drawn[20] < drawn[60] == set(pool.ids)
    assert set(k_shot(pool, 20, seed=5).ids) != drawn[20]
    wholes = []
    for k in (10, 20):
        found = draw(pool, TEST, CARD, labels_per_class=k, seed=4)
        wholes.append({*found.train.ids, *found.val.ids})
    assert wholes[0] == set(k_shot(pool, 10, seed=4).ids) < wholes[1]


def test_images_stay_with_their_boxes_when_drawn():
    pool = make(30)
    for part in (k_shot(pool, 12, seed=1), *hold_out(pool, seed=1)):
        for image, rows, name in zip(part.inputs, part.labels, part.ids, strict=True):
            number = int(name.removeprefix("photo/"))
            assert (int(image[0, 0, 0]), len(rows)) == (number, number % 3)


def test_parts_of_a_pool_are_disjoint():
    pool = make(30)
    rest, held = hold_out(pool, share=0.2)
    assert (len(rest), len(held)) == (24, 6)
    assert set(rest.ids) | set(held.ids) == set(pool.ids)
    first, second = k_shot(pool, 10, seed=2), k_shot(pool, 10, seed=2, skip=10)
    assert len(first) == len(second) == 10
    assert not set(first.ids) & set(second.ids)


def test_groups_are_kept_together():
    pool = make(30, groups=[n // 3 for n in range(30)])
    rest, held = hold_out(pool, share=0.2, grouped=True)
    assert len(held) == 6
    assert not set(rest.groups) & set(held.groups)


def test_more_images_than_there_are_is_refused():
    message = (
        "split 'pool': got 6 items; expected at least 7 for 7 labelled images; ask for fewer, "
    )
    with pytest.raises(CompanionError, match=message):
        k_shot(make(6), 7)


def test_images_without_a_single_box_are_nothing_to_learn_from_or_choose_by():
    pool = make(12)
    empty, full = pool.subset([0, 3]), pool.subset([1, 4])
    test = TestSplit(TEST)
    for train, val, message in (
        (empty, full, "boxes in train: got none in 2 images; expected at least one; take more"),
        (full, empty, "boxes in val: got none in 2 images; expected at least one"),
    ):
        with pytest.raises(CompanionError, match=message):
            Splits(train=train, val=val, test=test, card=CARD)
    both = Splits(train=pool.subset([0, 1]), val=pool.subset([3, 4]), test=test, card=CARD)
    assert (len(both.train), len(both.val)) == (2, 2)
    assert Splits(train=full, val=None, test=test, card=CARD).val is None
