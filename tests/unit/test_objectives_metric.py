"""Metric losses against slow loops over pairs and triplets, and against pytorch-metric-learning."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from companion import objectives
from companion.checks import CompanionError

metric_learning = pytest.importorskip(
    "pytorch_metric_learning",
    reason="pytorch-metric-learning is not installed: pip install -c constraints.txt -e '.[test]'",
)

LABELS = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2, 3])


def drawn(num=10, dim=5, seed=0, requires_grad=False):
    """Seeded normal numbers in double precision; few dimensions, so that distances vary."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(num, dim, generator=generator, dtype=torch.float64)
    return numbers.requires_grad_(requires_grad)


def distance(a, b):
    """The Euclidean distance of two vectors that were scaled to unit length."""
    return (a / a.norm() - b / b.norm()).norm()


def test_squared_distances_are_those_of_unit_vectors():
    first, second = drawn(4), 3 * drawn(3, seed=1)
    found = objectives.squared_distances(first, second)
    for i, j in itertools.product(range(4), range(3)):
        assert found[i, j].item() == pytest.approx(distance(first[i], second[j]).item() ** 2)


@pytest.mark.parametrize("margin", [0.5, 1.0, 1.6])
def test_contrastive_loss_is_the_loop_over_pairs(margin):
    embeddings = drawn()
    same, other = [], []
    for i, j in itertools.combinations(range(10), 2):
        d = distance(embeddings[i], embeddings[j]).item()
        if LABELS[i] == LABELS[j]:
            same.append(d**2 / 2)
        else:
            other.append(max(0.0, margin - d) ** 2 / 2)
    wanted = sum(same) / len(same) + sum(other) / len(other)
    found = objectives.contrastive_loss(embeddings, LABELS, margin=margin)
    assert found.item() == pytest.approx(wanted)


def test_contrastive_loss_on_genuine_pairs_is_that_of_pytorch_metric_learning():
    from pytorch_metric_learning import distances, losses, reducers

    near = torch.eye(3, dtype=torch.float64).repeat_interleave(3, 0) + 0.2 * drawn(9, 3)
    labels = torch.arange(3).repeat_interleave(3)
    far = objectives.contrastive_loss(near, labels, margin=0.05)  # no impostor pair costs
    theirs = losses.ContrastiveLoss(
        pos_margin=0,
        neg_margin=0,
        distance=distances.LpDistance(normalize_embeddings=True, p=2, power=2),
        reducer=reducers.MeanReducer(),
    )
    assert far.item() == pytest.approx(theirs(near, labels).item() / 2)


def peer_triplets(embeddings, mining, margin):
    """The triplet loss of pytorch-metric-learning with the miner of that name."""
    from pytorch_metric_learning import distances, losses, miners, reducers

    squared = distances.LpDistance(normalize_embeddings=True, p=2, power=2)
    reducer = reducers.MeanReducer() if mining == "batch_hard" else reducers.AvgNonZeroReducer()
    loss = losses.TripletMarginLoss(margin=margin, distance=squared, reducer=reducer)
    miner = {
        "all": lambda: miners.TripletMarginMiner(margin, "all", distance=squared),
        "semi_hard": lambda: miners.TripletMarginMiner(margin, "semihard", distance=squared),
        "batch_hard": lambda: miners.BatchHardMiner(distance=squared),
    }[mining]()
    return loss(embeddings, LABELS, miner(embeddings, LABELS))


@pytest.mark.parametrize("margin", [0.2, 0.7])
@pytest.mark.parametrize("mining", objectives.MINING)
def test_triplet_loss_and_its_gradient_are_those_of_pytorch_metric_learning(mining, margin):
    ours, theirs = drawn(requires_grad=True), drawn(requires_grad=True)
    found = objectives.triplet_loss(ours, LABELS, margin=margin, mining=mining)
    wanted = peer_triplets(theirs, mining, margin)
    assert found.item() == pytest.approx(wanted.item(), abs=1e-6)
    found.backward()
    wanted.backward()
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-5)
    assert ours.grad.abs().max() > 0.01


def loop_triplets(embeddings, margin, keep):
    """The mean loss over the triplets that `keep` keeps, by three loops."""
    found = []
    for a, p, n in itertools.permutations(range(len(LABELS)), 3):
        if LABELS[a] == LABELS[p] and LABELS[a] != LABELS[n]:
            ap = distance(embeddings[a], embeddings[p]).item() ** 2
            an = distance(embeddings[a], embeddings[n]).item() ** 2
            if keep(ap, an):
                found.append(ap - an + margin)
    return sum(found) / len(found)


def test_triplet_loss_is_the_loop_over_triplets():
    embeddings, margin = drawn(seed=3), 0.4
    everything = objectives.triplet_loss(embeddings, LABELS, margin=margin, mining="all")
    semi_hard = objectives.triplet_loss(embeddings, LABELS, margin=margin)
    wanted = loop_triplets(embeddings, margin, lambda ap, an: an < ap + margin)
    assert everything.item() == pytest.approx(wanted)
    wanted = loop_triplets(embeddings, margin, lambda ap, an: ap < an < ap + margin)
    assert semi_hard.item() == pytest.approx(wanted)


@pytest.mark.parametrize("mining", objectives.MINING)
def test_a_batch_without_violation_costs_nothing_and_has_a_gradient(mining):
    apart = torch.eye(4).repeat_interleave(2, 0).requires_grad_()
    loss = objectives.triplet_loss(apart, torch.arange(4).repeat_interleave(2), mining=mining)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(apart.grad, torch.zeros_like(apart))


@pytest.mark.parametrize("margin", [0.0, 0.3, 0.5, 1.2])
def test_arcface_is_that_of_pytorch_metric_learning(margin):
    from pytorch_metric_learning import losses

    ours = objectives.ArcFace(5, 4, margin=margin, scale=16.0).double()
    with torch.no_grad():
        ours.weight.copy_(drawn(4, seed=2))
    theirs = losses.ArcFaceLoss(4, 5, margin=math.degrees(margin), scale=16.0)
    theirs.W = torch.nn.Parameter(ours.weight.detach().T.clone())
    first, second = drawn(requires_grad=True), drawn(requires_grad=True)
    found, wanted = ours(first, LABELS), theirs(second, LABELS)
    assert found.item() == pytest.approx(wanted.item())
    found.backward()
    wanted.backward()
    assert torch.allclose(first.grad, second.grad, atol=1e-8)
    assert torch.allclose(ours.weight.grad, theirs.W.grad.T, atol=1e-8)


def test_arcface_by_hand_moves_the_angle_of_the_label_alone():
    loss = objectives.ArcFace(2, 2, margin=0.5, scale=10.0)
    with torch.no_grad():
        loss.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    angle = 0.3
    embedding = 7 * torch.tensor([[math.cos(angle), math.sin(angle)]])
    found = loss.logits(embedding, torch.tensor([0]))[0]
    assert found[0].item() == pytest.approx(10 * math.cos(angle + 0.5), abs=1e-4)
    assert found[1].item() == pytest.approx(10 * math.sin(angle), abs=1e-4)


def test_arcface_falls_with_the_angle_also_beyond_pi():
    loss = objectives.ArcFace(2, 1, margin=1.0, scale=1.0)
    with torch.no_grad():
        loss.weight.copy_(torch.tensor([[1.0, 0.0]]))
    angles = torch.linspace(0.01, math.pi - 0.01, 50)
    around = torch.stack([angles.cos(), angles.sin()], dim=1)
    logits = loss.logits(around, torch.zeros(50, dtype=torch.long))[:, 0]
    assert (logits.diff() < 0).all()


@pytest.mark.parametrize(
    "loss",
    [
        objectives.contrastive_loss,
        *(
            lambda e, y, m=mining: objectives.triplet_loss(e, y, margin=0.5, mining=m)
            for mining in objectives.MINING
        ),
    ],
)
def test_scale_and_order_of_the_items_do_not_matter(loss):
    embeddings = drawn(seed=5)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(0))
    scaled = embeddings * torch.rand(10, 1, generator=torch.Generator().manual_seed(1)).add(0.1)
    wanted = loss(embeddings, LABELS).item()
    assert wanted > 0
    assert loss(embeddings[order], LABELS[order]).item() == pytest.approx(wanted)
    assert loss(scaled, LABELS).item() == pytest.approx(wanted)


def test_what_does_not_fit_is_refused():
    embeddings = drawn()
    with pytest.raises(CompanionError, match=r"labels: got shape \(9,\).*one identity an ite"):
        objectives.triplet_loss(embeddings, LABELS[:9])
    with pytest.raises(CompanionError, match="batch: got 10 items of 10 identities"):
        objectives.contrastive_loss(embeddings, torch.arange(10))
    with pytest.raises(CompanionError, match="batch: got 10 items of 1 identities"):
        objectives.triplet_loss(embeddings, torch.zeros(10, dtype=torch.long))
    with pytest.raises(CompanionError, match="mining: got 'semihard'.*did you mean 'semi_hard'"):
        objectives.triplet_loss(embeddings, LABELS, mining="semihard")
    with pytest.raises(CompanionError, match="margin: got 3.0; expected at most 2"):
        objectives.contrastive_loss(embeddings, LABELS, margin=3.0)
    with pytest.raises(CompanionError, match=r"margin: got 28\.6; expected radians, below pi"):
        objectives.ArcFace(5, 4, margin=28.6)
    with pytest.raises(CompanionError, match=r"labels: got 0\.\.3; expected 0\.\.1"):
        objectives.ArcFace(5, 2)(embeddings.float(), LABELS)
    with pytest.raises(CompanionError, match="embedding_dim: got 5; expected 6"):
        objectives.ArcFace(6, 4)(embeddings.float(), LABELS)


@pytest.mark.parametrize("loss", [objectives.contrastive_loss, objectives.triplet_loss])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 0, 1, 1], r"labels: got \[0, 0, 1, 1\], a list; expected a Tensor"),
        (torch.tensor([0, 0, -1, -1]), "labels: got identity -1; expected identities from 0 on"),
        (torch.tensor([0.0, 0.0, 1.0, 1.0]), r"labels: got shape \(4,\) of torch.float32"),
    ],
)
def test_identities_are_whole_numbers_from_0(loss, labels, message):
    with pytest.raises(CompanionError, match=message):
        loss(torch.eye(4), labels)


@pytest.mark.parametrize("loss", [objectives.contrastive_loss, objectives.triplet_loss])
def test_a_nan_is_no_batch_without_cost(loss):
    embeddings = torch.eye(4)
    embeddings[0, 0] = torch.nan
    with pytest.raises(CompanionError, match="embeddings: got a value that is not finite"):
        loss(embeddings, torch.tensor([0, 0, 1, 1]))


def test_double_precision_is_single_precision_more_exactly():
    embeddings, labels = drawn(12), torch.arange(12) % 4
    arcface = objectives.ArcFace(embeddings.shape[1], 4)
    single, double = arcface(embeddings.float(), labels), arcface(embeddings.double(), labels)
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), single, rtol=1e-4, atol=1e-4)
    mixed = objectives.squared_distances(embeddings.float(), embeddings.double())
    both = objectives.squared_distances(embeddings.double(), embeddings.double())
    assert mixed.dtype == torch.float64
    torch.testing.assert_close(mixed, both, rtol=1e-4, atol=1e-5)


def test_arcface_and_distances_want_tensors():
    with pytest.raises(CompanionError, match="labels: got .*, a list; expected a Tensor"):
        objectives.ArcFace(4, 2)(torch.eye(4), [0, 0, 1, 1])
    with pytest.raises(CompanionError, match="first features: got .*, a list; expected a Tensor"):
        objectives.squared_distances([[1.0]], torch.eye(1))
    with pytest.raises(CompanionError, match="feature_dim of first and second: got 4 and 3"):
        objectives.squared_distances(torch.eye(4), torch.eye(3))
