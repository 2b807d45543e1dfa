"""The exercises of the chapter on compression and export: solutions pass, mistakes are named."""

import numpy as np
import pytest
import torch

from companion.exercises import check
from companion.exercises.compress_and_export.checks import kernels
from companion.exercises.compress_and_export.mistakes import camera_file, quantiser

IDS = [f"compress-and-export-ex{number}" for number in range(1, 5)]


@pytest.mark.parametrize(
    "answer", [0.8 / 127 / 2, np.float32(0.00315), torch.tensor(0.8 / 254), 0.8 / 128 / 2]
)
def test_half_a_step_is_right(answer):
    assert check(IDS[0], answer).passed


@pytest.mark.parametrize("answer", [104, 104.0, torch.tensor(104), np.int64(104)])
def test_the_largest_rank_by_counting(answer):
    wide, thin = 128 * 64 * 9, [r * 64 * 9 + 128 * r for r in (104, 105)]
    assert thin[0] < wide < thin[1]
    assert check(IDS[1], answer).passed


def test_a_quantiser_may_return_bytes_or_floats():
    def in_bytes(weight):
        numbers, scale = quantiser()(weight)
        return numbers.to(torch.int8), scale

    assert check(IDS[2], quantiser()).passed
    assert check(IDS[2], in_bytes).passed


def test_a_quantiser_may_set_the_scale_of_an_empty_channel_to_one():
    def with_one(weight):
        size = weight.abs().amax(dim=(1, 2, 3), keepdim=True)
        scale = torch.where(size > 0, size / 127, torch.ones_like(size))
        return [(weight / scale).round(), scale]

    assert check(IDS[2], with_one).passed


def test_the_wrong_axis_is_named():
    def by_input(weight):
        scale = weight.abs().amax(dim=(0, 2, 3), keepdim=True) / 127
        return (weight / scale).round(), scale

    assert check(IDS[2], by_input).misconception == "the wrong axis"


@pytest.mark.parametrize(
    "function", [lambda w: w, lambda w: (1, 2), lambda w: (w[:1], w), lambda: None, print]
)
def test_a_function_of_another_kind_is_wrong(function):
    assert not check(IDS[2], function).passed


def test_constant_and_coarse_answers_are_wrong():
    ones = torch.ones(5, 1, 1, 1)
    assert not check(IDS[2], lambda w: (torch.zeros_like(w), ones)).passed
    assert not check(IDS[2], lambda w: (quantiser()(w / 2)[0], 4 * quantiser()(w)[1])).passed


def test_the_kernels_show_every_mistake():
    weight = kernels()
    largest = weight.flatten(1).abs().argmax(dim=1)
    assert bool((weight.flatten(1).gather(1, largest[:, None]) < 0).all())
    numbers, scale = quantiser(rounds=False)(weight)
    assert bool(((numbers * scale - weight).abs() > scale / 2).any())


def test_a_file_that_reads_the_camera_is_right():
    file = camera_file("right")
    assert check(IDS[3], file).passed
    assert check(IDS[3], file.path).passed
    assert check(IDS[3], str(file.path)).passed


def test_a_path_without_a_file_is_told(tmp_path):
    feedback = check(IDS[3], tmp_path / "none.onnx")
    assert not feedback.passed
    assert "does not exist" in feedback.message
