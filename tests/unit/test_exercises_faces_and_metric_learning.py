"""The exercises of the chapter on metric learning: solutions pass, mistakes are named."""

import numpy as np
import pytest
import torch

from companion import evaluation
from companion.exercises import check
from companion.exercises.faces_and_metric_learning.checks import little_pairs
from companion.exercises.faces_and_metric_learning.mistakes import (
    digit_embeddings,
    margins,
    one_hot_digits,
    reporter,
)

IDS = [f"faces-and-metric-learning-ex{number}" for number in range(1, 5)]


@pytest.mark.parametrize("answer", [1 - 0.999**1000, 0.63, 1 - np.exp(-1), torch.tensor(0.632)])
def test_about_two_thirds_of_the_strangers_get_in(answer):
    assert check(IDS[0], answer).passed


def test_margins_alone_are_right_whatever_the_seed_or_the_common_scale():
    assert check(IDS[1], margins()).passed
    assert check(IDS[1], margins(seeds=(5, 5), scales=(20.0, 20.0))).passed


def test_a_repaired_report_is_right_by_companion_and_by_a_quantile():
    def repaired(val_similarity, val_genuine, similarity, is_genuine, limit):
        at = evaluation.threshold_at(limit, val_similarity, val_genuine)
        found = evaluation.rates_at(at, similarity, is_genuine)
        return found.false_accept_rate, found.true_accept_rate

    assert check(IDS[2], repaired).passed
    assert check(IDS[2], reporter()).passed


def test_the_mistakes_of_a_report_are_far_apart():
    """The check compares rates with some slack: the wrong ones must lie well outside it."""
    mistakes = ({}, {"on_test": True}, {"of_all": True}, {"is_turned": True}, {"is_swapped": True})
    arguments = (*little_pairs("val"), *little_pairs("test"), 0.1)
    rows = np.array([reporter(**mistake)(*arguments) for mistake in mistakes])
    for i in range(len(rows)):
        for j in range(i):
            assert np.abs(rows[i] - rows[j]).max() > 0.03, (mistakes[i], mistakes[j])


def test_a_report_of_other_arguments_is_told_so():
    assert check(IDS[2], lambda similarity: 0.5).misconception == "another kind of answer"


def test_letters_are_enough_to_tell_digits_apart():
    feedback = check(IDS[3], digit_embeddings())
    assert feedback.passed
    assert check(IDS[3], 7 * digit_embeddings()).passed
    assert not check(IDS[3], one_hot_digits()).passed
