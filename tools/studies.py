"""Record studies that are too long to run in a chapter, and list those to be recorded again.

    python tools/studies.py run                 record what is missing or stale, resuming
    python tools/studies.py run --only PATH     only this config (or those in this folder)
    python tools/studies.py run --force         also what is fresh
    python tools/studies.py stale               list what is to be recorded again, and why
    python tools/studies.py stale --strict      likewise, and exit 1 if there is anything

A study is a config `book/studies/<part>/<chapter>/<name>.toml`; its result is the `.json` beside
it, which is committed. Fields of a config:

    title = "The ladder on handwritten digits"   what it shows
    dataset = "digits"                           as for companion.load_dataset
    backbone = "glyphnet"                        as for companion.load_backbone
    strategies = ["scratch", "probe", "lp_ft"]
    labels_per_class = [1, 5, 10, 20]            left out: all labels
    seeds = 10                                   how many, from 0; or a list
    data = "bundled"                             or "COMPANION_DATA": needs that folder
    [recipe]                                     fields of companion.training.Recipe
    epochs = 30

What `compare` does not know is a procedure, a module of `companion.study.procedures`:

    title = "Embeddings of alphabets never seen"
    procedure = "metric_learning"
    seeds = 5
    data = "COMPANION_DATA"
"""

import argparse
import dataclasses
import datetime
import os
import sys
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from booktools.execution import THREADS

ROOT = Path(__file__).resolve().parents[1]
STUDIES = ROOT / "book" / "studies"
UNFINISHED = ROOT / "_build" / "studies"
DATA = ("bundled", "COMPANION_DATA")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What every recorded study is asked for."""

    path: Path
    title: str
    seeds: int | list[int]
    data: str = "bundled"

    @property
    def result(self) -> Path:
        """Where the result is kept."""
        return self.path.with_suffix(".json")

    @property
    def unfinished(self) -> Path:
        """Where the runs are kept until all are done."""
        return UNFINISHED / self.path.relative_to(STUDIES).with_suffix(".json")

    @property
    def name(self) -> str:
        """The path below `book/studies`, without its ending."""
        return str(self.path.relative_to(STUDIES).with_suffix(""))

    @property
    def seed_list(self) -> list[int]:
        """The seeds."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds

    @property
    def is_possible(self) -> bool:
        """Whether the data are on this machine."""
        return self.data == "bundled" or bool(os.environ.get("COMPANION_DATA"))


@dataclass(frozen=True, kw_only=True)
class Config(Asked):
    """What a comparison of strategies is asked for; the fields are those of its file."""

    dataset: str
    backbone: str
    strategies: list[str]
    labels_per_class: list[int] | None = None
    recipe: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TableConfig(Asked):
    """What a procedure's table is asked for; the fields are those of its file."""

    procedure: str


def read_config(path: Path) -> Config | TableConfig:
    """Read a config.

    Raises:
        SystemExit: It is not TOML, lacks a field or has one too many.
    """
    kind: type[Config] | type[TableConfig] = Config
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        kind = TableConfig if "procedure" in values else Config
        config = kind(path=path, **values)
    except (tomllib.TOMLDecodeError, TypeError) as error:
        known = ", ".join(f.name for f in dataclasses.fields(kind) if f.name != "path")
        raise SystemExit(f"{path}: {error}; the fields of a study are {known}") from error
    if config.data not in DATA:
        raise SystemExit(f"{path}: data is {config.data!r}; use one of {', '.join(DATA)}")
    return config


def configs(only: Path | None = None) -> list[Config | TableConfig]:
    """Return all configs, or those at or below a path."""
    found = sorted(STUDIES.rglob("*.toml"))
    if only is not None:
        wanted = only.resolve()
        found = [path for path in found if path == wanted or wanted in path.parents]
        if not found:
            raise SystemExit(f"{only}: no study's config there; they lie below {STUDIES}")
    return [read_config(path) for path in found]


def stale_reasons(config: Config | TableConfig) -> list[str]:
    """Return why a study is to be recorded again; nothing where its result is fresh."""
    from companion import study
    from companion.backbones import load_backbone
    from companion.study.provenance import plans

    if not config.result.is_file():
        return ["not recorded yet"]
    if isinstance(config, TableConfig):
        return _stale_table(config)
    try:
        found = study.load(config.result)
    except ValueError as error:
        return [str(error)]
    reasons = [] if found.is_complete else ["runs are missing"]
    asked = asked_for(config)
    reasons += [f"{name} changed" for name in asked if asked[name] != _recorded(found, name)]
    groups = load_backbone(config.backbone, pretrained=False).group_names
    names = [name for name in found.strategies if name != study.MAJORITY]
    hashed = study.hash_dependencies(
        backbone=config.backbone, dataset=config.dataset, strategies=plans(names, groups)
    )
    return reasons + (["code or assets changed"] if hashed != found.dependencies else [])


def _stale_table(config: TableConfig) -> list[str]:
    """Return why a procedure's table is to be recorded again."""
    from companion.study.tables import load_table, procedure, table_dependencies

    try:
        found = load_table(config.result)
    except ValueError as error:
        return [str(error)]
    reasons = [] if found.is_complete else ["runs are missing"]
    asked = (config.procedure, tuple(procedure(config.procedure).ARMS), tuple(config.seed_list))
    recorded = (found.procedure, found.arms, found.seeds)
    for name, now, then in zip(("procedure", "arms", "seeds"), asked, recorded, strict=True):
        reasons += [f"{name} changed"] if now != then else []
    is_same = found.dependencies == table_dependencies(config.procedure)
    return reasons + ([] if is_same else ["code or assets changed"])


def asked_for(config: Config) -> dict[str, Any]:
    """Return what a config asks for, in the form in which a study keeps it."""
    from companion.study import recipe_from_dict

    names = config.strategies
    return {
        "dataset": config.dataset,
        "backbone": config.backbone,
        "strategies": names if "scratch" in names else ["scratch", *names],
        "seeds": config.seed_list,
        "labels_per_class": config.labels_per_class or [None],
        "recipes": [recipe_from_dict(config.recipe).as_dict()],
    }


def _recorded(found: Any, name: str) -> Any:
    """Return what a study was asked for."""
    value = found.config[name]
    return list(value) if name == "strategies" else value


def record_procedure(config: TableConfig) -> None:
    """Run a procedure for every arm and seed and write its table, going on from what is done."""
    from companion.checks import CompanionError
    from companion.study.tables import record_table, save_table

    def tell(arm: str, seed: int, values: Any) -> None:
        print(f"  {arm}, seed {seed}: {next(iter(values.values())):.3f}", flush=True)

    options: dict[str, Any] = {
        "seeds": config.seed_list,
        "path": config.unfinished,
        "on_run": tell,
    }
    try:
        table = record_table(config.procedure, **options)
    except CompanionError as error:
        if not config.unfinished.is_file() or "another study" not in str(error):
            raise
        print("  the unfinished runs are of another config, code or machine: starting anew")
        config.unfinished.unlink()
        table = record_table(config.procedure, **options)
    save_table(dataclasses.replace(table, recorded=_today()), config.result)
    config.unfinished.unlink()


def _today() -> str:
    """Return the day, ISO 8601, UTC."""
    return datetime.datetime.now(tz=datetime.UTC).date().isoformat()


def record(config: Config) -> None:
    """Run a study to its end and write its result, going on from runs that are done."""
    import companion
    from companion import study

    splits = companion.load_dataset(config.dataset)
    started, done = time.monotonic(), 0

    def tell(run: study.Run) -> None:
        nonlocal done
        done += 1
        minutes = (time.monotonic() - started) / 60
        score = next(iter(run.test.values()))
        print(
            f"  {minutes:6.1f} min  run {done}: {run.strategy}, seed {run.seed}, "
            f"{run.labels_per_class} labels a class: {score:.3f}",
            flush=True,
        )

    options: dict[str, Any] = {
        "strategies": config.strategies,
        "seeds": config.seed_list,
        "labels_per_class": config.labels_per_class,
        "recipe": study.recipe_from_dict(config.recipe),
        "path": config.unfinished,
        "on_run": tell,
        "device": "cpu",
        "progress": False,
    }
    backbone = companion.load_backbone(config.backbone)
    try:
        found = study.compare(backbone, splits, **options)
    except companion.checks.CompanionError as error:
        if not config.unfinished.is_file() or "another study" not in str(error):
            raise
        print("  the unfinished runs are of another config, code or machine: starting anew")
        config.unfinished.unlink()
        found = study.compare(backbone, splits, **options)
    study.save(dataclasses.replace(found, recorded=_today()), config.result)
    config.unfinished.unlink()


def run(only: Path | None, *, force: bool) -> int:
    """Record what is missing or stale; return how many could not be."""
    skipped = 0
    for config in configs(only):
        reasons = stale_reasons(config)
        if not reasons and not force:
            print(f"{config.name}: fresh")
        elif not config.is_possible:
            skipped += 1
            print(f"{config.name}: skipped, it needs the folder that COMPANION_DATA names")
        else:
            print(f"{config.name}: recording ({', '.join(reasons) or 'forced'})", flush=True)
            if isinstance(config, TableConfig):
                record_procedure(config)
            else:
                record(config)
    return skipped


def stale() -> int:
    """List what is to be recorded again; return how many."""
    found = {config.name: stale_reasons(config) for config in configs()}
    to_do = {name: reasons for name, reasons in found.items() if reasons}
    for name, reasons in to_do.items():
        print(f"  {name}: {', '.join(reasons)}")
    print(f"recorded studies: {len(found)}, to be recorded again: {len(to_do)}")
    return len(to_do)


def main(arguments: list[str] | None = None) -> int:
    """Carry out the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("run", help="record what is missing or stale")
    recording.add_argument("--only", type=Path, help="a config, or a folder of them")
    recording.add_argument("--force", action="store_true", help="record fresh ones too")
    listing = commands.add_parser("stale", help="list what is to be recorded again")
    listing.add_argument("--strict", action="store_true", help="exit 1 if there is anything")
    options = parser.parse_args(arguments)
    # The threads that chapters run with: sums of floats depend on how many there are.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = THREADS
    os.environ["COMPANION_SCALE"] = "laptop"
    os.environ.pop("COMPANION_RESULTS", None)
    if options.command == "run":
        return 1 if run(options.only, force=options.force) and options.only else 0
    return 1 if stale() and options.strict else 0


if __name__ == "__main__":
    sys.exit(main())
