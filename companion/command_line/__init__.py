"""The command line: `python -m companion doctor | data | boxes | finetune`.

Exit status: 0 where all is well, 1 where something is wrong (one line says what), 2 for a command
that cannot be understood.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from importlib import metadata

from companion.checks import CompanionError
from companion.command_line import boxes, data, doctor, finetune

__all__ = ["build_parser", "main"]


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; each stores the function that carries it out."""
    parser = argparse.ArgumentParser(
        prog="python -m companion",
        description="The tested companion of the book 'Transfer Learning, Measured'.",
    )
    version = metadata.version("transfer-learning-companion")
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    doctor.add_parser(commands)
    data.add_parser(commands)
    boxes.add_parser(commands)
    finetune.add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command.

    Args:
        arguments: the words after `python -m companion`; `None` takes those of the process.

    Returns:
        The exit status: 0 or 1; a command that cannot be understood exits with 2.
    """
    options = build_parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a class may have a name that it cannot encode
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status: int = options.run(options)
    except CompanionError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return status
