"""Verification against scikit-learn, scipy and slow loops; its bootstrap against a plain one."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pytest
import torch
from scipy import interpolate, optimize
from sklearn import metrics

from companion import evaluation
from companion.checks import CompanionError


def drawn(num=200, seed=0, digits=None):
    """Similarities of genuine and impostor pairs that overlap; rounded, many are equal."""
    generator = np.random.default_rng(seed)
    is_genuine = generator.random(num) < 0.4
    values = generator.normal(is_genuine.astype(float), 1.0)
    return (values if digits is None else values.round(digits)), is_genuine


# --- pairs ---

LABELS = torch.tensor([5] * 30 + [1] * 4 + [8] * 2 + [3])


def test_half_of_the_pairs_are_genuine_and_none_is_drawn_twice():
    pairs = evaluation.make_pairs(LABELS, num_pairs=16, seed=0)
    assert len(pairs) == 16
    assert pairs.is_genuine.tolist() == [True] * 8 + [False] * 8
    assert torch.equal(LABELS[pairs.first] == LABELS[pairs.second], pairs.is_genuine)
    assert len(set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))) == 16
    assert (pairs.first < pairs.second).all()


def test_identities_with_many_items_count_no_more_than_others():
    genuine = evaluation.make_pairs(LABELS.repeat(6), num_pairs=600, seed=1)
    counts = torch.bincount(LABELS.repeat(6)[genuine.first[:300]], minlength=9)
    assert (counts[[5, 1]] > 85).all()  # of 300, three identities have many pairs
    both = torch.cat([genuine.first[300:], genuine.second[300:]])
    shares = torch.bincount(LABELS.repeat(6)[both], minlength=9)[[5, 1, 8, 3]] / 600
    assert (shares - 0.25).abs().max() < 0.05


def test_pairs_are_a_function_of_the_seed():
    first, again, other = (
        evaluation.make_pairs(LABELS, num_pairs=20, seed=seed).first for seed in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_cosines_of_pairs_are_those_of_numpy():
    embeddings = torch.randn(37, 6, generator=torch.Generator().manual_seed(0))
    pairs = evaluation.make_pairs(LABELS, num_pairs=10, seed=0)
    found = evaluation.cosine_of_pairs(embeddings, pairs)
    for value, i, j in zip(found, pairs.first, pairs.second, strict=True):
        a, b = embeddings[i].numpy(), embeddings[j].numpy()
        wanted = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        assert value == pytest.approx(wanted, abs=1e-6)


# --- rates and curves ---


@pytest.mark.parametrize("digits", [None, 1, 0])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_curve_is_that_of_scikit_learn(digits, weighted):
    values, is_genuine = drawn(digits=digits)
    weights = np.random.default_rng(1).integers(0, 4, len(values)).astype(float)
    weights = weights if weighted else None
    curve = evaluation.roc(values, is_genuine, weights)
    false_accepts, true_accepts, thresholds = metrics.roc_curve(
        is_genuine, values, sample_weight=weights, drop_intermediate=False
    )
    kept = np.isin(curve.thresholds, thresholds)
    assert np.allclose(curve.false_accept_rates[kept], false_accepts)
    assert np.allclose(curve.true_accept_rates[kept], true_accepts)
    assert kept.all() or weighted


@pytest.mark.parametrize("threshold", [-5.0, 0.0, 0.4, 1.0, 9.0])
def test_rates_at_a_threshold_are_counts(threshold):
    values, is_genuine = drawn(digits=1)
    found = evaluation.rates_at(threshold, values, is_genuine)
    pairs = list(zip(values, is_genuine, strict=True))
    accepted = [value >= threshold for value, genuine in pairs if genuine]
    fooled = [value >= threshold for value, genuine in pairs if not genuine]
    assert found.true_accept_rate == pytest.approx(sum(accepted) / len(accepted))
    assert found.false_accept_rate == pytest.approx(sum(fooled) / len(fooled))
    assert found.false_reject_rate == pytest.approx(1 - sum(accepted) / len(accepted))


@pytest.mark.parametrize("digits", [None, 1])
@pytest.mark.parametrize("seed", range(4))
def test_the_equal_error_rate_is_the_root_that_scipy_finds(seed, digits):
    values, is_genuine = drawn(seed=seed, digits=digits)
    false_accepts, true_accepts, thresholds = metrics.roc_curve(
        is_genuine, values, drop_intermediate=False
    )
    along = np.arange(len(thresholds), dtype=float)  # a position on the curve
    far, tar, level = (
        interpolate.interp1d(along, row) for row in (false_accepts, true_accepts, thresholds)
    )
    root = optimize.brentq(lambda x: far(x) - (1 - tar(x)), 0, along[-1])
    found = evaluation.equal_error_rate(values, is_genuine)
    assert found.rate == pytest.approx(float(far(root)), abs=1e-6)
    assert found.threshold == pytest.approx(float(level(root)), abs=1e-6)


def test_the_equal_error_rate_of_what_is_parted_of_chance_and_of_the_contrary():
    is_genuine = np.array([True, True, False, False])
    apart = evaluation.equal_error_rate([4.0, 3.0, 2.0, 1.0], is_genuine)
    assert apart.rate == 0
    assert 2 < apart.threshold <= 3
    assert evaluation.equal_error_rate([1.0, 1.0, 1.0, 1.0], is_genuine).rate == 0.5
    assert evaluation.equal_error_rate([1.0, 2.0, 3.0, 4.0], is_genuine).rate == 1


@pytest.mark.parametrize("limit", [0.0, 0.01, 0.1, 0.37, 1.0])
def test_the_threshold_is_the_most_lenient_within_the_limit(limit):
    values, is_genuine = drawn(digits=1, seed=2)
    found = evaluation.threshold_at(limit, values, is_genuine)
    impostors = values[~is_genuine]
    assert (impostors >= found).mean() <= limit
    more_lenient = values[values < found]
    if len(more_lenient):
        assert (impostors >= more_lenient.max()).mean() > limit
    wanted = (values[is_genuine] >= found).mean()
    assert evaluation.true_accept_rate_at(limit, values, is_genuine) == pytest.approx(wanted)


def test_where_the_best_pair_is_an_impostor_no_pair_passes_a_limit_of_zero():
    is_genuine = np.array([False, True, False])
    found = evaluation.threshold_at(0.0, [3.0, 2.0, 1.0], is_genuine)
    assert found > 3
    assert evaluation.true_accept_rate_at(0.0, [3.0, 2.0, 1.0], is_genuine) == 0


# --- the bootstrap over identities ---


def identities(num=12, each=4, seed=0):
    """Pairs of all items of some identities, some of them easier than others."""
    labels = torch.arange(num).repeat_interleave(each)
    first, second = np.array(list(itertools.combinations(range(num * each), 2))).T
    is_genuine = labels[first] == labels[second]
    pairs = evaluation.Pairs(torch.tensor(first), torch.tensor(second), is_genuine)
    generator = np.random.default_rng(seed)
    ease = generator.normal(0, 1.5, num)
    shift = ease[labels[first]] + ease[labels[second]]
    return shift + 2 * is_genuine.numpy() + generator.normal(size=len(pairs)), pairs, labels


def accepted_impostors(values, is_genuine, weights):
    """The false accept rate at a fixed threshold."""
    return evaluation.rates_at(1.0, values, is_genuine, weights).false_accept_rate


def test_the_interval_is_that_of_copying_the_items_of_drawn_identities():
    """The weights stand for copies: here the copies are really made."""
    values, pairs, labels = identities()
    found = evaluation.verification_interval(
        accepted_impostors, values, pairs, labels, num_resamples=200, seed=7
    )
    generator, rates = np.random.default_rng(7), []
    both = list(zip(labels[pairs.first].tolist(), labels[pairs.second].tolist(), strict=True))
    for _ in range(200):
        members = generator.integers(0, 12, size=12).tolist()
        copies = [
            value >= 1.0
            for value, (a, b) in zip(values, both, strict=True)
            if a != b
            for one in members
            for other in members
            if (one, other) == (a, b)
        ]
        rates.append(np.mean(copies))
    assert found.low == pytest.approx(np.quantile(rates, 0.025))
    assert found.high == pytest.approx(np.quantile(rates, 0.975))
    assert found.method == "bootstrap over 12 identities"


def test_drawing_pairs_would_give_intervals_that_are_too_narrow():
    values, pairs, labels = identities()
    found = evaluation.verification_interval(
        accepted_impostors, values, pairs, labels, num_resamples=200
    )
    is_accepted = (values >= 1.0)[~pairs.is_genuine.numpy()]
    narrow = evaluation.bootstrap_interval(is_accepted.astype(float), num_resamples=200)
    assert found.high - found.low > 3 * (narrow.high - narrow.low)


def test_equal_error_rates_have_an_interval_around_them():
    values, pairs, labels = identities()
    options = dict(num_resamples=100, level=0.8)
    rate = evaluation.equal_error_rate(values, pairs.is_genuine.numpy()).rate

    def statistic(*columns):
        return evaluation.equal_error_rate(*columns).rate

    wide = evaluation.verification_interval(statistic, values, pairs, labels, num_resamples=100)
    inner = evaluation.verification_interval(statistic, values, pairs, labels, **options)
    assert rate in inner
    assert wide.low <= inner.low < inner.high <= wide.high
    again = evaluation.verification_interval(statistic, values, pairs, labels, **options)
    assert (inner.low, inner.high) == (again.low, again.high)


# --- bad input ---


def test_what_does_not_fit_is_refused():
    values, is_genuine = drawn(20)
    rate = partial(evaluation.equal_error_rate, values)
    with pytest.raises(CompanionError, match=r"pairs: got 20 genuine and 0 impostor pairs"):
        rate(np.ones(20, bool))
    with pytest.raises(CompanionError, match=r"is_genuine and weights: got int64"):
        rate(is_genuine.astype(int))
    with pytest.raises(CompanionError, match=r"bool of shape \(19,\)"):
        rate(is_genuine[:19])
    with pytest.raises(CompanionError, match=r"pairs: .*with weight"):
        rate(is_genuine, np.where(is_genuine, 1.0, 0.0))
    with pytest.raises(CompanionError, match=r"pairs: .*with weight"):
        rate(is_genuine, -np.ones(20))
    with pytest.raises(CompanionError, match="similarities: got a NaN"):
        evaluation.roc(np.full(20, np.nan), is_genuine)
    with pytest.raises(CompanionError, match="false_accept_rate: got 5; expected a fraction"):
        evaluation.threshold_at(5, values, is_genuine)
    with pytest.raises(CompanionError, match="num_pairs: got 7; expected an even number"):
        evaluation.make_pairs(LABELS, num_pairs=7, seed=0)
    with pytest.raises(CompanionError, match="labels: got 1 identities, 1 of them with two"):
        evaluation.make_pairs(torch.zeros(5, dtype=torch.long), num_pairs=2, seed=0)
    with pytest.raises(CompanionError, match="genuine pairs: got 8 different ones; expected 50"):
        evaluation.make_pairs(LABELS[28:], num_pairs=100, seed=0)
    values, pairs, labels = identities(num=9)
    with pytest.raises(CompanionError, match="bootstrap over identities: got 9 identities"):
        evaluation.verification_interval(accepted_impostors, values, pairs, labels)


@pytest.mark.parametrize("threshold", [None, float("nan"), "0.5", True, [0.5]])
def test_a_threshold_is_a_number(threshold):
    with pytest.raises(CompanionError, match=r"threshold: got .*; expected a number"):
        evaluation.rates_at(threshold, [0.1, 0.9], np.array([False, True]))


def test_an_infinite_threshold_accepts_nothing_and_a_tensor_is_a_number():
    pairs = [0.1, 0.9, 0.6], np.array([False, True, True])
    nothing = evaluation.rates_at(float("inf"), *pairs)
    assert (nothing.false_accept_rate, nothing.true_accept_rate) == (0, 0)
    assert evaluation.rates_at(torch.tensor(0.75), *pairs).true_accept_rate == 0.5


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 0, 1, 1], r"labels: got \[0, 0, 1, 1\], a list; expected a Tensor"),
        (torch.tensor([0, 0, -1, -1]), "labels: got identity -1; expected identities from 0 on"),
        (torch.tensor([0.0, 0.0, 1.0, 1.0]), r"labels: got shape \(4,\) of torch.float32"),
        (torch.tensor([[0, 0], [1, 1]]), r"labels: got shape \(2, 2\)"),
    ],
)
def test_pairs_are_made_of_identities(labels, message):
    with pytest.raises(CompanionError, match=message):
        evaluation.make_pairs(labels, num_pairs=2, seed=0)


def test_cosines_want_the_items_that_the_pairs_are_of():
    pairs = evaluation.make_pairs(torch.arange(6).repeat(2), num_pairs=8, seed=0)
    with pytest.raises(CompanionError, match=r"pairs: got positions \d\.\.1\d; expected 0\.\.8"):
        evaluation.cosine_of_pairs(torch.ones(9, 2), pairs)
    with pytest.raises(CompanionError, match="embeddings: got .*, a list; expected a Tensor"):
        evaluation.cosine_of_pairs([[1.0]] * 12, pairs)
    with pytest.raises(CompanionError, match="pairs: got .*, a list; expected a Pairs"):
        evaluation.cosine_of_pairs(torch.ones(12, 2), [(0, 1)])
    with_gradient = torch.randn(12, 2, generator=torch.Generator().manual_seed(0))
    plain = evaluation.cosine_of_pairs(with_gradient, pairs)
    assert np.array_equal(evaluation.cosine_of_pairs(with_gradient.requires_grad_(), pairs), plain)


@pytest.mark.parametrize(
    ("statistic", "message"),
    [
        (lambda *_: float("inf"), "statistic: got inf on a resample; expected a finite number"),
        (lambda *_: None, "statistic: got None on a resample"),
        (lambda *_: float("nan"), "statistic: got undefined on 50 of 50 resamples"),
        ("eer", "statistic: got 'eer'; expected a function"),
    ],
)
def test_an_interval_wants_a_statistic_that_is_a_number(statistic, message):
    values, pairs, labels = identities()
    with pytest.raises(CompanionError, match=message):
        evaluation.verification_interval(statistic, values, pairs, labels, num_resamples=50)


def test_resamples_on_which_the_statistic_is_undefined_are_counted():
    values, pairs, labels = identities()
    calls = iter(range(100))

    def statistic(*_):
        number = next(calls)
        return float("nan") if number % 25 == 0 else number

    interval = evaluation.verification_interval(statistic, values, pairs, labels, num_resamples=100)
    defined = [n for n in range(100) if n % 25]
    ends = np.quantile(defined, [0.025, 0.975])
    assert (interval.low, interval.high) == pytest.approx(tuple(ends))
    assert interval.method == "bootstrap over 12 identities, 4 of 100 resamples undefined"


def test_an_interval_wants_the_labels_of_all_items():
    values, pairs, labels = identities()
    for short, message in ((labels[:5], "pairs: got positions"), (labels.tolist(), "a list; exp")):
        with pytest.raises(CompanionError, match=message):
            evaluation.verification_interval(accepted_impostors, values, pairs, short)
