"""Train, val and test: disjoint by construction, with a test set that counts its readings.

`draw` takes the labelled budget from a pool and leaves the test set as it is. `labels_per_class=k`
is the whole budget: below 5 there is no val, from 5 on a fifth of k is val. A `TestSplit` shows
its labels to an evaluation only, and remembers, for the whole process, which evaluations read it.
"""

from companion.splits.boxes import BOX_COLUMNS, as_boxes
from companion.splits.drawing import Splits, draw
from companion.splits.examples import IGNORED, TASKS, Selection, Split, as_class_ids, check_images
from companion.splits.parting import UNITS, hold_out, k_shot, prove_disjoint
from companion.splits.spans import check_bio_classes, read_spans
from companion.splits.test_set import TestReadAgainWarning, TestSplit, fresh_readings

__all__ = [
    "BOX_COLUMNS",
    "IGNORED",
    "TASKS",
    "UNITS",
    "Selection",
    "Split",
    "Splits",
    "TestReadAgainWarning",
    "TestSplit",
    "as_boxes",
    "as_class_ids",
    "check_bio_classes",
    "check_images",
    "draw",
    "fresh_readings",
    "hold_out",
    "k_shot",
    "prove_disjoint",
    "read_spans",
]
