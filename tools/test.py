"""Run everything that `make test` promises, and print a table of what took how long.

    python tools/test.py                              everything
    python tools/test.py vision/image-classification  the fast loop: only these chapters
    python tools/test.py --check                      lint, types and unit tests

Every chapter is run twice, by the book build and by nbval, in processes of their own; the last
steps compare what the two runs found.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from booktools.execution import chapter_environment

ROOT = Path(__file__).resolve().parents[1]
RESULTS = "_build/results"
SECOND_RESULTS = "_build/results-nbval"
PYTEST = ("pytest", "-q", "--durations=5", "--durations-min=5")
WORKERS = ("-n", "2", "--dist", "loadfile")
# Two worker processes with a thread each: more threads than cores make everything slower.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Step:
    """One row of the table: commands for this Python, all of which have to succeed.

    Attributes:
        name: What the table says.
        commands: Arguments after the name of the Python program, one tuple a command.
        environment: All variables of its processes; those of this process where empty.
        needs: Names of the steps without whose success this one makes no sense.
    """

    name: str
    commands: tuple[tuple[str, ...], ...]
    environment: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of a step; `seconds` is None where it was not run."""

    step: Step
    passed: bool
    seconds: float | None


def lint() -> Step:
    """Return the step of style and types."""
    commands = (
        ("-m", "ruff", "check", "."),
        ("-m", "ruff", "format", "--check", "."),
        ("-m", "mypy"),
    )
    return Step("lint and types", commands)


def pytest_step(
    name: str,
    *arguments: str,
    environment: dict[str, str] | None = None,
    needs: tuple[str, ...] = (),
) -> Step:
    """Return a step that is one run of pytest, by default with one thread a process."""
    command = ("-m", *PYTEST, *arguments)
    return Step(name, (command,), environment or {**os.environ, **ONE_THREAD}, needs)


def check_steps() -> list[Step]:
    """Return the steps of `make check`."""
    return [lint(), pytest_step("unit tests", *WORKERS, "tests/unit")]


def notebooks(chapters: list[str]) -> list[str]:
    """Return the paths of the chapters' notebooks; no chapters means all of them.

    Raises:
        SystemExit: A chapter has no notebook, or there is none at all.
    """
    found = {
        str(path.relative_to(ROOT / "book").with_suffix("")): str(path.relative_to(ROOT))
        for path in sorted((ROOT / "book").rglob("*.ipynb"))
        if ".ipynb_checkpoints" not in path.parts
    }
    unknown = [chapter for chapter in chapters if chapter not in found]
    if unknown or not found:
        raise SystemExit(
            f"CHAPTERS: no notebook for {', '.join(unknown) or 'any chapter'}; "
            f"expected names among {sorted(found)}; a new chapter's is written by `make notebooks`"
        )
    return [found[chapter] for chapter in chapters or found]


def second_run(chapters: list[str]) -> Step:
    """Return the step in which nbval runs the notebooks a second time, in fresh processes.

    In the environment of the book build, threads included: sums of floats depend on the number of
    threads, and both runs have to give equal results. The seconds that the pages show are those of
    the book build, which runs one chapter at a time; here two run side by side.
    """
    return pytest_step(
        "second run of the chapters",
        *WORKERS,
        "--nbval-lax",
        "--nbval-current-env",
        "--nbval-cell-timeout=600",
        *notebooks(chapters),
        environment=chapter_environment(ROOT / SECOND_RESULTS),
    )


def all_steps(chapters: list[str]) -> list[Step]:
    """Return the steps of `make test`, in order."""
    book = ("tools/book.py",)
    extent = ("--chapters", *chapters) if chapters else ("--fresh",)
    build, second = "strict book build", second_run(chapters)
    return [
        lint(),
        pytest_step("unit tests and contracts", *WORKERS, "tests/unit", "tests/contracts"),
        pytest_step("examples in docstrings", "--doctest-modules", "companion"),
        pytest_step("structure of the book", *WORKERS, "tests/book"),
        Step(build, ((*book, "build", *extent),)),
        second,
        Step(
            "both runs agree",
            ((*book, "results-compare", RESULTS, SECOND_RESULTS, *chapters),),
            needs=(build, second.name),
        ),
        pytest_step("pages in a browser", "tests/site", needs=(build,)),
        Step("rehearsal of the full scale", ((*book, "rehearse", *chapters),)),
        pytest_step("real data", "tests/real"),
        Step("studies to be recorded again", (("tools/studies.py", "stale"),)),
    ]


def prepare_environment() -> None:
    """Set what every step sees: this environment's programs first, laptop scale, absolute paths.

    Modifies:
        The environment variables of this process.
    """
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    os.environ["COMPANION_SCALE"] = "laptop"
    os.environ.pop("COMPANION_RESULTS", None)
    if os.environ.get("COMPANION_DATA"):
        os.environ["COMPANION_DATA"] = str(Path(os.environ["COMPANION_DATA"]).resolve())


def run_step(step: Step, title: str) -> Outcome:
    """Run each command of a step, also after one that failed."""
    print(f"\n=== {title} ===", flush=True)
    start = time.monotonic()
    codes = [
        subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=step.environment or None
        ).returncode
        for command in step.commands
    ]
    return Outcome(step, not any(codes), time.monotonic() - start)


def run_steps(steps: list[Step]) -> list[Outcome]:
    """Run the steps in order; one whose needs have failed is not run and counts as failed."""
    outcomes: list[Outcome] = []
    for number, step in enumerate(steps, start=1):
        failed = {outcome.step.name for outcome in outcomes if not outcome.passed}
        if failed & set(step.needs):
            outcomes.append(Outcome(step, passed=False, seconds=None))
        else:
            outcomes.append(run_step(step, f"{number}/{len(steps)} {step.name}"))
    return outcomes


def table(outcomes: list[Outcome]) -> str:
    """Return the table of what took how long, and the closing line."""
    lines = ["", f"{'step':<32}{'seconds':>9}  outcome"]
    for outcome in outcomes:
        if outcome.seconds is None:
            seconds, word = "-", f"not run: needs {' and '.join(outcome.step.needs)}"
        else:
            seconds, word = f"{outcome.seconds:.1f}", "passed" if outcome.passed else "FAILED"
        lines.append(f"{outcome.step.name:<32}{seconds:>9}  {word}")
    total = sum(outcome.seconds or 0.0 for outcome in outcomes)
    passed = sum(outcome.passed for outcome in outcomes)
    lines += [f"{'all':<32}{total:>9.1f}", ""]
    return "\n".join([*lines, f"{passed} passed, {len(outcomes) - passed} failed"])


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chapters", nargs="*", help="chapters as in _toc.yml, without book/")
    parser.add_argument("--check", action="store_true", help="only lint, types and unit tests")
    options = parser.parse_args(arguments)
    prepare_environment()
    steps = check_steps() if options.check else all_steps(options.chapters)
    shutil.rmtree(ROOT / SECOND_RESULTS, ignore_errors=True)
    outcomes = run_steps(steps)
    print(table(outcomes))
    return int(not all(outcome.passed for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
