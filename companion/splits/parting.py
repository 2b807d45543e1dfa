"""Parting items: by class, by whole groups, and proved apart."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence

import torch
from torch import Tensor

from companion import checks, runtime
from companion.splits.examples import Split
from companion.splits.test_set import TestSplit

__all__ = ["VAL_SHARE", "class_rows", "grouped_rows", "hold_out", "prove_disjoint"]

VAL_SHARE = 5
"""One label in five is val; a budget of fewer than five labels a class has no val."""


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


def class_rows(pool: Split, budget: int, num_val: int, seed: int) -> list[list[int]]:
    """Return the positions drawn of each class, (classes, budget), those for val first."""
    _check_has_classes(pool)
    rows = _shuffled_rows(pool, seed)
    _check_row_sizes(pool, rows, budget, f"labels_per_class={budget}")
    return [row[:budget] for row in rows]


def grouped_rows(pool: Split, budget: int, num_val: int, seed: int) -> list[list[int]]:
    """Return the positions drawn of each class, those for val first and from groups of their own.

    The groups for val are set aside at every budget, so that a smaller one is a part of a larger.
    """
    _check_has_classes(pool)
    held = _held_groups(pool, 1 / VAL_SHARE, seed)
    for_val = _shuffled_rows(pool, seed, held)
    for_train = _shuffled_rows(pool, seed, sorted(set(range(len(pool))) - set(held)))
    _check_row_sizes(pool, for_val, num_val, "val, in the groups held out for it")
    _check_row_sizes(pool, for_train, budget - num_val, "train, in the groups left to it")
    rows = zip(for_val, for_train, strict=True)
    return [val[:num_val] + train[: budget - num_val] for val, train in rows]


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


def _shuffled_rows(
    split: Split, seed: int, positions: Sequence[int] | None = None
) -> list[list[int]]:
    """Return the positions of each class in a seeded order; one row for tasks without classes."""
    labels = split.labels if isinstance(split.labels, Tensor) else torch.zeros(len(split)).long()
    num_rows = len(split.classes) if split.task == "classification" else 1
    usable = torch.ones(len(split), dtype=torch.bool)
    if positions is not None:
        usable[:] = False
        usable[torch.tensor(positions, dtype=torch.long)] = True
    rows = []
    for label in range(num_rows):
        found = torch.nonzero((labels == label) & usable).flatten()
        order = runtime.epoch_order(
            len(found), seed=runtime.derive_seed(seed, "draw", label), epoch=0
        )
        rows.append(found[order].tolist())
    return rows


def _check_row_sizes(split: Split, rows: list[list[int]], needed: int, purpose: str) -> None:
    """Refuse classes with fewer items than are needed."""
    names = split.classes if split.task == "classification" else ("all",)
    for name, row in zip(names, rows, strict=True):
        if len(row) < needed:
            checks.fail(
                f"class {name!r} of split {split.name!r}",
                got=f"{len(row)} items",
                expected=f"at least {needed} for {purpose}",
                do="ask for fewer labels a class, or add items of this class",
            )


def _check_has_classes(pool: Split) -> None:
    """Refuse a budget per class where items have no class."""
    if pool.task != "classification":
        checks.fail(
            "labels_per_class",
            got=f"a number for the task {pool.task!r}",
            expected="None, as only items of a classification task have one class each",
            do="leave it out, or make the pool smaller with `subset`",
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
