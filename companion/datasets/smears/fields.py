"""What lies in the field of view: where the cells of a simulated patient are, and their boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from companion.datasets.smears.shapes import (
    WHITE_CELLS,
    Patches,
    platelets,
    red_cells,
    white_cell,
)

__all__ = ["CELLS", "PLATELETS", "RBC", "WBC", "Field", "Patient", "draw_field", "see_patient"]

Array = np.ndarray[Any, Any]

CELLS = ("RBC", "WBC", "Platelets")
"""Red cell, white cell, platelet, under the names and in the order of BCCD."""

RBC, WBC, PLATELETS = range(3)
ROWS = 120
"""Lengths are in pixels of a picture of this height."""

AREA = 120 * 160
FEWEST_RED, MOST_RED, MOST_PLATELETS = 5, 25, 5
WHITE_SHARES = {"neutrophil": 0.55, "lymphocyte": 0.2, "monocyte": 0.13, "eosinophil": 0.12}
"""How often a white cell is of a type; blasts are nowhere in the smears."""

WHITE_COUNTS = (0.1, 0.74, 0.12, 0.04)
"""Chances of 0, 1, 2 and 3 white cells in a field of view."""

TRIES = 90
"""Places that are tried for the cells of a field of 120 x 160 pixels."""


@dataclass(frozen=True)
class Patient:
    """What the blood of a simulated patient looks like.

    Attributes:
        radius: mean radius of a red cell, in pixels of a picture of 120 rows.
        crowd: red cells to expect in a field of 120 x 160 pixels.
        pale: how pale their middle is, from 0 to 1.
        gap: smallest distance of two red cells, as a share of the sum of their radii.
        platelets: platelets to expect in a field of 120 x 160 pixels.
    """

    radius: float
    crowd: float
    pale: float
    gap: float
    platelets: float


def see_patient(rng: np.random.Generator) -> Patient:
    """Return a new simulated patient."""
    return Patient(
        radius=float(rng.normal(12.8, 0.8)),
        crowd=float(rng.uniform(10, 25)),
        pale=float(rng.uniform(0.2, 0.9)),
        gap=float(rng.uniform(0.45, 0.95)),
        platelets=float(rng.uniform(0.3, 2.5)),
    )


def draw_field(
    patient: Patient,
    size: tuple[int, int],
    rng: np.random.Generator,
    *,
    scale: float,
    zoom: float = 1.0,
    middle: str | None = None,
) -> tuple[Array, Array]:
    """Draw one field of view.

    Args:
        patient: whose blood.
        size: height and width, in pixels.
        rng: the source of chance.
        scale: pixels for one pixel of a picture of 120 rows.
        zoom: factor of the size of all cells.
        middle: type of the only white cell, which lies in the middle; `None` draws number, types
            and places of the white cells.

    Returns:
        Amounts of stain (3, height, width), float32, and boxes (cells, 5): class id, x_min, y_min,
        x_max, y_max, in pixels. A cell's centre is in the picture; its box holds what is seen.
    """
    field = Field(size, rng)
    share = size[0] * size[1] / scale**2 / AREA
    for kind in _white_kinds(rng) if middle is None else [middle]:
        field.add_white(kind, scale * zoom, in_middle=middle is not None)
    field.add_red(patient, share, scale * zoom)
    field.add_platelets(patient, share, scale * zoom)
    return field.density, field.boxes


class Field:
    """A field of view that cells are added to.

    Args:
        size: height and width, in pixels.
        rng: the source of chance.

    Attributes:
        density: amounts of stain, (3, height, width), float32.
        boxes: class id and corners in pixels, (cells, 5), float32.
    """

    def __init__(self, size: tuple[int, int], rng: np.random.Generator):
        self.size = size
        self.rng = rng
        self.density = np.zeros((3, *size), np.float32)
        self.boxes = np.zeros((0, 5), np.float32)
        self.taken = np.zeros((0, 3))

    def add_white(self, kind: str, factor: float, *, in_middle: bool = False) -> None:
        """Add a white cell of a type, where there is room or in the middle."""
        radius = float(self.rng.uniform(*WHITE_CELLS[kind].radius)) * factor
        if in_middle:
            centres = np.array(self.size) / 2 + 0.12 * radius * self.rng.standard_normal((1, 2))
        else:
            tries = self.rng.uniform(size=(10, 2)) * self.size
            centres = tries[self._fit(tries, np.full(10, radius), gap=1.0)[:1]]
        for centre in centres:
            self._stamp(white_cell(WHITE_CELLS[kind], centre, radius, self.rng), WBC)
        self._take(centres, np.full(len(centres), radius))

    def add_red(self, patient: Patient, share: float, factor: float) -> None:
        """Add the red cells of a patient; none of them lies over a white cell."""
        rng = self.rng
        wanted = np.clip(rng.poisson(patient.crowd), FEWEST_RED, MOST_RED) * share
        num = _num_tries(share)
        tries = rng.uniform(size=(num, 2)) * self.size
        radii = patient.radius * np.exp(0.07 * rng.standard_normal(num)) * factor
        pale = np.clip(patient.pale + 0.2 * rng.standard_normal(num), 0, 0.95)
        chosen = self._fit(tries, radii, gap=patient.gap)[: round(wanted)]
        if chosen:
            self._stamp(red_cells(tries[chosen], radii[chosen], pale[chosen], rng), RBC)
        self._take(tries[chosen], radii[chosen])

    def add_platelets(self, patient: Patient, share: float, factor: float) -> None:
        """Add platelets between the other cells."""
        rng = self.rng
        wanted = min(int(rng.poisson(patient.platelets * share)), MOST_PLATELETS)
        num = _num_tries(share)
        tries = rng.uniform(size=(num, 2)) * self.size
        radii = np.clip(rng.normal(4.6, 0.8, num), 3, 7) * factor
        chosen = self._fit(tries, radii, gap=1.0)[:wanted]
        if chosen:
            self._stamp(platelets(tries[chosen], radii[chosen], rng), PLATELETS)
        self._take(tries[chosen], radii[chosen])

    def _fit(self, centres: Array, radii: Array, *, gap: float) -> list[int]:
        """Return which places can be taken one after another, most gaps from what is there kept.

        Args:
            centres: places to try, in this order, (tries, 2).
            radii: (tries,).
            gap: smallest distance of two new cells, as a share of the sum of their radii.
        """
        far = _distances(centres, centres) >= gap * (radii[:, None] + radii)
        room = self.taken[:, 2] + radii[:, None]
        free = (_distances(centres, self.taken[:, :2]) >= 0.95 * room).all(1)
        chosen: list[int] = []
        for number in np.flatnonzero(free):
            if far[number, chosen].all():
                chosen.append(int(number))
        return chosen

    def _take(self, centres: Array, radii: Array) -> None:
        """Remember where cells are."""
        self.taken = np.vstack([self.taken, np.column_stack([centres, radii])])

    def _stamp(self, patches: Patches, kind: int) -> None:
        """Add the stain of patches and the boxes of what of them is in the picture."""
        side = patches.inside.shape[1]
        for corner, density in zip(patches.corners, patches.density, strict=True):
            start = np.maximum(corner, 0)
            stop = np.minimum(corner + side, self.size)
            (top, left), (low, right) = start - corner, stop - corner
            part = (patches.stains, slice(start[0], stop[0]), slice(start[1], stop[1]))
            self.density[part] += density[:, top:low, left:right]
        boxes = _boxes(patches, self.size)
        column = np.full((len(boxes), 1), kind, np.float32)
        self.boxes = np.vstack([self.boxes, np.hstack([column, boxes])])


def _num_tries(share: float) -> int:
    """Return how many places to try in a picture of so many fields of 120 x 160 pixels."""
    return max(20, round(TRIES * share))


def _white_kinds(rng: np.random.Generator) -> list[str]:
    """Return the types of the white cells of one field of view."""
    num = rng.choice(len(WHITE_COUNTS), p=WHITE_COUNTS)
    return [str(kind) for kind in rng.choice([*WHITE_SHARES], num, p=[*WHITE_SHARES.values()])]


def _distances(first: Array, second: Array) -> Array:
    """Return the distance of each point from each, (points, points)."""
    steps = first[:, None] - second
    distances: Array = np.hypot(steps[..., 0], steps[..., 1])
    return distances


def _boxes(patches: Patches, size: tuple[int, int]) -> Array:
    """Return x_min, y_min, x_max, y_max of the pixels of each cell that are in the picture."""
    steps = np.arange(patches.inside.shape[1])
    rows, columns = (patches.corners[:, [axis]] + steps for axis in (0, 1))
    in_rows = (rows >= 0) & (rows < size[0])
    in_columns = (columns >= 0) & (columns < size[1])
    seen = patches.inside & in_rows[:, :, None] & in_columns[:, None]
    low, high = [], []
    for places, has_ink in ((columns, seen.any(1)), (rows, seen.any(2))):
        low.append(np.where(has_ink, places, np.iinfo(np.int64).max).min(1))
        high.append(np.where(has_ink, places, -1).max(1) + 1)
    return np.stack([*low, *high], axis=1).astype(np.float32)
