"""Backbones of detectors: public weights as torchvision reads them, layer groups, whole models."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn
from torchvision import models
from torchvision.ops.misc import FrozenBatchNorm2d

from companion import load_backbone, runtime
from companion.backbones.detection import PUBLIC
from companion.backbones.detector_weights import part_weights
from companion.batches import BoxAugment, ImageAugment
from companion.checks import CompanionError
from companion.heads import Model, head_for
from companion.model_files import load_model, save_model
from companion.splits import Split

SIZE = 256
CLASSES = ("cat", "dog", "cow")
NUM_COCO = 91
publics = pytest.mark.parametrize("name", list(PUBLIC))
bundled = pytest.mark.parametrize("name", ["spotnet", "spotnet_rcnn"])


def _old_name(key: str) -> str:
    """Return a tensor's name as it was when the public files were written."""
    if key.startswith("rpn.head.conv."):
        return key.replace(".0.0.", ".")
    is_pyramid = "fpn.inner_blocks" in key or "fpn.layer_blocks" in key
    return key.replace(".0.weight", ".weight").replace(".0.bias", ".bias") if is_pyramid else key


@functools.cache
def _random_state(name: str) -> dict[str, torch.Tensor]:
    """Return a state dict of torchvision's architecture, statistics and classes random too."""
    with runtime.fork_seed(0, "test"):
        whole = models.get_model(name, weights=None, weights_backbone=None)
        for key, value in whole.state_dict().items():
            if "running_var" in key:
                nn.init.uniform_(value, 1e-4, 2e-4)
            elif "bn3.weight" in key:
                nn.init.uniform_(value, 1e-3, 3e-3)
            elif key.endswith(("bn1.weight", "bn2.weight", "downsample.1.weight")):
                nn.init.uniform_(value, 0.005, 0.01)
            elif ".bn" in key and key.endswith("bias"):
                nn.init.normal_(value, std=0.1)
            elif "cls_score" in key:
                nn.init.normal_(value, std=2.0)
            elif "cls_logits" in key:
                nn.init.normal_(value, std=0.1)
            elif "bbox" in key:
                nn.init.normal_(value, std=0.02)
    state = whole.state_dict()
    return {_old_name(k): v for k, v in state.items() if not k.endswith("num_batches_tracked")}


@pytest.fixture
def public_file(monkeypatch):
    """Stand random weights where the public files are."""

    def read(weights, *args, **kwargs):
        name = next(n for n in PUBLIC if models.get_model_weights(n).DEFAULT is weights)
        return dict(_random_state(name))

    monkeypatch.setattr("torchvision.models._api.WeightsEnum.get_state_dict", read)


def _photo() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 16, 16, generator=generator)
    return (nn.functional.interpolate(coarse, (SIZE, SIZE)) * 255).to(torch.uint8)


def _split(images: torch.Tensor, classes: tuple[str, ...] = CLASSES) -> Split:
    rows = [torch.tensor([[1, 0.1, 0.2, 0.5, 0.6]])] * len(images)
    ids = tuple(f"photo/{i}" for i in range(len(images)))
    return Split("val", images, rows, ids, classes, task="detection")


@publics
@torch.no_grad()
def test_public_weights_find_what_they_find_in_torchvision(name, public_file):
    option = {"fcos_resnet50_fpn": "score_thresh", "fasterrcnn_resnet50_fpn": "box_score_thresh"}
    sizes = {"min_size": SIZE, "max_size": SIZE, option[name]: 0.05}
    whole = models.get_model(name, weights="COCO_V1", progress=False, **sizes).eval()
    body = load_backbone(name, image_size=SIZE)
    first = 0 if name.startswith("fcos") else 1
    head = head_for("detection", body, NUM_COCO - first)
    own, theirs = head.detector.state_dict(), whole.state_dict()
    new = [key for key in own if not torch.equal(own[key], theirs[key])]
    assert {key.rpartition(".")[0] for key in new} == set(head.class_layers(head.detector))
    for key in new:
        own[key].copy_(theirs[key])
    classes = tuple(map(str, range(NUM_COCO - first)))
    model = Model(body, head, classes).eval()
    images = _photo()
    batch = body.prepare(_split(images, classes)).batch(torch.arange(1))
    (rows,) = head.predict(model(batch.inputs))
    (one,) = whole([images[0] / 255])
    assert len(rows) == len(one["boxes"]) >= 10
    assert rows[:, 0].tolist() == (one["labels"] - first).tolist()
    torch.testing.assert_close(rows[:, 5], one["scores"], atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(rows[:, 1:5] * SIZE, one["boxes"], atol=0.05, rtol=1e-3)


@publics
def test_the_public_architecture_is_torchvisions(name, public_file):
    whole = models.get_model(name, weights="COCO_V1", progress=False)
    body = load_backbone(name, pretrained=False)
    encoder = body.encoder.net
    assert {k: v.shape for k, v in encoder.state_dict().items()} == {
        k: v.shape for k, v in whole.backbone.state_dict().items()
    }
    norms = [m for m in encoder.modules() if isinstance(m, FrozenBatchNorm2d)]
    theirs = [m for m in whole.backbone.modules() if isinstance(m, FrozenBatchNorm2d)]
    assert [m.eps for m in norms] == [m.eps for m in theirs] and len(norms) == 53
    assert not body.is_pretrained and body.detector.weights is None
    assert (body.detector.image_size, body.eval_batch_size) == (512, 16)


@publics
def test_sizes_that_the_coarsest_map_does_not_divide_are_refused(name):
    with pytest.raises(CompanionError, match="got 300; expected a multiple of 128; take 256"):
        load_backbone(name, pretrained=False, image_size=300)
    with pytest.raises(CompanionError, match="got 100; expected a multiple of 128; take 128"):
        load_backbone(name, pretrained=False, image_size=100)


@bundled
def test_the_bundled_detectors_have_one_size(name):
    load_backbone(name, pretrained=False, image_size=128)
    with pytest.raises(CompanionError, match=f"image_size: got 256; expected 128.* {name}; leave"):
        load_backbone(name, pretrained=False, image_size=256)


def test_weights_are_parted_into_encoder_and_head():
    numbers = [torch.full((1,), float(n)) for n in range(12)]
    names = [
        "backbone.body.conv1.weight",
        "backbone.fpn.inner_blocks.0.weight",
        "backbone.fpn.layer_blocks.3.0.bias",
        "backbone.fpn.extra_blocks.p6.weight",
        "backbone.body.bn1.num_batches_tracked",
        "rpn.head.conv.weight",
        "rpn.head.conv.0.0.bias",
        "rpn.head.cls_logits.weight",
        "roi_heads.box_predictor.cls_score.weight",
        "roi_heads.box_predictor.bbox_pred.bias",
        "head.classification_head.cls_logits.weight",
        "head.classification_head.conv.0.weight",
    ]
    encoder, head = part_weights(dict(zip(names, numbers, strict=True)))
    assert {name: int(value) for name, value in encoder.items()} == {
        "body.conv1.weight": 0,
        "fpn.inner_blocks.0.0.weight": 1,
        "fpn.layer_blocks.3.0.bias": 2,
        "fpn.extra_blocks.p6.weight": 3,
    }
    assert {name: int(value) for name, value in head.items()} == {
        "rpn.head.conv.0.0.weight": 5,
        "rpn.head.conv.0.0.bias": 6,
        "rpn.head.cls_logits.weight": 7,
        "head.classification_head.conv.0.weight": 11,
    }


@pytest.mark.parametrize("name", ["spotnet", "spotnet_rcnn", *PUBLIC])
def test_each_parameter_and_buffer_lies_in_one_group(name):
    body = load_backbone(name, pretrained=False)
    held = [
        f"{module}.{key}"
        for group in body.groups
        for module in group.modules
        for key in body.encoder.get_submodule(module).state_dict()
    ]
    assert sorted(held) == sorted(body.encoder.state_dict())
    assert body.group_names[0] == "stem"
    assert body.feature_dim == body.card.feature_dim == {"s": 64, "f": 256}[name[0]]


def test_random_weights_give_up_those_of_the_head_too(public_file):
    body = load_backbone("fcos_resnet50_fpn", image_size=128)
    fresh = body.with_random_weights(1)
    assert body.is_pretrained and body.detector.weights is not None
    assert not fresh.is_pretrained and fresh.detector.weights is None
    tower = "head.classification_head.conv.0.weight"
    with runtime.fork_seed(0, "head"):
        taught = head_for("detection", body, 2).detector.state_dict()[tower]
    with runtime.fork_seed(0, "head"):
        random = head_for("detection", fresh, 2).detector.state_dict()[tower]
    assert torch.equal(taught, body.detector.weights[tower])
    assert not torch.equal(random, taught)
    weights = [b.encoder.net.body.conv1.weight for b in (body, fresh)]
    assert not torch.equal(*weights)


def _detector(name: str) -> Model:
    body = load_backbone(name, pretrained=False, seed=4)
    with runtime.fork_seed(1, "test"):
        head = head_for("detection", body, 3)
        for key, parameter in head.named_parameters():
            if "cls_logits" in key or "cls_score" in key:
                nn.init.normal_(parameter, std=0.5)
    return Model(body, head, CLASSES).eval()


@bundled
@torch.no_grad()
def test_a_detector_comes_back_bit_equal(name, tmp_path):
    model = _detector(name)
    loaded = load_model(save_model(model, tmp_path / "model.safetensors"))
    assert (loaded.backbone.name, loaded.classes, loaded.training) == (name, CLASSES, False)
    images = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    found = [one.head.predict(one(images)) for one in (model, loaded)]
    assert all(len(rows) for rows in found[0])
    for first, second in zip(*found, strict=True):
        assert torch.equal(first, second)


def test_the_image_size_of_a_public_detector_comes_back(tmp_path):
    body = load_backbone("fcos_resnet50_fpn", pretrained=False, image_size=128)
    model = Model(body, head_for("detection", body, 3), CLASSES)
    loaded = load_model(save_model(model, tmp_path / "model.safetensors"))
    assert loaded.head.parts.image_size == loaded.backbone.detector.image_size == 128


@bundled
def test_images_of_any_kind_are_prepared_alike(name):
    body = load_backbone(name, pretrained=False)
    grey = torch.randint(0, 256, (3, 1, 40, 70), generator=torch.Generator().manual_seed(0))
    in_memory = body.prepare(_split(grey.to(torch.uint8))).batch(torch.tensor([2, 0]))
    one_by_one = body.prepare(_split(list(grey / 255))).batch(torch.tensor([2, 0]))
    assert in_memory.inputs.shape == (2, 3, 128, 128)
    torch.testing.assert_close(in_memory.inputs, one_by_one.inputs, atol=1e-5, rtol=0)
    assert torch.equal(in_memory.labels, one_by_one.labels)
    assert in_memory.labels[:, 0].tolist() == [pytest.approx([1, 0.1, 0.2, 0.5, 0.6])] * 2
    expected = nn.functional.interpolate(grey[2:] / 255, (128, 128), mode="bilinear",
                                         antialias=True)  # fmt: skip
    torch.testing.assert_close(in_memory.inputs[0], ((expected[0] - 0.5) / 0.25).expand(3, -1, -1))


@publics
def test_public_images_are_normalised_as_torchvision_does(name):
    body = load_backbone(name, pretrained=False, image_size=SIZE)
    prepared = body.prepare(_split(_photo())).batch(torch.arange(1)).inputs
    transform = models.detection.transform.GeneralizedRCNNTransform(
        SIZE, SIZE, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    )
    expected, _ = transform.eval()([_photo()[0] / 255])
    torch.testing.assert_close(prepared, expected.tensors, atol=1e-5, rtol=0)


def test_only_augmentations_that_move_boxes_are_taken():
    body = load_backbone("spotnet", pretrained=False)
    split = _split(_photo())
    with pytest.raises(CompanionError, match="augment: got ImageAugment, which moves pictures and"):
        body.prepare(split, augment=ImageAugment())
    assert body.prepare(split, augment=BoxAugment(mirror=True)).is_augmented
    assert not body.prepare(split).is_augmented


def test_a_detector_s_backbone_classifies_too():
    body = load_backbone("spotnet", pretrained=False)
    split = Split("val", _photo(), torch.tensor([1]), ("photo",), CLASSES)
    batch = body.prepare(split).batch(torch.arange(1))
    assert batch.labels.tolist() == [1]
    head = head_for("classification", body, 3)
    features = body(batch.inputs)
    expected = head.linear(features[0].mean(dim=0))
    torch.testing.assert_close(head(features)[0], expected)
