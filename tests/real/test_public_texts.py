"""Public texts with their real files, where COMPANION_DATA has them."""

import os
import time
from collections import Counter
from pathlib import Path

import pytest
import torch
from scipy.stats import spearmanr

from companion import assets, load_dataset
from companion.datasets.public_texts import (
    load_shakespeare,
    load_sts2016,
    polarity,
    shakespeare,
    sts2016,
    ud_english,
    wnut17,
)
from companion.splits import read_spans

ROOT = Path(os.environ.get("COMPANION_DATA") or "nowhere")


def needs(module):
    """Skip a test where the files of a module are not below COMPANION_DATA."""
    names = [file.name for file in module.FILES]
    is_there = all((ROOT / n).is_file() or (ROOT / f"{n}.gz").is_file() for n in names)
    reason = f"needs COMPANION_DATA with {', '.join(names)}"
    return pytest.mark.skipif(not is_there, reason=reason)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    monkeypatch.setattr(assets, "_download", lambda *args: pytest.fail("asked the network"))


@pytest.fixture(scope="module")
def ud():
    """The treebank, and the seconds that reading it took."""
    return timed(ud_english.load)


def timed(load):
    started = time.process_time()
    found = load()
    return found, time.process_time() - started


# sentence polarity


@needs(polarity)
def test_polarity_counts_and_parts():
    source, seconds = timed(polarity.load)
    assert seconds < 3
    assert source.test.class_counts() == {"negative": 1000, "positive": 1000}
    assert source.pool.class_counts() == {"negative": 4331, "positive": 4331}
    assert len({*source.pool.inputs, *source.test.inputs}) == 2 * 5331
    by_id = dict(zip(source.pool.ids, source.pool.inputs, strict=True)) | dict(
        zip(source.test.ids, source.test.inputs, strict=True)
    )
    assert by_id["sentence_polarity/negative/0001"] == "simplistic , silly and tedious ."
    assert by_id["sentence_polarity/positive/1939"].startswith("'stock up on silver bullets for")


@needs(polarity)
def test_lines_of_the_same_words_are_on_one_side():
    source = polarity.load()
    pool, test = (
        Counter(map(polarity.letters_only, part.inputs)) for part in (source.pool, source.test)
    )
    assert not set(pool) & set(test)
    assert sum(number > 1 for number in (pool + test).values()) == 2


@needs(polarity)
def test_the_card_names_the_controls_that_are_there():
    source = polarity.load()
    letters = {c for text in (*source.pool.inputs, *source.test.inputs) for c in text}
    controls = sorted(c for c in letters if "\x7f" <= c <= "\x9f")
    assert controls == ["\x91", "\x96", "\x97"]
    assert "U+0091 to U+0097" in polarity.CARD.notes


@needs(polarity)
def test_words_tell_the_polarity_and_labels_are_not_swapped():
    splits = load_dataset("sentence_polarity", labels_per_class=1000, seed=0)
    texts = [f" {text} " for text in splits.train.inputs]
    is_positive = splits.train.labels.bool()
    for word, more in (("dull", False), ("moving", True)):
        has = torch.tensor([f" {word} " in text for text in texts])
        share = [float(has[is_positive == side].double().mean()) for side in (False, True)]
        assert (share[1] > share[0]) == more


# WNUT 2017


@needs(wnut17)
def test_wnut_counts():
    source, seconds = timed(wnut17.load)
    assert seconds < 3
    parts = (source.pool, source.val_pool, source.test)
    assert [len(part) for part in parts] == [3394, 1009, 1287]
    assert [sum(map(len, part.inputs)) for part in parts] == [62730, 15733, 23394]
    counts = [part.class_counts() for part in parts]
    total = {name: sum(count[name] for count in counts) for name in wnut17.CARD.classes}
    assert total["B-person"] == 1559 and total["I-product"] == 423 and total["O"] == 95707
    assert {name[2:] for name in total if name != "O"} == set(wnut17.TYPES)


def names_in(split):
    """Return the names of a split, capitals aside."""
    return [
        " ".join(words[start:end]).lower()
        for words, labels in zip(split.inputs, split.labels, strict=True)
        for _, start, end in read_spans(labels.tolist(), split.classes)
    ]


@needs(wnut17)
def test_the_names_of_the_test_set_are_new_and_what_the_card_says_is_so():
    source = wnut17.load()
    known, tested = set(names_in(source.pool)), names_in(source.test)
    assert (len(tested), sum(name in known for name in tested)) == (1079, 24)
    rows = Counter(source.pool.inputs)
    labels = {(w, tuple(r.tolist())) for w, r in zip(*_rows(source.pool), strict=True)}
    assert sum(number > 1 for number in rows.values()) == 90
    assert sum(n > 1 for n in Counter(words for words, _ in labels).values()) == 11
    for part in ("1,079 names of test", "24 are names in train", "90 sentences", "11 of these"):
        assert part in wnut17.CARD.notes
    assert not set(rows) & {*source.test.inputs, *source.val_pool.inputs}


def _rows(split):
    return split.inputs, split.labels


@needs(wnut17)
def test_a_budget_of_sentences_is_drawn_from_train_and_dev():
    splits = load_dataset("wnut17", labels_per_class=50, seed=0)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (40, 10, 1287)
    assert all("/train/" in name for name in splits.train.ids)
    assert all("/dev/" in name for name in splits.val.ids)


# Universal Dependencies


@needs(ud_english)
def test_ud_counts(ud):
    source, seconds = ud
    assert seconds < 10
    parts = (source.pool, source.val_pool, source.test)
    assert [len(part) for part in parts] == [12544, 2001, 2077]
    assert [sum(map(len, part.inputs)) for part in parts] == [204577, 25147, 25094]
    assert source.test.class_counts()["NOUN"] == 4123 and source.test.class_counts()["X"] == 42
    assert all(min(part.class_counts().values()) > 0 for part in parts)
    kinds = {name.split("/")[1].split("-")[0] for name in source.test.ids}
    assert kinds == {"answers", "email", "newsgroup", "reviews", "weblog"}


@needs(ud_english)
def test_no_document_of_ud_is_in_two_parts(ud):
    source = ud[0]
    groups = [set(part.groups) for part in (source.pool, source.val_pool, source.test)]
    assert [len(group) for group in groups][::2] == [540, 316]
    assert sum(map(len, groups)) == len(set().union(*groups))


@needs(ud_english)
def test_contractions_are_taken_apart(ud):
    pool = ud[0].pool
    words = Counter(word for sentence in pool.inputs for word in sentence)
    assert words["n't"] > 500 and words["don't"] < 5
    assert not [word for word in words if " " in word or not word.strip()]


# graded pairs and plays


@needs(sts2016)
def test_sts_counts_and_grades():
    pairs = load_sts2016()
    grades = Counter((pairs.scores * 5).round().int().tolist())
    assert grades == {0: 42, 1: 40, 2: 38, 3: 42, 4: 40, 5: 42} and len(pairs) == 244
    assert torch.equal(pairs.scores, (pairs.scores * 5).round() / 5)


@needs(sts2016)
def test_counting_common_words_does_well_as_the_card_says():
    pairs = load_sts2016()
    words = [[set(text.lower().split()) for text in side] for side in (pairs.first, pairs.second)]
    common = [len(a & b) / len(a | b) for a, b in zip(*words, strict=True)]
    assert 0.6 < spearmanr(common, pairs.scores.numpy()).statistic < 0.9


@needs(shakespeare)
def test_the_plays():
    plays, seconds = timed(load_shakespeare)
    assert seconds < 3 and len(plays) == 8
    assert plays["Hamlet"].startswith("BERNARDO\nWho's there?\n\nFRANCISCO\nNay, answer me:")
    assert "To be, or not to be: that is the question:\n" in plays["Hamlet"]
    spoken = load_shakespeare(with_speakers=False)
    lines = {name: sum(1 for line in text.split("\n") if line) for name, text in spoken.items()}
    assert lines["Macbeth"] == 2385 and sum(lines.values()) > 23_000
    assert "[" not in "".join(plays.values()) and "<" not in "".join(plays.values())
    assert "Thunder and lightning" not in spoken["Macbeth"]
    assert 0.9e6 < sum(map(len, plays.values())) < 1.1e6
