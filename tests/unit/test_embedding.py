"""Embeddings: balanced batches, training that moves what it should, vectors of unit length."""

from __future__ import annotations

import copy
import functools
from functools import partial

import pytest
import torch

import companion
from companion import embedding, objectives
from companion.batches import ImageAugment
from companion.checks import CompanionError
from companion.datasets import glyphs
from companion.splits import Split

LABELS = torch.tensor([7] * 5 + [2] * 3 + [4] * 6 + [9] * 2)


def draw(step, *, labels=LABELS, seed=0, num_identities=2, items_each=3):
    """One balanced batch."""
    return embedding.balanced_rows(
        labels, num_identities=num_identities, items_each=items_each, seed=seed, step=step
    )


@functools.cache
def letters(num=6, each=8):
    """Some printed letters, class ids with gaps."""
    faces = [face for face in glyphs.FACES if face.name.startswith("DejaVuSans")]
    drawings = glyphs.render_letters(faces)
    images = glyphs.distort(drawings.images, generator=torch.Generator().manual_seed(0))
    ids = tuple(map(str, range(len(images))))
    pool = Split("pool", images, drawings.labels, ids, glyphs.CARD.classes)
    rows = [(pool.labels == c).nonzero().flatten()[:each] for c in range(3, 3 + 2 * num, 2)]
    return pool.subset(torch.cat(rows))


def net(*, dim=16, seed=0, pretrained=True):
    """A small embedding network."""
    backbone = companion.load_backbone("glyphnet", pretrained=pretrained, seed=seed)
    return embedding.EmbeddingNet(backbone, dim, seed=seed)


def test_a_batch_holds_the_same_number_of_items_of_each_identity():
    for step in range(20):
        rows = draw(step)
        counts = torch.bincount(LABELS[rows], minlength=10)
        assert sorted(counts[counts > 0].tolist()) == [3, 3]
        assert len(set(rows.tolist())) == 6
        assert counts[9] == 0  # it has two items only


def test_batches_are_a_function_of_seed_and_step():
    assert torch.equal(draw(3), draw(3))
    assert not torch.equal(draw(3), draw(4))
    assert not torch.equal(draw(3), draw(3, seed=1))


def test_every_identity_and_item_has_its_turn():
    seen = torch.cat([draw(step) for step in range(60)])
    assert set(seen.tolist()) == set(range(14))


def test_embeddings_are_of_unit_length_and_know_no_neighbours():
    split = letters()
    found = embedding.embed(net(), split)
    assert found.shape == (48, 16)
    assert torch.allclose(found.norm(dim=1), torch.ones(48), atol=1e-6)
    alone = embedding.embed(net().train(), split.subset([5]))
    assert torch.allclose(alone[0], found[5], atol=1e-5)


def test_without_a_projection_the_features_are_scaled():
    split, plain = letters(), embedding.EmbeddingNet(companion.load_backbone("glyphnet"))
    source = plain.backbone.prepare(split)
    with torch.no_grad():
        features = plain.backbone(source.batch(torch.arange(48)).inputs)
    wanted = features / features.norm(dim=1, keepdim=True)
    assert torch.allclose(embedding.embed(plain, split), wanted, atol=1e-5)
    assert plain.embedding_dim == 128


TRIPLETS = partial(objectives.triplet_loss, margin=0.5)


def train(model, loss, *, steps=6, seed=0, **options):
    """Train for a few steps."""
    options = {"num_identities": 4, "items_each": 4, "learning_rate": 3e-3} | options
    return embedding.train_embedding_(model, letters(), loss, num_steps=steps, seed=seed, **options)


def same_share(embeddings, labels):
    """How far the mean cosine of same pairs lies above that of the others."""
    cosines = embeddings @ embeddings.T
    is_same = labels[:, None] == labels
    return (cosines[is_same].mean() - cosines[~is_same].mean()).item()


@pytest.mark.parametrize("trained", embedding.TRAINED)
def test_training_parts_the_identities(trained):
    split, model = letters(), net(pretrained=False)
    before = same_share(embedding.embed(model, split), split.labels)
    train(model, objectives.contrastive_loss, steps=15, trained=trained)
    after = same_share(embedding.embed(model, split), split.labels)
    assert after > before + 0.05
    assert not model.training


def test_a_frozen_backbone_stays_as_it_is_to_the_last_bit():
    model = net()
    before = copy.deepcopy(model.state_dict())
    train(model, TRIPLETS, trained="projection")
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) == (name != "projection.weight"), name


def test_arcface_is_given_labels_without_gaps_and_its_vectors_move():
    loss = objectives.ArcFace(16, 6, scale=16.0)
    before = loss.weight.detach().clone()
    train(net(), loss, trained="projection")
    assert not torch.equal(loss.weight, before)


def test_equal_seeds_give_equal_bits_and_others_do_not():
    found = []
    for seed in (0, 0, 1):
        model = net()
        losses = train(model, TRIPLETS, steps=3, seed=seed, augment=ImageAugment(seed=0))
        found.append((losses, model.projection.weight.detach()))
    assert found[0][0] == found[1][0]
    assert torch.equal(found[0][1], found[1][1])
    assert not torch.equal(found[0][1], found[2][1])


def test_what_does_not_fit_is_refused():
    with pytest.raises(CompanionError, match=r"num_identities: got 4; expected at most 3, the id"):
        draw(0, num_identities=4)
    with pytest.raises(CompanionError, match="items_each: got 1; expected at least 2"):
        draw(0, items_each=1)
    with pytest.raises(CompanionError, match="trained: got 'head'"):
        train(net(), TRIPLETS, trained="head")
    with pytest.raises(CompanionError, match="trained: got no projection to train"):
        train(net(dim=None), TRIPLETS, trained="projection")
    with pytest.raises(CompanionError, match="trained: got 'projection' with augmentation"):
        train(net(), TRIPLETS, trained="projection", augment=ImageAugment(seed=0))
    with pytest.raises(CompanionError, match="embedding_dim: got 0"):
        net(dim=0)
    with pytest.raises(CompanionError, match="backbone: got"):
        embedding.EmbeddingNet(torch.nn.Identity(), 4)


# --- bad input ---


def pictures_with_boxes(num=2):
    boxes = [torch.tensor([[0, 0.1, 0.1, 0.5, 0.5]])] * num
    ids = tuple(map(str, range(num)))
    return Split("boxes", torch.zeros(num, 3, 64, 64), boxes, ids, ("thing",), task="detection")


def test_a_detector_makes_no_embeddings():
    with pytest.raises(CompanionError, match="backbone: got 'spotnet', which makes feature maps"):
        embedding.EmbeddingNet(companion.load_backbone("spotnet", pretrained=False), 16)
    with pytest.raises(CompanionError, match=r"features: got shape \(2, 5, 128\); .*one vector"):
        net().project(torch.zeros(2, 5, 128))


def test_boxes_are_no_identities():
    with pytest.raises(CompanionError, match="split 'boxes': got the task 'detection'"):
        embedding.train_embedding_(
            net(), pictures_with_boxes(), objectives.triplet_loss, num_steps=1, seed=0
        )


def test_a_loss_is_a_function_and_a_net_a_net():
    with pytest.raises(CompanionError, match="loss: got 'triplet'; expected a function"):
        embedding.train_embedding_(net(), letters(), "triplet", num_steps=1, seed=0)
    backbone = companion.load_backbone("glyphnet")
    with pytest.raises(CompanionError, match="a Backbone; expected a EmbeddingNet"):
        embedding.train_embedding_(
            backbone, letters(), objectives.triplet_loss, num_steps=1, seed=0
        )
    with pytest.raises(CompanionError, match="a Backbone; expected a EmbeddingNet"):
        embedding.embed(backbone, letters())


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS.tolist(), "labels: got .*, a list; expected a Tensor"),
        (LABELS - 5, "labels: got identity -3; expected identities from 0 on"),
        (LABELS.float(), r"labels: got shape \(16,\) of torch.float32"),
    ],
)
def test_batches_are_drawn_from_identities(labels, message):
    with pytest.raises(CompanionError, match=message):
        draw(0, labels=labels)
