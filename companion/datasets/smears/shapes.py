"""The shapes of drawn blood cells: how much stain each pixel of a small patch holds.

A patch lies around the centre of one cell. Its density says how much of the three stains of
`STAINS` a pixel holds; densities of cells that overlap add up, as absorbing layers do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["STAINS", "WHITE_CELLS", "Patches", "WhiteCell", "platelets", "red_cells", "white_cell"]

Array = np.ndarray[Any, Any]

STAINS = ("haemoglobin", "azure", "eosin")
"""What absorbs light: the pink of red cells, the purple of nuclei, the orange of granules."""

BOUNDARY = float(np.log(2) ** 0.25)
"""Where a blob exp(-(r/s)^4) falls to one half, as a share of s."""


@dataclass(frozen=True, eq=False)
class Patches:
    """Small pictures of cells of one kind.

    Attributes:
        corners: row and column of each patch's first pixel in the picture, (cells, 2), int64.
        density: amount of stain, (cells, stains, side, side), float32.
        inside: which pixels belong to the cell, (cells, side, side), bool.
        stains: which of `STAINS` the density is of.
    """

    corners: Array
    density: Array
    inside: Array
    stains: slice


@dataclass(frozen=True)
class WhiteCell:
    """How one type of white cell is drawn. Lengths of the nucleus are shares of the radius.

    Attributes:
        radius: smallest and largest radius, in pixels of a picture of 120 rows.
        lobes: smallest and largest number of lobes of the nucleus.
        arc: smallest and largest angle between the first and the last lobe, in degrees.
        lobe: radius of a lobe, where there are fewest.
        ring: distance of the lobes from the middle of the cell.
        nucleus: azure density of the nucleus.
        cytoplasm: azure density around it.
        granules: eosin density of the granules around it.
        chromatin: strength and width of the texture of the nucleus, the width as a share of the
            radius.
        nucleoli: most pale spots in the nucleus.
    """

    radius: tuple[float, float]
    lobes: tuple[int, int]
    arc: tuple[float, float]
    lobe: float
    ring: float
    nucleus: float
    cytoplasm: float
    granules: float
    chromatin: tuple[float, float]
    nucleoli: int = 0


WHITE_CELLS: dict[str, WhiteCell] = {
    "neutrophil": WhiteCell((20, 26), (3, 5), (190, 280), 0.35, 0.5, 1.0, 0.22, 0.15, (0.18, 0.08)),
    "lymphocyte": WhiteCell((15, 21), (1, 1), (0, 0), 0.82, 0.08, 1.05, 0.45, 0.0, (0.22, 0.14)),
    "monocyte": WhiteCell((23, 29), (6, 6), (150, 220), 0.31, 0.42, 0.8, 0.28, 0.0, (0.20, 0.09)),
    "eosinophil": WhiteCell((20, 26), (2, 2), (110, 160), 0.38, 0.47, 1.0, 0.05, 0.9, (0.18, 0.08)),
    "blast": WhiteCell((18, 26), (1, 1), (0, 0), 0.84, 0.08, 0.85, 0.5, 0.0, (0.14, 0.05), 3),
}
"""The types, the last of them the one that a sick patient has."""


def red_cells(centres: Array, radii: Array, pale: Array, rng: np.random.Generator) -> Patches:
    """Return discs with a pale middle.

    Args:
        centres: row and column, in pixels, (cells, 2).
        radii: in pixels, (cells,).
        pale: how pale the middle is, from 0 (a full disc) to 1, (cells,).
        rng: the source of chance.
    """
    num = len(radii)
    stretch = np.exp(0.12 * rng.standard_normal(num))
    wobble = 0.035 * rng.standard_normal(num)
    corners, rho = _outline(centres, radii, stretch, wobble, rng)
    width = _column(rng.uniform(0.42, 0.66, num))
    dent = _column(pale) / (1 + (rho / width) ** 8)
    rim = 0.22 * np.exp(-(((rho - 0.86) / 0.11) ** 2))
    strength = _column(np.exp(0.1 * rng.standard_normal(num)))
    density = _coverage(rho, radii) * strength * (1 - dent + rim)
    return Patches(corners, density[:, None], rho < 1, slice(0, 1))


def platelets(centres: Array, radii: Array, rng: np.random.Generator) -> Patches:
    """Return small purple specks with a ragged outline.

    Args:
        centres: row and column, in pixels, (cells, 2).
        radii: in pixels, (cells,).
        rng: the source of chance.
    """
    num = len(radii)
    stretch = np.exp(0.15 * rng.standard_normal(num))
    wobble = 0.09 * rng.standard_normal(num)
    corners, rho = _outline(centres, radii, stretch, wobble, rng)
    grain = 1 + 0.25 * rng.standard_normal(rho.shape, dtype=np.float32)
    strength = _column(rng.uniform(0.45, 0.95, num))
    density = _coverage(rho, radii) * strength * grain * (1 - 0.35 * np.minimum(rho, 1) ** 2)
    return Patches(corners, density[:, None], rho < 1, slice(1, 2))


def white_cell(kind: WhiteCell, centre: Array, radius: float, rng: np.random.Generator) -> Patches:
    """Return one white cell: a nucleus of lobes in a paler body.

    Args:
        kind: what its nucleus and body look like.
        centre: row and column, in pixels, (2,).
        radius: in pixels.
        rng: the source of chance.
    """
    radii = np.array([radius])
    stretch = np.exp(0.06 * rng.standard_normal(1))
    corners, rho = _outline(centre[None], radii, stretch, 0.03 * rng.standard_normal(1), rng)
    body = _coverage(rho, radii)[0]
    nucleus = body * _nucleus(kind, _offsets(corners, centre[None], rho.shape[1]), radius, rng)
    chromatin = 1 + kind.chromatin[0] * _texture(body.shape, kind.chromatin[1] * radius, rng)
    grains = np.clip(0.6 + 0.8 * _texture(body.shape, 0.055 * radius, rng), 0, 2)
    azure = nucleus * kind.nucleus * chromatin + body * (1 - nucleus) * kind.cytoplasm * (
        0.6 + 0.4 * grains
    )
    eosin = body * (1 - nucleus) * kind.granules * grains
    strength = np.exp(0.12 * rng.standard_normal())
    density = (strength * np.stack([azure, eosin])).astype(np.float32)
    return Patches(corners, density[None], rho < 1, slice(1, 3))


def _nucleus(
    kind: WhiteCell, offsets: tuple[Array, Array], radius: float, rng: np.random.Generator
) -> Array:
    """Return how far each pixel belongs to the nucleus, from 0 to 1, (side, side)."""
    lobes = _lobes(kind, rng)
    rows, columns = (offset[0] / radius for offset in offsets)
    field = np.zeros(np.broadcast_shapes(rows.shape, columns.shape), np.float32)
    for row, column, size in lobes:
        scale = size / BOUNDARY
        square = ((rows - row) / scale) ** 2 + ((columns - column) / scale) ** 2
        field += np.exp(-square * square)
    slope = kind.lobe * radius / (2 * BOUNDARY**4)
    nucleus: Array = np.clip((field - 0.5) * slope + 0.5, 0, 1)
    for _ in range(rng.integers(kind.nucleoli + 1)):
        row, column = rng.uniform(-0.45, 0.45, 2)
        nucleus *= 1 - 0.45 * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 0.14**2)
    return nucleus


def _lobes(kind: WhiteCell, rng: np.random.Generator) -> Sequence[tuple[float, float, float]]:
    """Return row, column and radius of the lobes of a nucleus and of the threads between them."""
    num = int(rng.integers(kind.lobes[0], kind.lobes[1] + 1))
    span = np.deg2rad(rng.uniform(*kind.arc))
    angles = rng.uniform(0, 2 * np.pi) + np.linspace(-span / 2, span / 2, num)
    angles = angles + 0.12 * rng.standard_normal(num) * (num > 1)
    reach = kind.ring * np.exp(0.1 * rng.standard_normal(num))
    sizes = kind.lobe * (kind.lobes[0] / num) ** 0.4 * np.exp(0.08 * rng.standard_normal(num))
    found = [*zip(reach * np.sin(angles), reach * np.cos(angles), sizes, strict=True)]
    middles = (angles[1:] + angles[:-1]) / 2
    found += [(0.42 * np.sin(a), 0.42 * np.cos(a), 0.4 * kind.lobe) for a in middles]
    return found


def _outline(
    centres: Array, radii: Array, stretch: Array, wobble: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return corners (cells, 2) and the distance from the centre, 1 at the outline.

    The outline is an ellipse with a threefold wave.
    """
    half = int(np.ceil(1.3 * float(radii.max()))) + 2
    corners = np.floor(centres).astype(np.int64) - half
    rows, columns = _offsets(corners, centres, 2 * half + 1)
    angle = _column(rng.uniform(0, 2 * np.pi, len(radii)))
    sin, cos = np.sin(angle), np.cos(angle)
    along = (rows * sin + columns * cos) / _column(radii * stretch)
    across = (rows * cos - columns * sin) / _column(radii / stretch)
    rho = np.hypot(along, across)
    turn = _column(rng.uniform(0, 2 * np.pi, len(radii)))
    wave = (along * np.cos(turn) + across * np.sin(turn)) / np.maximum(rho, 1e-6)
    return corners, rho / (1 + _column(wobble) * wave * (4 * wave * wave - 3))


def _offsets(corners: Array, centres: Array, side: int) -> tuple[Array, Array]:
    """Return how far pixel centres lie from the cell's: (cells, side, 1) and (cells, 1, side)."""
    start = (corners + 0.5 - centres).astype(np.float32)
    steps = np.arange(side, dtype=np.float32)
    return (start[:, :1] + steps)[:, :, None], (start[:, 1:] + steps)[:, None]


def _column(values: Array) -> Array:
    """Return one number a cell in a form that spreads over its patch, (cells, 1, 1)."""
    return values.astype(np.float32)[:, None, None]


def _coverage(rho: Array, radii: Array) -> Array:
    """Return which share of each pixel the cell covers, from 0 to 1."""
    return np.clip((1 - rho) * _column(radii) + 0.5, 0, 1)


def _texture(shape: tuple[int, ...], width: float, rng: np.random.Generator) -> Array:
    """Return smooth noise of standard deviation about one; `width` in pixels."""
    from scipy.ndimage import gaussian_filter

    noise = rng.standard_normal(shape, dtype=np.float32)
    if width < 0.4:
        return noise
    smooth: Array = gaussian_filter(noise, width, mode="wrap", truncate=2.5)
    smooth /= max(float(smooth.std()), 1e-6)
    return smooth
