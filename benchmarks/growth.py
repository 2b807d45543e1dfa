"""Question 5: how do time and memory grow with the data and with the epochs?"""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable

import psutil
import torch

import companion
from benchmarks import timing
from benchmarks.tasks import SEED, digit_splits, small_backbone, small_task
from companion.splits import Split, Splits, TestSplit, draw
from companion.training import Recipe, Result

__all__ = ["report"]

NUM_ITEMS = 800
NUM_EPOCHS = 5
TIME_AT_MOST = 10.5
MEMORY_AT_MOST = 0.02


def many_digits(num_items: int) -> Split:
    """Return so many items: the digits again and again, each time with other noise."""
    digits = digit_splits(NUM_ITEMS, 0).train
    again = torch.arange(num_items) % NUM_ITEMS
    noise = torch.rand(
        (num_items, *torch.as_tensor(digits.inputs).shape[1:]),
        generator=torch.Generator().manual_seed(SEED),
    )
    images = 0.9 * torch.as_tensor(digits.inputs)[again] + 0.1 * noise
    ids = tuple(f"noisy/{number}" for number in range(num_items))
    return Split("pool", images, torch.as_tensor(digits.labels)[again], ids, digits.classes)


def divide_and_fit(pool: Split, test: TestSplit) -> Result:
    """Go the whole way from a pool of items to a trained model: a few passes over train."""
    card = companion.load_dataset("digits").card
    splits: Splits = draw(pool, test, card, labels_per_class=None, seed=SEED)
    return _fit(splits, NUM_EPOCHS)


def _fit(splits: Splits, num_epochs: int) -> Result:
    recipe = Recipe(epochs=num_epochs, min_steps=1)
    return companion.fit(
        small_backbone(), splits, strategy="full", seed=SEED, recipe=recipe, device="cpu"
    )


def prepare(num_items: int) -> Callable[[], object]:
    """Return the whole way for so many items, without arguments; the items are made here."""
    pool, test = many_digits(num_items), companion.load_dataset("digits").test
    return functools.partial(divide_and_fit, pool, test)


def megabytes_after(num_epochs: int) -> float:
    """Return the memory that this process holds after a training, its result included."""
    splits = small_task().splits
    result = _fit(splits, num_epochs)
    held = psutil.Process().memory_info().rss / 2**20
    assert len(result.history.losses) == num_epochs * len(splits.train) // 32
    return float(held)


def report(rounds: int) -> str:
    """Measure both growths and return what was found."""
    return "\n\n".join(["## 5. Growth", _time(rounds), _memory(rounds)])


def _time(rounds: int) -> str:
    """Return the growth of time with the data."""
    sizes = {f"{n:,} items": timing.Contestant(prepare, (n,)) for n in (NUM_ITEMS, 10 * NUM_ITEMS)}
    small, large = sizes
    ratio = timing.ratios(timing.measure(sizes, rounds=rounds), reference=small)[large]
    shown = f"{ratio.wall:.2f} ({ratio.low:.2f}-{ratio.high:.2f}; CPU time {ratio.cpu:.2f})"
    return (
        f"{large} against {small}, divided, prepared and fitted for {NUM_EPOCHS} epochs. "
        f"Target: at most {TIME_AT_MOST} times the time. "
        + timing.met(ratio.wall, at_most=TIME_AT_MOST, shown=shown)
    )


def _memory(rounds: int) -> str:
    """Return the growth of memory with the epochs."""
    few, many = 4 * NUM_EPOCHS, 20 * NUM_EPOCHS
    pairs = [
        tuple(timing.in_fresh_process(megabytes_after, epochs) for epochs in (few, many))
        for _ in range(rounds)
    ]
    before = statistics.median(first for first, _ in pairs)
    growth = statistics.median(second - first for first, second in pairs)
    return (
        f"{many} epochs against {few}: {before:.0f} MB and {growth:+.1f} MB. "
        f"Target: at most {MEMORY_AT_MOST:.0%} more. "
        + timing.met(growth / before, at_most=MEMORY_AT_MOST, shown=f"{growth / before:+.1%}")
    )
