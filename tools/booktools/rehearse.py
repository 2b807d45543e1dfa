"""Runs the full-scale branches of chapters on eight items, so that no branch is never run."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat

from booktools.execution import chapter_environment
from booktools.layout import Page, chapters
from booktools.notebooks import source_cells

CELL_SECONDS = 600
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def rehearse(root: Path, names: list[str] | None = None) -> int:
    """Run each chapter with COMPANION_SCALE=rehearsal in a process of its own, two at a time.

    Args:
        root: the repository.
        names: only these chapters; all when None.

    Returns:
        Exit status: 0 when every cell of every chapter ran.
    """
    pages = chapters(root, names)
    if not pages:
        print("_toc.yml lists no chapter with cells: nothing was rehearsed")
        return 1
    failed = []

    def timed(page: Page) -> tuple[str, float]:
        start = time.monotonic()
        error = run_chapter(page, root / "_build" / "results-rehearsal")
        return error, time.monotonic() - start

    with ThreadPoolExecutor(max_workers=2) as workers:
        for page, (error, seconds) in zip(pages, workers.map(timed, pages), strict=True):
            word = "FAILED" if error else "rehearsed"
            print(f"{page.name}: {word} in {seconds:.1f} s", flush=True)
            if error:
                print(error)
                failed.append(page.name)
    print(f"{len(pages) - len(failed)} of {len(pages)} chapters rehearsed")
    return int(bool(failed))


def run_chapter(page: Page, results: Path) -> str:
    """Run one chapter's cells at rehearsal scale; return what went wrong, "" if nothing did."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    cells = [
        nbformat.v4.new_code_cell(cell.source, metadata=cell.metadata)
        for cell in source_cells(page)
        if cell.kind == "code"
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(page.source.parent)}},
    )
    try:
        client.execute(env=chapter_environment(results, at_scale="rehearsal"))
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        return COLOURS.sub("", str(error))
    return ""
