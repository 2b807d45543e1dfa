"""Alignment of domains: MMD, CORAL and gradient reversal, against slow rewrites."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import linalg
from scipy.spatial.distance import pdist
from torch import nn
from torch.autograd import gradcheck

from companion import objectives
from companion.checks import CompanionError


def normal(*shape, seed=0, requires_grad=False):
    """Seeded normal numbers in double precision."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return numbers.requires_grad_(requires_grad)


SOURCE, TARGET = normal(4, 3), 2 * normal(7, 3, seed=1) + 1
ROTATION = torch.linalg.qr(normal(3, 3, seed=2)).Q

# --- MMD ---------------------------------------------------------------------------------------


def slow_mmd(source, target, bandwidths, is_unbiased):
    """Equations 3 and 5 of Gretton et al., pair by pair."""

    def kernel(x, y):
        square = sum((a - b) ** 2 for a, b in zip(x, y, strict=True))
        return sum(math.exp(-square / (2 * s * s)) for s in bandwidths) / len(bandwidths)

    def within(points):
        total, num_pairs = 0.0, 0
        for i, x in enumerate(points):
            for j, y in enumerate(points):
                if i != j or not is_unbiased:
                    total, num_pairs = total + kernel(x, y), num_pairs + 1
        return total / num_pairs

    source, target = source.tolist(), target.tolist()
    across = sum(kernel(x, y) for x in source for y in target) / len(source) / len(target)
    return within(source) + within(target) - 2 * across


@pytest.mark.parametrize("is_unbiased", [False, True])
@pytest.mark.parametrize("bandwidths", [(1.0,), (0.5, 2.0, 3.0)])
def test_mmd_is_a_double_loop(bandwidths, is_unbiased):
    found = objectives.mmd_squared(SOURCE, TARGET, bandwidths=bandwidths, is_unbiased=is_unbiased)
    assert float(found) == pytest.approx(slow_mmd(SOURCE, TARGET, bandwidths, is_unbiased))


def test_the_median_bandwidth_is_the_median_of_the_pooled_distances():
    pooled = torch.cat([SOURCE, TARGET]).numpy()
    distances = pdist(pooled)
    assert len(distances) % 2 == 1
    assert objectives.median_bandwidth(SOURCE, TARGET) == pytest.approx(np.median(distances))
    lower = np.sort(pdist(pooled[:8]))[13]  # the 14th of 28
    assert objectives.median_bandwidth(SOURCE, TARGET[:4]) == pytest.approx(lower)


def test_points_that_coincide_do_not_count_in_the_median():
    dead, alive = torch.zeros(20, 1), torch.tensor([[3.0], [4.0]])
    assert objectives.median_bandwidth(dead, alive) == 3
    assert objectives.median_bandwidth(dead, dead) == 1
    assert float(objectives.mmd_squared(dead, dead)) == 0


def test_the_default_bandwidths_are_multiples_of_the_median():
    median = np.median(pdist(torch.cat([SOURCE, TARGET]).numpy()))
    bandwidths = [median * factor for factor in (0.25, 0.5, 1, 2, 4)]
    for is_unbiased in (False, True):
        found = objectives.mmd_squared(SOURCE, TARGET, is_unbiased=is_unbiased)
        assert float(found) == pytest.approx(slow_mmd(SOURCE, TARGET, bandwidths, is_unbiased))


def test_equal_samples_have_no_discrepancy():
    order = torch.tensor([2, 0, 3, 1])
    assert float(objectives.mmd_squared(SOURCE, SOURCE[order])) == pytest.approx(0, abs=1e-12)
    # Without the diagonal of the two sums within, the same pairs make it negative.
    assert float(objectives.mmd_squared(SOURCE, SOURCE[order], is_unbiased=True)) < -0.01


@pytest.mark.parametrize("is_unbiased", [False, True])
def test_mmd_ignores_order_shift_rotation_scale_and_which_domain_is_first(is_unbiased):
    found = float(objectives.mmd_squared(SOURCE, TARGET, is_unbiased=is_unbiased))
    order = torch.tensor([6, 2, 0, 3, 1, 5, 4])
    for pair in (
        (TARGET, SOURCE),
        (SOURCE, TARGET[order]),
        (SOURCE + 9, TARGET + 9),
        (SOURCE @ ROTATION, TARGET @ ROTATION),
        (SOURCE * 50, TARGET * 50),
    ):
        again = objectives.mmd_squared(*pair, is_unbiased=is_unbiased)
        assert float(again) == pytest.approx(found)
    moved = objectives.mmd_squared(SOURCE, TARGET + 3, is_unbiased=is_unbiased)
    assert float(moved) > found + 0.1


def test_the_unbiased_estimate_is_0_on_average_and_the_biased_one_is_not():
    draws = [(normal(6, 2, seed=s), normal(6, 2, seed=1000 + s)) for s in range(300)]
    means = {}
    for is_unbiased in (False, True):
        options = {"bandwidths": [1.0], "is_unbiased": is_unbiased}
        values = np.array([float(objectives.mmd_squared(a, b, **options)) for a, b in draws])
        means[is_unbiased] = values.mean() / (values.std(ddof=1) / math.sqrt(len(values)))
    assert abs(means[True]) < 3
    assert means[False] > 20


def test_the_gradient_of_mmd():
    pair = normal(3, 2, requires_grad=True), normal(4, 2, seed=1, requires_grad=True)
    for is_unbiased in (False, True):
        assert gradcheck(
            lambda a, b, unbiased=is_unbiased: objectives.mmd_squared(
                a, b, bandwidths=(0.7, 1.5), is_unbiased=unbiased
            ),
            pair,
        )


def test_no_gradient_flows_through_the_median():
    gradients = []
    median = objectives.median_bandwidth(SOURCE, TARGET)
    for bandwidths in (None, [f * median for f in objectives.BANDWIDTH_FACTORS]):
        source = SOURCE.clone().requires_grad_()
        objectives.mmd_squared(source, TARGET, bandwidths=bandwidths).backward()
        gradients.append(source.grad)
    assert torch.allclose(*gradients)
    assert gradients[0].abs().sum() > 0


def test_points_that_coincide_leave_the_gradient_finite():
    source = torch.cat([SOURCE, SOURCE[:1], TARGET[:1]]).requires_grad_()
    objectives.mmd_squared(source, TARGET).backward()
    assert bool(source.grad.isfinite().all())


def test_half_precision_is_computed_in_single():
    found = objectives.mmd_squared(SOURCE.bfloat16(), TARGET.bfloat16())
    assert found.dtype == torch.float32
    wanted = objectives.mmd_squared(SOURCE.bfloat16().double(), TARGET.bfloat16().double())
    assert float(found) == pytest.approx(float(wanted), rel=1e-5)


ALIGNMENTS = (
    objectives.mmd_squared,
    objectives.median_bandwidth,
    objectives.coral_loss,
    objectives.fit_coral,
)


@pytest.mark.parametrize("align", ALIGNMENTS, ids=lambda function: function.__name__)
def test_domains_must_have_features_of_one_width(align):
    with pytest.raises(CompanionError, match="feature_dim of source and target: got 3 and 2"):
        align(SOURCE, TARGET[:, :2])
    with pytest.raises(CompanionError, match=r"source features: got shape \(4, 3, 1\)"):
        align(SOURCE[:, :, None], TARGET)
    with pytest.raises(CompanionError, match="target features: got .*int64"):
        align(SOURCE, TARGET.long())


@pytest.mark.parametrize(
    "align",
    [lambda a, b: objectives.mmd_squared(a, b, is_unbiased=True), *ALIGNMENTS[2:]],
    ids=["unbiased mmd", "coral_loss", "fit_coral"],
)
def test_one_item_is_too_few(align):
    with pytest.raises(CompanionError, match="target features: got 1 items; expected at least 2"):
        align(SOURCE, TARGET[:1])


def test_the_biased_mmd_of_single_items_is_known():
    found = objectives.mmd_squared(torch.zeros(1, 1), torch.ones(1, 1), bandwidths=[1.0])
    assert float(found) == pytest.approx(2 - 2 * math.exp(-0.5))


@pytest.mark.parametrize(
    ("bandwidths", "message"),
    [([], "bandwidths: got nothing"), ([1.0, 0.0], "bandwidth: got 0.0"), ([-1], "got -1")],
)
def test_a_bandwidth_is_above_zero(bandwidths, message):
    with pytest.raises(CompanionError, match=message):
        objectives.mmd_squared(SOURCE, TARGET, bandwidths=bandwidths)


# --- CORAL -------------------------------------------------------------------------------------


def test_covariance_is_numpys():
    assert np.allclose(objectives.covariance(TARGET), np.cov(TARGET.numpy().T))


def test_coral_loss_by_numpy():
    gap = np.cov(SOURCE.numpy().T) - np.cov(TARGET.numpy().T)
    wanted = np.linalg.norm(gap, "fro") ** 2 / (4 * 3**2)
    assert float(objectives.coral_loss(SOURCE, TARGET)) == pytest.approx(wanted)


def test_coral_loss_ignores_means_rotation_and_order_and_knows_scale():
    found = float(objectives.coral_loss(SOURCE, TARGET))
    for pair in (
        (TARGET, SOURCE),
        (SOURCE + 5, TARGET - 3),
        (SOURCE @ ROTATION, TARGET @ ROTATION),
        (SOURCE.flip(0), TARGET),
    ):
        assert float(objectives.coral_loss(*pair)) == pytest.approx(found)
    assert float(objectives.coral_loss(3 * SOURCE, 3 * TARGET)) == pytest.approx(3**4 * found)
    assert float(objectives.coral_loss(SOURCE, SOURCE + 1)) == pytest.approx(0, abs=1e-15)


def test_the_gradient_of_coral():
    pair = normal(3, 2, requires_grad=True), normal(4, 2, seed=1, requires_grad=True)
    assert gradcheck(objectives.coral_loss, pair)


MANY_SOURCE = normal(40, 3, seed=3) @ normal(3, 3, seed=4) + 2
MANY_TARGET = normal(50, 3, seed=5) @ normal(3, 3, seed=6) - 1


def test_without_a_ridge_the_source_gets_mean_and_covariance_of_the_target():
    moved = objectives.fit_coral(MANY_SOURCE, MANY_TARGET, ridge=0)(MANY_SOURCE).numpy()
    assert np.allclose(moved.mean(axis=0), MANY_TARGET.mean(dim=0))
    assert np.allclose(np.cov(moved.T), np.cov(MANY_TARGET.numpy().T))


@pytest.mark.parametrize("ridge", [0.0, 0.1, 1.0])
def test_the_map_is_scipys_roots_of_the_raised_covariances(ridge):
    source, target = MANY_SOURCE.numpy(), MANY_TARGET.numpy()
    raised = [np.cov(x.T) + ridge * np.eye(3) for x in (source, target)]
    matrix = linalg.inv(linalg.sqrtm(raised[0])) @ linalg.sqrtm(raised[1])
    new = normal(5, 3, seed=9)
    wanted = (new.numpy() - source.mean(axis=0)) @ matrix + target.mean(axis=0)
    found = objectives.fit_coral(MANY_SOURCE, MANY_TARGET, ridge=ridge)
    assert np.allclose(found(new), wanted)
    if ridge == 1:
        assert np.allclose(objectives.fit_coral(MANY_SOURCE, MANY_TARGET)(new), wanted)


def test_a_domain_is_mapped_onto_itself_unchanged():
    for ridge in (0.0, 1.0):
        found = objectives.fit_coral(MANY_SOURCE, MANY_SOURCE, ridge=ridge)
        assert torch.allclose(found(MANY_TARGET), MANY_TARGET)


def test_the_map_keeps_the_precision_and_takes_no_gradient():
    source = MANY_SOURCE.float().requires_grad_()
    found = objectives.fit_coral(source, MANY_TARGET)
    assert not found.matrix.requires_grad
    assert found(source).dtype == torch.float32
    doubled = objectives.fit_coral(MANY_SOURCE, MANY_TARGET)(MANY_SOURCE)
    assert torch.allclose(found(source).detach().double(), doubled, atol=1e-5)


def with_a_constant():
    return torch.cat([MANY_SOURCE, torch.ones(40, 1)], dim=1)


@pytest.mark.parametrize(
    ("source", "num_flat"), [(with_a_constant(), 1), (normal(3, 4), 2)], ids=["constant", "few"]
)
def test_a_singular_covariance_needs_a_ridge(source, num_flat):
    target = normal(30, 4, seed=7)
    with pytest.raises(CompanionError, match=f"covariance: got {num_flat} directions.*ridge above"):
        objectives.fit_coral(source, target, ridge=0)
    moved = objectives.fit_coral(source, target, ridge=1e-3)(source)
    assert bool(moved.isfinite().all())


def test_a_singular_target_is_no_obstacle():
    """Rounding makes some eigenvalues of a covariance of rank 1 negative."""
    source, flat = normal(40, 8, seed=3), normal(9, 1, seed=4) @ normal(1, 8, seed=5)
    assert np.linalg.eigvalsh(np.cov(flat.numpy().T)).min() < 0
    moved = objectives.fit_coral(source, flat, ridge=0)(source).numpy()
    assert np.allclose(np.cov(moved.T), np.cov(flat.numpy().T), atol=1e-7)


def test_fit_coral_refuses_what_has_no_covariance():
    with pytest.raises(CompanionError, match="ridge: got -1"):
        objectives.fit_coral(SOURCE, TARGET, ridge=-1)
    broken = TARGET.clone()
    broken[2, 1] = math.nan
    with pytest.raises(CompanionError, match="a NaN or infinity"):
        objectives.fit_coral(SOURCE, broken)
    with pytest.raises(CompanionError, match=r"feature_dim: got 2; expected 3"):
        objectives.fit_coral(SOURCE, TARGET)(SOURCE[:, :2])


# --- gradient reversal -------------------------------------------------------------------------


def test_the_reversed_gradient_is_a_negative_finite_difference():
    """Forwards the layer is nothing, so differences of the output give the gradient without it."""
    inputs, strength, width = normal(2, 3, requires_grad=True), 0.7, 1e-6

    def output(x):
        return objectives.reverse_gradient(x.sin(), strength=strength).pow(3).sum()

    output(inputs).backward()
    for position in np.ndindex(2, 3):
        shift = torch.zeros(2, 3, dtype=torch.float64)
        shift[position] = width
        slope = (output(inputs + shift) - output(inputs - shift)).item() / (2 * width)
        assert float(inputs.grad[position]) == pytest.approx(-strength * slope, rel=1e-5)


def test_the_classifier_learns_forwards_and_the_backbone_backwards():
    gradients = {}
    for name, layer in (
        ("plain", nn.Identity()),
        ("reversed", objectives.GradientReversal(strength=0.25)),
    ):
        backbone, classifier = nn.Linear(3, 2).double(), nn.Linear(2, 1).double()
        with torch.no_grad():
            backbone.weight.copy_(normal(2, 3, seed=8))
            classifier.weight.copy_(normal(1, 2, seed=9))
            backbone.bias.zero_(), classifier.bias.zero_()
        loss = nn.Sequential(backbone, layer, classifier)(SOURCE).square().mean()
        loss.backward()
        gradients[name] = loss.item(), backbone.weight.grad, classifier.weight.grad
    assert gradients["reversed"][0] == gradients["plain"][0]
    assert torch.allclose(gradients["reversed"][1], -0.25 * gradients["plain"][1])
    assert torch.equal(gradients["reversed"][2], gradients["plain"][2])


def test_the_strength_of_the_layer_can_follow_a_schedule():
    layer, inputs = objectives.GradientReversal(), torch.ones(2, requires_grad=True)
    assert "strength=1.0" in repr(layer)
    for strength in (1.0, 0.0, 0.3):
        layer.strength, inputs.grad = strength, None
        layer(inputs).sum().backward()
        assert inputs.grad.tolist() == pytest.approx([-strength] * 2)
    assert dict(layer.state_dict()) == {}


def test_the_schedule_is_the_papers():
    for progress in (0, 0.05, 0.3, 1):
        for gamma in (1, 10):
            wanted = 2 / (1 + math.exp(-gamma * progress)) - 1
            found = objectives.reversal_strength(progress, gamma=gamma)
            assert found == pytest.approx(wanted)
    assert objectives.reversal_strength(0.5) == pytest.approx(2 / (1 + math.exp(-5)) - 1)


def test_gradient_reversal_refuses_a_strength_that_is_none():
    layer = objectives.GradientReversal()
    layer.strength = -1.0
    for call, message in (
        (lambda: objectives.GradientReversal(strength=-1), "strength: got -1"),
        (lambda: objectives.reverse_gradient(SOURCE, strength=math.nan), "strength: got nan"),
        (lambda: layer(SOURCE), "strength: got -1.0"),
        (lambda: objectives.reversal_strength(1.1), "progress: got 1.1"),
        (lambda: objectives.reversal_strength(0.5, gamma=0), "gamma: got 0"),
    ):
        with pytest.raises(CompanionError, match=message):
            call()
