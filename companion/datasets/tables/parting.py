"""Texts once each, in train, val and test, with the classes of train."""

from __future__ import annotations

import hashlib
import json
import unicodedata
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from companion import checks
from companion.datasets.tables.files import Item, and_more

__all__ = ["check_classes", "fingerprint", "in_parts", "without_copies"]

TEST_SHARE = 5
"""Without a test part one text in five is test."""


def fingerprint(value: object) -> str:
    """Return a SHA-256 of a text, a pair of texts, the words of a sentence, or a group.

    Args:
        value: string, or tuple of strings; how letters with marks are composed does not count.
    """
    letters = json.dumps(value, ensure_ascii=False)
    return hashlib.sha256(unicodedata.normalize("NFC", letters).encode()).hexdigest()


def without_copies(items: Sequence[Item], *, leave_out: bool = False) -> list[Item]:
    """Return the items with each text once; copies are warned of.

    Args:
        items: labelled texts.
        leave_out: whether texts whose copies differ in label, part or group are left out, all
            their copies; else they are refused.

    Raises:
        CompanionError: a text has two labels, lies in two parts, or in two groups.

    Warns:
        UserWarning: copies that are left out.
    """
    first: dict[str, Item] = {}
    copies: list[tuple[str, str]] = []
    clashes: dict[str, tuple[Item, Item, str]] = {}
    for item in items:
        key = fingerprint(item.text)
        original = first.setdefault(key, item)
        if original is item:
            continue
        clash = _clash(original, item)
        if clash:
            clashes.setdefault(key, (original, item, clash))
        copies.append((key, f"{item.where} has the text of {original.where}"))
    if clashes:
        _tell_clashes(list(clashes.values()), leave_out=leave_out)
    copies = [(key, said) for key, said in copies if key not in clashes]
    if copies:
        warnings.warn(
            f"{len(copies)} texts are used once although there are copies: {copies[0][1]}",
            stacklevel=4,
        )
    return [item for key, item in first.items() if key not in clashes]


def _tell_clashes(clashes: Sequence[tuple[Item, Item, str]], *, leave_out: bool) -> None:
    """Refuse texts whose copies differ, or warn that they are left out."""
    original, item, clash = clashes[0]
    if leave_out:
        warnings.warn(
            f"{len(clashes)} texts are left out, all their copies: that at {original.where} and at "
            f"{item.where} is the same {clash}",
            stacklevel=5,
        )
        return
    checks.fail(
        f"texts at {original.where} and at {item.where}",
        got=f"the same text {clash}{and_more(clashes)}",
        expected="each text once, so that nothing is judged by what it was trained on",
        do="take one of them out, or pass leave_out=True (on the command line --leave-out), which "
        "leaves out all copies of such texts",
    )


def _clash(first: Item, second: Item) -> str:
    """Return in what two items of one text differ; nothing where they do not."""
    if first.label != second.label:
        if isinstance(first.label, str):
            return f"with two labels, {first.label!r} and {second.label!r}"
        return "with two rows of labels"
    if first.part != second.part:
        return f"in {first.part} and in {second.part}"
    if first.group != second.group:
        return f"in two groups, {first.group!r} and {second.group!r}"
    return ""


def check_classes(items: Sequence[Item], *, task: str) -> None:
    """Pass items of at least two classes, of which val and test hold none that train has not.

    Args:
        items: labelled texts, all of them.
        task: `"classification"`, `"tokens"` or `"spans"`; of spans the types are compared.

    Raises:
        CompanionError: nothing in train, one class only, or a class that is not in train.
    """
    train = [item for item in items if item.part in ("", "train")]
    checks.non_empty("texts in train", train, do="mark rows with 'train' in the column 'split'")
    known = {name for item in train for name in _names(item, task)}
    if len(known | {"O"} if task == "spans" else known) < 2:
        checks.fail(
            f"classes in {train[0].file.path}",
            got=f"one only, {next(iter(known))!r}",
            expected="at least two",
            do="add texts of another class, or name the right column of labels",
        )
    unknown = [
        (item, name)
        for item in items
        for name in _names(item, task)
        if name not in known and not (task == "spans" and name == "O")
    ]
    if unknown:
        item, name = unknown[0]
        checks.fail(
            item.where,
            got=f"the label {name!r} in {item.part}{and_more(unknown)}",
            expected=f"one that train has, {', '.join(map(repr, sorted(known)[:8]))}",
            do="add texts of this class to train, or leave them out",
        )


def _names(item: Item, task: str) -> list[str]:
    """Return the class of a text, or those of a sentence's words; of spans the types."""
    labels = [item.label] if isinstance(item.label, str) else item.label
    return [
        label.removeprefix("B-").removeprefix("I-") if task == "spans" else label
        for label in labels
    ]


def in_parts(items: Sequence[Item]) -> list[Item]:
    """Return the items, each in train, val or test; without a test a fifth is set aside.

    It is the same fifth whatever the seed: chosen by the texts, of each class, or by the groups.

    Args:
        items: labelled texts.

    Raises:
        CompanionError: a group lies in two parts, or a class or the groups are too few.
    """
    _check_groups(items)
    items = [replace(item, part=item.part or "train") for item in items]
    if any(item.part == "test" for item in items):
        return items
    train = [item for item in items if item.part == "train"]
    is_grouped = items[0].group is not None
    test = _groups_for_test(train) if is_grouped else _texts_for_test(train)
    return [replace(i, part="test") if i.part == "train" and i.where in test else i for i in items]


def _texts_for_test(items: Sequence[Item]) -> set[str]:
    """Return where a fifth of the texts of each class stand, of sentences a fifth of all."""
    rows: dict[str, list[Item]] = {}
    for item in items:
        rows.setdefault(item.label if isinstance(item.label, str) else "", []).append(item)
    single = [row[0] for row in rows.values() if len(row) < 2]
    if single:
        _refuse_single(single, len(rows))
    chosen: set[str] = set()
    for row in rows.values():
        ordered = sorted(row, key=lambda item: fingerprint(item.text))
        chosen |= {item.where for item in ordered[: max(1, round(len(row) / TEST_SHARE))]}
    return chosen


def _refuse_single(single: Sequence[Item], num_classes: int) -> None:
    """Raise the error for classes of one text."""
    is_score = len(single) > num_classes / 2 and num_classes > 2
    item = single[0]
    what = f"class {item.label!r} ({item.where})" if isinstance(item.label, str) else item.where
    checks.fail(
        what,
        got=f"1 text of it{and_more(single)}" if isinstance(item.label, str) else "one sentence",
        expected="at least 2, one to train on and one for test",
        do="name a column of classes: this one looks like texts or scores"
        if is_score
        else "add texts, or leave this one out",
    )


def _groups_for_test(items: Sequence[Item]) -> set[str]:
    """Return where the texts of some whole groups stand, about a fifth of all.

    Groups are taken in the order of their names' hashes, but for those that would leave fewer than
    two other groups to a class: train and val need one each.
    """
    members: dict[str, list[Item]] = {}
    for item in items:
        members.setdefault(str(item.group), []).append(item)
    classes_of = {
        name: {name for i in row for name in _names(i, "classification")}
        for name, row in members.items()
    }
    left = Counter(label for labels in classes_of.values() for label in labels)
    chosen: set[str] = set()
    for name in sorted(members, key=fingerprint):
        is_needed = any(left[label] <= 2 for label in classes_of[name])
        if len(chosen) >= len(items) / TEST_SHARE or is_needed:
            continue
        left.subtract(classes_of[name])
        chosen |= {item.where for item in members[name]}
    if not chosen:
        checks.fail(
            f"groups in {items[0].file.path}",
            got=f"{len(members)}, too few to part each class",
            expected="each class in at least 3 groups, for train, val and test",
            do="add groups, name the parts in a column 'split', or rename the column of groups",
        )
    return chosen


def _check_groups(items: Sequence[Item]) -> None:
    """Refuse a group that lies in two parts."""
    first: dict[str, Item] = {}
    for item in items:
        if item.group is None:
            continue
        other = first.setdefault(item.group, item)
        if other.part != item.part:
            checks.fail(
                f"group {item.group!r}",
                got=f"{other.where} in {other.part} and {item.where} in {item.part}",
                expected="each group in one part",
                do="move its texts into one part, or rename the column of groups",
            )
