"""How a number gets from a cell into the prose and into the run's results file.

The build names a folder in `COMPANION_RESULTS`. Without it nothing is written, and a number is
shown where it is recorded.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import re
import sys
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from companion import checks, runtime

__all__ = ["chapter", "record"]

SECONDS = "chapter_seconds"
MEGABYTES = "chapter_peak_megabytes"
_KINDS = ("result", "cost")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_CHAPTER = re.compile(r"[a-z0-9-]+(/[a-z0-9-]+)+")


@dataclass
class _Results:
    """What this process has recorded for its chapter."""

    path: Path | None = None
    started: float = 0.0
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)

    def write(self) -> None:
        """Write all entries with what the run has taken so far."""
        if self.path is None:
            return
        seconds = time.monotonic() - self.started
        costs = {SECONDS: round(seconds, 2), MEGABYTES: _peak_megabytes()}
        shown = self.entries | {
            name: {"value": value, "kind": "cost"}
            for name, value in costs.items()
            if value is not None
        }
        runtime.atomic_write(self.path, json.dumps(shown, indent=1, allow_nan=False) + "\n")


_results = _Results()


def chapter(name: str) -> None:
    """Say which chapter this process runs; stands in the chapter's first cell.

    Args:
        name: part and file name, such as `"vision/image-classification"`.

    Raises:
        CompanionError: not a chapter's name, or a results folder that cannot be written.

    Modifies: in a build, the chapter's results file, which starts anew; the filter of warnings.
    """
    if not isinstance(name, str) or not _CHAPTER.fullmatch(name):
        checks.fail(
            "chapter",
            got=repr(name),
            expected="part and file name, such as 'vision/image-classification'",
            do="use the path below book/ without .md",
        )
    # Libraries ask for notebook widgets where text would do.
    warnings.filterwarnings("ignore", message="IProgress not found")
    folder = os.environ.get("COMPANION_RESULTS")
    _results.entries.clear()
    _results.path = Path(folder) / f"{name}.json" if folder else None
    _results.started = time.monotonic() - _process_seconds()
    if _results.path is not None:
        _results.write()
        _write_at_the_end()


def record(name: str, value: Any, *, kind: str = "result", text: str | None = None) -> None:
    """Record a number (or a word) that the prose takes up.

    In a build it is glued, so that the prose can name it, and written to the chapter's results
    file. In a notebook elsewhere it is shown.

    Args:
        name: what the prose calls it; letters, digits, `_` and `-`.
        value: a number, a word, a truth value, or a list of such; tensors of one number too.
        kind: `"result"` must be equal in two runs; `"cost"` (seconds, bytes) is not compared.
        text: how the prose shows it, such as `".931 [.92, .94]"`; `None` shows the value.

    Raises:
        CompanionError: a name or value that cannot be recorded; in a build also a name that was
            given another value, and a record before `chapter`.

    Modifies: in a build, the chapter's results file.
    """
    checks.one_of("kind", kind, _KINDS)
    _check_name(name)
    plain = _plain(name, value)
    if not os.environ.get("COMPANION_RESULTS"):
        _show(name, plain if text is None else text)
        return
    _add(name, {"value": plain, "kind": kind})
    _glue(name, plain if text is None else text)


def record_entry(name: str, value: Any, *, kind: str = "result") -> None:
    """Write an entry that no prose takes up to the results file; outside of a build, nothing.

    Args:
        name: as in `record`.
        value: what JSON knows.
        kind: as in `record`.

    Raises:
        CompanionError: as `record`.

    Modifies: in a build, the chapter's results file.
    """
    _check_name(name)
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        checks.fail(
            f"value of {name!r}",
            got=f"{value!r:.60}",
            expected="plain, finite values that JSON knows",
            do="convert numbers with int(...) or float(...)",
        )
    if os.environ.get("COMPANION_RESULTS"):
        _add(name, {"value": value, "kind": kind})


def _check_name(name: object) -> None:
    """Refuse a name that the prose could not call."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in (SECONDS, MEGABYTES):
        checks.fail(
            "name to record",
            got=repr(name),
            expected="a letter, then letters, digits, _ and -",
            do="choose a name such as 'probe_accuracy'",
        )


def _add(name: str, entry: dict[str, Any]) -> None:
    """Write an entry to the results file."""
    if _results.path is None:
        checks.fail(
            f"record {name!r}",
            got="no chapter",
            expected="companion.report.chapter(...) before it",
            do="name the chapter in its first cell",
        )
    before = _results.entries.get(name)
    if before not in (None, entry) and "result" in (before["kind"], entry["kind"]):
        checks.fail(
            f"record {name!r}",
            got=f"{entry['value']!r} after {before['value']!r}",
            expected="one value for a name in a run",
            do="give the second value a name of its own",
        )
    _results.entries[name] = entry
    _results.write()


def _plain(name: str, value: Any) -> Any:
    """Return a value as JSON knows it."""
    if isinstance(value, (list, tuple)):
        return [_plain(name, item) for item in value]
    if hasattr(value, "item") and not isinstance(value, (str, bool, int, float)):
        try:
            value = value.item()
        except (ValueError, RuntimeError):
            value = None
    is_number = isinstance(value, (int, float)) and math.isfinite(value)
    if not is_number and not isinstance(value, str):
        checks.fail(
            f"value of {name!r}",
            got=repr(value),
            expected="a finite number, a word, or a list of such",
            do="record one figure under one name",
        )
    return value


def _glue(name: str, value: Any) -> None:
    """Glue a value for the page, where myst-nb is installed and a notebook is running."""
    if _shell() is None:
        return
    try:
        from myst_nb import glue
    except ImportError:
        return
    glue(name, value, display=False)


def _show(name: str, value: Any) -> None:
    """Show a value in a notebook."""
    if _shell() is not None:
        print(f"{name} = {value}")


def _shell() -> Any:
    """Return the notebook's shell, or `None` outside of notebooks."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def _write_at_the_end() -> None:
    """Have the costs written after each cell and at exit: a kernel may be killed at its end."""
    atexit.unregister(_results.write)
    atexit.register(_results.write)
    shell = _shell()
    if shell is not None and _after_cell not in shell.events.callbacks["post_run_cell"]:
        shell.events.register("post_run_cell", _after_cell)


def _after_cell(*_: object) -> None:
    """Write the costs so far."""
    _results.write()


def _process_seconds() -> float:
    """Return how long ago this process began: imports before `chapter` count too."""
    try:
        stat = Path("/proc/self/stat").read_text(encoding="utf-8")
        uptime = float(Path("/proc/uptime").read_text(encoding="utf-8").split()[0])
        # Field 22 counts the clock ticks from boot to start; field 3 follows the last bracket.
        ticks = int(stat.rpartition(")")[2].split()[19])
        return max(0.0, uptime - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):  # pragma: no cover - not on Linux
        return 0.0


def _peak_megabytes() -> float | None:
    """Return the largest memory of this process so far, in 10**6 bytes."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) * 1024 / 1e6, 1)
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    except (OSError, ImportError):  # pragma: no cover - neither Linux nor another Unix
        return None
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)
