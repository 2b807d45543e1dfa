"""Strategies: the plans, written out."""

from __future__ import annotations

import pytest

from companion.checks import CompanionError
from companion.registry import STRATEGIES, StrategyCard
from companion.strategies import (
    Adaptation,
    Phase,
    gradual,
    l2_sp,
    layer_decay,
    lora,
    plan,
    register_strategy,
    wise_ft,
)

GROUPS = ("stem", "layer1", "head")
ALL = dict.fromkeys(GROUPS, 1.0)
PLANS = {
    "scratch": [("train", 1.0, ALL)],
    "probe": [("probe", 1.0, {"head": 10.0})],
    "full": [("fine-tune", 1.0, ALL)],
    "lp_ft": [("probe", 0.5, {"head": 10.0}), ("fine-tune", 0.5, ALL)],
    "gradual": [
        ("from head", 1 / 3, {"head": 10.0}),
        ("from layer1", 1 / 3, {"layer1": 1.0, "head": 1.0}),
        ("from stem", 1 / 3, ALL),
    ],
    "layer_decay": [("fine-tune", 1.0, {"stem": 0.65**2, "layer1": 0.65, "head": 1.0})],
    "lora": [("lora", 1.0, dict.fromkeys(GROUPS, 3.0))],
    "l2_sp": [("fine-tune", 1.0, ALL)],
    "wise_ft": [("probe", 0.5, {"head": 10.0}), ("fine-tune", 0.5, ALL)],
}


def test_every_strategy_is_in_the_table():
    assert set(PLANS) == set(STRATEGIES.names())


@pytest.mark.parametrize("name", PLANS)
def test_plan(name):
    found = plan(name, GROUPS)
    assert found.name == name
    assert [phase.name for phase in found.phases] == [row[0] for row in PLANS[name]]
    for phase, (_, share, factors) in zip(found.phases, PLANS[name], strict=True):
        assert phase.share == pytest.approx(share)
        assert dict(phase.factors) == pytest.approx(factors)
    assert found.is_pretrained is (name != "scratch")
    assert bool(found.lora_rank) is (name == "lora")
    assert (found.interpolation is not None) is (name == "wise_ft")
    assert (found.l2_sp is not None) is (name == "l2_sp")


def test_options_of_the_planners():
    assert layer_decay(GROUPS, decay=0.5).phases[0].factors["stem"] == 0.25
    assert lora(GROUPS, rank=3).lora_rank == 3
    assert wise_ft(GROUPS, interpolation=0.25).interpolation == 0.25
    assert l2_sp(GROUPS, alpha=0.5, beta=0).l2_sp == (0.5, 0)
    assert l2_sp(GROUPS).l2_sp == (0.1, 0.01)
    assert len(gradual(GROUPS).phases) == 3
    for call, message in (
        (lambda: layer_decay(GROUPS, decay=2), "decay: got 2"),
        (lambda: lora(GROUPS, rank=0), "rank: got 0"),
        (lambda: wise_ft(GROUPS, interpolation=-1), "interpolation: got -1"),
        (lambda: l2_sp(GROUPS, alpha=-1), "alpha: got -1"),
        (lambda: l2_sp(GROUPS, beta="x"), "beta: got"),
    ):
        with pytest.raises(CompanionError, match=message):
            call()


def test_a_wrong_name_lists_near_matches():
    with pytest.raises(CompanionError, match="strategy: got 'lpft'.*did you mean 'lp_ft'"):
        plan("lpft", GROUPS)


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ((), "at least one phase"),
        ((Phase("a", 0.5, {"head": 1.0}),), r"shares \[0.5\]"),
        ((Phase("a", 1.0, {}),), "a trained layer group in each"),
        ((Phase("a", 1.0, {"top": 1.0}),), "layer group of phase 'a': got 'top'"),
        ((Phase("a", 1.0, {"head": float("nan")}),), "learning-rate factor of 'head': got nan"),
    ],
)
def test_a_wrong_plan_is_refused(phases, message):
    with pytest.raises(CompanionError, match=message):
        plan(Adaptation("own", phases), GROUPS)


def test_a_name_is_given_once():
    with pytest.raises(CompanionError, match="'probe', which is taken"):
        register_strategy(StrategyCard("probe", "again", "again", None))(lambda groups: None)


def test_a_plan_that_never_trains_the_head_is_refused():
    groups = ("stem", "layer1", "head")
    with pytest.raises(
        CompanionError, match="plan of 'wise_ft': got no phase that trains the head"
    ):
        plan(wise_ft(groups[:-1]), groups)
    assert plan(wise_ft(groups), groups).interpolation == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"l2_sp": 0.1}, r"l2_sp: got 0.1; expected two numbers, \(alpha, beta\)"),
        ({"l2_sp": (0.1,)}, r"l2_sp: got \(0.1,\)"),
        ({"l2_sp": (-1, 0.1)}, "alpha: got -1"),
        ({"l2_sp": (0.1, float("nan"))}, "beta: got nan"),
        ({"l2_sp": (0.1, 0.1), "is_pretrained": False}, "L2-SP with random weights or LoRA"),
        ({"l2_sp": (0.1, 0.1), "lora_rank": 2}, "L2-SP with random weights or LoRA"),
    ],
)
def test_a_pull_that_cannot_be_is_refused(options, message):
    with pytest.raises(CompanionError, match=message):
        plan(Adaptation("own", (Phase("a", 1.0, ALL),), **options), GROUPS)
