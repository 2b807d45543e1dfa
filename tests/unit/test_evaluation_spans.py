"""Scores of spans: against nervaluate, a slow count, and resampling by hand."""

from __future__ import annotations

import dataclasses
import math
import random

import numpy as np
import pytest
import torch
from nervaluate import Evaluator

from companion import evaluation
from companion.checks import CompanionError
from companion.heads import Model, build_head
from companion.splits import IGNORED, Split, draw
from companion.study import compare, load, save
from companion.training import Recipe, fit

TYPES = ("place", "person", "date")
CLASSES = ("O", *(f"{sign}-{kind}" for kind in TYPES for sign in "BI"))


def split_of(labels, *, groups=None, classes=CLASSES):
    """Sentences of which only the labels matter."""
    rows = [torch.tensor(row, dtype=torch.long) for row in labels]
    words = [tuple("w" for _ in row) for row in labels]
    ids = tuple(f"s/{i}" for i in range(len(rows)))
    return Split("val", words, rows, ids, classes, groups=groups, task="spans")


def random_pairs(seed, *, num=60, is_well_formed=True):
    """Labels, and predictions that are often right; tokens of a span in one go."""
    rng = random.Random(seed)
    pairs = []
    for _ in range(num):
        truth: list[int] = []
        while len(truth) < rng.randint(3, 12):
            kind, length = rng.randrange(3), rng.randint(1, 3)
            span = [1 + 2 * kind] + [2 + 2 * kind] * (length - 1)
            truth += rng.choice([[0] * length, span])
        guess = list(truth)
        for place in range(len(guess)):
            if rng.random() < 0.15:
                guess[place] = rng.randrange(7)
        if is_well_formed:
            for place, label in enumerate(guess):
                before = guess[place - 1] if place else 0
                if label and label % 2 == 0 and before not in (label - 1, label):
                    guess[place] = label - 1
        pairs.append((guess, truth))
    return [p for p, _ in pairs], [t for _, t in pairs]


def slow_spans(row):
    """Spans as a set: every pair of ends is tried."""
    names = [CLASSES[i] for i in row]

    def goes_on(p):
        return names[p][0] == "I" and names[p - 1][2:] == names[p][2:] if p else False

    found = set()
    for start in range(len(names)):
        for end in range(start + 1, len(names) + 1):
            is_open = names[start] != "O" and not goes_on(start)
            is_whole = all(goes_on(p) for p in range(start + 1, end))
            if is_open and is_whole and not (end < len(names) and goes_on(end)):
                found.add((names[start][2:], start, end))
    return found


def values_of(predictions, labels):
    return evaluation.span_values(
        [torch.tensor(p) for p in predictions], [torch.tensor(t) for t in labels], CLASSES
    )


@pytest.mark.parametrize("seed", range(5))
def test_f1_is_nervaluates_in_strict_mode(seed):
    predictions, labels = random_pairs(seed)
    names = [[[CLASSES[i] for i in row] for row in rows] for rows in (labels, predictions)]
    wanted = Evaluator(*names, tags=list(TYPES), loader="list").evaluate()
    strict = wanted["overall"]["strict"]
    found = values_of(predictions, labels)
    assert 0.3 < found["span_f1"] < 0.95
    assert found["span_f1"] == pytest.approx(strict.f1)
    assert found["span_precision"] == pytest.approx(strict.precision)
    assert found["span_recall"] == pytest.approx(strict.recall)
    for kind in TYPES:
        assert found[f"f1_{kind}"] == pytest.approx(wanted["entities"][kind]["strict"].f1)


@pytest.mark.parametrize("seed", range(5))
def test_counts_of_ill_formed_predictions_are_those_of_a_slow_count(seed):
    predictions, labels = random_pairs(seed, is_well_formed=False)
    pairs = [(slow_spans(p), slow_spans(t)) for p, t in zip(predictions, labels, strict=True)]
    found = evaluation.count_spans(
        [torch.tensor(p) for p in predictions], [torch.tensor(t) for t in labels], CLASSES
    )
    assert found.right.tolist() == [len(p & t) for p, t in pairs]
    assert found.predicted.tolist() == [len(p) for p, _ in pairs]
    assert found.labelled.tolist() == [len(t) for _, t in pairs]
    for kind in TYPES:
        wanted = tuple(
            sum(1 for spans in rows for span in spans if span[0] == kind)
            for rows in ([p & t for p, t in pairs], [p for p, _ in pairs], [t for _, t in pairs])
        )
        assert found.by_type[kind] == wanted


def test_values_by_hand():
    labels = [[1, 2, 0, 3], [0, 0], [5, 6, 6]]
    predictions = [[1, 2, 0, 1], [3, 0], [5, 6, 0]]
    found = values_of(predictions, labels)  # right: 1; predicted: 4; labelled: 3
    assert found["span_f1"] == pytest.approx(2 / 7)
    assert (found["span_precision"], found["span_recall"]) == pytest.approx((1 / 4, 1 / 3))
    assert found["f1_place"] == pytest.approx(2 * 1 / (2 + 1))
    assert found["f1_person"] == found["f1_date"] == 0.0
    assert found["token_accuracy"] == pytest.approx(6 / 9)
    assert list(found)[0] == "span_f1"


def test_a_type_that_is_only_predicted_has_no_f1_but_counts_overall():
    found = values_of([[1, 3]], [[1, 0]])
    assert found["span_f1"] == pytest.approx(2 / 3)
    assert "f1_person" not in found and found["f1_place"] == 1.0


def test_tokens_without_a_label_count_nowhere():
    labels = [[IGNORED, 1, 2, IGNORED], [IGNORED, IGNORED]]
    found = values_of([[3, 1, 2, 2], [1, 1]], labels)
    assert found["span_f1"] == found["token_accuracy"] == 1.0
    found = values_of([[3, 1, 0, 2], [1, 1]], labels)
    assert (found["span_f1"], found["token_accuracy"]) == (0.0, 0.5)


def test_labels_may_be_padded_at_the_end_but_not_short():
    assert values_of([[1, 2]], [[1, 2, IGNORED, IGNORED]])["span_f1"] == 1.0
    for wrong in ([1, 2, 0], [1]):
        with pytest.raises(CompanionError, match=r"predictions and labels: got 2 predicted and"):
            values_of([[1, 2]], [wrong])
    with pytest.raises(CompanionError, match="classes of spans"):
        evaluation.count_spans([torch.tensor([0])], [torch.tensor([0])], ("O", "place"))


# --- scores ------------------------------------------------------------------------------------


def test_scores_have_the_interval_of_a_ratio_of_sums():
    predictions, labels = random_pairs(7, num=40)
    split = split_of(labels)
    found = evaluation.score(split, predictions)
    assert (found.metric, found.task) == ("span_f1", "spans")
    assert found.value == values_of(predictions, labels)["span_f1"]
    pairs = [(slow_spans(p), slow_spans(t)) for p, t in zip(predictions, labels, strict=True)]
    rng = np.random.default_rng(3)
    values = []
    for _ in range(4000):
        drawn = [pairs[i] for i in rng.integers(0, len(pairs), len(pairs))]
        both = sum(len(p) + len(t) for p, t in drawn)
        values.append(2 * sum(len(p & t) for p, t in drawn) / both)
    low, high = np.quantile(values, [0.025, 0.975])
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high), abs=0.015)
    assert found.interval.low < found.value < found.interval.high
    assert found.errors.tolist() == [i for i, (p, t) in enumerate(pairs) if p != t]


def test_groups_of_sentences_are_resampled_together_from_ten_on():
    predictions, labels = random_pairs(8, num=40)
    many = split_of(labels, groups=[f"page {i % 10}" for i in range(40)])
    few = split_of(labels, groups=[f"page {i % 9}" for i in range(40)])
    assert "10 groups" in evaluation.score(many, predictions).interval.method
    assert "40 items" in evaluation.score(few, predictions).interval.method


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    """Each sentence is right or wrong as a coin falls; the truth is the ratio of expectations."""
    rng = random.Random(0)
    covered = 0
    for _ in range(150):
        sentences = [([1], [1 if rng.random() < 0.7 else 3]) for _ in range(60)]
        split = split_of([t for t, _ in sentences])
        found = evaluation.score(split, [p for _, p in sentences]).interval
        covered += found.low <= 0.7 <= found.high
    assert 0.88 * 150 <= covered <= 150


def test_sentences_without_a_span_can_be_scored():
    split = split_of([[0, 0], [0]])
    found = evaluation.score(split, [[0, 0], [0]])
    assert (found.value, found.values["token_accuracy"]) == (0.0, 1.0)
    assert (found.interval.low, found.interval.high) == (0.0, 1.0)
    assert "no span in 2 sentences" in found.interval.method
    wrong = evaluation.score(split, [[1, 0], [0]])
    assert (wrong.value, wrong.interval.high) == (0.0, 0.0)
    with pytest.raises(CompanionError, match="evaluation: got no label"):
        evaluation.score(split_of([[IGNORED]]), [[0]])


def test_a_resample_without_a_span_is_no_mistake():
    split = split_of([[1, 0], [0, 0], [0, 0]])
    found = evaluation.score(split, [[1, 0], [0, 0], [0, 0]])
    assert (found.interval.low, found.interval.high) == (1.0, 1.0)
    with pytest.raises(
        CompanionError, match="denominators: got 0 to 0; expected at least 0, and some above"
    ):
        evaluation.bootstrap_interval([0, 0], [0, 0])


def test_a_prediction_of_none_is_refused_where_a_label_is():
    split = split_of([[1, 0], [0, IGNORED]])
    assert evaluation.score(split, [[1, 0], [0, IGNORED]]).value == 1.0
    with pytest.raises(CompanionError, match=r"predictions of 's/1': got -100 \(none\)"):
        evaluation.score(split, [[1, 0], [IGNORED, 0]])
    with pytest.raises(CompanionError, match=r"predictions: got label 7"):
        evaluation.score(split, [[1, 0], [7, 0]])


def test_parts_have_their_own_f1_and_parts_without_spans_come_last():
    labels = [[1, 0], [0, 0], [3, 4], [3, 0], [0, 0]]
    predictions = [[1, 0], [0, 0], [3, 0], [3, 0], [0, 0]]
    scores = evaluation.score(split_of(labels), predictions)
    found = evaluation.error_slices(scores, ["good", "empty", "half", "half", "also empty"])
    assert [row.name for row in found] == ["half", "good", "also empty", "empty"]
    assert [row.value for row in found[:2]] == [pytest.approx(2 / 4), 1.0]
    assert all(math.isnan(row.value) and row.interval is None for row in found[2:])
    assert [row.num_items for row in found] == [2, 1, 1, 1]
    names = ["empty", "good", "half", "half", "also empty"]  # the empty one first
    order = [4, 0, 2, 3, 1]
    moved = evaluation.score(split_of([labels[i] for i in order]), [predictions[i] for i in order])
    assert [row.value for row in evaluation.error_slices(moved, [names[i] for i in order])][
        :2
    ] == pytest.approx([0.5, 1.0])


def test_confusion_and_recalls_are_of_tokens():
    scores = evaluation.score(split_of([[1, 0, 0], [3, IGNORED]]), [[1, 0, 3], [1, 5]])
    counts = evaluation.confusion(scores)
    assert counts.sum() == 4
    assert (counts[1, 1], counts[0, 0], counts[0, 3], counts[3, 1]) == (1, 1, 1, 1)
    assert evaluation.class_recalls(scores)["O"] == 0.5


# --- models and studies --------------------------------------------------------------------------


def test_evaluate_gives_each_sentence_its_own_prediction(words):
    """Sentences are sorted by length to be run; predictions come back in the split's order."""
    train = words.splits.train
    head = build_head(words.backbone, train, seed=3)
    with torch.no_grad():
        head.linear.weight.mul_(20)
    model = Model(words.backbone, head, train.classes).eval()
    found = evaluation.predict(model, train, batch_size=7)
    assert len({len(row) for row in found.labels}) > 3
    for position in range(len(train)):
        alone = words.backbone.prepare(train.subset([position])).batch(torch.tensor([0]))
        with torch.no_grad():
            logits = model(alone.inputs, alone.mask)[0]
        assert found.labels[position].shape == (len(train.inputs[position]),)
        torch.testing.assert_close(found.logits[position], logits, atol=1e-5, rtol=1e-4)
        assert torch.equal(found.labels[position], found.logits[position].argmax(dim=1))
    scores = evaluation.evaluate(model, train)
    assert scores.values == evaluation.score(train, found.labels).values


def test_what_is_trained_finds_spans(words):
    recipe = Recipe(epochs=1, min_steps=120, batch_size=16, learning_rate=1e-2, patience=50)
    result = fit(words.backbone, words.splits, strategy="full", seed=0, recipe=recipe)
    majority = evaluation.majority_baseline(words.splits.train, words.splits.val)
    assert majority.value == 0.0
    assert result.scores.value > 0.3


def test_a_val_without_spans_does_not_end_a_training(words):
    train = words.splits.train
    empty = split_of([[0, 0], [0]], classes=train.classes)
    splits = dataclasses.replace(words.splits, val=empty)
    result = fit(words.backbone, splits, strategy="probe", recipe=Recipe(epochs=1, min_steps=3))
    assert result.scores.metric == "span_f1"


def test_a_study_of_spans_averages_intervals_and_comes_back(words, tmp_path):
    pool = words.splits.train
    splits = draw(pool, words.splits.test, words.splits.card, labels_per_class=10, seed=0)
    assert (len(splits.train), len(splits.val)) == (8, 2)
    study = compare(
        words.backbone,
        splits,
        strategies=["probe"],
        seeds=[0, 1],
        recipe=Recipe(epochs=1, min_steps=60, learning_rate=0.03),
        progress=False,
    )
    row = study.row("probe")
    assert 0 < row.mean < 1
    runs = [run for run in study.runs if run.strategy == "probe"]
    assert row.mean == pytest.approx(sum(run.test["span_f1"] for run in runs) / 2)
    ends = [[run.interval.low, run.interval.high] for run in runs]
    found = row.items_interval
    assert (found.low, found.high) == pytest.approx(tuple(np.mean(ends, axis=0)))
    begins = [torch.isin(row, torch.tensor([1, 3])) for row in opened(words, study).labels]
    assert study.items.sizes == tuple(int(row.sum()) for row in begins)
    again = load(save(study, tmp_path / "study")).row("probe")
    assert dataclasses.replace(again, seconds=row.seconds) == row


def opened(case, study):
    """The test split, within the study's reading."""
    return case.splits.test.open(study.reading)
