"""Builds the book strictly, runs what has to run, and holds the measured time to the budget."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from booktools.execution import cache_path, chapter_environment, machine
from booktools.layout import Page, chapters
from booktools.notebooks import source_cells
from booktools.results import Cost, cost

MACHINE_FACTOR = 2.0
ONLY = "COMPANION_CHAPTERS"


@dataclass(frozen=True)
class Places:
    """The folders of a build, all below `_build`."""

    root: Path

    @property
    def html(self) -> Path:
        """The pages."""
        return self.root / "_build" / "html"

    @property
    def results(self) -> Path:
        """The results files of the book's run."""
        return self.root / "_build" / "results"

    @property
    def ran(self) -> Path:
        """Which cells the results files come from: chapter name -> hash."""
        return self.root / "_build" / "ran.json"

    def doctree(self, page: Page) -> Path:
        """Sphinx's parsed copy of a page; without it the page is read again."""
        return self.root / "_build" / ".doctrees" / f"{page.docname}.doctree"


def cells_hash(page: Page) -> str:
    """Hash the code cells of a chapter."""
    cells = [cell.source for cell in source_cells(page) if cell.kind == "code"]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()[:16]


def build(root: Path, *, names: list[str] | None = None, fresh: bool = False) -> int:
    """Build the pages; run every chapter whose results are missing or out of date.

    Args:
        root: the repository.
        names: run only these chapters; the others are shown without outputs and the build is
            not strict, since values of theirs are missing.
        fresh: forget every earlier run first.

    Returns:
        Exit status: 0 only when there was no warning. A chapter that took twice its budget is
        named and fails nothing: machines may be slow, or busy.
    """
    places = Places(root)
    pages = chapters(root, names)
    _forget_outdated(places, everything=fresh)
    waiting = [page for page in pages if _has_to_run(places, page)]
    _announce(root, waiting, pages)
    for page in waiting:
        _forget(places, page)
    status = _run_jupyter_book(places, names)
    if status:
        print("\nThe book was not built: the first warning or error above says why.")
        return status
    _note_runs(places, pages)
    over = over_budget(root, places.results, pages)
    print("\n".join(["", *cost_lines(root, places.results, pages), *over, ""]))
    print(f"The book is at {places.html / 'index.html'}")
    return 0


def _forget_outdated(places: Places, *, everything: bool) -> None:
    """Remove caches of other code or versions; with `everything` all earlier runs."""
    folder = places.root / "_build"
    for cache in folder.glob(".jupyter_cache*"):
        if everything or cache != cache_path(places.root):
            shutil.rmtree(cache)
    if everything:
        for path in (folder / ".doctrees", folder / "jupyter_execute", places.results):
            shutil.rmtree(path, ignore_errors=True)
        places.ran.unlink(missing_ok=True)


def _ran(places: Places) -> dict[str, str]:
    return json.loads(places.ran.read_text(encoding="utf-8")) if places.ran.is_file() else {}


def _has_to_run(places: Places, page: Page) -> bool:
    """Whether the present cells of a chapter have no results from the present code."""
    return (
        not cache_path(places.root).is_dir()
        or not page.results(places.results).is_file()
        or _ran(places).get(page.name) != cells_hash(page)
    )


def _forget(places: Places, page: Page) -> None:
    """Drop what an earlier run of one chapter left, so that the build runs it."""
    from jupyter_cache import get_cache

    page.results(places.results).unlink(missing_ok=True)
    places.doctree(page).unlink(missing_ok=True)
    if cache_path(places.root).is_dir():
        cache = get_cache(str(cache_path(places.root)))
        for record in cache.list_cache_records():
            if Path(record.uri) == page.source:
                cache.remove_cache(record.pk)


def _announce(root: Path, waiting: list[Page], pages: list[Page]) -> None:
    if not waiting:
        print("Building the book: all chapters are up to date; half a minute for the pages.")
        return
    budget = budgets(root)
    seconds = sum(budget.get(page.name, 0) for page in waiting)
    print(
        f"Building the book: {len(waiting)} of {len(pages)} chapters have to run, about "
        f"{seconds / 60:.0f} min on two cores, then about half a minute for the pages.",
        flush=True,
    )


def _run_jupyter_book(places: Places, names: list[str] | None) -> int:
    strict = [] if names else ["-W", "--keep-going"]
    run = "import sys; from jupyter_book.cli.main import main; sys.argv[0] = 'jupyter-book'; main()"
    command = [sys.executable, "-c", run, "build", ".", "-q", *strict]
    environment = chapter_environment(places.results)
    environment[ONLY] = ",".join(names or [])
    return subprocess.run(command, cwd=places.root, env=environment).returncode


def _note_runs(places: Places, pages: list[Page]) -> None:
    ran = _ran(places) | {
        page.name: cells_hash(page) for page in pages if page.results(places.results).is_file()
    }
    places.ran.write_text(json.dumps(ran, indent=1, sort_keys=True), encoding="utf-8")


def budgets(root: Path) -> dict[str, float]:
    """Return the seconds each chapter may take on two cores, from `book/budgets.toml`."""
    path = root / "book" / "budgets.toml"
    if not path.is_file():
        return {}
    return {
        name: float(value)
        for name, value in tomllib.loads(path.read_text(encoding="utf-8")).items()
    }


def cost_lines(root: Path, results: Path, pages: list[Page]) -> list[str]:
    """Return a table of what each chapter took beside its budget."""
    budget = budgets(root)
    width = max([len(page.name) for page in pages] + [len("chapter")])
    lines = [f"{'chapter':<{width}}  seconds  budget  peak memory"]
    for page in pages:
        measured = cost(page.results(results))
        seconds = "-" if measured.seconds is None else f"{measured.seconds:.0f}"
        allowed = f"{budget[page.name]:.0f}" if page.name in budget else "-"
        lines.append(f"{page.name:<{width}}  {seconds:>7}  {allowed:>6}  {measured.memory_text}")
    return [*lines, f"measured on {machine()}"]


def over_budget(root: Path, results: Path, pages: list[Page]) -> list[str]:
    """Return a line for each chapter without a measurement or beyond twice its budget.

    Budgets are for two cores of a usual machine; the factor of two leaves room for a slower or
    busier one.
    """
    budget = budgets(root)
    lines = []
    for page in pages:
        measured: Cost = cost(page.results(results))
        if measured.seconds is None:
            lines.append(f"{page.name}: its run recorded no time; call report.chapter(...) first")
        elif measured.seconds > MACHINE_FACTOR * budget.get(page.name, 0):
            lines.append(
                f"{page.name}: took {measured.seconds:.0f} s, budget "
                f"{budget.get(page.name, 0):.0f} s (book/budgets.toml)"
            )
    return lines
