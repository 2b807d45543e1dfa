r"""CORAL: give the source the covariance of the target.

`coral_loss` pulls the covariances $C_S$ and $C_T$ of the features together while a network
trains; `fit_coral` solves the same task in closed form for features that are given: it whitens
the source and colours it like the target, $x \mapsto$
$(x - \mu_S)\, \tilde C_S^{-1/2}\, \tilde C_T^{1/2} + \mu_T$ with $\tilde C = C + \rho I$.

The ridge $\rho$ makes a singular covariance (fewer items than features, a constant feature)
invertible. The paper standardises both domains first, so that both means are 0, and takes
$\rho = 1$.

Reference: sun2016deep, eq. 1; sun2016return, alg. 1
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from companion import checks
from companion.objectives.inputs import feature_matrix, feature_pair, non_negative

__all__ = ["CoralMap", "coral_loss", "covariance", "fit_coral"]


def covariance(features: Tensor) -> Tensor:
    """Return the sample covariance, with the divisor batch - 1.

    Args:
        features: (batch, feature_dim), at least two items.

    Returns:
        (feature_dim, feature_dim).

    Raises:
        CompanionError: no such features.

    Reference: sun2016deep, eq. 2 and 3
    """
    features = feature_matrix("features", features, smallest=2)
    centred = features - features.mean(dim=0)
    return centred.T @ centred / (len(features) - 1)


def coral_loss(source: Tensor, target: Tensor) -> Tensor:
    r"""Return $\lVert C_S - C_T \rVert_F^2 / 4 D^2$ for features of size $D$.

    Args:
        source: (source_batch, feature_dim), at least two items.
        target: (target_batch, feature_dim), at least two items.

    Returns:
        A scalar, at least 0; means do not matter to it.

    Raises:
        CompanionError: no such features, or different widths.

    Reference: sun2016deep, eq. 1
    """
    source, target = feature_pair(source, target, smallest=2)
    gap = covariance(source) - covariance(target)
    return gap.square().sum() / (4 * source.shape[1] ** 2)


@dataclass(frozen=True)
class CoralMap:
    """An affine map from source features to features that are coloured like the target.

    Attributes:
        source_mean: (feature_dim,), float64.
        matrix: whitening times re-colouring, (feature_dim, feature_dim), float64.
        target_mean: (feature_dim,), float64.
    """

    source_mean: Tensor
    matrix: Tensor
    target_mean: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Return source features, (batch, feature_dim), on the scale of the target.

        Raises:
            CompanionError: no such features, or of another width than those it was fitted to.
        """
        feature_matrix("source features", features)
        if features.shape[1] != len(self.matrix):
            checks.fail(
                "feature_dim",
                got=features.shape[1],
                expected=f"{len(self.matrix)}, which the map was fitted to",
                do="take the features from the same layer",
            )
        moved = (features.double() - self.source_mean) @ self.matrix + self.target_mean
        return moved.to(features.dtype)


def fit_coral(source: Tensor, target: Tensor, *, ridge: float = 1.0) -> CoralMap:
    """Return the map that gives source features the mean and the covariance of the target.

    It needs no labels. The covariances agree exactly for a ridge of 0; a larger ridge leaves
    directions with a variance far below it nearly as they are.

    Args:
        source: (source_batch, feature_dim), at least two items.
        target: (target_batch, feature_dim), at least two items.
        ridge: what is added to the variance of each feature in both domains, in squared units of
            the features, at least 0.

    Raises:
        CompanionError: no such features, different widths, numbers that are not finite, a
            negative ridge, or a singular source covariance where the ridge is 0.

    Reference: sun2016return, alg. 1
    """
    ridge = non_negative("ridge", ridge)
    source, target = feature_pair(source.detach(), target.detach(), smallest=2)
    source, target = source.double(), target.double()
    if not bool(source.isfinite().all() and target.isfinite().all()):
        checks.fail("features", got="a NaN or infinity", expected="finite numbers", do="drop them")
    whitening = _power(covariance(source), -0.5, ridge)
    colouring = _power(covariance(target), 0.5, ridge)
    return CoralMap(source.mean(dim=0), whitening @ colouring, target.mean(dim=0))


def _power(matrix: Tensor, exponent: float, ridge: float) -> Tensor:
    """Return a power of a symmetric matrix whose eigenvalues are raised by the ridge."""
    values, vectors = torch.linalg.eigh(matrix)
    values = values.clamp(min=0) + ridge
    smallest = float(values.max()) * len(values) * torch.finfo(values.dtype).eps
    if exponent < 0 and float(values.min()) <= smallest:
        checks.fail(
            "source covariance",
            got=f"{int((values <= smallest).sum())} directions without variance",
            expected="none, as a singular matrix has no inverse",
            do="pass a ridge above 0, or use more items than features",
        )
    powers: Tensor = vectors @ torch.diag(values.pow(exponent)) @ vectors.T
    return powers
