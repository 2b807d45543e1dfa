"""From drawings to small pictures that look written by hand and scanned."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from companion.datasets.glyphs.drawings import BOX_SIZE, DRAWING_SIZE

__all__ = ["IMAGE_SIZE", "Distortion", "distort"]

IMAGE_SIZE = 32
"""Height and width of a distorted picture, in pixels."""

LARGEST_INK_SHARE = 0.25
"""A stroke is not thickened beyond this share of inked pixels: the letter would fill up."""

SMALLEST_INK_KEPT = 0.6
"""A stroke is not thinned where less than this share of its ink would stay: it would break."""


@dataclass(frozen=True)
class Distortion:
    """How far a picture may stray from its drawing. Each amount is drawn anew for each picture.

    Attributes:
        rotation: standard deviation, in degrees.
        shear: standard deviation of the slant, as a share of the height.
        stretch: standard deviation of the logarithm of the width-to-height change.
        fill: smallest and largest share of the picture that the letter's box spans.
        shift: standard deviation of the offset, as a share of the picture.
        bend: largest standard deviation of the elastic displacement, as a share of the picture.
        thin: most erosion steps of one pixel in the drawing.
        thicken: most dilation steps of one pixel in the drawing.
        resolutions: sides in pixels that pictures are reduced to and enlarged from, drawn with
            equal chance.
        noise: standard deviation of the pixel noise, in [0, 1].
    """

    rotation: float = 8.0
    shear: float = 0.2
    stretch: float = 0.25
    fill: tuple[float, float] = (0.8, 1.05)
    shift: float = 0.03
    bend: float = 0.05
    thin: int = 1
    thicken: int = 2
    resolutions: tuple[int, ...] = (8, 8, 8, 8, 12, 16, 28, 32)
    noise: float = 0.03


def distort(
    drawings: Tensor, *, generator: torch.Generator, distortion: Distortion | None = None
) -> Tensor:
    """Turn drawings into pictures that look written by hand and scanned.

    The stroke is thinned or thickened; one random affine and elastic map moves the pixels; a
    random resolution, contrast and noise finish the picture.

    Args:
        drawings: (batch, 1, 48, 48), uint8.
        generator: the only source of chance; equal states give equal pictures.
        distortion: how far to go; `None` means `Distortion()`.

    Returns:
        Pictures in [0, 1], bright ink on dark, (batch, 1, 32, 32), float32.

    Reference: simard2003best, section 2
    """
    amounts = distortion or Distortion()
    ink = _change_stroke(drawings.float() / 255, amounts, generator)
    grid = _affine_grid(len(ink), amounts, generator) + _bending(len(ink), amounts, generator)
    ink = functional.grid_sample(ink, grid, mode="bilinear", align_corners=False)
    return _scan(ink, amounts, generator)


def _uniform(num: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Return `num` uniform numbers in [low, high)."""
    return low + (high - low) * torch.rand(num, generator=generator)


def _change_stroke(ink: Tensor, amounts: Distortion, generator: torch.Generator) -> Tensor:
    """Erode or dilate each drawing by a random number of pixels.

    Hair lines are not eroded, and letters that would fill up are not dilated.
    """
    steps = torch.randint(-amounts.thin, amounts.thicken + 1, (len(ink),), generator=generator)
    result = ink.clone()
    for step in range(1, max(amounts.thin, amounts.thicken) + 1):
        rows = (steps >= step).nonzero()[:, 0]
        thick = functional.max_pool2d(result[rows], 3, stride=1, padding=1)
        is_open = _share(thick) < LARGEST_INK_SHARE
        result[rows] = torch.where(is_open, thick, result[rows])
        rows = (steps <= -step).nonzero()[:, 0]
        thin = -functional.max_pool2d(-result[rows], 3, stride=1, padding=1)
        is_whole = _share(thin) > SMALLEST_INK_KEPT * _share(result[rows])
        result[rows] = torch.where(is_whole, thin, result[rows])
    return result


def _share(ink: Tensor) -> Tensor:
    """Return the share of each drawing that is inked, (batch, 1, 1, 1)."""
    return ink.mean((1, 2, 3), keepdim=True)


def _affine_grid(num: int, amounts: Distortion, generator: torch.Generator) -> Tensor:
    """Return sampling positions of a random rotation, slant, stretch, size and offset."""
    normal = torch.randn(num, 5, generator=generator)
    angle = torch.deg2rad(amounts.rotation * normal[:, 0])
    slant = amounts.shear * normal[:, 1]
    stretch = torch.exp(amounts.stretch * normal[:, 2] / 2)
    size = BOX_SIZE / DRAWING_SIZE / _uniform(num, *amounts.fill, generator)
    cos, sin = torch.cos(angle), torch.sin(angle)
    rotate = torch.stack([cos, -sin, sin, cos], dim=1).view(num, 2, 2)
    zero = torch.zeros(num)
    shape = torch.stack([size / stretch, size * slant, zero, size * stretch], dim=1)
    matrix = shape.view(num, 2, 2) @ rotate
    theta = torch.cat([matrix, 2 * amounts.shift * normal[:, 3:, None]], dim=2)
    return functional.affine_grid(theta, [num, 1, IMAGE_SIZE, IMAGE_SIZE], align_corners=False)


def _bending(num: int, amounts: Distortion, generator: torch.Generator) -> Tensor:
    """Return a smooth random displacement of the sampling positions, (num, 32, 32, 2)."""
    coarse = torch.randn(num, 2, 4, 4, generator=generator)
    reach = _uniform(num, 0.0, 2 * amounts.bend, generator).view(-1, 1, 1, 1)
    smooth = functional.interpolate(
        coarse * reach, (IMAGE_SIZE, IMAGE_SIZE), mode="bicubic", align_corners=True
    )
    return smooth.permute(0, 2, 3, 1)


def _scan(ink: Tensor, amounts: Distortion, generator: torch.Generator) -> Tensor:
    """Reduce the resolution, change the contrast and add noise."""
    num = len(ink)
    ink = ((ink - 0.5) * _uniform(num, 1.0, 4.0, generator).view(-1, 1, 1, 1) + 0.5).clamp(0, 1)
    choice = torch.randint(len(amounts.resolutions), (num,), generator=generator)
    sides = torch.tensor(amounts.resolutions)[choice]
    result = ink.clone()
    for side in sorted({side for side in amounts.resolutions if side < IMAGE_SIZE}):
        rows = (sides == side).nonzero()[:, 0]
        small = functional.adaptive_avg_pool2d(ink[rows], side)
        result[rows] = functional.interpolate(
            small, (IMAGE_SIZE, IMAGE_SIZE), mode="bilinear", align_corners=False
        )
    gamma = torch.exp(_uniform(num, -0.5, 0.5, generator)).view(-1, 1, 1, 1)
    bright = _uniform(num, 0.75, 1.0, generator).view(-1, 1, 1, 1)
    grain = amounts.noise * torch.randn(result.shape, generator=generator)
    return (bright * result.clamp(0, 1) ** gamma + grain).clamp(0, 1)
