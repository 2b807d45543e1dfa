"""Recorded tables: procedures that `compare` does not know, run for every arm and seed.

`compare` trains strategies on one data set with fixed classes. Where training and test have other
classes, or the answer is no prediction an item, a module of `companion.study.procedures` says what
one run is: from the name of an arm and a seed to values by name.
"""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from companion import checks, runtime
from companion.study.provenance import describe_machine, hash_files, hash_values
from companion.study.recordings import path_of

__all__ = [
    "RecordedTable",
    "load_table",
    "procedure",
    "procedure_names",
    "record_table",
    "recorded_table",
    "save_table",
    "table_dependencies",
]

FORMAT = "table 1"
TOLERANCE = 0.05
"""Largest difference of a value, as a fraction, that still agrees on another machine."""


@dataclass(frozen=True, eq=False)
class RecordedTable:
    """Values of every arm and seed of a procedure.

    Attributes:
        procedure: name of the module in `companion.study.procedures`.
        arms: what is compared.
        seeds: the seeds, paired over the arms.
        runs: values by name, by (arm, seed).
        dependencies: hash of the code and assets that the outcome rests on.
        versions: of the packages.
        machine: in words.
        seconds: what the runs took, in sum.
        recorded: the day, ISO 8601; empty before it is finished.
    """

    procedure: str
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    runs: Mapping[tuple[str, int], Mapping[str, float]]
    dependencies: str
    versions: Mapping[str, str] = field(default_factory=runtime.versions)
    machine: str = field(default_factory=describe_machine)
    seconds: float = 0.0
    recorded: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether every arm has every seed."""
        return set(self.runs) == {(arm, seed) for arm in self.arms for seed in self.seeds}

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the values of a run."""
        return tuple(next(iter(self.runs.values()), {}))

    def values(self, metric: str) -> dict[str, list[float]]:
        """Return one value of each arm, seed by seed, as `compare_with_baseline` wants it.

        Args:
            metric: a name in `metrics`.

        Raises:
            CompanionError: an unknown name, or a table that is not complete.
        """
        if not self.is_complete:
            checks.fail(
                f"table {self.procedure!r}",
                got=f"{len(self.runs)} runs",
                expected=f"{len(self.arms) * len(self.seeds)}",
                do="record it to its end with `make studies`",
            )
        checks.one_of("value of the table", metric, self.metrics)
        return {arm: [self.runs[arm, seed][metric] for seed in self.seeds] for arm in self.arms}

    def differs_by(self, arm: str, seed: int, again: Mapping[str, float]) -> float:
        """Return the largest difference between a run and the same run made again.

        Args:
            arm: the run's arm.
            seed: the run's seed.
            again: its values, of this machine.

        Raises:
            CompanionError: no such run, or values of other names.
        """
        checks.one_of("arm", arm, self.arms)
        found = self.runs.get((arm, seed), {})
        if set(found) != set(again):
            checks.fail(
                f"run {arm!r}, seed {seed}",
                got=f"values {sorted(again)}",
                expected=f"{sorted(found)}",
                do="compare the same run of the same procedure",
            )
        return max(abs(found[name] - again[name]) for name in found)


def procedure_names() -> tuple[str, ...]:
    """Return the names of the procedures, sorted."""
    folder = Path(__file__).parent / "procedures"
    return tuple(sorted(p.stem for p in folder.glob("*.py") if p.stem != "__init__"))


def procedure(name: str) -> ModuleType:
    """Return the module of a procedure: its `ARMS`, `RESTS_ON` and `run(arm, seed)`.

    Args:
        name: its name; near matches are listed.

    Raises:
        CompanionError: no such procedure.
    """
    checks.one_of("procedure", name, procedure_names())
    return importlib.import_module(f"companion.study.procedures.{name}")


def table_dependencies(name: str) -> str:
    """Return a hash of the modules and assets that a procedure says it rests on, and of itself.

    Args:
        name: its name.
    """
    module = procedure(name)
    modules = {f"study.procedures.{name}", *module.RESTS_ON}
    return hash_values(hash_files(modules, getattr(module, "ASSETS", ())))


def record_table(
    name: str,
    *,
    seeds: Sequence[int],
    arms: Sequence[str] | None = None,
    path: str | Path | None = None,
    on_run: Callable[[str, int, Mapping[str, float]], None] | None = None,
) -> RecordedTable:
    """Run a procedure for every arm and seed.

    Args:
        name: its name.
        seeds: the seeds.
        arms: some of its arms; `None` takes all.
        path: a file that is written after each run; a table that finds its own goes on from there.
        on_run: called with arm, seed and values of each run that has just finished.

    Raises:
        CompanionError: an unknown procedure or arm, or another table at `path`.
    """
    module = procedure(name)
    chosen = tuple(module.ARMS if arms is None else arms)
    for arm in chosen:
        checks.one_of("arm", arm, tuple(module.ARMS))
    seeds = tuple(checks.non_negative_int("seed", seed) for seed in seeds)
    for what, given in (("seeds", seeds), ("arms", chosen)):
        checks.non_empty(what, given, do="name at least one")
        if len(set(given)) < len(given):
            checks.fail(what, got=f"{list(given)}", expected="each once", do="leave one out")
    table = RecordedTable(name, chosen, seeds, {}, table_dependencies(name))
    path = None if path is None else Path(path).expanduser()
    table = _resumed(table, path)
    for seed in seeds:
        for arm in chosen:
            if (arm, seed) in table.runs:
                continue
            started = time.perf_counter()
            values = {key: float(value) for key, value in module.run(arm, seed).items()}
            seconds = table.seconds + time.perf_counter() - started
            table = _with_run(table, (arm, seed), values, seconds)
            if path is not None:
                save_table(table, path)
            if on_run is not None:
                on_run(arm, seed, values)
    return table


def _with_run(
    table: RecordedTable, key: tuple[str, int], values: Mapping[str, float], seconds: float
) -> RecordedTable:
    """Return the table with one run more."""
    import dataclasses

    return dataclasses.replace(table, runs={**table.runs, key: values}, seconds=seconds)


def _resumed(table: RecordedTable, path: Path | None) -> RecordedTable:
    """Return the table with the runs that its file holds."""
    if path is None or not path.is_file():
        return table
    found = load_table(path)
    same = ("procedure", "arms", "seeds", "dependencies", "versions", "machine")
    differing = [name for name in same if getattr(found, name) != getattr(table, name)]
    if differing:
        checks.fail(
            f"study file {path}",
            got=f"another study (other {', '.join(differing)})",
            expected="the study that is asked for",
            do="delete the file or choose another path",
        )
    return found


def save_table(table: RecordedTable, path: str | Path) -> Path:
    """Write a table as JSON, whole or not at all.

    Args:
        table: the table.
        path: where to.
    """
    head: dict[str, Any] = {
        "format": FORMAT,
        "procedure": table.procedure,
        "arms": list(table.arms),
        "seeds": list(table.seeds),
        "dependencies": table.dependencies,
        "versions": dict(table.versions),
        "machine": table.machine,
        "recorded": table.recorded,
        "seconds": round(table.seconds, 1),
    }
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()]
    runs = ",\n".join(
        json.dumps({"arm": arm, "seed": seed, "values": dict(values)}, allow_nan=False)
        for (arm, seed), values in table.runs.items()
    )
    return runtime.atomic_write(path, "{\n" + ",\n".join(lines) + f',\n"runs": [\n{runs}\n]\n}}\n')


def load_table(path: str | Path) -> RecordedTable:
    """Read a table that `save_table` wrote.

    Args:
        path: the file.

    Raises:
        CompanionError: no such file, or not a table of this format.
    """
    path = checks.existing_file("study", path, do="record it with `make studies`")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("format") != FORMAT:
            raise ValueError("the format is another")
        runs = {(row["arm"], row["seed"]): row["values"] for row in values.pop("runs")}
        arms, seeds = tuple(values.pop("arms")), tuple(values.pop("seeds"))
        return RecordedTable(arms=arms, seeds=seeds, runs=runs, **values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        checks.fail(
            f"study {path}",
            got=f"{type(error).__name__}: {error}",
            expected=f"a file of the format {FORMAT!r}",
            do="delete it and record the study again",
        )


def recorded_table(name: str) -> RecordedTable:
    """Read a table that the book recorded.

    Args:
        name: part, chapter and study, such as `"vision/faces-and-metric-learning/omniglot"`.

    Raises:
        CompanionError: no study of this name; near matches are listed.
    """
    return load_table(path_of(name))
