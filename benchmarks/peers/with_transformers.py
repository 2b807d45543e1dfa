"""transformers.Trainer: logging, saving and clipping off, and as it comes."""

from __future__ import annotations

import tempfile
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, TensorDataset
from transformers import Trainer, TrainingArguments

from benchmarks.loaders import fast_loader
from benchmarks.tasks import BATCH_SIZE, LEARNING_RATE, Task, cosine

NAMES = ("inputs", "labels")


class WithLoss(nn.Module):
    """A network that takes labels and returns its loss, as Trainer wants it."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return the mean loss and the logits, (batch, num_classes)."""
        logits = self.network(inputs)
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}


class FastTrainer(Trainer):
    """Trainer with whole batches in the order of `fit`."""

    loader: DataLoader[object]

    def get_train_dataloader(self) -> DataLoader[object]:
        """Return the batches."""
        return self.loader


def _collate(rows: list[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """Return the items of a batch as a dictionary."""
    inputs, labels = zip(*rows, strict=True)
    return {"inputs": torch.stack(inputs), "labels": torch.stack(labels)}


def tuned(task: Task) -> nn.Module:
    """Train with fused AdamW along a cosine; whole batches, everything off that can be."""
    model = WithLoss(task.network())
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, weight_decay=0.0, fused=True
    )
    scheduler = LambdaLR(optimizer, lambda step: cosine(step, task.num_steps))
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            **_arguments(task, folder),
            max_grad_norm=0.0,
            disable_tqdm=True,
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
        )
        data = TensorDataset(task.inputs, task.labels)
        trainer = FastTrainer(
            model, arguments, train_dataset=data, optimizers=(optimizer, scheduler)
        )
        trainer.loader = fast_loader(task, NAMES)
        trainer.train()
    return model.network


def default(task: Task) -> nn.Module:
    """Train with model, data and the number of epochs given, nothing else."""
    model = WithLoss(task.network())
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model,
            TrainingArguments(**_arguments(task, folder), learning_rate=LEARNING_RATE),
            data_collator=_collate,
            train_dataset=TensorDataset(task.inputs, task.labels),
            eval_dataset=TensorDataset(task.val_inputs, task.val_labels),
        )
        trainer.train()
    return model.network


def _arguments(task: Task, folder: str) -> dict[str, Any]:
    """Return what Trainer must be told in any case."""
    return {
        "output_dir": folder,
        "num_train_epochs": task.num_epochs,
        "per_device_train_batch_size": BATCH_SIZE,
        "use_cpu": True,
        "remove_unused_columns": False,
    }
