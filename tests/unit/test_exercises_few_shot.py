"""The exercises of the chapter on few-shot learning: solutions pass, mistakes are named."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from companion.exercises import check
from companion.exercises.few_shot.checks import little_encoder, little_episode
from companion.exercises.few_shot.mistakes import episodes, judge, printed
from companion.fewshot import compute_prototypes, prototype_logits

IDS = [f"few-shot-ex{number}" for number in range(1, 5)]


@pytest.mark.parametrize("answer", [1600, 1600.0, torch.tensor(1597)])
def test_four_times_as_many_are_right(answer):
    assert check(IDS[0], answer).passed


def test_one_seed_and_two_shots_are_a_fair_curve():
    assert check(IDS[1], {1: episodes(1), 2: episodes(2)}).passed
    assert check(IDS[1], {1: list(episodes(1)), 2: list(episodes(2))}).passed


def test_the_one_shot_must_be_among_the_two():
    one, two = list(episodes(1)), list(episodes(2))
    foreign = {int(p) for e in two for p in (*e.support_positions, *e.query_positions)}
    free = torch.tensor([p for p in range(1000) if p not in foreign][:3])
    one[0] = replace(one[0], support_positions=free)
    feedback = check(IDS[1], {1: one, 2: two})
    assert feedback.misconception == "the support was drawn anew"


def test_the_encoder_tells_the_modes_apart():
    episode = little_episode()
    by_mode = [judge(mode=mode)(little_encoder(), episode) for mode in ("eval", "train")]
    assert not torch.allclose(*by_mode, atol=1e-2)


def test_a_repaired_judge_is_right_whatever_its_scale_or_distance_squared():
    def scaled(encoder, episode):
        return 3 * judge()(encoder, episode) - 1

    def in_two_batches(encoder, episode):
        encoder.eval()
        with torch.no_grad():
            support, query = encoder(episode.support_inputs), encoder(episode.query_inputs)
        return prototype_logits(query, compute_prototypes(support, episode.support_labels))

    assert all(check(IDS[2], answer).passed for answer in (judge(), scaled, in_two_batches))


def test_a_judge_that_does_not_encode_is_wrong():
    feedback = check(IDS[2], lambda encoder, episode: judge()(nn.Identity(), episode).roll(1, 1))
    assert not feedback.passed


def test_printed_digits_name_handwritten_ones():
    feedback = check(IDS[3], printed())
    assert feedback.passed
    assert "no handwritten digit had a label" in feedback.message


def test_pictures_that_were_not_prepared_are_found():
    feedback = check(IDS[3], torch.zeros_like(printed()))
    assert feedback.misconception == "wrong preprocessing"
