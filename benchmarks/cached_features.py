"""Question 3: what does a linear probe save when the features are computed once?"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

import companion
from benchmarks import timing
from benchmarks.tasks import (
    BATCH_SIZE,
    LEARNING_RATE,
    SEED,
    Task,
    cosine,
    frozen_task,
    unadorned_recipe,
)
from companion.runtime import epoch_order
from companion.strategies import HEAD_FACTOR

__all__ = ["WAYS", "report"]

NUM_EPOCHS = 20
SPEED_UP = 15.0


def forward_every_epoch(task: Task) -> nn.Module:
    """Train the head as common tutorials do; return it."""
    network, num_steps, step = task.network(), task.num_steps, 0
    encoder, head = network[0].requires_grad_(False).eval(), network[1]
    rate = LEARNING_RATE * HEAD_FACTOR
    optimizer = torch.optim.AdamW(head.parameters(), lr=rate, weight_decay=0.0, fused=True)
    for epoch in range(task.num_epochs):
        order = epoch_order(len(task.labels), seed=SEED, epoch=epoch)
        for indices in torch.split(order, BATCH_SIZE):
            optimizer.param_groups[0]["lr"] = rate * cosine(step, num_steps)
            logits = head(encoder(task.inputs[indices]))
            F.cross_entropy(logits, task.labels[indices]).backward()
            optimizer.step()
            optimizer.zero_grad()
            step += 1
    return head


def fit_with_cache(task: Task) -> nn.Module:
    """Probe with `companion.fit`; return the head."""
    splits = dataclasses.replace(task.splits, val=None)
    recipe = unadorned_recipe(task)
    result = companion.fit(
        task.backbone, splits, strategy="probe", seed=SEED, recipe=recipe, device="cpu"
    )
    head: nn.Module = result.model.head.linear
    return head


WAYS = {
    "forward every epoch": forward_every_epoch,
    "companion.fit": fit_with_cache,
}


def prepare(way: str) -> Callable[[], object]:
    """Return a probe without arguments; the data are made here."""
    task = frozen_task(NUM_EPOCHS)
    return lambda: WAYS[way](task)


def report(rounds: int) -> str:
    """Probe a frozen resnet18 in both ways and return the table."""
    threads = timing.all_threads()
    contestants = {way: timing.Contestant(prepare, (way,)) for way in WAYS}
    found = timing.measure(contestants, rounds=rounds, threads=threads)
    measured = timing.ratios(found, reference="companion.fit")
    rows = [
        [way, f"{ratio.wall:.1f}", f"{ratio.low:.1f}-{ratio.high:.1f}", f"{ratio.cpu:.1f}"]
        for way, ratio in measured.items()
    ]
    saved = measured["forward every epoch"].wall
    verdict = timing.met(-saved, at_most=-SPEED_UP, shown=f"{saved:.1f} times")
    return "\n\n".join(
        [
            "## 3. A linear probe with cached features",
            f"resnet18, frozen, 960 images at 64 x 64, {NUM_EPOCHS} epochs, {threads} thread(s), "
            f"{rounds} rounds.",
            timing.table(["", "time", "range", "CPU time"], rows),
            f"Target: at least {SPEED_UP:.0f} times faster than a forward every epoch. {verdict}",
        ]
    )
