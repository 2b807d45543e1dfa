"""Wrong answers as learners give them, made by doing the wrong thing."""

from __future__ import annotations

import torch

from companion.exercises.medical_imaging.checks import tumour_answer
from companion.splits import Split

__all__ = [
    "split_by_item",
    "split_of_one_patient",
    "split_that_keeps_all",
    "split_that_loses",
    "tumours",
]

tumours = tumour_answer


def _order(number: int, seed: int) -> list[int]:
    """Return a seeded order."""
    order: list[int] = torch.randperm(
        number, generator=torch.Generator().manual_seed(seed)
    ).tolist()
    return order


def _by_patients(split: Split, held: set[object]) -> tuple[Split, Split]:
    """Return two parts, the second with some patients."""
    groups = split.groups or ()
    parts = ([i for i, g in enumerate(groups) if (g in held) == side] for side in (False, True))
    train, val = (split.subset(part) for part in parts)
    return train, val


def split_by_item(split: Split, seed: int) -> tuple[Split, Split]:
    """Split cells instead of patients, as the broken function does."""
    order, cut = _order(len(split), seed), len(split) // 5
    return split.subset(order[cut:]), split.subset(order[:cut])


def split_that_loses(split: Split, seed: int) -> tuple[Split, Split]:
    """Split by item, then drop from train all cells of the patients of val."""
    train, val = split_by_item(split, seed)
    kept = set(split.groups or ()) - set((val.groups or ())[:3])
    return _by_patients(train, kept)[1], val


def split_that_keeps_all(split: Split, seed: int) -> tuple[Split, Split]:
    """Draw the patients of val, and leave them in train too."""
    names = sorted(set(map(str, split.groups or ())))
    held: set[object] = {names[number] for number in _order(len(names), seed)[:2]}
    return split, _by_patients(split, held)[1]


def split_of_one_patient(split: Split, seed: int) -> tuple[Split, Split]:
    """Hold out a single patient."""
    names = sorted(set(map(str, split.groups or ())))
    return _by_patients(split, {names[_order(len(names), seed)[0]]})
