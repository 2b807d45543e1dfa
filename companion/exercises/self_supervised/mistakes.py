"""Wrong answers as learners give them, made by doing the wrong thing."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["block_masks", "contrastive_loss", "pixel_masks", "scattered_masks"]

LossFunction = Callable[[Tensor, Tensor, float], Tensor]


def contrastive_loss(
    *,
    normalises: bool = True,
    drops_itself: bool = True,
    divides: bool = True,
    has_partner: bool = True,
) -> LossFunction:
    """Return a contrastive loss of two views and a temperature, with one of the usual mistakes."""

    def loss(first: Tensor, second: Tensor, temperature: float) -> Tensor:
        rows = torch.cat([first, second])
        if normalises:
            rows = functional.normalize(rows, dim=1)
        scores = rows @ rows.T
        scores = scores / temperature if divides else scores * temperature
        if drops_itself:
            itself = torch.eye(len(rows), dtype=torch.bool)
            scores = scores.masked_fill(itself, -math.inf)
        partner = torch.arange(len(rows)).roll(len(first) if has_partner else 1)
        return functional.cross_entropy(scores, partner)

    return loss


def block_masks(*, size: int = 8, same: bool = False, seen: bool = False) -> Tensor:
    """Return masks of one block of patches, (100, 1, size, size), bool."""
    generator = torch.Generator().manual_seed(0)
    grid = torch.zeros(100, 4, 4, dtype=torch.bool)
    for number, (row, column) in enumerate(torch.randint(3, (100, 2), generator=generator)):
        top, left = (1, 1) if same else (int(row), int(column))
        grid[number, top : top + 2, left : left + 2] = True
    return _enlarged(~grid if seen else grid, size)


def scattered_masks(num_hidden: int = 4, *, size: int = 8) -> Tensor:
    """Return masks of scattered patches, (100, 1, size, size), bool."""
    generator = torch.Generator().manual_seed(0)
    order = torch.rand(100, 16, generator=generator).argsort(dim=1)
    return _enlarged((order < num_hidden).view(100, 4, 4), size)


def pixel_masks(*, size: int = 8) -> Tensor:
    """Return masks of one block of the right size that is not on the grid."""
    masks = torch.zeros(100, 1, size, size, dtype=torch.bool)
    masks[:, :, 1 : 1 + size // 2, 1 : 1 + size // 2] = True
    return masks


def _enlarged(grid: Tensor, size: int) -> Tensor:
    """Return patches as pixels."""
    side = size // 4
    return grid[:, None].repeat_interleave(side, dim=2).repeat_interleave(side, dim=3)
