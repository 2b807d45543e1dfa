"""Images, tokens and waveforms become one kind of batch.

A `BatchSource` turns positions into a `Batch`. The training loop and the evaluation know nothing
else of the data: whether items are stacked, padded, or read from disk is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from companion import runtime
from companion.splits import IGNORED

__all__ = [
    "IGNORE_LABEL",
    "Augmentation",
    "Batch",
    "BatchSource",
    "ImageAugment",
    "LazySource",
    "PaddedSource",
    "TensorSource",
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
            samples), bool; `None` where all items have one size.
        labels: class ids (batch,), or a padded row of ids per item (batch, labels) with
            `IGNORE_LABEL` as padding, int64.
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


class TensorSource:
    """Items of one size, stacked in one tensor: the fast path.

    Args:
        inputs: all items, (items, ...).
        labels: class ids, (items,), int64.
        augment: an optional random change of each batch.
    """

    def __init__(self, inputs: Tensor, labels: Tensor, augment: Augmentation | None = None):
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
    """

    is_augmented = False

    def __init__(
        self, inputs: Sequence[Tensor], labels: Tensor | Sequence[Tensor], *, padding: float = 0
    ):
        self.inputs = inputs
        self.labels = labels
        self.padding = padding

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.inputs)

    def batch(self, indices: Tensor, epoch: int = 0) -> Batch:
        """Return the items at `indices`, (batch,), padded, with their mask."""
        rows = [self.inputs[i] for i in indices.tolist()]
        inputs, mask = pad_sequences(rows, padding=self.padding)
        return Batch(inputs, mask, _gather_labels(self.labels, indices), indices)


class LazySource:
    """Items that are read when they are needed, such as image files.

    Args:
        inputs: a sequence whose `[i]` is item i, prepared, a tensor of one shape for all items.
        labels: class ids, (items,), int64.
        augment: an optional random change of each batch.
    """

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


def _gather_labels(labels: Tensor | Sequence[Tensor], indices: Tensor) -> Tensor:
    """Return the labels of a batch, (batch,) or (batch, labels) padded with IGNORE_LABEL."""
    if isinstance(labels, Tensor):
        return labels[indices]
    return pad_sequences([labels[i] for i in indices.tolist()], padding=IGNORE_LABEL)[0]


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


@dataclass(frozen=True)
class ImageAugment:
    """Small random rotations, shifts, zooms and mirrorings of images.

    The numbers behind each change come from `runtime.item_uniforms`, so an item looks the same
    in a given epoch whatever batch it is in.

    Attributes:
        seed: the seed of the run.
        degrees: largest rotation either way, in degrees.
        shift: largest shift either way, as a fraction of the image's side.
        zoom: largest relative change of size either way, as a fraction.
        mirror: whether half of the images are mirrored left to right (wrong for letters and
            digits, usual for photographs).
    """

    seed: int = 0
    degrees: float = 10.0
    shift: float = 0.08
    zoom: float = 0.1
    mirror: bool = False

    def with_seed(self, seed: int) -> ImageAugment:
        """Return the same augmentation for the run of another seed."""
        return replace(self, seed=seed)

    def __call__(self, inputs: Tensor, indices: Tensor, epoch: int) -> Tensor:
        """Return changed images.

        Args:
            inputs: images, (batch, channels, height, width).
            indices: positions of the items in their split, (batch,).
            epoch: which epoch, from 0.

        Returns:
            Images of the same shape; what comes in from outside repeats the border.
        """
        draws = runtime.item_uniforms(self.seed, epoch, indices, 5).to(inputs.device)
        matrices = self._matrices(2 * draws[:, :4] - 1, draws[:, 4] < 0.5)
        grid = torch.nn.functional.affine_grid(
            matrices.to(inputs.dtype), list(inputs.shape), align_corners=False
        )
        return torch.nn.functional.grid_sample(
            inputs, grid, padding_mode="border", align_corners=False
        )

    def _matrices(self, draws: Tensor, flipped: Tensor) -> Tensor:
        """Return affine matrices, (batch, 2, 3), from draws in [-1, 1), (batch, 4)."""
        angle = torch.deg2rad(draws[:, 0] * self.degrees)
        size = 1 + draws[:, 1] * self.zoom
        side = torch.where(flipped & self.mirror, -1.0, 1.0)
        cos, sin = angle.cos() / size, angle.sin() / size
        shift_x, shift_y = draws[:, 2] * 2 * self.shift, draws[:, 3] * 2 * self.shift
        first = torch.stack([cos * side, -sin, shift_x], dim=1)
        second = torch.stack([sin * side, cos, shift_y], dim=1)
        return torch.stack([first, second], dim=1)
