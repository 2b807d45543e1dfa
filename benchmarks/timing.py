"""Timing side by side: a process for each contestant, rounds in turn, medians of ratios."""

from __future__ import annotations

import contextlib
import functools
import gc
import multiprocessing
import os
import statistics
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

__all__ = [
    "Contestant",
    "Ratio",
    "Seconds",
    "all_threads",
    "in_fresh_process",
    "measure",
    "met",
    "ratios",
    "table",
]


@dataclass(frozen=True)
class Contestant:
    """What is timed, in a process of its own.

    Attributes:
        prepare: called once in the process, untimed, with the arguments; returns what is timed,
            a function without arguments. A function of a module, so that the process finds it.
        arguments: plain values.
    """

    prepare: Callable[..., Callable[[], object]]
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Seconds:
    """How long one call took.

    Attributes:
        wall: seconds on the clock.
        cpu: seconds of all cores; what other programs do to the machine shows less in it.
    """

    wall: float
    cpu: float


@dataclass(frozen=True)
class Ratio:
    """How long one contestant takes, as a multiple of the reference in the same round.

    Attributes:
        wall: median over the rounds.
        low: lowest of the rounds.
        high: highest of the rounds.
        cpu: median over the rounds, of the time of all cores.
    """

    wall: float
    low: float
    high: float
    cpu: float


def measure(
    contestants: Mapping[str, Contestant], *, rounds: int, warm_ups: int = 1, threads: int = 1
) -> dict[str, list[Seconds]]:
    """Time contestants in turn, round by round.

    Every round times each contestant once, in an order that shifts from round to round, while all
    others wait. What they print goes nowhere.

    Args:
        contestants: by name.
        rounds: how many rounds count.
        warm_ups: rounds before them that do not.
        threads: threads of each process.

    Returns:
        The seconds of the rounds that count, by name.

    Raises:
        RuntimeError: a contestant failed; its traceback is in the message.
    """
    with contextlib.ExitStack() as stack:
        lines = {n: stack.enter_context(_process(c, threads)) for n, c in contestants.items()}
        for line in lines.values():
            _answer(line)
        found: dict[str, list[Seconds]] = {name: [] for name in lines}
        for turn in range(warm_ups + rounds):
            for name in _rotated(list(lines), turn):
                lines[name].send("seconds")
                seconds = _answer(lines[name])
                if turn >= warm_ups:
                    found[name].append(seconds)
        return found


def ratios(found: Mapping[str, Sequence[Seconds]], *, reference: str) -> dict[str, Ratio]:
    """Return each contestant's times as multiples of the reference, round by round.

    Args:
        found: what `measure` returned.
        reference: the contestant that is 1.
    """
    return {name: _ratio(times, found[reference]) for name, times in found.items()}


def _ratio(times: Sequence[Seconds], reference: Sequence[Seconds]) -> Ratio:
    pairs = list(zip(times, reference, strict=True))
    walls = [mine.wall / other.wall for mine, other in pairs]
    cpus = [mine.cpu / other.cpu for mine, other in pairs]
    return Ratio(statistics.median(walls), min(walls), max(walls), statistics.median(cpus))


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns line up; the first is text, the others figures."""
    lines = [list(heads), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    rule = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
    cells = [
        [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]
        for line in lines
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in [cells[0], rule, *cells[1:]])


def all_threads() -> int:
    """Return the threads that a large network gets: `OMP_NUM_THREADS`, else one for each core."""
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


def met(value: float, *, at_most: float, shown: str) -> str:
    """Return in words whether a target is met.

    Args:
        value: what was measured.
        at_most: the target.
        shown: the value with its unit, as the reader sees it.
    """
    return f"{'met' if value <= at_most else 'MISSED'}: {shown}."


def in_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function of a module returns in a process that has done nothing else.

    Args:
        function: a function of a module, so that the process finds it.
        *arguments: plain values.

    Raises:
        RuntimeError: the function failed; its traceback is in the message.
    """
    with _process(Contestant(_returning, (function, *arguments)), 1) as line:
        _answer(line)
        line.send("value")
        return _answer(line)


def _returning(function: Callable[..., Any], *arguments: Any) -> Callable[[], object]:
    """Return the function with its arguments, for `_serve`."""
    return functools.partial(function, *arguments)


def _rotated(names: list[str], turn: int) -> list[str]:
    """Return the names in an order that begins one further each turn."""
    start = turn % len(names)
    return names[start:] + names[:start]


@contextlib.contextmanager
def _process(contestant: Contestant, threads: int) -> Iterator[Connection]:
    """Start a contestant's process and yield the line to it."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, contestant, threads), daemon=True)
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(threads)
    try:
        process.start()
    finally:
        os.environ.pop("OMP_NUM_THREADS")
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before
    there.close()
    try:
        yield here
    finally:
        here.close()
        process.join(timeout=30)
        if process.is_alive():
            process.kill()


def _answer(line: Connection) -> Any:
    """Return what a process sends, or raise what went wrong in it."""
    try:
        failed, value = line.recv()
    except EOFError:
        raise RuntimeError("a contestant's process ended without a word") from None
    if failed:
        raise RuntimeError(value)
    return value


def _serve(line: Connection, contestant: Contestant, threads: int) -> None:
    """Prepare, then run and time as often as asked; ends when the line is closed."""
    _silence()
    try:
        import torch

        torch.set_num_threads(threads)
        run = contestant.prepare(*contestant.arguments)
        line.send((False, None))
        while True:
            wanted = line.recv()
            line.send((False, _timed(run) if wanted == "seconds" else run()))
    except EOFError:
        return
    except Exception:
        line.send((True, traceback.format_exc()))


def _timed(run: Callable[[], object]) -> Seconds:
    """Return how long a call takes; rubbish of earlier calls is collected before."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def _silence() -> None:
    """Send what this process prints, its libraries' C code included, nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
