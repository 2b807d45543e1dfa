"""The exercises of the chapter on domain adaptation: right answers of every kind pass."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from companion.exercises import check
from companion.exercises.domain_adaptation.checks import (
    ACCURACY,
    KNOWN,
    NEW,
    archive,
    with_batch_norm,
)
from companion.exercises.domain_adaptation.mistakes import distances, shares, statistics

IDS = [f"domain-adaptation-ex{number}" for number in range(1, 5)]


def test_the_accuracy_is_that_of_a_drawn_target():
    rng = np.random.default_rng(0)
    labels = rng.choice(2, size=200_000, p=[0.2, 0.8])
    found = rng.random(200_000) < np.array([0.9, 0.6])[labels]
    assert found.mean() == pytest.approx(ACCURACY, abs=0.005)
    assert check(IDS[0], ACCURACY).passed
    assert check(IDS[0], torch.tensor(ACCURACY)).passed


def test_a_shift_is_seen_by_one_distance_only():
    assert check(IDS[1], distances()).passed
    assert check(IDS[1], {name: float(value) for name, value in distances().items()}).passed


def test_statistics_by_torch_and_by_momentum_are_right():
    def by_torch(network, inputs):
        network = deepcopy(network)
        update_bn([inputs], network)
        return network.eval()

    assert check(IDS[2], by_torch).passed
    assert check(IDS[2], statistics()).passed


def test_statistics_by_hand_with_the_other_divisor_are_right():
    def by_hand(network, inputs):
        network = deepcopy(network)
        with torch.no_grad():
            z = inputs
            for layer in network:
                if isinstance(layer, nn.BatchNorm1d):
                    layer.running_mean = z.mean(dim=0)
                    layer.running_var = z.var(dim=0, unbiased=False)
                z = layer(z)
        return network

    assert check(IDS[2], by_hand).passed


def test_statistics_of_the_first_layer_only_are_wrong():
    def first_only(network, inputs):
        network = deepcopy(network)
        network[4].eval()
        network[1].train().momentum = 1.0
        with torch.no_grad():
            network(inputs)
        return network.eval()

    assert not check(IDS[2], first_only).passed


def test_a_function_that_raises_is_another_kind_of_answer():
    for exercise in IDS[2:]:
        feedback = check(exercise, lambda one: one)
        assert not feedback.passed
        assert feedback.misconception == "another kind of answer"


def test_the_network_of_the_check_is_in_evaluation_mode_with_other_statistics():
    network, inputs = with_batch_norm()
    assert not network.training
    assert not torch.allclose(network[1].running_mean, network[0](inputs).mean(dim=0), atol=0.5)


def test_shares_are_right_by_joint_by_conditional_table_and_as_a_list():
    def by_conditional(labels, guesses, new_guesses):
        table = np.zeros((10, 10))
        for label, guess in zip(labels.tolist(), guesses.tolist(), strict=True):
            table[guess, label] += 1
        table /= table.sum(axis=0)
        named = np.bincount(new_guesses, minlength=10) / len(new_guesses)
        return np.linalg.solve(table, named).tolist()

    assert check(IDS[3], shares()).passed
    assert check(IDS[3], by_conditional).passed


def test_the_archive_has_the_stated_shares_and_mistakes():
    for sizes in (KNOWN, NEW):
        labels, guesses = archive(sizes)
        assert torch.bincount(labels, minlength=10).tolist() == sizes.tolist()
        assert ((guesses - labels) % 10).unique().tolist() == [0, 1]
    assert (archive(NEW)[0] != archive(NEW)[1]).double().mean() == pytest.approx(1 / 7, abs=0.03)
