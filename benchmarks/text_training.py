"""Question 8: what does `fit` cost for an encoder of texts beside transformers.Trainer?"""

from __future__ import annotations

import functools
import inspect
import tempfile
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Sampler

import companion
from benchmarks import timing
from benchmarks.tasks import SEED, cosine
from companion.adapters import add_lora_
from companion.backbones import Backbone
from companion.batches import BatchSource, by_length
from companion.checks import CompanionError
from companion.heads import Model, build_head, masked_mean
from companion.registry import DatasetCard
from companion.splits import Split, Splits, TestSplit
from companion.strategies import plan
from companion.training import Recipe
from companion.training.order import epoch_batches

__all__ = ["FIT", "PROBES", "STRATEGIES", "TRAINER", "WAYS", "report", "short_texts", "start"]

NUM_TEXTS, BATCH_SIZE, NUM_EPOCHS, LEARNING_RATE = 256, 16, 2, 2e-5
NUM_WORDS = range(3, 20)
NOT_PROSE = ("--", ">>>", "::", "..")
AT_MOST = 1.0
TRAINER, FIT = "transformers.Trainer", "fit"
STRATEGIES = ("full", "lora")
CLASSES = ("numpy", "torch")


def short_texts() -> Splits:
    """Return paragraphs of real docstrings to train on; the class is the library. No val."""
    import numpy

    each = NUM_TEXTS // 2
    found = [*paragraphs(numpy, each + 4), *paragraphs(torch, each + 4)]
    labels = torch.arange(len(found)) // (each + 4)
    ids = tuple(f"paragraph/{number}" for number in range(len(found)))
    pool = Split("pool", found, labels, ids, CLASSES)
    is_test = torch.arange(len(found)) % (each + 4) >= each
    card = DatasetCard(
        "paragraphs", "docstrings", "language", "classification", CLASSES, "BSD-3-Clause", "here"
    )
    return Splits(
        train=pool.subset((~is_test).nonzero().flatten(), name="train"),
        val=None,
        test=TestSplit(pool.subset(is_test.nonzero().flatten(), name="test")),
        card=card,
        labels_per_class=None,
        seed=SEED,
    )


def paragraphs(library: ModuleType, num: int) -> list[str]:
    """Return paragraphs of the docstrings of a library's functions and classes, all different.

    Args:
        library: an imported one.
        num: how many, spread over all that there are.
    """
    found: dict[str, None] = {}
    for _, value in sorted(vars(library).items()):
        text = (inspect.getdoc(value) or "") if callable(value) else ""
        blocks = (" ".join(block.split()) for block in text.split("\n\n"))
        found |= dict.fromkeys(
            block
            for block in blocks
            if len(block.split()) in NUM_WORDS and not any(sign in block for sign in NOT_PROSE)
        )
    return list(found)[:: len(found) // num][:num]


def start() -> Backbone:
    """Return MiniLM."""
    return companion.load_backbone("minilm")


class WithLoss(nn.Module):
    """A model that takes a batch of token ids and returns its loss, as Trainer wants it.

    Args:
        model: encoder and head.
    """

    def __init__(self, model: Model):
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor, mask: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return the mean loss and the logits, (batch, num_classes)."""
        logits = self.model(inputs, mask)
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}


class BatchesInOrder(Sampler[list[int]]):
    """Positions of whole batches in the order of `fit`, a new one each epoch.

    Args:
        source: the texts.
        is_grouped: whether texts of about one length meet in a batch.
    """

    def __init__(self, source: BatchSource, is_grouped: bool):
        self.num_items = len(source)
        self.lengths = source.lengths if is_grouped else None
        self.epoch = 0

    def __len__(self) -> int:
        return len(epoch_batches(self.num_items, BATCH_SIZE, SEED, 0))

    def __iter__(self) -> Iterator[list[int]]:
        order = (self.num_items, BATCH_SIZE, SEED, self.epoch)
        self.epoch += 1
        for batch in epoch_batches(*order, lengths=self.lengths):
            yield batch.tolist()


def _collate(rows: list[tuple[Tensor, int]]) -> dict[str, Tensor]:
    """Return the texts of a batch, padded, as a dictionary."""
    inputs = nn.utils.rnn.pad_sequence([ids for ids, _ in rows], batch_first=True)
    lengths = torch.tensor([len(ids) for ids, _ in rows])
    mask = torch.arange(inputs.shape[1]) < lengths[:, None]
    return {"inputs": inputs, "mask": mask, "labels": torch.tensor([label for _, label in rows])}


def with_trainer(
    backbone: Backbone, splits: Splits, strategy: str, *, is_grouped: bool
) -> nn.Module:
    """Train with transformers.Trainer: fused AdamW along a cosine, logs, saves and clipping off.

    Its batches are padded to their longest text, in the order of `fit`.
    """
    from transformers import Trainer, TrainingArguments

    adaptation = plan(strategy, (*backbone.group_names, "head"))
    model = Model(backbone, build_head(backbone, splits.train, seed=SEED), splits.train.classes)
    if adaptation.lora_rank:
        add_lora_(model, rank=adaptation.lora_rank, seed=SEED)
    source: Any = backbone.prepare(splits.train)
    rows = list(zip(source.inputs, splits.train.labels.tolist(), strict=True))
    sampler = BatchesInOrder(source, is_grouped)
    loader = DataLoader(rows, batch_sampler=sampler, collate_fn=_collate)
    optimizer = torch.optim.AdamW(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        lr=LEARNING_RATE * adaptation.phases[0].factors["head"],
        weight_decay=0.0,
        fused=True,
    )
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: cosine(step, NUM_EPOCHS * len(sampler))
    )
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=NUM_EPOCHS,
            per_device_train_batch_size=BATCH_SIZE,
            use_cpu=True,
            remove_unused_columns=False,
            max_grad_norm=0.0,
            disable_tqdm=True,
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
        )
        trainer = Trainer(
            WithLoss(model), arguments, train_dataset=rows, optimizers=(optimizer, scheduler)
        )
        trainer.get_train_dataloader = lambda: loader
        trainer.train()
    return model


def with_fit(backbone: Backbone, splits: Splits, strategy: str, *, is_grouped: bool) -> nn.Module:
    """Train with `companion.fit`: a cosine without warm-up; no decay, clipping or val."""
    recipe = Recipe(
        epochs=NUM_EPOCHS,
        min_steps=1,
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        weight_decay=0.0,
        warmup_fraction=0.0,
        max_grad_norm=None,
        group_by_length=is_grouped,
    )
    return companion.fit(
        backbone, splits, strategy=strategy, seed=SEED, recipe=recipe, device="cpu", progress=False
    ).model


@torch.no_grad()
def with_regression(backbone: Backbone, splits: Splits) -> object:
    """Encode each text once, longest first, and fit scikit-learn's logistic regression on that."""
    from sklearn.linear_model import LogisticRegression

    source = backbone.prepare(splits.train)
    order = by_length(source)
    batches = [source.batch(rows) for rows in torch.split(order, backbone.eval_batch_size)]
    vectors = [masked_mean(backbone(batch.inputs, batch.mask), batch.mask) for batch in batches]
    features = torch.cat(vectors).numpy()
    return LogisticRegression(max_iter=1000).fit(features, splits.train.labels[order].numpy())


def with_probe(backbone: Backbone, splits: Splits) -> nn.Module:
    """Train a linear probe with `companion.fit`, as it comes."""
    return companion.fit(
        backbone, splits, strategy="probe", seed=SEED, device="cpu", progress=False
    ).model


WAYS: dict[str, Callable[..., nn.Module]] = {
    TRAINER: functools.partial(with_trainer, is_grouped=False),
    FIT: functools.partial(with_fit, is_grouped=False),
    f"{TRAINER}, texts of a length together": functools.partial(with_trainer, is_grouped=True),
    f"{FIT}, texts of a length together": functools.partial(with_fit, is_grouped=True),
}
"""Ways to fine-tune; the second of each pair is compared with the first."""

REGRESSION, PROBE = "encode once, scikit-learn's regression", "fit, probe"
PROBES: dict[str, Callable[[Backbone, Splits], object]] = {
    REGRESSION: with_regression,
    PROBE: with_probe,
}


def prepare(way: str, strategy: str | None) -> Callable[[], object]:
    """Return a training without arguments; libraries are imported and weights read here.

    Args:
        way: a key of `WAYS`, or of `PROBES` where there is no strategy.
        strategy: one of `STRATEGIES`, or `None`.
    """
    import transformers  # noqa: F401

    splits = short_texts()
    start()
    return functools.partial(_run, way, strategy, splits)


def _run(way: str, strategy: str | None, splits: Splits) -> object:
    """Train from fresh weights."""
    if strategy is None:
        return PROBES[way](start(), splits)
    return WAYS[way](start(), splits, strategy)


def report(rounds: int) -> str:
    """Train the same encoder in each way and return the tables."""
    try:
        start()
    except CompanionError as error:
        return f"## 8. Training an encoder of texts\n\nNot measured: {error}"
    steps = NUM_EPOCHS * NUM_TEXTS // BATCH_SIZE
    parts = [
        "## 8. Training an encoder of texts",
        f"MiniLM, {steps} steps of {BATCH_SIZE} paragraphs of docstrings, 1 thread, "
        f"{rounds} rounds.",
    ]
    for strategy in STRATEGIES:
        contestants = {way: timing.Contestant(prepare, (way, strategy)) for way in WAYS}
        found = timing.measure(contestants, rounds=rounds)
        parts += [f"### {strategy}", _table(found, TRAINER), _verdict(found)]
    contestants = {way: timing.Contestant(prepare, (way, None)) for way in PROBES}
    found = timing.measure(contestants, rounds=rounds)
    parts += ["### A frozen encoder", _table(found, REGRESSION)]
    return "\n\n".join(parts)


def _table(found: dict[str, list[timing.Seconds]], reference: str) -> str:
    """Return the table of some contestants."""
    rows = [
        [way, f"{ratio.wall:.3f}", f"{ratio.low:.3f}-{ratio.high:.3f}", f"{ratio.cpu:.3f}"]
        for way, ratio in timing.ratios(found, reference=reference).items()
    ]
    return timing.table(["", "time", "range", "CPU time"], rows)


def _verdict(found: dict[str, list[timing.Seconds]]) -> str:
    """Return whether `fit` is no slower than Trainer on the same batches, in both orders."""
    trainer, fit, grouped_trainer, grouped_fit = WAYS
    plain = timing.ratios(found, reference=trainer)[fit].wall
    grouped = timing.ratios(found, reference=grouped_trainer)[grouped_fit].wall
    return f"Target: fit at most {AT_MOST:.2f} of Trainer on the same batches. " + timing.met(
        max(plain, grouped), at_most=AT_MOST, shown=f"{plain:.3f}, by length {grouped:.3f}"
    )
