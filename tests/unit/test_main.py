"""`python -m companion` as a process: exit status, one line an error, no traceback."""

import os
import subprocess
import sys

import pytest


def run(*arguments, **variables):
    environment = {**os.environ, **variables}
    command = [sys.executable, "-m", "companion", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_a_good_command_ends_with_0():
    done = run("data", "list")
    assert done.returncode == 0 and done.stderr == ""
    assert [line.split()[0] for line in done.stdout.splitlines()][:2] == ["digits", "glyphs"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("data", "fetch", "digit"), "error: dataset: got 'digit'; expected one of "),
        (
            ("finetune", "/nowhere/at/all", "--out", "{out}"),
            "error: folder of images: got /nowhere",
        ),
    ],
)
def test_a_mistake_ends_with_1_and_one_line(tmp_path, arguments, line):
    done = run(*(word.format(out=tmp_path) for word in arguments))
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith(line) and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [(), ("docter",), ("data",), ("finetune",)])
def test_what_cannot_be_understood_ends_with_2(arguments):
    done = run(*arguments)
    assert done.returncode == 2 and done.stderr.startswith("usage: python -m companion")
    assert "Traceback" not in done.stderr
