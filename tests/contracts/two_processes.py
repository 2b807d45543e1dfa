"""Run by `accelerate launch`: train a few small tasks and print what came of them.

The text model has no dropout here: each process draws its own, as it must. Detection losses are
divided by what each process matched in its own part of a batch, so there only what must hold all
the same is told: the first loss, and that all processes end with the same weights.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import torch

torch.set_num_threads(1)

from companion.backbones import DetectorParts  # noqa: E402
from companion.training import Recipe, fit  # noqa: E402

RUNS = (
    ("text", "probe"),
    ("text", "full"),
    ("text", "l2_sp"),
    ("text", "lora"),
    ("words", "full"),
    ("image", "probe"),
    ("boxes", "probe"),
    ("boxes", "full"),
    ("proposals", "full"),
)


def two_stages(parts: DetectorParts) -> DetectorParts:
    """Return the parts of a detector with proposals on the same feature map."""
    options = {"roi_side": 2, "hidden": 16, "rpn_batch_size_per_image": 16}
    return replace(parts, kind="faster_rcnn", anchor_sizes=((8, 12),), options=options)


def num_results(model: torch.nn.Module, num_processes: int) -> int:
    """Return how many different weights the processes hold; batch statistics are each one's own."""
    own = b"".join(p.detach().numpy().tobytes() for p in model.parameters())
    found = [own] * num_processes
    if num_processes > 1:
        torch.distributed.all_gather_object(found, own)
    return len(set(found))


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
        case = module.CASES["boxes" if name == "proposals" else name]()
        if name == "proposals":
            case.backbone.detector = two_stages(case.backbone.detector)
        for part in case.backbone.modules():
            if isinstance(part, torch.nn.Dropout):
                part.p = 0.0
        recipe = Recipe(epochs=1, min_steps=12, batch_size=15)  # 15: uneven shares of a batch
        result = fit(case.backbone, case.splits, strategy=strategy, seed=0, recipe=recipe)
        head = next(result.model.head.parameters()).detach().flatten()[:20].tolist()
        first = next(p for p in result.model.backbone.parameters()).detach().flatten()
        runs[f"{name} {strategy}"] = {
            "losses": result.history.losses,
            "weights": head + first[:20].tolist(),
            "moved": [row.group for row in result.ledger.rows if row.has_moved],
            "num_results": num_results(result.model, state.num_processes),
        }
    if state.is_main_process:
        print(json.dumps({"num_processes": state.num_processes, "runs": runs}), flush=True)


if __name__ == "__main__":
    main()
