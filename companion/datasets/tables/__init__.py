"""The reader's own texts: a CSV, TSV, JSONL or CoNLL file, or a folder with train, val and test.

A row of a table is a text, or a pair of texts, with its class; a sentence of a CoNLL file is a row
of words with a label each. Without a test part a fifth of each class is set aside by the content of
the texts, so that it is the same fifth whatever the seed. Copies of a text are used once; a text
that lies in two parts, or has two labels, is refused: a model could learn it by heart.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from companion import checks
from companion.datasets.base import Source
from companion.datasets.tables.conll import is_bio, read_sentences, repaired
from companion.datasets.tables.files import (
    LAYOUT,
    PARTS,
    Item,
    TableFile,
    find_files,
    readable,
    recognise,
)
from companion.datasets.tables.parting import check_classes, in_parts, without_copies
from companion.datasets.tables.rows import Columns, read_items
from companion.registry import DatasetCard
from companion.splits import Split, TestSplit

__all__ = ["CARD", "Columns", "load", "recognise"]

CARD = DatasetCard(
    name="table",
    title="Your own texts",
    modality="language",
    task="classification",
    classes=(),
    licence="yours",
    source="a file on this machine",
    notes=f"Expects {LAYOUT}.",
)


def load(
    path: Path | None = None,
    *,
    columns: Columns | None = None,
    repair: bool = False,
    leave_out: bool = False,
) -> Source:
    """Read, check and part labelled texts.

    Args:
        path: the file, or a folder with the files train and, where there are, val and test.
        columns: names of the columns; `None` takes `text` and `label`, and `text_pair`, `group`
            and `split` where they are there.
        repair: whether spans of a CoNLL file that begin with I- are read as if with B-.
        leave_out: whether a text whose copies differ in label or part is left out.

    Returns:
        Pool, test, and val where the table has one. Inputs are texts, pairs of texts, or (of a
        CoNLL file) sentences as tuples of words; the task is `"classification"`, `"spans"` for
        BIO labels, or `"tokens"`. Train and val share no group where there are groups.

    Raises:
        CompanionError: no such file or column, a file that is broken, an empty text or label, one
            class only or a class of one text, a text in two parts or with two labels.

    Warns:
        UserWarning: copies that are left out.
    """
    if path is None:
        checks.fail(
            "path of the dataset 'table'",
            got="None",
            expected=LAYOUT,
            do='pass it: load_dataset("table", path="reviews.csv")',
        )
    files = find_files(path)
    is_sentences = files[0].kind == "CoNLL"
    _check_options(files[0], columns, repair=repair)
    if is_sentences:
        items = [item for file in files for item in read_sentences(file)]
    else:
        items = [item for file in files for item in read_items(file, columns or Columns())]
    task = "classification" if not is_sentences else "spans" if is_bio(items) else "tokens"
    if task == "spans":
        items = repaired(items, repair=repair)
    items = without_copies(items, leave_out=leave_out)
    check_classes(items, task=task)
    items = in_parts(items)
    return _source(path, files[0].kind, items, task)


def _source(path: Path, kind: str, items: list[Item], task: str) -> Source:
    """Return the items as pool, val and test."""
    classes = _classes(items, task)
    parts = {part: _split(items, part, classes, task) for part in PARTS}
    name = path.resolve()
    card = replace(
        CARD,
        title=readable(name.stem if path.is_file() else name.name),
        task=task,
        classes=classes,
        source=readable(str(name)),
        notes=f"Read as {kind}.",
    )
    return Source(
        pool=parts["train"],
        val_pool=parts["val"] if len(parts["val"]) else None,
        test=TestSplit(parts["test"]),
        card=card,
        grouped=items[0].group is not None,
    )


def _classes(items: list[Item], task: str) -> tuple[str, ...]:
    """Return the names of the classes, of spans with B- and I- of each type behind O."""
    found = {name for i in items for name in ([i.label] if isinstance(i.label, str) else i.label)}
    if task != "spans":
        return tuple(sorted(found))
    types = sorted({name[2:] for name in found if name != "O"})
    return ("O", *(f"{prefix}-{name}" for name in types for prefix in "BI"))


def _split(items: list[Item], part: str, classes: tuple[str, ...], task: str) -> Split:
    """Return the items of one part."""
    chosen = [item for item in items if item.part == part]
    number = {name: position for position, name in enumerate(classes)}
    labels: Any
    if task == "classification":
        labels = torch.tensor([number[str(item.label)] for item in chosen], dtype=torch.long)
    else:
        labels = [torch.tensor([number[name] for name in item.label]) for item in chosen]
    is_grouped = items[0].group is not None
    return Split(
        "pool" if part == "train" else part,
        [item.text for item in chosen],
        labels,
        tuple(f"{readable(item.file.path.name)}:{item.line}" for item in chosen),
        classes,
        groups=tuple(str(item.group) for item in chosen) if is_grouped else None,
        task=task,
    )


def _check_options(file: TableFile, columns: Columns | None, *, repair: bool) -> None:
    """Refuse names of columns for a CoNLL file, and a repair for any other."""
    if file.kind == "CoNLL" and columns not in (None, Columns()):
        checks.fail(
            f"columns of {file.path}",
            got="names of columns",
            expected="none: the first column of a CoNLL file is the token, the last its label",
            do="leave them out",
        )
    if file.kind != "CoNLL" and repair:
        checks.fail(
            "repair",
            got=f"True for {file.path}, {file.kind}",
            expected="True for BIO labels in a CoNLL file only",
            do="leave it out",
        )
