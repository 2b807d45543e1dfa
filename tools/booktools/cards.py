"""Texts, in Markdown, of the boxes that state what a chapter needs, takes and draws on."""

from __future__ import annotations

from typing import Any

from booktools.execution import machine
from booktools.results import Cost


def bullets(items: list[str] | str | None, *, empty: str) -> list[str]:
    """Return a Markdown list of `items`, or `empty` as its only line."""
    if isinstance(items, str):
        items = [items]
    return [f"- {item}" for item in items] if items else [f"- {empty}"]


def card(front_matter: dict[str, Any], measured: Cost | None) -> str:
    """Return a chapter's card.

    Args:
        front_matter: the YAML block of the chapter; `objectives` and `prerequisites` are read.
        measured: what its last run took; None leaves that paragraph out (in notebooks, whose
            reader has another machine).
    """
    lines = ["**After this chapter you can**", ""]
    lines += bullets(front_matter.get("objectives"), empty="(no objectives stated)")
    lines += ["", "**You need**", ""]
    lines += bullets(front_matter.get("prerequisites"), empty="nothing beyond Python")
    if measured is not None:
        lines += ["", "**It takes**", "", f"- {measured_sentence(measured)}"]
    return "\n".join(lines)


def measured_sentence(measured: Cost) -> str:
    """Say what a run took and where."""
    if measured.seconds is None:
        return "time and memory: not measured yet"
    return (
        f"{measured.time_text} and {measured.memory_text} at its peak to run every cell, "
        f"exercises' solutions included (measured by this build on {machine()})"
    )


def chapter_table(rows: list[tuple[str, dict[str, Any], Cost]]) -> str:
    """Return the table of all chapters.

    Args:
        rows: for each chapter its link in Markdown, its front matter and what it took.
    """
    lines = ["| Chapter | You need | Time | Peak memory |", "|---|---|---:|---:|"]
    for link, front_matter, measured in rows:
        needs = front_matter.get("prerequisites") or ["nothing beyond Python"]
        needs = [needs] if isinstance(needs, str) else needs
        lines.append(
            f"| {link} | {' '.join(needs)} | {measured.time_text} | {measured.memory_text} |"
        )
    return "\n".join([*lines, "", f"Measured by this build on {machine()}."])


def study_table(rows: list[tuple[str, list[tuple[dict[str, Any], float | None]]]]) -> str:
    """Return the table of a part's studies.

    Args:
        rows: for each chapter its link in Markdown and its studies with their seconds a run.
    """
    header = ("Task", "Labels a class", "Best", "Baseline", "Difference", "Seeds", "Seconds a run")
    lines = [f"| {' | '.join(header)} |", "|---|---:|---|---|---|---:|---:|"]
    for link, studies in rows:
        for study, seconds in studies:
            cells = (
                f"{link}: {study['task']}",
                study["labels"],
                f"{study['best']} (of {study['conditions']}): {study['best_score']}",
                f"{study['baseline']}: {study['baseline_score']}",
                study["difference"],
                f"{study['seeds']}{'' if study['live'] else ', recorded'}",
                "–" if seconds is None else f"{seconds:.2g}",
            )
            lines.append(f"| {' | '.join(str(cell).replace('|', '&#124;') for cell in cells)} |")
    if len(lines) == 2:
        return "No study was run in this build."
    return "\n".join(lines)


def recorded_mark(study: dict[str, Any], name: str) -> str:
    """Say that a study was recorded earlier: by which machine, how long, with which code."""
    facts = [f"on {study['recorded']}"] if study.get("recorded") else []
    machine_name = study.get("machine")
    if isinstance(machine_name, dict):
        machine_name = ", ".join(str(value) for value in machine_name.values())
    if machine_name:
        facts.append(f"on {machine_name}")
    if isinstance(study.get("seconds"), int | float):
        facts.append(f"in {Cost(study['seconds'], None).time_text}")
    ran = " ".join(facts)
    return (
        f"**Recorded study.** What follows is drawn from `{name}`, which was computed earlier"
        f"{' ' + ran if ran else ''} and not by this build. At least one of its runs is repeated "
        "and compared, live in the chapter or, where the data are not bundled, by a test."
    )
