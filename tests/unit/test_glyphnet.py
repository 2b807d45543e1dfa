"""companion.backbones.glyphnet: the network, its preprocessing, its bundled weights."""

import json
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from companion import assets
from companion.backbones import glyphnet
from companion.checks import CompanionError
from companion.datasets import glyphs
from companion.registry import BACKBONES
from companion.runtime import fork_seed, sha256_file

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "companion" / "assets" / "glyphnet"
WEIGHTS = FOLDER / "model.safetensors"
LARGEST_ASSET = 1_500_000


@pytest.fixture(scope="module")
def pretrained():
    network = glyphnet.build_glyphnet(len(glyphs.LETTERS))
    network.load_state_dict(assets.load_weights(WEIGHTS))
    return network.eval()


def images(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def build(num_classes=10, seed=0):
    with fork_seed(seed):
        return glyphnet.build_glyphnet(num_classes)


# the network


def test_a_block_computes_what_torchvisions_basic_block_computes():
    from torchvision.models.resnet import BasicBlock, conv1x1

    shortcut = torch.nn.Sequential(conv1x1(4, 6, 2), torch.nn.BatchNorm2d(6))
    theirs = BasicBlock(4, 6, 2, shortcut)
    ours = glyphnet.ResidualBlock(4, 6, stride=2)
    ours.load_state_dict(theirs.state_dict())
    inputs = images(3, 4, 8, 8)
    assert torch.equal(ours(inputs), theirs(inputs))
    assert torch.equal(ours.bn2.running_var, theirs.bn2.running_var)


def test_parameter_names_are_those_of_torchvisions_resnet18():
    from torchvision.models import resnet18

    ours, theirs = set(build().state_dict()), set(resnet18(weights=None).state_dict())
    assert ours < theirs
    first_blocks = {name for name in theirs if not name.startswith("layer") or ".0." in name}
    extra = {name for name in ours if name.startswith("layer1.0.downsample")}
    assert ours == first_blocks and not extra


def test_the_network_has_about_320_thousand_parameters():
    count = sum(weight.numel() for weight in build(len(glyphs.LETTERS)).parameters())
    assert 310_000 < count < 330_000


def test_logits_have_one_column_a_class():
    assert build(7)(images(3, 1, 32, 32)).shape == (3, 7)


def test_four_stages_end_in_the_feature_dimension():
    network = build().eval()
    network.fc = torch.nn.Identity()
    assert network(images(2, 1, 32, 32)).shape == (2, glyphnet.FEATURE_DIM)


def test_weights_follow_the_seed():
    first, again, other = build(), build(), build(seed=1)
    assert torch.equal(first.conv1.weight, again.conv1.weight)
    assert not torch.equal(first.conv1.weight, other.conv1.weight)


def test_convolutions_are_drawn_as_he_and_others_say():
    weight = build().layer4[0].conv2.weight
    assert weight.std().item() == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.02)


def test_in_evaluation_an_image_does_not_depend_on_its_batch():
    network, inputs = build().eval(), images(4, 1, 32, 32)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(network(inputs[order]), network(inputs)[order])


@pytest.mark.parametrize("num_classes", [0, -1, 2.5])
def test_a_number_of_classes_that_is_none_is_refused(num_classes):
    with pytest.raises(CompanionError, match="num_classes: got"):
        glyphnet.build_glyphnet(num_classes)


# preprocess


def test_preprocess_shifts_and_scales():
    grey = torch.full((1, 1, 32, 32), glyphnet.MEAN + glyphnet.STD)
    torch.testing.assert_close(glyphnet.preprocess(grey), torch.ones(1, 1, 32, 32))


def test_preprocess_reads_bytes_as_fractions():
    raw = torch.randint(256, (2, 1, 32, 32), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        glyphnet.preprocess(raw.to(torch.uint8)), glyphnet.preprocess(raw / 255)
    )


def test_preprocess_weighs_colours_by_brightness():
    red, green, blue = (torch.zeros(1, 3, 32, 32) for _ in range(3))
    red[:, 0], green[:, 1], blue[:, 2] = 1, 1, 1
    values = [glyphnet.preprocess(image).mean() for image in (blue, red, green)]
    assert values == sorted(values) and values[0] < values[1] < values[2]
    white = glyphnet.preprocess(torch.ones(1, 3, 32, 32))
    torch.testing.assert_close(white, glyphnet.preprocess(torch.ones(1, 1, 32, 32)))


@pytest.mark.parametrize("side", [8, 28, 32, 64])
def test_preprocess_brings_every_size_to_32_pixels(side):
    ready = glyphnet.preprocess(images(2, 1, side, side + 4))
    assert ready.shape == (2, 1, 32, 32) and ready.dtype == torch.float32


def test_preprocess_enlarges_as_plain_bilinear_interpolation_does():
    small = images(2, 1, 8, 8)
    plain = functional.interpolate(small, (32, 32), mode="bilinear", align_corners=False)
    torch.testing.assert_close(glyphnet.preprocess(small), (plain - glyphnet.MEAN) / glyphnet.STD)


def test_preprocess_averages_where_it_shrinks():
    stripes = torch.zeros(1, 1, 128, 128)
    stripes[..., ::4] = 1
    ready = glyphnet.preprocess(stripes) * glyphnet.STD + glyphnet.MEAN
    torch.testing.assert_close(
        ready[..., 4:-4], torch.full((1, 1, 32, 24), 0.25), atol=0.02, rtol=0
    )


@pytest.mark.parametrize("shape", [(32, 32), (1, 32, 32), (1, 4, 32, 32), (1, 0, 32, 32)])
def test_preprocess_refuses_other_shapes(shape):
    with pytest.raises(CompanionError, match=r"images: got shape \(.*expected \(batch, channels"):
        glyphnet.preprocess(torch.zeros(shape))


# the bundled weights


def test_the_asset_is_small_and_is_the_one_that_the_log_and_the_card_name():
    log = json.loads((ROOT / "recipes" / "glyphnet.log.json").read_text())
    assert WEIGHTS.stat().st_size == log["size_bytes"] <= LARGEST_ASSET
    assert sha256_file(WEIGHTS) == log["sha256"] == BACKBONES.get("glyphnet").sha256
    assert log["sha256"] in (FOLDER / "README.md").read_text()


def test_the_asset_names_letters_in_faces_that_it_never_saw(pretrained):
    drawings = glyphs.render_letters([f for f in glyphs.FACES if f.name in glyphs.HELD_OUT_FACES])
    pictures = glyphs.distort(drawings.images, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        named = pretrained(glyphnet.preprocess(pictures)).argmax(1)
    assert (named == drawings.labels).float().mean() > 0.9


def test_the_constants_are_those_of_distorted_letters():
    log = json.loads((ROOT / "recipes" / "glyphnet.log.json").read_text())
    assert log["pixels"]["mean"] == pytest.approx(glyphnet.MEAN, abs=0.01)
    assert log["pixels"]["std"] == pytest.approx(glyphnet.STD, abs=0.01)


def test_the_asset_is_what_the_architecture_expects(pretrained):
    state = assets.load_weights(WEIGHTS)
    assert set(state) == set(pretrained.state_dict())
    assert state["fc.weight"].shape == (len(glyphs.LETTERS), glyphnet.FEATURE_DIM)
    assert all(torch.isfinite(value).all() for value in state.values())


def test_the_card_is_what_the_recipe_writes_from_its_log():
    import importlib.util

    spec = importlib.util.spec_from_file_location("recipe", ROOT / "recipes" / "glyphnet.py")
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    log = json.loads(recipe.LOG.read_text())
    assert (FOLDER / "README.md").read_text() == recipe.card(log)
