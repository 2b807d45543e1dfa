"""Pretrain `spotnet`: find letters in drawn scenes and cells in drawn smears.

    python recipes/spotnet.py --out companion/assets

One encoder learns under two heads at once, that of a one-stage and that of a two-stage detector;
it is stored with each of them, as `spotnet` and `spotnet_rcnn`. Half of each batch are scenes of
letters, half smears of scanner a. No digit and no smear of another scanner is ever drawn, and no
photograph is looked at here. What is measured at the end are other scenes of the same two kinds:
letters in faces that were held out, and cells of other patients.

`--card-only` writes the cards again from the log.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from companion import assets, runtime
from companion.backbones import spotnet
from companion.backbones.detection import SPOTNET_PARTS, SPOTNET_RCNN_PARTS
from companion.batches import BoxAugment, pad_sequences
from companion.datasets import scenes, smears
from companion.evaluation.detection import detection_values
from companion.heads import DetectionHead, OneStageHead, TwoStageHead

HERE = Path(__file__).resolve().parent
LOG = HERE / "spotnet.log.json"
CARD_TEMPLATE = HERE / "spotnet.card.md"
SOURCE_SCANNER = "a"
NUM_MEASURED = 200
NAMES = {"spotnet": "one stage", "spotnet_rcnn": "two stages"}


class Pictures(NamedTuple):
    """Prepared scenes with their boxes; class ids count letters first, then cells."""

    images: Tensor
    boxes: list[Tensor]


class Detectors(nn.Module):
    """An encoder under two heads."""

    def __init__(self, num_classes: int):
        super().__init__()
        self.encoder = spotnet.SpotNet()
        self.one_stage = OneStageHead(SPOTNET_PARTS, spotnet.FEATURE_DIM, num_classes)
        self.two_stages = TwoStageHead(SPOTNET_RCNN_PARTS, spotnet.FEATURE_DIM, num_classes)

    @property
    def heads(self) -> dict[str, DetectionHead]:
        """The heads by the name that each is stored under."""
        return dict(zip(NAMES, (self.one_stage, self.two_stages), strict=True))

    def loss(self, images: Tensor, boxes: Tensor) -> Tensor:
        """Return the sum of both heads' losses, a scalar."""
        features = self.encoder(images)
        losses = [head.losses(head(features), boxes).mean() for head in self.heads.values()]
        return torch.stack(losses).sum()


def main() -> None:
    """Read the options, then pretrain or rewrite the cards."""
    options = _options()
    if not options.card_only:
        log = make(options)
        runtime.atomic_write(LOG, json.dumps(log, indent=2) + "\n")
    log = json.loads(LOG.read_text())
    for name in NAMES:
        runtime.atomic_write(options.out / name / "README.md", card(log, name))
    assets.write_bundled_checksums()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the assets")
    parser.add_argument("--steps", type=int, default=4_000)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--weight-decay", type=float, default=0.05)
    parser.add_argument("--num-letter-scenes", type=int, default=8_000)
    parser.add_argument("--num-smears", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--card-only", action="store_true", help="rewrite the cards from the log")
    return parser.parse_args()


def make(options: argparse.Namespace) -> dict[str, Any]:
    """Pretrain, write the weights and return the log."""
    torch.set_num_threads(options.threads)
    start = time.perf_counter()
    seed = runtime.derive_seed(options.seed, "spotnet", "pictures") % 2**31
    letters = letter_scenes("pool", options.num_letter_scenes, seed=seed)
    cells = cell_scenes(options.num_smears, seed=seed)
    detectors, history = pretrain(letters, cells, options)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time()
    measured = measure(detectors, seed=seed + 1)
    files = {name: save(detectors, name, options.out / name) for name in NAMES}
    return {
        "date": datetime.date.today().isoformat(),
        "seconds": round(seconds),
        "cpu_seconds": round(cpu_seconds),
        "machine": f"{os.cpu_count()} CPU cores, shared with other work",
        "versions": runtime.versions() | _drawing_versions(),
        "options": {k: v for k, v in vars(options).items() if k not in ("out", "card_only")},
        "classes": {"letters": list(scenes.letter_ink("pool", 0).classes), "cells": smears.CELLS},
        "history": history,
        "measured": measured,
        "num_parameters": {name: _num_parameters(detectors, name) for name in NAMES},
        "size_bytes": {name: path.stat().st_size for name, path in files.items()},
        "sha256": {name: runtime.sha256_file(path) for name, path in files.items()},
    }


def letter_scenes(part: str, num: int, *, seed: int) -> Pictures:
    """Return scenes of letters in the faces of the pool, or in those held out."""
    images, boxes, _ = scenes.draw_scenes(num, scenes.letter_ink(part, 0), seed=seed)
    return Pictures(images, boxes)


def cell_scenes(num: int, *, seed: int) -> Pictures:
    """Return smears of the source's scanner, 128 x 128, class ids after those of the letters."""
    images, boxes, _ = smears.draw_smears(num, seed=seed, scanner=SOURCE_SCANNER)
    size = (spotnet.IMAGE_SIZE, spotnet.IMAGE_SIZE)
    resized = functional.interpolate(images.float(), size, mode="bilinear", antialias=True)
    shift = torch.tensor([float(num_letters()), 0, 0, 0, 0])
    return Pictures(resized.round().to(torch.uint8), [rows + shift for rows in boxes])


def num_letters() -> int:
    """Return how many classes of letters there are."""
    return len(scenes.letter_ink("pool", 0).classes)


def pretrain(
    letters: Pictures, cells: Pictures, options: argparse.Namespace
) -> tuple[Detectors, list[dict[str, float]]]:
    """Train the detectors; return them with the mean loss of each 250 steps."""
    with runtime.fork_seed(options.seed, "spotnet", "weights"):
        detectors = Detectors(num_letters() + len(smears.CELLS))
    optimizer = torch.optim.AdamW(
        detectors.parameters(), options.learning_rate, weight_decay=options.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.learning_rate, total_steps=options.steps, pct_start=0.1
    )
    generator = torch.Generator().manual_seed(runtime.derive_seed(options.seed, "spotnet", "order"))
    history, losses = [], []
    with runtime.fork_seed(options.seed, "spotnet", "sampling"):
        for step in range(1, options.steps + 1):
            images, boxes = batch(letters, cells, options.batch_size, step, generator)
            loss = detectors.loss(images, boxes)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(detectors.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            if step % 250 == 0 or step == options.steps:
                history.append({"step": step, "loss": round(sum(losses) / len(losses), 4)})
                print(history[-1], flush=True)
                losses = []
    return detectors.eval(), history


def batch(
    letters: Pictures, cells: Pictures, size: int, step: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return half a batch of scenes and half of smears, these mirrored and turned at random."""
    parts = []
    for pictures, augment in (
        (letters, BoxAugment(contrast=0.2)),
        (cells, BoxAugment(mirror=True, flip=True, contrast=0.2)),
    ):
        chosen = torch.randint(len(pictures.boxes), (size // 2,), generator=generator)
        images = spotnet.preprocess(pictures.images[chosen])
        boxes = pad_sequences([pictures.boxes[i] for i in chosen.tolist()], padding=-100)[0]
        parts.append(augment.with_boxes(images, boxes, chosen, step))
    rows = [row for _, boxes in parts for row in boxes]
    return torch.cat([images for images, _ in parts]), pad_sequences(rows, padding=-100)[0]


@torch.no_grad()
def measure(detectors: Detectors, *, seed: int) -> dict[str, dict[str, dict[str, float]]]:
    """Return mAP on letters in held-out faces and on cells of other patients, by detector."""
    names = [*scenes.letter_ink("pool", 0).classes, *smears.CELLS]
    kinds = {
        "letters in held-out faces": letter_scenes("test", NUM_MEASURED, seed=seed),
        "cells of other patients": cell_scenes(NUM_MEASURED, seed=seed),
    }
    found: dict[str, dict[str, dict[str, float]]] = {name: {} for name in NAMES}
    for kind, pictures in kinds.items():
        for name, head in detectors.heads.items():
            predictions = [
                row
                for images in pictures.images.split(20)
                for row in head.predict(head(detectors.encoder(spotnet.preprocess(images))))
            ]
            values = detection_values(predictions, pictures.boxes, names)
            found[name][kind] = {key: round(values[key], 4) for key in ("map50", "map")}
    return found


def save(detectors: Detectors, name: str, folder: Path) -> Path:
    """Write encoder and head, 16-bit, as one state dict in torchvision's format."""
    from safetensors.torch import save as to_bytes

    head = detectors.heads[name].detector.state_dict()
    state = {f"backbone.{k}": v for k, v in detectors.encoder.state_dict().items()} | head
    content = to_bytes(
        {key: value.half().contiguous() for key, value in state.items()}, metadata={"format": "pt"}
    )
    return runtime.atomic_write(folder / "model.safetensors", content)


def _num_parameters(detectors: Detectors, name: str) -> int:
    """Return how many numbers a detector holds."""
    parts = (detectors.encoder, detectors.heads[name])
    return sum(weight.numel() for part in parts for weight in part.parameters())


def _drawing_versions() -> dict[str, str]:
    """Return the versions of what draws the scenes."""
    from importlib.metadata import version

    return {name: version(name) for name in ("matplotlib", "safetensors", "scikit-learn")}


def card(log: dict[str, Any], name: str) -> str:
    """Return the model card: the template filled with the figures of the log."""
    rows = [
        f"| {kind} | {values['map50']:.3f} | {values['map']:.3f} |"
        for kind, values in log["measured"][name].items()
    ]
    values = {
        **{k: v for k, v in log.items() if k not in ("num_parameters", "size_bytes", "sha256")},
        **log["options"],
        "name": name,
        "stages": NAMES[name],
        "num_parameters": f"{log['num_parameters'][name]:,}",
        "size_bytes": f"{log['size_bytes'][name]:,}",
        "sha256": log["sha256"][name],
        "versions": ", ".join(f"{key} {number}" for key, number in log["versions"].items()),
        "letters": " ".join(log["classes"]["letters"]),
        "cells": ", ".join(log["classes"]["cells"]),
        "mean": spotnet.MEAN,
        "std": spotnet.STD,
        "rows": "\n".join(rows),
    }
    return CARD_TEMPLATE.read_text().format(**values)


if __name__ == "__main__":
    main()
