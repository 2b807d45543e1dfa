"""Rows of token ids as blocks to train on and as windows to score in, with the labels shifted.

The label of a position is the token after it. Rows are filled up on the right only: a network
that looks to the left never sees that padding from a real position, so that no attention mask is
needed, and the label there is `IGNORE_LABEL`, so that no loss counts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from companion import checks
from companion.batches import IGNORE_LABEL

__all__ = ["Blocks", "Window", "answer_blocks", "cut_windows", "pack_blocks"]


@dataclass(frozen=True, eq=False)
class Blocks:
    """Inputs and the tokens that follow them.

    Attributes:
        inputs: token ids, (blocks, tokens), int64.
        labels: the token after each, (blocks, tokens), int64; `IGNORE_LABEL` where none is to be
            learned: after the end of a row, and within a prompt.
    """

    inputs: Tensor
    labels: Tensor

    def __len__(self) -> int:
        """Return how many blocks there are."""
        return len(self.inputs)

    @property
    def num_targets(self) -> int:
        """How many tokens are to be predicted."""
        return int((self.labels != IGNORE_LABEL).sum())

    def batch(self, indices: Tensor) -> Blocks:
        """Return some blocks, cut to the longest of them.

        Args:
            indices: which, (batch,), int64.
        """
        inputs, labels = self.inputs[indices], self.labels[indices]
        used = int((labels != IGNORE_LABEL).any(dim=0).nonzero().max()) + 1
        return Blocks(inputs[:, :used], labels[:, :used])


def pack_blocks(rows: Sequence[Sequence[int]], *, length: int, end: int, padding: int) -> Blocks:
    """Put texts behind each other, an end mark before and after each, and cut blocks of one length.

    Nothing is lost and nothing is learned twice: each token of each text, and each end mark but
    the first, is a label exactly once. Within a block a text sees the end of the one before.

    Args:
        rows: token ids of each text.
        length: tokens of a block.
        end: id of the end mark.
        padding: id that fills up the last block.

    Returns:
        The blocks, (blocks, length).

    Raises:
        CompanionError: no rows, or a length below 1.
    """
    checks.non_empty("rows", rows, do="pass at least one text")
    checks.positive_int("length", length)
    stream = torch.tensor([end, *(token for row in rows for token in (*row, end))])
    num_blocks = -(-(len(stream) - 1) // length)
    inputs = torch.full((num_blocks * length,), padding)
    labels = torch.full((num_blocks * length,), IGNORE_LABEL)
    inputs[: len(stream) - 1] = stream[:-1]
    labels[: len(stream) - 1] = stream[1:]
    return Blocks(inputs.view(num_blocks, length), labels.view(num_blocks, length))


def answer_blocks(
    pairs: Sequence[tuple[Sequence[int], Sequence[int]]], *, length: int, end: int, padding: int
) -> Blocks:
    """Put each prompt with its answer in a block of its own, with labels on the answer alone.

    A block reads: end mark, prompt, answer. The labels are the tokens of the answer and the end
    mark after it; within the prompt they are `IGNORE_LABEL`.

    Args:
        pairs: token ids of each prompt and of its answer.
        length: tokens of the longest block.
        end: id of the end mark.
        padding: id that fills up the shorter blocks.

    Returns:
        The blocks, (pairs, tokens of the longest).

    Raises:
        CompanionError: no pairs, an answer without tokens, or a pair that is too long.
    """
    checks.non_empty("pairs", pairs, do="pass at least one prompt with its answer")
    inputs, labels = [], []
    for position, (prompt, answer) in enumerate(pairs):
        num_tokens = 1 + len(prompt) + len(answer)
        if not answer or num_tokens > length:
            checks.fail(
                f"pair {position}",
                got=f"{len(prompt)} tokens of prompt and {len(answer)} of answer",
                expected=f"an answer, and at most {length - 1} tokens together",
                do="shorten the prompt, or take a model with more positions",
            )
        inputs.append(torch.tensor([end, *prompt, *answer]))
        labels.append(torch.tensor([*[IGNORE_LABEL] * len(prompt), *answer, end]))
    return Blocks(_stack(inputs, padding), _stack(labels, IGNORE_LABEL))


def _stack(rows: Sequence[Tensor], padding: int) -> Tensor:
    """Return rows as one tensor, filled up on the right."""
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=padding)


@dataclass(frozen=True)
class Window:
    """A piece of a row that a network reads at once.

    Attributes:
        start: first position that is read.
        first: first position whose label is scored; those before it are context alone.
        stop: position after the last.
    """

    start: int
    first: int
    stop: int


def cut_windows(num_positions: int, *, length: int, stride: int) -> list[Window]:
    """Return windows that score each position of a row once, with as much context as there is.

    Where a row fits in one window there is one. Else each window moves on by `stride`, and scores
    only what those before it have not: every token has at least `length - stride` tokens of
    context, or all that there are.

    Args:
        num_positions: positions of the row.
        length: positions that a network reads at once.
        stride: how far a window moves, at most `length`.

    Raises:
        CompanionError: a stride that would leave positions out.

    Example:
        >>> cut_windows(5, length=4, stride=2)
        [Window(start=0, first=0, stop=4), Window(start=2, first=4, stop=5)]
    """
    if not 1 <= checks.positive_int("stride", stride) <= length:
        checks.fail(
            "stride", got=stride, expected=f"1..{length}, the context", do="choose a smaller one"
        )
    windows = [Window(0, 0, min(length, num_positions))]
    while windows[-1].stop < num_positions:
        last = windows[-1]
        stop = min(last.start + stride + length, num_positions)
        windows.append(Window(last.start + stride, last.stop, stop))
    return windows
