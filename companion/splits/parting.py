"""Parting items: by class, by whole groups, and proved apart."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

import torch
from torch import Tensor

from companion import checks, runtime
from companion.splits.examples import Split
from companion.splits.test_set import TestSplit

__all__ = ["UNITS", "VAL_SHARE", "hold_out", "k_shot", "prove_disjoint"]

VAL_SHARE = 5
"""One label in five is val; a budget of fewer than five labels a class has no val."""

UNITS = {
    "classification": "labels a class",
    "detection": "labelled images",
    "tokens": "labelled sentences",
    "spans": "labelled sentences",
    "ctc": "labelled recordings",
}
"""What `labels_per_class` counts, by task."""


def hold_out(
    split: Split,
    *,
    share: float = 1 / VAL_SHARE,
    seed: int = 0,
    grouped: bool = False,
    names: tuple[str, str] = ("rest", "held"),
) -> tuple[Split, Split]:
    """Part a split in two, each class in the same proportion.

    Args:
        split: the items.
        share: fraction of each class that is held out, above 0 and below 1; at least one item.
        seed: which draw.
        grouped: whether whole groups are held out; proportions are then only near the share.
        names: names of the two parts.

    Returns:
        What remains, and what was held out.

    Raises:
        CompanionError: a share that leaves one part empty, a class with a single item, or fewer
            than two groups.

    Reference: pedregosa2011scikit, for the parting by groups
    """
    if checks.fraction("share", share) in (0.0, 1.0):
        checks.fail("share", got=share, expected="above 0 and below 1", do="hold out 0.2, say")
    if grouped:
        held = _held_groups(split, share, seed)
    else:
        rows = _shuffled_rows(split, seed)
        _check_row_sizes(split, rows, 2, "two parts")
        counts = [min(max(1, round(len(row) * share)), len(row) - 1) for row in rows]
        held = [p for row, count in zip(rows, counts, strict=True) for p in row[:count]]
    chosen = set(held)
    rest = [p for p in range(len(split)) if p not in chosen]
    return split.subset(rest, name=names[0]), split.subset(sorted(held), name=names[1])


def prove_disjoint(*splits: Split | TestSplit, grouped: bool = False) -> None:
    """Pass splits of which no two share an item.

    Args:
        *splits: the splits.
        grouped: whether they must not share a group either.

    Raises:
        CompanionError: two share an id or a group; the first is named.
    """
    kinds: list[tuple[str, Callable[[Split | TestSplit], Iterable[Hashable]]]]
    kinds = [("item", lambda split: split.ids), ("group", _groups)]
    for kind, names_of in kinds[: 2 if grouped else 1]:
        seen: dict[Hashable, str] = {}
        for split in splits:
            names = dict.fromkeys(names_of(split))
            both = next((name for name in names if name in seen), None)
            if both is not None:
                checks.fail(
                    f"{seen[both]} and {split.name}",
                    got=f"{kind} {both!r} in both",
                    expected=f"no common {kind}",
                    do="keep it in one of them",
                )
            seen |= dict.fromkeys(names, split.name)


def k_shot(split: Split, labels_per_class: int, *, seed: int = 0, skip: int = 0) -> Split:
    """Return the same number of items of each class; of other tasks, that many items.

    Args:
        split: the items.
        labels_per_class: how many of each class, at least 0; for detection how many images in
            all, as one image holds boxes of several classes, and so for sentences with labelled
            tokens and for recordings.
        seed: which draw; with the same seed a smaller number is a part of a larger one.
        skip: how many of each class are passed over first, to draw parts that are disjoint.

    Raises:
        CompanionError: a class, or the split, has too few items.
    """
    needed = skip + checks.non_negative_int("labels_per_class", labels_per_class)
    rows = _shuffled_rows(split, seed)
    unit = UNITS.get(split.task, "labelled items")
    _check_row_sizes(split, rows, needed, f"{needed} {unit}")
    return split.subset([p for row in rows for p in row[skip:needed]])


def _groups(split: Split | TestSplit) -> tuple[Hashable, ...]:
    """Return the group of each item.

    Raises:
        CompanionError: the split has none.
    """
    if split.groups is None:
        checks.fail(
            f"groups of split {split.name!r}",
            got="none",
            expected="one a item, such as its speaker",
            do="give the split groups, or leave out grouped=True",
        )
    return split.groups


def _shuffled_rows(split: Split, seed: int) -> list[list[int]]:
    """Return the positions of each class in a seeded order; one row for tasks without classes."""
    labels = split.labels
    num_rows = len(split.classes)
    if not isinstance(labels, Tensor):
        labels, num_rows = torch.zeros(len(split), dtype=torch.long), 1
    rows = []
    for label in range(num_rows):
        found = torch.nonzero(labels == label).flatten()
        row_seed = runtime.derive_seed(seed, "draw", label)
        rows.append(found[runtime.epoch_order(len(found), seed=row_seed, epoch=0)].tolist())
    return rows


def _check_row_sizes(split: Split, rows: list[list[int]], needed: int, purpose: str) -> None:
    """Refuse classes with fewer items than are needed."""
    is_classes = split.task == "classification"
    names = [f"class {name!r} of " for name in split.classes] if is_classes else [""]
    for name, row in zip(names, rows, strict=True):
        if len(row) < needed:
            checks.fail(
                f"{name}split {split.name!r}",
                got=f"{len(row)} items",
                expected=f"at least {needed} for {purpose}",
                do="ask for fewer labels a class, or add items of this class"
                if is_classes
                else "ask for fewer, or add items",
            )


def _held_groups(split: Split, share: float, seed: int) -> list[int]:
    """Return the positions of whole groups that are about a share of the items."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    groups = _groups(split)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(groups))}
    if len(numbers) < 2:
        checks.fail(
            f"groups of split {split.name!r}",
            got=f"{len(numbers)} different",
            expected="at least two",
            do="leave out grouped=True, or give the items the groups they come from",
        )
    is_classification = split.task == "classification"
    folds = (StratifiedGroupKFold if is_classification else GroupKFold)(
        min(round(1 / share), len(numbers)),
        shuffle=True,
        random_state=runtime.derive_seed(seed, "groups") % 2**32,
    )
    labels = split.labels if is_classification else None
    members = [numbers[name] for name in groups]
    _, held = next(folds.split(members, labels, members))
    return [int(p) for p in held]
