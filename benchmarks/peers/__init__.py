"""The contestants: a module each, with `tuned` (the same training for all) and `default`."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from torch import nn

from benchmarks.tasks import Task

__all__ = ["NAMES", "trainer_of"]

NAMES = {
    "leanest": "leanest PyTorch loop",
    "handwritten": "usual loop, DataLoader",
    "with_accelerate": "accelerate",
    "with_transformers": "transformers.Trainer",
    "with_lightning": "Lightning",
    "with_fastai": "fastai",
    "with_companion": "companion.fit",
}
"""What tables call them, by module; the first is what the others are compared with."""


def trainer_of(peer: str, way: str) -> Callable[[Task], nn.Module]:
    """Return a contestant's function from a task to the trained network.

    Args:
        peer: a key of `NAMES`; its library is imported here.
        way: `"tuned"` or `"default"`.
    """
    found: Callable[[Task], nn.Module] = getattr(
        importlib.import_module(f"benchmarks.peers.{peer}"), way
    )
    return found
