"""Simulated scanners and slides: from amounts of stain to the colours of a picture.

Light that passes a stain is weakened exponentially in its amount (Beer and Lambert), each colour
by its own factor. A scanner fixes these factors, its light, sharpness and noise; a slide of a
patient differs a little from the next.

Reference: ruifrok2001quantification
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from companion import checks

__all__ = ["SCANNERS", "Scanner", "as_scanner", "prepare_slide", "scan"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Scanner:
    """How pictures are taken.

    Attributes:
        name: what groups and tables call it.
        stain: how strongly red, green and blue are absorbed by one unit of haemoglobin, azure and
            eosin: three rows of three numbers.
        light: red, green and blue of the empty field, in [0, 1].
        contrast: factor of all absorption.
        blur: standard deviation of the focus, in pixels of a picture of 120 rows.
        noise: standard deviation of the pixel noise, in [0, 1].
        resolution: share of the pixels along a side that the sensor really has, in (0, 1].
        zoom: factor of the size of all cells.
        spread: how far slides differ in stain, light, focus and zoom; 0 makes them equal.

    Raises:
        CompanionError: a factor that is not positive, a resolution above 1, negative noise.
    """

    name: str
    stain: tuple[tuple[float, float, float], ...]
    light: tuple[float, float, float]
    contrast: float = 1.0
    blur: float = 0.6
    noise: float = 0.015
    resolution: float = 1.0
    zoom: float = 1.0
    spread: float = 1.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        for field in ("contrast", "resolution", "zoom"):
            checks.finite_positive(f"{field} of the scanner", getattr(self, field))
        for field in ("blur", "noise", "spread"):
            if getattr(self, field) != 0:
                checks.finite_positive(f"{field} of the scanner", getattr(self, field))
        checks.fraction("resolution of the scanner", self.resolution)
        if [len(row) for row in self.stain] != [3, 3, 3]:
            checks.fail(
                "stain of the scanner",
                got=f"{self.stain}",
                expected="three rows (haemoglobin, azure, eosin) of red, green and blue",
                do="change the stain of one of SCANNERS with dataclasses.replace",
            )


SCANNERS: dict[str, Scanner] = {
    "a": Scanner(
        "a",
        stain=((0.06, 0.42, 0.24), (0.78, 0.92, 0.22), (0.06, 0.50, 0.52)),
        light=(0.93, 0.90, 0.91),
        blur=0.5,
        noise=0.012,
        zoom=0.92,
        spread=1.5,
    ),
    "b": Scanner(
        "b",
        stain=((0.09, 0.34, 0.30), (0.55, 0.92, 0.06), (0.10, 0.45, 0.42)),
        light=(0.81, 0.815, 0.80),
        blur=0.7,
        noise=0.02,
    ),
}
"""The scanners that come with the course: pretraining sees a, the chapters' patients went to b."""


def as_scanner(scanner: Scanner | str) -> Scanner:
    """Return a scanner given itself or the name of one in `SCANNERS`.

    Raises:
        CompanionError: it is neither.
    """
    if isinstance(scanner, Scanner):
        return scanner
    return SCANNERS[checks.one_of("scanner", scanner, SCANNERS)]


def prepare_slide(scanner: Scanner, rng: np.random.Generator) -> Scanner:
    """Return the scanner as it sees one slide: stain, light, focus and zoom vary around its own.

    Args:
        scanner: the scanner.
        rng: the source of chance; the number of draws does not depend on the scanner.
    """
    normal = scanner.spread * rng.standard_normal(16)
    stain = np.array(scanner.stain) * np.exp(0.1 * normal[:9]).reshape(3, 3)
    light = np.array(scanner.light) * np.exp(0.015 * normal[9:12] + 0.025 * normal[12])
    return replace(
        scanner,
        stain=tuple(map(tuple, stain.tolist())),
        light=tuple(light.clip(0, 0.98).tolist()),
        contrast=scanner.contrast * float(np.exp(0.12 * normal[13])),
        blur=scanner.blur * float(np.exp(0.25 * normal[14])),
        zoom=scanner.zoom * float(np.exp(0.05 * normal[15])),
    )


def scan(density: Array, slide: Scanner, rng: np.random.Generator, *, scale: float) -> Array:
    """Return the picture of amounts of stain.

    Args:
        density: amounts of `STAINS`, (3, height, width), float32.
        slide: the scanner with the settings of this slide.
        rng: the source of the noise.
        scale: pixels for one pixel of a picture of 120 rows.

    Returns:
        (3, height, width), uint8.
    """
    from scipy.ndimage import gaussian_filter1d

    absorbed = np.tensordot(np.array(slide.stain, np.float32).T * slide.contrast, density, 1)
    picture = _light(slide, density.shape[1:], rng) * np.exp(-absorbed)
    if slide.blur * scale > 0.2:
        for axis in (1, 2):
            picture = gaussian_filter1d(picture, slide.blur * scale, axis, truncate=3.0)
    if slide.resolution < 1:
        picture = _reduce(picture, slide.resolution)
    picture = picture + slide.noise * rng.standard_normal(picture.shape, dtype=np.float32)
    levels: Array = np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)
    return levels


def _light(slide: Scanner, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return the empty field, brighter towards one side, (3, height, width)."""
    rows, columns = (np.linspace(-1, 1, side, dtype=np.float32) for side in shape)
    tilt = 0.02 * slide.spread * rng.standard_normal(2)
    uneven = 1 + np.float32(tilt[0]) * rows[:, None] + np.float32(tilt[1]) * columns
    return np.array(slide.light, np.float32)[:, None, None] * uneven


def _reduce(picture: Array, resolution: float) -> Array:
    """Return the picture with fewer real pixels, enlarged again to its size."""
    import torch
    from torch.nn import functional

    shape = picture.shape[1:]
    small = [max(2, round(side * resolution)) for side in shape]
    pixels = torch.from_numpy(picture)[None]
    pixels = functional.interpolate(pixels, small, mode="area")
    large = functional.interpolate(pixels, shape, mode="bilinear", align_corners=False)
    return np.asarray(large[0])
