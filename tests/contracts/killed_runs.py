"""Run as a script: start trainings, kill them with SIGKILL, resume them, compare the ends.

Every training runs in a forked child that kills itself at a given step, half of the time while
it is writing a checkpoint. Prints one JSON object for the test that started this script.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import sys
import tempfile
from pathlib import Path

import torch

torch.set_num_threads(1)  # a fork is safe before any thread of the pool has started

from companion import layer_groups, runtime  # noqa: E402
from companion.training import Recipe, checkpoints, fit  # noqa: E402
from companion.training.phase_loop import PhaseLoop  # noqa: E402

RECIPE = Recipe(epochs=1, min_steps=30, batch_size=16, patience=50)
STRATEGY = "wise_ft"  # two phases, one of them cached, and an anchor that must survive


def load_cases():
    """Return the tasks of the test suite's conftest."""
    path = Path(__file__).parent.parent / "conftest.py"
    spec = importlib.util.spec_from_file_location("cases", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CASES


def die_at(step: int, *, while_saving: bool) -> None:
    """Make this process kill itself when the run reaches a step."""
    advance, replace = PhaseLoop.advance, os.replace

    def deadly_advance(self):
        advance(self)
        if self.run.step == step and not while_saving:
            os.kill(os.getpid(), signal.SIGKILL)

    def deadly_replace(source, target):
        if f"step-{step:09d}" in str(target):
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    PhaseLoop.advance = deadly_advance
    if while_saving:
        runtime.os.replace = deadly_replace


def train(case, folder: str | None, kill_step: int | None, while_saving: bool) -> dict:
    """Fit in a forked child; return its outcome, or that it was killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        if kill_step is not None:
            die_at(kill_step, while_saving=while_saving)
        result = fit(
            case.backbone,
            case.splits,
            strategy=STRATEGY,
            seed=3,
            recipe=RECIPE,
            checkpoint_dir=folder,
            checkpoint_every=1 if folder else 10_000,
        )
        outcome = {
            "fingerprints": layer_groups.fingerprints(result.model),
            "losses": result.history.losses,
            "resumed_at": result.history.resumed_at,
        }
        os.write(writer, json.dumps(outcome).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return {"killed_by": os.WTERMSIG(status)}
    return json.loads(text)


def main() -> None:
    """Kill and resume one run of each modality and print what came of it."""
    numbers = random.Random(int(sys.argv[1]))
    outcomes = {}
    for name, make in load_cases().items():
        case = make()
        whole = train(case, None, None, False)
        steps = sorted(numbers.sample(range(1, 30), 4))
        with tempfile.TemporaryDirectory() as folder:
            kills = [
                train(case, folder, step, while_saving=bool(turn % 2))
                for turn, step in enumerate(steps)
            ]
            last = train(case, folder, None, False)
            num_kept = len(checkpoints._existing(Path(folder)))
        outcomes[name] = {
            "whole": whole, "kills": kills, "last": last, "steps": steps, "num_kept": num_kept
        }  # fmt: skip
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
