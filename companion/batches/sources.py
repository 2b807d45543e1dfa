"""Sources of batches: items of one size, padded sequences, items read when needed, boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor

from companion import checks
from companion.splits import IGNORED

__all__ = [
    "IGNORE_LABEL",
    "Augmentation",
    "Batch",
    "BatchSource",
    "BoxAugmentation",
    "DetectionSource",
    "LazySource",
    "PaddedSource",
    "TensorSource",
    "by_length",
    "pad_sequences",
]

IGNORE_LABEL = IGNORED
"""Label of padding and of tokens that carry no label: losses and scores leave it out."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a model sees in one step.

    Attributes:
        inputs: images (batch, channels, height, width), token ids (batch, tokens) or waveforms
            (batch, samples).
        mask: True where an input is real and False where it is padding, (batch, tokens or
            samples), bool; `None` where all items have one size. For words that a tokenizer cuts
            into pieces int8: 0 padding, 1 real, 2 the first piece of a word.
        labels: class ids (batch,), or a padded row of ids per item (batch, labels) with
            `IGNORE_LABEL` as padding, int64; or padded boxes, (batch, boxes, 5), float32, where the
            class id of padding is `IGNORE_LABEL`.
        indices: positions of the items in their split, (batch,), int64.
    """

    inputs: Tensor
    mask: Tensor | None
    labels: Tensor
    indices: Tensor

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.labels)

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device; the same object where it is there already."""
        if self.inputs.device == device and self.labels.device == device:
            return self
        mask = None if self.mask is None else self.mask.to(device, non_blocking=True)
        return Batch(
            self.inputs.to(device, non_blocking=True),
            mask,
            self.labels.to(device, non_blocking=True),
            self.indices,
        )


class BatchSource(Protocol):
    """A split that the backbone has prepared: positions in, batch out."""

    @property
    def labels(self) -> Tensor | Sequence[Tensor]:
        """Class ids, (items,), or one row of ids an item."""

    @property
    def is_augmented(self) -> bool:
        """Whether an item looks different from one epoch to the next."""

    @property
    def lengths(self) -> Tensor | None:
        """Positions of each item, (items,), int64; `None` where all items have one size."""

    def __len__(self) -> int:
        """Return the number of items."""

    def batch(self, indices: Tensor, epoch: int = 0) -> Batch:
        """Return the items at `indices`, (batch,), as they look in `epoch`."""


class Augmentation(Protocol):
    """A random change of the inputs that is a function of (seed, epoch, index) alone."""

    def with_seed(self, seed: int) -> Augmentation:
        """Return the same augmentation for the run of another seed."""

    def __call__(self, inputs: Tensor, indices: Tensor, epoch: int) -> Tensor:
        """Return changed inputs of the same shape."""


class BoxAugmentation(Protocol):
    """A random change of images that moves their boxes along, a function of (seed, epoch, index).

    It is an `Augmentation` besides: `with_seed` gives the same one for another run.
    """

    def with_seed(self, seed: int) -> BoxAugmentation:
        """Return the same augmentation for the run of another seed."""

    def with_boxes(
        self, inputs: Tensor, boxes: Tensor, indices: Tensor, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """Return changed images of the same shape, and their boxes, (batch, boxes, 5)."""


class TensorSource:
    """Items of one size, stacked in one tensor: the fast path.

    Args:
        inputs: all items, (items, ...).
        labels: class ids, (items,), int64.
        augment: an optional random change of each batch.
        lengths: what the items had before they became one size, as features of texts, so that
            the same items meet in a batch; `None` for none.
    """

    def __init__(
        self,
        inputs: Tensor,
        labels: Tensor,
        augment: Augmentation | None = None,
        *,
        lengths: Tensor | None = None,
    ):
        self.inputs = inputs
        self.labels = labels
        self.augment = augment
        self.lengths = lengths

    @property
    def is_augmented(self) -> bool:
        """Whether an item looks different from one epoch to the next."""
        return self.augment is not None

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.labels)

    def batch(self, indices: Tensor, epoch: int = 0) -> Batch:
        """Return the items at `indices`, (batch,), as they look in `epoch`."""
        inputs = self.inputs[indices]
        if self.augment is not None:
            inputs = self.augment(inputs, indices, epoch)
        return Batch(inputs, None, self.labels[indices], indices)


class PaddedSource:
    """Items of different lengths, padded to the longest of each batch.

    Args:
        inputs: one tensor an item, (tokens,) or (samples,).
        labels: class ids, (items,), or one row of ids an item, each (labels,).
        padding: value written behind the end of an item.
        word_starts: for words cut into pieces, True at the first piece of each word, one tensor
            (tokens,), bool, an item.
    """

    is_augmented = False

    def __init__(
        self,
        inputs: Sequence[Tensor],
        labels: Tensor | Sequence[Tensor],
        *,
        padding: float = 0,
        word_starts: Sequence[Tensor] | None = None,
    ):
        self.inputs = inputs
        self.labels = labels
        self.padding = padding
        self.word_starts = word_starts
        self.lengths: Tensor | None = torch.tensor([len(row) for row in inputs], dtype=torch.long)

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.inputs)

    def batch(self, indices: Tensor, epoch: int = 0) -> Batch:
        """Return the items at `indices`, (batch,), padded, with their mask."""
        positions = indices.tolist()
        inputs, mask = pad_sequences([self.inputs[i] for i in positions], padding=self.padding)
        if self.word_starts is not None:
            starts, _ = pad_sequences([self.word_starts[i] for i in positions], padding=False)
            mask = mask.to(torch.int8) + starts
        return Batch(inputs, mask, _gather_labels(self.labels, indices), indices)


class LazySource:
    """Items that are read when they are needed, such as image files.

    Args:
        inputs: a sequence whose `[i]` is item i, prepared, a tensor of one shape for all items.
        labels: class ids, (items,), int64.
        augment: an optional random change of each batch.
    """

    lengths = None

    def __init__(
        self, inputs: Sequence[Tensor], labels: Tensor, augment: Augmentation | None = None
    ):
        self.inputs = inputs
        self.labels = labels
        self.augment = augment

    @property
    def is_augmented(self) -> bool:
        """Whether an item looks different from one epoch to the next."""
        return self.augment is not None

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.labels)

    def batch(self, indices: Tensor, epoch: int = 0) -> Batch:
        """Return the items at `indices`, (batch,), as they look in `epoch`."""
        inputs = torch.stack([self.inputs[i] for i in indices.tolist()])
        if self.augment is not None:
            inputs = self.augment(inputs, indices, epoch)
        return Batch(inputs, None, self.labels[indices], indices)


class DetectionSource:
    """Images of one size with boxes, in memory or read when they are needed.

    Args:
        inputs: prepared images, (items, channels, height, width), or a sequence of such images.
        labels: boxes of each image, (boxes, 5), corners as fractions of width and height.
        augment: an optional random change of images and boxes.

    Raises:
        CompanionError: an augmentation that would leave the boxes where they were.
    """

    lengths = None

    def __init__(
        self,
        inputs: Tensor | Sequence[Tensor],
        labels: Sequence[Tensor],
        augment: Augmentation | BoxAugmentation | None = None,
    ):
        self.inputs = inputs
        self.labels = labels
        self.augment = None if augment is None else _moves_boxes(augment)

    @property
    def is_augmented(self) -> bool:
        """Whether an item looks different from one epoch to the next."""
        return self.augment is not None

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.labels)

    def batch(self, indices: Tensor, epoch: int = 0) -> Batch:
        """Return the images at `indices`, (batch,), as they look in `epoch`."""
        if isinstance(self.inputs, Tensor):
            inputs = self.inputs[indices]
        else:
            inputs = torch.stack([self.inputs[i] for i in indices.tolist()])
        boxes = _gather_labels(self.labels, indices)
        if self.augment is not None:
            inputs, boxes = self.augment.with_boxes(inputs, boxes, indices, epoch)
        return Batch(inputs, None, boxes, indices)


def _moves_boxes(augment: Augmentation | BoxAugmentation) -> BoxAugmentation:
    """Return an augmentation that moves boxes along with the picture; refuse any other."""
    if not hasattr(augment, "with_boxes"):
        checks.fail(
            "augment",
            got=f"{type(augment).__name__}, which moves pictures and not their boxes",
            expected="an augmentation with `with_boxes`",
            do="use companion.batches.BoxAugment",
        )
    return cast(BoxAugmentation, augment)


def _gather_labels(labels: Tensor | Sequence[Tensor], indices: Tensor) -> Tensor:
    """Return the labels of a batch, (batch,) or (batch, labels) padded with IGNORE_LABEL."""
    if isinstance(labels, Tensor):
        return labels[indices]
    return pad_sequences([labels[i] for i in indices.tolist()], padding=IGNORE_LABEL)[0]


def by_length(source: BatchSource) -> Tensor:
    """Return the positions of all items, (items,), the longest first.

    Batches in this order need the least padding; items of one size keep their order.

    Args:
        source: prepared items.
    """
    if source.lengths is None:
        return torch.arange(len(source))
    return torch.argsort(source.lengths, descending=True, stable=True)


def pad_sequences(rows: Sequence[Tensor], *, padding: float) -> tuple[Tensor, Tensor]:
    """Stack sequences of different lengths.

    Args:
        rows: one tensor a sequence, each (length, ...), alike in all but the length.
        padding: value written behind the end of a row.

    Returns:
        The stacked rows, (batch, longest, ...), and a mask (batch, longest), bool, that is True
        where a value is real.

    Example:
        >>> values, mask = pad_sequences([torch.tensor([1, 2]), torch.tensor([3])], padding=0)
        >>> values.tolist(), mask.tolist()
        ([[1, 2], [3, 0]], [[True, True], [True, False]])
    """
    lengths = torch.tensor([len(row) for row in rows])
    longest = max(int(lengths.max()), 1)
    values = rows[0].new_full((len(rows), longest, *rows[0].shape[1:]), padding)
    for position, row in enumerate(rows):
        values[position, : len(row)] = row
    return values, torch.arange(longest)[None, :] < lengths[:, None]
