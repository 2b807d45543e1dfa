"""Scores, intervals, comparisons and calibration, against other libraries and slow rewrites."""

from __future__ import annotations

import dataclasses
import math
from functools import cache

import numpy as np
import pytest
import torch
from scipy import optimize, stats
from sklearn import metrics
from sklearn.dummy import DummyClassifier

from companion import evaluation
from companion.checks import CompanionError
from companion.evaluation import Interval
from companion.heads import Model, build_head
from companion.splits import Split, TestReadAgainWarning


def untrained(case):
    head = build_head(case.backbone, case.splits.train, seed=0)
    return Model(case.backbone, head, case.splits.train.classes)


def split_of(labels, *, classes=3, task="classification", groups=None, name="val"):
    """A split of which only the labels matter."""
    ids = tuple(f"item/{i}" for i in range(len(labels)))
    names = tuple(f"c{i}" for i in range(classes))
    inputs = [str(i) for i in range(len(labels))]
    return Split(name, inputs, labels, ids, names, groups=groups, task=task)


def random_classes(num_items=200, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (num_items,), generator=generator)
    guesses = torch.randint(0, classes, (num_items,), generator=generator)
    keep = torch.rand(num_items, generator=generator) < 0.6
    return labels, torch.where(keep, labels, guesses)


# --- intervals ---------------------------------------------------------------------------------


def test_t_interval_is_scipys():
    values = [0.91, 0.93, 0.90, 0.95, 0.92]
    found = evaluation.t_interval(values)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.level == 0.95
    assert "5 seeds" in found.method


def test_t_interval_moves_with_the_values_and_ignores_their_order():
    values = [0.1, 0.4, 0.2, 0.7]
    found, shifted = (evaluation.t_interval(v) for v in (values, [v + 1 for v in values]))
    assert (shifted.low, shifted.high) == pytest.approx((found.low + 1, found.high + 1))
    turned = evaluation.t_interval(values[::-1])
    assert (turned.low, turned.high) == pytest.approx((found.low, found.high))


def test_a_higher_level_gives_a_wider_interval():
    values = [0.1, 0.4, 0.2, 0.7]
    narrow, wide = (evaluation.t_interval(values, level=level) for level in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize(
    ("values", "message"),
    [([0.1], "at least 2 finite numbers"), ([0.1, math.nan], "a NaN"), ([[1.0, 2.0]], "shape")],
)
def test_t_interval_refuses_what_has_no_spread(values, message):
    with pytest.raises(CompanionError, match=message):
        evaluation.t_interval(values)


@pytest.mark.parametrize("level", [0.0, 1.0, 95])
def test_an_interval_needs_a_level_between_0_and_1(level):
    with pytest.raises(CompanionError, match="level"):
        evaluation.t_interval([0.1, 0.2], level=level)


@pytest.mark.parametrize(("right", "total"), [(0, 10), (10, 10), (7, 10), (790, 797)])
def test_wilson_is_scipys(right, total):
    found = evaluation.wilson_interval(right, total)
    wanted = stats.binomtest(right, total).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-12)


def test_wilson_refuses_more_right_than_there_are():
    with pytest.raises(CompanionError, match="at most 3"):
        evaluation.wilson_interval(4, 3)


def slow_bootstrap(above, below, num_resamples, seed):
    """Draw item by item, in plain loops, from the same random numbers."""
    drawn = np.random.default_rng(seed).integers(0, len(above), (num_resamples, len(above)))
    ratios = [sum(above[i] for i in row) / sum(below[i] for i in row) for row in drawn]
    return np.quantile(ratios, [0.025, 0.975])


def test_bootstrap_is_a_slow_rewrite():
    rng = np.random.default_rng(1)
    below = rng.integers(1, 9, 40)
    above = rng.binomial(below, 0.7)
    found = evaluation.bootstrap_interval(above, below, seed=3, num_resamples=300)
    assert (found.low, found.high) == pytest.approx(slow_bootstrap(above, below, 300, 3))


def test_bootstrap_of_many_items_is_near_the_normal_interval():
    correct = np.arange(2000) % 10 < 8
    found = evaluation.bootstrap_interval(correct)
    half = 1.96 * math.sqrt(0.8 * 0.2 / 2000)
    assert (found.low, found.high) == pytest.approx((0.8 - half, 0.8 + half), abs=0.003)
    assert 0.8 in found
    assert 0.9 not in found


def test_bootstrap_in_pieces_is_reproducible_and_depends_on_the_seed():
    correct = np.arange(3000) % 3 == 0
    first, again, other = (evaluation.bootstrap_interval(correct, seed=s) for s in (0, 0, 1))
    assert first == again
    assert first != other


def test_bootstrap_over_groups_is_wider_where_groups_differ():
    groups = np.repeat(np.arange(20), 30).tolist()
    correct = np.repeat(np.arange(20) % 2, 30)
    items = evaluation.bootstrap_interval(correct)
    grouped = evaluation.bootstrap_interval(correct, groups=groups)
    assert grouped.high - grouped.low > 3 * (items.high - items.low)
    assert grouped.method == "bootstrap over 20 groups"


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([],), {}, "at least 1 finite"),
        (([1, 0], [1]), {}, "2 and 1"),
        (([1.0] * 30,), {"groups": [i % 9 for i in range(30)]}, "got 9 groups; expected at least"),
        (([1.0] * 3,), {"groups": [0]}, "1 and 3"),
        (([1.0],), {"num_resamples": 0}, "num_resamples"),
    ],
)
def test_bootstrap_refuses(arguments, options, message):
    with pytest.raises(CompanionError, match=message):
        evaluation.bootstrap_interval(*arguments, **options)


def test_groups_may_stand_in_a_list_an_array_or_a_tensor():
    correct, groups = [0, 1] * 12, torch.arange(12).repeat(2)
    intervals = [
        evaluation.bootstrap_interval(correct, groups=each, num_resamples=200)
        for each in (groups, groups.numpy(), groups.tolist(), [f"p{g}" for g in groups.tolist()])
    ]
    assert all(interval == intervals[0] for interval in intervals)
    assert intervals[0].method == "bootstrap over 12 groups"


@pytest.mark.parametrize("groups", [3, torch.arange(12)[:, None], [[i] for i in range(12)]])
def test_groups_are_one_name_an_item(groups):
    with pytest.raises(CompanionError, match=r"groups: got .*; expected one name or number an ite"):
        evaluation.bootstrap_interval([0, 1] * 6, groups=groups)


@pytest.mark.parametrize("denominators", [[0, 0], [-1, 2]])
def test_denominators_are_counts(denominators):
    with pytest.raises(CompanionError, match="denominators: got .*; expected at least 0"):
        evaluation.bootstrap_interval([1, 1], denominators)


def test_values_are_numbers_and_may_come_with_a_gradient():
    with pytest.raises(CompanionError, match=r"values: got \['a', 'b'\]; expected a row"):
        evaluation.t_interval(["a", "b"])
    values = torch.tensor([0.5, 0.7, 0.6])
    assert evaluation.t_interval(values.requires_grad_()) == evaluation.t_interval(values.tolist())


# --- comparisons -------------------------------------------------------------------------------


def test_paired_comparison_is_scipys_paired_t_test():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.9, 0.02, 8), rng.normal(0.88, 0.02, 8)
    found = evaluation.paired_comparison(a, b)
    wanted = stats.ttest_rel(a, b)
    interval = wanted.confidence_interval(0.95)
    assert found.p_value == pytest.approx(wanted.pvalue)
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(interval))
    assert found.mean_difference == pytest.approx((a - b).mean())
    assert found.num_pairs == 8


def test_the_other_way_round_has_the_other_sign_and_the_same_p_value():
    a, b = [0.9, 0.8, 0.95, 0.91, 0.87], [0.7, 0.75, 0.8, 0.79, 0.81]
    there, back = evaluation.paired_comparison(a, b), evaluation.paired_comparison(b, a)
    assert there.mean_difference == pytest.approx(-back.mean_difference)
    assert there.p_value == pytest.approx(back.p_value)
    assert there.claim
    assert back.claim


def test_four_seeds_are_points_and_claim_nothing_five_may():
    a, b = [0.9, 0.91, 0.92, 0.95, 0.93], [0.5, 0.52, 0.51, 0.53, 0.5]
    four, five = evaluation.paired_comparison(a[:4], b[:4]), evaluation.paired_comparison(a, b)
    assert (four.interval, four.p_value, four.claim) == (None, None, False)
    assert "points only" in str(four)
    assert five.claim
    assert "5 seeds" in str(five)


def test_differences_that_never_vary_claim_nothing():
    found = evaluation.paired_comparison([0.9] * 6, [0.8] * 6)
    assert found.mean_difference == pytest.approx(0.1)
    assert (found.interval, found.claim) == (None, False)


def test_a_small_difference_is_no_claim():
    found = evaluation.paired_comparison([0.9, 0.8, 0.85, 0.9, 0.7], [0.88, 0.84, 0.8, 0.9, 0.71])
    assert found.interval is not None
    assert not found.claim


def test_the_corrected_p_value_decides_where_there_is_one():
    a, b = [0.9, 0.91, 0.92, 0.95, 0.93], [0.85, 0.9, 0.9, 0.9, 0.9]
    found = evaluation.paired_comparison(a, b)
    assert found.claim
    assert not dataclasses.replace(found, adjusted_p_value=0.06).claim
    assert "Holm" in str(dataclasses.replace(found, adjusted_p_value=0.06))


def test_comparing_needs_pairs():
    with pytest.raises(CompanionError, match="got 2 and 1"):
        evaluation.paired_comparison([0.1, 0.2], [0.1])


def slow_holm(p_values):
    """Holm's rule as his paper states it, for each rejection level in turn."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = {}
    for rank, position in enumerate(order):
        candidates = [(len(p_values) - r) * p_values[order[r]] for r in range(rank + 1)]
        adjusted[position] = min(1.0, max(candidates))
    return [adjusted[i] for i in range(len(p_values))]


def test_holm_is_a_slow_rewrite_and_permutes_with_its_input():
    p_values = [0.2, 0.001, 0.04, 0.03, 0.5, 0.012]
    found = evaluation.holm(p_values)
    assert found == pytest.approx(slow_holm(p_values))
    assert evaluation.holm(p_values[::-1]) == pytest.approx(found[::-1])
    assert evaluation.holm([]) == []
    assert evaluation.holm([0.03]) == [0.03]


def test_holm_refuses_what_is_no_p_value():
    with pytest.raises(CompanionError, match="p-value"):
        evaluation.holm([1.2])


def test_spearman_is_scipys_and_needs_twelve_sources():
    rng = np.random.default_rng(0)
    a = rng.normal(size=15)
    b = a + rng.normal(size=15)
    found = evaluation.spearman(a, b)
    wanted = stats.spearmanr(a, b)
    assert (found.coefficient, found.p_value) == pytest.approx((wanted.statistic, wanted.pvalue))
    assert evaluation.spearman(np.exp(a), b).coefficient == pytest.approx(found.coefficient)
    with pytest.raises(CompanionError, match="got 11 sources; expected at least 12"):
        evaluation.spearman(a[:11], b[:11])
    with pytest.raises(CompanionError, match="all alike"):
        evaluation.spearman([1.0] * 12, b[:12])


# --- metrics -----------------------------------------------------------------------------------


def test_class_metrics_are_scikit_learns():
    labels, predictions = random_classes()
    scores = evaluation.score(split_of(labels), predictions)
    assert scores.accuracy == pytest.approx(metrics.accuracy_score(labels, predictions))
    assert scores.values["macro_f1"] == pytest.approx(
        metrics.f1_score(labels, predictions, average="macro")
    )
    assert scores.values["balanced_accuracy"] == pytest.approx(
        metrics.balanced_accuracy_score(labels, predictions)
    )
    recalls = metrics.recall_score(labels, predictions, average=None)
    assert list(evaluation.class_recalls(scores).values()) == pytest.approx(recalls.tolist())
    assert (
        evaluation.confusion(scores).tolist()
        == metrics.confusion_matrix(labels, predictions).tolist()
    )
    assert "auc" not in scores.values
    assert scores.errors.tolist() == [i for i in range(200) if labels[i] != predictions[i]]


def test_metrics_do_not_depend_on_the_order_of_the_items():
    labels, predictions = random_classes()
    order = torch.randperm(200, generator=torch.Generator().manual_seed(1))
    first = evaluation.score(split_of(labels), predictions)
    second = evaluation.score(split_of(labels[order]), predictions[order])
    assert first.values == pytest.approx(second.values)


def test_auc_of_two_classes_is_scikit_learns_and_nan_without_both():
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.rand(50, 2, generator=generator).softmax(dim=1)
    labels = torch.arange(50) % 2
    split = split_of(labels, classes=2)
    found = evaluation.score(split, probabilities.argmax(1), probabilities=probabilities)
    assert found.values["auc"] == pytest.approx(metrics.roc_auc_score(labels, probabilities[:, 1]))
    alone = split_of(torch.zeros(50, dtype=torch.long), classes=2)
    lonely = evaluation.score(alone, probabilities.argmax(1), probabilities=probabilities)
    assert math.isnan(lonely.values["auc"])


def test_a_class_without_items_has_no_recall():
    labels, predictions = torch.tensor([0, 0, 1]), torch.tensor([0, 2, 1])
    scores = evaluation.score(split_of(labels), predictions)
    recalls = evaluation.class_recalls(scores)
    assert (recalls["c0"], recalls["c1"]) == (0.5, 1.0)
    assert math.isnan(recalls["c2"])
    assert scores.values["balanced_accuracy"] == pytest.approx(0.75)


def test_tokens_without_label_count_nowhere():
    labels = [torch.tensor([-100, 0, 1, 2]), torch.tensor([1, -100])]
    predictions = [torch.tensor([2, 0, 1, 1]), torch.tensor([1, 0])]
    scores = evaluation.score(split_of(labels, task="tokens"), predictions)
    assert scores.accuracy == pytest.approx(3 / 4)
    assert int(evaluation.confusion(scores).sum()) == 4
    errors, sizes = evaluation.item_errors("tokens", predictions, labels)
    assert (errors.tolist(), sizes.tolist()) == ([1, 0], [3, 1])


def test_padding_behind_the_predictions_counts_nowhere_either():
    padded = [torch.tensor([0, 1, -100, -100])]
    errors, sizes = evaluation.item_errors("tokens", [torch.tensor([0, 2])], padded)
    assert (errors.tolist(), sizes.tolist()) == ([1], [2])


@cache
def slow_distance(first, second):
    """Wagner and Fischer's recursion as it is written down."""
    if not first or not second:
        return len(first) + len(second)
    return min(
        slow_distance(first[1:], second) + 1,
        slow_distance(first, second[1:]) + 1,
        slow_distance(first[1:], second[1:]) + (first[0] != second[0]),
    )


def test_edit_distance_is_the_recursion_and_a_metric():
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("ab c"), rng.integers(0, 7))) for _ in range(25)]
    for a, b in zip(words, words[1:], strict=False):
        assert evaluation.edit_distance(a, b) == slow_distance(a, b)
        assert evaluation.edit_distance(a, b) == evaluation.edit_distance(b, a)
    assert evaluation.edit_distance("abc", "abc") == 0
    assert evaluation.edit_distance([], [1, 2]) == 2


def test_character_and_word_error_rates_sum_edits_before_dividing():
    classes = ("-", " ", "a", "b")
    ids = {letter: number for number, letter in enumerate(classes)}
    texts = [("ab ab", "ab aa"), ("b", "")]
    labels = [torch.tensor([ids[c] for c in truth]) for truth, _ in texts]
    predictions = [torch.tensor([ids[c] for c in said], dtype=torch.long) for _, said in texts]
    split = dataclasses.replace(split_of(labels, classes=4, task="ctc"), classes=classes)
    scores = evaluation.score(split, predictions)
    assert scores.metric == "cer"
    assert scores.value == pytest.approx((1 + 1) / (5 + 1))
    assert scores.values["wer"] == pytest.approx((1 + 1) / (2 + 1))
    with pytest.raises(CompanionError, match="use scores.value"):
        _ = scores.accuracy


@pytest.mark.parametrize(
    ("task", "predictions", "labels", "message"),
    [
        ("classification", torch.zeros(3), torch.zeros(2), "3 predictions and 2 labels"),
        ("classification", torch.zeros(2, 2), torch.zeros(2), "shapes"),
        ("tokens", [torch.zeros(3)], [torch.zeros(2)], "3 predicted and 2 labelled tokens"),
        ("pixels", [], [], "classification"),
    ],
)
def test_errors_of_items_need_predictions_that_fit(task, predictions, labels, message):
    with pytest.raises(CompanionError, match=message):
        evaluation.item_errors(task, predictions, labels)


def test_nothing_to_score_is_an_error():
    nothing = split_of([torch.tensor([-100])], task="tokens")
    with pytest.raises(CompanionError, match="no label"):
        evaluation.score(nothing, [torch.tensor([0])])


def test_main_metric_of_each_task():
    tasks = ("classification", "tokens", "ctc", "detection")
    found = [evaluation.main_metric(task) for task in tasks]
    assert found == ["accuracy", "accuracy", "cer", "map50"]
    with pytest.raises(CompanionError, match="task"):
        evaluation.main_metric("segmentation")


# --- the interval of scores --------------------------------------------------------------------


def test_items_all_right_have_an_interval_with_some_width():
    labels = torch.arange(30) % 3
    found = evaluation.score(split_of(labels), labels).interval
    assert found == evaluation.wilson_interval(30, 30)
    assert found.low < 0.95


@pytest.mark.parametrize("kind", [list, np.asarray, torch.tensor])
def test_predictions_may_come_as_a_list_or_an_array(kind):
    labels, predictions = random_classes(30)
    found = evaluation.score(split_of(labels), kind(predictions.tolist()))
    assert found.values == evaluation.score(split_of(labels), predictions).values


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ([0, 1, 3], r"predictions: got label 3; expected 0\.\.2 for 3 classes"),
        ([0, 1, -1], r"predictions: got label -1"),
        ([0.0, 1.0, 2.0], r"predictions: got torch.float32.*class ids"),
        (["a", "b", "c"], r"predictions: got \['a', 'b', 'c'\], list; expected class ids"),
        ([0, 1], "got 2 predictions and 3 labels"),
    ],
)
def test_predictions_that_are_no_class_ids_are_refused(predictions, message):
    with pytest.raises(CompanionError, match=message):
        evaluation.score(split_of(torch.tensor([0, 1, 2])), predictions)


def test_ten_groups_are_resampled_and_nine_are_not():
    labels, predictions = random_classes(180)
    ten = split_of(labels, groups=tuple(i % 10 for i in range(180)))
    nine = split_of(labels, groups=tuple(i % 9 for i in range(180)))
    assert evaluation.score(ten, predictions).interval.method == "bootstrap over 10 groups"
    assert evaluation.score(nine, predictions).interval.method == "bootstrap over 180 items"


# --- evaluate and predict ----------------------------------------------------------------------


def slow_predictions(model, split):
    """One item at a time, in evaluation mode."""
    source = model.backbone.prepare(split)
    model.eval()
    rows = []
    with torch.no_grad():
        for position in range(len(split)):
            batch = source.batch(torch.tensor([position]))
            logits = model(batch.inputs, batch.mask)
            mask = model.backbone.feature_mask(batch.mask)
            rows.append((logits[0], model.head.predict(logits, mask)[0]))
    return rows


def test_predictions_are_those_of_one_item_at_a_time(case):
    model = untrained(case)
    # The convolutions of the tiny audio network look past the end of a clip into its padding.
    batch_size = 1 if case.splits.train.task == "ctc" else 7
    found = evaluation.predict(model, case.splits.train, batch_size=batch_size)
    for position, (logits, label) in enumerate(slow_predictions(model, case.splits.train)):
        if case.splits.train.task == "detection":
            torch.testing.assert_close(found.labels[position], label, atol=1e-4, rtol=1e-4)
            continue
        assert torch.equal(found.labels[position], label)
        torch.testing.assert_close(found.logits[position], logits, atol=1e-4, rtol=1e-4)


def test_evaluating_leaves_model_and_modes_as_they_were(case):
    model = untrained(case)
    model.train()
    model.backbone.encoder.eval()
    before = evaluation.weights_fingerprint(model)
    modes = [module.training for module in model.modules()]
    first = evaluation.evaluate(model, case.splits.train)
    assert [module.training for module in model.modules()] == modes
    assert evaluation.weights_fingerprint(model) == before
    assert evaluation.evaluate(model, case.splits.train).values == first.values


def test_a_model_that_is_still_in_training_mode_is_judged_in_evaluation_mode(case):
    model = untrained(case)
    wanted = evaluation.predict(model, case.splits.train)
    model.train()
    before = evaluation.weights_fingerprint(model)
    found = evaluation.predict(model, case.splits.train)
    for logits, others in zip(found.logits, wanted.logits, strict=True):
        assert torch.equal(logits, others)
    assert evaluation.weights_fingerprint(model) == before
    assert all(module.training for module in model.modules())


def test_the_same_model_again_is_the_same_reading_and_another_one_warns(images):
    model = untrained(images)
    test = images.splits.test
    first = evaluation.evaluate(model, test)
    assert evaluation.evaluate(model, test, batch_size=3).values == first.values
    assert test.num_readings == 1
    assert first.split == "test"
    with torch.no_grad():
        model.head.linear.bias[0] += 1
    with pytest.warns(TestReadAgainWarning, match="was read before"):
        evaluation.evaluate(model, test)
    assert test.num_readings == 2


def test_a_named_reading_covers_several_models(images):
    model = untrained(images)
    evaluation.evaluate(model, images.splits.test, reading="one")
    with torch.no_grad():
        model.head.linear.bias[0] += 1
    evaluation.evaluate(model, images.splits.test, reading="one")
    assert images.splits.test.readings == ("one",)


def test_classes_must_be_the_models(images):
    model = untrained(images)
    model.classes = ("up", "middle", "right")
    with pytest.raises(CompanionError, match="expected the model's 3: 'up'"):
        evaluation.evaluate(model, images.splits.val)


def test_an_empty_split_and_a_batch_of_nothing_are_refused(images):
    model = untrained(images)
    with pytest.raises(CompanionError, match="evaluate on at least one item"):
        evaluation.predict(model, images.splits.train.subset([]))
    with pytest.raises(CompanionError, match="batch_size"):
        evaluation.predict(model, images.splits.train, batch_size=0)


def test_scores_say_in_one_line_what_they_are(images):
    text = repr(evaluation.evaluate(untrained(images), images.splits.val))
    assert text.startswith("Scores(val, 6 items: accuracy=")
    assert "95% of the accuracy [" in text


# --- baselines and slices ----------------------------------------------------------------------


def test_the_constant_answer_is_scikit_learns_dummy():
    train, _ = random_classes(31, seed=4)
    labels, _ = random_classes(60, seed=5)
    found = evaluation.majority_baseline(split_of(train, name="train"), split_of(labels))
    dummy = DummyClassifier(strategy="most_frequent").fit(np.zeros((31, 1)), train)
    wanted = dummy.score(np.zeros((60, 1)), labels)
    assert found.accuracy == pytest.approx(wanted)
    assert len(set(found.predictions.tolist())) == 1


def test_the_constant_answer_for_sequences():
    tokens = split_of([torch.tensor([2, 2, -100]), torch.tensor([1])], task="tokens")
    assert evaluation.majority_baseline(tokens, tokens).accuracy == pytest.approx(2 / 3)
    ctc = split_of([torch.tensor([2, 2]), torch.tensor([1])], task="ctc")
    assert evaluation.majority_baseline(ctc, ctc).value == 1.0


def test_the_constant_answer_reads_test_like_any_other(images):
    evaluation.majority_baseline(images.splits.train, images.splits.test, reading="here")
    assert images.splits.test.readings == ("here",)
    with pytest.raises(CompanionError, match="constant answer"):
        evaluation.majority_baseline(images.splits.train.subset([]), images.splits.val)


def test_slices_come_worst_first_with_wilson_intervals():
    labels, predictions = torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([0, 0, 1, 0, 0, 1])
    scores = evaluation.score(split_of(labels), predictions)
    found = evaluation.error_slices(scores, ["a", "a", "b", "b", "c", "c"])
    assert [(row.name, row.value) for row in found] == [("c", 0.0), ("b", 0.5), ("a", 1.0)]
    assert found[1].interval == evaluation.wilson_interval(1, 2)
    with pytest.raises(CompanionError, match="6, one an item"):
        evaluation.error_slices(scores, ["a"])


def test_slices_of_error_rates_come_worst_first_too():
    labels = [torch.tensor([1, 2]), torch.tensor([1])]
    scores = evaluation.score(split_of(labels, task="ctc"), [torch.tensor([1, 2]), labels[0]])
    assert [row.name for row in evaluation.error_slices(scores, ["short", "long"])] == [
        "long",
        "short",
    ]


# --- calibration -------------------------------------------------------------------------------


def slow_calibration_error(probabilities, labels, num_bins):
    """Guo's equation 3 in loops: bins ((m-1)/M, m/M]."""
    total, error = len(labels), 0.0
    for number in range(1, num_bins + 1):
        held = [
            i
            for i in range(total)
            if (number - 1) / num_bins < max(probabilities[i]) <= number / num_bins
        ]
        if held:
            right = sum(int(np.argmax(probabilities[i]) == labels[i]) for i in held) / len(held)
            sure = sum(max(probabilities[i]) for i in held) / len(held)
            error += len(held) / total * abs(right - sure)
    return error


@pytest.mark.parametrize("num_bins", [1, 5, 15])
def test_calibration_error_is_a_slow_rewrite(num_bins):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(200, 4, generator=generator, dtype=torch.float64)
    probabilities = (2 * logits).softmax(dim=1)
    labels = torch.randint(0, 4, (200,), generator=generator)
    found = evaluation.expected_calibration_error(probabilities, labels, num_bins=num_bins)
    wanted = slow_calibration_error(probabilities.tolist(), labels.tolist(), num_bins)
    assert found == pytest.approx(wanted, abs=1e-6)


def test_certainty_that_is_right_is_calibrated_and_wrong_certainty_is_not():
    probabilities = torch.eye(2)[torch.tensor([0, 1, 1])]
    assert evaluation.expected_calibration_error(probabilities, torch.tensor([0, 1, 1])) == 0
    assert evaluation.expected_calibration_error(probabilities, torch.tensor([1, 0, 0])) == 1


def test_bins_hold_every_item_once_and_empty_ones_say_so():
    rows = [[1.0, 0.0], [0.6, 0.4], [0.5, 0.5]]
    probabilities = torch.tensor(rows, dtype=torch.float64)
    bins = evaluation.reliability_bins(probabilities, torch.tensor([0, 1, 0]), num_bins=10)
    assert [row.num_items for row in bins] == [0, 0, 0, 0, 1, 1, 0, 0, 0, 1]
    assert math.isnan(bins[0].accuracy)
    assert (bins[-1].confidence, bins[-1].accuracy) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        (torch.randn(4, 3), torch.zeros(4), "apply softmax"),
        (torch.ones(4, 1), torch.zeros(3), "shapes"),
        (torch.ones(0, 1), torch.zeros(0), "at least one item"),
    ],
)
def test_calibration_refuses_what_is_no_probability(probabilities, labels, message):
    with pytest.raises(CompanionError, match=message):
        evaluation.expected_calibration_error(probabilities, labels)


def drawn_from(temperature, *, num_items=400, seed=0):
    """Return logits, and labels drawn from their probabilities at a temperature."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(num_items, 4, generator=generator, dtype=torch.float64)
    probabilities = (logits / temperature).softmax(dim=1)
    return logits, torch.multinomial(probabilities, 1, generator=generator)[:, 0]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_temperature_is_the_minimum_that_scipy_finds(temperature):
    logits, labels = drawn_from(temperature)
    rows = logits.numpy()

    def loss(log_temperature):
        scaled = rows / np.exp(log_temperature)
        largest = scaled.max(axis=1)
        total = np.log(np.exp(scaled - largest[:, None]).sum(axis=1)) + largest
        return (total - scaled[np.arange(len(rows)), labels.numpy()]).mean()

    wanted = optimize.minimize_scalar(loss, bounds=(-3, 3), method="bounded").x
    found = evaluation.fit_temperature(logits, labels)
    assert math.log(found) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_that_drew_the_labels_is_found_again(temperature):
    logits, labels = drawn_from(temperature, num_items=20_000)
    assert evaluation.fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.06)


def test_logits_twice_as_large_have_twice_the_temperature_and_the_same_probabilities():
    logits, labels = drawn_from(1.5)
    once, twice = (evaluation.fit_temperature(factor * logits, labels) for factor in (1, 2))
    assert twice == pytest.approx(2 * once, rel=1e-9)
    scaled = evaluation.scale_logits(2 * logits, temperature=twice)
    assert torch.allclose(scaled, evaluation.scale_logits(logits, temperature=once))


def test_a_temperature_changes_confidence_and_no_prediction():
    logits, _ = drawn_from(1.0)
    cool, warm = (evaluation.scale_logits(logits, temperature=t) for t in (0.5, 2.0))
    assert torch.equal(cool.argmax(dim=1), warm.argmax(dim=1))
    assert bool((cool.softmax(1).amax(1) > warm.softmax(1).amax(1)).all())
    assert torch.allclose(warm, logits / 2)


def test_a_loss_without_a_minimum_gives_the_end_of_the_range():
    logits, labels = torch.eye(3), torch.arange(3)
    assert evaluation.fit_temperature(logits, labels) == 0.01
    assert evaluation.fit_temperature(-logits, labels) == 100


@pytest.mark.parametrize("temperature", [0, -1.0, math.nan, math.inf])
def test_a_temperature_that_is_not_above_zero_is_refused(temperature):
    with pytest.raises(CompanionError, match="temperature"):
        evaluation.scale_logits(torch.zeros(2, 3), temperature=temperature)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (torch.zeros(4), torch.zeros(4, dtype=torch.long), "items, classes"),
        (torch.zeros(4, 2), torch.zeros(3, dtype=torch.long), r"\(4, 2\) and \(3,\)"),
        (torch.zeros(0, 2), torch.zeros(0, dtype=torch.long), "at least one item"),
        (torch.full((1, 2), math.nan), torch.zeros(1, dtype=torch.long), "a NaN or an infinity"),
        (torch.zeros(2, 2), torch.tensor([0, 2]), r"class ids 0\.\.1"),
        (torch.zeros(2, 2), torch.tensor([-1, 0]), "as the columns"),
        (torch.zeros(2, 2), torch.zeros(2), "torch.float32"),
    ],
)
def test_a_temperature_is_fitted_to_logits_and_labels_only(logits, labels, message):
    with pytest.raises(CompanionError, match=message):
        evaluation.fit_temperature(logits, labels)


def test_an_interval_holds_its_ends():
    interval = Interval(0.2, 0.4)
    assert 0.2 in interval
    assert 0.4 in interval
    assert 0.41 not in interval
    assert "0.3" not in interval


def test_a_table_is_compared_with_its_baseline_and_corrected_together():
    generator = np.random.default_rng(0)
    values = {name: (shift + 0.1 * generator.random(8)).tolist() for name, shift in SHIFTS.items()}
    found = evaluation.compare_with_baseline(values, "base")
    assert list(found) == ["far", "near", "same"]
    raw = [stats.ttest_rel(values[name], values["base"]).pvalue for name in ("far", "near")]
    same = stats.ttest_rel(values["same"], values["base"]).pvalue
    assert [found[n].p_value for n in found] == pytest.approx([*raw, same])
    corrected = [pair.adjusted_p_value for pair in found.values()]
    assert corrected == pytest.approx(slow_holm([*raw, same]))
    assert found["far"].claim
    wide = evaluation.compare_with_baseline(values, "base", level=0.8)
    assert wide["far"].interval.level == 0.8
    assert found["far"].mean_difference == pytest.approx(
        np.mean(values["far"]) - np.mean(values["base"])
    )


SHIFTS = {"far": 0.5, "base": 0.1, "near": 0.13, "same": 0.1}


def test_comparisons_are_corrected_in_their_order():
    values = (0.04, None, 0.01)
    pairs = [evaluation.Paired(0.1, None, p, 5) for p in values]
    found = evaluation.correct_together(pairs)
    assert [pair.adjusted_p_value for pair in found] == [pytest.approx(0.04), None, 0.02]
    assert [pair.p_value for pair in found] == list(values)
    assert evaluation.correct_together([]) == []


def test_a_condition_without_a_test_takes_no_part_in_the_correction():
    base = [0.1, 0.2, 0.15, 0.3, 0.25]
    values = {
        "base": base,
        "shifted": [x + 0.1 for x in base],
        "other": [0.4, 0.3, 0.6, 0.5, 0.4],
    }
    found = evaluation.compare_with_baseline(values, "base")
    assert found["shifted"].adjusted_p_value is None
    assert not found["shifted"].claim
    assert found["other"].adjusted_p_value == pytest.approx(found["other"].p_value)


@pytest.mark.parametrize(
    ("values", "baseline", "message"),
    [
        ({"a": [0.1], "b": [0.2]}, "c", "baseline: got 'c'"),
        ({"a": [0.1]}, "a", "values: got"),
        ({"a": [0.1], "b": [0.2, 0.3]}, "a", "scores of 'a' and 'b'"),
        ({"a": [0.1], "b": [float("nan")]}, "a", "scores of 'b'"),
        ([[0.1], [0.2]], "a", "values: got"),
    ],
)
def test_tables_that_cannot_be_compared(values, baseline, message):
    with pytest.raises(CompanionError, match=message):
        evaluation.compare_with_baseline(values, baseline)


# --- detection ---------------------------------------------------------------------------------

LEFT, RIGHT = [0.0, 0.0, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9]
TABLE = [
    torch.tensor([[0, *LEFT], [1, *RIGHT]]),
    torch.tensor([[1, *LEFT]]),
    torch.zeros(0, 5),
    torch.tensor([[0, *RIGHT]]),
]
FOUND = [
    torch.tensor([[0, *LEFT, 0.9], [0, *RIGHT, 0.8], [1, *RIGHT, 0.3]]),  # one confused, one unsure
    torch.tensor([[1, *LEFT, 0.6]]),
    torch.tensor([[2, *LEFT, 0.7]]),  # nothing is there
    torch.zeros(0, 6),  # missed
]
"""Boxes of classes 0 and 1 among three, and detections of four images."""


def test_mistakes_of_boxes_are_those_wrongly_found_and_those_not_found():
    errors, sizes = evaluation.item_errors("detection", FOUND, TABLE)
    assert errors.tolist() == [1 + 1, 0, 1, 1]
    assert sizes.tolist() == evaluation.item_sizes("detection", TABLE).tolist() == [2, 1, 0, 1]
    with pytest.raises(CompanionError, match="got 3 predictions and 4 labels"):
        evaluation.item_errors("detection", FOUND[:3], TABLE)


def test_sizes_of_items_need_no_predictions():
    labels = torch.tensor([0, 2, 1])
    assert evaluation.item_sizes("classification", labels).tolist() == [1, 1, 1]
    rows = [torch.tensor([1, -100, 2]), torch.tensor([-100])]
    assert evaluation.item_sizes("tokens", rows).tolist() == [2, 0]
    assert evaluation.item_sizes("ctc", [torch.tensor([1, 2, 2])]).tolist() == [3]


def test_scores_of_boxes_by_hand():
    """Class 0: right at .9, wrong at .8, of two; class 1: right at .6 and at .3, of two.

    Read at 101 recalls, class 0 has precision 1 up to recall .5, so 51/101; class 1 has 1.
    """
    found = evaluation.score(split_of(TABLE, task="detection"), FOUND)
    assert (found.task, found.metric, found.probabilities) == ("detection", "map50", None)
    assert list(found.values) == ["map50", "map", "ap50_c0", "ap50_c1"]
    assert found.values["ap50_c0"] == pytest.approx(51 / 101)
    assert found.values["ap50_c1"] == pytest.approx(1)
    assert found.value == pytest.approx((51 / 101 + 1) / 2)
    assert found.values["map"] == pytest.approx(found.value), "all boxes fit exactly"
    assert found.errors.tolist() == [0, 2, 3]
    assert found.interval.low <= found.value <= found.interval.high
    with pytest.raises(
        CompanionError, match="accuracy: got the task 'detection'; expected .*map50"
    ):
        _ = found.accuracy


def test_the_constant_answer_of_detection_is_no_box():
    split = split_of(TABLE, task="detection")
    found = evaluation.majority_baseline(split, split)
    assert (found.value, [tuple(rows.shape) for rows in found.predictions]) == (0, [(0, 6)] * 4)


def test_images_without_any_box_cannot_be_scored():
    with pytest.raises(CompanionError, match="evaluation: got no label; expected at least one"):
        evaluation.score(split_of([torch.zeros(0, 5)], task="detection"), [torch.zeros(0, 6)])


def test_groups_of_images_are_resampled_where_there_are_enough():
    labels, found = TABLE * 6, FOUND * 6
    few = [n // 4 for n in range(24)]
    many = [n // 2 for n in range(24)]
    intervals = {
        name: evaluation.score(split_of(labels, task="detection", groups=groups), found).interval
        for name, groups in (("none", None), ("few", few), ("many", many))
    }
    ends = {name: (one.low, one.high) for name, one in intervals.items()}
    assert ends["few"] == ends["none"] != ends["many"]
