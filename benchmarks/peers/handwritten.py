"""The loop that most people write by hand: a DataLoader, a scheduler, a running loss."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from benchmarks.loaders import shuffled_loader, usual_loader
from benchmarks.tasks import LEARNING_RATE, Task, cosine


def tuned(task: Task) -> nn.Module:
    """Train with fused AdamW along a cosine."""
    network = task.network()
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=LEARNING_RATE, weight_decay=0.0, fused=True
    )
    scheduler = LambdaLR(optimizer, lambda step: cosine(step, task.num_steps))
    loader, loss_function = usual_loader(task), nn.CrossEntropyLoss()
    for _ in range(task.num_epochs):
        total = 0.0
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = loss_function(network(inputs), labels)
            loss.backward()
            optimizer.step()
            scheduler.step()
            total += loss.item()
    return network


def default(task: Task) -> nn.Module:
    """Train with AdamW as it comes."""
    network = task.network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE)
    loader, loss_function = shuffled_loader(task), nn.CrossEntropyLoss()
    for _ in range(task.num_epochs):
        total = 0.0
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = loss_function(network(inputs), labels)
            loss.backward()
            optimizer.step()
            total += loss.item()
    return network
