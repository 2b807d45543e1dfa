"""The one way to say that one strategy beats another: strategies x seeds, paired, on one test set.

A live study runs where it is called; a recorded one is the same object read from a file that
`tools/studies.py` wrote.
"""

from companion.study.comparing import compare
from companion.study.provenance import (
    describe_machine,
    hash_dependencies,
    hash_values,
    normalised_source,
)
from companion.study.recordings import recorded, recorded_names
from companion.study.results import Study
from companion.study.rows import MAJORITY, Agreement, Effect, Row, Run, TestItems
from companion.study.storage import load, recipe_from_dict, save
from companion.study.tables import RecordedTable, record_table, recorded_table

__all__ = [
    "MAJORITY",
    "Agreement",
    "Effect",
    "RecordedTable",
    "Row",
    "Run",
    "Study",
    "TestItems",
    "compare",
    "describe_machine",
    "hash_dependencies",
    "hash_values",
    "load",
    "normalised_source",
    "recipe_from_dict",
    "record_table",
    "recorded",
    "recorded_names",
    "recorded_table",
    "save",
]
