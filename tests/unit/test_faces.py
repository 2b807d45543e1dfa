"""The face network: the published architecture, name by name, and its public file."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from companion import runtime
from companion.backbones import faces, load_backbone
from companion.checks import CompanionError
from companion.splits import Split


@pytest.fixture(scope="module")
def network():
    """The network with random weights."""
    with runtime.fork_seed(0, "faces"):
        return faces.InceptionResnet().eval()


def count(network, kind):
    """How many modules of a kind there are."""
    return sum(isinstance(module, kind) for module in network.modules())


def test_sizes_are_the_published_ones(network):
    num_parameters = sum(parameter.numel() for parameter in network.parameters())
    assert num_parameters == 23_482_624
    assert num_parameters + 512 * 8631 + 8631 == 27_910_327
    kinds = (nn.Conv2d, nn.BatchNorm2d, nn.BatchNorm1d, nn.Linear)
    assert [count(network, kind) for kind in kinds] == [132, 111, 1, 1]


def test_names_and_shapes_are_those_of_the_public_state_dict(network):
    state = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    published = {
        "conv2d_1a.conv.weight": (32, 3, 3, 3),
        "conv2d_2b.bn.running_var": (64,),
        "conv2d_3b.conv.weight": (80, 64, 1, 1),
        "conv2d_4b.conv.weight": (256, 192, 3, 3),
        "repeat_1.4.branch0.conv.weight": (32, 256, 1, 1),
        "repeat_1.0.branch2.2.conv.weight": (32, 32, 3, 3),
        "repeat_1.0.conv2d.bias": (256,),
        "mixed_6a.branch0.conv.weight": (384, 256, 3, 3),
        "mixed_6a.branch1.2.conv.weight": (256, 192, 3, 3),
        "repeat_2.9.branch1.1.conv.weight": (128, 128, 1, 7),
        "repeat_2.9.branch1.2.conv.weight": (128, 128, 7, 1),
        "repeat_2.0.conv2d.weight": (896, 256, 1, 1),
        "mixed_7a.branch0.1.conv.weight": (384, 256, 3, 3),
        "mixed_7a.branch1.1.conv.weight": (256, 256, 3, 3),
        "mixed_7a.branch2.2.conv.weight": (256, 256, 3, 3),
        "repeat_3.4.branch1.1.conv.weight": (192, 192, 1, 3),
        "block8.branch1.2.conv.weight": (192, 192, 3, 1),
        "block8.conv2d.weight": (1792, 384, 1, 1),
        "last_linear.weight": (512, 1792),
        "last_bn.num_batches_tracked": (),
    }
    assert {name: state.get(name) for name in published} == published
    assert {name.partition(".")[0] for name in state} == {
        *(f"conv2d_{part}" for part in ("1a", "2a", "2b", "3b", "4a", "4b")),
        *("repeat_1", "mixed_6a", "repeat_2", "mixed_7a", "repeat_3", "block8"),
        *("last_linear", "last_bn"),
    }
    assert all(m.eps == 1e-3 for m in network.modules() if isinstance(m, nn.BatchNorm2d))


def test_residual_scales_are_the_published_ones(network):
    scales = {
        name: (block.scale, block.has_relu)
        for name, block in network.named_modules()
        if isinstance(block, faces._Residual)
    }
    assert scales["repeat_1.2"] == (0.17, True)
    assert scales["repeat_2.7"] == (0.10, True)
    assert scales["repeat_3.0"] == (0.20, True)
    assert scales["block8"] == (1.0, False)
    assert len(scales) == 21


def test_sides_shrink_as_published_and_features_are_not_scaled(network):
    sizes = {}
    watched = ("conv2d_1a", "conv2d_2b", "conv2d_4b", "mixed_6a", "mixed_7a")
    hooks = [
        network.get_submodule(name).register_forward_hook(
            lambda module, args, output, name=name: sizes.update({name: tuple(output.shape[1:])})
        )
        for name in watched
    ]
    with torch.no_grad():
        features = network(torch.zeros(1, 3, 160, 160))
    for hook in hooks:
        hook.remove()
    wanted = [(32, 79, 79), (64, 77, 77), (256, 17, 17), (896, 8, 8), (1792, 3, 3)]
    assert [sizes[name] for name in watched] == wanted
    assert features.shape == (1, 512)


def test_a_residual_block_adds_its_branches_to_its_input():
    block = faces._block8(scale=0.5, has_relu=False).eval()
    images = torch.randn(2, 1792, 3, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        joined = torch.cat([block.branch0(images), block.branch1(images)], dim=1)
        assert torch.allclose(block(images), images + 0.5 * block.conv2d(joined), atol=1e-5)


def test_pixels_are_shifted_and_scaled_and_grey_becomes_colour():
    images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 1, 50, 40)
    found = faces.preprocess(images)
    assert found.shape == (2, 3, 160, 160)
    assert found[0].unique().tolist() == [-127.5 / 128]
    assert found[1].unique().tolist() == [127.5 / 128]
    assert torch.allclose(faces.preprocess(images.float() / 255), found)


def test_the_public_file_loads_without_its_classifier(network, tmp_path, monkeypatch):
    state = network.state_dict() | {"logits.weight": torch.zeros(5, 512)}
    path = tmp_path / faces.FILE.name
    path.parent.mkdir(parents=True)
    torch.save(state, path)
    file = replace(faces.FILE, sha256=runtime.sha256_file(path))
    monkeypatch.setattr(faces, "FILE", file)
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path))
    backbone = load_backbone("inception_resnet_v1")
    assert backbone.is_pretrained
    assert torch.equal(backbone.encoder.last_linear.weight, network.last_linear.weight)
    assert backbone.group_names == ("stem", "repeat_1", "repeat_2", "repeat_3", "last")
    split = Split("x", torch.zeros(1, 3, 20, 20), torch.tensor([0]), ("a",), ("A",))
    assert backbone.prepare(split).batch(torch.tensor([0])).inputs.shape == (1, 3, 160, 160)


def test_rehearsal_stays_random_and_other_sizes_are_refused(monkeypatch):
    monkeypatch.setenv("COMPANION_SCALE", "rehearsal")
    assert not load_backbone("inception_resnet_v1").is_pretrained
    with pytest.raises(CompanionError, match="image_size: got 224; expected 160"):
        load_backbone("inception_resnet_v1", image_size=224)
