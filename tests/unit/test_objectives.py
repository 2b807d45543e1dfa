"""L2-SP, distillation, NT-Xent and losses of unlabelled items, against slow rewrites."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import special, stats
from sklearn.metrics import log_loss
from torch import nn
from torch.autograd import gradcheck

from companion import objectives
from companion.checks import CompanionError


def normal(*shape, seed=0, requires_grad=False):
    """Seeded normal numbers in double precision."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return numbers.requires_grad_(requires_grad)


# --- L2-SP -------------------------------------------------------------------------------------


def network():
    """A backbone with batch norm, and a head, of known weights."""
    backbone = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    head = nn.Linear(2, 2)
    with torch.no_grad():
        for number, parameter in enumerate([*backbone.parameters(), *head.parameters()]):
            parameter.fill_(number + 1.0)
    return backbone, head


def test_l2_sp_by_hand():
    backbone, head = network()
    start = objectives.starting_point(backbone)
    with torch.no_grad():
        backbone[0].weight += 0.5  # 6 numbers
        backbone[1].bias -= 2.0  # 2 numbers
    found = objectives.l2_sp(backbone, start, head, alpha=0.3, beta=0.1)
    moved, head_size = 6 * 0.5**2 + 2 * 2.0**2, 4 * 5.0**2 + 2 * 6.0**2
    assert found.item() == pytest.approx(0.3 / 2 * moved + 0.1 / 2 * head_size)


def test_l2_sp_pulls_the_backbone_to_its_start_and_the_head_to_zero():
    backbone, head = network()
    start = objectives.starting_point(backbone)
    with torch.no_grad():
        backbone[0].weight += 0.5
    objectives.l2_sp(backbone, start, head, alpha=0.3, beta=0.1).backward()
    for name, parameter in backbone.named_parameters():
        assert torch.allclose(parameter.grad, 0.3 * (parameter.detach() - start[name])), name
    for parameter in head.parameters():
        assert torch.allclose(parameter.grad, 0.1 * parameter.detach())


def test_the_starting_point_is_a_copy_of_the_parameters_alone():
    backbone, head = network()
    start = objectives.starting_point(backbone)
    assert set(start) == {"0.weight", "0.bias", "1.weight", "1.bias"}
    assert objectives.l2_sp(backbone, start, head, alpha=1.0, beta=0.0).item() == 0
    with torch.no_grad():
        backbone[0].bias.zero_()
    assert torch.equal(start["0.bias"], torch.full((2,), 2.0))
    assert not any(value.requires_grad for value in start.values())


def test_l2_sp_without_any_weight_of_a_head():
    backbone, _ = network()
    start = objectives.starting_point(backbone)
    assert objectives.l2_sp(backbone, start, nn.Identity(), alpha=1.0, beta=1.0).item() == 0


def test_l2_sp_refuses_the_start_of_another_backbone():
    backbone, head = network()
    start = objectives.starting_point(backbone)
    wrong = {name: value for name, value in start.items() if name != "0.bias"}
    wrong |= {"2.scale": torch.ones(1), "0.weight": torch.ones(2, 4)}
    message = r"missing \['0.bias'\], surplus \['2.scale'\], of another shape \['0.weight'\]"
    with pytest.raises(CompanionError, match=message):
        objectives.l2_sp(backbone, wrong, head, alpha=1.0, beta=1.0)


@pytest.mark.parametrize("name", ["alpha", "beta"])
@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, True, "1"])
def test_l2_sp_refuses_what_is_no_weight(name, value):
    backbone, head = network()
    weights = {"alpha": 1.0, "beta": 1.0} | {name: value}
    with pytest.raises(CompanionError, match=f"{name}: got .* at least 0"):
        objectives.l2_sp(backbone, objectives.starting_point(backbone), head, **weights)


# --- distillation ------------------------------------------------------------------------------

STUDENT, TEACHER = normal(5, 4), 2 * normal(5, 4, seed=1)
LABELS = torch.tensor([0, 3, 1, 1, 2])


def slow_soft_loss(student, teacher, temperature):
    """The divergence item by item, by scipy."""
    rows = zip(student.numpy(), teacher.numpy(), strict=True)
    divergences = [
        stats.entropy(special.softmax(t / temperature), special.softmax(s / temperature))
        for s, t in rows
    ]
    return temperature**2 * np.mean(divergences)


@pytest.mark.parametrize("temperature", [0.5, 1, 4.0])
def test_the_soft_loss_is_scipys_divergence(temperature):
    found = objectives.soft_target_loss(STUDENT, TEACHER, temperature=temperature)
    assert float(found) == pytest.approx(slow_soft_loss(STUDENT, TEACHER, temperature))


def test_soft_targets_have_the_ratio_of_divided_logits():
    logits = torch.tensor([[3.0, 1.0, 0.0]])
    found = objectives.soft_targets(logits, temperature=4.0)[0]
    assert float(found.sum()) == pytest.approx(1)
    assert float(found[0] / found[1]) == pytest.approx(math.exp(2 / 4))
    assert float(found[1] / found[2]) == pytest.approx(math.exp(1 / 4))


def test_a_higher_temperature_is_softer():
    entropies = [
        stats.entropy(objectives.soft_targets(TEACHER, temperature=t).numpy(), axis=1)
        for t in (0.5, 1, 3, 20)
    ]
    assert all((low < high).all() for low, high in zip(entropies, entropies[1:], strict=False))


def test_at_high_temperature_the_gradient_is_the_gap_of_the_centred_logits():
    """Hinton et al., eq. 4: it tells the factor of the squared temperature from any other."""
    student = STUDENT.clone().requires_grad_()
    objectives.soft_target_loss(student, TEACHER, temperature=1e4).backward()
    centred = [x.detach() - x.detach().mean(dim=1, keepdim=True) for x in (student, TEACHER)]
    assert torch.allclose(student.grad, (centred[0] - centred[1]) / 4 / 5, atol=1e-4)


def test_a_student_that_agrees_with_its_teacher_has_nothing_to_learn():
    student = TEACHER.clone().requires_grad_()
    loss = objectives.soft_target_loss(student, TEACHER + 3, temperature=2.0)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert torch.allclose(student.grad, torch.zeros_like(student), atol=1e-12)


@pytest.mark.parametrize("weight", [0, 0.3, 1])
def test_distillation_weighs_soft_and_hard(weight):
    options = {"temperature": 3.0, "soft_weight": weight}
    found = objectives.distillation_loss(STUDENT, TEACHER, LABELS, **options)
    hard = log_loss(LABELS.numpy(), special.softmax(STUDENT.numpy(), axis=1), labels=range(4))
    wanted = weight * slow_soft_loss(STUDENT, TEACHER, 3.0) + (1 - weight) * hard
    assert float(found) == pytest.approx(wanted)


def test_distillation_does_not_depend_on_the_order_of_the_items():
    options = {"temperature": 3.0, "soft_weight": 0.5}
    order = torch.tensor([3, 0, 4, 1, 2])
    found = objectives.distillation_loss(STUDENT, TEACHER, LABELS, **options)
    turned = objectives.distillation_loss(STUDENT[order], TEACHER[order], LABELS[order], **options)
    assert float(turned) == pytest.approx(float(found))


def test_the_teacher_is_not_taught():
    student, teacher = (x.clone().requires_grad_() for x in (STUDENT, TEACHER))
    options = {"temperature": 3.0, "soft_weight": 0.5}
    objectives.distillation_loss(student, teacher, LABELS, **options).backward()
    assert teacher.grad is None
    assert gradcheck(
        lambda s: objectives.distillation_loss(s, TEACHER, LABELS, **options), (student,)
    )


@pytest.mark.parametrize("temperature", [0, 0.0, -1, math.nan, math.inf])
def test_a_temperature_is_above_zero(temperature):
    calls = (
        lambda: objectives.soft_targets(STUDENT, temperature=temperature),
        lambda: objectives.soft_target_loss(STUDENT, TEACHER, temperature=temperature),
        lambda: objectives.distillation_loss(
            STUDENT, TEACHER, LABELS, temperature=temperature, soft_weight=0.5
        ),
        lambda: objectives.nt_xent(STUDENT, TEACHER, temperature=temperature),
    )
    for call in calls:
        with pytest.raises(CompanionError, match="temperature: got .* above 0"):
            call()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"teacher_logits": normal(5, 3)}, r"shapes \(5, 4\) and \(5, 3\)"),
        ({"teacher_logits": normal(4, 4)}, "predict the same batch"),
        ({"student_logits": normal(5, 4, 2)}, r"student logits: got shape \(5, 4, 2\)"),
        ({"teacher_logits": LABELS[:, None]}, "teacher logits: got .*int64.*floats"),
        ({"teacher_logits": TEACHER.numpy()}, "teacher logits: got .*expected a Tensor"),
        ({"student_logits": normal(0, 4)}, "not empty"),
        ({"labels": LABELS[:4]}, r"labels: got shape \(4,\)"),
        ({"labels": LABELS.float()}, "labels: got .*float32"),
        ({"labels": LABELS + 1}, r"labels: got 1\.\.4; expected 0\.\.3"),
        ({"labels": LABELS - 1}, r"labels: got -1\.\.2"),
        ({"soft_weight": 1.5}, "soft_weight: got 1.5"),
    ],
)
def test_distillation_refuses_what_does_not_fit(change, message):
    good = {"student_logits": STUDENT, "teacher_logits": TEACHER, "labels": LABELS}
    arguments = good | {"temperature": 2.0, "soft_weight": 0.5} | change
    with pytest.raises(CompanionError, match=message):
        objectives.distillation_loss(**arguments)


# --- NT-Xent -----------------------------------------------------------------------------------


def slow_nt_xent(first, second, temperature):
    """Equation 1 of the paper in plain loops: views 2k and 2k+1 belong together."""
    views = [view for pair in zip(first.numpy(), second.numpy(), strict=True) for view in pair]

    def similarity(a, b):
        return math.exp(a @ b / math.sqrt(a @ a) / math.sqrt(b @ b) / temperature)

    losses = []
    for i, view in enumerate(views):
        partner = i + 1 if i % 2 == 0 else i - 1
        others = sum(similarity(view, other) for k, other in enumerate(views) if k != i)
        losses.append(-math.log(similarity(view, views[partner]) / others))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2])
@pytest.mark.parametrize("num_items", [2, 5])
def test_nt_xent_is_the_papers_loop(num_items, temperature):
    first, second = normal(num_items, 3), normal(num_items, 3, seed=1)
    found = objectives.nt_xent(first, second, temperature=temperature)
    assert float(found) == pytest.approx(slow_nt_xent(first, second, temperature))


def test_nt_xent_ignores_lengths_order_rotation_and_which_view_is_first():
    first, second = normal(6, 3), normal(6, 3, seed=1)
    found = float(objectives.nt_xent(first, second))
    order = torch.tensor([2, 0, 1, 5, 3, 4])
    rotation = torch.linalg.qr(normal(3, 3, seed=2)).Q
    lengths = normal(6, 1, seed=3).abs() + 0.1
    for views in (
        (second, first),
        (first[order], second[order]),
        (first @ rotation, second @ rotation),
        (first * lengths, second * 7),
    ):
        assert float(objectives.nt_xent(*views)) == pytest.approx(found)
    assert float(objectives.nt_xent(first, second[order])) != pytest.approx(found, abs=1e-3)


def test_nt_xent_of_views_that_agree_and_of_views_that_are_all_alike():
    apart = torch.eye(4, dtype=torch.float64)
    wanted = -math.log(math.exp(1 / 0.2) / (math.exp(1 / 0.2) + 6))
    assert float(objectives.nt_xent(apart, apart, temperature=0.2)) == pytest.approx(wanted)
    half = -math.log(math.exp(2) / (math.exp(2) + 6))
    assert float(objectives.nt_xent(apart, apart)) == pytest.approx(half)
    alike = torch.ones(4, 3)
    assert float(objectives.nt_xent(alike, alike)) == pytest.approx(math.log(7))


def test_the_gradient_of_nt_xent():
    views = normal(3, 2, requires_grad=True), normal(3, 2, seed=1, requires_grad=True)
    assert gradcheck(lambda a, b: objectives.nt_xent(a, b, temperature=0.4), views)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (normal(1, 3), normal(1, 3), "first view features: got 1 items; expected at least 2"),
        (normal(4, 3), normal(4, 2), "feature_dim of first view and second view: got 3 and 2"),
        (normal(4, 3), normal(5, 3), "got 4 and 5; expected the same items"),
        (normal(4), normal(4), r"first view features: got shape \(4,\)"),
    ],
)
def test_nt_xent_refuses_views_that_do_not_belong_together(first, second, message):
    with pytest.raises(CompanionError, match=message):
        objectives.nt_xent(first, second)


# --- unlabelled items --------------------------------------------------------------------------

# Probabilities of the most likely class: 0.9, 0.8, 0.5, 0.6.
WEAK = torch.tensor(
    [[0.9, 0.05, 0.05], [0.1, 0.1, 0.8], [0.5, 0.3, 0.2], [0.2, 0.6, 0.2]], dtype=torch.float64
).log()
STRONG = normal(4, 3, seed=5)


def test_pseudo_labels_are_the_confident_predictions():
    found = objectives.pseudo_labels(WEAK, threshold=0.59)
    assert found.labels.tolist() == [0, 2, 0, 1]
    assert found.confidence.tolist() == pytest.approx([0.9, 0.8, 0.5, 0.6])
    assert found.is_kept.tolist() == [True, True, False, True]
    assert found.share_kept == 0.75
    learned = objectives.pseudo_labels(WEAK.clone().requires_grad_())
    assert not learned.confidence.requires_grad


def test_a_confidence_that_equals_the_threshold_is_enough():
    even = torch.zeros(2, 4)
    assert objectives.pseudo_labels(even, threshold=0.25).share_kept == 1
    assert objectives.pseudo_labels(even, threshold=0.2501).share_kept == 0


@pytest.mark.parametrize(
    ("threshold", "kept"), [(0, [0, 1, 2, 3]), (0.7, [0, 1]), (0.85, [0]), (1, [])]
)
def test_pseudo_label_loss_in_a_loop(threshold, kept):
    found, share = objectives.pseudo_label_loss(WEAK, STRONG, threshold=threshold)
    probabilities = special.softmax(STRONG.numpy(), axis=1)
    labels = [0, 2, 0, 1]
    wanted = sum(-math.log(probabilities[i, labels[i]]) for i in kept) / 4
    assert float(found) == pytest.approx(wanted)
    assert share == len(kept) / 4


def test_only_the_strong_view_of_kept_items_learns():
    weak, strong = WEAK.clone().requires_grad_(), STRONG.clone().requires_grad_()
    objectives.pseudo_label_loss(weak, strong, threshold=0.7)[0].backward()
    assert weak.grad is None
    assert (strong.grad != 0).any(dim=1).tolist() == [True, True, False, False]
    strong.grad = None
    objectives.pseudo_label_loss(weak, strong, threshold=1.0)[0].backward()
    assert torch.equal(strong.grad, torch.zeros_like(strong))
    assert gradcheck(lambda s: objectives.pseudo_label_loss(WEAK, s, threshold=0.7)[0], (strong,))


def test_view_consistency_is_a_mean_square():
    first, second = (special.softmax(x.numpy(), axis=1) for x in (WEAK, STRONG))
    wanted = sum((a - b) ** 2 for a, b in zip(first.flat, second.flat, strict=True)) / 12
    assert float(objectives.view_consistency(WEAK, STRONG)) == pytest.approx(wanted)
    assert float(objectives.view_consistency(STRONG, WEAK)) == pytest.approx(wanted)
    assert float(objectives.view_consistency(WEAK, WEAK + 5)) == pytest.approx(0, abs=1e-15)


def test_view_consistency_is_largest_where_two_views_are_sure_of_different_classes():
    first, second = torch.tensor([[100.0, 0, 0, 0]]), torch.tensor([[0.0, 100, 0, 0]])
    assert float(objectives.view_consistency(first, second)) == pytest.approx(2 / 4)


def test_both_views_learn_consistency():
    views = WEAK.clone().requires_grad_(), STRONG.clone().requires_grad_()
    assert gradcheck(objectives.view_consistency, views)
    objectives.view_consistency(*views).backward()
    assert all(view.grad.abs().sum() > 0 for view in views)


def test_entropy_is_scipys():
    wanted = stats.entropy(special.softmax(STRONG.numpy(), axis=1), axis=1).mean()
    assert float(objectives.entropy_loss(STRONG)) == pytest.approx(wanted)
    order = torch.tensor([2, 0, 1])
    assert float(objectives.entropy_loss(STRONG[:, order] + 4)) == pytest.approx(wanted)
    assert float(objectives.entropy_loss(torch.zeros(2, 5))) == pytest.approx(math.log(5))


def test_entropy_of_sure_predictions_is_zero_with_a_gradient_that_is_finite():
    logits = torch.tensor([[1000.0, 0.0, -1000.0]], requires_grad=True)
    loss = objectives.entropy_loss(logits)
    loss.backward()
    assert float(loss.detach()) == 0
    assert bool(logits.grad.isfinite().all())
    assert gradcheck(objectives.entropy_loss, (STRONG.clone().requires_grad_(),))


@pytest.mark.parametrize("threshold", [-0.1, 95, math.nan])
def test_a_threshold_is_a_fraction(threshold):
    with pytest.raises(CompanionError, match="threshold: got"):
        objectives.pseudo_labels(WEAK, threshold=threshold)
    with pytest.raises(CompanionError, match="threshold: got"):
        objectives.pseudo_label_loss(WEAK, STRONG, threshold=threshold)


def test_unlabelled_losses_refuse_logits_that_do_not_fit():
    with pytest.raises(CompanionError, match="weak logits and strong logits: got shapes"):
        objectives.pseudo_label_loss(WEAK, STRONG[:3])
    with pytest.raises(CompanionError, match="first logits and second logits: got shapes"):
        objectives.view_consistency(WEAK, STRONG[:, :2])
    with pytest.raises(CompanionError, match=r"logits: got shape \(3,\)"):
        objectives.pseudo_labels(WEAK[0])
    with pytest.raises(CompanionError, match=r"logits: got shape \(3,\)"):
        objectives.entropy_loss(WEAK[0])
