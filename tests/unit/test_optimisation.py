"""minimise_: the steps of fit, for a loss of one's own."""

from __future__ import annotations

import dataclasses
import inspect

import pytest
import torch
from torch.nn import functional

from companion import optimisation, runtime
from companion.checks import CompanionError
from companion.heads import Model, build_head
from companion.training import Recipe, fit, learning_rate_factor
from companion.training.order import split_order


def test_a_step_by_hand():
    """One parameter, a quadratic: AdamW's first steps written out."""
    weight = torch.tensor([2.0], requires_grad=True)
    losses = optimisation.minimise_(
        lambda step: ((weight - 1) ** 2).sum(), [weight], num_steps=3, learning_rate=0.1,
        weight_decay=0.2, warmup_fraction=0.0, max_grad_norm=None,
    )  # fmt: skip
    x, m, v, expected = 2.0, 0.0, 0.0, []
    for step in range(3):
        rate = 0.1 * learning_rate_factor(step, 3, warmup_fraction=0.0)
        expected.append((x - 1) ** 2)
        gradient = 2 * (x - 1)
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        x -= rate * 0.2 * x
        x -= rate * m / (1 - 0.9 ** (step + 1)) / ((v / (1 - 0.999 ** (step + 1))) ** 0.5 + 1e-8)
    assert losses == pytest.approx(expected, rel=1e-5)
    assert weight.item() == pytest.approx(x, rel=1e-5)
    assert weight.grad is None


def test_it_is_the_loop_of_fit(images):
    """The same steps as `fit`, from the same start, on the same batches."""
    splits = dataclasses.replace(images.splits, val=None)
    recipe = Recipe(
        epochs=1, min_steps=9, batch_size=16, weight_decay=0.0, max_grad_norm=0.5, precision="no"
    )
    found = fit(images.backbone, splits, strategy="full", seed=3, recipe=recipe)
    head = build_head(images.backbone, splits.train, seed=3)
    model = Model(images.backbone, head, splits.train.classes).train()
    source = model.backbone.prepare(splits.train)

    def loss(step: int) -> torch.Tensor:
        per_epoch = len(split_order(torch.arange(len(source)), 16))
        epoch, slot = divmod(step, per_epoch)
        order = runtime.epoch_order(len(source), seed=3, epoch=epoch)
        batch = source.batch(split_order(order, 16)[slot])
        return functional.cross_entropy(model(batch.inputs, batch.mask), batch.labels)

    losses = optimisation.minimise_(
        loss, model.parameters(), num_steps=9, weight_decay=0.0, max_grad_norm=0.5
    )
    assert losses == pytest.approx(found.history.losses, rel=1e-5)


def test_what_needs_no_gradient_stays():
    free, fixed = torch.ones(2, requires_grad=True), torch.ones(2)
    optimisation.minimise_(lambda step: (free * fixed).sum(), [free, fixed], num_steps=2)
    assert fixed.tolist() == [1.0, 1.0]
    assert free.max() < 1


def test_the_gradient_is_cut_by_default():
    """A first gradient of 1000, cut to 1, weighs as much in Adam's mean as the second of 1."""
    weight = torch.zeros(1, requires_grad=True)
    optimisation.minimise_(
        lambda step: (1e3 if step == 0 else 1.0) * weight.sum(), [weight], num_steps=2,
        learning_rate=0.1, weight_decay=0.0, warmup_fraction=0.0,
    )  # fmt: skip
    assert weight.item() == pytest.approx(-0.15, abs=1e-4)


def test_the_defaults_are_those_of_a_recipe():
    default = inspect.signature(optimisation.minimise_).parameters
    for name in ("learning_rate", "weight_decay", "warmup_fraction", "max_grad_norm"):
        assert default[name].default == getattr(Recipe(), name)


def test_a_tied_weight_is_trained_once():
    def end(times: int) -> float:
        weight = torch.full((1,), 5.0, requires_grad=True)
        optimisation.minimise_(
            lambda step: weight.square().sum(), [weight] * times, num_steps=5, learning_rate=0.1
        )
        return weight.item()

    assert end(2) == end(1) < 5


def test_a_gradient_that_is_not_finite_stops_before_the_step():
    weight = torch.zeros(1, requires_grad=True)
    with pytest.raises(CompanionError, match="gradient at step 0: got a value that is not finite"):
        optimisation.minimise_(lambda step: weight.sqrt().sum(), [weight], num_steps=1)
    assert weight.item() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_steps": 0}, "num_steps: got 0"),
        ({"learning_rate": -1}, "learning_rate: got -1"),
        ({"weight_decay": -1}, "weight_decay: got -1"),
        ({"warmup_fraction": 2}, "warmup_fraction: got 2"),
        ({"max_grad_norm": 0}, "max_grad_norm: got 0"),
        ({"parameters": [torch.ones(1)]}, "parameters: got"),
        ({"parameters": [("name", torch.ones(1))]}, "parameters: got .*expected a Tensor"),
        ({"parameters": [torch.ones(1, requires_grad=True) * 2]}, "a tensor that was computed"),
        (
            {"parameters": [torch.ones(1, requires_grad=True)], "max_grad_norm": None},
            "loss at step 0: got a loss that none of the parameters takes part in",
        ),
        ({"loss": lambda step: 1.0}, "loss at step 0: got 1.0; expected a scalar tensor"),
        ({"loss": lambda step: torch.ones(1)}, "loss at step 0: got a scalar without a gradient"),
        (
            {"loss": lambda step: torch.ones(3, requires_grad=True)},
            r"loss at step 0: got a tensor of shape \(3,\)",
        ),
        (
            {"loss": lambda step: torch.tensor(float("nan"), requires_grad=True)},
            "loss at step 0: got nan",
        ),
    ],
)
def test_clear_errors(options, message):
    weight = torch.ones(1, requires_grad=True)
    given = {"loss": lambda step: weight.sum(), "parameters": [weight], "num_steps": 2} | options
    with pytest.raises(CompanionError, match=message):
        optimisation.minimise_(given.pop("loss"), given.pop("parameters"), **given)


def test_steps_are_counted_from_zero():
    weight, steps = torch.ones(1, requires_grad=True), []
    optimisation.minimise_(
        lambda step: (steps.append(step), weight.sum())[1], [weight], num_steps=4
    )
    assert steps == [0, 1, 2, 3]
