"""Raw examples with their labels, checked when they are made."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import torch
from torch import Tensor

from companion import checks
from companion.splits.boxes import as_boxes
from companion.splits.spans import check_bio_classes

__all__ = ["IGNORED", "TASKS", "Selection", "Split", "as_class_ids", "check_images"]

IGNORED = -100
"""Label of a token that carries none."""

TASKS = ("classification", "tokens", "spans", "ctc", "detection")
"""What a label may be: a class, a class a token, spans of tokens written as BIO classes, a sequence
of classes, boxes with classes."""


@dataclass(frozen=True, eq=False)
class Split:
    """Raw examples with their labels.

    Attributes:
        name: `"train"`, `"val"`, `"test"` or `"pool"`.
        inputs: images as a tensor (items, channels, height, width), uint8, or float in [0, 1]; or
            a sequence whose `[i]` is one image, float in [0, 1]; or texts, or pairs of texts, or
            sentences as tuples of words; or waveforms, each a tensor (samples,).
        labels: class ids, (items,), int64; for the tasks `"tokens"`, `"spans"` and `"ctc"` one
            tensor (labels,) an item. A token may be labelled -100 (none); for `"ctc"` 0 is the
            blank; the classes of `"spans"` are `"O"`, `"B-..."` and `"I-..."`. For
            `"detection"` one float32 tensor (boxes, 5) an image: class id, x_min, y_min, x_max,
            y_max, where corners are fractions of the image's width and height.
        ids: one name an item, all different.
        classes: names of the class ids; the background of detection is none of them.
        groups: what an item must not be parted from (its speaker, font, drawer), one an item.
        task: one of `TASKS`.

    Raises:
        CompanionError: fields of different lengths, labels out of range, ids or classes that are
            given twice or are no strings, images of another type or outside [0, 1].
    """

    name: str
    inputs: Sequence[Any] | Tensor
    labels: Tensor | Sequence[Tensor]
    ids: tuple[str, ...]
    classes: tuple[str, ...]
    groups: tuple[Hashable, ...] | None = None
    task: str = "classification"

    def __post_init__(self) -> None:
        """Bring the fields into their form and check them."""
        checks.one_of("task", self.task, TASKS)
        set_field = object.__setattr__
        set_field(self, "ids", _as_names("ids", self.ids))
        set_field(self, "classes", _as_names("classes", self.classes))
        if self.task == "spans":
            check_bio_classes(self.classes)
        set_field(self, "inputs", _as_inputs(self.inputs))
        what, num_classes = f"labels of split {self.name!r}", len(self.classes)
        labels = as_class_ids(what, self.labels, task=self.task, num_classes=num_classes)
        set_field(self, "labels", labels)
        if self.groups is not None:
            set_field(self, "groups", tuple(self.groups))
        _check_lengths(self)
        _check_images(self)

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.ids)

    def __repr__(self) -> str:
        """Return what the split holds in one line, without the items."""
        named = ", ".join(map(repr, self.classes[:3])) + (", ..." if len(self.classes) > 3 else "")
        return (
            f"Split({self.name!r}, {len(self)} items, {self.task}, "
            f"{len(self.classes)} classes: {named})"
        )

    def fingerprint(self) -> str:
        """Return a SHA-256 of all but the name: ids, classes, groups, labels, task and inputs.

        Inputs that are read when they are asked for, such as files, count by their ids alone.
        """
        names = (self.classes, self.ids, [str(group) for group in self.groups or ()])
        digest = hashlib.sha256("\x1e".join([self.task, *map("\x1f".join, names)]).encode())
        labels = [self.labels] if isinstance(self.labels, Tensor) else self.labels
        is_in_memory = isinstance(self.inputs, (Tensor, list, tuple))
        inputs = [self.inputs] if isinstance(self.inputs, Tensor) else self.inputs
        for value in (*labels, *(inputs if is_in_memory else ())):
            digest.update(_raw(value))
        return digest.hexdigest()

    def class_counts(self) -> dict[str, int]:
        """Return how many labels of each class there are, by class name, zeros included.

        Of detection each box counts.
        """
        labels = _flat(self.labels)
        labels = labels[:, 0].long() if self.task == "detection" else labels
        counts = torch.bincount(labels[labels != IGNORED], minlength=len(self.classes))
        return dict(zip(self.classes, counts.tolist(), strict=True))

    def subset(self, positions: Iterable[int] | Tensor, *, name: str | None = None) -> Split:
        """Return some of the items, in the order of the positions.

        Args:
            positions: which items, from 0.
            name: name of the new split; `None` keeps the name.

        Raises:
            CompanionError: a position is not in the split, or is given twice.
        """
        chosen = [int(position) for position in positions]
        outside = [p for p in chosen if not 0 <= p < len(self)]
        if outside:
            checks.fail(
                "positions",
                got=outside[0],
                expected=f"0..{len(self) - 1} for {len(self)} items",
                do="choose among the items of this split",
            )
        labels: Any = self.labels
        index = torch.tensor(chosen, dtype=torch.long)
        return replace(
            self,
            name=name or self.name,
            inputs=_take(self.inputs, chosen),
            labels=labels[index] if isinstance(labels, Tensor) else [labels[p] for p in chosen],
            ids=tuple(self.ids[p] for p in chosen),
            groups=None if self.groups is None else tuple(self.groups[p] for p in chosen),
        )


class Selection(Sequence[Any]):
    """Some items of a sequence that reads its items when they are asked for.

    Args:
        items: the sequence.
        positions: which of them, in which order.
    """

    def __init__(self, items: Sequence[Any], positions: Sequence[int]):
        self.items = items
        self.positions = tuple(positions)

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.positions)

    def __getitem__(self, index: Any) -> Any:
        """Return item `index` of the selection, or a smaller selection for a slice."""
        if isinstance(index, slice):
            return Selection(self.items, self.positions[index])
        return self.items[self.positions[index]]


def _take(inputs: Any, positions: list[int]) -> Any:
    """Return the inputs at some positions without reading what is read lazily."""
    if isinstance(inputs, Tensor):
        return inputs[torch.tensor(positions, dtype=torch.long)]
    if isinstance(inputs, (list, tuple)):
        return [inputs[p] for p in positions]
    if isinstance(inputs, Selection):
        return Selection(inputs.items, [inputs.positions[p] for p in positions])
    return Selection(inputs, positions)


def as_class_ids(what: str, ids: Any, *, task: str, num_classes: int) -> Tensor | list[Tensor]:
    """Return class ids as int64 tensors, or boxes as float32 tensors.

    Args:
        what: what they are, for the message.
        ids: one whole number an item, (items,); for `"tokens"`, `"spans"` and `"ctc"` one row an
            item; for `"detection"` boxes, as in `as_boxes`.
        task: one of `TASKS`.
        num_classes: how many classes there are; for `"ctc"` the blank 0 is one of them.

    Raises:
        CompanionError: they are not whole numbers, or not those of classes, or no boxes.
    """
    if task == "detection":
        return as_boxes(what, ids, num_classes=num_classes)
    try:
        rows = [torch.as_tensor(row) for row in ([ids] if task == "classification" else ids)]
    except (TypeError, ValueError, RuntimeError):
        _refuse_ids(what, f"{str(ids)[:40]}, {type(ids).__name__}")
    for row in rows:
        is_whole = not (row.is_floating_point() or row.is_complex() or row.dtype == torch.bool)
        if row.dim() != 1 or not (is_whole or len(row) == 0):
            _refuse_ids(what, f"{row.dtype} of shape {tuple(row.shape)}")
    rows = [row.long() for row in rows]
    _check_range(what, torch.cat([torch.zeros(0, dtype=torch.long), *rows]), task, num_classes)
    return rows[0] if task == "classification" else rows


def _refuse_ids(what: str, got: str) -> NoReturn:
    """Raise the error for labels that are no whole numbers."""
    checks.fail(
        what,
        got=got,
        expected="class ids, one whole number an item (or a row of them for sequences)",
        do="number the classes 0, 1, 2, ... in the order of `classes`",
    )


def _check_range(what: str, ids: Tensor, task: str, num_classes: int) -> None:
    """Refuse ids that are no class of the task."""
    lowest = 1 if task == "ctc" else 0
    if task in ("tokens", "spans"):
        ids = ids[ids != IGNORED]
    if len(ids) and (int(ids.min()) < lowest or int(ids.max()) >= num_classes):
        wrong = int(ids.max() if int(ids.max()) >= num_classes else ids.min())
        checks.fail(
            what,
            got=f"label {wrong}",
            expected=f"{lowest}..{num_classes - 1} for {num_classes} classes",
            do="number the classes 0, 1, 2, ... in the order of `classes`",
        )


def _as_names(what: str, names: Iterable[Any]) -> tuple[str, ...]:
    """Return names as a tuple of strings, classes all different.

    Raises:
        CompanionError: one is no string, or a class is named twice.
    """
    found = tuple(names)
    wrong = [name for name in found if not isinstance(name, str)]
    if wrong:
        checks.fail(
            what,
            got=f"{wrong[0]!r}, a {type(wrong[0]).__name__}",
            expected="strings",
            do=f"pass [str(name) for name in {what}]",
        )
    twice = [name for name, number in Counter(found).items() if number > 1]
    if what == "classes" and twice:
        checks.fail(
            what, got=f"{twice[0]!r} twice", expected="each class once", do="merge or rename them"
        )
    return found


def _as_inputs(inputs: Any) -> Any:
    """Return inputs with numpy arrays as tensors; anything else as it is."""
    if type(inputs).__module__ == "numpy":
        return torch.from_numpy(inputs)
    if isinstance(inputs, (list, tuple)) and inputs and type(inputs[0]).__module__ == "numpy":
        return [torch.as_tensor(item) for item in inputs]
    return inputs


def _raw(value: Any) -> bytes:
    """Return the bytes that tell a label or an input from another."""
    if not isinstance(value, Tensor):
        return repr(value).encode()
    head = f"{value.dtype}{tuple(value.shape)}".encode()
    flat = value.detach().cpu().contiguous().reshape(-1)
    return head + flat.view(torch.uint8).numpy().tobytes()


def _flat(labels: Tensor | Sequence[Tensor]) -> Tensor:
    """Return all labels in one tensor."""
    if isinstance(labels, Tensor):
        return labels
    return torch.cat(list(labels)) if len(labels) else torch.zeros(0, 5, dtype=torch.long)


def _check_lengths(split: Split) -> None:
    """Refuse fields of different lengths and ids that are given twice."""
    lengths = {"inputs": len(split.inputs), "labels": len(split.labels), "ids": len(split.ids)}
    if split.groups is not None:
        lengths["groups"] = len(split.groups)
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{number} {what}" for what, number in lengths.items())
        checks.fail(
            f"split {split.name!r}", got=found, expected="as many of each", do="one of each an item"
        )
    twice = [name for name, number in Counter(split.ids).items() if number > 1]
    if twice:
        checks.fail(
            f"ids of split {split.name!r}",
            got=f"{twice[0]!r} more than once",
            expected="a name of its own for each item",
            do="leave the second copy out or name it differently",
        )


def _check_images(split: Split) -> None:
    """Refuse images in memory that are of another type or outside [0, 1]."""
    if isinstance(split.inputs, Tensor) and split.inputs.dim() == 4:
        check_images(f"images of split {split.name!r}", split.inputs)


def check_images(what: str, images: Tensor) -> None:
    """Refuse images of another type or range than every preprocessing starts from.

    Args:
        what: which images, for the message.
        images: of any shape; uint8, or float in [0, 1].

    Raises:
        CompanionError: other integers, or values outside [0, 1].
    """
    if images.dtype == torch.uint8:
        return
    if not images.is_floating_point():
        checks.fail(
            what,
            got=f"{images.dtype}",
            expected="uint8 in 0..255, or float in [0, 1]",
            do="convert them with .to(torch.uint8)",
        )
    if len(images) and not bool(((images >= 0) & (images <= 1)).all()):
        checks.fail(
            what,
            got=f"values from {float(images.min()):.3g} to {float(images.max()):.3g}",
            expected="values in [0, 1]",
            do="divide 0..255 by 255 and leave normalisation to the backbone",
        )
