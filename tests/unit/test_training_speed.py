"""What `fit` leaves out of a step to be fast changes nothing that it computes."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

import companion.training.loop as loop_module
from companion import layer_groups
from companion.training import Recipe, fit
from companion.training.phase_loop import PhaseLoop, clip_gradients_

RECIPE = Recipe(epochs=1, min_steps=12, batch_size=16)


def _parameters(*, scale: float) -> list[nn.Parameter]:
    """Three parameters, the last one without a gradient."""
    generator = torch.Generator().manual_seed(0)
    parameters = [nn.Parameter(torch.zeros(shape)) for shape in ((4, 3), (5,), (2,))]
    for parameter in parameters[:2]:
        parameter.grad = scale * torch.randn(parameter.shape, generator=generator)
    return parameters


@pytest.mark.parametrize("scale", [0.01, 0.2, 1.0, 100.0])
def test_clipping_is_that_of_torch(scale):
    mine, theirs = _parameters(scale=scale), _parameters(scale=scale)
    length = clip_gradients_(mine, 1.0)
    assert length == pytest.approx(nn.utils.clip_grad_norm_(theirs, 1.0).item(), rel=1e-6)
    for left, right in zip(mine[:2], theirs[:2], strict=True):
        assert torch.allclose(left.grad, right.grad, rtol=1e-6, atol=0)
    assert mine[2].grad is None


def test_short_gradients_are_not_touched():
    parameters = _parameters(scale=0.01)
    before = [p.grad.clone() for p in parameters[:2]]
    clip_gradients_(parameters, 1.0)
    assert all(torch.equal(p.grad, b) for p, b in zip(parameters, before, strict=False))


def test_a_gradient_that_is_not_finite_stays_so():
    parameters = _parameters(scale=1.0)
    parameters[0].grad[0, 0] = torch.nan
    clip_gradients_(parameters, 1.0)
    assert parameters[1].grad.isnan().all()


@pytest.mark.parametrize("strategy", ["full", "layer_decay", "lp_ft"])
def test_merged_optimizer_groups_train_as_the_layer_groups_would(images, strategy, monkeypatch):
    merged = fit(images.backbone, images.splits, strategy=strategy, seed=0, recipe=RECIPE)

    def one_group_each(run, rates):
        groups = layer_groups.parameter_groups(
            run.model, rates, weight_decay=run.recipe.weight_decay
        )
        for group in groups:
            group["highest_lr"] = group["lr"]
            del group["names"]
        return torch.optim.AdamW(groups, fused=True)

    monkeypatch.setattr(loop_module.Run, "_optimizer", one_group_each)
    apart = fit(images.backbone, images.splits, strategy=strategy, seed=0, recipe=RECIPE)
    assert merged.history.learning_rates == apart.history.learning_rates
    for left, right in zip(merged.model.parameters(), apart.model.parameters(), strict=True):
        assert torch.allclose(left, right, atol=1e-5)


def test_one_optimizer_group_for_each_rate_and_decay(images, monkeypatch):
    seen = []
    build = PhaseLoop.__init__

    def recording(self, run, index, phase, optimizer):
        groups = optimizer.param_groups
        seen.append([(g["lr"], g["weight_decay"], len(g["params"])) for g in groups])
        build(self, run, index, phase, optimizer)

    monkeypatch.setattr(PhaseLoop, "__init__", recording)
    recipe = dataclasses.replace(RECIPE, learning_rate=0.5, weight_decay=0.25)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PhaseLoop, "advance", lambda loop: setattr(loop.run, "step", loop.end))
        fit(images.backbone, images.splits, strategy="lp_ft", seed=0, recipe=recipe)
    whole = list(images.backbone.parameters())
    matrices = 1 + sum(p.dim() > 1 for p in whole)
    assert seen == [
        [(5.0, 0.25, 1), (5.0, 0.0, 1)],
        [(0.5, 0.25, matrices), (0.5, 0.0, len(whole) + 2 - matrices)],
    ]


def test_each_step_and_process_has_a_seed_of_its_own(monkeypatch):
    seeds = []
    spy = type("Spy", (), {"manual_seed": staticmethod(seeds.append)})
    monkeypatch.setattr(torch, "default_generator", spy)
    loop = PhaseLoop.__new__(PhaseLoop)
    loop.device, loop.step_seed = torch.device("cpu"), 100
    for index in (0, 1):
        for step in range(5):
            processes = loop_module.Processes(loop.device, index, num=2)
            loop.run = type("Run", (), {"processes": processes, "step": step})
            loop._seed_step()
    assert len(set(seeds)) == len(seeds) == 10
