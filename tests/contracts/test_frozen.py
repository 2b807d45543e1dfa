"""Contract 1: frozen is frozen, and what is trained moves, in every modality and strategy."""

from __future__ import annotations

import pytest
import torch

from companion import layer_groups
from companion.adapters import lora_layers
from companion.heads import Model, build_head
from companion.registry import STRATEGIES
from companion.strategies import Adaptation, Phase, plan
from companion.training import Recipe, Result, fit

RECIPE = Recipe(epochs=1, min_steps=12, batch_size=16, learning_rate=1e-3)
ALL_STRATEGIES = STRATEGIES.names()  # of the package: `companion.strategies` registers them


def test_every_registered_strategy_is_tested_here():
    known = {"scratch", "probe", "full", "lp_ft", "gradual", "layer_decay", "lora", "wise_ft"}
    known.add("l2_sp")
    assert known <= set(ALL_STRATEGIES)
    assert set(ALL_STRATEGIES) <= set(STRATEGIES.names())


def _plan(case, strategy: str) -> Adaptation:
    """Return the plan of a strategy for the case's backbone and a head."""
    return plan(strategy, (*case.backbone.group_names, "head"))


def _moving_groups(adaptation: Adaptation) -> set[str]:
    """Return the layer groups whose own weights a plan moves: LoRA leaves the backbone's alone."""
    groups = {group for phase in adaptation.phases for group in phase.factors}
    return groups & {"head"} if adaptation.lora_rank else groups


def _start(case, *, strategy: str) -> Model:
    """Return the model as `fit` begins with it."""
    body = case.backbone
    if not _plan(case, strategy).is_pretrained:
        body = body.with_random_weights(0)
    train = case.splits.train
    return Model(body, build_head(body, train, seed=0), train.classes)


def _own_state(model: Model) -> dict[str, torch.Tensor]:
    """Return all weights and buffers but LoRA factors, by their names without adapters."""
    return {
        name.replace("base_layer.", ""): tensor
        for name, tensor in model.state_dict().items()
        if "lora_" not in name
    }


def test_expected_groups_follow_from_plans(images):
    everything = {*images.backbone.group_names, "head"}
    for strategy in ("scratch", "full", "lp_ft", "gradual", "layer_decay", "wise_ft", "l2_sp"):
        assert _moving_groups(_plan(images, strategy)) == everything
    for strategy in ("probe", "lora"):
        assert _moving_groups(_plan(images, strategy)) == {"head"}


def _trained_groups(result: Result) -> set[str]:
    return {row.group for row in result.ledger.rows if any(row.learning_rates)}


@pytest.mark.parametrize("strategy", ALL_STRATEGIES)
def test_frozen_is_bit_equal_and_trained_has_moved(case, strategy):
    before = _own_state(_start(case, strategy=strategy))
    result = fit(case.backbone, case.splits, strategy=strategy, seed=0, recipe=RECIPE)
    after = _own_state(result.model)
    assert before.keys() == after.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    groups = _moving_groups(_plan(case, strategy))
    assert moved == _movable(result.model, groups, untrained=case.backbone.card.untrained)
    assert {row.group: row.has_moved for row in result.ledger.rows} == {
        name: name in groups for name in layer_groups.group_names(result.model)
    }


def _movable(model: Model, groups: set[str], *, untrained: tuple[str, ...]) -> set[str]:
    """Return the names of all parameters of some groups, and of their batch-norm statistics."""
    found = set()
    names = {id(tensor): name for name, tensor in model.named_parameters()}
    names |= {id(tensor): name for name, tensor in model.named_buffers()}
    for group in groups:
        for module in layer_groups.group_modules(model, group):
            tensors = [*module.parameters()]
            tensors += [b for n, b in module.named_buffers() if n.split(".")[-1] in _STATISTICS]
            found |= {names[id(t)] for t in tensors if "lora_" not in names[id(t)]}
    return found - {f"backbone.{name}" for name in untrained}


_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def test_untrained_parameters_never_get_a_gradient(case):
    """The explicit list of a backbone's card is exact: no name too many, none missing."""
    model = _start(case, strategy="full").train()
    source = model.backbone.prepare(case.splits.train)
    seen = set()
    for indices in torch.arange(len(source)).split(16):
        batch = source.batch(indices)
        logits = model(batch.inputs, batch.mask)
        mask = model.backbone.feature_mask(batch.mask)
        model.head.losses(logits, batch.labels, mask).sum().backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None and parameter.grad.abs().sum() > 0:
            seen.add(name)
    never = {name for name, _ in model.named_parameters()} - seen
    # The text model has one kind of segment only; rows of unused embeddings are within a tensor.
    assert never == {f"backbone.{name}" for name in model.backbone.card.untrained}


def test_lora_factors_move_where_they_get_a_gradient(case):
    result = fit(case.backbone, case.splits, strategy="lora", seed=0, recipe=RECIPE)
    unused = {name.rsplit(".", 1)[0] for name in case.backbone.card.untrained}
    num_layers = 0
    for layer in lora_layers(result.model):
        name = next(n for n, m in result.model.backbone.named_modules() if m is layer)
        is_used = name not in unused
        for factor in layer.lora_B.parameters():
            assert bool(factor.abs().sum() > 0) is is_used, name
        num_layers += 1
    assert num_layers >= 2


def test_batch_norm_of_a_frozen_group_stays_in_evaluation_mode(images):
    model = _start(images, strategy="full")
    layer_groups.freeze_(model, ["stem", "layer1"])
    layer_groups.set_modes_(model)
    norms = [m for m in model.backbone.encoder.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    modes = [norm.training for norm in norms]
    assert modes == [False] * 3 + [True] * (len(norms) - 3)
    assert model.head.training


def test_partial_plan_moves_only_its_groups(images):
    own = Adaptation("top", (Phase("top", 1.0, {"layer4": 1.0, "head": 10.0}),))
    result = fit(images.backbone, images.splits, strategy=own, seed=0, recipe=RECIPE)
    assert _trained_groups(result) == {"layer4", "head"}
    assert {row.group for row in result.ledger.rows if row.has_moved} == {"layer4", "head"}


def test_the_given_backbone_is_left_as_it_was(case):
    before = {k: v.clone() for k, v in case.backbone.state_dict().items()}
    fit(case.backbone, case.splits, strategy="full", seed=0, recipe=RECIPE)
    after = case.backbone.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not case.backbone.training


def test_ledger_tells_rates_and_counts(images):
    result = fit(images.backbone, images.splits, strategy="lp_ft", seed=0, recipe=RECIPE)
    assert result.ledger.phases == ("probe", "fine-tune")
    rows = {row.group: row for row in result.ledger.rows}
    assert rows["stem"].learning_rates == (None, pytest.approx(1e-3))
    assert rows["head"].learning_rates == (pytest.approx(1e-2), pytest.approx(1e-3))
    counted = sum(p.numel() for p in result.model.parameters())
    assert result.ledger.num_parameters == result.ledger.num_trainable == counted
    probe = fit(images.backbone, images.splits, strategy="probe", seed=0, recipe=RECIPE)
    assert probe.ledger.num_trainable == 128 * 3 + 3
    assert "frozen" in str(probe.ledger)


def test_layer_decay_slows_towards_the_input(images):
    groups = (*images.backbone.group_names, "head")
    factors = plan("layer_decay", groups).phases[0].factors
    assert factors == pytest.approx(
        {"stem": 0.65**5, "layer1": 0.65**4, "layer2": 0.65**3, "layer3": 0.65**2,
         "layer4": 0.65, "head": 1.0}
    )  # fmt: skip


def test_frozen_batch_norm_keeps_statistics_but_trains_its_scale(images):
    import dataclasses

    recipe = dataclasses.replace(RECIPE, freeze_batch_norm=True)
    before = _own_state(_start(images, strategy="full"))
    result = fit(images.backbone, images.splits, strategy="full", seed=0, recipe=recipe)
    after = _own_state(result.model)
    for name in before:
        is_statistic = name.split(".")[-1] in _STATISTICS
        assert torch.equal(before[name], after[name]) is is_statistic, name
