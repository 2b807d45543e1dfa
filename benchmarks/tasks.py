"""What is trained: two tasks, each with one start that every contestant gets a copy of."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import companion
from companion.backbones import Backbone, LayerGroup
from companion.batches import Augmentation, BatchSource, TensorSource
from companion.datasets import digits
from companion.heads import build_head
from companion.registry import BackboneCard
from companion.splits import Split, Splits
from companion.training import Recipe

__all__ = [
    "BATCH_SIZE",
    "LEARNING_RATE",
    "SEED",
    "TASKS",
    "Task",
    "cosine",
    "digit_splits",
    "frozen_task",
    "resnet18_task",
    "small_backbone",
    "small_task",
    "unadorned_recipe",
]

SEED = 0
BATCH_SIZE = 32
LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Task:
    """Data, start and length of a training.

    Attributes:
        backbone: the start, without a head.
        splits: train and val, whose sizes are multiples of the batch size (val: where it matters).
        inputs: train, prepared, (items, ...).
        labels: (items,), int64.
        val_inputs: val, prepared.
        val_labels: (items,), int64.
        num_epochs: passes over train.
    """

    backbone: Backbone
    splits: Splits
    inputs: Tensor
    labels: Tensor
    val_inputs: Tensor
    val_labels: Tensor
    num_epochs: int

    @property
    def steps_per_epoch(self) -> int:
        """How many batches an epoch has, all of them full."""
        return len(self.labels) // BATCH_SIZE

    @property
    def num_steps(self) -> int:
        """How many optimizer steps the training has."""
        return self.num_epochs * self.steps_per_epoch

    def network(self) -> nn.Module:
        """Return a fresh copy of the start: the encoder and the head that `fit` begins with."""
        head = build_head(self.backbone, self.splits.train, seed=SEED)
        return nn.Sequential(copy.deepcopy(self.backbone.encoder), head.linear).train()

    def shortened(self, num_epochs: int) -> Task:
        """Return the same task with another number of epochs."""
        values = {**vars(self), "num_epochs": num_epochs}
        return Task(**values)


def cosine(step: int, num_steps: int) -> float:
    """Return the learning rate of a step as a fraction of the first: half a cosine, to 0."""
    return 0.5 * (1 + math.cos(math.pi * step / num_steps))


def small_task(num_epochs: int = 60) -> Task:
    """Real digits in memory and a network of 13,146 parameters: 1,500 steps of 32."""
    return _task(small_backbone(), digit_splits(800, 200), num_epochs)


def resnet18_task(num_epochs: int = 1) -> Task:
    """The digits at 64 x 64 pixels and an untrained resnet18: 20 steps of 32."""
    backbone = companion.load_backbone("resnet18", pretrained=False, image_size=64)
    return _task(backbone, digit_splits(640, 64), num_epochs)


def frozen_task(num_epochs: int = 20) -> Task:
    """The digits at 64 x 64 pixels and a frozen resnet18: 30 steps of 32 an epoch."""
    backbone = companion.load_backbone("resnet18", pretrained=False, image_size=64)
    return _task(backbone, digit_splits(960, 32), num_epochs)


TASKS = {"small": small_task, "resnet18": resnet18_task}


def unadorned_recipe(task: Task) -> Recipe:
    """Return the recipe that does what the leanest loop does: a cosine and nothing else."""
    return Recipe(
        epochs=task.num_epochs,
        min_steps=1,
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        weight_decay=0.0,
        warmup_fraction=0.0,
        max_grad_norm=None,
    )


def digit_splits(num_train: int, num_val: int) -> Splits:
    """Return so many training and val items of the digits; the test set stays closed."""
    splits = companion.load_dataset("digits")
    pool = digits.load().pool
    return Splits(
        train=pool.subset(range(num_train), name="train"),
        val=pool.subset(range(num_train, num_train + num_val), name="val") if num_val else None,
        test=splits.test,
        card=splits.card,
        labels_per_class=None,
        seed=SEED,
    )


def small_backbone() -> Backbone:
    """Return the small network: one convolution and two hidden layers."""
    card = BackboneCard(
        name="small",
        title="a convolution and two hidden layers",
        modality="vision",
        feature_dim=64,
        licence="MIT",
        source="benchmarks/tasks.py",
    )
    groups = (LayerGroup("convolution", ("0",)), LayerGroup("hidden", ("3", "5")))
    return Backbone(card, _small_encoder, groups=groups, prepare=_in_memory, seed=SEED)


def _small_encoder() -> nn.Module:
    """Return the encoder: images (batch, 1, 8, 8) to features (batch, 64)."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, 64),
        nn.ReLU(),
    )


def _in_memory(split: Split, augment: Augmentation | None) -> BatchSource:
    """Return the images as they are."""
    return TensorSource(torch.as_tensor(split.inputs), torch.as_tensor(split.labels), augment)


def _task(backbone: Backbone, splits: Splits, num_epochs: int) -> Task:
    """Return a task with its items prepared for those who do not call `fit`."""
    assert splits.val is not None
    train, val = (
        backbone.prepare(part).batch(torch.arange(len(part))) for part in (splits.train, splits.val)
    )
    assert len(train) % BATCH_SIZE == 0
    return Task(backbone, splits, train.inputs, train.labels, val.inputs, val.labels, num_epochs)
