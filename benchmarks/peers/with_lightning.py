"""Lightning: its barebones mode, and as it comes."""

from __future__ import annotations

import tempfile
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

from benchmarks.loaders import fast_loader, shuffled_loader, val_loader
from benchmarks.tasks import LEARNING_RATE, Task, cosine


class Tuned(lightning.LightningModule):
    """The training without logging, with fused AdamW along a cosine."""

    def __init__(self, task: Task):
        super().__init__()
        self.network = task.network()
        self.num_steps = task.num_steps

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """Return the mean loss."""
        inputs, labels = batch
        return F.cross_entropy(self.network(inputs), labels)

    def configure_optimizers(self) -> Any:
        """Return the optimizer and its schedule."""
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=LEARNING_RATE, weight_decay=0.0, fused=True
        )
        scheduler = LambdaLR(optimizer, lambda step: cosine(step, self.num_steps))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }


class Default(Tuned):
    """The training as Lightning's first example writes it."""

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """Return the mean loss, logged."""
        loss = super().training_step(batch, batch_idx)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        """Log the loss on val."""
        inputs, labels = batch
        self.log("val_loss", F.cross_entropy(self.network(inputs), labels))

    def configure_optimizers(self) -> Any:
        """Return AdamW as it comes."""
        return torch.optim.AdamW(self.parameters(), lr=LEARNING_RATE)


def tuned(task: Task) -> nn.Module:
    """Train in the mode that leaves out all that can be left out."""
    module = Tuned(task)
    trainer = lightning.Trainer(max_epochs=task.num_epochs, accelerator="cpu", barebones=True)
    trainer.fit(module, fast_loader(task))
    return module.network


def default(task: Task) -> nn.Module:
    """Train with module, loaders and the number of epochs given, nothing else."""
    module = Default(task)
    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            max_epochs=task.num_epochs, accelerator="cpu", default_root_dir=folder
        )
        trainer.fit(module, shuffled_loader(task), val_loader(task))
    return module.network
