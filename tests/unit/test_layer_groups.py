"""Layer groups: exact names in each optimizer group, fingerprints, freezing and its undoing."""

from __future__ import annotations

import math

import pytest
import torch

from companion import layer_groups
from companion.checks import CompanionError
from companion.heads import Model, build_head


@pytest.fixture
def model(case) -> Model:
    train = case.splits.train
    return Model(case.backbone, build_head(case.backbone, train, seed=0), train.classes)


def test_group_names_run_from_input_to_head(model):
    assert layer_groups.group_names(model) == (*model.backbone.group_names, "head")
    with pytest.raises(CompanionError, match="model: got a Backbone; expected a Model"):
        layer_groups.group_names(model.backbone)
    assert layer_groups.group_modules(model, "head") == [model.head]


def test_unknown_groups_are_refused(model):
    for call in (layer_groups.freeze_, layer_groups.unfreeze_):
        with pytest.raises(CompanionError, match="layer group: got 'layer9'"):
            call(model, ["layer9"])
    with pytest.raises(CompanionError, match="layer group: got 'layer9'"):
        layer_groups.parameter_groups(model, {"layer9": 1.0}, weight_decay=0.0)


def test_freeze_and_unfreeze_round_trip(model):
    names = layer_groups.group_names(model)
    layer_groups.freeze_(model, names[:-1])
    assert [layer_groups.is_frozen(model, n) for n in names] == [True] * (len(names) - 1) + [False]
    assert not any(p.requires_grad for p in model.backbone.parameters())
    assert not any(m.training for m in model.backbone.encoder.modules() if list(m.parameters()))
    layer_groups.unfreeze_(model, names[:-1])
    assert all(p.requires_grad for p in model.parameters())


def test_an_empty_list_changes_nothing(model):
    layer_groups.freeze_(model, [])
    assert all(p.requires_grad for p in model.parameters())
    layer_groups.freeze_(model, layer_groups.group_names(model))
    layer_groups.unfreeze_(model, [])
    assert not any(p.requires_grad for p in model.parameters())


def test_parameter_groups_hold_exactly_these_names(images):
    head = build_head(images.backbone, images.splits.train, seed=0)
    model = Model(images.backbone, head, images.splits.train.classes)
    groups = layer_groups.parameter_groups(model, {"stem": 0.1, "head": 0.2}, weight_decay=0.3)
    found = [(g["group"], g["lr"], g["weight_decay"], g["names"]) for g in groups]
    assert found == [
        ("stem", 0.1, 0.3, ["stem.0.weight"]),
        ("stem", 0.1, 0.0, ["stem.1.weight", "stem.1.bias"]),
        ("head", 0.2, 0.3, ["head.0.linear.weight"]),
        ("head", 0.2, 0.0, ["head.0.linear.bias"]),
    ]
    assert groups[0]["params"][0] is images.backbone.encoder.conv1.weight


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_parameter_groups_hold_each_trained_parameter_once(model, weight_decay):
    rates = dict.fromkeys(layer_groups.group_names(model), 1e-3)
    groups = layer_groups.parameter_groups(model, rates, weight_decay=weight_decay)
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    layer_groups.freeze_(model, ["head"])
    groups = layer_groups.parameter_groups(model, rates, weight_decay=weight_decay)
    assert "head" not in {group["group"] for group in groups}


def test_fingerprints_see_one_bit_and_one_statistic(images):
    head = build_head(images.backbone, images.splits.train, seed=0)
    model = Model(images.backbone, head, images.splits.train.classes)
    before = layer_groups.fingerprints(model)
    assert layer_groups.fingerprints(model) == before
    with torch.no_grad():
        weight = model.backbone.encoder.layer2[0].conv1.weight
        weight.view(-1)[7] = torch.nextafter(weight.view(-1)[7], torch.tensor(math.inf))
    model.backbone.encoder.layer3[0].bn1.num_batches_tracked += 1
    after = layer_groups.fingerprints(model)
    assert {n for n in before if before[n] != after[n]} == {"layer2", "layer3"}


def test_ledger_of_a_model_as_it_stands(images):
    head = build_head(images.backbone, images.splits.train, seed=0)
    model = Model(images.backbone, head, images.splits.train.classes)
    layer_groups.freeze_(model, images.backbone.group_names)
    table = layer_groups.ledger(model, {"head": 0.5})
    rows = {row.group: row for row in table.rows}
    assert rows["head"].learning_rates == (0.5,)
    assert rows["stem"].learning_rates == (None,)
    assert table.num_trainable == rows["head"].num_parameters == 128 * 3 + 3
    assert table.num_parameters == sum(p.numel() for p in model.parameters())
    text = str(table).splitlines()
    assert len({len(line) for line in text}) == 1
    assert text[1].split()[:1] == ["stem"]


@pytest.mark.parametrize("frozen", [True, False])
def test_a_batch_norm_without_weights_of_its_own_follows_its_group(images, frozen):
    train = images.splits.train
    model = Model(images.backbone, build_head(images.backbone, train, seed=0), train.classes)
    norm = torch.nn.BatchNorm2d(8, affine=False)
    model.backbone.encoder.layer1.add_module("bare", norm)
    if frozen:
        layer_groups.freeze_(model, ["layer1"])
    layer_groups.set_modes_(model)
    assert norm.training is not frozen
    layer_groups.set_modes_(model, freeze_batch_norm=True)
    assert not norm.training


def test_modes_follow_what_is_trained(model):
    layer_groups.freeze_(model, layer_groups.group_names(model)[:1])
    layer_groups.set_modes_(model)
    first, second = layer_groups.group_names(model)[:2]
    assert not any(m.training for m in layer_groups.group_modules(model, first))
    assert all(m.training for m in layer_groups.group_modules(model, second))
    layer_groups.set_modes_(model, freeze_batch_norm=True)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    assert not any(norm.training for norm in norms)
