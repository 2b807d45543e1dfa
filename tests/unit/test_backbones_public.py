"""VGG and ViT: what torchvision computes, under names that can be frozen group by group."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import nn
from torchvision import models

import companion
from companion.adapters import add_lora_
from companion.backbones import Backbone, load_backbone
from companion.backbones.vision_public import (
    PATCH_SIZE,
    VGG16_GROUPS,
    VGG16_WIDTHS,
    VIT_B_16_GROUPS,
    PatchTransformer,
    PlainNetwork,
    public_names,
)
from companion.checks import CompanionError
from companion.heads import Model, build_head
from companion.registry import BACKBONES
from companion.splits import Split
from companion.training import Recipe

NAMES = ("vgg16", "vit_b_16")
GROUPS = {
    "vgg16": ("block1", "block2", "block3", "block4", "block5"),
    "vit_b_16": ("embedding", "blocks1", "blocks2", "blocks3", "blocks4"),
}


@cache
def loaded(name: str) -> Backbone:
    """The random backbone at its smallest size; for tests that leave it as it is."""
    return load_backbone(name, pretrained=False, image_size=32)


def small_vit(**options) -> models.VisionTransformer:
    sizes = dict(image_size=16, patch_size=4, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=12)
    network = models.VisionTransformer(**(sizes | options), num_classes=3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.3)
    return network.eval()


def images(side: int, num: int = 2, channels: int = 3) -> torch.Tensor:
    return torch.rand(num, channels, side, side, generator=torch.Generator().manual_seed(0))


def split_of(pictures: torch.Tensor) -> Split:
    labels = torch.arange(len(pictures)) % 2
    return Split("train", pictures, labels, tuple(map(str, range(len(pictures)))), ("x", "y"))


@pytest.mark.parametrize("name", NAMES)
def test_each_gives_features_of_its_card_from_five_groups(name):
    backbone = loaded(name)
    batch = backbone.prepare(split_of(images(40))).batch(torch.tensor([0, 1]))
    assert batch.inputs.shape == (2, 3, 32, 32)
    assert backbone(batch.inputs).shape == (2, backbone.card.feature_dim)
    assert backbone.group_names == GROUPS[name]
    assert not backbone.training
    assert BACKBONES.get(name) is backbone.card


@pytest.fixture(scope="module")
def vgg16() -> nn.Module:
    return models.vgg16(weights=None).eval()


def test_the_groups_of_vgg_hold_what_the_paper_calls_a_block(vgg16):
    kinds = {
        group.name: [type(vgg16.get_submodule(m)).__name__ for m in group.modules]
        for group in VGG16_GROUPS
    }
    convolutions = [names.count("Conv2d") for names in kinds.values()]
    assert convolutions == [2, 2, 3, 3, 3], "column D of table 1"
    assert all(names[-1] == "MaxPool2d" for names in kinds.values())
    assert sum(map(len, kinds.values())) == len(vgg16.features)


def test_the_groups_of_vit_hold_three_blocks_each():
    held = [name for group in VIT_B_16_GROUPS for name in group.modules]
    assert held == ["embedding", *(f"blocks.{i}" for i in range(12)), "norm"]


def test_plain_network_is_torchvisions_vgg_up_to_its_last_block(vgg16):
    network, pictures = PlainNetwork(VGG16_WIDTHS).eval(), images(64)
    network.features.load_state_dict(vgg16.features.state_dict())
    with torch.no_grad():
        expected = vgg16.features(pictures).mean(dim=(2, 3))
        assert torch.allclose(network(pictures), expected, atol=1e-6)


def test_plain_network_is_drawn_as_torchvisions(vgg16):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = PlainNetwork(VGG16_WIDTHS)
    for own, theirs in zip(network.features, vgg16.features, strict=True):
        if isinstance(own, nn.Conv2d):
            assert own.weight.std().item() == pytest.approx(theirs.weight.std().item(), rel=0.1)
            assert not own.bias.any()


def test_batch_norm_is_put_behind_each_convolution():
    kinds = [type(module).__name__ for module in PlainNetwork([4, "M"], batch_norm=True).features]
    assert kinds == ["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"]


def test_patch_transformer_is_torchvisions_network_without_its_classifier():
    network, pictures = small_vit(), images(16)
    with torch.no_grad():
        expected = network(pictures)
        heads = network.heads
        encoder = PatchTransformer(network).eval()
        assert torch.allclose(heads(encoder(pictures)), expected, atol=1e-5)


def test_gradients_are_those_of_torchvisions_network():
    network, pictures = small_vit(), images(16)
    network.heads = nn.Identity()
    network(pictures).square().sum().backward()
    expected = public_names({n: p.grad.clone() for n, p in network.named_parameters()})
    network.zero_grad()
    encoder = PatchTransformer(network)
    encoder(pictures).square().sum().backward()
    found = {name: parameter.grad for name, parameter in encoder.named_parameters()}
    assert found.keys() == expected.keys()
    assert all(torch.allclose(found[n], expected[n], atol=1e-4, rtol=1e-4) for n in found)


def test_public_names_are_exactly_those_of_the_patch_transformer():
    network = small_vit()
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    encoder = PatchTransformer(network)
    renamed = public_names(state)
    assert renamed.keys() == encoder.state_dict().keys()
    encoder.load_state_dict(renamed)
    assert torch.equal(encoder.embedding.class_token, state["class_token"])


@pytest.mark.parametrize("name", NAMES)
def test_public_weights_are_read_from_torch_hubs_folder_without_network(
    name, tmp_path, monkeypatch, vgg16
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("COMPANION_SCALE", raising=False)
    url = models.get_model_weights(name).DEFAULT.url
    network = vgg16 if name == "vgg16" else models.get_model(name, weights=None)
    first = network.conv_proj if name == "vit_b_16" else network.features[0]
    with torch.no_grad():
        first.weight.fill_(0.25)
        if name == "vit_b_16":
            network.encoder.pos_embedding.copy_(
                torch.arange(197.0).view(1, -1, 1).expand(1, 197, 768)
            )
    target = tmp_path / "hub" / "checkpoints" / url.rsplit("/", 1)[1]
    target.parent.mkdir(parents=True)
    state = network.state_dict()
    torch.save(
        {key: state[key] for key in state if not key.endswith("classifier.0.weight")}, target
    )
    assert BACKBONES.get(name).sha256 in target.name, "the checksum is the one in the file's name"
    backbone = load_backbone(name, image_size=32)
    assert backbone.is_pretrained
    encoder = backbone.encoder
    loaded = encoder.embedding.conv_proj if name == "vit_b_16" else encoder.features[0]
    assert bool((loaded.weight == 0.25).all())
    if name == "vit_b_16":
        positions = encoder.embedding.pos_embedding[0, :, 0]
        assert positions.shape == (5,), "a class token and 2 x 2 patches"
        assert positions[0] == 0, "the class token's own position is not interpolated"
        assert positions[1] < positions[2] < positions[3] < positions[4]


def test_sizes_and_licence_are_what_torchvision_states():
    for name in NAMES:
        card, recipe = BACKBONES.get(name), models.get_model_weights(name).DEFAULT
        assert card.size_bytes == round(recipe.meta["_file_size"] * 2**20)
        assert recipe.name in card.source
        assert "license" not in recipe.meta, "torchvision names no other licence"


@pytest.mark.parametrize("name", NAMES)
def test_preprocessing_is_that_of_the_weights(name):
    backbone = loaded(name)
    ready = backbone.prepare(split_of(images(32, channels=1))).batch(torch.tensor([0])).inputs
    recipe = models.get_model_weights(name).DEFAULT.transforms()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (recipe.mean, recipe.std))
    grey = images(32, channels=1)[0].expand(3, -1, -1)
    assert torch.allclose(ready[0], (grey - mean) / std, atol=1e-6)


def test_without_image_size_the_preset_is_that_of_the_weights():
    backbone = load_backbone("vgg16", pretrained=False)
    pictures = torch.randint(0, 256, (2, 3, 300, 260), dtype=torch.uint8)
    expected = models.VGG16_Weights.DEFAULT.transforms()(pictures)
    ready = backbone.prepare(split_of(pictures)).batch(torch.arange(2)).inputs
    assert torch.allclose(ready, expected)
    assert ready.shape == (2, 3, 224, 224)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(CompanionError, match=r"image_size: got 16; expected at least 32"):
        load_backbone("vgg16", pretrained=False, image_size=16)
    with pytest.raises(CompanionError, match=r"got 50; expected a multiple of 16.*choose 48"):
        load_backbone("vit_b_16", pretrained=False, image_size=50)


def test_images_of_another_size_than_the_positions_are_refused():
    encoder = PatchTransformer(small_vit())
    with pytest.raises(CompanionError, match=r"images: got 20 x 16 pixels; expected 16 x 16"):
        encoder(torch.zeros(1, 3, 20, 16))


@pytest.mark.parametrize("name", NAMES)
def test_rehearsal_keeps_them_random(name, monkeypatch):
    monkeypatch.setenv("COMPANION_SCALE", "rehearsal")
    assert not load_backbone(name, image_size=PATCH_SIZE * 2).is_pretrained


@pytest.mark.parametrize("name", NAMES)
def test_a_probe_moves_the_head_and_nothing_else(name):
    backbone = loaded(name)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    digits = companion.load_dataset("digits", labels_per_class=1, seed=0)
    recipe = Recipe(epochs=1, min_steps=3)
    result = companion.fit(backbone, digits, strategy="probe", seed=0, recipe=recipe)
    after = result.model.backbone.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before)
    fresh = build_head(backbone, digits.train, seed=0)
    assert not torch.equal(result.model.head.linear.weight, fresh.linear.weight)


def test_lora_reaches_every_linear_layer_of_the_attention():
    """In torch's own attention module the projections would be adapted without any effect."""
    encoder = PatchTransformer(small_vit())
    backbone = load_backbone("glyphnet", pretrained=False)
    backbone.encoder = encoder
    head = build_head(backbone, split_of(images(16)), seed=0)
    model = Model(backbone, head, ("x", "y"))
    adapted = add_lora_(model, rank=2, seed=0)
    assert {"blocks.0.self_attention.in_proj", "blocks.1.self_attention.out_proj"} <= set(adapted)
    encoder(images(16)).square().sum().backward()
    factors = {n: p.grad for n, p in encoder.named_parameters() if "lora_B" in n}
    assert len(factors) == len(adapted)
    assert all(bool(gradient.abs().sum() > 0) for gradient in factors.values())
