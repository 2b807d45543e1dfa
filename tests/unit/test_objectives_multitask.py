"""Several tasks: uncertainty weighting, gradient conflict and PCGrad, against slow rewrites."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity
from torch import nn
from torch.autograd import gradcheck

from companion import objectives
from companion.checks import CompanionError

KINDS = ("regression", "classification", "regression")
LOSSES = torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64)

# --- uncertainty -------------------------------------------------------------------------------


def weighting(log_variances=(0.0, 0.0, 0.0)):
    found = objectives.UncertaintyWeighting(KINDS).double()
    with torch.no_grad():
        found.log_variances.copy_(torch.tensor(log_variances, dtype=torch.float64))
    return found


def test_uncertainty_weighting_is_the_sum_of_the_paper():
    sigmas = (0.5, 2.0, 1.5)
    found = weighting([math.log(s * s) for s in sigmas])
    wanted = (
        (0.5 / (2 * 0.5**2) + math.log(0.5))
        + (2.0 / 2.0**2 + math.log(2.0))
        + (3.0 / (2 * 1.5**2) + math.log(1.5))
    )
    assert found(LOSSES).item() == pytest.approx(wanted)
    assert found(list(LOSSES)).item() == pytest.approx(wanted)
    assert found.weights().tolist() == pytest.approx([1 / 0.5, 1 / 4, 1 / 4.5])
    assert not found.weights().requires_grad


def test_at_the_start_the_weights_are_those_of_unit_variance():
    found = objectives.UncertaintyWeighting(KINDS)
    assert found.weights().tolist() == [0.5, 1.0, 0.5]
    assert [name for name, _ in found.named_parameters()] == ["log_variances"]


def test_the_weights_settle_at_half_the_inverse_losses():
    variances = [0.5, 2 * 2.0, 3.0]
    found = weighting([math.log(v) for v in variances])
    found(LOSSES).backward()
    assert torch.allclose(found.log_variances.grad, torch.zeros(3).double(), atol=1e-12)
    assert found.weights().tolist() == pytest.approx([1 / (2 * loss) for loss in LOSSES.tolist()])
    moved = weighting([math.log(v) + 0.1 for v in variances])
    assert moved(LOSSES).item() > found(LOSSES).item()


def test_a_noisier_task_learns_to_weigh_less():
    found = objectives.UncertaintyWeighting(("classification", "classification"))
    for _ in range(400):
        (slope,) = torch.autograd.grad(found(torch.tensor([0.1, 4.0])), found.log_variances)
        with torch.no_grad():
            found.log_variances -= 0.1 * slope
    assert found.weights().tolist() == pytest.approx([1 / 0.2, 1 / 8.0], rel=1e-3)


def test_the_gradient_of_uncertainty_weighting():
    found = weighting((0.3, -0.2, 0.1))
    losses = LOSSES.clone().requires_grad_()

    def total(values, log_variances):
        return torch.func.functional_call(found, {"log_variances": log_variances}, (values,))

    assert gradcheck(total, (losses, found.log_variances.detach().clone().requires_grad_()))
    found(losses).backward()
    assert torch.allclose(losses.grad, found.weights())


def test_uncertainty_weighting_refuses_what_it_cannot_weigh():
    found = objectives.UncertaintyWeighting(KINDS)
    for call, message in (
        (lambda: objectives.UncertaintyWeighting([]), "kinds: got nothing"),
        (lambda: objectives.UncertaintyWeighting(["regresion"]), "did you mean 'regression'"),
        (lambda: found(LOSSES[:2]), r"losses: got shapes \[\(\), \(\)\]; expected 3 scalars"),
        (lambda: found(LOSSES[0]), "losses: got a single scalar"),
        (lambda: found([LOSSES, LOSSES, LOSSES]), r"got shapes \[\(3,\)"),
    ):
        with pytest.raises(CompanionError, match=message):
            call()


# --- gradients of several tasks ----------------------------------------------------------------


def shared_network():
    """A shared layer with two heads, and the losses of both on a fixed batch."""
    generator = torch.Generator().manual_seed(0)

    def layer(rows, columns):
        built = nn.Linear(columns, rows).double()
        with torch.no_grad():
            for parameter in built.parameters():
                shape = parameter.shape
                parameter.copy_(torch.randn(shape, generator=generator, dtype=torch.float64))
        return built

    shared, heads = layer(2, 3), (layer(1, 2), layer(1, 2))
    inputs = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    losses = [head(shared(inputs).tanh()).square().mean() for head in heads]
    return shared, heads, losses


def test_task_gradients_are_those_of_separate_backward_passes():
    shared, heads, losses = shared_network()
    found = objectives.task_gradients(losses, shared.parameters())
    assert found.shape == (2, 8)
    assert all(parameter.grad is None for parameter in shared.parameters())
    for row, loss in zip(found, losses, strict=True):
        shared.zero_grad()
        loss.backward(retain_graph=True)
        assert torch.equal(row[:6].reshape(2, 3), shared.weight.grad)
        assert torch.equal(row[6:], shared.bias.grad)


def test_a_parameter_that_a_task_does_not_use_has_a_gradient_of_zero():
    _, heads, losses = shared_network()
    found = objectives.task_gradients(losses, heads[0].parameters())
    assert found[0].abs().min() > 0
    assert found[1].tolist() == [0, 0, 0]


def test_assigned_gradients_are_what_one_backward_pass_leaves():
    shared, _, losses = shared_network()
    gradients = objectives.task_gradients(losses, shared.parameters())
    objectives.assign_gradients_(shared.parameters(), gradients.sum(dim=0))
    found = [parameter.grad.clone() for parameter in shared.parameters()]
    shared.zero_grad()
    sum(losses).backward()
    for gradient, parameter in zip(found, shared.parameters(), strict=True):
        assert torch.allclose(gradient, parameter.grad)


GRADIENTS = torch.tensor(
    [[1.0, 0.2, 0.0, 0.5], [-1.0, 0.5, 0.3, 0.1], [-0.4, -1.0, 0.5, 0.2]], dtype=torch.float64
)


def test_cosines_are_scikit_learns():
    wanted = cosine_similarity(GRADIENTS.numpy())
    assert np.allclose(objectives.gradient_cosines(GRADIENTS), wanted)
    scales = torch.tensor([[2.0], [0.1], [30.0]])
    assert np.allclose(objectives.gradient_cosines(GRADIENTS * scales), wanted)


def test_the_cosine_of_a_gradient_of_zero_is_zero():
    found = objectives.gradient_cosines(torch.tensor([[1.0, 0.0], [0.0, 0.0], [-3.0, 0.0]]))
    assert found.tolist() == [[1, 0, -1], [0, 0, 0], [-1, 0, 1]]


def slow_projection(gradients, task, order):
    """Algorithm 1 for one task, number by number; the others are the original gradients."""
    row = list(gradients[task])
    for other in order:
        dot = sum(a * b for a, b in zip(row, gradients[other], strict=True))
        if dot < 0:
            square = sum(b * b for b in gradients[other])
            row = [a - dot / square * b for a, b in zip(row, gradients[other], strict=True)]
    return row


def test_two_tasks_that_conflict_lose_what_points_against_the_other():
    pair = GRADIENTS[:2]
    assert float(pair[0] @ pair[1]) < 0
    found = objectives.project_conflicts(pair, seed=0)
    plain = pair.tolist()
    assert found[0].tolist() == pytest.approx(slow_projection(plain, 0, [1]))
    assert found[1].tolist() == pytest.approx(slow_projection(plain, 1, [0]))
    assert float(found[0] @ pair[1]) == pytest.approx(0, abs=1e-12)
    assert float(found[1] @ pair[0]) == pytest.approx(0, abs=1e-12)
    update = found.sum(dim=0)
    assert all(float(update @ gradient) > 0 for gradient in pair)


def test_tasks_that_agree_keep_their_gradients():
    agreeing = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0], [0.0, 0.0]])
    assert torch.equal(objectives.project_conflicts(agreeing, seed=0), agreeing)


# After two projections the first gradient points against what it was: that is no conflict.
TURNED = torch.tensor([[1.0, 0.0], [-1.0, 1.0], [-1.0, -0.5]], dtype=torch.float64)


@pytest.mark.parametrize("gradients", [GRADIENTS, TURNED], ids=["wide", "turned"])
def test_three_tasks_are_projected_in_every_order_there_is(gradients):
    plain = gradients.tolist()
    ways = [
        {
            order: slow_projection(plain, task, order)
            for order in itertools.permutations(t for t in range(3) if t != task)
        }
        for task in range(3)
    ]
    seen = [set() for _ in range(3)]
    for step in range(40):
        for task, row in enumerate(objectives.project_conflicts(gradients, seed=1, step=step)):
            fitting = [
                order for order, way in ways[task].items() if row.tolist() == pytest.approx(way)
            ]
            assert fitting, (step, task)
            seen[task] |= set(fitting)
    assert [len(orders) for orders in seen] == [2, 2, 2]
    assert ways[0][1, 2] != pytest.approx(ways[0][2, 1])


def test_the_orders_are_a_function_of_seed_and_step():
    def rows(**options):
        return objectives.project_conflicts(GRADIENTS, **options)

    state = torch.random.get_rng_state()
    assert torch.equal(rows(seed=3, step=5), rows(seed=3, step=5))
    assert any(not torch.equal(rows(seed=3, step=s), rows(seed=3)) for s in range(1, 10))
    assert any(not torch.equal(rows(seed=s), rows(seed=3)) for s in range(4, 13))
    assert torch.equal(state, torch.random.get_rng_state())


def test_gradients_that_are_none_are_refused():
    shared, _, losses = shared_network()
    frozen = nn.Linear(3, 2).requires_grad_(False)
    for call, message in (
        (lambda: objectives.task_gradients([], shared.parameters()), r"losses: got shapes \[\]"),
        (lambda: objectives.task_gradients(losses[0], shared.parameters()), "a single scalar"),
        (lambda: objectives.task_gradients(losses, []), "parameters: got nothing"),
        (lambda: objectives.task_gradients(losses, frozen.parameters()), "got 2 frozen of 2"),
        (lambda: objectives.gradient_cosines(GRADIENTS[0]), r"gradients: got shape \(4,\)"),
        (lambda: objectives.project_conflicts(GRADIENTS[0], seed=0), "num_tasks, num_parameters"),
        (lambda: objectives.project_conflicts(GRADIENTS, seed=-1), "seed: got -1"),
        (lambda: objectives.project_conflicts(GRADIENTS, seed=0, step=-1), "step: got -1"),
        (lambda: objectives.assign_gradients_(shared.parameters(), GRADIENTS[0]), r"\(8,\)"),
    ):
        with pytest.raises(CompanionError, match=message):
            call()
