r"""Maximum mean discrepancy: how far apart two samples lie in the eyes of a kernel.

With the mean of Gaussian kernels
$k(x, x') = \frac{1}{U} \sum_u \exp(-\lVert x - x' \rVert^2 / 2 \sigma_u^2)$, source features
$x_1, \dots, x_m$ and target features $y_1, \dots, y_n$, the biased estimate of the square is
$\frac{1}{m^2} \sum_{i,j} k(x_i, x_j) + \frac{1}{n^2} \sum_{i,j} k(y_i, y_j)$
$-\; \frac{2}{mn} \sum_{i,j} k(x_i, y_j)$.

The unbiased one leaves out the pairs $i = j$ of the first two sums and divides by $m(m-1)$ and
$n(n-1)$; it may fall below 0. Equal weights stand for the weights that Long et al. optimise.

Reference: gretton2012kernel, eq. 3 and 5; long2015learning, sec. 3
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from companion import checks
from companion.objectives.inputs import feature_pair

__all__ = ["BANDWIDTH_FACTORS", "median_bandwidth", "mmd_squared"]

BANDWIDTH_FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Bandwidths of the kernels as multiples of the median distance."""


def median_bandwidth(source: Tensor, target: Tensor) -> float:
    """Return the median distance of two different points of the pooled sample.

    Points that coincide are left out: dead units would otherwise make the bandwidth 0. Of an even
    number of distances the lower of the two in the middle is taken.

    Args:
        source: (source_batch, feature_dim).
        target: (target_batch, feature_dim).

    Returns:
        A distance, in the units of the features; 1 where all points coincide, as every bandwidth
        gives the same there.

    Raises:
        CompanionError: no such features, or different widths.

    Reference: gretton2012kernel, sec. 8
    """
    return _median(_squared_distances(torch.cat(feature_pair(source, target))))


def mmd_squared(
    source: Tensor,
    target: Tensor,
    *,
    bandwidths: Sequence[float] | None = None,
    is_unbiased: bool = False,
) -> Tensor:
    r"""Return an estimate of the squared maximum mean discrepancy of two domains.

    Args:
        source: (source_batch, feature_dim).
        target: (target_batch, feature_dim); the batches may differ in size.
        bandwidths: $\sigma_u$, one a kernel, in the units of the features; `None` for the median
            distance times `BANDWIDTH_FACTORS`, through which no gradient flows.
        is_unbiased: whether the pairs of an item with itself are left out.

    Returns:
        A scalar. Biased: at least 0, and 0 for equal samples. Unbiased: 0 on average where the
        two domains are the same.

    Raises:
        CompanionError: no such features, different widths, a single item where it is to be
            unbiased, or no bandwidth, or one that is not above 0.

    Reference: gretton2012kernel, eq. 3 and 5; long2015learning, sec. 3
    """
    source, target = feature_pair(source, target, smallest=2 if is_unbiased else 1)
    squares = _squared_distances(torch.cat([source, target]))
    kernel = _mean_kernel(squares, _checked(bandwidths, squares))
    num_source = len(source)
    within_source = _mean_within(kernel[:num_source, :num_source], is_unbiased)
    within_target = _mean_within(kernel[num_source:, num_source:], is_unbiased)
    return within_source + within_target - 2 * kernel[:num_source, num_source:].mean()


def _squared_distances(points: Tensor) -> Tensor:
    """Return the squared distance of each pair, (points, points), exactly 0 on the diagonal."""
    return torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist").square()


def _median(squares: Tensor) -> float:
    """Return the median distance of the pairs that do not coincide."""
    apart = squares.detach()[squares > 0]  # each pair twice, which does not move the median
    return math.sqrt(float(apart.median())) if len(apart) else 1.0


def _checked(bandwidths: Sequence[float] | None, squares: Tensor) -> list[float]:
    """Return the bandwidths that were passed, or those of the median heuristic."""
    if bandwidths is None:
        median = _median(squares)
        return [factor * median for factor in BANDWIDTH_FACTORS]
    checks.non_empty("bandwidths", bandwidths, do="pass one at least, or None for the median")
    return [checks.finite_positive("bandwidth", value) for value in bandwidths]


def _mean_kernel(squares: Tensor, bandwidths: list[float]) -> Tensor:
    """Return the mean of Gaussian kernels at each pair, (points, points)."""
    return torch.stack([torch.exp(-squares / (2 * width**2)) for width in bandwidths]).mean(dim=0)


def _mean_within(kernel: Tensor, is_unbiased: bool) -> Tensor:
    """Return the mean of a domain's kernel matrix, with or without its diagonal."""
    num = len(kernel)
    if not is_unbiased:
        return kernel.mean()
    return (kernel.sum() - kernel.diagonal().sum()) / (num * (num - 1))
