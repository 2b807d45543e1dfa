"""The same batches in the same order for everybody, as fast as each library can take them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, TensorDataset

from benchmarks.tasks import BATCH_SIZE, SEED, Task
from companion.runtime import epoch_order

__all__ = ["fast_loader", "shuffled_loader", "usual_loader", "val_loader"]


class ItemsInOrder(Sampler[int]):
    """Positions of items in the order of `fit`, a new one each epoch."""

    def __init__(self, num_items: int):
        self.num_items = num_items
        self.epoch = 0

    def __len__(self) -> int:
        return self.num_items

    def __iter__(self) -> Iterator[int]:
        order = epoch_order(self.num_items, seed=SEED, epoch=self.epoch)
        self.epoch += 1
        yield from order.tolist()


class BatchesInOrder(Sampler[Tensor]):
    """Positions of whole batches, each (batch,), in the order of `fit`."""

    def __init__(self, num_items: int):
        self.num_items = num_items
        self.epoch = 0

    def __len__(self) -> int:
        return self.num_items // BATCH_SIZE

    def __iter__(self) -> Iterator[Tensor]:
        order = epoch_order(self.num_items, seed=SEED, epoch=self.epoch)
        self.epoch += 1
        yield from torch.split(order, BATCH_SIZE)


class Rows(Dataset[object]):
    """Items of a tensor, a whole batch at a time.

    Args:
        task: holds the items.
        names: keys of inputs and labels, for libraries that want a dictionary; `None` for a pair.
    """

    def __init__(self, task: Task, names: tuple[str, str] | None = None):
        self.task = task
        self.names = names

    def __len__(self) -> int:
        return len(self.task.labels)

    def __getitem__(self, indices: Tensor) -> object:
        pair = self.task.inputs[indices], self.task.labels[indices]
        return pair if self.names is None else dict(zip(self.names, pair, strict=True))


def fast_loader(task: Task, names: tuple[str, str] | None = None) -> DataLoader[object]:
    """Return a loader that takes whole batches out of the tensors: no collating."""
    return DataLoader(Rows(task, names), sampler=BatchesInOrder(len(task.labels)), batch_size=None)


def usual_loader(task: Task) -> DataLoader[object]:
    """Return the loader that most people write, in the order of `fit`."""
    data = TensorDataset(task.inputs, task.labels)
    return DataLoader(data, batch_size=BATCH_SIZE, sampler=ItemsInOrder(len(task.labels)))


def shuffled_loader(task: Task) -> DataLoader[object]:
    """Return the loader that most people write."""
    return DataLoader(TensorDataset(task.inputs, task.labels), batch_size=BATCH_SIZE, shuffle=True)


def val_loader(task: Task) -> DataLoader[object]:
    """Return the val items, 32 at a time."""
    return DataLoader(TensorDataset(task.val_inputs, task.val_labels), batch_size=BATCH_SIZE)
