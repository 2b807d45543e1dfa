"""`data list | where | verify | fetch`: what datasets there are and where their files lie."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from companion import assets, checks
from companion.checks import CompanionError

__all__ = ["add_parser", "fetch", "list_datasets", "verify", "where"]


def add_parser(commands: Any) -> None:
    """Add the command `data` to the parser.

    Args:
        commands: what `add_subparsers` returned.

    Modifies: `commands`.
    """
    parser = commands.add_parser("data", help="list, find, verify and fetch datasets")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="what datasets there are").set_defaults(run=list_datasets)
    for name, run, text in (
        ("where", where, "where files lie on this machine"),
        ("verify", verify, "compare files with their checksums"),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument("names", nargs="*", metavar="NAME", help="datasets; all if left out")
        action.set_defaults(run=run)
    action = actions.add_parser("fetch", help="download what is not on this machine")
    action.add_argument("names", nargs="+", metavar="NAME", help="datasets")
    action.set_defaults(run=fetch)


def list_datasets(options: argparse.Namespace) -> int:
    """Print name, size, licence and title of each dataset."""
    from companion.registry import DATASETS

    _load_registry()
    for card in DATASETS:
        size = f"{card.size_bytes / 1e6:.0f} MB" if card.size_bytes else "no download"
        print(f"{card.name:<14} {size:>12}  {card.title} ({card.licence})")
    return 0


def where(options: argparse.Namespace) -> int:
    """Print the folders that are looked through, and where each file lies."""
    for name, root in assets.roots().items():
        print(f"{name:<14} {root}{'' if root.is_dir() else ' (not there yet)'}")
    for name in _names(options):
        for file, path, problem in _found(name):
            print(f"{name:<14} {file}: {problem or path or 'not on this machine'}")
    return 0


def verify(options: argparse.Namespace) -> int:
    """Print whether the files on this machine have their checksums; 1 if one has not."""
    problems = assets.broken_bundled()
    print(f"{'bundled':<14} {len(assets.bundled_checksums())} files, {len(problems)} broken")
    for name in _names(options):
        found = _found(name)
        problems += [problem for _, _, problem in found if problem]
        num_here = sum(path is not None for _, path, _ in found)
        if found:
            print(f"{name:<14} {num_here} of {len(found)} files are here and whole")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


def fetch(options: argparse.Namespace) -> int:
    """Load each dataset once, which downloads what is not on this machine."""
    from companion.datasets import LOADERS

    for name in _names(options):
        if name in ("folder", "boxes", "table"):
            own = "texts" if name == "table" else "images"
            checks.fail(
                f"dataset {name!r}",
                got="a request to fetch it",
                expected="a dataset that can be downloaded",
                do=f'load your own {own} with load_dataset("{name}", path=...)',
            )
        source = LOADERS[name](None)
        print(
            f"{name:<14} ready: {len(source.pool)} items to train on, {len(source.test)} for test"
        )
    return 0


def _load_registry() -> None:
    """Import the datasets, which puts their cards into the registry."""
    import companion.datasets  # noqa: F401


def _found(name: str) -> list[tuple[str, Path | None, str]]:
    """Return each public file of a dataset, where it lies, and what is wrong with it."""
    from companion.datasets import FILES

    found: list[tuple[str, Path | None, str]] = []
    for file in FILES[name]:
        try:
            found.append((file.name, assets.locate(file), ""))
        except CompanionError as error:
            found.append((file.name, None, str(error)))
    return found


def _names(options: argparse.Namespace) -> list[str]:
    """Return the datasets that were asked for, all if none was named.

    Raises:
        CompanionError: one is unknown.
    """
    from companion.registry import DATASETS

    _load_registry()
    return [DATASETS.get(name).name for name in options.names or DATASETS.names()]
