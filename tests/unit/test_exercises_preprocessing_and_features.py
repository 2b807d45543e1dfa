"""The exercises of the chapter on preprocessing and features: right answers pass."""

import numpy as np
import pytest
import torch
from torch import nn

from companion.backbones.vision_public import PlainNetwork
from companion.exercises import check
from companion.exercises.preprocessing_and_features.checks import SEEN
from companion.exercises.preprocessing_and_features.mistakes import box, chain, triangle, verdict

IDS = [f"preprocessing-and-features-ex{number}" for number in range(1, 5)]


def test_the_width_is_what_a_gradient_finds():
    network = PlainNetwork([2, "M", 2, "M", 2, "M"]).features.eval()
    images = torch.rand(64, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    images.requires_grad_()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(0.1)
    network(images)[:, :, 4, 4].sum().backward()
    seen = images.grad.abs().sum(dim=(0, 1)) > 0
    assert int(seen.any(dim=0).sum()) == int(seen.any(dim=1).sum()) == SEEN


@pytest.mark.parametrize("answer", [22, 22.0, torch.tensor([22]), np.int64(22)])
def test_the_width_is_right(answer):
    assert check(IDS[0], answer).passed


def test_average_pooling_is_right_as_tensor_and_as_array():
    matrix = box()
    images = torch.rand(1, 1, 96, 96, generator=torch.Generator().manual_seed(0))
    pooled = nn.functional.avg_pool2d(images, 3)
    assert torch.allclose(matrix @ images @ matrix.T, pooled, atol=1e-6)
    assert check(IDS[1], matrix).passed
    assert check(IDS[1], matrix.numpy().astype(np.float64)).passed


def test_a_triangle_is_what_torch_does():
    images = torch.rand(1, 1, 96, 96, generator=torch.Generator().manual_seed(0))
    for antialias in (True, False):
        matrix = triangle(antialias=antialias)
        theirs = nn.functional.interpolate(images, (32, 32), mode="bilinear", antialias=antialias)
        assert torch.allclose(matrix @ images @ matrix.T, theirs, atol=1e-5)


def test_a_repaired_chain_is_right():
    assert check(IDS[2], chain()).passed


def test_the_broken_chain_of_the_page_is_not():
    feedback = check(
        IDS[2],
        chain(mild_in_validation=True, mirrored=True, antialias=False, statistics=(0.449, 0.226)),
    )
    assert feedback.misconception == "validation was augmented"


def test_a_chain_of_another_size_is_told():
    def make(train):
        return nn.AvgPool2d(2)

    assert "(2, 1, 48, 48)" in check(IDS[2], make).message


def test_the_check_leaves_the_state_of_chance_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    check(IDS[2], chain())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("word", "gain"), [("lower", -0.1), ("higher", 0.1), ("not told apart", 0.001)]
)
def test_verdicts_that_follow_are_right(word, gain):
    assert check(IDS[3], verdict(word, gain=gain)).passed


def test_the_verdict_is_about_coarse_less_fine():
    """Which list is compared with which is said, with the value's sign."""
    found = check(IDS[3], verdict("lower", gain=-0.1))
    assert "coarse less fine: -0.1" in found.message.replace("\u2212", "-")
    assert "coarse less fine?" in check(IDS[3], verdict("higher", gain=-0.1)).message


def test_two_sources_are_enough_in_a_rehearsal(monkeypatch):
    assert check(IDS[3], verdict("lower", num=2)).misconception == "fewer than five seeds"
    monkeypatch.setenv("COMPANION_SCALE", "rehearsal")
    assert check(IDS[3], verdict("lower", num=2)).misconception != "fewer than five seeds"
