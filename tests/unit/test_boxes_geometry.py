"""companion.boxes.geometry: against counted pixels and against torchvision's operations."""

import pytest
import torch
from torchvision import ops

from companion.boxes import (
    box_area,
    box_iou,
    centres_to_corners,
    clip_boxes,
    corners_to_centres,
    corners_to_sizes,
    fractions_to_pixels,
    nms,
    pixels_to_fractions,
    sizes_to_corners,
)
from companion.checks import CompanionError


def random_boxes(num_boxes, *, seed=0, side=20):
    """Boxes with whole corners in a small image, so that many overlap and some are equal."""
    generator = torch.Generator().manual_seed(seed)
    low = torch.randint(0, side - 1, (num_boxes, 2), generator=generator)
    size = torch.randint(1, side // 2, (num_boxes, 2), generator=generator)
    return torch.cat([low, (low + size).clamp(max=side)], dim=1).float()


def covered(box, side=20):
    """The set of unit squares that a box with whole corners covers."""
    x_min, y_min, x_max, y_max = map(int, box)
    return {(x, y) for x in range(x_min, x_max) for y in range(y_min, y_max)}


def test_one_box_in_every_way_of_writing():
    corners = torch.tensor([[10.0, 20.0, 40.0, 60.0]])
    assert corners_to_centres(corners).tolist() == [[25, 40, 30, 40]]
    assert corners_to_sizes(corners).tolist() == [[10, 20, 30, 40]]
    assert pixels_to_fractions(corners, width=100, height=80).tolist() == [
        pytest.approx([0.1, 0.25, 0.4, 0.75])
    ]
    assert box_area(corners).tolist() == [1200]


@pytest.mark.parametrize(
    ("there", "back", "torchvision_name"),
    [
        (corners_to_centres, centres_to_corners, "cxcywh"),
        (corners_to_sizes, sizes_to_corners, "xywh"),
    ],
)
def test_conversions_go_there_and_back_and_are_torchvisions(there, back, torchvision_name):
    boxes = random_boxes(30).reshape(5, 6, 4)
    assert torch.equal(there(boxes), ops.box_convert(boxes, "xyxy", torchvision_name))
    assert torch.equal(back(there(boxes)), boxes)


def test_fractions_and_pixels_go_there_and_back_for_every_axis():
    boxes = random_boxes(30)
    fractions = pixels_to_fractions(boxes, width=40, height=25)
    assert torch.allclose(fractions * torch.tensor([40.0, 25, 40, 25]), boxes)
    assert torch.allclose(fractions_to_pixels(fractions, width=40, height=25), boxes)


def test_iou_is_the_share_of_the_squares_that_both_cover():
    first, second = random_boxes(12), random_boxes(9, seed=1)
    expected = [
        [len(covered(a) & covered(b)) / len(covered(a) | covered(b)) for b in second] for a in first
    ]
    assert torch.allclose(box_iou(first, second), torch.tensor(expected))
    assert box_area(first).tolist() == [len(covered(box)) for box in first]


def test_iou_and_its_generalisation_are_torchvisions():
    first, second = random_boxes(40).double(), random_boxes(30, seed=1).double()
    assert torch.allclose(box_iou(first, second), ops.box_iou(first, second))
    found = box_iou(first, second, generalised=True)
    assert torch.allclose(found, ops.generalized_box_iou(first, second))
    assert float(found.min()) < -0.5, "some lie far apart"


def test_iou_does_not_change_when_an_axis_is_stretched():
    first, second = random_boxes(20), random_boxes(20, seed=1)
    small = [pixels_to_fractions(boxes, width=640, height=48) for boxes in (first, second)]
    for generalised in (False, True):
        before = box_iou(first, second, generalised=generalised)
        assert torch.allclose(before, box_iou(*small, generalised=generalised), atol=1e-6)


def test_boxes_without_area_overlap_nothing_and_give_no_nan():
    point = torch.tensor([[3.0, 3, 3, 3]])
    inside_out = torch.tensor([[5.0, 5, 1, 1]])
    assert box_area(torch.cat([point, inside_out])).tolist() == [0, 0]
    for generalised in (False, True):
        assert box_iou(point, point, generalised=generalised).tolist() == [[0]]
    assert box_iou(inside_out, random_boxes(5)).abs().sum() == 0


def test_no_boxes_have_an_overlap_of_the_right_shape():
    assert box_iou(torch.zeros(0, 4), random_boxes(3)).shape == (0, 3)


@pytest.mark.parametrize("threshold", [0.0, 0.31, 0.5, 1.0])
@pytest.mark.parametrize("num_levels", [1, 5, 1000])
def test_nms_keeps_what_torchvision_keeps_in_the_same_order(threshold, num_levels):
    """With few levels many scores are equal: the first of them counts as better, there too.

    No overlap here is 0.31; one of 0.3 is above 0.3 for torchvision, by its rounding to 32 bits.
    """
    for seed in range(5):
        boxes = random_boxes(60, seed=seed)
        generator = torch.Generator().manual_seed(seed)
        scores = torch.randint(num_levels, (60,), generator=generator) / num_levels
        expected = ops.nms(boxes, scores, threshold)
        assert nms(boxes, scores, iou_threshold=threshold).tolist() == expected.tolist()


def test_nms_by_class_keeps_what_torchvision_keeps():
    for seed in range(5):
        boxes = random_boxes(60, seed=seed)
        generator = torch.Generator().manual_seed(seed)
        scores, classes = torch.rand(60, generator=generator), torch.arange(60) % 3
        expected = ops.batched_nms(boxes, scores, classes, 0.31)
        found = nms(boxes, scores, iou_threshold=0.31, classes=classes)
        assert found.tolist() == expected.tolist()
        assert len(found) > len(nms(boxes, scores, iou_threshold=0.31))


def test_nms_of_equal_boxes_keeps_the_first_and_of_none_keeps_none():
    boxes = random_boxes(1).repeat(4, 1)
    assert nms(boxes, torch.tensor([0.5, 0.9, 0.9, 0.1])).tolist() == [1]
    empty = nms(torch.zeros(0, 4), torch.zeros(0))
    assert empty.tolist() == [] and empty.dtype == torch.long


def test_a_chain_loses_its_middle_only():
    """A suppressed box suppresses nothing: the third overlaps the second, not the first."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]])
    assert nms(boxes, torch.tensor([0.9, 0.8, 0.7]), iou_threshold=0.3).tolist() == [0, 2]


def test_clipping_is_torchvisions_and_takes_the_area_of_what_is_outside():
    boxes = random_boxes(30) * 2 - 10
    assert torch.equal(
        clip_boxes(boxes, width=12, height=7), ops.clip_boxes_to_image(boxes, (7, 12))
    )
    assert clip_boxes(torch.tensor([-0.5, 0.2, 0.5, 1.3])).tolist() == pytest.approx(
        [0, 0.2, 0.5, 1]
    )
    assert box_area(clip_boxes(torch.tensor([[1.2, 0.0, 1.6, 1.0]]))).tolist() == [0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: box_area(torch.zeros(3, 5)), r"boxes: got shape \(3, 5\); .*labels\[:, 1:5\]"),
        (lambda: box_iou([[0, 0, 1, 1]], torch.zeros(1, 4)), "boxes: got list; expected a tensor"),
        (lambda: nms(torch.zeros(3, 4), torch.zeros(2)), r"scores: got shape \(2,\) for boxes \(3"),
        (lambda: nms(torch.zeros(2, 4), torch.zeros(2), iou_threshold=50), "iou_threshold: got 50"),
        (
            lambda: nms(torch.zeros(2, 4), torch.zeros(2), classes=torch.zeros(3)),
            r"classes: got shape \(3,\)",
        ),
        (lambda: clip_boxes(torch.zeros(1, 4), width=0), "width: got 0; expected a finite number"),
        (
            lambda: pixels_to_fractions(torch.zeros(1, 4), width=5, height=float("nan")),
            "height: got nan",
        ),
    ],
)
def test_bad_boxes_are_refused(call, message):
    with pytest.raises(CompanionError, match=message):
        call()


def test_whole_numbers_are_taken_for_what_they_are():
    boxes = torch.tensor([[0, 0, 3, 2], [1, 0, 4, 2]])
    assert box_iou(boxes, boxes)[0, 1] == pytest.approx(4 / 8)
    assert corners_to_centres(boxes)[0].tolist() == [1.5, 1, 3, 2]


ONE, TWO = torch.tensor([0.0, 0, 1, 1]), torch.tensor([[0.0, 0, 1, 1], [0, 0, 0.5, 0.5]])
NAN = float("nan")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: box_iou(ONE, TWO), r"first: got shape \(4,\); .*box\[None\]"),
        (lambda: box_iou(TWO, ONE), r"second: got shape \(4,\)"),
        (lambda: box_iou(TWO[None], TWO), r"first: got shape \(1, 2, 4\); .*boxes of one image"),
        (lambda: box_iou(TWO.tolist(), TWO), "boxes: got list; expected a tensor"),
        (lambda: nms(ONE, torch.ones(1)), r"boxes: got shape \(4,\)"),
        (lambda: nms(TWO, [0.9, 0.8]), r"scores: got \[0.9, 0.8\], a list; expected a Tensor"),
        (lambda: nms(TWO, torch.ones(2), classes=[0, 1]), r"classes: got \[0, 1\], a list"),
        (lambda: nms(TWO, torch.tensor([0.5, NAN])), "scores: got a NaN"),
        (lambda: nms(TWO * NAN, torch.ones(2)), "boxes: got a NaN"),
    ],
)
def test_what_is_no_list_of_boxes_is_refused(call, message):
    with pytest.raises(CompanionError, match=message):
        call()
