"""Backbones: weights that fit exactly, groups that hold everything once, public files offline."""

from __future__ import annotations

import copy
import gc
from collections.abc import Sequence
from urllib.error import URLError

import pytest
import torch
from torch import nn

import companion
from companion.backbones import (
    LOADERS,
    Backbone,
    LayerGroup,
    load_backbone,
    register_backbone,
    vision,
)
from companion.backbones.glyphnet import preprocess as glyphnet_preprocess
from companion.batches import LazySource, TensorSource
from companion.checks import CompanionError
from companion.registry import BACKBONES, BackboneCard
from companion.splits import Split

CARD = BackboneCard("toy", "toy", "vision", 3, "MIT", "tests")


class Toy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 4)
        self.second = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))

    def forward(self, inputs):
        return self.second(self.first(inputs))


GROUPS = (LayerGroup("first", ("first",)), LayerGroup("second", ("second",)))


def _toy(**options) -> Backbone:
    options = {"groups": GROUPS, "prepare": lambda split, augment: None, **options}
    return Backbone(CARD, Toy, **options)


def test_forward_and_names():
    toy = _toy(seed=3).eval()
    inputs = torch.ones(5, 2)
    assert torch.equal(toy(inputs), toy.encoder(inputs))
    assert toy(inputs).shape == (5, toy.feature_dim)
    assert toy.group_names == ("first", "second")
    assert not toy.is_pretrained


def test_random_weights_are_a_function_of_the_seed():
    torch.manual_seed(0)
    first = _toy(seed=3).state_dict()
    torch.manual_seed(1)
    second, other = _toy(seed=3).state_dict(), _toy(seed=4).state_dict()
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert not torch.equal(first["encoder.first.weight"], other["encoder.first.weight"])


def test_with_random_weights_leaves_the_pretrained_ones():
    weights = {k: torch.full_like(v, 2) for k, v in Toy().state_dict().items()}
    toy = _toy(weights=weights)
    fresh = toy.with_random_weights(0)
    assert toy.is_pretrained
    assert not fresh.is_pretrained
    assert bool((toy.encoder.first.weight == 2).all())
    assert not bool((fresh.encoder.first.weight == 2).any())
    assert torch.equal(fresh.encoder.first.weight, _toy(seed=0).encoder.first.weight)


def test_weights_must_fit_name_by_name_and_shape_by_shape():
    weights = Toy().state_dict()
    with pytest.raises(CompanionError, match=r"weights of toy: .*missing \['first.bias'\]"):
        _toy(weights={k: v for k, v in weights.items() if k != "first.bias"})
    with pytest.raises(CompanionError, match=r"surplus \['fc.weight'\]"):
        _toy(weights={**weights, "fc.weight": torch.zeros(1)})
    with pytest.raises(CompanionError, match=r"wrong shapes \['first.weight'\]"):
        _toy(weights={**weights, "first.weight": torch.zeros(4, 3)})


def test_groups_hold_each_tensor_exactly_once():
    with pytest.raises(CompanionError, match=r"in no group: \['second.0.bias'"):
        _toy(groups=GROUPS[:1])
    with pytest.raises(CompanionError, match=r"in two groups: \['first.bias'"):
        _toy(groups=(*GROUPS, LayerGroup("again", ("first",))))


def test_feature_mask_follows_the_backbone():
    mask = torch.tensor([[True, True, False, False]])
    assert torch.equal(_toy().feature_mask(mask), mask)
    halved = _toy(feature_mask=lambda m: m[:, ::2]).feature_mask(mask)
    assert halved.tolist() == [[True, False]]
    assert _toy().feature_mask(None) is None


def test_unknown_names_list_near_matches():
    with pytest.raises(CompanionError, match="backbone: got 'glyfnet'.*did you mean 'glyphnet'"):
        load_backbone("glyfnet")


def test_a_name_is_given_once():
    with pytest.raises(CompanionError, match="'glyphnet', which is taken"):
        register_backbone(BACKBONES.get("glyphnet"), LOADERS["glyphnet"])


@pytest.mark.parametrize("name", ["glyphnet", "resnet18", "resnet50"])
def test_every_backbone_gives_features_of_its_card(name):
    backbone = load_backbone(name, pretrained=False, image_size=None if name == "glyphnet" else 48)
    images = torch.rand(2, 3, 40, 50, generator=torch.Generator().manual_seed(0))
    split = Split("train", images, torch.tensor([0, 1]), ("a", "b"), ("x", "y"))
    batch = backbone.prepare(split).batch(torch.tensor([0, 1]))
    assert backbone(batch.inputs).shape == (2, backbone.card.feature_dim)
    assert backbone.group_names == ("stem", "layer1", "layer2", "layer3", "layer4")
    assert not backbone.training
    assert BACKBONES.get(name) is backbone.card


def test_glyphnet_has_one_size():
    with pytest.raises(CompanionError, match="image_size: got 64; expected 32"):
        load_backbone("glyphnet", image_size=64)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_public_weights_are_read_from_torch_hubs_folder_without_network(
    name, tmp_path, monkeypatch
):
    """A file of the right shape, placed where torch hub keeps downloads, is what is loaded."""
    from torchvision import models

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("COMPANION_SCALE", raising=False)
    url = models.get_model_weights(name).DEFAULT.url
    network = models.get_model(name, weights=None)
    with torch.no_grad():
        network.conv1.weight.fill_(0.25)
    target = tmp_path / "hub" / "checkpoints" / url.rsplit("/", 1)[1]
    target.parent.mkdir(parents=True)
    torch.save(network.state_dict(), target)
    backbone = load_backbone(name)
    assert backbone.is_pretrained
    assert bool((backbone.encoder.conv1.weight == 0.25).all())
    prefix = BACKBONES.get(name).sha256
    assert prefix in target.name, "the card's checksum is the one in the file's name"


def test_resnet_preprocessing_is_that_of_its_weights():
    from torchvision import models

    backbone = load_backbone("resnet18", pretrained=False)
    images = torch.randint(0, 256, (3, 3, 300, 260), dtype=torch.uint8)
    split = Split("train", images, torch.tensor([0, 1, 0]), ("a", "b", "c"), ("x", "y"))
    expected = models.ResNet18_Weights.DEFAULT.transforms()(images)
    assert torch.allclose(backbone.prepare(split).batch(torch.arange(3)).inputs, expected)
    assert expected.shape == (3, 3, 224, 224)


def test_rehearsal_keeps_public_architectures_random(monkeypatch):
    monkeypatch.setenv("COMPANION_SCALE", "rehearsal")
    backbone = load_backbone("resnet18", seed=1)
    assert not backbone.is_pretrained


def test_images_in_memory_are_prepared_once_and_files_when_read():
    backbone = load_backbone("glyphnet", pretrained=False)
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    labels, ids = torch.tensor([0, 1, 0, 1]), ("a", "b", "c", "d")
    memory = backbone.prepare(Split("train", images, labels, ids, ("x", "y")))
    files = backbone.prepare(Split("train", list(images), labels, ids, ("x", "y")))
    assert isinstance(memory, TensorSource)
    assert isinstance(files, LazySource)
    order = torch.tensor([2, 0])
    assert torch.allclose(memory.batch(order).inputs, files.batch(order).inputs, atol=1e-6)
    assert memory.batch(order).labels.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.full((1, 8, 8), 255.0), r"image 1: got values from 255 to 255; expected values in"),
        (torch.zeros(1, 8, 8, dtype=torch.int64), "image 1: got torch.int64; expected uint8"),
        (torch.zeros(8, 8), r"image 1: got the shape \(8, 8\); expected \(channels, height"),
        ("image.png", "image 1: got 'image.png', a str; expected a Tensor"),
    ],
)
def test_images_that_are_read_one_by_one_are_checked_too(image, message):
    backbone = load_backbone("glyphnet", pretrained=False)
    split = Split("train", [torch.zeros(1, 8, 8), image], [0, 1], ("a", "b"), ("x", "y"))
    with pytest.raises(CompanionError, match=message):
        backbone.prepare(split).batch(torch.tensor([0, 1]))


class Files(Sequence):
    """Images that count how often they are read."""

    def __init__(self, num_images: int):
        self.read = [0] * num_images

    def __len__(self):
        return len(self.read)

    def __getitem__(self, index):
        self.read[index] += 1
        return torch.full((3, 8, 8), index / len(self))


def _split_of(files: Sequence, positions: list[int]) -> Split:
    labels = torch.arange(len(files)) % 2
    ids = tuple(map(str, range(len(files))))
    return Split("pool", files, labels, ids, ("x", "y")).subset(positions, name="train")


def test_files_are_decoded_once_over_subsets_epochs_and_copies():
    files, backbone = Files(6), load_backbone("glyphnet", pretrained=False)
    for positions in ([0, 2, 4], [4, 5, 0]):
        source = copy.deepcopy(backbone).prepare(_split_of(files, positions))
        for _ in range(2):
            images = source.batch(torch.tensor([2, 0])).inputs
        expected = glyphnet_preprocess(torch.stack([files_image(files, p) for p in positions]))
        assert torch.allclose(images, expected[[2, 0]], atol=1e-6)
    assert files.read == [1, 0, 0, 0, 1, 0]


def files_image(files: Files, position: int) -> torch.Tensor:
    return torch.full((3, 8, 8), position / len(files))


def test_another_preprocessing_keeps_its_own_images():
    files = Files(2)
    sides = [
        load_backbone("resnet18", pretrained=False, image_size=side)
        .prepare(_split_of(files, [0, 1]))
        .batch(torch.tensor([0]))
        .inputs.shape[-1]
        for side in (16, 24)
    ]
    assert sides == [16, 24]


def test_what_is_kept_is_bounded_and_let_go(monkeypatch):
    monkeypatch.setattr(vision, "CACHE_BYTES", 3 * 32 * 32 * 4 - 1)
    vision._KEPT_BYTES.clear()
    files, backbone = Files(4), load_backbone("glyphnet", pretrained=False)
    source = backbone.prepare(_split_of(files, [0, 1, 2, 3]))
    for _ in range(2):
        source.batch(torch.arange(4))
    assert files.read == [1, 1, 2, 2], "two images fit, the others are read again"
    assert sum(vision._KEPT_BYTES.values()) == 2 * 32 * 32 * 4
    del source, files
    gc.collect()
    assert vision._KEPT_BYTES == {}


def test_the_public_name_is_the_same_function():
    assert companion.load_backbone is load_backbone


def test_weights_that_cannot_be_downloaded_say_where_to_put_them(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def offline(*arguments, **options):
        raise URLError("no route to host")

    monkeypatch.setattr("torch.hub.urlopen", offline)
    with pytest.raises(CompanionError, match=r"weights of 'resnet18': got no download \(no route"):
        load_backbone("resnet18")
