"""Drawn smears and cells as datasets: pools and test sets of different simulated patients."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from companion import runtime
from companion.datasets.base import Source, refuse_path
from companion.datasets.smears.drawing import CELL_TYPES, draw_cells, draw_smears
from companion.datasets.smears.fields import CELLS
from companion.registry import DatasetCard
from companion.splits import Split

__all__ = ["SMEARS", "SMEARS_A", "SMEAR_CELLS", "load_cells", "load_smears", "load_smears_a"]

NUM_SMEARS = {"pool": 240, "test": 120}
NUM_CELLS = {"pool": 1200, "test": 800}

_SOURCE = "drawn on the reader's machine by companion.datasets.smears"
_LICENCE = "made by this project"
_PLAIN = "Drawings, not medical data; patients, slides and scanners are simulated. "

SMEARS = DatasetCard(
    name="smears",
    title="Drawn blood smears, scanner b",
    modality="vision",
    task="detection",
    classes=CELLS,
    licence=_LICENCE,
    source=_SOURCE,
    notes=_PLAIN + "A group is a patient with eight smears; the pool has 30 patients, the test "
    "set 15 others. A cell is labelled if its centre is in the picture, its box holds what is "
    "seen of it.",
)

SMEARS_A = DatasetCard(
    name="smears_a",
    title="Drawn blood smears, scanner a",
    modality="vision",
    task="detection",
    classes=CELLS,
    licence=_LICENCE,
    source=_SOURCE,
    notes=_PLAIN + "A source for `smears`: other patients on another scanner, whose slides differ "
    "more in stain, light and focus.",
)

SMEAR_CELLS = DatasetCard(
    name="smear_cells",
    title="Drawn white cells",
    modality="vision",
    task="classification",
    classes=CELL_TYPES,
    licence=_LICENCE,
    source=_SOURCE,
    notes=_PLAIN + "A group is a patient with twenty cells; the pool has 60 patients, the test "
    "set 40 others. Blasts, the type to be found, are rare: some three patients in ten have them, "
    "as a tenth to a half of their cells.",
)


def load_smears(path: Path | None = None) -> Source:
    """Draw the smears of scanner b; always the same pictures for the same versions.

    Args:
        path: not used.

    Returns:
        Pool (240 smears of 30 patients) and test (120 of 15); images (items, 3, 120, 160), uint8;
        groups are patients.

    Raises:
        CompanionError: a path was given.
    """
    refuse_path(SMEARS, path)
    return Source(_smears(SMEARS, "pool"), _smears(SMEARS, "test"), SMEARS, grouped=True)


def load_smears_a(path: Path | None = None) -> Source:
    """Draw the smears of scanner a; always the same pictures for the same versions.

    Args:
        path: not used.

    Returns:
        Pool (240 smears of 30 patients) and test (120 of 15); images (items, 3, 120, 160), uint8;
        groups are patients.

    Raises:
        CompanionError: a path was given.
    """
    refuse_path(SMEARS_A, path)
    return Source(_smears(SMEARS_A, "pool"), _smears(SMEARS_A, "test"), SMEARS_A, grouped=True)


def load_cells(path: Path | None = None) -> Source:
    """Draw the white cells of scanner b; always the same pictures for the same versions.

    Args:
        path: not used.

    Returns:
        Pool (1200 cells of 60 patients) and test (800 of 40); images (items, 3, 32, 32), uint8;
        groups are patients.

    Raises:
        CompanionError: a path was given.
    """
    refuse_path(SMEAR_CELLS, path)
    return Source(_cells("pool"), _cells("test"), SMEAR_CELLS, grouped=True)


@cache
def _smears(card: DatasetCard, part: str) -> Split:
    """Return the smears of one part, with patients of their own."""
    num, scanner = NUM_SMEARS[part], "a" if card is SMEARS_A else "b"
    seed = runtime.derive_seed(0, card.name, part)
    images, labels, patients = draw_smears(num, seed=seed, scanner=scanner)
    ids = _ids(card, part, num)
    return Split(part, images, labels, ids, CELLS, groups=patients, task="detection")


@cache
def _cells(part: str) -> Split:
    """Return the single cells of one part, with patients of their own."""
    num, seed = NUM_CELLS[part], runtime.derive_seed(0, SMEAR_CELLS.name, part)
    images, labels, patients = draw_cells(num, seed=seed)
    return Split(part, images, labels, _ids(SMEAR_CELLS, part, num), CELL_TYPES, groups=patients)


def _ids(card: DatasetCard, part: str, num: int) -> tuple[str, ...]:
    """Return one name a picture."""
    return tuple(f"{card.name}/{part}/{number:04d}" for number in range(num))
