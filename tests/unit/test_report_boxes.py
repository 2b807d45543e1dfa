"""Boxes drawn on pictures: where the frames lie, what is left out, and what is refused."""

from __future__ import annotations

import pytest
import torch
from matplotlib.colors import to_hex

from companion import report
from companion.checks import CompanionError

CLASSES = ("round", "square $x$")
LABELS = torch.tensor([[0, 0.25, 0.5, 0.75, 1.0]])
FOUND = torch.tensor([[1, 0.0, 0.0, 0.5, 0.25, 0.9], [0, 0.5, 0.5, 1.0, 1.0, 0.3]])
IMAGE = torch.zeros(3, 40, 80)


def frames(axes, style):
    """Corners of the frames drawn in a line style, in the axes' units."""
    return [
        (p.get_x(), p.get_y(), p.get_x() + p.get_width(), p.get_y() + p.get_height())
        for p in axes.patches
        if p.get_linestyle() == style
    ]


def test_fractions_become_edges_of_pixels():
    axes = report.plot_boxes([IMAGE], classes=CLASSES, labels=[LABELS]).axes[0]
    assert frames(axes, "--") == [(19.5, 19.5, 59.5, 39.5)]
    assert axes.get_xlim() == (-0.5, 79.5)


def test_detections_below_the_threshold_are_left_out():
    figure = report.plot_boxes([IMAGE], classes=CLASSES, detections=[FOUND])
    assert frames(figure.axes[0], "-") == [(-0.5, -0.5, 39.5, 9.5)]
    assert [text.get_text() for text in figure.axes[0].texts] == ["square $x$ 0.90"]
    both = report.plot_boxes([IMAGE], classes=CLASSES, detections=[FOUND], min_score=0.3)
    assert len(frames(both.axes[0], "-")) == 2
    assert "2 detections with a score of at least 0.30" in report.alt_text(both)


def test_labels_are_named_only_where_no_detections_are_drawn():
    alone = report.plot_boxes([IMAGE], classes=CLASSES, labels=[LABELS]).axes[0]
    assert [text.get_text() for text in alone.texts] == ["round"]
    beside = report.plot_boxes([IMAGE], classes=CLASSES, labels=[LABELS], detections=[FOUND])
    assert [text.get_text() for text in beside.axes[0].texts] == ["square $x$ 0.90"]


def test_names_can_be_left_out():
    for given in ({"labels": [LABELS]}, {"detections": [FOUND]}):
        axes = report.plot_boxes([IMAGE], classes=CLASSES, named=False, **given).axes[0]
        assert len(axes.texts) == 0
        assert len(axes.patches) > 0


def test_classes_have_colours_of_their_own():
    axes = report.plot_boxes([IMAGE], classes=CLASSES, detections=[FOUND], min_score=0).axes[0]
    colours = [to_hex(patch.get_edgecolor()).upper() for patch in axes.patches]
    names = {value.upper(): name for name, value in report.palette().items()}
    assert [names[colour] for colour in colours] == ["sky blue", "vermilion"]


def test_pictures_stand_in_rows_with_titles_and_words():
    grey = torch.full((1, 8, 8), 200, dtype=torch.uint8)
    empty = torch.zeros(0, 5)
    figure = report.plot_boxes(
        [grey] * 3, classes=CLASSES, labels=[LABELS, empty, LABELS], columns=2, titles=list("abc")
    )
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c", ""]
    assert report.alt_text(figure) == "3 pictures: 2 labelled boxes, dashed."
    figure.canvas.draw()


def test_what_does_not_fit_is_refused():
    with pytest.raises(CompanionError, match="labels: got 2; expected 1, one an image"):
        report.plot_boxes([IMAGE], classes=CLASSES, labels=[LABELS] * 2)
    with pytest.raises(CompanionError, match="choose at least one image"):
        report.plot_boxes([], classes=CLASSES)
    with pytest.raises(CompanionError, match="min_score"):
        report.plot_boxes([IMAGE], classes=CLASSES, min_score=50)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"labels": [FOUND]}, r"labels of image 0: got shape \(2, 6\); expected \(boxes, 5\)"),
        ({"labels": LABELS}, r"labels of image 0: got shape \(5,\); .*one such tensor an image"),
        ({"labels": [LABELS.tolist()]}, "labels of image 0: got .* a list; expected a Tensor"),
        ({"detections": [LABELS]}, r"got shape \(1, 5\); .* four corners, score"),
        ({"labels": [LABELS + torch.tensor([2, 0, 0, 0, 0])]}, r"got class id 2; expected 0\.\.1"),
        ({"labels": [LABELS - torch.tensor([1, 0, 0, 0, 0])]}, "got class id -1"),
        ({"labels": [LABELS + torch.tensor([0.5, 0, 0, 0, 0])]}, "got class id 0.5"),
        ({"labels": [torch.tensor([[0, 10.0, 4, 30, 8]])]}, r"\(10, 4, 30, 8\); expected fractio"),
        ({"labels": [LABELS * torch.tensor([1, torch.nan, 1, 1, 1])]}, r"corners \(nan, 0.5"),
    ],
)
def test_boxes_that_would_be_drawn_wrongly_are_refused(given, message):
    with pytest.raises(CompanionError, match=message):
        report.plot_boxes([IMAGE], classes=CLASSES, **given)


def test_a_frame_may_reach_over_the_edge():
    row = torch.tensor([[0, -0.25, 0.5, 1.25, 1.5]])
    axes = report.plot_boxes([IMAGE], classes=CLASSES, labels=[row]).axes[0]
    assert frames(axes, "--") == [(-20.5, 19.5, 99.5, 59.5)]


@pytest.mark.parametrize("images", [IMAGE, [IMAGE.permute(1, 2, 0)], [IMAGE[None]], [IMAGE[:2]]])
def test_pictures_have_their_channels_first(images):
    with pytest.raises(CompanionError, match=r"image 0: got shape .*; expected \(channels, height"):
        report.plot_boxes(images, classes=CLASSES)


def test_one_picture_alone_is_checked_too():
    figure = report.plot_boxes([IMAGE], classes=CLASSES)
    with pytest.raises(CompanionError, match="labels: got class id 7"):
        report.draw_boxes(figure.axes[0], IMAGE, classes=CLASSES, labels=LABELS + 7)
    with pytest.raises(CompanionError, match="image: got shape"):
        report.draw_boxes(figure.axes[0], IMAGE[0], classes=CLASSES)
