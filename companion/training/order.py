"""Which items meet in a batch, and in which order: a function of seed and epoch alone."""

from __future__ import annotations

import torch
from torch import Tensor

from companion import runtime

__all__ = ["epoch_batches", "split_order"]

WINDOW = 50
"""Batches whose items are sorted by length among themselves: all of an epoch would be the same
batches in every epoch, one batch would save nothing."""


def epoch_batches(
    num_items: int,
    batch_size: int,
    seed: int,
    epoch: int,
    *,
    lengths: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """Return the batches of an epoch in the order in which they are taken.

    With lengths the shuffled items are sorted by length within windows of batches, cut into
    batches of nearly one length, and the batches shuffled.

    Args:
        num_items: how many items there are.
        batch_size: items a batch.
        seed: seed of the run.
        epoch: which epoch, from 0.
        lengths: positions of each item, (items,), int64; `None` for items of one size.

    Returns:
        Positions of the items of each batch.
    """
    order = runtime.epoch_order(num_items, seed=seed, epoch=epoch)
    if lengths is None:
        return split_order(order, batch_size)
    windows = torch.split(order, WINDOW * batch_size)
    sorted_windows = [w[torch.argsort(lengths[w], descending=True, stable=True)] for w in windows]
    batches = split_order(torch.cat(sorted_windows), batch_size)
    own_seed = runtime.derive_seed(seed, "lengths")
    shuffled = runtime.epoch_order(len(batches), seed=own_seed, epoch=epoch)
    return tuple(batches[position] for position in shuffled.tolist())


def split_order(order: Tensor, batch_size: int) -> tuple[Tensor, ...]:
    """Divide an epoch into batches; a last item alone joins the batch before it.

    Batch norm cannot take its statistics from one item.

    Args:
        order: positions of the items, (items,).
        batch_size: items a batch.

    Example:
        >>> [len(batch) for batch in split_order(torch.arange(9), 4)]
        [4, 5]
    """
    batches = torch.split(order, batch_size)
    if batch_size > 1 and len(batches) > 1 and len(batches[-1]) == 1:
        return (*batches[:-2], torch.cat(batches[-2:]))
    return batches
