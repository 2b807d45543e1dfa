"""Batches of items of about one length: every item once, less padding, the same after a kill."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from companion import layer_groups, runtime
from companion.batches import PaddedSource, TensorSource, by_length, pad_sequences
from companion.heads import Model, build_head
from companion.training import Recipe, fit, order
from companion.training.phase_loop import PhaseLoop

LENGTHS = torch.randint(1, 60, (1000,), generator=torch.Generator().manual_seed(0))
RECIPE = Recipe(epochs=1, min_steps=12, batch_size=7)


def batches(seed=0, epoch=0, *, lengths=LENGTHS, batch_size=8, num_items=1000):
    return order.epoch_batches(num_items, batch_size, seed, epoch, lengths=lengths)


def padded(found, lengths=LENGTHS):
    """Positions of padding in all batches."""
    return sum(int(lengths[b].max()) * len(b) - int(lengths[b].sum()) for b in found)


@pytest.mark.parametrize("num_items", [1, 7, 8, 9, 17, 400, 401, 999, 1000])
def test_every_item_is_in_one_batch_of_an_epoch(num_items):
    for epoch in range(3):
        found = batches(epoch=epoch, num_items=num_items, lengths=LENGTHS[:num_items])
        assert sorted(torch.cat(found).tolist()) == list(range(num_items))
        sizes = sorted(map(len, found))
        assert sizes == sorted(map(len, order.split_order(torch.arange(num_items), 8)))
        assert num_items == 1 or min(sizes) > 1


def test_batches_are_a_function_of_seed_and_epoch():
    first = torch.cat(batches(3, 5))
    torch.manual_seed(77)
    assert torch.equal(first, torch.cat(batches(3, 5)))
    assert not torch.equal(first, torch.cat(batches(3, 6)))
    assert not torch.equal(first, torch.cat(batches(4, 5)))


def test_other_items_meet_in_the_next_epoch():
    meetings = [{frozenset(b.tolist()) for b in batches(epoch=epoch)} for epoch in (0, 1)]
    assert len(meetings[0] & meetings[1]) < 5


def test_long_batches_do_not_all_come_first():
    means = [float(LENGTHS[b].float().mean()) for b in batches()]
    assert means != sorted(means, reverse=True)
    half = len(means) // 2
    assert abs(sum(means[:half]) / half - sum(means[half:]) / (len(means) - half)) < 10


def test_less_is_padded_than_in_batches_at_random():
    at_random = padded(batches(lengths=None))
    assert padded(batches()) < 0.1 * at_random
    best = padded(torch.split(torch.argsort(LENGTHS), 8))
    assert best <= padded(batches())


def test_without_lengths_batches_are_those_of_the_shuffled_order():
    wanted = order.split_order(runtime.epoch_order(1000, seed=2, epoch=4), 8)
    assert all(map(torch.equal, batches(2, 4, lengths=None), wanted))


def test_items_meet_within_a_window_of_the_shuffled_order(monkeypatch):
    monkeypatch.setattr(order, "WINDOW", 2)
    shuffled = runtime.epoch_order(1000, seed=0, epoch=0)
    window_of = torch.empty(1000, dtype=torch.long)
    window_of[shuffled] = torch.arange(1000) // 16
    for batch in batches():
        assert len(set(window_of[batch].tolist())) == 1
    rows = torch.split(shuffled, 16)[0]
    held = sorted(LENGTHS[rows].tolist(), reverse=True)
    mine = [sorted(LENGTHS[b].tolist(), reverse=True) for b in batches() if window_of[b[0]] == 0]
    assert sorted(mine, reverse=True) == [held[:8], held[8:]]


def test_sources_know_lengths_and_their_order():
    rows = [torch.ones(n, dtype=torch.long) for n in (3, 5, 1, 5)]
    source = PaddedSource(rows, torch.zeros(4, dtype=torch.long))
    assert source.lengths.tolist() == [3, 5, 1, 5]
    assert by_length(source).tolist() == [1, 3, 0, 2]
    plain = TensorSource(torch.zeros(3, 2), torch.zeros(3, dtype=torch.long))
    assert plain.lengths is None
    assert by_length(plain).tolist() == [0, 1, 2]
    kept = TensorSource(torch.zeros(2, 2), torch.zeros(2).long(), lengths=torch.tensor([1, 4]))
    assert by_length(kept).tolist() == [1, 0]


def test_the_starts_of_words_are_marked_in_the_mask():
    rows = [torch.tensor([2, 7, 8, 9, 3]), torch.tensor([2, 7, 3])]
    starts = [torch.tensor([0, 1, 0, 1, 0]).bool(), torch.tensor([0, 1, 0]).bool()]
    labels = [torch.tensor([1, 0]), torch.tensor([2])]
    source = PaddedSource(rows, labels, padding=5, word_starts=starts)
    batch = source.batch(torch.tensor([1, 0]))
    assert batch.inputs.tolist() == [[2, 7, 3, 5, 5], [2, 7, 8, 9, 3]]
    assert batch.mask.tolist() == [[1, 2, 1, 0, 0], [1, 2, 1, 2, 1]]
    assert batch.mask.dtype == torch.int8
    assert batch.labels.tolist() == [[2, -100], [1, 0]]
    assert pad_sequences(starts, padding=False)[0].dtype == torch.bool


# --- in training -------------------------------------------------------------------------------


class Counting:
    """A source that notes which items were asked for."""

    def __init__(self, source, seen):
        self.source, self.seen = source, seen

    def __getattr__(self, name):
        return getattr(self.source, name)

    def __len__(self):
        return len(self.source)

    def batch(self, indices, epoch=0):
        self.seen.append(indices.tolist())
        return self.source.batch(indices, epoch)


def seen_batches(case, monkeypatch, **changes):
    """The batches of a training, in order."""
    seen = []
    real = type(case.backbone).prepare

    def prepare(self, split, **options):
        source = real(self, split, **options)
        return Counting(source, seen) if split.name == "train" else source

    monkeypatch.setattr(type(case.backbone), "prepare", prepare)
    fit(case.backbone, case.splits, strategy="full", recipe=dataclasses.replace(RECIPE, **changes))
    monkeypatch.undo()
    return [row for row in seen if len(row) <= 8]


def test_fit_groups_by_length_where_it_is_asked_to(words, monkeypatch):
    lengths = words.backbone.prepare(words.splits.train).lengths
    grouped, plain = (
        [torch.tensor(b) for b in seen_batches(words, monkeypatch, group_by_length=g)]
        for g in (True, False)
    )
    assert len(grouped) == len(plain) == 12
    assert padded(grouped, lengths) < 0.6 * padded(plain, lengths)
    assert sorted(torch.cat(grouped[:7]).tolist()) == list(range(48))
    assert sorted(torch.cat(plain[:7]).tolist()) == list(range(48))


def test_a_frozen_backbone_meets_the_same_batches_as_one_that_is_run_each_time(texts):
    model = Model(
        texts.backbone, build_head(texts.backbone, texts.splits.train, seed=0),
        texts.splits.train.classes,
    )  # fmt: skip
    from companion.training.features import compute_features

    source = texts.backbone.prepare(texts.splits.train)
    kept = compute_features(model, source, device=torch.device("cpu"))
    first, second = (batches(lengths=s.lengths, num_items=len(s)) for s in (source, kept))
    assert all(map(torch.equal, first, second))


@pytest.mark.parametrize("strategy", ["full", "probe"])
def test_a_training_that_stops_within_an_epoch_ends_bit_equal(
    words, tmp_path, monkeypatch, strategy
):
    whole = fit(words.backbone, words.splits, strategy=strategy, seed=4, recipe=RECIPE)
    advance = PhaseLoop.advance

    def stop_at_ten(self):
        advance(self)
        if self.run.step == 10:
            assert self.epoch_length == 7
            raise KeyboardInterrupt

    options = {"strategy": strategy, "seed": 4, "recipe": RECIPE}
    monkeypatch.setattr(PhaseLoop, "advance", stop_at_ten)
    with pytest.raises(KeyboardInterrupt):
        fit(words.backbone, words.splits, checkpoint_dir=tmp_path, checkpoint_every=9, **options)
    monkeypatch.setattr(PhaseLoop, "advance", advance)
    again = fit(
        words.backbone, words.splits, checkpoint_dir=tmp_path, checkpoint_every=9, **options
    )
    assert again.history.resumed_at == [9]
    assert again.history.losses == whole.history.losses
    assert layer_groups.fingerprints(again.model) == layer_groups.fingerprints(whole.model)


def test_two_processes_deal_the_items_of_one(words, monkeypatch):
    """Each process takes every second item of the batches that a single process takes whole."""
    alone = seen_batches(words, monkeypatch)
    shares = []
    for index in range(2):
        with monkeypatch.context() as patch:
            loss = PhaseLoop._loss

            def part(self, indices, epoch, index=index, loss=loss):
                self.run.processes = dataclasses.replace(self.run.processes, num=2, index=index)
                try:
                    return loss(self, indices, epoch)
                finally:
                    self.run.processes = dataclasses.replace(self.run.processes, num=1, index=0)

            patch.setattr(PhaseLoop, "_loss", part)
            shares.append(seen_batches(words, patch))
    for whole, first, second in zip(alone, *shares, strict=True):
        assert (whole[0::2], whole[1::2]) == (first, second)
