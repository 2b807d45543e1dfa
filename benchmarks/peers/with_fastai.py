"""fastai: without recorder, bar and validation, and as it comes."""

from __future__ import annotations

from functools import partial

import torch
from fastai.callback.core import Callback, CancelValidException
from fastai.callback.progress import ProgressCallback
from fastai.callback.schedule import ParamScheduler, SchedCos
from fastai.data.core import DataLoaders
from fastai.learner import Learner, Recorder
from fastai.optimizer import OptimWrapper
from torch import nn

from benchmarks.loaders import fast_loader, shuffled_loader, val_loader
from benchmarks.tasks import LEARNING_RATE, Task


class SkipValidation(Callback):
    """Leaves out the validation that otherwise ends every epoch."""

    def before_validate(self) -> None:
        """Skip it."""
        raise CancelValidException


def tuned(task: Task) -> nn.Module:
    """Train with PyTorch's fused AdamW along a cosine; whole batches."""
    network, loader = task.network(), fast_loader(task)
    adamw = partial(torch.optim.AdamW, weight_decay=0.0, fused=True)
    learner = Learner(
        DataLoaders(loader, loader, device=torch.device("cpu")),
        network,
        loss_func=nn.CrossEntropyLoss(),
        opt_func=partial(OptimWrapper, opt=adamw),
        lr=LEARNING_RATE,
        wd=0.0,
        cbs=[ParamScheduler({"lr": SchedCos(LEARNING_RATE, 0.0)}), SkipValidation()],
    )
    learner.remove_cbs([Recorder, ProgressCallback])
    learner.fit(task.num_epochs)
    return network


def default(task: Task) -> nn.Module:
    """Train with loaders, network and loss given, nothing else."""
    network = task.network()
    loaders = DataLoaders(shuffled_loader(task), val_loader(task), device=torch.device("cpu"))
    learner = Learner(loaders, network, loss_func=nn.CrossEntropyLoss())
    learner.fit(task.num_epochs, lr=LEARNING_RATE)
    return network
