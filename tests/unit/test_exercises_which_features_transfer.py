"""The exercises of the chapter on which features transfer: right answers pass."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import companion
from companion.exercises import check
from companion.exercises.which_features_transfer.checks import BELOW, NUM_TRAINED
from companion.exercises.which_features_transfer.mistakes import cutter, slow, verdict
from companion.strategies import Adaptation, Phase

IDS = [f"which-features-transfer-ex{number}" for number in range(1, 5)]


def test_the_number_is_that_of_the_letters_network():
    encoder = companion.load_backbone("glyphnet").encoder
    counts = {name: sum(p.numel() for p in part.parameters())
              for name, part in encoder.named_children()}  # fmt: skip
    assert counts["layer4"] + 128 * 10 + 10 == NUM_TRAINED
    assert sum(counts.values()) - counts["layer4"] == BELOW
    for answer in (
        NUM_TRAINED,
        float(NUM_TRAINED),
        np.int64(NUM_TRAINED),
        torch.tensor([NUM_TRAINED]),
    ):
        assert check(IDS[0], answer).passed


@pytest.mark.parametrize("scale", [1.0, 0.2])
def test_a_tenth_of_any_rate_is_right(scale):
    assert check(IDS[1], slow(below=0.1 * scale, new=scale, head=scale)).passed


def test_a_plan_with_an_unknown_group_is_wrong():
    plan = slow()
    factors = dict(plan.phases[0].factors) | {"layer5": 1.0}
    feedback = check(IDS[1], Adaptation("odd", (Phase("train", 1.0, factors),)))
    assert not feedback.passed
    assert "layer5" in feedback.message


def test_more_than_one_phase_is_not_what_was_asked():
    half = Phase("half", 0.5, slow().phases[0].factors)
    assert not check(IDS[1], Adaptation("two", (half, half))).passed


def by_state(origin, fresh, n):
    """The cut through a state dict, in a copy of the fresh network."""
    network = copy.deepcopy(fresh).train()
    for own, given in zip(network[:n], origin[:n], strict=True):
        own.load_state_dict(given.state_dict())
        own.requires_grad_(False).eval()
    return network


def test_copies_of_parts_and_of_states_are_right():
    assert check(IDS[2], cutter()).passed
    assert check(IDS[2], by_state).passed


def test_fresh_parts_above_the_cut_that_are_frozen_are_recognised():
    def too_much(origin, fresh, n):
        network = by_state(origin, fresh, n)
        network[2].requires_grad_(False)
        return network

    assert check(IDS[2], too_much).misconception == "too much is frozen"


@pytest.mark.parametrize("answer", [nn.Linear(2, 2), lambda origin: origin, nn.Sequential])
def test_other_things_than_such_a_function_are_another_kind(answer):
    assert check(IDS[2], answer).misconception == "another kind of answer"


@pytest.mark.parametrize(
    ("gain", "word"), [(0.1, "higher"), (-0.1, "lower"), (0.004, "not told apart")]
)
def test_a_verdict_that_follows_from_the_differences_is_right(gain, word):
    assert check(IDS[3], verdict(word, gain=gain)).passed


def test_arrays_and_tensors_are_taken_and_copies_are_not():
    answer = verdict("higher")
    taken = {"base": np.array(answer["base"]), "tuned": torch.tensor(answer["tuned"])}
    assert check(IDS[3], answer | taken).passed
    same = check(IDS[3], answer | {"tuned": answer["base"]})
    assert same.misconception == "one network judged twice"
    constant = check(IDS[3], answer | {"base": [0.5] * 5})
    assert constant.misconception == "seeds not varied"
