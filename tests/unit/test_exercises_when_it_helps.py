"""The exercises of the chapter on when transfer helps: right answers pass, mistakes are named."""

import numpy as np
import pytest

from companion.exercises import check
from companion.exercises.when_it_helps.checks import ADDED, COPIES, ERROR, noise
from companion.exercises.when_it_helps.mistakes import changes, choice, distance
from companion.transferability import proxy_a_distance

IDS = [f"when-it-helps-ex{number}" for number in range(1, 6)]


def test_what_is_added_is_half_the_distance_of_two_such_domains():
    assert pytest.approx(0.5 * 2 * (1 - 2 * ERROR)) == ADDED
    ends = [np.concatenate([np.zeros((600, 1)), np.full((400, 1), end)]) for end in (-1.0, 1.0)]
    assert proxy_a_distance(*ends, seed=0) / 2 == pytest.approx(ADDED, abs=0.05)
    assert check(IDS[0], ADDED).passed


def test_four_scores_of_changed_features_are_right():
    assert check(IDS[1], changes()).passed


def test_companions_distance_is_a_right_repair():
    assert check(IDS[2], lambda source, target: proxy_a_distance(source, target, seed=0)).passed
    assert check(IDS[2], distance()).passed


def test_a_function_that_raises_is_another_kind_of_answer():
    feedback = check(IDS[2], lambda source: 0.0)
    assert not feedback.passed
    assert feedback.misconception == "another kind of answer"


def test_the_source_with_the_highest_score_is_right_and_its_loss_is_told():
    feedback = check(IDS[3], choice("a"))
    assert feedback.passed
    assert "loses 0.100" in feedback.message


def test_all_copies_in_any_order_are_right():
    assert check(IDS[4], list(reversed(COPIES))).passed
    assert check(IDS[4], np.array(COPIES)).passed


def test_clouds_differ_by_seed_and_lie_where_they_are_told():
    assert not np.array_equal(noise(5), noise(5, seed=1))
    assert noise(500, shift=3.0).mean() == pytest.approx(3.0, abs=0.1)
