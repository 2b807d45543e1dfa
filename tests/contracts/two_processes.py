"""Run by `accelerate launch`: train a few small tasks and print what came of them.

The text model has no dropout here: each process draws its own, as it must.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import torch

torch.set_num_threads(1)

from companion.training import Recipe, fit  # noqa: E402

RUNS = (
    ("text", "probe"),
    ("text", "full"),
    ("text", "l2_sp"),
    ("text", "lora"),
    ("image", "probe"),
)


def main() -> None:
    """Fit each task and let the first process print losses, some weights, fingerprints."""
    from accelerate.state import PartialState

    path = Path(__file__).parent.parent / "conftest.py"
    spec = importlib.util.spec_from_file_location("cases", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    state = PartialState(cpu=True)
    runs = {}
    for name, strategy in RUNS:
        case = module.CASES[name]()
        for part in case.backbone.modules():
            if isinstance(part, torch.nn.Dropout):
                part.p = 0.0
        recipe = Recipe(epochs=1, min_steps=12, batch_size=15)  # 15: uneven shares of a batch
        result = fit(case.backbone, case.splits, strategy=strategy, seed=0, recipe=recipe)
        head = result.model.head.linear.weight.detach().flatten()[:20].tolist()
        first = next(p for p in result.model.backbone.parameters()).detach().flatten()
        runs[f"{name} {strategy}"] = {
            "losses": result.history.losses,
            "weights": head + first[:20].tolist(),
            "moved": [row.group for row in result.ledger.rows if row.has_moved],
        }
    if state.is_main_process:
        print(json.dumps({"num_processes": state.num_processes, "runs": runs}), flush=True)


if __name__ == "__main__":
    main()
