"""Spans of BIO classes: reading them, against nervaluate and a rewrite of conlleval's rule."""

from __future__ import annotations

import random

import pytest
import torch
from nervaluate import collect_named_entities

from companion.checks import CompanionError
from companion.splits import IGNORED, Split, check_bio_classes, k_shot, read_spans

CLASSES = ("O", "B-place", "I-place", "B-person", "I-person", "B-date", "I-date")
PLACE, IN_PLACE, PERSON, IN_PERSON = 1, 2, 3, 4


def well_formed(rng, length):
    """Random class ids in which an I- always goes on with its span."""
    row, open_type = [], None
    for _ in range(length):
        choices = [0, PLACE, PERSON, 5] + ([open_type + 1] * 3 if open_type else [])
        label = rng.choice(choices)
        open_type = None if label == 0 else label if label % 2 else label - 1
        row.append(label)
    return row


def conlleval(row):
    """Spans by the rules of the CoNLL scoring program, each rule a line of a table."""
    tags = [(None, None) if c == "O" else tuple(c.split("-")) for c in (CLASSES[i] for i in row)]
    before = [(None, None), *tags]
    after = [*tags, (None, None)]
    starts, ends = [], []
    for position in range(len(row) + 1):
        (last_tag, last_type), (tag, kind) = before[position], after[position]
        ends_here = last_tag is not None and (
            tag is None or tag == "B" or last_type != kind
        )  # B-I-O: E, S and brackets do not occur
        starts_here = tag is not None and (tag == "B" or last_tag is None or last_type != kind)
        if ends_here:
            ends.append(position)
        if starts_here:
            starts.append((kind, position))
    return [(kind, start, end) for (kind, start), end in zip(starts, ends, strict=True)]


def test_spans_by_hand():
    row = [PLACE, IN_PLACE, 0, PERSON, PERSON, IN_PERSON, IN_PLACE, 0, IN_PLACE, IN_PLACE]
    assert read_spans(row, CLASSES) == [
        ("place", 0, 2), ("person", 3, 4), ("person", 4, 6), ("place", 6, 7), ("place", 8, 10),
    ]  # fmt: skip
    assert read_spans([], CLASSES) == [] == read_spans([0, 0], CLASSES)
    assert read_spans([0, PERSON], CLASSES) == [("person", 1, 2)]
    assert read_spans(torch.tensor([0, PERSON]), CLASSES) == [("person", 1, 2)]


def test_well_formed_sequences_are_read_as_nervaluate_reads_them():
    rng = random.Random(0)
    num_spans = 0
    for _ in range(300):
        row = well_formed(rng, rng.randint(1, 14))
        wanted = collect_named_entities([CLASSES[i] for i in row])
        assert read_spans(row, CLASSES) == [
            (e["label"], e["start"], e["end"] + 1) for e in wanted
        ], row
        num_spans += len(wanted)
    assert num_spans > 500


def test_any_sequence_is_read_by_conllevals_rule():
    rng = random.Random(1)
    ill_formed = 0
    for _ in range(1000):
        row = [rng.choices(range(7), [4, 1, 3, 1, 3, 1, 1])[0] for _ in range(rng.randint(0, 9))]
        assert read_spans(row, CLASSES) == conlleval(row), row
        ill_formed += any(
            label and label % 2 == 0 and (not place or row[place - 1] not in (label - 1, label))
            for place, label in enumerate(row)
        )
    assert ill_formed > 500


@pytest.mark.parametrize("label", [IGNORED, -1, 7])
def test_a_label_that_is_no_class_is_refused(label):
    with pytest.raises(CompanionError, match=rf"labels of spans: got {label}; expected 0\.\.6"):
        read_spans([PLACE, label, IN_PLACE], CLASSES)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("O", "B-a"), "type 'a' with only one of B- and I-"),
        (("O", "B-a", "I-b"), "type 'a' with only one"),
        (("O", "B-a", "I-a", "a"), "got 'a'; expected 'O'"),
        (("O", "B-a", "I-a", "E-a"), "got 'E-a'"),
        (("B-a", "I-a"), "got 2 classes, B-a, I-a"),
        (("O",), "got 1 classes, O"),
        (("O", "B-", "I-"), "got 3 classes"),
    ],
)
def test_classes_of_another_scheme_are_refused(classes, message):
    with pytest.raises(CompanionError, match=message):
        check_bio_classes(classes)
    labels = [torch.tensor([0])]
    with pytest.raises(CompanionError, match=message):
        Split("train", [("a",)], labels, ("x",), classes, task="spans")
    assert len(Split("train", [("a",)], labels, ("x",), classes, task="tokens")) == 1


def test_classes_may_stand_in_any_order():
    check_bio_classes(["I-a", "B-b", "O", "B-a", "I-b"])
    assert read_spans([2, 0, 3, 0], ["I-a", "B-b", "O", "B-a", "I-b"]) == [
        ("a", 1, 2), ("a", 2, 4),
    ]  # fmt: skip


def sentences(num, **options):
    """A split of sentences of one word."""
    labels = [torch.tensor([PLACE if i % 2 else IGNORED]) for i in range(num)]
    ids = tuple(f"s/{i}" for i in range(num))
    return Split("pool", [(f"w{i}",) for i in range(num)], labels, ids, CLASSES, task="spans",
                 **options)  # fmt: skip


def test_a_label_of_none_is_allowed_and_counted_nowhere():
    split = sentences(5)
    assert split.class_counts() == dict.fromkeys(CLASSES, 0) | {"B-place": 2}
    with pytest.raises(CompanionError, match=r"labels of split 'train': got label 7"):
        Split("train", [("a",)], [torch.tensor([7])], ("x",), CLASSES, task="spans")


def test_a_split_prints_one_line_without_its_items():
    text = repr(sentences(5))
    assert text == "Split('pool', 5 items, spans, 7 classes: 'O', 'B-place', 'I-place', ...)"
    short = Split("val", ["x"], torch.tensor([0]), ("i",), ("a", "b"))
    assert repr(short) == "Split('val', 1 items, classification, 2 classes: 'a', 'b')"


def test_a_budget_of_sentences_counts_sentences_and_grows():
    pool = sentences(20)
    few, more = k_shot(pool, 4, seed=1), k_shot(pool, 9, seed=1)
    assert (len(few), len(more)) == (4, 9)
    assert set(few.ids) < set(more.ids)
    assert not set(few.ids) & set(k_shot(pool, 10, seed=1, skip=4).ids)
    assert k_shot(pool, 4, seed=2).ids != few.ids
    for name, words, row in zip(few.ids, few.inputs, few.labels, strict=True):
        assert words == (f"w{name[2:]}",)
        assert row.tolist() == [PLACE if int(name[2:]) % 2 else IGNORED]
    with pytest.raises(
        CompanionError, match=r"^split 'pool': got 20 items; expected at least 21 for 21 labelled "
        r"sentences; ask for fewer, or add items"
    ):  # fmt: skip
        k_shot(pool, 21)
