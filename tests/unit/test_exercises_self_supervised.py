"""The exercises of the chapter on self-supervised learning: solutions pass, mistakes are named."""

import math

import numpy as np
import pytest
import torch

from companion import objectives
from companion.exercises import check
from companion.exercises.self_supervised.checks import letters_like_themselves
from companion.exercises.self_supervised.mistakes import (
    block_masks,
    contrastive_loss,
    scattered_masks,
)

IDS = [f"self-supervised-ex{number}" for number in range(1, 5)]


@pytest.mark.parametrize("answer", [math.log(511), 6.236, 6.2364, torch.tensor(6.2364)])
def test_the_logarithm_of_the_candidates_is_right(answer):
    assert check(IDS[0], answer).passed


@pytest.mark.parametrize("answer", [6.2, 6.24, math.log(509), math.log(256), math.nan, math.inf])
def test_another_number_is_no_chance(answer):
    assert not check(IDS[0], answer).passed


@pytest.mark.parametrize("size", [4, 8, 32])
def test_blocks_are_right_at_any_size_and_of_any_type(size):
    masks = block_masks(size=size)
    assert all(check(IDS[1], answer).passed for answer in (masks, masks.int(), masks.numpy()))


def test_a_block_that_never_reaches_a_corner_is_told():
    grid = torch.zeros(100, 1, 4, 4, dtype=torch.bool)
    for number in range(100):
        column = number % 3
        grid[number, 0, 0:2, column : column + 2] = True
    assert check(IDS[1], grid).misconception == "not all places drawn"


def test_a_block_that_wraps_round_the_edge_is_no_block():
    rolled = block_masks(size=4).roll(1, dims=3)
    assert check(IDS[1], rolled).misconception == "scattered patches"


@pytest.mark.parametrize("values", [torch.full((100, 1, 8, 8), 0.5), torch.zeros(100, 1, 6, 6)])
def test_what_is_no_mask_is_another_kind(values):
    assert check(IDS[1], values).misconception == "another kind of answer"


def test_nothing_hidden_is_another_number():
    assert check(IDS[1], torch.zeros(100, 1, 8, 8)).misconception == "another number of patches"
    assert not check(IDS[1], scattered_masks(3)).passed


def test_the_reference_loss_is_that_of_the_companion():
    views = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    by_companion = objectives.nt_xent(*views, temperature=0.3)
    assert torch.isclose(contrastive_loss()(*views, 0.3), by_companion)


def with_loops(first, second, temperature):
    rows = np.concatenate([first.numpy(), second.numpy()])
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    losses = []
    for i, row in enumerate(rows):
        scores = np.exp(np.delete(rows, i, axis=0) @ row / temperature)
        partner = rows[(i + len(first)) % len(rows)]
        losses.append(np.log(scores.sum()) - row @ partner / temperature)
    return float(np.mean(losses))


def test_a_repaired_loss_is_right_however_it_is_written():
    def by_companion(first, second, temperature):
        return objectives.nt_xent(first, second, temperature=temperature)

    def with_gradient(first, second, temperature):
        return by_companion(first.clone().requires_grad_(), second, temperature)

    assert all(check(IDS[2], answer).passed for answer in (by_companion, with_gradient, with_loops))


def test_a_loss_that_ignores_the_temperature_is_not_repaired():
    assert not check(IDS[2], lambda first, second, _: objectives.nt_xent(first, second)).passed


@pytest.mark.parametrize("answer", ["HNSXZ", list("ZXSNH"), ("H", "N", "S", "X", "Z")])
def test_letters_that_turn_into_themselves(answer):
    assert check(IDS[3], answer).passed
    assert check(IDS[3], letters_like_themselves()).passed


def test_a_half_turn_is_both_mirrors():
    both = letters_like_themselves("mirrored") & letters_like_themselves("upside down")
    assert both <= letters_like_themselves()
    assert letters_like_themselves() == set("HNSXZ")


@pytest.mark.parametrize("answer", ["hnsxz", ["HN", "SXZ"], [None], {1, 2}])
def test_what_is_no_collection_of_capitals_is_another_kind(answer):
    assert check(IDS[3], answer).misconception == "another kind of answer"
