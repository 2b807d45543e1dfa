"""Detection heads: losses and boxes are those of torchvision's own whole detectors."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from companion import runtime
from companion.backbones import Backbone, DetectorParts, LayerGroup, load_backbone
from companion.batches import IGNORE_LABEL, pad_sequences
from companion.checks import CompanionError
from companion.heads import Model, OneStageHead, TwoStageHead, build_head, head_for
from companion.heads.detector_parts import training_mode
from companion.registry import BackboneCard
from companion.splits import Split

SIZE = 64
NUM_CLASSES = 3
BOXES = [
    torch.tensor([[0, 0.05, 0.1, 0.4, 0.45], [2, 0.3, 0.3, 0.95, 0.9], [1, 0.6, 0.05, 0.8, 0.2]]),
    torch.tensor([[1, 0.25, 0.2, 0.7, 0.75]]),
    torch.zeros(0, 5),
    torch.tensor([[2, 0.0, 0.0, 0.5, 1.0]]),
]
"""Several boxes, one, none, and one that touches three edges."""

PARTS = {
    "fcos": DetectorParts("fcos", SIZE, (8, 4), ((8,), (16,)), options={"num_convs": 2}),
    "faster_rcnn": DetectorParts(
        "faster_rcnn",
        SIZE,
        (8, 4),
        ((12,), (32,)),
        aspect_ratios=(0.5, 1.0, 2.0),
        options={"roi_side": 3, "hidden": 20, "rpn_batch_size_per_image": 12, "rpn_nms_thresh": 0.6,
                 "box_batch_size_per_image": 9, "rpn_pre_nms_top_n_train": 40,
                 "rpn_pre_nms_top_n_test": 50, "rpn_post_nms_top_n_train": 20,
                 "rpn_post_nms_top_n_test": 25},
    ),
}  # fmt: skip


class TwoMaps(nn.Module):
    """Two feature maps of an image, by torchvision's names."""

    out_channels = 32

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 32, 8, 8)
        self.second = nn.Conv2d(32, 32, 2, 2)

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        fine = torch.tanh(3 * self.first(images))
        return OrderedDict([("0", fine), ("1", torch.tanh(3 * self.second(fine)))])


class Flat(nn.Module):
    """The same maps as one row of positions, line by line."""

    def __init__(self) -> None:
        super().__init__()
        self.net = TwoMaps()

    def forward(self, images: Tensor) -> Tensor:
        rows = []
        for item in range(len(images)):
            maps = self.net(images[item : item + 1]).values()
            rows.append(torch.stack([m[0, :, y, x] for m in maps for y in range(m.shape[2])
                                     for x in range(m.shape[3])]))  # fmt: skip
        return torch.stack(rows)


def _model(kind: str) -> Model:
    card = BackboneCard(f"two_maps_{kind}", "two maps", "vision", 32, "MIT", "tests")
    groups = [LayerGroup("first", ("net.first",)), LayerGroup("second", ("net.second",))]
    body = Backbone(card, Flat, groups=groups, prepare=lambda *_: None, detector=PARTS[kind])
    with runtime.fork_seed(3, "test"):
        head = head_for("detection", body, NUM_CLASSES)
        for name, parameter in head.named_parameters():
            if "cls_logits" in name or "cls_score" in name:
                nn.init.normal_(parameter, std=0.5)
            if "bbox_pred" in name and name.endswith("weight"):
                nn.init.normal_(parameter, std=0.1)
    return Model(body, head, ("a", "b", "c"))


def _torchvision(kind: str, model: Model) -> nn.Module:
    """Return torchvision's whole detector, put together here, with the model's weights."""
    from torchvision.models.detection import FCOS, FasterRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
    from torchvision.models.detection.fcos import FCOSHead
    from torchvision.ops import MultiScaleRoIAlign

    neutral = {
        "min_size": SIZE, "max_size": SIZE, "image_mean": [0, 0, 0], "image_std": [1, 1, 1],
        "size_divisible": 1,
    }  # fmt: skip
    if kind == "fcos":
        anchors = AnchorGenerator(((8,), (16,)), ((1.0,), (1.0,)))
        whole = FCOS(TwoMaps(), NUM_CLASSES, head=FCOSHead(32, 1, NUM_CLASSES, 2),
                     anchor_generator=anchors, score_thresh=0.05, **neutral)  # fmt: skip
    else:
        whole = FasterRCNN(
            TwoMaps(),
            rpn_anchor_generator=AnchorGenerator(((12,), (32,)), ((0.5, 1.0, 2.0),) * 2),
            box_roi_pool=MultiScaleRoIAlign(["0", "1"], 3, 2), box_head=TwoMLPHead(32 * 9, 20),
            box_predictor=FastRCNNPredictor(20, NUM_CLASSES + 1), rpn_batch_size_per_image=12,
            rpn_nms_thresh=0.6, box_batch_size_per_image=9, rpn_pre_nms_top_n_train=40,
            rpn_pre_nms_top_n_test=50, rpn_post_nms_top_n_train=20, rpn_post_nms_top_n_test=25,
            box_score_thresh=0.05, **neutral,
        )  # fmt: skip
    encoder = {f"backbone.{k}": v for k, v in model.backbone.encoder.net.state_dict().items()}
    whole.load_state_dict(encoder | model.head.detector.state_dict())
    return whole


def _batch() -> tuple[Tensor, Tensor]:
    images = torch.rand(len(BOXES), 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    for image, boxes in zip(images, BOXES, strict=True):
        for kind, *corners in boxes.tolist():
            x_min, y_min, x_max, y_max = (round(c * SIZE) for c in corners)
            image[int(kind), y_min:y_max, x_min:x_max] += 1
    return images, pad_sequences(BOXES, padding=IGNORE_LABEL)[0]


def _targets(kind: str, rows: list[Tensor]) -> list[dict[str, Tensor]]:
    """Return labels as torchvision wants them: pixels, and class 0 is the background of two."""
    first = 0 if kind == "fcos" else 1
    return [{"boxes": r[:, 1:] * SIZE, "labels": r[:, 0].long() + first} for r in rows]


def _seed(seed: int) -> None:
    torch.manual_seed(seed)


def _whole_loss(
    whole: nn.Module, images: Tensor, targets: list[dict[str, Tensor]], *, seed: int
) -> Tensor:
    """Return the sum of all losses; its preprocessing draws too, so it is seeded behind that."""
    handle = whole.backbone.register_forward_pre_hook(lambda *_: _seed(seed))
    losses = whole(list(images), targets)
    handle.remove()
    return sum(losses.values())


def _modes(module: nn.Module) -> list[bool]:
    return [one.training for one in module.modules()]


kinds = pytest.mark.parametrize("kind", ["fcos", "faster_rcnn"])
modes = pytest.mark.parametrize("is_training", [True, False])


@kinds
@modes
@pytest.mark.parametrize("chosen", [[0, 1, 2, 3], [2], [2, 1], [0]])
def test_losses_are_those_of_the_whole_detector(kind, is_training, chosen):
    model = _model(kind).train(is_training)
    whole = _torchvision(kind, model).train()
    images, _ = _batch()
    rows = [BOXES[i] for i in chosen]
    labels = pad_sequences(rows, padding=IGNORE_LABEL)[0]
    seed = 11 if is_training else runtime.derive_seed(0, "proposals")
    expected = _whole_loss(whole, images[chosen], _targets(kind, rows), seed=seed)
    torch.manual_seed(11)
    before = _modes(model)
    losses = model.head.losses(model(images[chosen]), labels)
    assert losses.shape == (len(chosen),)
    assert losses.tolist() == pytest.approx([expected.item()] * len(chosen), rel=1e-5)
    assert _modes(model) == before


@kinds
def test_gradients_are_those_of_the_whole_detector(kind):
    model = _model(kind).train()
    whole = _torchvision(kind, model).train()
    images, labels = _batch()
    _whole_loss(whole, images, _targets(kind, BOXES), seed=5).backward()
    torch.manual_seed(5)
    model.head.losses(model(images), labels).mean().backward()
    expected = {name: p.grad for name, p in whole.named_parameters()}
    found = {f"backbone.{n}": p.grad for n, p in model.backbone.encoder.net.named_parameters()}
    found |= {name: p.grad for name, p in model.head.detector.named_parameters()}
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=1e-5, msg=name)
        assert gradient.abs().max() > 0, name


@kinds
@modes
@torch.no_grad()
def test_detections_are_those_of_the_whole_detector(kind, is_training):
    model = _model(kind).train(is_training)
    whole = _torchvision(kind, model).eval()
    images, _ = _batch()
    before = _modes(model)
    found = model.head.predict(model(images))
    assert _modes(model) == before
    first = 0 if kind == "fcos" else 1
    for rows, one in zip(found, whole(list(images)), strict=True):
        order = one["scores"].argsort(descending=True)
        assert len(rows) == len(order) > 5
        assert rows[:, 0].tolist() == (one["labels"][order] - first).tolist()
        assert set(rows[:, 0].tolist()) <= {0.0, 1.0, 2.0}
        torch.testing.assert_close(rows[:, 1:5] * SIZE, one["boxes"][order], atol=1e-3, rtol=1e-4)
        torch.testing.assert_close(rows[:, 5], one["scores"][order], atol=1e-5, rtol=1e-5)
    every = torch.cat(found)
    assert len(set(every[:, 0].tolist())) > 1, "one class alone would not show its number"
    assert every.dtype == torch.float32
    assert every[:, 5].min() > 0.05


@kinds
@torch.no_grad()
def test_boxes_are_clipped_and_best_first(kind):
    model = _model(kind).eval()
    for name, parameter in model.head.named_parameters():
        if "bbox" in name:
            parameter.mul_(20)
    for rows in model.head.predict(model(_batch()[0])):
        assert len(rows)
        corners = rows[:, 1:5]
        assert (corners >= 0).all() and (corners <= 1).all()
        assert (corners[:, 2:] >= corners[:, :2]).all()
        assert ((corners == 0) | (corners == 1)).any(), "nothing was clipped"
        assert (rows[1:, 5] <= rows[:-1, 5]).all()


@kinds
def test_rows_sort_and_number_what_torchvision_found(kind):
    model = _model(kind)
    boxes = torch.tensor([[0.0, 16, 32, 64], [8, -1, 16, 65.0]])
    found = {"boxes": boxes, "labels": torch.tensor([1, 2]), "scores": torch.tensor([0.2, 0.7])}
    (rows,) = model.head.rows([found], first_class=1)
    expected = [[1, 0.125, 0, 0.25, 1, 0.7], [0, 0, 0.25, 0.5, 1, 0.2]]
    assert rows.tolist() == [pytest.approx(row) for row in expected]


@kinds
def test_maps_and_targets_by_hand(kind):
    head = _model(kind).head
    features = torch.arange(2 * 80 * 32.0).reshape(2, 80, 32)
    maps = head.maps(features)
    assert list(maps) == ["0", "1"]
    assert [tuple(m.shape) for m in maps.values()] == [(2, 32, 8, 8), (2, 32, 4, 4)]
    assert maps["0"][1, 5, 2, 3] == features[1, 2 * 8 + 3, 5]
    assert maps["1"][0, 7, 3, 1] == features[0, 64 + 3 * 4 + 1, 7]
    one, none = head.targets(pad_sequences([BOXES[3], BOXES[2]], padding=IGNORE_LABEL)[0],
                             first_class=1)  # fmt: skip
    assert (one["boxes"].tolist(), one["labels"].tolist()) == ([[0, 0, 32, 64]], [3])
    assert (tuple(none["boxes"].shape), none["labels"].dtype) == ((0, 4), torch.int64)


@modes
def test_two_stage_losses_draw_anew_in_training_alone(is_training):
    model = _model("faster_rcnn").train(is_training)
    images, labels = _batch()
    logits = model(images).detach()
    torch.manual_seed(0)
    found = {round(model.head.losses(logits, labels)[0].item(), 5) for _ in range(6)}
    assert (len(found) > 1) is is_training
    if not is_training:
        expected = torch.rand(2, generator=torch.Generator().manual_seed(0))
        assert torch.equal(torch.rand(2), expected), "the global generator moved"


def test_half_precision_leaves_anchors_exact():
    """bfloat16 counts in steps of 8 beyond 1024 pixels; anchors must not."""
    parts = DetectorParts("fcos", 2048, (256,), ((8,),), options={"num_convs": 1})
    head = OneStageHead(parts, 32, 1)
    (anchors,) = head._anchors(torch.zeros(1, 256 * 256, 6, dtype=torch.bfloat16))
    assert anchors.dtype == torch.float32
    last = 255 * 8
    assert anchors[-1].tolist() == [last - 4, last - 4, last + 4, last + 4]


@kinds
def test_mixed_precision_rounds_no_box(kind):
    """Of the same features the losses are those of single precision: targets are not rounded."""
    model = _model(kind).eval()
    images, labels = _batch()
    logits = model(images).detach()
    expected = model.head.losses(logits, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = model.head.losses(logits, labels)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert found.dtype == torch.float32


@kinds
def test_smoothed_labels_are_refused(kind):
    model = _model(kind)
    images, labels = _batch()
    with pytest.raises(CompanionError, match="label_smoothing: got 0.1; expected 0 for detection"):
        model.head.losses(model(images), labels, label_smoothing=0.1)


def test_training_mode_ends_with_an_error_too():
    outer = nn.Sequential(nn.Dropout()).eval()
    with pytest.raises(KeyError), training_mode(True, outer):
        assert (outer.training, outer[0].training) == (True, False)
        raise KeyError
    assert not outer.training


@kinds
def test_weights_of_a_pretraining_are_taken_but_for_the_classes(kind):
    model = _model(kind)
    state = model.head.detector.state_dict()
    new = model.head.class_layers(model.head.detector)
    kept = {k: torch.randn(v.shape) for k, v in state.items() if not k.startswith(new)}
    parts = replace(PARTS[kind], weights=kept)
    with runtime.fork_seed(9, "head"):
        plain = type(model.head)(PARTS[kind], 32, 5).detector.state_dict()
    with runtime.fork_seed(9, "head"):
        found = type(model.head)(parts, 32, 5).detector.state_dict()
    changed = {name for name, value in found.items() if not torch.equal(value, plain[name])}
    assert changed == set(kept)
    assert all(torch.equal(found[name], value) for name, value in kept.items())
    assert len(plain) - len(kept) == {"fcos": 2, "faster_rcnn": 4}[kind]
    first = min(kept)
    for broken in (
        {k: v for k, v in kept.items() if k != first},
        kept | {first: torch.zeros(1, 2, 3)},
        kept | {"surplus": torch.zeros(1)},
    ):
        with pytest.raises(CompanionError, match="weights of a detector's head: got other names"):
            type(model.head)(replace(parts, weights=broken), 32, 5)


def test_a_kind_that_is_none_is_refused():
    card = BackboneCard("yolo", "yolo", "vision", 32, "MIT", "tests")
    groups = [LayerGroup("all", ("net",))]
    parts = DetectorParts("yolo", SIZE, (8, 4), ((8,), (16,)))
    body = Backbone(card, Flat, groups=groups, prepare=lambda *_: None, detector=parts)
    with pytest.raises(CompanionError, match="kind of detector: got 'yolo'; expected one of 'fcos"):
        head_for("detection", body, 2)


def test_detection_needs_feature_maps(images):
    rows = [torch.tensor([[0, 0.1, 0.1, 0.5, 0.5]])]
    split = Split("train", images.splits.train.inputs[:1], rows, ("a",), ("x",), task="detection")
    message = "backbone: got 'glyphnet', which makes one feature vector.*such as \"spotnet\""
    with pytest.raises(CompanionError, match=message):
        build_head(images.backbone, split, seed=0)


@pytest.mark.parametrize(("name", "kind"), [("spotnet", OneStageHead),
                                            ("spotnet_rcnn", TwoStageHead)])  # fmt: skip
def test_the_bundled_backbones_have_their_heads(name, kind):
    body = load_backbone(name, pretrained=False)
    head = head_for("detection", body, 4)
    assert type(head) is kind
    features = body(torch.zeros(1, 3, 128, 128))
    assert tuple(features.shape) == (1, 256, 64)
    assert [tuple(m.shape) for m in head.maps(features).values()] == [(1, 64, 16, 16)]
