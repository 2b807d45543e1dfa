"""A GPT-2 of transformers with its vocabulary, and what it says of texts: nats a token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from companion import checks, runtime
from companion.batches import IGNORE_LABEL
from companion.language_models.blocks import Window, cut_windows
from companion.language_models.vocabulary import Vocabulary, check_texts

__all__ = ["GPTShape", "LanguageModel", "build_gpt", "token_nats"]

POSITIONS_AT_ONCE = 4096
"""How many positions one forward pass of `score` holds, padding included."""


@dataclass(frozen=True)
class GPTShape:
    """The sizes of a GPT-2; the defaults are those of `tinygpt`, 3.04 million parameters.

    Attributes:
        vocabulary_size: rows of the embedding, which is the last layer as well (tied).
        width: numbers that describe a token.
        num_layers: transformer blocks.
        num_heads: attention heads of each; they divide the width.
        num_positions: tokens of the longest context.
        dropout: share of activations that is dropped in training.

    Reference: radford2019language, sec. 2.3
    """

    vocabulary_size: int = 4096
    width: int = 192
    num_layers: int = 5
    num_heads: int = 6
    num_positions: int = 128
    dropout: float = 0.0


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A network that predicts the next token, and the vocabulary that its tokens are from.

    Attributes:
        network: transformers' `GPT2LMHeadModel`.
        vocabulary: its vocabulary.
    """

    network: Any
    vocabulary: Vocabulary

    def __post_init__(self) -> None:
        """Refuse a vocabulary that does not belong to the network."""
        size = self.network.config.vocab_size
        if len(self.vocabulary) > size:
            checks.fail(
                "vocabulary",
                got=f"{len(self.vocabulary)} tokens",
                expected=f"at most {size}, as many as the network has vectors",
                do="take network and vocabulary from the same folder",
            )

    @property
    def num_positions(self) -> int:
        """How many tokens the network reads at once."""
        return int(self.network.config.n_positions)

    @property
    def num_parameters(self) -> int:
        """How many numbers the network holds; the tied embedding counts once."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    @property
    def device(self) -> torch.device:
        """Where the network lies."""
        found: torch.device = next(self.network.parameters()).device
        return found

    def score(self, texts: Sequence[str], *, stride: int | None = None) -> list[Tensor]:
        r"""Return how surprising each token of each text is: $-\ln p(x_t \mid x_{<t})$ in nats.

        Each text is a document of its own: an end mark stands before it, and the end mark after it
        is scored as its last token. Their sum is the code length of the document. A text that is
        longer than the context is read in windows.

        Args:
            texts: the documents.
            stride: how far a window moves on in a long text, in tokens; `None` takes half the
                context. Smaller ones give each token more context and take longer.

        Returns:
            One row a text, (tokens + 1,), float64, on the CPU.

        Raises:
            CompanionError: no texts, an empty one, or a stride beyond the context.
        """
        rows = [self.vocabulary.encode(text) for text in check_texts(texts)]
        end = self.vocabulary.end
        streams = [torch.tensor([end, *row, end]) for row in rows]
        stride = max(1, self.num_positions // 2) if stride is None else stride
        pieces = [
            (number, window)
            for number, stream in enumerate(streams)
            for window in cut_windows(len(stream) - 1, length=self.num_positions, stride=stride)
        ]
        nats = [torch.empty(len(stream) - 1, dtype=torch.float64) for stream in streams]
        for group in _alike(pieces):
            found = self._score_windows(streams, group)
            for (number, window), row in zip(group, found, strict=True):
                kept = row[window.first - window.start : window.stop - window.start]
                nats[number][window.first : window.stop] = kept
        return nats

    @torch.inference_mode()
    def _score_windows(
        self, streams: Sequence[Tensor], group: Sequence[tuple[int, Window]]
    ) -> Tensor:
        """Return the nats of windows, (windows, tokens), float64, zero where there is none."""
        inputs = [streams[number][window.start : window.stop] for number, window in group]
        labels = [streams[number][window.start + 1 : window.stop + 1] for number, window in group]
        pad = nn.utils.rnn.pad_sequence
        was_training = self.network.training
        self.network.eval()
        found = token_nats(
            self.network,
            pad(inputs, batch_first=True, padding_value=self.vocabulary.padding),
            pad(labels, batch_first=True, padding_value=IGNORE_LABEL),
        )
        self.network.train(was_training)
        return found.double().cpu()


def token_nats(network: Any, inputs: Tensor, labels: Tensor) -> Tensor:
    r"""Return the loss of each position, $-\ln p(\mathrm{label} \mid \mathrm{inputs\ so\ far})$.

    Args:
        network: transformers' `GPT2LMHeadModel`.
        inputs: token ids, filled up on the right, (batch, tokens), int64.
        labels: the token after each, (batch, tokens), int64; `IGNORE_LABEL` counts as 0.

    Returns:
        Nats, (batch, tokens), float32, on the network's device.
    """
    device = next(network.parameters()).device
    inputs = inputs.to(device)
    everything = torch.ones_like(inputs)  # padding on the right is never looked at from the left
    logits: Tensor = network(inputs, attention_mask=everything, use_cache=False).logits
    return functional.cross_entropy(
        logits.float().transpose(1, 2),
        labels.to(device),
        ignore_index=IGNORE_LABEL,
        reduction="none",
    )


def _alike(pieces: Sequence[tuple[int, Window]]) -> Iterator[list[tuple[int, Window]]]:
    """Yield windows of similar length together, as many as one pass may hold."""
    group: list[tuple[int, Window]] = []
    for piece in sorted(pieces, key=lambda piece: piece[1].stop - piece[1].start):
        longest = piece[1].stop - piece[1].start
        if group and (len(group) + 1) * longest > POSITIONS_AT_ONCE:
            yield group
            group = []
        group.append(piece)
    yield group


def build_gpt(
    shape: GPTShape | None = None, *, end: int = 0, padding: int = 1, seed: int = 0
) -> Any:
    """Return a GPT-2 with random weights, in evaluation mode.

    Args:
        shape: its sizes; `None` takes those of `tinygpt`.
        end: id of the end mark, for transformers' own `generate`.
        padding: id of the padding token, likewise.
        seed: seed of the weights.

    Returns:
        transformers' `GPT2LMHeadModel`.

    Raises:
        CompanionError: a size that is no positive integer, or heads that do not divide the width.
    """
    from transformers import GPT2LMHeadModel

    config = gpt_config(shape or GPTShape(), end=end, padding=padding)
    with runtime.fork_seed(seed, "gpt", "weights"):
        network: Any = GPT2LMHeadModel(config)
    return network.eval()


def gpt_config(shape: GPTShape, *, end: int, padding: int) -> Any:
    """Return transformers' `GPT2Config` of a shape.

    Args:
        shape: the sizes.
        end: id of the end mark.
        padding: id of the padding token.

    Raises:
        CompanionError: a size that is no positive integer, or heads that do not divide the width.
    """
    from transformers import GPT2Config

    for name in ("vocabulary_size", "width", "num_layers", "num_heads", "num_positions"):
        checks.positive_int(name, getattr(shape, name))
    if shape.width % shape.num_heads:
        checks.fail(
            "num_heads",
            got=shape.num_heads,
            expected=f"a divisor of the width, {shape.width}",
            do="choose both anew",
        )
    return GPT2Config(
        vocab_size=shape.vocabulary_size,
        n_embd=shape.width,
        n_layer=shape.num_layers,
        n_head=shape.num_heads,
        n_positions=shape.num_positions,
        resid_pdrop=shape.dropout,
        embd_pdrop=shape.dropout,
        attn_pdrop=shape.dropout,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=padding,
        tie_word_embeddings=True,
        architectures=["GPT2LMHeadModel"],
    )
