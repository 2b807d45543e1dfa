"""Questions 1 and 2: what does a trainer cost beside the leanest loop that does the same?"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable

import torch

from benchmarks import peers, timing
from benchmarks.tasks import BATCH_SIZE, TASKS

__all__ = ["report"]

LEANEST, FIT = "leanest", "with_companion"
TITLES = {
    "small": "1. A small network on digits in memory",
    "resnet18": "2. resnet18 at 64 x 64 pixels",
}


def prepare(task: str, peer: str, way: str) -> Callable[[], object]:
    """Return a training without arguments; its library is imported and its data are made here.

    Args:
        task: a key of `TASKS`.
        peer: a key of `peers.NAMES`.
        way: `"tuned"` or `"default"`.
    """
    torch.manual_seed(0)
    return functools.partial(peers.trainer_of(peer, way), TASKS[task]())


def report(task: str, *, rounds: int) -> str:
    """Train with every contestant in both ways and return the two tables.

    Args:
        task: `"small"` (one thread) or `"resnet18"` (a thread for each core).
        rounds: rounds that count.
    """
    threads = 1 if task == "small" else os.cpu_count() or 1
    steps = TASKS[task]().num_steps
    parts = [
        f"## {TITLES[task]}",
        f"{steps:,} steps of {BATCH_SIZE}, {threads} thread(s), {rounds} rounds.",
    ]
    for way, title in (
        ("tuned", "(a) The same training for all: fused AdamW, nothing else switched on"),
        ("default", "(b) Everybody's defaults, beside the plain loop with AdamW as it comes"),
    ):
        contestants = {peer: timing.Contestant(prepare, (task, peer, way)) for peer in peers.NAMES}
        found = timing.measure(contestants, rounds=rounds, threads=threads)
        parts += [f"### {title}", _table(found, steps), _verdict(found, task, way)]
    return "\n\n".join(parts)


def _table(found: dict[str, list[timing.Seconds]], steps: int) -> str:
    """Return the table of one way, the leanest loop first."""
    rows = []
    for peer, ratio in timing.ratios(found, reference=LEANEST).items():
        milliseconds = 1000 * min(seconds.wall for seconds in found[peer]) / steps
        spread = f"{ratio.low:.2f}-{ratio.high:.2f}"
        cells = [f"{ratio.wall:.2f}", spread, f"{ratio.cpu:.2f}", f"{milliseconds:.2f}"]
        rows.append([peers.NAMES[peer], *cells])
    return timing.table(["", "time", "range", "CPU time", "best ms a step"], rows)


def _verdict(found: dict[str, list[timing.Seconds]], task: str, way: str) -> str:
    """Return whether the targets are met, by the clock and by CPU time."""
    if task == "small" and way == "default":
        ratio = timing.ratios(found, reference=LEANEST)[FIT]
        return "Target: fit at most 1.00 of the plain loop. " + _met(ratio.wall, ratio.cpu, 1.0)
    if task == "small":
        ratio = timing.ratios(found, reference="with_accelerate")[FIT]
        return "Target: fit at most 1.00 of tuned accelerate. " + _met(ratio.wall, ratio.cpu, 1.0)
    others = timing.ratios(found, reference=FIT)
    best = min((peer for peer in others if peer not in (FIT, LEANEST)), key=lambda p: others[p].wall)
    ratio = timing.ratios(found, reference=best)[FIT]
    start = f"Target: fit not behind any (the best is {peers.NAMES[best]}) beyond the noise, 1.05. "
    return start + _met(ratio.wall, ratio.cpu, 1.05)


def _met(wall: float, cpu: float, target: float) -> str:
    """Return a verdict in words."""
    word = "met" if wall <= target else "MISSED"
    return f"{word}: {wall:.2f} (CPU time {cpu:.2f})."
