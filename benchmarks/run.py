"""Measure speed and memory and print the tables: `make bench`, or `python benchmarks/run.py`.

Name questions to measure only these: `python benchmarks/run.py small imports`.
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import (  # noqa: E402
    cached_features,
    detection_scores,
    detection_training,
    growth,
    imports,
    text_training,
    training_loops,
)
from companion.runtime import versions  # noqa: E402

QUESTIONS: dict[str, Callable[[int], str]] = {
    "small": functools.partial(training_loops.report, "small"),
    "resnet18": functools.partial(training_loops.report, "resnet18"),
    "cached_features": cached_features.report,
    "imports": imports.report,
    "growth": growth.report,
    "detection_scores": detection_scores.report,
    "detection_training": detection_training.report,
    "text_training": text_training.report,
}
LEAST_ROUNDS = 5
MINUTES = 20
QUIET = 0.5


def main() -> None:
    """Measure what was asked for and print it as it comes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("questions", nargs="*", metavar="question", help=", ".join(QUESTIONS))
    parser.add_argument("--rounds", type=int, default=LEAST_ROUNDS, help="5 or more, to be quoted")
    given = parser.parse_args()
    unknown = set(given.questions) - set(QUESTIONS)
    if unknown or given.rounds < 1:
        parser.error(f"questions are {', '.join(QUESTIONS)}; rounds are at least 1")
    started = time.perf_counter()
    print(machine(), flush=True)
    if not given.questions:
        print(f"\nAll questions: about {MINUTES} minutes on two free cores.", flush=True)
    for name in given.questions or QUESTIONS:
        print("\n" + QUESTIONS[name](given.rounds), flush=True)
    print(f"\nMeasured in {(time.perf_counter() - started) / 60:.0f} minutes.")


def machine() -> str:
    """Return what the figures depend on: cores, versions, and who else is at work."""
    found = ", ".join(f"{name} {version}" for name, version in versions().items())
    text = f"{platform.machine()}, {os.cpu_count()} cores; {found}"
    if hasattr(os, "getloadavg") and os.getloadavg()[0] > 0.5:
        text += (
            f"\nThe machine is busy (load {os.getloadavg()[0]:.1f}): do not quote these figures."
        )
    return text


if __name__ == "__main__":
    main()
