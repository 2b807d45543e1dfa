"""accelerate: the loop of its documentation, and the leanest one that still goes through it."""

from __future__ import annotations

import torch
from accelerate import Accelerator
from torch import nn
from torch.nn import functional as F

from benchmarks.loaders import fast_loader, shuffled_loader
from benchmarks.tasks import LEARNING_RATE, Task, cosine


def tuned(task: Task) -> nn.Module:
    """Train with fused AdamW along a cosine; whole batches, the rate set by hand."""
    accelerator = Accelerator(cpu=True)
    network = task.network()
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=LEARNING_RATE, weight_decay=0.0, fused=True
    )
    network, optimizer = accelerator.prepare(network, optimizer)
    loader, num_steps, step = fast_loader(task), task.num_steps, 0
    group = optimizer.param_groups[0]
    for _ in range(task.num_epochs):
        for inputs, labels in loader:
            group["lr"] = LEARNING_RATE * cosine(step, num_steps)
            accelerator.backward(F.cross_entropy(network(inputs), labels))
            optimizer.step()
            optimizer.zero_grad()
            step += 1
    return network


def default(task: Task) -> nn.Module:
    """Train as its quick tour does: model, optimizer and loader prepared, nothing else said."""
    accelerator = Accelerator(cpu=True)
    network = task.network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE)
    network, optimizer, loader = accelerator.prepare(network, optimizer, shuffled_loader(task))
    for _ in range(task.num_epochs):
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(network(inputs), labels)
            accelerator.backward(loss)
            optimizer.step()
    return network
