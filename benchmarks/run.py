"""Measure speed and memory and print the tables: `make bench`, or `python benchmarks/run.py`.

Name questions to measure only these: `python benchmarks/run.py small imports`.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import training_loops  # noqa: E402
from companion.runtime import versions  # noqa: E402

QUESTIONS: dict[str, Callable[[int], str]] = {
    "small": lambda rounds: training_loops.report("small", rounds=rounds),
    "resnet18": lambda rounds: training_loops.report("resnet18", rounds=rounds),
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("questions", nargs="*", default=[], metavar="question")
    parser.add_argument("--rounds", type=int, default=5)
    a = parser.parse_args()
    for q in a.questions or QUESTIONS:
        print(QUESTIONS[q](a.rounds), flush=True)
