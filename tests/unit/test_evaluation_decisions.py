"""Thresholds, costs, prevalence and resampling, against scikit-learn and slow rewrites."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn import metrics

from companion import evaluation
from companion.checks import CompanionError
from companion.evaluation import Costs


def ranked(num_items=200, share=0.15, seed=0, decimals=2):
    """Scores with ties, of which the positive items have the higher ones on average."""
    generator = np.random.default_rng(seed)
    labels = (generator.random(num_items) < share).astype(int)
    scores = np.round(1 / (1 + np.exp(-generator.normal(2.0 * labels - 2.0, 1.2))), decimals)
    return scores, labels


def slow_rates(scores, labels, threshold):
    """Sensitivity and specificity, item by item."""
    found = [s >= threshold for s, y in zip(scores, labels, strict=True) if y == 1]
    left = [s < threshold for s, y in zip(scores, labels, strict=True) if y == 0]
    return sum(found) / len(found), sum(left) / len(left)


def slow_cost(scores, labels, threshold, costs):
    """Mean cost, item by item."""
    total = 0.0
    for score, label in zip(scores, labels, strict=True):
        if score >= threshold and label == 0:
            total += costs.false_positive
        if score < threshold and label == 1:
            total += costs.false_negative
    return total / len(labels)


def candidates(scores):
    return [*np.unique(scores), np.nextafter(scores.max(), np.inf)]


# --- rates -------------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.37, 0.9, 2.0])
def test_rates_are_scikit_learns_confusion(threshold):
    scores, labels = ranked()
    rates = evaluation.decision_rates(scores, labels, threshold=threshold)
    called = scores >= threshold
    tn, fp, fn, tp = metrics.confusion_matrix(labels, called, labels=[0, 1]).ravel()
    assert (rates.true_negatives, rates.false_positives) == (tn, fp)
    assert (rates.false_negatives, rates.true_positives) == (fn, tp)
    assert rates.sensitivity == pytest.approx(metrics.recall_score(labels, called))
    assert rates.specificity == pytest.approx(metrics.recall_score(labels, called, pos_label=0))
    assert rates.accuracy == pytest.approx(metrics.accuracy_score(labels, called))
    assert rates.prevalence == pytest.approx(labels.mean())
    if called.any():
        precision = metrics.precision_score(labels, called)
        assert rates.positive_predictive_value == pytest.approx(precision)
    else:
        assert math.isnan(rates.positive_predictive_value)
    if not called.all():
        negative = metrics.precision_score(labels, called, pos_label=0)
        assert rates.negative_predictive_value == pytest.approx(negative)
    else:
        assert math.isnan(rates.negative_predictive_value)


def test_an_item_at_the_threshold_is_called_positive():
    rates = evaluation.decision_rates([0.5, 0.5], [0, 1], threshold=0.5)
    assert (rates.sensitivity, rates.specificity) == (1.0, 0.0)


def test_lists_arrays_and_tensors_are_one():
    scores, labels = ranked(40)
    kinds = [(scores, labels), (scores.tolist(), labels.tolist())]
    kinds += [(torch.tensor(scores), torch.tensor(labels)), (scores, labels.astype(bool))]
    assert len({evaluation.decision_rates(s, y, threshold=0.3) for s, y in kinds}) == 1


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([0.1, 0.2], [0, 1, 1], "one finite score and one label an item"),
        ([0.1, math.nan], [0, 1], "a score that is not finite"),
        (np.ones((2, 2)), [0, 1], "pass the second column"),
        ([0.1, 0.2], [1, 1], "labels: got 1; expected items of both classes"),
        ([0.1, 0.2], [0, 2], "labels: got 0, 2; expected items of both classes"),
        ([0.1, 0.2], [-1, 1], r"got -1, 1"),
    ],
)
def test_rates_refuse_what_is_no_decision(scores, labels, message):
    with pytest.raises(CompanionError, match=message):
        evaluation.decision_rates(scores, labels, threshold=0.5)


# --- thresholds --------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [0.0, 0.5, 0.9, 0.95, 0.99, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_threshold_for_a_specificity_is_the_lowest_that_is_allowed(wanted, seed):
    scores, labels = ranked(seed=seed)
    found = evaluation.threshold_for_specificity(scores, labels, specificity=wanted)
    allowed = [t for t in candidates(scores) if slow_rates(scores, labels, t)[1] >= wanted - 1e-9]
    assert found == min(allowed)
    best = max(slow_rates(scores, labels, t)[0] for t in allowed)
    reached = evaluation.sensitivity_at_specificity(scores, labels, specificity=wanted)
    assert reached == pytest.approx(best)


def test_sensitivity_at_specificity_is_on_scikit_learns_roc():
    scores, labels = ranked(300)
    false_positive_rate, true_positive_rate, _ = metrics.roc_curve(
        labels, scores, drop_intermediate=False
    )
    for wanted in (0.8, 0.9, 0.95):
        best = true_positive_rate[1 - false_positive_rate >= wanted - 1e-9].max()
        found = evaluation.sensitivity_at_specificity(scores, labels, specificity=wanted)
        assert found == pytest.approx(best)


def test_where_nothing_may_be_called_the_threshold_is_above_all_scores():
    threshold = evaluation.threshold_for_specificity([0.2, 0.9], [1, 0], specificity=1.0)
    assert 0.9 < threshold < 0.9 + 1e-9


def test_nine_of_ten_negatives_are_nine_tenths_of_them():
    scores, labels = [0.1 * i for i in range(10)] + [0.95], [0] * 10 + [1]
    threshold = evaluation.threshold_for_specificity(scores, labels, specificity=0.9)
    assert threshold == scores[9]


def test_a_specificity_is_a_fraction():
    with pytest.raises(CompanionError, match="specificity: got 95"):
        evaluation.threshold_for_specificity([0.1, 0.9], [0, 1], specificity=95)


# --- rare positives ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_precision_recall_and_its_average_are_scikit_learns(seed):
    scores, labels = ranked(seed=seed)
    precision, recall, thresholds = evaluation.precision_recall(scores, labels)
    theirs = metrics.precision_recall_curve(labels, scores)
    np.testing.assert_allclose(precision[::-1], theirs[0][:-1])
    np.testing.assert_allclose(recall[::-1], theirs[1][:-1])
    np.testing.assert_allclose(thresholds[::-1], theirs[2])
    ours = evaluation.average_precision_score(scores, labels)
    assert ours == pytest.approx(metrics.average_precision_score(labels, scores))


def test_average_precision_of_equal_scores_is_the_prevalence():
    labels = [1] * 3 + [0] * 27
    assert evaluation.average_precision_score([0.5] * 30, labels) == pytest.approx(0.1)


def test_average_precision_sees_the_order_only():
    scores, labels = ranked()
    squeezed = evaluation.average_precision_score(scores**3, labels)
    assert squeezed == pytest.approx(evaluation.average_precision_score(scores, labels))


# --- costs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("costs", [Costs(1, 1), Costs(1, 20), Costs(7.5, 2)])
@pytest.mark.parametrize("seed", range(3))
def test_the_cheapest_threshold_is_that_of_a_search(costs, seed):
    scores, labels = ranked(seed=seed)
    found = evaluation.cheapest_threshold(scores, labels, costs=costs)
    table = {t: slow_cost(scores, labels, t, costs) for t in candidates(scores)}
    cheapest = min(table.values())
    assert found == min(t for t, cost in table.items() if cost <= cheapest + 1e-12)
    cost = evaluation.expected_cost(scores, labels, threshold=found, costs=costs)
    assert cost == pytest.approx(cheapest)


def test_the_threshold_from_costs_is_the_cheapest_for_true_probabilities():
    """Items drawn with the very probabilities that are their scores: theory and search agree."""
    generator = np.random.default_rng(0)
    scores = generator.random(200_000)
    labels = (generator.random(len(scores)) < scores).astype(int)
    costs = Costs(false_positive=1, false_negative=4)
    theory = evaluation.threshold_from_costs(costs)
    assert theory == pytest.approx(0.2)
    searched = evaluation.cheapest_threshold(scores, labels, costs=costs)
    assert searched == pytest.approx(theory, abs=0.03)
    at = [evaluation.expected_cost(scores, labels, threshold=t, costs=costs) for t in (0.2, 0.5)]
    assert at[0] < at[1]


def test_costs_only_count_by_their_ratio():
    scores, labels = ranked()
    low, high = Costs(1, 9), Costs(10, 90)
    assert evaluation.threshold_from_costs(low) == evaluation.threshold_from_costs(high) == 0.1
    first, second = (evaluation.cheapest_threshold(scores, labels, costs=c) for c in (low, high))
    assert first == second


@pytest.mark.parametrize("pair", [(0, 1), (1, -1), (1, math.inf), ("1", 1)])
def test_costs_are_above_0(pair):
    with pytest.raises(CompanionError, match="false_(positive|negative): got"):
        Costs(*pair)


# --- prevalence --------------------------------------------------------------------------------


def test_predictive_values_count_a_population():
    """A population of 100,000 in whole people: 200 ill, 0.9 and 0.95 of each group told right."""
    found = evaluation.predictive_values(sensitivity=0.9, specificity=0.95, prevalence=0.002)
    assert found.positive == pytest.approx(180 / (180 + 4990))
    assert found.negative == pytest.approx(94810 / (94810 + 20))


def test_predictive_values_agree_with_the_rates_where_the_prevalence_stays():
    scores, labels = ranked()
    rates = evaluation.decision_rates(scores, labels, threshold=0.3)
    found = evaluation.predictive_values(
        sensitivity=rates.sensitivity, specificity=rates.specificity, prevalence=rates.prevalence
    )
    assert found.positive == pytest.approx(rates.positive_predictive_value)
    assert found.negative == pytest.approx(rates.negative_predictive_value)


def test_a_test_that_calls_nothing_has_no_positive_predictive_value():
    found = evaluation.predictive_values(sensitivity=0.0, specificity=1.0, prevalence=0.3)
    assert math.isnan(found.positive)
    assert found.negative == pytest.approx(0.7)


@pytest.mark.parametrize("name", ["sensitivity", "specificity", "prevalence"])
def test_predictive_values_want_fractions(name):
    values = {"sensitivity": 0.9, "specificity": 0.9, "prevalence": 0.1} | {name: 90}
    with pytest.raises(CompanionError, match=f"{name}: got 90"):
        evaluation.predictive_values(**values)


def gaussian_posteriors(x, priors):
    """True class probabilities of two normal densities, means 0 and 1.5."""
    densities = torch.stack([-(x**2) / 2, -((x - 1.5) ** 2) / 2], dim=1).exp()
    weighted = densities * torch.tensor(priors, dtype=torch.float64)
    return weighted / weighted.sum(dim=1, keepdim=True)


def test_shifted_priors_are_bayes_rule():
    x = torch.linspace(-3, 4, 50, dtype=torch.float64)
    old, new = [0.5, 0.5], [0.98, 0.02]
    shifted = evaluation.shift_priors(
        gaussian_posteriors(x, old), old=torch.tensor(old), new=torch.tensor(new)
    )
    torch.testing.assert_close(shifted, gaussian_posteriors(x, new), atol=1e-6, rtol=0)


def test_shifted_priors_are_elkans_formula_for_two_classes():
    p, b, c = torch.rand(20, dtype=torch.float64), 0.3, 0.05
    elkan = c * (p - p * b) / (b - p * b + c * p - b * c)
    rows = torch.stack([1 - p, p], dim=1)
    found = evaluation.shift_priors(
        rows, old=torch.tensor([1 - b, b]), new=torch.tensor([1 - c, c])
    )
    torch.testing.assert_close(found[:, 1], elkan, atol=1e-6, rtol=0)


def test_shifting_there_and_back_changes_nothing():
    rows = torch.rand(10, 3).softmax(dim=1)
    old, new = torch.tensor([0.2, 0.3, 0.5]), torch.tensor([0.6, 0.3, 0.1])
    there = evaluation.shift_priors(rows, old=old, new=new)
    back = evaluation.shift_priors(there, old=new, new=old)
    torch.testing.assert_close(back, rows.double(), atol=1e-6, rtol=0)


def test_priors_are_estimated_without_labels():
    generator = torch.Generator().manual_seed(0)
    is_positive = torch.rand(20_000, generator=generator) < 0.1
    x = torch.randn(20_000, generator=generator).double() + 1.5 * is_positive
    posteriors = gaussian_posteriors(x, [0.5, 0.5])
    found = evaluation.estimate_priors(posteriors, old=torch.tensor([0.5, 0.5]))
    assert float(found[1]) == pytest.approx(0.1, abs=0.01)
    assert float(posteriors[:, 1].mean()) > 0.2  # what counting the probabilities would say


def test_priors_that_are_right_stay():
    """The fixed point of eq. 2.9: the mean of the shifted probabilities are the shares."""
    rows = torch.rand(500, 3, generator=torch.Generator().manual_seed(0)).mul(3).softmax(dim=1)
    old = torch.tensor([0.3, 0.3, 0.4])
    found = evaluation.estimate_priors(rows, old=old)
    again = evaluation.shift_priors(rows, old=old, new=found).mean(dim=0)
    torch.testing.assert_close(again, found, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("rows", "old", "message"),
    [
        (torch.ones(3, 2), [0.5, 0.5], "apply softmax"),
        (torch.rand(3), [0.5, 0.5], "apply softmax"),
        (torch.tensor([[-0.5, 1.5]]), [0.5, 0.5], "apply softmax"),
        (torch.full((3, 2), 0.5), [0.5, 0.6], "shares of the classes, old"),
        (torch.full((3, 2), 0.5), [1.0, 0.0], "the old ones above 0"),
        (torch.full((3, 2), 0.5), [0.2, 0.3, 0.5], "2 fractions of sum 1"),
    ],
)
def test_priors_refuse_what_is_no_probability(rows, old, message):
    with pytest.raises(CompanionError, match=message):
        evaluation.estimate_priors(rows, old=torch.tensor(old))


def test_new_shares_may_be_0_but_must_be_shares():
    rows = torch.full((2, 2), 0.5)
    old = torch.tensor([0.5, 0.5])
    shifted = evaluation.shift_priors(rows, old=old, new=torch.tensor([1.0, 0.0]))
    assert shifted.tolist() == [[1.0, 0.0]] * 2
    with pytest.raises(CompanionError, match="shares of the classes, new"):
        evaluation.shift_priors(rows, old=old, new=torch.tensor([0.9, 0.9]))


# --- resampling --------------------------------------------------------------------------------


def test_the_bootstrap_of_a_mean_is_that_of_the_ratio():
    values = np.random.default_rng(0).random(80)
    groups = [number % 20 for number in range(80)]
    for names in (None, groups):
        ratio = evaluation.bootstrap_interval(values, groups=names, num_resamples=4000)
        found = evaluation.bootstrap_statistic(
            lambda drawn: values[drawn].mean(), 80, groups=names, num_resamples=4000
        )
        assert (found.low, found.high) == pytest.approx((ratio.low, ratio.high), abs=0.01)
    assert found.method == "bootstrap over 20 groups"


def test_whole_patients_make_a_wider_interval():
    """Items of a patient are alike: forty patients are not four hundred items."""
    generator = np.random.default_rng(0)
    patients = np.repeat(np.arange(40), 10)
    right = (generator.random(40)[patients] > 0.4).astype(float)
    by_item, by_patient = (
        evaluation.bootstrap_statistic(lambda drawn: right[drawn].mean(), 400, groups=groups)
        for groups in (None, patients.tolist())
    )
    assert by_patient.high - by_patient.low > 2 * (by_item.high - by_item.low)


def test_resamples_without_a_positive_item_are_counted():
    labels = np.array([1] * 4 + [0] * 40)
    found = evaluation.bootstrap_statistic(
        lambda drawn: labels[drawn].mean() if labels[drawn].any() else math.nan, 44
    )
    assert "of 1000 resamples undefined" in found.method


def test_nearly_no_positive_item_is_no_interval():
    labels = np.array([1] + [0] * 40)
    with pytest.raises(CompanionError, match="undefined on .* collect more of the rare class"):
        evaluation.bootstrap_statistic(
            lambda drawn: 1.0 if labels[drawn].any() else math.nan, len(labels)
        )


def test_fewer_than_ten_patients_say_nothing_of_others():
    groups = [number % 9 for number in range(30)]
    with pytest.raises(CompanionError, match="got 9 groups; expected at least 10"):
        evaluation.bootstrap_statistic(lambda drawn: 0.0, 30, groups=groups)
    with pytest.raises(CompanionError, match="groups and items: got 30 and 31"):
        evaluation.bootstrap_statistic(lambda drawn: 0.0, 31, groups=groups)


def test_equal_seeds_draw_alike():
    values = np.random.default_rng(0).random(30)

    def interval(seed):
        return evaluation.bootstrap_statistic(
            lambda drawn: values[drawn].mean(), 30, seed=seed, num_resamples=50
        )

    assert interval(3) == interval(3)
    assert interval(3) != interval(4)


def test_groups_in_a_tensor_are_groups_and_not_items():
    with pytest.raises(CompanionError, match="got 2 groups"):
        evaluation.bootstrap_statistic(lambda drawn: 1.0, 20, groups=torch.arange(20) // 10)


def test_an_item_that_the_new_shares_leave_nothing_is_refused():
    probabilities = torch.tensor([[0.0, 1.0], [0.5, 0.5]])
    with pytest.raises(CompanionError, match="an item that no class with a new share allows"):
        evaluation.shift_priors(
            probabilities, old=torch.tensor([0.5, 0.5]), new=torch.tensor([1.0, 0.0])
        )


@pytest.mark.parametrize("threshold", [None, math.nan, np.float32("nan"), "0.5", True, [0.5]])
def test_a_threshold_is_a_number(threshold):
    scores, labels = [0.1, 0.9], [0, 1]
    with pytest.raises(CompanionError, match=r"threshold: got .*; expected a number"):
        evaluation.decision_rates(scores, labels, threshold=threshold)
    with pytest.raises(CompanionError, match=r"threshold: got .*; expected a number"):
        evaluation.expected_cost(scores, labels, threshold=threshold, costs=Costs(1, 1))


def test_infinite_thresholds_call_nothing_or_everything():
    scores, labels = [0.1, 0.9, 0.4], [0, 1, 0]
    rates = [evaluation.decision_rates(scores, labels, threshold=t) for t in (math.inf, -math.inf)]
    assert [(r.sensitivity, r.specificity) for r in rates] == [(0, 1), (1, 0)]
    of_tensor = evaluation.decision_rates(scores, labels, threshold=torch.tensor(0.5))
    assert (of_tensor.sensitivity, of_tensor.specificity, of_tensor.threshold) == (1, 1, 0.5)


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (["a", "b"], [0, 1], r"scores: got \['a', 'b'\]; expected one number an item"),
        ([0.1, 0.9], ["healthy", "ill"], "labels: got .*; expected one number an item"),
        ([[0.1], [0.2, 0.8]], [0, 1], "scores: got"),
    ],
)
def test_scores_and_labels_are_numbers(scores, labels, message):
    with pytest.raises(CompanionError, match=message):
        evaluation.decision_rates(scores, labels, threshold=0.5)


def test_costs_are_costs():
    for call in (
        evaluation.threshold_from_costs,
        lambda c: evaluation.expected_cost([0.1, 0.9], [0, 1], threshold=0.5, costs=c),
        lambda c: evaluation.cheapest_threshold([0.1, 0.9], [0, 1], costs=c),
    ):
        with pytest.raises(CompanionError, match=r"costs: got \(1, 9\), a tuple; expected a Costs"):
            call((1, 9))


@pytest.mark.parametrize("prevalence", ["x", None, math.nan])
def test_a_prevalence_is_a_number(prevalence):
    with pytest.raises(CompanionError, match="prevalence: got .*; expected a fraction"):
        evaluation.predictive_values(sensitivity=0.9, specificity=0.9, prevalence=prevalence)


def test_shares_and_probabilities_are_tensors():
    rows, even = torch.tensor([[0.3, 0.7]]), torch.tensor([0.5, 0.5])
    with pytest.raises(
        CompanionError, match=r"shares of the classes, old: got \[0.5, 0.5\], a list"
    ):
        evaluation.shift_priors(rows, old=[0.5, 0.5], new=even)
    with pytest.raises(CompanionError, match="shares of the classes, new: got .* a ndarray"):
        evaluation.shift_priors(rows, old=even, new=even.numpy())
    with pytest.raises(CompanionError, match="probabilities: got .* a list; expected a Tensor"):
        evaluation.estimate_priors(rows.tolist(), old=even)


@pytest.mark.parametrize("value", [math.inf, -math.inf, None, "high", np.ones(3)])
def test_a_statistic_is_a_finite_number(value):
    with pytest.raises(CompanionError, match=r"statistic: got .* on a resample; expected a finite"):
        evaluation.bootstrap_statistic(
            lambda drawn: value if drawn[0] == 0 else 1.0, 5, num_resamples=50
        )


def test_a_statistic_is_a_function():
    with pytest.raises(CompanionError, match="statistic: got 'median'; expected a function"):
        evaluation.bootstrap_statistic("median", 20)


def test_the_items_of_each_group_stay_together():
    """Groups in any order: what is drawn are whole groups, their items in order."""
    names = ["b", "a", "c", "a", "d", "e", "f", "g", "h", "i", "j", "b"]
    seen = []
    evaluation.bootstrap_statistic(
        lambda drawn: seen.append(drawn.tolist()) or 0.0, len(names), groups=names, num_resamples=20
    )
    for drawn in seen:
        for first, second in ((0, 11), (1, 3)):
            places = [place for place, item in enumerate(drawn) if item == first]
            assert all(drawn[place + 1] == second for place in places)
            assert drawn.count(second) == len(places)
