r"""The n-gram model with interpolated Kneser-Ney smoothing: counting in place of training.

With $h$ the last $n-1$ tokens and $h'$ the last $n-2$ of them,

$$p(w \mid h) = \frac{\max(c(hw) - D, 0)}{c(h)} + \frac{D\, t(h)}{c(h)}\, p(w \mid h'),$$

where $c(h) = \sum_w c(hw)$ and $t(h)$ is how many different tokens follow $h$. For the longest
histories $c$ counts occurrences; for shorter ones $c(hw)$ counts how many different tokens stand
before $hw$: a token that follows one word only is no likely guess after another. Below the
single tokens lies the uniform distribution, so that nothing has probability zero.

Reference: kneser1995improved; chen1999empirical, sec. 2.7
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from companion import checks
from companion.language_models.vocabulary import Codec, check_texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["NGrams", "fit_ngrams"]

LARGEST_KEY = 2**63 - 1


@dataclass(frozen=True, eq=False)
class Counts:
    """What is counted for histories of one length; sorted keys stand for rows of tokens.

    Attributes:
        grams: keys of history and token, (grams,), int64.
        values: count of each, (grams,).
        histories: keys of the histories, (histories,), int64.
        totals: sum of the counts after each, (histories,).
        followers: how many different tokens follow each, (histories,).
        discount: what is taken off each count.
    """

    grams: NDArray[Any]
    values: NDArray[Any]
    histories: NDArray[Any]
    totals: NDArray[Any]
    followers: NDArray[Any]
    discount: float


@dataclass(frozen=True, eq=False)
class NGrams:
    """An n-gram model; `fit_ngrams` makes it.

    Attributes:
        vocabulary: what cuts texts into tokens: a `Vocabulary`, or `ByteVocabulary`.
        order: tokens of the longest n-gram, the predicted one included.
        counts: of histories of 0, 1, ... `order - 1` tokens.
    """

    vocabulary: Codec
    order: int
    counts: tuple[Counts, ...]

    @property
    def num_parameters(self) -> int:
        """How many n-grams of all orders are kept."""
        return sum(len(level.grams) for level in self.counts)

    def score(self, texts: Sequence[str]) -> list[Tensor]:
        r"""Return how surprising each token of each text is: $-\ln p(x_t \mid x_{<t})$ in nats.

        Args:
            texts: the documents; end marks stand before each, and the one after it is scored.

        Returns:
            One row a text, (tokens + 1,), float64.

        Raises:
            CompanionError: no texts, or an empty one.
        """
        import numpy as np

        rows = [self.vocabulary.encode(text) for text in check_texts(texts)]
        grams = [_grams(row, self.order, self.vocabulary.end) for row in rows]
        nats = -np.log(self._probabilities_of(np.concatenate(grams)))
        return [torch.from_numpy(row) for row in np.split(nats, _borders(grams))]

    def probabilities(self, context: Sequence[int]) -> Tensor:
        """Return the distribution of the next token, (vocabulary,), float64.

        Args:
            context: token ids so far; end marks are put before a short one.
        """
        import numpy as np

        size = len(self.vocabulary)
        history = [self.vocabulary.end] * (self.order - 1) + list(context)
        kept = np.array(history[len(history) - self.order + 1 :], dtype=np.int64)
        grams = np.column_stack([np.tile(kept, (size, 1)), np.arange(size)])
        return torch.from_numpy(self._probabilities_of(grams))

    def _probabilities_of(self, grams: NDArray[Any]) -> NDArray[Any]:
        """Return the probability of the last token of each n-gram, (grams,), float64."""
        import numpy as np

        size = len(self.vocabulary)
        found = np.full(len(grams), 1 / size)
        for length, level in enumerate(self.counts):
            keys = _keys(grams[:, self.order - 1 - length :], size)
            counts = _look_up(level.grams, level.values, keys)
            totals = _look_up(level.histories, level.totals, keys // size)
            followers = _look_up(level.histories, level.followers, keys // size)
            seen = totals > 0
            below = np.maximum(totals, 1)
            discounted = np.maximum(counts - level.discount, 0) / below
            rest = level.discount * followers / below
            found = np.where(seen, discounted + rest * found, found)
        return found


def fit_ngrams(texts: Sequence[str], vocabulary: Codec, *, order: int = 3) -> NGrams:
    """Count the n-grams of texts.

    Args:
        texts: the documents.
        vocabulary: what cuts them into tokens: a `Vocabulary`, or `ByteVocabulary`.
        order: tokens of the longest n-gram, the predicted one included; 1 ignores the context.

    Raises:
        CompanionError: no texts, an empty one, or an order whose n-grams do not fit into 64 bits.

    Reference: chen1999empirical, sec. 2.7
    """
    import numpy as np

    size = len(vocabulary)
    if size ** checks.positive_int("order", order) > LARGEST_KEY:
        checks.fail(
            "order",
            got=order,
            expected=f"fewer tokens of a vocabulary of {size}",
            do="choose a lower order, or a smaller vocabulary",
        )
    rows = [vocabulary.encode(text) for text in check_texts(texts)]
    found = [_keys(_grams(row, order, vocabulary.end), size) for row in rows]
    keys, values = np.unique(np.concatenate(found), return_counts=True)
    levels = [_count(keys, values, size)]
    for length in range(order - 1, 0, -1):
        # Of the different longer ones, how many end in each shorter one.
        keys, values = np.unique(keys % size**length, return_counts=True)
        levels.append(_count(keys, values, size))
    return NGrams(vocabulary, order, tuple(reversed(levels)))


def _grams(row: Sequence[int], order: int, end: int) -> NDArray[Any]:
    """Return the n-grams that end at each token of a document, (tokens + 1, order), int64."""
    import numpy as np

    padded = np.array([end] * (order - 1) + [*row, end], dtype=np.int64)
    return np.lib.stride_tricks.sliding_window_view(padded, order)


def _borders(rows: Sequence[NDArray[Any]]) -> list[int]:
    """Return where each row but the first begins once they are put behind each other."""
    return list(accumulate(len(row) for row in rows))[:-1]


def _keys(grams: NDArray[Any], size: int) -> NDArray[Any]:
    """Return each row of tokens as one number in base `size`, (grams,), int64."""
    import numpy as np

    keys = np.zeros(len(grams), dtype=np.int64)
    for column in grams.T:
        keys = keys * size + column
    return keys


def _count(keys: NDArray[Any], values: NDArray[Any], size: int) -> Counts:
    """Return the counts of n-grams with what follows from them."""
    import numpy as np

    histories, place = np.unique(keys // size, return_inverse=True)
    totals = np.bincount(place, values)
    return Counts(keys, values, histories, totals, np.bincount(place), _discount(values))


def _discount(values: NDArray[Any]) -> float:
    """Return $n_1 / (n_1 + 2 n_2)$, with $n_i$ how many counts are $i$; a half where none is 1."""
    ones, twos = int((values == 1).sum()), int((values == 2).sum())
    return ones / (ones + 2 * twos) if ones else 0.5


def _look_up(keys: NDArray[Any], values: NDArray[Any], wanted: NDArray[Any]) -> NDArray[Any]:
    """Return the value of each wanted key, 0 where it is not there."""
    import numpy as np

    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)
