"""Texts as numbers: a byte-level vocabulary that is trained, or the 256 bytes themselves.

Every string has an encoding and comes back from it exactly: the smallest pieces are bytes, so no
text is unknown. A special token that stands in a text as letters is read as letters, and only
`end` marks where a document ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from companion import checks, runtime

__all__ = [
    "ByteVocabulary",
    "Codec",
    "Vocabulary",
    "check_texts",
    "load_vocabulary",
    "tiny_vocabulary",
    "train_vocabulary",
]

END, PADDING = "<|endoftext|>", "<|padding|>"
NUM_BYTES = 256


class Codec(Protocol):
    """Anything that turns texts into token ids and back."""

    @property
    def end(self) -> int:
        """The id of the mark between documents."""

    def __len__(self) -> int:
        """Return how many tokens there are."""

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text."""

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """A byte-level vocabulary with its special tokens.

    Attributes:
        tokenizer: a `tokenizers.Tokenizer`; it is told to read special tokens in a text as text.
        end: id of the mark between documents.
        padding: id that fills up short rows; where the vocabulary has none, that of `end`.

    Reference: radford2019language, sec. 2.2 (bytes as the smallest pieces)
    """

    tokenizer: Any
    end: int
    padding: int

    def __len__(self) -> int:
        """Return how many tokens there are, the special ones included."""
        return int(self.tokenizer.get_vocab_size())

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, without marks at its ends.

        Args:
            text: any string.

        Raises:
            CompanionError: it is no string, or holds half a character (a lone surrogate).
        """
        check_texts([text], may_be_empty=True)
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids; special tokens stay as they are spelt.

        Args:
            ids: token ids; bytes that are no UTF-8 become the replacement character.

        Raises:
            CompanionError: an id that the vocabulary does not have.
        """
        _check_ids(ids, len(self))
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=False))

    def save(self, path: str | Path) -> Path:
        """Write the vocabulary as one JSON file, in the format of `tokenizer.json`.

        Args:
            path: where to.

        Raises:
            CompanionError: no permission, or no room.
        """
        return runtime.atomic_write(path, self.tokenizer.to_str())


@dataclass(frozen=True)
class ByteVocabulary:
    """The 256 bytes of UTF-8 and a mark between documents: nothing is trained.

    Attributes:
        end: id of the mark between documents.
    """

    end: int = NUM_BYTES

    def __len__(self) -> int:
        """Return how many tokens there are."""
        return NUM_BYTES + 1

    def encode(self, text: str) -> list[int]:
        """Return the bytes of a text.

        Args:
            text: any string.

        Raises:
            CompanionError: it is no string, or holds half a character (a lone surrogate).
        """
        check_texts([text], may_be_empty=True)
        return list(text.encode())

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of bytes; the mark between documents is spelt out.

        Args:
            ids: token ids; bytes that are no UTF-8 become the replacement character.

        Raises:
            CompanionError: an id that the vocabulary does not have.
        """
        _check_ids(ids, len(self))
        pieces = [END.encode() if number == self.end else bytes([number]) for number in ids]
        return b"".join(pieces).decode(errors="replace")


def train_vocabulary(texts: Iterable[str], *, size: int = 4096) -> Vocabulary:
    """Return a vocabulary of the byte pairs that occur most often in texts.

    It starts from the 256 bytes; the most frequent pair of neighbours becomes a token of its own,
    until there are enough. No pair reaches over the border of a word. Equal texts give an equal
    vocabulary, in whatever order they come.

    Args:
        texts: strings, read once.
        size: how many tokens, the 256 bytes and the two special ones included; fewer come out
            where the texts hold too few pairs.

    Raises:
        CompanionError: no text, an item that is no string, or a size that leaves no room for the
            bytes.

    Reference: sennrich2016neural, algorithm 1
    """
    from tokenizers import pre_tokenizers, trainers

    if checks.positive_int("size", size) < NUM_BYTES + 2:
        checks.fail(
            "size",
            got=size,
            expected=f"at least {NUM_BYTES + 2}",
            do="leave room for 256 bytes and two special tokens",
        )
    tokenizer = _bare_tokenizer()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[END, PADDING],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    given = check_texts(texts if isinstance(texts, str) else list(texts))
    tokenizer.train_from_iterator(given, trainer)
    return as_vocabulary(tokenizer)


def tiny_vocabulary() -> Vocabulary:
    """Return the 256 bytes as a `Vocabulary`: for tests and for the scale `rehearsal`."""
    return train_vocabulary(["-"], size=NUM_BYTES + 2)


def load_vocabulary(path: str | Path) -> Vocabulary:
    """Load a vocabulary.

    Args:
        path: a file that `Vocabulary.save` wrote, or the `tokenizer.json` of a public model of
            the GPT-2 kind.

    Raises:
        CompanionError: no such file, or it holds no byte-level vocabulary with an end mark.
    """
    from tokenizers import Tokenizer

    path = checks.existing_file("vocabulary", path)
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises Exception itself
        checks.fail(
            f"vocabulary {path}",
            got=f"broken content ({str(error).splitlines()[0]})",
            expected="a tokenizer.json",
            do="save the vocabulary again",
        )
    return as_vocabulary(tokenizer, name=str(path))


def as_vocabulary(tokenizer: Any, *, name: str = "tokenizer") -> Vocabulary:
    """Return a tokenizer as a `Vocabulary`.

    Args:
        tokenizer: a `tokenizers.Tokenizer` of the GPT-2 kind.
        name: what it is called, for the message.

    Raises:
        CompanionError: it has no end mark, or it is not byte-level: some text would not come back.

    Modifies: the tokenizer: it reads special tokens in a text as text, neither cuts nor fills up.
    """
    end = tokenizer.token_to_id(END)
    if end is None or type(tokenizer.decoder).__name__ != "ByteLevel":
        checks.fail(
            f"vocabulary {name}",
            got=f"{'no' if end is None else 'an'} end mark {END}, "
            f"decoder {type(tokenizer.decoder).__name__}",
            expected=f"a byte-level vocabulary with {END}",
            do="take one of `train_vocabulary`, or of a model of the GPT-2 kind",
        )
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    padding = tokenizer.token_to_id(PADDING)
    return Vocabulary(tokenizer, end, end if padding is None else padding)


def _bare_tokenizer() -> Any:
    """Return a byte-level tokenizer that knows no tokens yet."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def check_texts(texts: Sequence[str], *, may_be_empty: bool = False) -> list[str]:
    """Return texts, once each of them is one that can be encoded.

    Args:
        texts: strings.
        may_be_empty: whether a text of no letters is let through.

    Raises:
        CompanionError: one string in place of several, none at all, an item that is no string,
            an empty one, or half a character (a lone surrogate).
    """
    if isinstance(texts, str):
        checks.fail("texts", got="one string", expected="a list of texts", do="pass [text]")
    checks.non_empty("texts", texts, do="pass at least one text")
    for position, text in enumerate(texts):
        problem = _problem(text, may_be_empty=may_be_empty)
        if problem:
            checks.fail(
                f"text {position}",
                got=problem,
                expected="a string of whole characters" + ("" if may_be_empty else ", not empty"),
                do="leave it out, or read its file with the right encoding",
            )
    return list(texts)


def _problem(text: object, *, may_be_empty: bool) -> str | None:
    """Return what is wrong with a text, or `None`."""
    if not isinstance(text, str):
        return f"{text!r:.40}, a {type(text).__name__}"
    if not text and not may_be_empty:
        return "an empty text"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"half a character at position {error.start}"
    return None


def _check_ids(ids: Sequence[int], size: int) -> None:
    """Refuse ids that a vocabulary does not have."""
    wrong = [number for number in ids if not 0 <= number < size]
    if wrong:
        checks.fail(
            "token ids",
            got=wrong[0],
            expected=f"0..{size - 1}",
            do="decode with the vocabulary that encoded them",
        )
