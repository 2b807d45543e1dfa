"""The leanest correct loop: batches cut out of the tensors, nothing else."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.tasks import BATCH_SIZE, LEARNING_RATE, SEED, Task, cosine
from companion.runtime import epoch_order


def tuned(task: Task) -> nn.Module:
    """Train with fused AdamW along a cosine."""
    network, num_steps, step = task.network(), task.num_steps, 0
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=LEARNING_RATE, weight_decay=0.0, fused=True
    )
    group = optimizer.param_groups[0]
    for epoch in range(task.num_epochs):
        order = epoch_order(len(task.labels), seed=SEED, epoch=epoch)
        for indices in torch.split(order, BATCH_SIZE):
            group["lr"] = LEARNING_RATE * cosine(step, num_steps)
            loss = F.cross_entropy(network(task.inputs[indices]), task.labels[indices])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            step += 1
    return network


def default(task: Task) -> nn.Module:
    """Train with AdamW as it comes."""
    network = task.network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE)
    for _ in range(task.num_epochs):
        for indices in torch.split(torch.randperm(len(task.labels)), BATCH_SIZE):
            loss = F.cross_entropy(network(task.inputs[indices]), task.labels[indices])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    return network
