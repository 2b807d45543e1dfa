"""Question 4: what does `import companion` cost over starting Python?"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import timing

__all__ = ["report"]

ROOT = Path(__file__).resolve().parents[1]
AT_MOST = 0.15
LEAST_ROUNDS = 10
STATEMENTS = {"bare Python": "pass", "import companion": "import companion"}


def seconds_of(statement: str) -> timing.Seconds:
    """Return what a fresh Python takes for a statement."""
    before, wall = os.times(), time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True, cwd=ROOT)
    wall, after = time.perf_counter() - wall, os.times()
    cpu = after.children_user - before.children_user
    return timing.Seconds(wall, cpu + after.children_system - before.children_system)


def report(rounds: int) -> str:
    """Start Python in turn with and without the import and return the table."""
    rounds = max(rounds, LEAST_ROUNDS)
    found: dict[str, list[timing.Seconds]] = {name: [] for name in STATEMENTS}
    for turn in range(rounds + 1):
        for name, statement in STATEMENTS.items():
            seconds = seconds_of(statement)
            if turn:
                found[name].append(seconds)
    rows = [
        [
            name,
            f"{statistics.median(s.wall for s in times):.3f}",
            f"{min(s.wall for s in times):.3f}",
            f"{statistics.median(s.cpu for s in times):.3f}",
        ]
        for name, times in found.items()
    ]
    bare, full = found.values()
    more = statistics.median(f.wall - b.wall for f, b in zip(full, bare, strict=True))
    return "\n\n".join(
        [
            "## 4. Importing",
            f"{rounds} fresh processes each, in turn.",
            timing.table(["", "median s", "best s", "CPU s"], rows),
            f"Target: at most {AT_MOST} s over bare Python. "
            + timing.met(more, at_most=AT_MOST, shown=f"{more:.3f} s"),
        ]
    )
