"""Smears and single cells of simulated patients, as tensors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from companion import checks
from companion.datasets.smears.fields import draw_field, see_patient
from companion.datasets.smears.scanner import Scanner, as_scanner, prepare_slide, scan
from companion.datasets.smears.shapes import WHITE_CELLS

__all__ = ["CELL_TYPES", "draw_cells", "draw_smears"]

CELL_TYPES = tuple(WHITE_CELLS)
"""Types of white cells; the last, the blast, is the one to be found."""

CELL_SHARES = (0.4, 0.28, 0.16, 0.16)
"""How often a healthy cell is of each type but the last."""

SMEARS_PER_PATIENT = 8
CELLS_PER_PATIENT = 20
CROP = 64
"""Side of what a single-cell picture shows, in pixels of a smear of 120 rows."""


def draw_smears(
    num: int,
    *,
    seed: int,
    scanner: Scanner | str = "b",
    size: tuple[int, int] = (120, 160),
    smears_per_patient: int = SMEARS_PER_PATIENT,
) -> tuple[Tensor, list[Tensor], tuple[str, ...]]:
    """Draw blood smears with the boxes of their cells.

    Args:
        num: how many.
        seed: of patients, slides and cells; the first smears of a longer draw are the same.
        scanner: the scanner, or the name of one in `SCANNERS`.
        size: height and width, in pixels; cells grow with the height.
        smears_per_patient: how many smears, one after another, are of one patient.

    Returns:
        Images (num, 3, height, width), uint8; for each a tensor (cells, 5), float32: class id in
        `CELLS` and x_min, y_min, x_max, y_max as fractions of width and height; the name of the
        patient of each.

    Raises:
        CompanionError: a number that is not positive, an unknown scanner.
    """
    scanner = as_scanner(scanner)
    height, width = (checks.positive_int("size of smears", side) for side in size)
    scale = height / 120
    ends = np.array([1, width, height, width, height], np.float32)
    images: list[Any] = []
    labels, groups = [], []
    for name, sources in _patients(num, smears_per_patient, seed, scanner, "smears"):
        patient, slide = see_patient(sources[0]), prepare_slide(scanner, sources[1])
        for _ in range(min(smears_per_patient, num - len(images))):
            density, boxes = draw_field(
                patient, (height, width), sources[2], scale=scale, zoom=slide.zoom
            )
            images.append(scan(density, slide, sources[3], scale=scale))
            labels.append(torch.from_numpy(boxes / ends))
            groups.append(name)
    return torch.from_numpy(np.stack(images)), labels, tuple(groups)


def draw_cells(
    num: int,
    *,
    seed: int,
    scanner: Scanner | str = "b",
    size: int = 32,
    cells_per_patient: int = CELLS_PER_PATIENT,
    sick: float = 0.3,
) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """Draw single white cells with their types.

    Args:
        num: how many.
        seed: of patients, slides and cells; the first cells of a longer draw are the same.
        scanner: the scanner, or the name of one in `SCANNERS`.
        size: height and width, in pixels.
        cells_per_patient: how many cells, one after another, are of one patient.
        sick: chance that a patient has blasts, a tenth to a half of the white cells.

    Returns:
        Images (num, 3, size, size), uint8; positions in `CELL_TYPES` (num,), int64; the name of
        the patient of each.

    Raises:
        CompanionError: a number that is not positive, a chance outside [0, 1], an unknown scanner.
    """
    scanner = as_scanner(scanner)
    size = checks.positive_int("size of cells", size)
    checks.fraction("sick", sick)
    images: list[Any] = []
    labels, groups = [], []
    for name, sources in _patients(num, cells_per_patient, seed, scanner, "cells"):
        patient, slide = see_patient(sources[0]), prepare_slide(scanner, sources[1])
        shares = _cell_shares(sick, sources[0])
        for _ in range(min(cells_per_patient, num - len(images))):
            kind = int(sources[2].choice(len(CELL_TYPES), p=shares))
            density, _ = draw_field(
                patient,
                (size, size),
                sources[2],
                scale=size / CROP,
                zoom=slide.zoom,
                middle=CELL_TYPES[kind],
            )
            images.append(scan(density, slide, sources[3], scale=size / CROP))
            labels.append(kind)
            groups.append(name)
    return torch.from_numpy(np.stack(images)), torch.tensor(labels), tuple(groups)


def _patients(
    num: int, per_patient: int, seed: int, scanner: Scanner, what: str
) -> Iterator[tuple[str, list[np.random.Generator]]]:
    """Return name and sources of chance (patient, slide, cells, noise) of as many as are needed."""
    num = checks.positive_int(f"number of {what}", num)
    per_patient = checks.positive_int(f"{what}_per_patient", per_patient)
    seed = checks.non_negative_int("seed", seed)
    for number in range(-(-num // per_patient)):
        entropy = [seed, number, *what.encode()]
        children = np.random.SeedSequence(entropy).spawn(4)
        yield (
            f"{what}/{scanner.name}/{seed}/{number:03d}",
            [np.random.default_rng(child) for child in children],
        )


def _cell_shares(sick: float, rng: np.random.Generator) -> Any:
    """Return how often each type is among the white cells of a new patient, (types,)."""
    is_sick = rng.uniform() < sick
    blasts = rng.uniform(0.1, 0.5)
    blasts = blasts if is_sick else 0.0
    return np.array([*((1 - blasts) * share for share in CELL_SHARES), blasts])
