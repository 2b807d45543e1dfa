"""The recorded study of metric losses, on random pictures in the form of Omniglot."""

from __future__ import annotations

import pytest
import torch

from companion import evaluation
from companion.backbones import load_backbone
from companion.checks import CompanionError
from companion.datasets import omniglot
from companion.embedding import EmbeddingNet, embed
from companion.study.procedures import metric_learning


@pytest.fixture(autouse=True)
def random_pictures(monkeypatch):
    """Random pictures in place of the real ones, nothing kept between tests."""
    monkeypatch.setenv("COMPANION_SCALE", "rehearsal")
    monkeypatch.setattr("companion.datasets.base.REHEARSAL_PER_CLASS", 8)
    metric_learning._part.cache_clear()
    yield
    metric_learning._part.cache_clear()


def alphabets(part):
    """The alphabets whose characters a part really holds."""
    split = metric_learning._part(part)
    return {split.classes[label].partition("/")[0] for label in split.labels.tolist()}


def test_every_alphabet_is_in_one_part():
    found = [alphabets(part) for part in ("train", "val", "test")]
    assert set.union(*found) == set(omniglot.ALPHABETS)
    assert sum(map(len, found)) == len(omniglot.ALPHABETS)
    assert found[2] == {"Balinese", "Sanskrit"}


def test_a_run_is_a_function_of_arm_and_seed():
    first, again = (metric_learning.run("triplet on frozen", 0) for _ in range(2))
    assert first == again
    assert metric_learning.run("triplet on frozen", 1) != first
    assert all(0 <= value <= 1 for value in first.values())


def test_the_frozen_arm_is_glyphnet_as_it_is():
    split = metric_learning._part("test")
    embeddings = embed(EmbeddingNet(load_backbone("glyphnet")), split)
    labels = torch.as_tensor(split.labels)
    pairs = evaluation.make_pairs(labels, num_pairs=1980, seed=3)
    values = evaluation.cosine_of_pairs(embeddings, pairs)
    found = metric_learning.run("frozen", 3)
    wanted = evaluation.equal_error_rate(values, pairs.is_genuine.numpy()).rate
    assert found["eer"] == pytest.approx(wanted)
    assert found["recall_at_1"] == evaluation.retrieve(embeddings, labels).recall_at(1)


def test_arms_start_and_train_as_they_are_called(monkeypatch):
    made = []

    def watch(net, split, loss, **options):
        made.append((net.backbone.is_pretrained, options["trained"], type(loss).__name__))

    monkeypatch.setattr(metric_learning, "train_embedding_", watch)
    for arm in ("arcface on frozen", "triplet, all trained", "triplet from scratch"):
        metric_learning._trained(arm, 0)
    assert made == [
        (True, "projection", "ArcFace"),
        (True, "all", "partial"),
        (False, "all", "partial"),
    ]
    with pytest.raises(CompanionError, match="arm: got 'triplets'"):
        metric_learning.run("triplets", 0)
