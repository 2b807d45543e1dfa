r"""NT-Xent, the loss of SimCLR: find the other view of an item among all views of the batch.

Each of $B$ items is seen in two views, whose projections are $z_1, \dots, z_{2B}$. With the cosine
$\operatorname{sim}$ as similarity $s_{ik} = \operatorname{sim}(z_i, z_k)$, a temperature $\tau$
and $j$ the other view of the item of $i$, the loss of a view is
$\ell_i = -\log \bigl( \exp(s_{ij} / \tau) / \sum_{k \ne i} \exp(s_{ik} / \tau) \bigr)$,
and that of the batch the mean of $\ell_i$ over the $2B$ views.

Reference: chen2020simple, eq. 1
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from companion import checks
from companion.objectives.inputs import feature_pair

__all__ = ["nt_xent"]


def nt_xent(first: Tensor, second: Tensor, *, temperature: float = 0.5) -> Tensor:
    r"""Return the normalised, temperature-scaled cross-entropy of two views of a batch.

    Args:
        first: projections of one view of the items, (batch, projection_dim), at least two items.
        second: projections of another view, (batch, projection_dim), row by row the same items.
        temperature: $\tau$, above 0; the lower, the more the hardest negatives count.

    Returns:
        A scalar, in nats; the logarithm of 2 batch - 1 where all projections are alike.

    Raises:
        CompanionError: projections that do not fit together, fewer than two items, or a
            temperature that is not above 0.

    Reference: chen2020simple, eq. 1 and alg. 1
    """
    temperature = checks.finite_positive("temperature", temperature)
    first, second = feature_pair(first, second, names=("first view", "second view"), smallest=2)
    num_items = len(first)
    if len(second) != num_items:
        checks.fail(
            "items of the first and the second view",
            got=f"{num_items} and {len(second)}",
            expected="the same items in both",
            do="project two views of one batch",
        )
    views = F.normalize(torch.cat([first, second]), dim=1)
    is_itself = torch.eye(2 * num_items, dtype=torch.bool, device=views.device)
    similarities = (views @ views.T / temperature).masked_fill(is_itself, -math.inf)
    other_view = torch.arange(2 * num_items, device=views.device).roll(num_items)
    return F.cross_entropy(similarities, other_view)
