"""Questions 1 and 2: what does a trainer cost beside the leanest loop that does the same?"""

from __future__ import annotations

import functools
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


def report(task: str, rounds: int) -> str:
    """Train with every contestant in both ways and return the two tables.

    Args:
        task: `"small"` (one thread) or `"resnet18"` (a thread for each core).
        rounds: rounds that count.
    """
    threads = 1 if task == "small" else timing.all_threads()
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
    """Return whether the target is met."""
    if task == "small":
        rival, at_most = (LEANEST, 1.0) if way == "default" else ("with_accelerate", 1.0)
    else:
        rival, at_most = _fastest_trainer(found), 1.05
    ratio = timing.ratios(found, reference=rival)[FIT]
    verdict = timing.met(
        ratio.wall, at_most=at_most, shown=f"{ratio.wall:.2f} (CPU time {ratio.cpu:.2f})"
    )
    return f"Target: fit at most {at_most:.2f} of {peers.NAMES[rival]}. {verdict}"


def _fastest_trainer(found: dict[str, list[timing.Seconds]]) -> str:
    """Return the fastest of the others, the leanest loop left out."""
    others = [peer for peer in found if peer not in (LEANEST, FIT)]
    measured = timing.ratios(found, reference=LEANEST)
    return min(others, key=lambda peer: measured[peer].wall)
