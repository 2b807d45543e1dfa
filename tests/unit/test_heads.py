"""Heads: losses against slow rewrites, predictions that leave padding out."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from companion.batches import IGNORE_LABEL
from companion.checks import CompanionError
from companion.heads import (
    CTCHead,
    LinearHead,
    Model,
    OneStageHead,
    SpanHead,
    TokenHead,
    build_head,
    masked_mean,
)
from companion.splits import Split


@pytest.fixture
def numbers() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _log_softmax(row: list[float]) -> list[float]:
    total = math.log(sum(math.exp(value) for value in row))
    return [value - total for value in row]


def test_linear_head_loss_is_cross_entropy_by_hand(numbers):
    head = LinearHead(4, 3)
    logits = torch.randn(5, 3, generator=numbers)
    labels = torch.tensor([0, 2, 1, 1, 0])
    rows = [_log_softmax(row) for row in logits.tolist()]
    plain = [-row[label] for row, label in zip(rows, labels.tolist(), strict=True)]
    assert head.losses(logits, labels).tolist() == pytest.approx(plain, abs=1e-5)
    smooth = [0.9 * p - 0.1 * sum(row) / 3 for p, row in zip(plain, rows, strict=True)]
    found = head.losses(logits, labels, label_smoothing=0.1).tolist()
    assert found == pytest.approx(smooth, abs=1e-5)
    assert head.predict(logits).tolist() == [row.index(max(row)) for row in rows]


def test_linear_head_averages_real_positions_only(numbers):
    head = LinearHead(4, 3)
    features = torch.randn(2, 3, 4, generator=numbers)
    mask = torch.tensor([[True, True, False], [True, False, False]])
    expected = torch.stack([features[0, :2].mean(dim=0), features[1, 0]])
    assert torch.allclose(head(features, mask), head(expected), atol=1e-6)
    changed = features.clone()
    changed[0, 2] = 1e6
    assert torch.equal(head(changed, mask), head(features, mask))


def test_masked_mean_of_nothing_is_zero():
    features = torch.ones(1, 2, 3)
    assert masked_mean(features, torch.zeros(1, 2, dtype=torch.bool)).tolist() == [[0, 0, 0]]
    assert masked_mean(features, None).tolist() == [[1, 1, 1]]


def test_token_head_ignores_unlabelled_tokens(numbers):
    head = TokenHead(4, 3)
    logits = torch.randn(2, 3, 3, generator=numbers)
    labels = torch.tensor([[1, IGNORE_LABEL, 2], [0, IGNORE_LABEL, IGNORE_LABEL]])
    rows = [[_log_softmax(token) for token in item] for item in logits.tolist()]
    expected = [-(rows[0][0][1] + rows[0][2][2]) / 2, -rows[1][0][0]]
    assert head.losses(logits, labels).tolist() == pytest.approx(expected, abs=1e-5)
    mask = torch.tensor([[True, True, True], [True, False, False]])
    predictions = head.predict(logits, mask)
    assert [len(p) for p in predictions] == [3, 1]
    assert predictions[1].item() == int(logits[1, 0].argmax())


def _brute_force_ctc(log_probabilities: list[list[float]], labels: list[int]) -> float:
    """Sum over every path that collapses to the labels; return its negative logarithm."""
    frames, classes = len(log_probabilities), len(log_probabilities[0])
    total = 0.0
    for path in itertools.product(range(classes), repeat=frames):
        collapsed = [c for i, c in enumerate(path) if c != 0 and (i == 0 or path[i - 1] != c)]
        if collapsed == labels:
            total += math.exp(sum(log_probabilities[t][c] for t, c in enumerate(path)))
    return -math.log(total)


def test_ctc_loss_sums_over_all_paths(numbers):
    head = CTCHead(4, 3)
    logits = torch.randn(2, 5, 3, generator=numbers)
    labels = torch.tensor([[1, 1, IGNORE_LABEL], [2, 1, 2]])
    mask = torch.tensor([[True, True, True, True, False], [True] * 5])
    rows = [[_log_softmax(frame) for frame in item] for item in logits.tolist()]
    expected = [
        _brute_force_ctc(rows[0][:4], [1, 1]) / 2,
        _brute_force_ctc(rows[1], [2, 1, 2]) / 3,
    ]
    assert head.losses(logits, labels, mask).tolist() == pytest.approx(expected, abs=1e-4)
    with pytest.raises(CompanionError, match="label_smoothing: got 0.1; expected 0 for CTC"):
        head.losses(logits, labels, mask, label_smoothing=0.1)


def test_ctc_greedy_collapses_repeats_and_drops_blanks():
    best = torch.tensor([[1, 1, 0, 1, 2, 2, 0], [0, 0, 3, 3, 0, 0, 1]])
    logits = torch.nn.functional.one_hot(best, 4).float()
    assert [p.tolist() for p in CTCHead(2, 4).predict(logits)] == [[1, 1, 2], [3, 1]]
    mask = torch.arange(7)[None] < torch.tensor([[7], [6]])
    assert [p.tolist() for p in CTCHead(2, 4).predict(logits, mask)] == [[1, 1, 2], [3]]


def test_build_head_knows_the_task_and_is_seeded(case):
    head = build_head(case.backbone, case.splits.train, seed=1)
    again = build_head(case.backbone, case.splits.train, seed=1)
    other = build_head(case.backbone, case.splits.train, seed=2)
    assert head.num_classes == len(case.splits.train.classes)
    matrices = [
        torch.cat([p.flatten() for p in one.parameters() if p.dim() > 1])
        for one in (head, again, other)
    ]
    assert torch.equal(matrices[0], matrices[1])
    assert not torch.equal(matrices[0], matrices[2])
    kinds = {"classification": LinearHead, "ctc": CTCHead, "spans": SpanHead}
    kinds["detection"] = OneStageHead
    assert type(head) is kinds[case.splits.train.task]
    assert head.task == case.splits.train.task


def test_build_head_for_tokens(images):
    labels = [torch.tensor([0, 1]), torch.tensor([1])]
    split = Split("train", ["a b", "c"], labels, ("a", "b"), ("O", "B"), task="tokens")
    assert type(build_head(images.backbone, split, seed=0)) is TokenHead


def test_model_passes_the_features_mask_on(case):
    train = case.splits.train
    model = Model(case.backbone, build_head(case.backbone, train, seed=0), train.classes)
    batch = case.backbone.prepare(train).batch(torch.arange(4))
    features = case.backbone(batch.inputs, batch.mask)
    expected = model.head(features, case.backbone.feature_mask(batch.mask))
    assert torch.equal(model(batch.inputs, batch.mask), expected)
    assert expected.shape[0] == 4
    assert expected.shape[-1] == len(train.classes) + (5 if train.task == "detection" else 0)
