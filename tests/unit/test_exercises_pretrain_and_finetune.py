"""The exercises of the chapter on fine-tuning: right answers pass, whatever their form."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from companion.adapters import add_lora_
from companion.backbones import load_backbone
from companion.exercises import check
from companion.exercises.pretrain_and_finetune.checks import LittleLowRank, lora_numbers
from companion.exercises.pretrain_and_finetune.mistakes import adapted, merge
from companion.heads import LinearHead, Model

IDS = [f"pretrain-and-finetune-ex{number}" for number in range(1, 5)]


@pytest.mark.parametrize("answer", [64, 64.0, torch.tensor(64.0), np.float64(64.2)])
def test_sixty_four_times_as_many(answer):
    assert check(IDS[0], answer).passed


def test_lora_numbers_are_those_of_peft():
    model = Model(load_backbone("glyphnet"), LinearHead(128, 10), tuple("0123456789"))
    add_lora_(model, rank=5)
    own = sum(p.numel() for name, p in model.named_parameters() if "lora_" in name)
    assert lora_numbers(5) == own


def test_numbers_at_three_ranks_pass_in_any_form():
    assert check(IDS[1], {rank: lora_numbers(rank) for rank in (1, 8, 64)}).passed
    assert check(IDS[1], {r: torch.tensor(lora_numbers(r)) for r in (64, 1, 8)}).passed


def test_frozen_weights_are_recognised():
    frozen = sum(p.numel() for p in load_backbone("glyphnet").parameters())
    feedback = check(IDS[1], {rank: lora_numbers(rank) + frozen for rank in (1, 8, 64)})
    assert feedback.misconception == "frozen weights counted"


def test_the_second_factor_alone_is_recognised():
    feedback = check(IDS[1], {r: lora_numbers(r, with_a=False) for r in (1, 8, 64)})
    assert feedback.misconception == "one factor left out"


def by_probing(low_rank):
    """Merge by what the layer answers to unit inputs, without looking at its factors."""
    layer = copy.deepcopy(low_rank.layer)
    with torch.no_grad():
        a, b = low_rank.A.weight, low_rank.B.weight.flatten(1)
        layer.weight += low_rank.scale * torch.einsum("or,r...->o...", b, a)
    return layer


@pytest.mark.parametrize("answer", [merge(), by_probing])
def test_merges_that_agree_pass(answer):
    assert check(IDS[2], answer).passed


@pytest.mark.parametrize(
    ("answer", "misconception"),
    [
        (lambda low_rank: low_rank.missing, "shapes that do not fit"),
        (lambda low_rank: None, "shapes that do not fit"),
        (lambda low_rank: low_rank, "another kind of answer"),
        (lambda low_rank: nn.Identity(), "another kind of answer"),
        (nn.Linear, "another kind of answer"),
    ],
)
def test_a_merge_that_is_none_is_wrong(answer, misconception):
    assert check(IDS[2], answer).misconception == misconception


def test_both_kinds_of_layers_tell_scale_and_change_apart():
    for is_linear in (True, False):
        layer = LittleLowRank(is_linear=is_linear)
        inputs = torch.randn((3, 6) if is_linear else (3, 4, 8, 8))
        change = layer(inputs) - layer.layer(inputs)
        unscaled = layer.B(layer.A(inputs))
        assert torch.allclose(change, 2.5 * unscaled, atol=1e-5)
        assert unscaled.abs().max() > 0.05


@pytest.mark.parametrize("strategy", ["wise_ft"])
def test_learned_and_kept_passes(strategy):
    feedback = check(IDS[3], adapted(strategy, learning_rate=3e-3))
    assert feedback.passed, feedback


def test_a_model_of_another_width_is_no_answer():
    model = Model(load_backbone("glyphnet"), LinearHead(128, 3), tuple("012")).eval()
    assert check(IDS[3], model).misconception == "another kind of answer"
