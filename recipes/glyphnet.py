"""Pretrain `glyphnet`: name rendered letters, then write weights, model card and log.

    python recipes/glyphnet.py --out companion/assets/glyphnet

Every 128 letters are drawn anew from 28 faces (fonts and mathematical alphabets that matplotlib
ships) and distorted; no picture is seen twice, no digit is ever drawn. Four faces are held out and
measured at the end. The target, real handwritten digits, is never looked at here.

`--card-only` writes the card again from the log and the recorded studies.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from companion import assets, runtime, study
from companion.backbones import glyphnet
from companion.datasets import glyphs

HERE = Path(__file__).resolve().parent
LOG = HERE / "glyphnet.log.json"
STUDIES = HERE.parent / "book" / "studies" / "vision" / "image-classification"
STRATEGY = "lp_ft"
"""Fixed for every budget before the test part of the digits was read."""
CARD_TEMPLATE = HERE / "glyphnet.card.md"
HELD_OUT_ROUNDS = 5


def main() -> None:
    """Read the options, then pretrain or rewrite the card."""
    options = _options()
    if not options.card_only:
        log = make(options)
        runtime.atomic_write(LOG, json.dumps(log, indent=2) + "\n")
    runtime.atomic_write(options.out / "README.md", card(json.loads(LOG.read_text())))
    assets.write_bundled_checksums()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of weights and card")
    parser.add_argument("--steps", type=int, default=8_000)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=4e-3)
    parser.add_argument("--weight-decay", type=float, default=0.05)
    parser.add_argument("--label-smoothing", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--card-only", action="store_true", help="rewrite the card from the log")
    return parser.parse_args()


def make(options: argparse.Namespace) -> dict[str, Any]:
    """Pretrain, write the weights and return the log."""
    torch.set_num_threads(options.threads)
    start = time.perf_counter()
    drawings = glyphs.render_letters()
    network, history = pretrain(drawings, options)
    seconds = time.perf_counter() - start
    cpu_seconds = time.process_time()
    path = save(network, options.out)
    return {
        "date": datetime.date.today().isoformat(),
        "seconds": round(seconds),
        "cpu_seconds": round(cpu_seconds),
        "machine": f"{os.cpu_count()} CPU cores, shared with other work",
        "versions": runtime.versions() | _drawing_versions(),
        "options": {k: v for k, v in vars(options).items() if k not in ("out", "card_only")},
        "data": _counts(drawings),
        "pixels": _pixel_moments(drawings),
        "history": history,
        "held_out_accuracy": measure(network, drawings),
        "num_parameters": sum(weight.numel() for weight in network.parameters()),
        "size_bytes": path.stat().st_size,
        "sha256": runtime.sha256_file(path),
    }


def pretrain(
    drawings: glyphs.Drawings, options: argparse.Namespace
) -> tuple[nn.Module, list[dict[str, float]]]:
    """Train the network to name letters; return it with the mean accuracy of each 500 steps."""
    with runtime.fork_seed(options.seed, "glyphnet", "weights"):
        network = glyphnet.build_glyphnet(len(glyphs.LETTERS))
    optimizer = torch.optim.AdamW(
        network.parameters(), options.learning_rate, weight_decay=options.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.learning_rate, total_steps=options.steps, pct_start=0.15
    )
    seed = runtime.derive_seed(options.seed, "glyphnet", "pictures")
    generator = torch.Generator().manual_seed(seed)
    rows = torch.tensor([face not in glyphs.HELD_OUT_FACES for face in drawings.faces]).nonzero()
    rows = rows[:, 0]
    weights = class_weights(drawings.labels[rows])
    history, num_correct, num_seen = [], 0, 0
    for step in range(1, options.steps + 1):
        chosen = torch.multinomial(weights, options.batch_size, True, generator=generator)
        images, labels = batch(drawings, rows[chosen], generator)
        logits = network(images)
        loss = functional.cross_entropy(logits, labels, label_smoothing=options.label_smoothing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        num_correct += int((logits.argmax(1) == labels).sum())
        num_seen += len(labels)
        if step % 500 == 0 or step == options.steps:
            history.append({"step": step, "train_accuracy": round(num_correct / num_seen, 4)})
            print(history[-1], flush=True)
            num_correct = num_seen = 0
    return network.eval(), history


def class_weights(labels: Tensor) -> Tensor:
    """Return how often to draw each item: classes by the square root of their size."""
    counts = torch.bincount(labels, minlength=len(glyphs.LETTERS))
    return counts[labels].float().rsqrt()


def batch(
    drawings: glyphs.Drawings, rows: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return freshly distorted, preprocessed pictures and their labels."""
    pictures = glyphs.distort(drawings.images[rows], generator=generator)
    return glyphnet.preprocess(pictures), drawings.labels[rows]


@torch.no_grad()
def measure(network: nn.Module, drawings: glyphs.Drawings) -> dict[str, float]:
    """Return the accuracy on each held-out face, distorted, and on all of them undistorted."""
    generator = torch.Generator().manual_seed(runtime.derive_seed(0, "glyphnet", "held out"))
    result = {}
    for face in glyphs.HELD_OUT_FACES:
        rows = torch.tensor([name == face for name in drawings.faces]).nonzero()[:, 0]
        rows = rows.repeat(HELD_OUT_ROUNDS)
        images, labels = batch(drawings, rows, generator)
        result[face] = _accuracy(network, images, labels)
    rows = torch.tensor([name in glyphs.HELD_OUT_FACES for name in drawings.faces]).nonzero()[:, 0]
    margin = (glyphs.DRAWING_SIZE - glyphs.BOX_SIZE) // 2
    plain = drawings.images[rows, :, margin:-margin, margin:-margin]
    result["undistorted"] = _accuracy(network, glyphnet.preprocess(plain), drawings.labels[rows])
    return result


def _accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the share of images that are named right."""
    named = torch.cat([network(piece).argmax(1) for piece in images.split(256)])
    return round(float((named == labels).float().mean()), 4)


def save(network: nn.Module, folder: Path) -> Path:
    """Write the weights, 32-bit, under torchvision's names; return the file."""
    from safetensors.torch import save as to_bytes

    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    content = to_bytes(state, metadata={"format": "pt"})
    return runtime.atomic_write(folder / "model.safetensors", content)


def _drawing_versions() -> dict[str, str]:
    """Return the versions of what draws the letters."""
    from importlib.metadata import version

    return {name: version(name) for name in ("matplotlib", "pillow", "safetensors")}


def _counts(drawings: glyphs.Drawings) -> dict[str, int]:
    """Return how much was drawn."""
    return {
        "num_classes": len(glyphs.LETTERS),
        "num_characters": sum(map(len, glyphs.LETTERS)),
        "num_faces": len(glyphs.FACES),
        "num_held_out_faces": len(glyphs.HELD_OUT_FACES),
        "num_drawings": len(drawings),
    }


def _pixel_moments(drawings: glyphs.Drawings) -> dict[str, float]:
    """Return mean and standard deviation of distorted pictures: the source of MEAN and STD."""
    generator = torch.Generator().manual_seed(runtime.derive_seed(0, "glyphnet", "pixels"))
    pictures = glyphs.distort(drawings.images, generator=generator)
    return {"mean": round(float(pictures.mean()), 4), "std": round(float(pictures.std()), 4)}


def card(log: dict[str, Any]) -> str:
    """Return the model card: the template filled with the figures of the log."""
    values = {
        **log,
        **log["data"],
        **log["options"],
        "versions": ", ".join(f"{name} {number}" for name, number in log["versions"].items()),
        "num_pictures": f"{log['options']['steps'] * log['options']['batch_size']:,}",
        "num_parameters": f"{log['num_parameters']:,}",
        "letters": " ".join(glyphs.LETTERS),
        "lookalikes": "; ".join(
            f"{digit}: {' '.join(letters)}" for digit, letters in glyphs.LOOKALIKES.items()
        ),
        "train_faces": ", ".join(
            face.name for face in glyphs.FACES if face.name not in glyphs.HELD_OUT_FACES
        ),
        "held_out": "\n".join(
            f"| {face} | {accuracy:.3f} |" for face, accuracy in log["held_out_accuracy"].items()
        ),
        "mean": glyphnet.MEAN,
        "std": glyphnet.STD,
        "transfer": _transfer(),
    }
    return CARD_TEMPLATE.read_text().format(**values)


def _transfer() -> str:
    """Return the table of transfer to other data: the recorded studies of this backbone."""
    lines = [
        "| Data | Labels a class | Scratch | Probe | LP-FT | LP-FT less scratch | Seeds |",
        "|---|---|---|---|---|---|---|",
    ]
    for path in sorted(STUDIES.glob("*.json")):
        found = study.load(path)
        lines += [_transfer_row(found, budget) for budget in found.labels_per_class]
    return "\n".join(lines) if len(lines) > 2 else "Not measured yet."


def _transfer_row(found: study.Study, budget: int | None) -> str:
    """Return one budget of a study as a row of the table."""
    means = [f"{found.row(name, budget).mean:.3f}" for name in ("scratch", "probe", STRATEGY)]
    effect = found.effect(STRATEGY, "scratch", budget)
    assert effect.interval is not None
    low, high = effect.interval.low, effect.interval.high
    gain = f"{effect.mean_difference:+.3f} [{low:+.3f}, {high:+.3f}]"
    cells = [found.config["dataset"], budget, *means, gain, effect.num_pairs]
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    main()
