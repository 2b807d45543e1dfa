"""Filters against transformers' own, and continuations against its `generate`."""

from __future__ import annotations

import functools

import pytest
import torch
from tiny_language_models import LONG, TEXTS, tiny_model

from companion.checks import CompanionError
from companion.language_models import (
    apply_temperature,
    generate,
    generate_ids,
    keep_best,
    keep_nucleus,
    keep_top_k,
    sampling,
)


@pytest.fixture
def logits():
    return 3 * torch.randn(50, 40, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("k", [1, 5, 40, 99])
def test_top_k_is_that_of_transformers(logits, k):
    from transformers.generation.logits_process import TopKLogitsWarper

    assert torch.equal(keep_top_k(logits, k), TopKLogitsWarper(k)(None, logits))


@pytest.mark.parametrize("p", [0.01, 0.3, 0.9, 0.999])
def test_nucleus_is_that_of_transformers(logits, p):
    from transformers.generation.logits_process import TopPLogitsWarper

    assert torch.equal(keep_nucleus(logits, p), TopPLogitsWarper(p)(None, logits))


@pytest.mark.parametrize("temperature", [0.1, 1.0, 2.5])
def test_temperature_is_that_of_transformers(logits, temperature):
    from transformers.generation.logits_process import TemperatureLogitsWarper

    expected = TemperatureLogitsWarper(temperature)(None, logits)
    assert torch.equal(apply_temperature(logits, temperature), expected)


def test_filters_by_hand():
    logits = torch.tensor([[0.5, 0.25, 0.15, 0.1]]).log()
    never = float("-inf")
    assert keep_best(logits).exp().tolist() == [[0.5, 0.0, 0.0, 0.0]]
    assert keep_top_k(logits, 2)[0, 2:].tolist() == [never, never]
    for p, kept in [(0.2, 1), (0.49, 1), (0.51, 2), (0.74, 2), (0.76, 3), (1.0, 4)]:
        assert int(keep_nucleus(logits, p).isfinite().sum()) == kept, p
    assert keep_top_k(torch.tensor([[1.0, 2.0, 2.0]]), 1).tolist() == [[never, 2.0, 2.0]]


def test_filters_leave_their_input_alone(logits):
    before = logits.clone()
    keeps = (functools.partial(keep_top_k, k=3), functools.partial(keep_nucleus, p=0.5))
    for keep in (keep_best, *keeps):
        keep(logits)
        assert torch.equal(keep(logits[:1])[0], keep(logits)[0])
        assert torch.equal(keep(logits[0]), keep(logits)[0])
    assert torch.equal(logits, before)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda x: keep_top_k(x, 0), "k: got 0"),
        (lambda x: keep_nucleus(x, 0.0), "p: got 0.0; expected above 0"),
        (lambda x: keep_nucleus(x, 1.5), "p: got 1.5"),
        (lambda x: apply_temperature(x, 0.0), "temperature: got 0.0"),
    ],
)
def test_bad_options(logits, call, match):
    with pytest.raises(CompanionError, match=match):
        call(logits)


@pytest.mark.parametrize("prompt", ["", "Return the", "An array of values"])
def test_greedy_is_that_of_transformers(prompt):
    subject = tiny_model(num_positions=64, seed=2)
    ids = [0, *subject.vocabulary.encode(prompt)]
    theirs = subject.network.generate(
        torch.tensor([ids]), do_sample=False, max_new_tokens=20, pad_token_id=1
    )[0, len(ids) :].tolist()
    ours = generate_ids(subject, prompt, keep_best, max_tokens=20)[0]
    assert ours == (theirs[: theirs.index(0)] if 0 in theirs else theirs)
    assert generate(subject, prompt, greedy=True, max_tokens=20) == [
        subject.vocabulary.decode(ours)
    ]


def test_beyond_the_context_half_of_it_is_read_again():
    """Against a loop without a cache, over a prompt that is longer than the context as well."""
    subject = tiny_model(num_positions=16, seed=1)
    for prompt in ("Return", LONG):
        window = [0, *subject.vocabulary.encode(prompt)][-16:]
        expected = []
        for _ in range(40):
            if len(window) > 16:
                window = window[-8:]
            with torch.no_grad():
                logits = subject.network(torch.tensor([window])).logits[0, -1]
            logits[0] = float("-inf")
            expected.append(int(logits.argmax()))
            window.append(expected[-1])

        def keep(logits):
            logits = logits.clone()
            logits[:, 0] = float("-inf")
            return keep_best(logits)

        assert generate_ids(subject, prompt, keep, max_tokens=40)[0] == expected


def test_draws_follow_the_probabilities():
    logits = torch.tensor([0.6, 0.3, 0.0, 0.1]).log()
    uniforms = torch.arange(0, 1, 1 / 1000)[:, None]
    found = sampling.draw(logits.repeat(1000, 1), uniforms)
    assert torch.bincount(found, minlength=4).tolist() == pytest.approx([600, 300, 0, 100], abs=1)
    assert found.diff().min() >= 0
    last = sampling.draw(logits.repeat(2, 1), torch.tensor([[0.0], [1 - 2.0**-24]]))
    assert last.tolist() == [0, 3]


def test_first_tokens_follow_the_model():
    """A thousand samples of one token against the softmax of the logits."""
    subject = tiny_model(num_positions=64)
    rows = generate_ids(subject, "Return", lambda x: x, max_tokens=1, num_samples=4000)
    counts = torch.bincount(torch.tensor([row[0] if row else 0 for row in rows]), minlength=300)
    with torch.no_grad():
        ids = torch.tensor([[0, *subject.vocabulary.encode("Return")]])
        shares = subject.network(ids).logits[0, -1].softmax(dim=-1)
    error = (counts / 4000 - shares).abs()
    assert float((error / (shares * (1 - shares) / 4000).sqrt().clamp(min=1e-3)).max()) < 5


def test_a_sample_is_a_function_of_seed_and_number():
    subject = tiny_model(num_positions=64)
    options = {"max_tokens": 12, "temperature": 0.8, "top_k": 30, "nucleus": 0.95}
    three = generate(subject, "Return", num_samples=3, seed=5, **options)
    assert generate(subject, "Return", num_samples=1, seed=5, **options) == three[:1]
    assert generate(subject, "Return", num_samples=3, seed=6, **options) != three
    assert len(set(three)) > 1


def test_filters_are_applied_in_the_order_of_transformers():
    logits = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()
    found = sampling._filters(greedy=False, temperature=0.5, top_k=3, nucleus=0.8)(logits)
    shares = torch.tensor([0.16, 0.09, 0.04]) / 0.29
    assert float(shares[:2].sum()) > 0.8 > float(shares[0])
    assert found.isfinite().tolist() == [[True, True, False, False]]


def test_a_continuation_ends_at_the_end_mark():
    subject = tiny_model()

    def only_end_third(logits):
        only_end_third.calls += 1
        logits = logits.clone()
        logits[:, 0] = 1e4 if only_end_third.calls == 3 else float("-inf")
        return logits

    only_end_third.calls = 0
    rows = generate_ids(subject, "", only_end_third, max_tokens=9, num_samples=2)
    assert [len(row) for row in rows] == [2, 2]
    assert only_end_third.calls == 3


def test_bad_counts():
    with pytest.raises(CompanionError, match="max_tokens: got 0"):
        generate(tiny_model(), TEXTS[0], max_tokens=0)
    with pytest.raises(CompanionError, match="num_samples: got 0"):
        generate(tiny_model(), TEXTS[0], num_samples=0)
