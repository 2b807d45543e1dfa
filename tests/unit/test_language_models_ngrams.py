"""Interpolated Kneser-Ney against the definition written out, and against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from tiny_language_models import LONG, TEXTS, vocabulary

from companion.checks import CompanionError
from companion.language_models import ByteVocabulary, fit_ngrams, score_texts

WORDS = ["abab", "abba", "baab", "ca", "cab", "abc"]


class SlowKneserNey:
    """The formulas over sets and lists of tuples, one n-gram at a time."""

    def __init__(self, rows, order, size, end):
        self.order, self.size, self.end = order, size, end
        self.occurrences = []
        for row in rows:
            padded = [end] * (order - 1) + row + [end]
            self.occurrences += [
                tuple(padded[i : i + order]) for i in range(len(padded) - order + 1)
            ]

    def count(self, gram):
        """Occurrences of the longest; else how many different tokens stand before it."""
        if len(gram) == self.order:
            return self.occurrences.count(gram)
        longer = {occurrence[-len(gram) - 1 :] for occurrence in self.occurrences}
        return len({g for g in longer if g[1:] == gram})

    def grams(self, length):
        return {occurrence[-length:] for occurrence in self.occurrences}

    def discount(self, length):
        counts = [self.count(gram) for gram in self.grams(length)]
        ones, twos = counts.count(1), counts.count(2)
        return ones / (ones + 2 * twos) if ones else 0.5

    def probability(self, history, token):
        length = len(history) + 1
        if length == 1:
            lower = 1 / self.size
        else:
            lower = self.probability(history[1:], token)
        after = {g: self.count(g) for g in self.grams(length) if g[:-1] == history}
        total = sum(after.values())
        if total == 0:
            return lower
        d = self.discount(length)
        own = max(after.get((*history, token), 0) - d, 0) / total
        return own + d * len(after) / total * lower


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_probabilities_are_those_of_the_definition(order):
    words = ByteVocabulary()
    rows = [words.encode(text) for text in WORDS]
    slow = SlowKneserNey(rows, order, len(words), words.end)
    ngrams = fit_ngrams(WORDS, words, order=order)
    for text in ("abc", "cb", "z", "abab"):
        ids = words.encode(text)
        padded = [words.end] * (order - 1) + ids + [words.end]
        expected = [
            -math.log(slow.probability(tuple(padded[i : i + order - 1]), padded[i + order - 1]))
            for i in range(len(ids) + 1)
        ]
        assert ngrams.score([text])[0].tolist() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("kind", ["bytes", "tokens"])
def test_probabilities_sum_to_one(order, kind):
    words = ByteVocabulary() if kind == "bytes" else vocabulary()
    ngrams = fit_ngrams(TEXTS, words, order=order)
    for context in ([], words.encode("the mean"), words.encode("zzz"), [words.end]):
        found = ngrams.probabilities(context)
        assert found.shape == (len(words),)
        assert float(found.sum()) == pytest.approx(1, abs=1e-12)
        assert float(found.min()) > 0


def test_scores_are_the_logarithms_of_the_distributions():
    words = vocabulary()
    ngrams = fit_ngrams(TEXTS, words, order=3)
    text = "the mean of zebras"
    ids = [*words.encode(text), words.end]
    found = ngrams.score([LONG, text])
    assert [len(row) for row in found] == [len(words.encode(LONG)) + 1, len(ids)]
    expected = [-math.log(ngrams.probabilities(ids[:i])[ids[i]]) for i in range(len(ids))]
    assert found[1].tolist() == pytest.approx(expected, rel=1e-9)
    assert found[1].dtype == torch.float64


def test_only_what_came_before_a_word_counts_below():
    """The classic case: a frequent word that follows one word only is no guess elsewhere."""
    text = "sf sf sf sf sf ag bg cg d"
    ngrams = fit_ngrams([text], ByteVocabulary(), order=2)
    after_d = ngrams.probabilities([ord("d")])
    assert text.count("f") > text.count("g")
    assert after_d[ord("f")] < after_d[ord("g")]


def test_longer_histories_help_on_what_was_counted():
    values = [
        score_texts(fit_ngrams(TEXTS, vocabulary(), order=order), TEXTS).bits_per_byte
        for order in (1, 2, 3)
    ]
    assert values[0] > values[1] > values[2]


def test_bits_per_byte_compare_vocabularies():
    """Whatever cuts the text, the unit is the same, and better than uniform bytes."""
    for words in (ByteVocabulary(), vocabulary()):
        found = score_texts(fit_ngrams(TEXTS, words, order=3), ["The mean of the array."])
        assert 0.5 < found.bits_per_byte < 8


def test_counts_without_a_one_keep_a_discount():
    ngrams = fit_ngrams(["aa", "aa"], ByteVocabulary(), order=2)
    assert float(ngrams.probabilities([97])[98]) > 0
    assert ngrams.num_parameters == 5


def test_bad_orders():
    with pytest.raises(CompanionError, match="order: got 0"):
        fit_ngrams(TEXTS, vocabulary(), order=0)
    with pytest.raises(CompanionError, match="order: got 8; expected fewer tokens of a vocabulary"):
        fit_ngrams(TEXTS, vocabulary(), order=8)
    with pytest.raises(CompanionError, match="got one string"):
        fit_ngrams("text", vocabulary())
    with pytest.raises(CompanionError, match="text 0: got an empty text"):
        fit_ngrams(TEXTS, vocabulary()).score([""])
