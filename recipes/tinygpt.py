"""Pretrain `tinygpt`: a GPT-2 of three million parameters, on docstrings of installed packages.

    python recipes/tinygpt.py --out companion/assets/tinygpt

The docstrings of one library, SciPy, are held out: no text of it is seen here, neither for the
vocabulary nor for the weights. What is measured at the end are documents of the other libraries
that were left out one by one, and SciPy's; n-gram models of the same texts stand beside.

`--minutes` ends a sitting: what was reached is kept in `--checkpoint`, and the same command goes on
from there to the same weights, since order and learning rate are functions of the step alone.
`--card-only` writes the card again from the log.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import io
import json
import os
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from companion import assets, checks, runtime
from companion.datasets.docstrings import Docstring, load_docstrings
from companion.language_models import (
    Blocks,
    ByteVocabulary,
    GPTShape,
    LanguageModel,
    build_gpt,
    fit_ngrams,
    pack_blocks,
    save_language_model,
    score_texts,
    token_nats,
    train_vocabulary,
)
from companion.training import learning_rate_factor

HERE = Path(__file__).resolve().parent
LOG = HERE / "tinygpt.log.json"
CARD_TEMPLATE = HERE / "tinygpt.card.md"
CHECKPOINT = HERE.parent / "build" / "tinygpt.pt"

HELD_OUT = "scipy"
SOURCES = ("numpy", "torch", "sklearn", "matplotlib", "transformers")
NO_TEXT = ("antigravity", "idlelib", "test", "this", "turtledemo")
"""Modules of the standard library that are jokes, demonstrations, or tests."""

ONE_IN = 50
"""One document in so many is left out of the training, to measure on."""

WORDS_OF_A_COPY = 13
"""A document is a copy where half of its runs of so many words stand in the training texts."""


class Corpus(NamedTuple):
    """Documents by what they are for."""

    train: list[str]
    val: list[str]
    target: list[str]
    num_copies: int
    counts: dict[str, int]


class State(NamedTuple):
    """What a training has reached."""

    step: int
    history: list[dict[str, float]]
    seconds: float


def main() -> None:
    """Read the options, then pretrain or rewrite the card."""
    options = _options()
    if not options.card_only:
        log = make(options)
        if log is None:
            return
        runtime.atomic_write(LOG, json.dumps(log, indent=2) + "\n")
    log = json.loads(LOG.read_text())
    runtime.atomic_write(options.out / "README.md", card(log))
    assets.write_bundled_checksums()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the asset")
    parser.add_argument("--steps", type=int, default=4_000)
    parser.add_argument("--batch-size", type=int, default=32, help="blocks of 128 tokens a step")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--vocabulary-size", type=int, default=4096)
    parser.add_argument("--num-measured", type=int, default=300, help="documents of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--minutes", type=float, help="end this sitting after so many")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--card-only", action="store_true", help="rewrite the card from the log")
    return parser.parse_args()


def make(options: argparse.Namespace) -> dict[str, Any] | None:
    """Pretrain, write the weights and return the log; `None` where there are steps left to do."""
    torch.set_num_threads(options.threads)
    corpus = read_corpus()
    vocabulary = train_vocabulary(corpus.train, size=options.vocabulary_size)
    shape = GPTShape(len(vocabulary))
    rows = [vocabulary.encode(text) for text in corpus.train]
    blocks = pack_blocks(
        rows, length=shape.num_positions, end=vocabulary.end, padding=vocabulary.padding
    )
    network = build_gpt(
        shape, end=vocabulary.end, padding=vocabulary.padding, seed=options.seed
    ).to(runtime.pick_device(options.device))
    model = LanguageModel(network, vocabulary)
    state = pretrain(model, blocks, options)
    if state.step < options.steps:
        print(f"{state.step} of {options.steps} steps; run it again to go on")
        return None
    network.to("cpu")
    save_language_model(model, options.out)
    return figures(model, corpus, blocks, state, options)


def figures(
    model: LanguageModel,
    corpus: Corpus,
    blocks: Blocks,
    state: State,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Return the log: what was done, on what, and what came out."""
    weights = options.out / "model.safetensors"
    left_out = ("out", "card_only", "checkpoint", "minutes")
    return {
        "date": datetime.date.today().isoformat(),
        "seconds": round(state.seconds),
        "machine": f"{os.cpu_count()} CPU cores, shared with other work, on {options.device}",
        "versions": runtime.versions() | {n: version(n) for n in ("scipy", "matplotlib")},
        "options": {k: v for k, v in vars(options).items() if k not in left_out},
        "num_documents": corpus.counts,
        "num_copies": corpus.num_copies,
        "num_train_bytes": sum(len(text.encode()) for text in corpus.train),
        "num_train_tokens": blocks.num_targets,
        "epochs": round(options.steps * options.batch_size / len(blocks), 2),
        "history": state.history,
        "measured": measure(model, corpus, options),
        "num_parameters": model.num_parameters,
        "size_bytes": sum(path.stat().st_size for path in options.out.iterdir()),
        "sha256": runtime.sha256_file(weights),
    }


def read_corpus() -> Corpus:
    """Return the docstrings of the sources, and those of the library that is held out.

    A document of the held-out library that is a copy of one that was seen is left out as well.
    """
    packages = (*SOURCES, *_standard_library(), HELD_OUT)
    found = load_docstrings(packages)
    seen = [row for row in found if row.package != HELD_OUT]
    target = [row.text for row in found if row.package == HELD_OUT]
    val = [row.text for row in seen if _is_val(row)]
    train = [row.text for row in seen if not _is_val(row)]
    known = _runs(train)
    own = [text for text in target if not _is_copy(text, known)]
    counts = {"train": len(train), "val": len(val), HELD_OUT: len(own)}
    return Corpus(train, val, own, len(target) - len(own), counts)


def _standard_library() -> list[str]:
    """Return the modules of the standard library that have Python source, in alphabetical order."""
    names = []
    for name in sorted(sys.stdlib_module_names):
        if name.startswith("_") or name in NO_TEXT:
            continue
        try:
            load_docstrings([name])
        except checks.CompanionError:
            continue
        names.append(name)
    return names


def _is_val(row: Docstring) -> bool:
    """Return whether a document is left out of the training: a function of its name alone."""
    return runtime.derive_seed(0, "tinygpt", "val", row.name) % ONE_IN == 0


def _runs(texts: Sequence[str]) -> set[int]:
    """Return every run of words of some texts, as numbers."""
    return {run for text in texts for run in _runs_of(text)}


def _runs_of(text: str) -> list[int]:
    """Return the runs of words of one text, as numbers."""
    words = text.split()
    last = len(words) - WORDS_OF_A_COPY + 1
    return [hash(tuple(words[i : i + WORDS_OF_A_COPY])) for i in range(last)]


def _is_copy(text: str, known: set[int]) -> bool:
    """Return whether at least half of the runs of a text are known."""
    runs = _runs_of(text)
    return bool(runs) and 2 * sum(run in known for run in runs) >= len(runs)


def pretrain(model: LanguageModel, blocks: Blocks, options: argparse.Namespace) -> State:
    """Train from where the checkpoint stands; return what was reached."""
    network = model.network.train()
    optimizer = _optimizer(network, options)
    made_for = _fingerprint(blocks, options)
    state = _resume(network, optimizer, options.checkpoint, made_for)
    start, losses = time.perf_counter(), []
    for step in range(state.step, options.steps):
        factor = learning_rate_factor(step, options.steps, warmup_fraction=0.05)
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate * factor
        losses.append(_step(model, optimizer, _batch(blocks, step, options)))
        seconds = time.perf_counter() - start
        is_over = options.minutes is not None and seconds > 60 * options.minutes
        if (step + 1) % 100 == 0 or step + 1 == options.steps or is_over:
            row = {"step": step + 1, "loss": round(sum(losses) / len(losses), 4)}
            print(row, f"{round(seconds)} s", flush=True)
            state = State(step + 1, [*state.history, row], state.seconds + seconds)
            _keep(network, optimizer, state, options.checkpoint, made_for)
            start, losses = time.perf_counter(), []
            if options.minutes is not None:
                options.minutes -= seconds / 60
        if is_over:
            break
    network.eval()
    return state


def _step(model: LanguageModel, optimizer: torch.optim.Optimizer, batch: Blocks) -> float:
    """Take one step; return the loss before it, nats a token."""
    loss = token_nats(model.network, batch.inputs, batch.labels).sum() / batch.num_targets
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.network.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def _batch(blocks: Blocks, step: int, options: argparse.Namespace) -> Blocks:
    """Return the blocks of a step: a function of (seed, step); each epoch sees each block once."""
    per_epoch = max(1, len(blocks) // options.batch_size)
    epoch, slot = divmod(step, per_epoch)
    order = runtime.epoch_order(len(blocks), seed=options.seed, epoch=epoch)
    return blocks.batch(order[slot * options.batch_size : (slot + 1) * options.batch_size])


def _optimizer(network: Any, options: argparse.Namespace) -> torch.optim.Optimizer:
    """Return AdamW that decays matrices, not biases and norms."""
    parameters: list[Tensor] = list(network.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": options.weight_decay},
        {"params": [p for p in parameters if p.dim() == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=options.learning_rate, betas=(0.9, 0.95), fused=True)


def _fingerprint(blocks: Blocks, options: argparse.Namespace) -> str:
    """Return what a checkpoint belongs to: the texts, the options and the kind of device."""
    fixed = ("steps", "batch_size", "learning_rate", "weight_decay", "seed", "device")
    digest = hashlib.sha256(json.dumps([vars(options)[name] for name in fixed]).encode())
    digest.update(blocks.inputs.numpy().tobytes())
    return digest.hexdigest()


def _keep(
    network: Any, optimizer: torch.optim.Optimizer, state: State, path: Path, made_for: str
) -> None:
    """Write a checkpoint."""
    content = {
        "made_for": made_for,
        "state": state._asdict(),
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    runtime.atomic_write(path, buffer.getvalue())


def _resume(network: Any, optimizer: torch.optim.Optimizer, path: Path, made_for: str) -> State:
    """Return what a checkpoint reached, and put it into network and optimizer."""
    if not path.is_file():
        return State(0, [], 0.0)
    content = torch.load(path, map_location="cpu", weights_only=True)
    if content["made_for"] != made_for:
        checks.fail(
            f"checkpoint {path}",
            got="one of other texts or options",
            expected="one of this command",
            do="delete it to start anew, or use the options and packages that it was made with",
        )
    network.load_state_dict(content["network"])
    optimizer.load_state_dict(content["optimizer"])
    return State(**content["state"])


def measure(
    model: LanguageModel, corpus: Corpus, options: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """Return bits per byte, with intervals, of the model and of n-grams of the same texts."""
    scorers = {
        "tinygpt": model,
        "3-grams of its tokens": fit_ngrams(corpus.train, model.vocabulary, order=3),
        "4-grams of its tokens": fit_ngrams(corpus.train, model.vocabulary, order=4),
        "6-grams of bytes": fit_ngrams(corpus.train, ByteVocabulary(), order=6),
    }
    found: dict[str, dict[str, Any]] = {}
    for kind, texts in (("known libraries", corpus.val), (HELD_OUT, corpus.target)):
        sample = _sample(texts, options.num_measured, options.seed)
        for name, scorer in scorers.items():
            scores = score_texts(scorer, sample)
            interval = scores.bits_per_byte_interval
            found.setdefault(kind, {})[name] = {
                "bits_per_byte": round(scores.bits_per_byte, 4),
                "interval": [round(interval.low, 4), round(interval.high, 4)],
                "perplexity": round(scores.perplexity, 3),
            }
    return found


def _sample(texts: Sequence[str], num: int, seed: int) -> list[str]:
    """Return some texts, drawn without replacement."""
    order = runtime.epoch_order(len(texts), seed=seed, epoch=0)
    return [texts[i] for i in order[:num].tolist()]


def card(log: dict[str, Any]) -> str:
    """Return the model card: the template filled with the figures of the log."""
    rows = [
        f"| {name} | {kind} | {row['bits_per_byte']:.3f} | "
        f"{row['interval'][0]:.3f} to {row['interval'][1]:.3f} | {row['perplexity']:.1f} |"
        for kind, scores in log["measured"].items()
        for name, row in scores.items()
    ]
    numbers = ("num_parameters", "size_bytes", "num_train_bytes", "num_train_tokens")
    values = {
        **log,
        **log["options"],
        **{name: f"{log[name]:,}" for name in numbers},
        "versions": ", ".join(f"{key} {number}" for key, number in log["versions"].items()),
        "sources": ", ".join(SOURCES),
        "held_out": HELD_OUT,
        "num_train": f"{log['num_documents']['train']:,}",
        "one_in": ONE_IN,
        "rows": "\n".join(rows),
    }
    return CARD_TEMPLATE.read_text().format(**values)


if __name__ == "__main__":
    main()
