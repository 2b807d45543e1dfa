"""The exercises of the chapter on multi-task learning: solutions pass, mistakes are named."""

import math

import numpy as np
import pytest
import torch

from companion.exercises import check
from companion.exercises.multi_task.checks import sepal_widths, worth
from companion.exercises.multi_task.mistakes import surgery, units
from companion.objectives import project_conflicts

IDS = [f"multi-task-ex{number}" for number in range(1, 5)]
CHANGES = [-0.075, 0.005]


@pytest.mark.parametrize("answer", [CHANGES, tuple(CHANGES), np.array(CHANGES)])
def test_the_changes_pass_in_any_form(answer):
    assert check(IDS[0], answer).passed


def test_the_changes_are_those_of_real_vectors():
    first = torch.tensor([3.0, 0.0], dtype=torch.float64)
    second = torch.tensor([-0.5, math.sqrt(0.75)], dtype=torch.float64)
    step = -0.01 * (first + second)
    assert check(IDS[0], torch.stack([first @ step, second @ step])).passed


@pytest.mark.parametrize("answer", [[math.nan, 0.005], [-0.075], [None, None], [-0.075, "x"]])
def test_odd_changes_are_no_error(answer):
    assert not check(IDS[0], answer).passed


def test_both_units_are_needed():
    assert check(IDS[1], units()).passed
    in_tensors = {key: torch.tensor(value) for key, value in units().items()}
    assert check(IDS[1], in_tensors).passed
    assert not check(IDS[1], units() | {"degrees": 0.5}).passed
    assert not check(IDS[1], units() | {"radians": 0.5}).passed


def test_the_unit_does_not_change_weight_times_loss():
    found = units()
    assert found["degrees"] * 400 == pytest.approx(found["radians"] * 400 * (math.pi / 180) ** 2)


def test_surgery_passes_by_hand_by_companion_and_as_a_pair():
    def by_companion(gradients):
        return project_conflicts(gradients, seed=3)

    def as_pair(gradients):
        return tuple(surgery()(gradients))

    assert all(check(IDS[2], answer).passed for answer in (surgery(), by_companion, as_pair))


def test_the_surgery_of_the_page_is_wrong():
    def broken(gradients):
        a, b = gradients
        a = a - (a @ b) / (b @ b) * b
        b = b - (a @ b) / (a @ a) * a
        return torch.stack([a, b])

    assert check(IDS[2], broken).misconception == "projected without a conflict"


@pytest.mark.parametrize(
    "answer", [lambda g: None, lambda g: g[0], lambda g: g * math.nan, lambda: 1, lambda g: -g]
)
def test_odd_surgery_is_no_error(answer):
    assert not check(IDS[2], answer).passed


@pytest.mark.parametrize("ddof", [0, 1])
def test_flowers_pass_with_either_variance(ddof):
    assert check(IDS[3], worth(*sepal_widths(), ddof=ddof)).passed


def test_the_worth_is_what_the_error_says():
    own, other = sepal_widths()
    rng, n1 = np.random.default_rng(0), 5
    a, b = own.var() / n1, other.var() / 50 + (own.mean() - other.mean()) ** 2
    weight = a / (a + b)
    means = [rng.choice(kind, (20_000, n)).mean(axis=1) for kind, n in ((own, n1), (other, 50))]
    error = (((1 - weight) * means[0] + weight * means[1] - own.mean()) ** 2).mean()
    assert own.var() / error - n1 == pytest.approx(worth(own, other), rel=0.1)
