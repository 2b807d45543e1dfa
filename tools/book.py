"""Everything about the book that make calls: `python tools/book.py --help`.

A chapter's name is its path below book/, as in `build --chapters vision/image-classification`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from booktools import build, notebooks, rehearse, results
from booktools.layout import chapters

ROOT = Path(__file__).resolve().parents[1]


def run_notebooks(options: argparse.Namespace) -> int:
    """Write the notebooks, or with --check list the stale ones."""
    if options.check:
        found = notebooks.stale_notebooks(options.root)
        for path in found:
            print(f"{path.relative_to(options.root)} is stale: run make notebooks")
        return int(bool(found))
    for path in notebooks.write_notebooks(options.root):
        print(f"{path.relative_to(options.root)} {'written' if path.exists() else 'removed'}")
    return 0


def run_build(options: argparse.Namespace) -> int:
    """Build the book strictly."""
    return build.build(options.root, names=options.chapters, fresh=options.fresh)


def run_compare(options: argparse.Namespace) -> int:
    """Compare the results of two independent runs."""
    pages = chapters(options.root, options.chapters)
    lines = results.compare(pages, options.first, options.second)
    print("\n".join(lines) or f"both runs of {len(pages)} chapters gave the same results")
    return int(bool(lines))


def run_rehearsal(options: argparse.Namespace) -> int:
    """Run the full-scale branches of chapters on eight items."""
    return rehearse.rehearse(options.root, options.chapters)


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    top = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    top.add_argument("--root", type=Path, default=ROOT, help="the repository")
    commands = top.add_subparsers(required=True)

    command = commands.add_parser("notebooks", help="write the .ipynb beside each chapter")
    command.add_argument("--check", action="store_true", help="change nothing, list stale ones")
    command.set_defaults(run=run_notebooks)

    command = commands.add_parser("build", help="run the chapters and build the pages")
    command.add_argument("--fresh", action="store_true", help="forget every earlier run")
    command.add_argument("--chapters", nargs="*", help="run only these; others from the cache")
    command.set_defaults(run=run_build)

    command = commands.add_parser("results-compare", help="compare two runs, exactly")
    command.add_argument("first", type=Path)
    command.add_argument("second", type=Path)
    command.add_argument("chapters", nargs="*")
    command.set_defaults(run=run_compare)

    command = commands.add_parser("rehearse", help="run the code of the full scale, tiny")
    command.add_argument("chapters", nargs="*")
    command.set_defaults(run=run_rehearsal)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    options = parser().parse_args(arguments)
    options.root = options.root.resolve()
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        print("\nStopped; what ran to its end is kept, the next call goes on from there.")
        return 130


if __name__ == "__main__":
    sys.exit(main())
