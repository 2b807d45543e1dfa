"""`fit`: one call that adapts a backbone to labelled data by a named strategy."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import time
import warnings
from pathlib import Path

import torch
from torch import Tensor

from companion import checks, evaluation, layer_groups, registry, runtime
from companion.adapters import add_lora_, lora_layers
from companion.backbones import Backbone
from companion.heads import Model, build_head
from companion.splits import Split, Splits, TestSplit
from companion.strategies import Adaptation, plan
from companion.training import checkpoints
from companion.training.features import compute_features
from companion.training.loop import Processes, Run, interpolate_, join_processes
from companion.training.recipe import Evaluation, History, Recipe, Result, learning_rate_factor

__all__ = [
    "Evaluation",
    "History",
    "Recipe",
    "Result",
    "compute_features",
    "fit",
    "interpolate_",
    "learning_rate_factor",
]


def fit(
    backbone: Backbone,
    splits: Splits,
    *,
    strategy: str | Adaptation = "lp_ft",
    seed: int = 0,
    recipe: Recipe | None = None,
    device: str | None = None,
    checkpoint_dir: str | Path | None = None,
    checkpoint_every: int = 200,
    progress: bool | None = None,
) -> Result:
    """Adapt a backbone to the training items of a dataset.

    The backbone that is given stays as it is: a copy is trained. Test data are not touched.

    Args:
        backbone: the pretrained backbone.
        splits: train and, from 5 labels a class on, val.
        strategy: a registered name, or a plan of your own.
        seed: decides the head's first weights, the order of items, augmentation, dropout.
        recipe: epochs, batch size, learning rate and so on; `None` takes the defaults.
        device: as in `runtime.pick_device`.
        checkpoint_dir: where to write checkpoints; a run that finds its own goes on from there
            and ends bit-equal to one that was never interrupted.
        checkpoint_every: steps between checkpoints.
        progress: whether to draw a progress bar; `None` draws it on a terminal.

    Returns:
        The model with its history, its scores on val and its ledger.

    Raises:
        CompanionError: an unknown strategy, labels that do not fit the classes, a test split
            among the training data, a loss that is not finite, checkpoints of another run, or a
            checkpoint folder that cannot be written.

    Warns:
        UserWarning: the backbone saw this dataset in its pretraining.

    Reference: kumar2022finetuning, sec. 3.4 (the default strategy)
    """
    started = time.perf_counter()
    recipe = Recipe() if recipe is None else recipe
    seed = checks.non_negative_int("seed", seed)
    checkpoint_every = checks.positive_int("checkpoint_every", checkpoint_every)
    for what, given, kind in (
        ("backbone", backbone, Backbone),
        ("splits", splits, Splits),
        ("recipe", recipe, Recipe),
    ):
        checks.instance(what, given, kind)
    _check_data(splits)
    _warn_of_overlap(backbone, splits)
    adaptation = plan(strategy, (*backbone.group_names, layer_groups.HEAD))
    with runtime.fork_seed(seed, "fit"):
        run = _start_run(backbone, splits, adaptation, recipe, seed, join_processes(device))
        before = layer_groups.fingerprints(run.model)
        run.progress = runtime.show_progress(progress)
        if checkpoint_dir is not None:
            run.checkpoint_dir = Path(checkpoint_dir).expanduser()
            run.checkpoint_every = checkpoint_every
            run.fingerprint = _run_fingerprint(before, splits, adaptation, recipe, seed)
            checkpoints.check_writable(run.checkpoint_dir)
        run.carry_out()
    return _result(run, splits, before, time.perf_counter() - started)


def _start_run(
    backbone: Backbone,
    splits: Splits,
    adaptation: Adaptation,
    recipe: Recipe,
    seed: int,
    processes: Processes,
) -> Run:
    """Return a run at its first step, with the model and the prepared data on their device."""
    model = _build_model(backbone, splits.train, adaptation, seed).to(processes.device)
    augment = None if recipe.augment is None else recipe.augment.with_seed(seed)
    return Run(
        model=model,
        adaptation=adaptation,
        recipe=recipe,
        seed=seed,
        train=model.backbone.prepare(splits.train, augment=augment),
        val=None if splits.val is None else model.backbone.prepare(splits.val),
        processes=processes,
        item_weights=_class_weights(splits.train, recipe, processes.device),
    )


def _result(run: Run, splits: Splits, before: dict[str, str], seconds: float) -> Result:
    """Return the outcome of a run that has ended."""
    after = layer_groups.fingerprints(run.model)
    moved = {name: after[name] != digest for name, digest in before.items()}
    return Result(
        model=run.model,
        history=run.history,
        scores=None if splits.val is None else evaluation.evaluate(run.model, splits.val),
        ledger=layer_groups.merge_ledgers(run.ledgers, moved),
        strategy=run.adaptation.name,
        seed=run.seed,
        recipe=run.recipe,
        seconds=seconds,
    )


def _check_data(splits: Splits) -> None:
    """Check that there is something to train on and that it is not test data."""
    for name in ("train", "val"):
        if isinstance(getattr(splits, name), TestSplit):
            checks.fail(
                f"splits.{name}",
                got="a test split",
                expected="data to train or to choose on",
                do="keep splits.test for companion.evaluate, at the end",
            )
    if len(splits.train) == 0:
        checks.fail("splits.train", got="no item", expected="at least one", do="add labelled data")


def _warn_of_overlap(backbone: Backbone, splits: Splits) -> None:
    """Warn where the backbone saw the dataset in its pretraining."""
    message = registry.overlap(splits.card, backbone.card) if backbone.is_pretrained else None
    if message:
        warnings.warn(message, UserWarning, stacklevel=3)


def _build_model(backbone: Backbone, train: Split, adaptation: Adaptation, seed: int) -> Model:
    """Return a copy of the backbone with a new head, ready for the strategy."""
    if adaptation.is_pretrained:
        body = copy.deepcopy(backbone)
    else:
        body = backbone.with_random_weights(seed)
    model = Model(body, build_head(body, train, seed=seed), train.classes)
    if any(lora_layers(model)):
        checks.fail(
            "backbone",
            got=f"{backbone.name!r} with LoRA factors of an earlier run",
            expected="a backbone of plain layers",
            do="merge it: companion.model_files.save_model, then load_model, then .backbone",
        )
    if adaptation.lora_rank:
        add_lora_(model, rank=adaptation.lora_rank, seed=seed)
    return model


def _class_weights(train: Split, recipe: Recipe, device: torch.device) -> Tensor | None:
    """Return one weight a class, (num_classes,), whose mean over the train items is 1."""
    if recipe.class_weights is None:
        return None
    if train.task != "classification":
        checks.fail(
            "class_weights",
            got=f"{recipe.class_weights!r} for the task {train.task!r}",
            expected="None, unless each item has one class",
            do="leave it out",
        )
    counts = torch.bincount(torch.as_tensor(train.labels), minlength=len(train.classes))
    present = counts > 0
    weights = len(train) / (present.sum() * counts.clamp(min=1))
    return (weights * present).to(device)


def _run_fingerprint(
    before: dict[str, str], splits: Splits, adaptation: Adaptation, recipe: Recipe, seed: int
) -> str:
    """Return a hash of everything that decides a run's outcome."""
    facts = {
        "weights": before,
        "train": splits.train.fingerprint(),
        "val": None if splits.val is None else splits.val.fingerprint(),
        "adaptation": dataclasses.asdict(adaptation),
        "recipe": recipe.as_dict(),
        "seed": seed,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
