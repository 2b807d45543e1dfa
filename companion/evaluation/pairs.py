"""Pairs of items for verification: drawn from labels, or given, and how similar they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from companion import checks, runtime
from companion.objectives.inputs import feature_matrix
from companion.objectives.metric import identity_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Pairs", "cosine_of_pairs", "make_pairs"]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of items, and whether both are of one identity.

    Attributes:
        first: positions in the split, (pairs,), int64.
        second: positions in the split, (pairs,), int64.
        is_genuine: (pairs,), bool.
    """

    first: Tensor
    second: Tensor
    is_genuine: Tensor

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.first)


def make_pairs(labels: Tensor, *, num_pairs: int, seed: int) -> Pairs:
    """Draw pairs of items, half of them genuine and half impostors.

    A genuine pair is drawn by its identity first, so that identities with many items do not count
    for more than others; an impostor pair by two identities. No pair is drawn twice, and (a, b) is
    the same pair as (b, a).

    Args:
        labels: identities, at least 0, (items,), int64.
        num_pairs: how many pairs in all, even.
        seed: which draw.

    Returns:
        The genuine pairs, then the impostors.

    Raises:
        CompanionError: labels that are no identities, an odd number of pairs, fewer than two
            identities, or so few items that the pairs cannot be found.
    """
    identity_labels("labels", labels)
    if checks.positive_int("num_pairs", num_pairs) % 2:
        checks.fail("num_pairs", got=num_pairs, expected="an even number", do="add one")
    rows = [
        (labels == identity).nonzero().flatten().tolist()
        for identity in sorted(set(labels.tolist()))
    ]
    several = [row for row in rows if len(row) > 1]
    if len(rows) < 2 or not several:
        checks.fail(
            "labels",
            got=f"{len(rows)} identities, {len(several)} of them with two items or more",
            expected="at least 2, and at least 1",
            do="draw pairs from more items",
        )
    generator = torch.Generator().manual_seed(runtime.derive_seed(seed, "pairs"))
    genuine = _distinct(lambda: _genuine(several, generator), num_pairs // 2, "genuine")
    impostor = _distinct(lambda: _impostor(rows, generator), num_pairs // 2, "impostor")
    positions = torch.tensor(genuine + impostor)
    is_genuine = torch.arange(num_pairs) < num_pairs // 2
    return Pairs(positions[:, 0], positions[:, 1], is_genuine)


def _genuine(rows: list[list[int]], generator: torch.Generator) -> tuple[int, int]:
    """Return two different items of one identity."""
    row = rows[int(torch.randint(len(rows), (), generator=generator))]
    a, b = torch.randperm(len(row), generator=generator)[:2].tolist()
    return min(row[a], row[b]), max(row[a], row[b])


def _impostor(rows: list[list[int]], generator: torch.Generator) -> tuple[int, int]:
    """Return one item of each of two identities."""
    two = torch.randperm(len(rows), generator=generator)[:2].tolist()
    a, b = (rows[i][int(torch.randint(len(rows[i]), (), generator=generator))] for i in two)
    return min(a, b), max(a, b)


def _distinct(draw: Callable[[], tuple[int, int]], number: int, kind: str) -> list[tuple[int, int]]:
    """Return different pairs; stop where hardly any new one is found."""
    found: dict[tuple[int, int], None] = {}
    for _ in range(50 * number + 1000):
        if len(found) == number:
            break
        found[draw()] = None
    if len(found) < number:
        checks.fail(
            f"{kind} pairs",
            got=f"{len(found)} different ones",
            expected=number,
            do="ask for fewer pairs, or draw from more items",
        )
    return list(found)


def cosine_of_pairs(embeddings: Tensor, pairs: Pairs) -> NDArray[Any]:
    """Return the similarity of each pair: the cosine of its two embeddings.

    Args:
        embeddings: of all items of the split, (items, embedding_dim).
        pairs: positions in the split.

    Returns:
        (pairs,), float64, from -1 to 1.

    Raises:
        CompanionError: no matrix of embeddings, or pairs of other items.
    """
    embeddings = feature_matrix("embeddings", embeddings).detach().cpu()
    check_positions(pairs, len(embeddings))
    first, second = embeddings[pairs.first].double(), embeddings[pairs.second].double()
    return torch.cosine_similarity(first, second, dim=1).numpy()


def check_positions(pairs: Pairs, num_items: int) -> None:
    """Refuse pairs of items that are not there.

    Args:
        pairs: positions in the split.
        num_items: how many items the split has.

    Raises:
        CompanionError: no `Pairs`, or a position outside 0..num_items - 1.
    """
    checks.instance("pairs", pairs, Pairs)
    positions = torch.cat([pairs.first, pairs.second])
    if len(positions) and not 0 <= int(positions.min()) <= int(positions.max()) < num_items:
        checks.fail(
            "pairs",
            got=f"positions {int(positions.min())}..{int(positions.max())}",
            expected=f"0..{num_items - 1}, the items that are given",
            do="pass all items of the split that the pairs were drawn from",
        )
