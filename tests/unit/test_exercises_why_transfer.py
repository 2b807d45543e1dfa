"""The exercises of the first chapter: solutions pass, mistakes are named."""

import math

import pytest
import torch

from companion.exercises import check
from companion.exercises.why_transfer.mistakes import equivalents, turned

IDS = [f"why-transfer-ex{number}" for number in range(1, 5)]


@pytest.mark.parametrize("answer", [[1.0, 0.1], (0.95, 0.2), torch.tensor([1.0, 0.05])])
def test_fitted_and_blind_is_right(answer):
    assert check(IDS[0], answer).passed


def test_negative_fractions_are_another_kind_of_answer():
    assert check(IDS[0], [1.0, -0.1]).misconception == "another kind of answer"


def test_equivalents_are_right_as_they_come_and_as_numbers():
    answer = equivalents("scratch", "full")
    assert check(IDS[1], answer).passed
    assert check(IDS[1], {k: v.labels for k, v in answer.items()}).passed


def test_budgets_grow_with_what_they_equal():
    labels = [value.labels for value in equivalents("scratch", "full").values()]
    assert labels == sorted(labels)
    assert all(1 <= value < 80 for value in labels)


def test_one_wrong_number_is_not_right():
    answer = {k: v.labels for k, v in equivalents("scratch", "full").items()}
    feedback = check(IDS[1], answer | {20: answer[20] * 1.2})
    assert not feedback.passed


def first_step(curve, goal):
    for step, accuracy in curve:
        if accuracy >= goal:
            return step
    return None


def infinite(curve, goal):
    found = first_step(curve, goal)
    return math.inf if found is None else found


def test_first_step_is_right():
    assert check(IDS[2], first_step).passed


def test_infinity_for_never_is_told_apart():
    feedback = check(IDS[2], infinite)
    assert not feedback.passed
    assert feedback.misconception is None
    assert "None" in feedback.message


def test_turned_digits_are_right():
    assert check(IDS[3], turned()).passed


def test_pixels_keep_their_distances():
    assert turned(seeds=(0,))["pixels"] == turned(train=False, val=False, seeds=(0,))["pixels"]


def test_other_draws_are_not_right():
    assert not check(IDS[3], turned(seeds=(5, 6, 7, 8, 9))).passed
