"""Scores of sources against slow rewrites, direct maximisation, scipy and scikit-learn."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy import optimize, stats
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LinearRegression

from companion import evaluation, transferability
from companion.checks import CompanionError
from companion.transferability import (
    domain_distance,
    h_score,
    leep,
    log_me,
    proxy_a_distance,
    rank_correlation,
)


def clouds(num_items=40, width=5, classes=3, separation=1.0, seed=0):
    """Features around one random centre a class, and the classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num_items) % classes
    centres = separation * rng.standard_normal((classes, width))
    return rng.standard_normal((num_items, width)) + centres[labels], labels


def predictions(num_items=30, source_classes=4, seed=0):
    """Rows of probabilities of a source that knows something of three classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num_items) % 3
    logits = rng.standard_normal((num_items, source_classes))
    logits[np.arange(num_items), labels] += 1.5
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), labels


def random_map(width, seed=0):
    return np.random.default_rng(seed).standard_normal((width, width)) + 2 * np.eye(width)


def rotation(width, seed=0):
    return np.linalg.qr(random_map(width, seed))[0]


SCORES = [
    pytest.param(lambda rows, labels: log_me(rows, labels), clouds, id="log_me"),
    pytest.param(lambda rows, labels: h_score(rows, labels), clouds, id="h_score"),
    pytest.param(
        lambda rows, labels: h_score(rows, labels, shrinkage=0.0), clouds, id="h_score_unshrunk"
    ),
    pytest.param(lambda rows, labels: leep(rows, labels), predictions, id="leep"),
]


# --- what all three scores share ---------------------------------------------------------------


@pytest.mark.parametrize(("score", "data"), SCORES)
def test_the_order_of_items_does_not_matter(score, data):
    rows, labels = data()
    order = np.random.default_rng(1).permutation(len(labels))
    assert score(rows[order], labels[order]) == pytest.approx(score(rows, labels), abs=1e-9)


@pytest.mark.parametrize(("score", "data"), SCORES)
def test_the_numbers_of_the_classes_do_not_matter(score, data):
    rows, labels = data()
    renamed = np.array([7, 0, 1000])[labels]
    assert score(rows, renamed) == pytest.approx(score(rows, labels), abs=1e-9)


@pytest.mark.parametrize(("score", "data"), SCORES)
def test_labels_that_belong_to_other_items_score_lower(score, data):
    rows, labels = data()
    shuffled = np.random.default_rng(3).permutation(labels)
    assert score(rows, shuffled) < score(rows, labels) - 0.05


@pytest.mark.parametrize(("score", "data"), SCORES)
def test_tensors_arrays_and_lists_are_the_same(score, data):
    rows, labels = data()
    wanted = score(rows, labels)
    learnt = torch.tensor(rows, requires_grad=True)
    assert score(learnt, torch.tensor(labels)) == wanted
    assert score(torch.tensor(rows).float(), labels) == pytest.approx(wanted, abs=1e-5)
    assert score(rows.tolist(), labels.tolist()) == wanted
    half = torch.tensor(rows).half()
    assert score(half, torch.tensor(labels)) == score(half.double(), labels)


def test_features_in_bfloat16_are_taken():
    features, labels = clouds()
    rounded = torch.tensor(features).bfloat16()
    assert log_me(rounded, labels) == log_me(rounded.double(), labels)


@pytest.mark.parametrize(("score", "data"), SCORES)
def test_nothing_is_written_into_the_arguments(score, data):
    rows, labels = data()
    before = rows.copy(), labels.copy()
    score(rows, labels)
    assert np.array_equal(rows, before[0])
    assert np.array_equal(labels, before[1])


def with_nan(rows, labels):
    rows = rows.copy()
    rows[4, 1] = math.nan
    return rows, labels


BAD_INPUT = {
    "different lengths": (lambda x, y: (x, y[:-1]), "and labels: got [0-9]+ and [0-9]+"),
    "one class": (lambda x, y: (x, y * 0), "labels: got 1 class; expected at least two"),
    "a class of one item": (
        lambda x, y: (x, np.where(np.arange(len(y)) == 5, 9, y)),
        "class 9: got 1 item; expected at least 2",
    ),
    "a NaN": (with_nan, "a NaN or an infinity in 1 of [0-9]+ rows.*look at row 4"),
    "an infinity": (lambda x, y: (x * np.inf, y), "a NaN or an infinity in [34]0 of"),
    "one dimension": (lambda x, y: (x[:, 0], y), r"got shape \([34]0,\); expected one row"),
    "positions": (lambda x, y: (x[:, :, None], y), "pool its positions"),
    "no width": (lambda x, y: (x[:, :0], y), r"got shape \([34]0, 0\)"),
    "no items": (lambda x, y: (x[:0], y[:0]), r"got shape \(0, "),
    "complex": (lambda x, y: (x * 1j, y), "array of real numbers"),
    "ragged rows": (lambda x, y: ([[0.0], [0.0, 1.0]], y), "stack rows of equal length"),
    "words": (lambda x, y: (x, ["cat"] * len(y)), "labels: got .*real numbers"),
    "float labels": (lambda x, y: (x, y / 1.0), "float64, smallest 0.0; expected class ids"),
    "columns of labels": (lambda x, y: (x, np.eye(3)[y]), r"labels: got shape \([34]0, 3\)"),
    "padding": (lambda x, y: (x, np.where(y == 1, -100, y)), "smallest -100; expected class"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
@pytest.mark.parametrize(("score", "data"), SCORES)
def test_a_score_refuses(score, data, case):
    change, message = BAD_INPUT[case]
    with pytest.raises(CompanionError, match=message):
        score(*change(*data()))


def test_the_public_names_are_these():
    assert set(transferability.__all__) == {
        "RankCorrelation",
        "h_score",
        "leep",
        "linear_cka",
        "log_me",
        "proxy_a_distance",
        "rank_correlation",
    }


# --- LogME -------------------------------------------------------------------------------------


def direct_evidence(features, column):
    """Maximise the density of one column over log alpha and log beta, weights integrated out."""
    gram, identity = features @ features.T, np.eye(len(column))

    def loss(logs):
        alpha, beta = np.exp(np.clip(logs, -30, 30))
        covariance = gram / alpha + identity / beta
        normal = stats.multivariate_normal(np.zeros(len(column)), covariance, allow_singular=True)
        return -normal.logpdf(column)

    starts = [(a, b) for a in np.linspace(-8, 24, 17) for b in np.linspace(-1, 7, 9)]
    start = min(starts, key=loss)
    options = {"xatol": 1e-8, "fatol": 1e-10}
    return -optimize.minimize(loss, start, method="Nelder-Mead", options=options).fun


def direct_log_me(features, labels):
    columns = [(labels == name).astype(float) for name in np.unique(labels)]
    return np.mean([direct_evidence(features, column) for column in columns]) / len(labels)


@pytest.mark.parametrize(
    ("num_items", "width", "classes", "separation"),
    [(40, 5, 3, 1.0), (30, 12, 3, 0.5), (33, 2, 4, 3.0), (26, 6, 2, 0.0)],
)
def test_log_me_is_the_direct_maximum_of_the_evidence(num_items, width, classes, separation):
    features, labels = clouds(num_items, width, classes, separation)
    assert log_me(features, labels) == pytest.approx(direct_log_me(features, labels), abs=1e-5)


def test_log_me_of_a_width_beyond_the_items_is_the_direct_maximum():
    features, labels = clouds(20, 30, 2, 2.0)
    assert log_me(features, labels) == pytest.approx(direct_log_me(features, labels), abs=1e-4)


@pytest.mark.parametrize("seed", [4, 29, 37])
def test_log_me_stays_finite_where_the_evidence_rises_for_ever(seed):
    """With as many directions as items it may rise with beta / alpha, towards a finite limit."""
    features, labels = clouds(20, 40, 10, 1.0, seed)
    assert log_me(features, labels) == pytest.approx(direct_log_me(features, labels), abs=1e-4)


def iterate_as_published(features, column, rounds=300):
    """The paper's iteration from alpha = beta = 1, with matrices."""
    alpha = beta = 1.0
    num_items, width = features.shape
    for _ in range(rounds):
        a = alpha * np.eye(width) + beta * features.T @ features
        m = beta * np.linalg.solve(a, features.T @ column)
        gamma = width - alpha * np.trace(np.linalg.inv(a))
        alpha = gamma / (m @ m)
        beta = (num_items - gamma) / ((features @ m - column) ** 2).sum()
    a = alpha * np.eye(width) + beta * features.T @ features
    m = beta * np.linalg.solve(a, features.T @ column)
    fit = beta * ((features @ m - column) ** 2).sum() + alpha * m @ m
    constants = num_items * math.log(beta / (2 * math.pi)) + width * math.log(alpha)
    return (constants - fit - np.linalg.slogdet(a)[1]) / 2


def published_log_me(features, labels):
    columns = [(labels == name).astype(float) for name in np.unique(labels)]
    return np.mean([iterate_as_published(features, column) for column in columns]) / len(labels)


def test_log_me_is_the_published_iteration_where_there_is_one_maximum():
    features, labels = clouds()
    assert log_me(features, labels) == pytest.approx(published_log_me(features, labels), abs=1e-9)


def two_maxima(seed):
    """Features of very different scales: the evidence has two maxima.

    The higher one is at the larger beta / alpha with seed 78, at the smaller one with seed 138.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(24) % 2
    features = rng.standard_normal((24, 4)) + rng.standard_normal((2, 4))[labels]
    return features * 10.0 ** -np.arange(4), labels


def test_log_me_finds_the_highest_maximum_where_the_published_start_does_not():
    features, labels = two_maxima(78)
    found = log_me(features, labels)
    assert found == pytest.approx(direct_log_me(features, labels), abs=1e-5)
    assert found > published_log_me(features, labels) + 0.1


def test_log_me_of_features_that_say_nothing_is_that_of_noise():
    """Each column is at right angles to the feature: the best model is N(0, share of the class)."""
    features = np.array([[1.0], [-1.0]] * 6)
    labels = np.repeat([0, 1, 2], [4, 4, 4])
    wanted = -(math.log(2 * math.pi * 4 / 12) + 1) / 2
    assert log_me(features, labels) == pytest.approx(wanted)


def test_log_me_is_above_noise_for_features_that_separate_and_rises_with_separation():
    scores = [log_me(*clouds(60, 4, 3, separation)) for separation in (0.0, 2.0, 8.0)]
    assert scores == sorted(scores)
    assert scores[0] < -0.7
    assert scores[2] > 0


@pytest.mark.parametrize("factor", [1e-4, 7.0, 1e5])
def test_log_me_does_not_change_with_the_unit_of_the_features(factor):
    for features, labels in (clouds(), two_maxima(78), two_maxima(138)):
        score = log_me(features, labels)
        assert log_me(factor * features, labels) == pytest.approx(score, abs=1e-8)


def test_log_me_does_not_change_under_rotation_but_under_a_scale_for_each_feature():
    features, labels = clouds()
    score = log_me(features, labels)
    assert log_me(features @ rotation(5), labels) == pytest.approx(score, abs=1e-9)
    assert abs(log_me(features * 10.0 ** np.arange(5), labels) - score) > 0.01


def test_log_me_tells_signal_from_noise_where_least_squares_cannot():
    """With more features than items, least squares fits any labels without error."""
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    noise = rng.standard_normal((40, 60))
    signal = noise + 1.5 * rng.standard_normal(60) * np.where(labels == 1, 1, -1)[:, None]
    for features in (noise, signal):
        assert LinearRegression().fit(features, labels).score(features, labels) > 0.999
    assert log_me(signal, labels) > log_me(noise, labels) + 0.2


ALTERNATING, PAIRS = np.arange(12) % 3, np.repeat([0, 1, 2, 0, 1, 2], 2)
NORMAL = np.random.default_rng(0).standard_normal((12, 20))


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (np.zeros((12, 4)), ALTERNATING, "features: got 0 in all of them"),
        (np.eye(3)[ALTERNATING], ALTERNATING, "fit of a class, by 3 directions for 12 items"),
        (
            np.column_stack([ALTERNATING == 1, NORMAL[:, :3]]),
            ALTERNATING,
            "fit of a class, by 4 directions for 12 items",
        ),
        (np.repeat(NORMAL[:6], 2, axis=0), PAIRS, "by 6 directions for 12.*drop repeated items"),
    ],
    ids=["dead", "all labels", "one label", "repeated items"],
)
def test_log_me_refuses_features_without_a_largest_evidence(features, labels, message):
    with pytest.raises(CompanionError, match=message):
        log_me(features, labels)


# --- LEEP --------------------------------------------------------------------------------------


def slow_leep(theta, labels):
    """The definition, item by item."""
    num_items, num_classes = theta.shape
    total = 0.0
    for i in range(num_items):
        expected = 0.0
        for z in range(num_classes):
            of_class = sum(theta[j, z] for j in range(num_items) if labels[j] == labels[i])
            of_all = sum(theta[j, z] for j in range(num_items))
            expected += of_class / of_all * theta[i, z]
        total += math.log(expected)
    return total / num_items


@pytest.mark.parametrize("seed", [0, 1])
def test_leep_is_a_slow_rewrite(seed):
    theta, labels = predictions(seed=seed)
    uneven = np.where(labels == 2, 0, labels)
    assert leep(theta, labels) == pytest.approx(slow_leep(theta, labels))
    assert leep(theta, uneven) == pytest.approx(slow_leep(theta, uneven))


def test_leep_of_a_blind_source_is_minus_the_entropy_of_the_labels():
    labels = np.repeat([0, 1, 2], [2, 3, 5])
    theta = np.tile([0.2, 0.5, 0.3], (10, 1))
    assert leep(theta, labels) == pytest.approx(-stats.entropy([2, 3, 5]))


def test_leep_of_a_source_that_names_the_classes_is_0():
    labels = np.array([0, 0, 1, 1, 2, 2])
    assert leep(np.eye(5)[[0, 3, 1, 1, 2, 2]], labels) == pytest.approx(0.0)


def test_leep_of_certain_predictions_is_minus_the_conditional_entropy():
    predicted, labels = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 1, 0])
    assert leep(np.eye(2)[predicted], labels) == pytest.approx(-stats.entropy([2, 1]))


def test_leep_ignores_the_order_of_source_classes_splits_of_one_and_classes_never_predicted():
    theta, labels = predictions()
    score = leep(theta, labels)
    assert leep(theta[:, [2, 0, 3, 1]], labels) == pytest.approx(score)
    split = np.column_stack([0.3 * theta[:, :1], 0.7 * theta[:, :1], theta[:, 1:]])
    assert leep(split, labels) == pytest.approx(score)
    assert leep(np.column_stack([theta, np.zeros(30)]), labels) == pytest.approx(score)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: np.ones((30, 1)), "source with one class; expected at least two"),
        (lambda t: np.log(t), "rows of probabilities that sum to 1; apply softmax"),
        (lambda t: t * 100, "rows that sum to 100..100"),
        (lambda t: t[:, :3], r"rows that sum to 0\.\d+\.\.0\.\d+"),
        (lambda t: t + [[0.5, -0.5, 0, 0]], "smallest -0.4"),
    ],
    ids=["one class", "logarithms", "percent", "a class short", "negative"],
)
def test_leep_refuses(change, message):
    theta, labels = predictions()
    with pytest.raises(CompanionError, match=message):
        leep(change(theta), labels)


# --- H-score -----------------------------------------------------------------------------------


def slow_h_score(features, labels, alpha=0.0):
    """The definition, with each item's class mean in the place of the item."""
    width = features.shape[1]
    means = np.stack([features[labels == label].mean(axis=0) for label in labels])
    covariance = np.cov(features, rowvar=False, ddof=0)
    shrunk = (1 - alpha) * covariance + alpha * np.diag(covariance).mean() * np.eye(width)
    return (1 - alpha) * np.trace(np.linalg.inv(shrunk) @ np.cov(means, rowvar=False, ddof=0))


@pytest.mark.parametrize("alpha", [0.0, 0.05, 0.6])
def test_h_score_is_a_slow_rewrite(alpha):
    features, labels = clouds()
    uneven = np.where(labels == 2, 0, labels)
    for names in (labels, uneven):
        found = h_score(features, names, shrinkage=alpha)
        assert found == pytest.approx(slow_h_score(features, names, alpha))


def test_h_score_shrinks_as_scikit_learns_ledoit_wolf():
    features, labels = clouds(30, 40, 3)
    estimate = LedoitWolf().fit(features)
    means = np.stack([features[labels == label].mean(axis=0) for label in labels])
    between = np.cov(means, rowvar=False, ddof=0)
    wanted = (1 - estimate.shrinkage_) * np.trace(estimate.get_precision() @ between)
    assert h_score(features, labels) == pytest.approx(wanted)
    assert 0.05 < estimate.shrinkage_ < 0.95


def test_h_score_of_two_classes_is_the_explained_variance_of_the_label():
    features, labels = clouds(50, 4, 2)
    explained = LinearRegression().fit(features, labels).score(features, labels)
    assert h_score(features, labels, shrinkage=0.0) == pytest.approx(explained)


def test_h_score_of_classes_without_spread_is_their_number_less_1():
    features = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])[np.arange(12) % 3]
    assert h_score(features, np.arange(12) % 3, shrinkage=0.0) == pytest.approx(2.0)


def test_h_score_without_shrinkage_does_not_change_under_invertible_linear_maps():
    features, labels = clouds()
    moved = features @ random_map(5) + np.arange(5)
    score = h_score(features, labels, shrinkage=0.0)
    assert h_score(moved, labels, shrinkage=0.0) == pytest.approx(score)


def test_h_score_with_shrinkage_does_not_change_under_rotation_scale_and_shift_only():
    features, labels = clouds()
    score = h_score(features, labels)
    moved = 1000 * features @ rotation(5) + np.arange(5)
    assert h_score(moved, labels) == pytest.approx(score)
    assert abs(h_score(features @ random_map(5), labels) - score) > 0.01


def test_a_pseudo_inverse_cannot_rank_wide_features_and_shrinkage_can():
    """Why the singular covariance is shrunk: the trap that the docstring names."""
    scores = {}
    for name, separation in (("noise", 0.0), ("signal", 1.0)):
        features, labels = clouds(30, 60, 3, separation)
        inverse = np.linalg.pinv(np.cov(features, rowvar=False, ddof=0), rcond=1e-10)
        means = np.stack([features[labels == label].mean(axis=0) for label in labels])
        pseudo = np.trace(inverse @ np.cov(means, rowvar=False, ddof=0))
        assert pseudo == pytest.approx(2.0)
        scores[name] = h_score(features, labels)
    assert scores["noise"] < 0.7 * scores["signal"]
    assert scores["signal"] < 2


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (clouds(30, 60)[0], "got rank 29 with 60 features of 30 items, shrinkage 0"),
        (clouds(30, 4)[0][:, [0, 1, 2, 2]], "got rank 3 with 4 features"),
        (np.ones((30, 4)), "got rank 0 with 4 features"),
    ],
    ids=["wide", "twice the same", "constant"],
)
def test_h_score_refuses_a_singular_covariance_without_shrinkage(features, message):
    with pytest.raises(CompanionError, match=message):
        h_score(features, np.arange(30) % 3, shrinkage=0.0)


def test_h_score_refuses_constant_features_with_shrinkage_too():
    with pytest.raises(CompanionError, match="rank 0.*drop constant features"):
        h_score(np.ones((30, 4)), np.arange(30) % 3)


@pytest.mark.parametrize(
    ("shrinkage", "message"),
    [
        (-0.1, "shrinkage: got -0.1; expected a fraction"),
        (1.5, "shrinkage: got 1.5"),
        (1, "shrinkage: got 1; expected below 1"),
        (math.nan, "shrinkage: got nan"),
        (True, "shrinkage: got True"),
        (None, "shrinkage: got None"),
        ("ledoit-wolf", "did you mean 'ledoit_wolf'"),
    ],
)
def test_h_score_refuses_a_shrinkage(shrinkage, message):
    with pytest.raises(CompanionError, match=message):
        h_score(*clouds(), shrinkage=shrinkage)


# --- proxy A-distance --------------------------------------------------------------------------


def domains(shift, num_source=400, num_target=400, width=3, seed=0):
    rng = np.random.default_rng(seed)
    target = rng.standard_normal((num_target, width)) + shift * np.eye(width)[0]
    return rng.standard_normal((num_source, width)), target


def test_domains_far_apart_have_distance_2():
    assert proxy_a_distance(*domains(30.0), seed=0) == 2.0


def test_domains_that_are_alike_have_distance_near_0():
    found = [proxy_a_distance(*domains(0.0, seed=seed), seed=seed) for seed in range(5)]
    assert np.mean(found) < 0.12
    assert min(found) >= 0


def test_errors_beyond_chance_are_clipped():
    """The same items as both domains: each one's twin was learnt with the other answer."""
    source, _ = domains(0.0, num_source=30)
    assert proxy_a_distance(source, source, seed=0) == 0.0


@pytest.mark.parametrize("shift", [0.7, 2.0])
def test_distance_of_two_normals_is_that_of_the_best_classifier(shift):
    wanted = 2 * (1 - 2 * stats.norm.cdf(-shift / 2))
    found = proxy_a_distance(*domains(shift, 4000, 4000), seed=0)
    assert found == pytest.approx(wanted, abs=0.06)


def test_a_larger_domain_does_not_look_like_a_distance():
    """Always answering with the larger domain would be right for 20 of 21 items: distance 1.8."""
    assert proxy_a_distance(*domains(0.0, 2000, 100), seed=0) < 0.4
    assert proxy_a_distance(*domains(0.0, 100, 2000), seed=0) < 0.4


def test_of_the_larger_domain_other_items_are_drawn_with_another_seed(monkeypatch):
    seen = []

    def error(values, labels, num_folds, seed):
        seen.append((values, labels))
        return 0.5

    monkeypatch.setattr(domain_distance, "_held_out_error", error)
    source, target = np.arange(90.0)[:, None], np.arange(100.0, 130.0)[:, None]
    for seed in (0, 1):
        proxy_a_distance(source, target, seed=seed)
    (first, labels), (second, _) = seen
    assert labels.tolist() == [0] * 30 + [1] * 30
    assert sorted(first[30:, 0]) == target[:, 0].tolist()
    assert len(set(first[:30, 0])) == 30
    assert set(first[:30, 0]) != set(second[:30, 0])


def test_distance_ignores_units_and_is_almost_symmetric():
    source, target = domains(1.0)
    found = proxy_a_distance(source, target, seed=0)
    scale = np.array([1e-3, 1.0, 1e4])
    assert proxy_a_distance(source * scale, target * scale, seed=0) == pytest.approx(found)
    assert proxy_a_distance(target, source, seed=0) == pytest.approx(found, abs=0.1)


def test_distance_depends_on_its_seed_alone():
    source, target = domains(1.0, 300, 60)
    first, again, other = (proxy_a_distance(source, target, seed=s) for s in (0, 0, 1))
    assert first == again
    assert first != other
    np.random.seed(5)
    assert proxy_a_distance(torch.tensor(source), torch.tensor(target), seed=0) == first


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda s, t: (s, t[:, :2]), {}, "widths 3 and 2; expected the same features"),
        (lambda s, t: (s[:4], t), {}, "got 5 for 4 source and 400 target items"),
        (lambda s, t: (s, t), {"num_folds": 1}, "num_folds: got 1 for"),
        (lambda s, t: (s, t), {"num_folds": 2.5}, "num_folds: got 2.5"),
        (lambda s, t: (s, t * math.nan), {}, "target_features: got a NaN"),
        (lambda s, t: (s[:, 0], t), {}, "source_features: got shape"),
        (lambda s, t: (s, t), {"seed": -1}, "seed"),
    ],
)
def test_distance_refuses(change, options, message):
    with pytest.raises(CompanionError, match=message):
        proxy_a_distance(*change(*domains(1.0)), **{"seed": 0, **options})


# --- rank correlation --------------------------------------------------------------------------


def rankings(num_sources=14, noise=0.6, seed=0, ties=False):
    rng = np.random.default_rng(seed)
    accuracies = rng.random(num_sources)
    scores = accuracies + noise * rng.standard_normal(num_sources)
    return (scores.round(1), accuracies.round(1)) if ties else (scores, accuracies)


@pytest.mark.parametrize("ties", [False, True])
def test_coefficients_are_scipys(ties):
    scores, accuracies = rankings(ties=ties)
    found = rank_correlation(scores, accuracies)
    assert found.kendall == pytest.approx(stats.kendalltau(scores, accuracies).statistic)
    assert found.spearman == pytest.approx(stats.spearmanr(scores, accuracies).statistic)
    assert found.spearman == evaluation.spearman(scores, accuracies).coefficient
    assert found.num_sources == 14


@pytest.mark.parametrize("ties", [False, True])
def test_intervals_are_those_of_scipys_coefficients_on_the_same_draws(ties):
    scores, accuracies = rankings(ties=ties)
    draws = np.random.default_rng(3).integers(0, 14, (200, 14))
    found = rank_correlation(scores, accuracies, seed=3, level=0.8, num_resamples=200)
    for interval, coefficient in (
        (found.kendall_interval, stats.kendalltau),
        (found.spearman_interval, stats.spearmanr),
    ):
        values = [coefficient(scores[row], accuracies[row]).statistic for row in draws]
        low, high = np.quantile(values, [0.1, 0.9])
        assert (interval.low, interval.high) == pytest.approx((low, high))
        assert interval.level == 0.8
        assert interval.method == "bootstrap over 14 sources"


def test_rankings_in_the_same_and_in_opposite_order():
    scores = np.arange(12.0)
    same, opposite = rank_correlation(scores, scores**3), rank_correlation(scores, -scores)
    assert (same.kendall, same.spearman) == pytest.approx((1.0, 1.0))
    assert (opposite.kendall, opposite.spearman) == pytest.approx((-1.0, -1.0))
    assert same.kendall_interval.low == pytest.approx(1.0)
    assert opposite.spearman_interval.high == pytest.approx(-1.0)


def test_rank_correlation_ignores_monotone_maps_and_the_direction_flips_it():
    scores, accuracies = rankings()
    found = rank_correlation(scores, accuracies)
    assert rank_correlation(np.exp(3 * scores), accuracies) == found
    flipped = rank_correlation(-scores, accuracies)
    assert flipped.kendall == pytest.approx(-found.kendall)
    assert flipped.kendall_interval.high == pytest.approx(-found.kendall_interval.low)


def test_the_interval_covers_the_true_tau_as_often_as_it_says():
    """Normal pairs with correlation 0.6 have tau = 2 / pi * arcsin(0.6)."""
    rng = np.random.default_rng(0)
    wanted, covered = 2 / math.pi * math.asin(0.6), 0
    for seed in range(300):
        pairs = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 12)
        found = rank_correlation(pairs[:, 0], pairs[:, 1], seed=seed, num_resamples=300)
        covered += wanted in found.kendall_interval
    assert 0.91 < covered / 300 < 0.99


def test_more_sources_and_a_lower_level_narrow_the_interval():
    def width(num_sources, level):
        found = rank_correlation(*rankings(num_sources), level=level).kendall_interval
        return found.high - found.low

    assert width(60, 0.95) < 0.7 * width(14, 0.95)
    assert width(14, 0.5) < 0.6 * width(14, 0.95)


def test_rank_correlation_is_reproducible_and_depends_on_the_seed():
    first, again, other = (rank_correlation(*rankings(), seed=s) for s in (0, 0, 1))
    assert first == again
    assert first.kendall_interval != other.kendall_interval
    assert first.kendall == other.kendall


def test_resamples_without_a_ranking_count_as_0():
    """One source stands out: a third of the resamples misses it."""
    scores = [0.0] * 11 + [1.0]
    found = rank_correlation(scores, np.arange(12.0))
    assert found.kendall == pytest.approx(stats.kendalltau(scores, np.arange(12)).statistic)
    assert found.kendall_interval.low == found.spearman_interval.low == 0
    assert found.kendall < found.kendall_interval.high < 1


def test_a_rank_correlation_is_frozen_and_says_what_it_is():
    found = rank_correlation(np.arange(12.0), np.arange(12.0))
    assert str(found) == "tau +1.00 [+1.00, +1.00], rho +1.00 [+1.00, +1.00], 12 sources"
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.kendall = 0.0


@pytest.mark.parametrize(
    ("scores", "accuracies", "options", "message"),
    [
        (range(11), range(11), {}, "rank correlation: got 11 sources; expected at least 12"),
        (range(12), range(13), {}, "sources: got 12 and 13"),
        ([1] * 12, range(12), {}, "values all alike"),
        ([math.nan] * 12, range(12), {}, "scores: got a NaN"),
        (range(12), [math.inf] * 12, {}, "accuracies: got a NaN or an infinity"),
        (range(12), range(12), {"level": 95}, "level"),
        (range(12), range(12), {"level": 1.0}, "level"),
        (range(12), range(12), {"seed": -1}, "seed"),
        (range(12), range(12), {"num_resamples": 0}, "num_resamples"),
    ],
)
def test_rank_correlation_refuses(scores, accuracies, options, message):
    with pytest.raises(CompanionError, match=message):
        rank_correlation(list(scores), list(accuracies), **options)
