"""fit: schedule, early stopping, caching, weights of classes, clear errors."""

from __future__ import annotations

import copy
import dataclasses
import errno
import math
import os

import numpy as np
import pytest
import torch

import companion
from companion import layer_groups, runtime
from companion.batches import ImageAugment
from companion.checks import CompanionError
from companion.heads import Model, build_head
from companion.strategies import Adaptation, Phase, l2_sp
from companion.training import (
    Evaluation,
    History,
    Recipe,
    compute_features,
    fit,
    interpolate_,
    learning_rate_factor,
)
from companion.training.loop import _phase_bounds
from companion.training.order import split_order
from companion.training.phase_loop import PhaseLoop

SHORT = Recipe(epochs=1, min_steps=12, batch_size=16)


def _learns(case, **options):
    recipe = Recipe(epochs=1, min_steps=150, batch_size=16, learning_rate=3e-3)
    return fit(case.backbone, case.splits, strategy="full", seed=0, recipe=recipe, **options)


def test_training_learns_in_every_modality(case):
    result = _learns(case)
    losses = result.history.losses
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    assert result.scores is not None
    assert len(losses) == len(result.history.learning_rates) == 150
    assert result.history.evaluations[-1].step == 150
    assert result.seconds > 0


def test_num_steps_is_epochs_or_the_least():
    recipe = Recipe(epochs=3, min_steps=10, batch_size=4)
    assert recipe.num_steps(9) == 10
    assert recipe.num_steps(20) == 15


def test_learning_rate_rises_then_falls_to_zero():
    factors = [learning_rate_factor(s, 20, warmup_fraction=0.25) for s in range(20)]
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    expected = [0.5 * (1 + math.cos(math.pi * k / 15)) for k in range(15)]
    assert factors[5:] == pytest.approx(expected)
    assert factors[-1] < 0.02


def test_history_has_the_rates_of_the_schedule(images):
    result = fit(images.backbone, images.splits, strategy="full", seed=0, recipe=SHORT)
    expected = [1e-3 * learning_rate_factor(s, 12, warmup_fraction=0.1) for s in range(12)]
    assert result.history.learning_rates == pytest.approx(expected)


def test_first_loss_is_that_of_a_plain_rewrite(images):
    """One step of a linear probe in plain torch, from the same start, gives the same weights."""
    recipe = Recipe(epochs=1, min_steps=1, batch_size=64, warmup_fraction=0.0, max_grad_norm=None)
    result = fit(images.backbone, images.splits, strategy="probe", seed=0, recipe=recipe)
    train = images.splits.train
    from companion.heads import build_head

    head = build_head(images.backbone, train, seed=0)
    order = companion.runtime.epoch_order(len(train), seed=0, epoch=0)
    with torch.no_grad():
        features = images.backbone(images.backbone.prepare(train).batch(order).inputs)
    optimizer = torch.optim.AdamW(
        [
            {"params": [head.linear.weight], "weight_decay": 0.01},
            {"params": [head.linear.bias], "weight_decay": 0.0},
        ],
        lr=1e-2,
    )
    loss = torch.nn.functional.cross_entropy(head(features), train.labels[order])
    loss.backward()
    optimizer.step()
    assert result.history.losses == pytest.approx([loss.item()], abs=1e-5)
    assert torch.allclose(result.model.head.linear.weight, head.linear.weight, atol=1e-5)


def test_phase_bounds_give_each_phase_a_step():
    assert _phase_bounds(10, [0.5, 0.5]) == [0, 5, 10]
    assert _phase_bounds(3, [0.1, 0.8, 0.1]) == [0, 1, 2, 3]
    assert _phase_bounds(1, [0.5, 0.5]) == [0, 1, 2]
    assert _phase_bounds(100, [0.2, 0.3, 0.5]) == [0, 20, 50, 100]


def test_cached_features_give_the_same_result(case):
    runs = [
        fit(
            case.backbone,
            case.splits,
            strategy="probe",
            seed=0,
            recipe=dataclasses.replace(SHORT, cache_features=cache),
        )
        for cache in (True, False)
    ]
    assert runs[0].history.losses == pytest.approx(runs[1].history.losses, rel=5e-4, abs=1e-4)
    batch = case.backbone.prepare(case.splits.train).batch(torch.arange(8))
    with torch.no_grad():
        outputs = [run.model(batch.inputs, batch.mask) for run in runs]
    assert torch.allclose(*outputs, atol=1e-3)


def test_cached_run_computes_each_feature_once(images, monkeypatch):
    seen = []
    forward = type(images.backbone).forward
    monkeypatch.setattr(
        type(images.backbone),
        "forward",
        lambda self, inputs, mask=None: seen.append(len(inputs)) or forward(self, inputs, mask),
    )
    fit(images.backbone, images.splits, strategy="probe", seed=0, recipe=SHORT)
    train, val = len(images.splits.train), len(images.splits.val)
    assert seen == [train, val, val], "train and val once, and val for the scores at the end"


def test_augmented_inputs_are_not_cached(images, monkeypatch):
    from companion.training import phase_loop

    def never(*_, **__):
        raise AssertionError("features were cached")

    monkeypatch.setattr(phase_loop, "compute_features", never)
    recipe = dataclasses.replace(SHORT, augment=ImageAugment(seed=9))
    result = fit(images.backbone, images.splits, strategy="probe", seed=0, recipe=recipe)
    again = fit(images.backbone, images.splits, strategy="probe", seed=0,
                recipe=dataclasses.replace(SHORT, augment=ImageAugment(seed=8)))  # fmt: skip
    assert result.history.losses == again.history.losses, "the run's seed replaces the recipe's"


def test_compute_features_trims_padding(case):
    from companion.heads import Model, build_head

    train = case.splits.train
    model = Model(case.backbone, build_head(case.backbone, train, seed=0), train.classes)
    source = case.backbone.prepare(train)
    cached = compute_features(model, source, device=torch.device("cpu"))
    batch, raw = cached.batch(torch.tensor([3, 7])), source.batch(torch.tensor([3, 7]))
    with torch.no_grad():
        features = case.backbone(raw.inputs, raw.mask)
    mask = case.backbone.feature_mask(raw.mask)
    assert torch.equal(batch.labels, raw.labels)
    if train.task == "classification" and mask is not None:
        rows = [row[real].mean(dim=0) for row, real in zip(features, mask, strict=True)]
        assert batch.mask is None and torch.allclose(batch.inputs, torch.stack(rows), atol=1e-5)
    elif mask is None:
        assert torch.allclose(batch.inputs, features, atol=1e-5)
    else:
        assert torch.equal(batch.mask.sum(dim=1), mask.sum(dim=1))
        assert torch.allclose(batch.inputs[batch.mask], features[mask], atol=1e-4)


def test_early_stopping_keeps_the_best_weights(images, monkeypatch):
    from companion.training.phase_loop import PhaseLoop

    script = iter([3.0, 2.0, 2.5, 2.6, 9.0])
    fingerprints = []

    def scripted(self):
        fingerprints.append(layer_groups.fingerprints(self.run.model))
        return next(script)

    monkeypatch.setattr(PhaseLoop, "val_loss", scripted)
    recipe = Recipe(epochs=1, min_steps=40, batch_size=64, patience=2)
    result = fit(images.backbone, images.splits, strategy="full", seed=0, recipe=recipe)
    assert result.history.stopped_early
    assert [e.loss for e in result.history.evaluations] == [3.0, 2.0, 2.5, 2.6]
    assert len(result.history.losses) == 8
    assert layer_groups.fingerprints(result.model) == fingerprints[1]


def test_without_patience_the_last_weights_are_kept(images):
    result = fit(images.backbone, images.splits, strategy="full", seed=0, recipe=SHORT)
    assert not result.history.stopped_early
    assert len(result.history.losses) == 12


def test_val_loss_is_the_mean_over_val(images):
    result = fit(images.backbone, images.splits, strategy="full", seed=0, recipe=SHORT)
    val = images.splits.val
    batch = result.model.backbone.prepare(val).batch(torch.arange(len(val)))
    with torch.no_grad():
        logits = result.model(batch.inputs)
    loss = torch.nn.functional.cross_entropy(logits, batch.labels).item()
    assert result.history.evaluations[-1].loss == pytest.approx(loss, abs=1e-5)


def test_balanced_class_weights_have_mean_one_over_the_items(images):
    from companion.training import _class_weights

    train = images.splits.train
    skewed = train.subset([i for i in range(len(train)) if train.labels[i] != 2 or i % 2])
    recipe = dataclasses.replace(SHORT, class_weights="balanced")
    weights = _class_weights(skewed, recipe, torch.device("cpu"))
    per_item = weights[skewed.labels]
    assert per_item.mean().item() == pytest.approx(1.0)
    totals = [per_item[skewed.labels == c].sum().item() for c in range(3)]
    assert totals == pytest.approx([totals[0]] * 3)


def test_class_weights_need_classes(case):
    recipe = dataclasses.replace(SHORT, class_weights="balanced")
    if case.splits.train.task == "classification":
        fit(case.backbone, case.splits, strategy="probe", seed=0, recipe=recipe)
        return
    task = case.splits.train.task
    with pytest.raises(
        CompanionError, match=f"class_weights: got 'balanced' for the task '{task}'"
    ):
        fit(case.backbone, case.splits, strategy="probe", seed=0, recipe=recipe)


def test_interpolation_is_the_weighted_mean():
    model = torch.nn.BatchNorm1d(2)
    anchor = {k: v.clone() for k, v in model.state_dict().items()}
    with torch.no_grad():
        model.weight.fill_(5)
        model.running_mean.fill_(2)
        model.num_batches_tracked.fill_(7)
    interpolate_(model, anchor, 0.25)
    assert model.weight.tolist() == [2.0, 2.0]
    assert model.running_mean.tolist() == [0.5, 0.5]
    assert model.num_batches_tracked == 7
    with pytest.raises(CompanionError, match="interpolation: got 1.5"):
        interpolate_(model, anchor, 1.5)


def test_wise_ft_lies_between_its_probe_and_lp_ft(images):
    tuned = fit(images.backbone, images.splits, strategy="lp_ft", seed=0, recipe=SHORT).model
    averaged = fit(images.backbone, images.splits, strategy="wise_ft", seed=0, recipe=SHORT).model
    start, end = images.backbone.encoder.conv1.weight, tuned.backbone.encoder.conv1.weight
    middle = averaged.backbone.encoder.conv1.weight
    assert torch.allclose(middle, (start + end) / 2, atol=1e-6)
    assert not torch.equal(middle, end)


def test_l2_sp_trains_on_the_loss_with_its_penalty(images):
    """Two full-batch steps by hand, with torch's AdamW and no decay, from the same start."""
    splits = dataclasses.replace(images.splits, val=None)
    recipe = Recipe(
        epochs=1, min_steps=2, batch_size=len(splits.train), learning_rate=1e-2, weight_decay=0.5,
        warmup_fraction=0.0, max_grad_norm=None, precision="no",
    )  # fmt: skip
    groups = (*images.backbone.group_names, "head")
    pull = l2_sp(groups, alpha=3.0, beta=2.0)
    found = fit(images.backbone, splits, strategy=pull, seed=0, recipe=recipe)
    model = Model(
        copy.deepcopy(images.backbone),
        build_head(images.backbone, splits.train, seed=0),
        splits.train.classes,
    ).train()
    start = [p.detach().clone() for p in model.backbone.parameters()]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0)
    source = model.backbone.prepare(splits.train)
    for step, loss_found in enumerate(found.history.losses):
        optimizer.param_groups[0]["lr"] = 1e-2 * learning_rate_factor(step, 2, warmup_fraction=0.0)
        moved = sum(
            (p - s).pow(2).sum() for p, s in zip(model.backbone.parameters(), start, strict=True)
        )
        size = sum(p.pow(2).sum() for p in model.head.parameters())
        batch = source.batch(runtime.epoch_order(len(source), seed=0, epoch=step))
        task = torch.nn.functional.cross_entropy(model(batch.inputs, batch.mask), batch.labels)
        loss = task + 1.5 * moved + size
        assert loss.item() == pytest.approx(loss_found, rel=1e-5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for mine, theirs in zip(model.parameters(), found.model.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=2e-5)


def test_l2_sp_goes_on_from_a_checkpoint_with_its_first_start(images, tmp_path):
    def run(steps: int, folder):
        recipe = dataclasses.replace(SHORT, min_steps=24)
        if steps == 24:
            return fit(images.backbone, images.splits, strategy="l2_sp", recipe=recipe,
                       checkpoint_dir=folder, checkpoint_every=8)  # fmt: skip
        with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
            advance = PhaseLoop.advance

            def stop_at(self):
                if self.run.step == steps:
                    raise KeyboardInterrupt
                advance(self)

            patch.setattr(PhaseLoop, "advance", stop_at)
            return fit(images.backbone, images.splits, strategy="l2_sp", recipe=recipe,
                       checkpoint_dir=folder, checkpoint_every=8)  # fmt: skip

    whole = run(24, tmp_path / "whole").model.state_dict()
    run(20, tmp_path / "broken")
    resumed = run(24, tmp_path / "broken")
    assert resumed.history.resumed_at == [16]
    for name, value in resumed.model.state_dict().items():
        assert torch.equal(value, whole[name]), name


def test_a_strong_pull_keeps_the_backbone_near_its_start(images):
    def distance(alpha: float) -> float:
        pull = l2_sp((*images.backbone.group_names, "head"), alpha=alpha)
        model = fit(images.backbone, images.splits, strategy=pull, seed=0, recipe=SHORT).model
        pairs = zip(model.backbone.parameters(), images.backbone.parameters(), strict=True)
        return sum(float((a - b).detach().square().sum()) for a, b in pairs)

    assert distance(100.0) < 0.5 * distance(0.0)


def test_history_round_trip():
    history = History([1.0], [0.1], [("probe", 0)], [Evaluation(1, "probe", 0.5)], True, [3])
    assert History.from_dict(history.as_dict()) == history


def test_overlap_warns(images):
    card = dataclasses.replace(images.backbone.card, pretrained_on=("squares",))
    images.backbone.card, images.backbone.is_pretrained = card, True
    with pytest.warns(UserWarning, match="saw data of squares in pretraining"):
        fit(images.backbone, images.splits, strategy="probe", seed=0, recipe=SHORT)


def test_bf16_trains_on_the_cpu(images):
    recipe = dataclasses.replace(SHORT, precision="bf16")
    result = fit(images.backbone, images.splits, strategy="full", seed=0, recipe=recipe)
    plain = fit(images.backbone, images.splits, strategy="full", seed=0, recipe=SHORT)
    assert result.history.losses != plain.history.losses
    assert result.history.losses == pytest.approx(plain.history.losses, abs=0.2)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("learning_rate", float("nan"), "learning_rate: got nan; expected a finite number"),
        ("learning_rate", 0.0, "learning_rate: got 0.0"),
        ("epochs", 0, "epochs: got 0"),
        ("batch_size", 1.5, "batch_size: got 1.5"),
        ("weight_decay", -1.0, "weight_decay: got -1.0"),
        ("label_smoothing", 50, "label_smoothing: got 50.*percentage"),
        ("max_grad_norm", 0.0, "max_grad_norm: got 0.0"),
        ("patience", 0, "patience: got 0"),
        ("class_weights", "balance", "class_weights: got 'balance'.*did you mean 'balanced'"),
        ("precision", "half", "precision: got 'half'"),
    ],
)
def test_a_wrong_recipe_is_refused(field, value, message):
    with pytest.raises(CompanionError, match=message):
        Recipe(**{field: value})


def test_a_loss_that_is_not_finite_names_the_batch(images, monkeypatch):
    # Images are checked as they are read: let one pass that a preprocessing would have broken.
    monkeypatch.setattr("companion.backbones.vision.check_images", lambda what, image: None)
    broken = images.splits.train.inputs.clone()
    broken[4] = torch.nan
    train = dataclasses.replace(images.splits.train, inputs=list(broken))
    splits = dataclasses.replace(images.splits, train=train, pool=None)
    with pytest.raises(
        CompanionError, match=r"loss at step \d+ .* got nan for the items at .*\b4\b"
    ):
        fit(images.backbone, splits, strategy="full", seed=0, recipe=SHORT)


def test_a_gradient_that_is_not_finite_names_the_batch(images, monkeypatch):
    # The root of 0 is 0, and its slope is not finite.
    penalty = PhaseLoop._penalty
    monkeypatch.setattr(
        PhaseLoop,
        "_penalty",
        lambda loop: penalty(loop) + (0 * loop.run.model.head.linear.bias).sum().sqrt(),
    )
    with pytest.raises(CompanionError, match=r"gradient at step 0 .* got nan for the items at"):
        fit(images.backbone, images.splits, strategy="probe", seed=0, recipe=SHORT)


def test_a_learning_rate_that_explodes_stops(images):
    recipe = Recipe(epochs=1, min_steps=60, batch_size=16, learning_rate=1e30, max_grad_norm=None)
    with pytest.raises(CompanionError, match="expected a finite number; lower the learning rate"):
        fit(images.backbone, images.splits, strategy="full", seed=0, recipe=recipe)


def test_a_full_disk_stops_with_a_sentence_and_keeps_the_last_checkpoint(
    images, tmp_path, monkeypatch
):
    whole = fit(images.backbone, images.splits, seed=0, recipe=SHORT)
    replace, saved = os.replace, []

    def full_at_second(source, target):
        if "step-" in str(target):
            saved.append(target)
            if len(saved) == 2:
                raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(companion.runtime.os, "replace", full_at_second)
    options = {"seed": 0, "recipe": SHORT, "checkpoint_dir": tmp_path, "checkpoint_every": 4}
    with pytest.raises(CompanionError, match="No space left on device; .*free some space"):
        fit(images.backbone, images.splits, **options)
    assert [p.name for p in tmp_path.iterdir()] == ["step-000000004"]
    monkeypatch.setattr(companion.runtime.os, "replace", replace)
    again = fit(images.backbone, images.splits, **options)
    assert again.history.resumed_at == [4]
    assert layer_groups.fingerprints(again.model) == layer_groups.fingerprints(whole.model)


def test_a_checkpoint_folder_that_cannot_be_written_is_said_before_training(images, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CompanionError, match="writing .*expected a folder with write permission"):
        fit(images.backbone, images.splits, checkpoint_dir=tmp_path / "file" / "run")


def test_own_plan_with_unknown_group(images):
    own = Adaptation("own", (Phase("a", 1.0, {"layer7": 1.0}),))
    with pytest.raises(CompanionError, match="'layer7'.*did you mean 'layer"):
        fit(images.backbone, images.splits, strategy=own)


@pytest.mark.parametrize("field", ["labels", "inputs"])
def test_checkpoints_of_other_data_under_the_same_ids_are_refused(images, tmp_path, field):
    options = {"seed": 0, "recipe": SHORT, "checkpoint_dir": tmp_path, "checkpoint_every": 4}
    fit(images.backbone, images.splits, **options)
    train = images.splits.train
    changed = {"labels": 2 - train.labels, "inputs": 1 - train.inputs}[field]
    other = dataclasses.replace(train, **{field: changed})
    splits = dataclasses.replace(images.splits, train=other, pool=None)
    with pytest.raises(CompanionError, match="checkpoints of another run"):
        fit(images.backbone, splits, **options)


def test_numpy_numbers_are_kept_as_plain_ones(images, tmp_path):
    recipe = Recipe(
        epochs=np.int64(1), min_steps=np.int32(4), learning_rate=np.float32(1e-3), batch_size=16
    )
    assert type(recipe.epochs) is int
    assert type(recipe.learning_rate) is float
    fit(images.backbone, images.splits, seed=np.int64(1), recipe=recipe, checkpoint_dir=tmp_path,
        checkpoint_every=np.int64(2))  # fmt: skip
    assert len(list(tmp_path.glob("step-*"))) == 2


def test_a_last_item_alone_joins_the_batch_before_it():
    lengths = [[len(b) for b in split_order(torch.arange(n), 4)] for n in (1, 4, 5, 6, 9)]
    assert lengths == [[1], [4], [5], [4, 2], [4, 5]]
    assert [len(b) for b in split_order(torch.arange(3), 1)] == [1, 1, 1]
    assert torch.cat(split_order(torch.tensor([3, 1, 2, 0, 4]), 4)).tolist() == [3, 1, 2, 0, 4]


def test_a_backbone_with_adapters_is_refused(images):
    adapted = fit(images.backbone, images.splits, strategy="lora", seed=0, recipe=SHORT).model
    with pytest.raises(CompanionError, match="with LoRA factors of an earlier run"):
        fit(adapted.backbone, images.splits, strategy="full", seed=0, recipe=SHORT)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recipe": {"epochs": 3}}, "recipe: got .*a dict; expected a Recipe"),
        ({"strategy": None}, "strategy: got None, a NoneType; expected a Adaptation"),
        ({"seed": -1}, "seed: got -1"),
        ({"strategy": Adaptation("own", (Phase("a", math.nan, {"head": 1.0}),))}, "share of phase"),
        (
            {"strategy": Adaptation("own", (Phase("a", 1.0, {"head": 1.0}),), interpolation=2)},
            "interpolation: got 2",
        ),
    ],
)
def test_wrong_arguments_are_refused_before_training(images, options, message):
    with pytest.raises(CompanionError, match=message):
        fit(images.backbone, images.splits, **options)


def test_computing_features_leaves_the_modes_as_they_were(images):
    from companion.heads import Model, build_head

    train = images.splits.train
    model = Model(
        images.backbone, build_head(images.backbone, train, seed=0), train.classes
    ).train()
    layer_groups.freeze_(model, ["stem", "layer1"])
    before = [module.training for module in model.modules()]
    compute_features(model, images.backbone.prepare(train), device=torch.device("cpu"))
    assert [module.training for module in model.modules()] == before
