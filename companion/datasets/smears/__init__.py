"""Drawn blood smears: cartoons of red cells, white cells and platelets. These are drawings.

Nothing here is medical data: patients, slides and scanners are simulated, the shapes are simple,
and no score on these pictures says anything about real blood. What they are good for is what real
data seldom allow: as many pictures as wanted, boxes that are exact, patients as groups, a rare
type of cell, and a change of scanner with a size of one's own choice.

Equal arguments give equal pictures. The same seed with another stain, contrast, blur, noise or
resolution gives the same patients and the same cells in the same places, scanned otherwise; where
zoom or spread differ, the patients are the same and their cells lie elsewhere.
"""

from companion.datasets.smears.cards import (
    SMEAR_CELLS,
    SMEARS,
    SMEARS_A,
    load_cells,
    load_smears,
    load_smears_a,
)
from companion.datasets.smears.drawing import CELL_TYPES, draw_cells, draw_smears
from companion.datasets.smears.fields import CELLS
from companion.datasets.smears.scanner import SCANNERS, Scanner

__all__ = [
    "CELLS",
    "CELL_TYPES",
    "SCANNERS",
    "SMEARS",
    "SMEARS_A",
    "SMEAR_CELLS",
    "Scanner",
    "draw_cells",
    "draw_smears",
    "load_cells",
    "load_smears",
    "load_smears_a",
]
