"""Results files: one JSON a chapter, written by `companion.report` while the chapter runs."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from booktools.layout import Page

SECONDS = "chapter_seconds"
MEGABYTES = "chapter_peak_megabytes"
STUDY = "study_"


@dataclass(frozen=True)
class Cost:
    """What one run of a chapter took; None where it was not measured."""

    seconds: float | None
    megabytes: float | None

    @property
    def time_text(self) -> str:
        """Duration in words."""
        if self.seconds is None:
            return "not measured yet"
        if self.seconds < 90:
            whole = max(1, round(self.seconds))
            return f"{whole} second{'s' if whole != 1 else ''}"
        return f"{self.seconds / 60:.1f} minutes"

    @property
    def memory_text(self) -> str:
        """Peak memory in words."""
        if self.megabytes is None:
            return "not measured yet"
        if self.megabytes < 950:
            return f"{math.ceil(self.megabytes / 10) * 10} MB"
        return f"{self.megabytes / 1000:.1f} GB"


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Return the entries of a results file, name -> {"value", "kind"}; empty if there is none."""
    if not path.is_file():
        return {}
    loaded = json.loads(path.read_text(encoding="utf-8"))
    return loaded if isinstance(loaded, dict) else {}


def cost(path: Path) -> Cost:
    """Return what the run that wrote this results file took."""
    entries = read(path)
    return Cost(*(_number(entries.get(name, {}).get("value")) for name in (SECONDS, MEGABYTES)))


def studies(path: Path) -> list[tuple[dict[str, Any], float | None]]:
    """Return the lines that `companion.report.record_study` left, each with its seconds a run."""
    entries = read(path)
    return [
        (entry["value"], _number(entries.get(f"{name}_seconds", {}).get("value")))
        for name, entry in entries.items()
        if name.startswith(STUDY) and isinstance(entry.get("value"), dict)
    ]


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def differences(page: Page, first: Path, second: Path) -> list[str]:
    """Compare one chapter's results of two independent runs, exactly.

    Entries of kind `cost` are not compared. A missing file or entry is a difference: a
    comparison must not pass by comparing nothing.

    Args:
        page: the chapter.
        first: results folder of one run.
        second: results folder of the other.

    Returns:
        One line for each difference.
    """
    runs = []
    for directory in (first, second):
        path = page.results(directory)
        if not path.is_file():
            return [f"{page.name}: no results file {path}"]
        runs.append(
            {name: entry for name, entry in read(path).items() if entry.get("kind") == "result"}
        )
    if not runs[0] and not runs[1]:
        return [f"{page.name}: neither run recorded a result"]
    lines = []
    for name in sorted(runs[0].keys() | runs[1].keys()):
        values = [_shown(run, name) for run in runs]
        if values[0] != values[1]:
            lines.append(f"{page.name}: {name}: {values[0]} in {first}, {values[1]} in {second}")
    return lines


def _shown(entries: dict[str, dict[str, Any]], name: str) -> str:
    if name not in entries:
        return "nothing"
    return json.dumps(entries[name].get("value"), sort_keys=True)


def compare(pages: list[Page], first: Path, second: Path) -> list[str]:
    """Compare the results of all `pages` in two runs; return one line for each difference."""
    if not pages:
        return ["_toc.yml lists no chapter with cells: nothing was compared"]
    return [line for page in pages for line in differences(page, first, second)]
