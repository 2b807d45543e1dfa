"""Texts for an encoder of transformers: cut into tokens, and one vector a token or a word back."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from companion import checks
from companion.batches import Augmentation, BatchSource, PaddedSource, pad_sequences
from companion.splits import Split

__all__ = ["TextEncoder", "TextPrepare", "gather_words", "word_mask"]

WORD_TASKS = ("tokens", "spans")
"""Tasks with one label a word: the inputs are sentences as rows of words."""

MOST_SPARE = 128
"""Vocabularies are rounded up to a multiple of at most so many."""


class TextEncoder(nn.Module):
    """An encoder of transformers that returns one vector a token, or one a word.

    The second of two texts is marked as such (its token types are 1), where the network knows
    token types: it begins behind the first separator.

    Args:
        network: a model such as `BertModel`, without its pooler.
        separator: id of the token that ends a text; `None` where the network has no token types.

    Reference: devlin2019bert, fig. 2 (token types)
    """

    def __init__(self, network: nn.Module, *, separator: int | None = None):
        super().__init__()
        self.network = network
        self.separator = separator

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return features.

        Args:
            inputs: token ids, (batch, tokens), int64.
            mask: True where a token is real, (batch, tokens), bool; or int8 with 2 at the first
                piece of each word.

        Returns:
            (batch, tokens, feature_dim); with marked words (batch, words, feature_dim), the
            vector of the first piece of each.
        """
        options: dict[str, Tensor] = {}
        if mask is not None:
            options["attention_mask"] = (mask > 0).long()
        if self.separator is not None:
            ends = inputs == self.separator
            options["token_type_ids"] = (ends.cumsum(dim=1) - ends.long()).clamp(max=1)
        hidden: Tensor = self.network(input_ids=inputs, **options).last_hidden_state
        if mask is None or mask.dtype == torch.bool:
            return hidden
        return gather_words(hidden, mask == 2)


def gather_words(features: Tensor, starts: Tensor) -> Tensor:
    """Return the vectors of the first pieces of words, in their order.

    Args:
        features: (batch, tokens, feature_dim).
        starts: True at the first piece of a word, (batch, tokens), bool.

    Returns:
        (batch, words, feature_dim), padded with zeros to the sentence of most words.

    Reference: devlin2019bert, sec. 5.3
    """
    rows = [row[chosen] for row, chosen in zip(features, starts, strict=True)]
    return pad_sequences(rows, padding=0)[0]


def word_mask(mask: Tensor) -> Tensor:
    """Return which positions of the features are real: tokens, or words where they are marked.

    Args:
        mask: of the inputs, (batch, tokens), bool, or int8 with 2 at the first piece of each word.

    Returns:
        (batch, tokens or words), bool.
    """
    if mask.dtype == torch.bool:
        return mask
    counts = (mask == 2).sum(dim=1)
    longest = max(int(counts.max()), 1)
    return torch.arange(longest, device=mask.device)[None, :] < counts[:, None]


@dataclass(frozen=True, eq=False)
class TextPrepare:
    """Cut texts, pairs of texts or sentences of words into the tokens that an encoder knows.

    Texts beyond the longest length are cut there, and how many is said in a warning. A sentence
    whose words carry labels is refused instead: a label without a word would be lost.

    Attributes:
        tokenizer: a `tokenizers.Tokenizer`.
        max_length: tokens of the longest text, the special ones included.
        padding: id of the padding token.
    """

    tokenizer: Any
    max_length: int
    padding: int = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> TextPrepare:
        """Return itself: it holds nothing that changes."""
        return self

    def __call__(self, split: Split, augment: Augmentation | None) -> BatchSource:
        """Return the split's texts as token ids."""
        if augment is not None:
            checks.fail(
                "augment",
                got=f"{type(augment).__name__}, which changes pictures",
                expected="None for texts",
                do="leave it out of the recipe",
            )
        check_texts(split)
        if split.task in WORD_TASKS:
            return self._of_words(split)
        encodings = self._encode([tuple(t) if _is_pair(t) else t for t in split.inputs])
        num_cut = sum(1 for found in encodings if found.overflowing)
        if num_cut:
            warnings.warn(
                f"{num_cut} of {len(split)} texts of split {split.name!r} have more than "
                f"{self.max_length} tokens and are cut there",
                stacklevel=4,
            )
        rows = [torch.tensor(found.ids, dtype=torch.long) for found in encodings]
        return PaddedSource(rows, split.labels, padding=self.padding)

    def _encode(
        self, items: Sequence[Any], *, of_words: bool = False, knows_special: bool = False
    ) -> list[Any]:
        """Return the encodings of texts, cut at the longest length."""
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(self.max_length)
        self.tokenizer.encode_special_tokens = not knows_special  # "[SEP]" in a text is text
        found: list[Any] = self.tokenizer.encode_batch(list(items), is_pretokenized=of_words)
        return found

    def _of_words(self, split: Split) -> BatchSource:
        """Return sentences of words as token ids, with a mark at the first piece of each word."""
        sentences = [list(words) for words in split.inputs]
        encodings = self._encode(sentences, of_words=True)
        for position, (words, found) in enumerate(zip(sentences, encodings, strict=True)):
            lost = set(range(len(words))) - set(found.word_ids)
            if lost and not found.overflowing:  # the tokenizer drops some signs: a lone accent
                known = ["[UNK]" if i in lost else word for i, word in enumerate(words)]
                found = self._encode([known], of_words=True, knows_special=True)[0]
                encodings[position] = found
            if found.overflowing:
                checks.fail(
                    f"sentence {split.ids[position]!r}",
                    got=f"{len(words)} words, more than {self.max_length} tokens",
                    expected=f"at most {self.max_length} tokens, as each word has a label",
                    do="divide the sentence, or load the backbone with a larger max_length",
                )
        rows = [torch.tensor(found.ids, dtype=torch.long) for found in encodings]
        starts = [_word_starts(found.word_ids) for found in encodings]
        return PaddedSource(rows, split.labels, padding=self.padding, word_starts=starts)


def _word_starts(word_ids: Sequence[int | None]) -> Tensor:
    """Return where a new word begins, (tokens,), bool."""
    before = [None, *word_ids[:-1]]
    begins = [now is not None and now != last for now, last in zip(word_ids, before, strict=True)]
    return torch.tensor(begins)


def _is_pair(item: Any) -> bool:
    """Return whether an item is a pair of texts."""
    return isinstance(item, (tuple, list)) and len(item) == 2


def check_texts(split: Split) -> None:
    """Pass a split whose inputs are texts, pairs of texts, or sentences of words for word labels.

    Args:
        split: the items.

    Raises:
        CompanionError: an item is something else, or empty, or has not one label a word.
    """
    is_words = split.task in WORD_TASKS
    for position, item in enumerate(split.inputs):
        is_row = isinstance(item, (tuple, list))
        parts = item if is_row else [item]
        is_right_kind = is_row if is_words else not is_row or _is_pair(item)
        if not is_right_kind or not all(isinstance(part, str) for part in parts):
            checks.fail(
                f"text {split.ids[position]!r}",
                got=f"{str(item)[:40]!r}, a {type(item).__name__}",
                expected="a tuple of words" if is_words else "a string, or a pair of strings",
                do="divide each sentence into words" if is_words else "pass the texts themselves",
            )
        if not parts or not all(part.strip() for part in parts):
            checks.fail(
                f"text {split.ids[position]!r}",
                got="nothing, or blanks only",
                expected="at least one letter" + (" in each word" if is_words else ""),
                do="leave the item out",
            )
        if is_words and len(split.labels[position]) != len(parts):
            checks.fail(
                f"sentence {split.ids[position]!r}",
                got=f"{len(parts)} words and {len(split.labels[position])} labels",
                expected="one label a word",
                do="label each word, with -100 for none",
            )


def check_tokenizer(tokenizer: Any, vocabulary_size: int, *, name: str) -> None:
    """Refuse a tokenizer whose tokens are not those that the network has vectors for.

    A network may have a few vectors more, up to a round number, but not many.

    Args:
        tokenizer: a `tokenizers.Tokenizer`.
        vocabulary_size: rows of the network's embedding.
        name: of the backbone.

    Raises:
        CompanionError: it belongs to another model.
    """
    size = tokenizer.get_vocab_size()
    if not vocabulary_size - MOST_SPARE < size <= vocabulary_size:
        checks.fail(
            f"tokenizer of {name}",
            got=f"{size} tokens",
            expected=f"about {vocabulary_size} and no more, as the model has that many vectors",
            do="take tokenizer and weights from the same folder",
        )


def special_ids(tokenizer: Any) -> tuple[int, int | None]:
    """Return the ids of the padding token and of BERT's separator (`None` where it has none).

    Args:
        tokenizer: a `tokenizers.Tokenizer`.
    """
    facts = json.loads(tokenizer.to_str())
    names = {token["content"] for token in facts.get("added_tokens", [])}
    padding = next((n for n in ("[PAD]", "<pad>", "<|endoftext|>") if n in names), None)
    separator = tokenizer.token_to_id("[SEP]")
    return (tokenizer.token_to_id(padding) if padding else 0), separator
