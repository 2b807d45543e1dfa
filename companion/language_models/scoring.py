r"""How well a language model predicts texts: bits per byte, and perplexity per token.

A perplexity is a mean over tokens, and what a token is, the vocabulary decides: one that cuts
texts into longer pieces has fewer and harder tokens, so that perplexities of models with different
vocabularies do not compare. The sum of the nats over a whole document does: it is
$-\ln p(\mathrm{document})$ of the same event under each model. Divided by $\ln 2$ and by the number
of UTF-8 bytes, which no model chooses, it becomes bits per byte.

What is measured is the probability of the one cut into tokens that the vocabulary makes. The same
string can be spelt by other tokens as well, which would add to its probability, so that the true
bits per byte of a model are at most those shown here.

Reference: gao2020pile, sec. 3.1
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from companion import checks
from companion.evaluation.intervals import Interval, bootstrap_interval
from companion.language_models.vocabulary import check_texts

__all__ = ["LanguageScores", "Scorer", "difference_in_bits", "score_texts"]


class Scorer(Protocol):
    """Anything that says how surprising the tokens of texts are."""

    def score(self, texts: Sequence[str]) -> list[Tensor]:
        """Return the nats of each token of each text, the end mark last, (tokens + 1,)."""


@dataclass(frozen=True)
class LanguageScores:
    """How well a model predicts some documents.

    Attributes:
        bits_per_byte: bits of all documents, their end marks included, over their UTF-8 bytes.
        bits_per_byte_interval: its bootstrap interval over documents.
        perplexity: of a mean token, end marks included; compares models of one vocabulary only.
        perplexity_interval: its bootstrap interval over documents.
        bits: of each document.
        num_bytes: of each document.
        num_tokens: of each document, the end mark included.
    """

    bits_per_byte: float
    bits_per_byte_interval: Interval
    perplexity: float
    perplexity_interval: Interval
    bits: tuple[float, ...]
    num_bytes: tuple[int, ...]
    num_tokens: tuple[int, ...]


def score_texts(
    model: Scorer,
    texts: Sequence[str],
    *,
    seed: int = 0,
    level: float = 0.95,
    num_resamples: int = 2000,
) -> LanguageScores:
    """Return bits per byte and perplexity of documents under a model.

    The documents are resampled, not the tokens: those of one document are no independent draws.

    Args:
        model: a `LanguageModel` or `NGrams`.
        texts: the documents.
        seed: of the resampling.
        level: share of repetitions that the intervals cover, as a fraction.
        num_resamples: how many times the documents are drawn with replacement.

    Raises:
        CompanionError: no texts, an empty one, or options out of range.

    Reference: gao2020pile, sec. 3.1; efron1993introduction, ch. 13
    """
    sizes = tuple(len(text.encode()) for text in check_texts(texts))
    rows = model.score(texts)
    counts = tuple(len(row) for row in rows)
    nats = [float(row.sum()) for row in rows]
    bits = tuple(value / math.log(2) for value in nats)
    per_byte = bootstrap_interval(bits, sizes, seed=seed, level=level, num_resamples=num_resamples)
    per_token = bootstrap_interval(
        nats, counts, seed=seed, level=level, num_resamples=num_resamples
    )
    return LanguageScores(
        bits_per_byte=sum(bits) / sum(sizes),
        bits_per_byte_interval=per_byte,
        perplexity=math.exp(sum(nats) / sum(counts)),
        perplexity_interval=Interval(
            math.exp(per_token.low), math.exp(per_token.high), level, per_token.method
        ),
        bits=bits,
        num_bytes=sizes,
        num_tokens=counts,
    )


def difference_in_bits(
    first: LanguageScores,
    second: LanguageScores,
    *,
    seed: int = 0,
    level: float = 0.95,
    num_resamples: int = 2000,
) -> tuple[float, Interval]:
    """Return how many bits per byte the first model needs more than the second, paired.

    Both see the same documents in each resample, so that hard and easy ones cancel.

    Args:
        first: of one model.
        second: of another, on the same documents in the same order.
        seed: of the resampling.
        level: share of repetitions that the interval covers, as a fraction.
        num_resamples: how many times the documents are drawn with replacement.

    Returns:
        The difference (below 0 where the first is better) and its interval.

    Raises:
        CompanionError: other documents, or options out of range.

    Reference: efron1993introduction, ch. 13
    """
    if first.num_bytes != second.num_bytes:
        checks.fail(
            "scores",
            got=f"{len(first.num_bytes)} and {len(second.num_bytes)} documents of other sizes",
            expected="the same documents in the same order",
            do="score both models on one list of texts",
        )
    extra = [one - two for one, two in zip(first.bits, second.bits, strict=True)]
    interval = bootstrap_interval(
        extra, first.num_bytes, seed=seed, level=level, num_resamples=num_resamples
    )
    return sum(extra) / sum(first.num_bytes), interval
