"""`compare`: train every strategy with every seed, choose on val, judge once on test."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from companion import checks, runtime
from companion.backbones import Backbone
from companion.evaluation import (
    Scores,
    evaluate,
    item_errors,
    item_sizes,
    majority_baseline,
)
from companion.heads import Model
from companion.splits import Splits
from companion.strategies import Adaptation
from companion.study.asked import as_budgets, as_config, as_plans, as_recipes, as_seeds
from companion.study.provenance import describe_machine, hash_dependencies
from companion.study.results import Study
from companion.study.rows import MAJORITY, Run, TestItems
from companion.study.storage import load, save
from companion.training import Recipe, Result, fit

__all__ = ["compare"]


def compare(
    backbone: Backbone,
    splits: Splits,
    *,
    strategies: Sequence[str | Adaptation],
    seeds: Iterable[int],
    labels_per_class: int | Sequence[int | None] | None = None,
    recipe: Recipe | Sequence[Recipe] | None = None,
    path: str | Path | None = None,
    device: str | None = None,
    keep_models: bool = False,
    progress: bool | None = None,
    on_run: Callable[[Run], None] | None = None,
) -> Study:
    """Compare strategies honestly: the one way to say that one beats another.

    For every seed the labelled items are drawn anew from the pool (the test set stays). Each run
    makes its choices on val (early stopping; the recipe, where several are offered), keeps them,
    and is then evaluated once on test. All of that is one reading of the test set. The constant
    answer and training from scratch are always among the rows.

    Args:
        backbone: the pretrained backbone.
        splits: the dataset; splits that were put together by hand stay the same for all seeds.
        strategies: registered names, or plans of your own.
        seeds: at least one; five or more for a claim.
        labels_per_class: one or several budgets; `None` takes that of the splits.
        recipe: how to train; of several, each run takes the one that is best on its val.
        path: a file that is written after each run; a study that finds its own goes on from
            there, without doing a finished run again.
        device: as in `runtime.pick_device`.
        keep_models: whether the study keeps the trained models (they are not saved).
        progress: whether to draw a progress bar over the runs; `None` draws it on a terminal.
        on_run: called with each run that has just finished.

    Returns:
        The study.

    Raises:
        CompanionError: no strategy or seed, a seed or budget given twice, several recipes
            without a val to choose on, or a file of another study at `path`.

    Warns:
        TestReadAgainWarning: the test set was read before by something else.

    Reference: bouthillier2021accounting, sec. 4; cawley2010over (choices on val only)
    """
    recipes = as_recipes(recipe)
    budgets = as_budgets(splits, labels_per_class)
    adaptations = as_plans(backbone, strategies)
    config = as_config(backbone, splits, adaptations, as_seeds(seeds), budgets, recipes)
    _check_val(splits, config["seeds"][0], budgets, recipes)
    path = None if path is None else Path(path).expanduser()
    study = _resumed(_empty_study(backbone, splits, adaptations, config), path)
    study = _opened(study, splits)
    with _bar(study, progress) as bar:
        for run, model in _remaining(study, backbone, splits, adaptations, recipes, device):
            models = {**study.models, run.key: model} if keep_models and model else study.models
            study = dataclasses.replace(study, runs=(*study.runs, run), models=models)
            if path is not None:
                save(study, path)
            if on_run is not None:
                on_run(run)
            bar.update(1)
    return study


def _remaining(
    study: Study,
    backbone: Backbone,
    splits: Splits,
    adaptations: dict[str, Adaptation],
    recipes: list[Recipe],
    device: str | None,
) -> Iterator[tuple[Run, Model | None]]:
    """Yield the runs that are not finished yet, in order, each with its model."""
    done = {run.key for run in study.runs}
    for budget in study.labels_per_class:
        for seed in study.seeds:
            drawn = _draw(splits, seed, budget)
            if (MAJORITY, seed, budget) not in done:
                scores = majority_baseline(drawn.train, drawn.test, reading=study.reading)
                yield _run(MAJORITY, seed, budget, scores), None
            for name, adaptation in adaptations.items():
                if (name, seed, budget) in done:
                    continue
                started = time.perf_counter()
                chosen, result = _fit_best(backbone, drawn, adaptation, seed, recipes, device)
                scores = evaluate(result.model, drawn.test, reading=study.reading)
                seconds = time.perf_counter() - started
                run = _run(name, seed, budget, scores)
                yield _with_training(run, chosen, result, seconds), result.model


def _check_val(splits: Splits, seed: int, budgets: list[int | None], recipes: list[Recipe]) -> None:
    """Refuse several recipes where a budget leaves no val, before anything is trained or read.

    Raises:
        CompanionError: there is no val to choose on.
    """
    if len(recipes) == 1:
        return
    without = [budget for budget in budgets if _draw(splits, seed, budget).val is None]
    if without:
        at = "" if splits.pool is None else f" at labels_per_class={without[0]}"
        checks.fail(
            "several recipes",
            got=f"splits without val{at}",
            expected="a val to choose on",
            do="pass one recipe, or labels_per_class of 5 or more",
        )


def _fit_best(
    backbone: Backbone,
    splits: Splits,
    adaptation: Adaptation,
    seed: int,
    recipes: list[Recipe],
    device: str | None,
) -> tuple[int, Result]:
    """Train with each recipe and return the one that is best on val, the first of several."""
    best: tuple[int, Result] | None = None
    for position, recipe in enumerate(recipes):
        result = fit(
            backbone,
            splits,
            strategy=adaptation,
            seed=seed,
            recipe=recipe,
            device=device,
            progress=False,
        )
        if best is None or _is_better(result.scores, best[1].scores):
            best = position, result
    assert best is not None  # there is at least one recipe
    return best


def _is_better(first: Scores | None, second: Scores | None) -> bool:
    """Return whether the first val score beats the second."""
    assert first is not None and second is not None  # `_check_val` saw to it
    sign = -1 if first.metric == "cer" else 1
    return sign * first.value > sign * second.value


def _run(strategy: str, seed: int, budget: int | None, scores: Scores) -> Run:
    """Return the run of scores on test."""
    errors, _ = item_errors(scores.task, scores.predictions, scores.labels, classes=scores.classes)
    is_classes = scores.task == "classification"
    return Run(
        strategy=strategy,
        seed=seed,
        labels_per_class=budget,
        val=None,
        test=dict(scores.values),
        interval=scores.interval,
        errors=tuple(errors.tolist()),
        predictions=_class_ids(scores.predictions) if is_classes else None,
    )


def _class_ids(labels: Tensor | Sequence[Tensor]) -> tuple[int, ...]:
    """Return class ids as plain integers, one an item."""
    return tuple(int(label) for label in labels)


def _with_training(run: Run, chosen: int, result: Result, seconds: float) -> Run:
    """Return a run with the facts of its training."""
    return dataclasses.replace(
        run,
        val=None if result.scores is None else result.scores.value,
        recipe=chosen,
        num_steps=len(result.history.losses),
        seconds=seconds,
    )


def _draw(splits: Splits, seed: int, budget: int | None) -> Splits:
    """Return the splits of one seed and budget, with the same test set."""
    if splits.pool is None:
        return splits
    if budget == splits.labels_per_class:
        return splits.redraw(seed=seed)
    return splits.redraw(seed=seed, labels_per_class=budget)


def _empty_study(
    backbone: Backbone, splits: Splits, adaptations: dict[str, Adaptation], config: dict[str, Any]
) -> Study:
    """Return the study before its first run and before it has opened the test set."""
    return Study(
        config=config,
        items=TestItems(splits.test.fingerprint, splits.test.task, splits.test.classes, ()),
        runs=(),
        dependencies=hash_dependencies(
            backbone=backbone.name, dataset=splits.card.name, strategies=adaptations
        ),
        versions=runtime.versions(),
        machine=describe_machine(),
    )


def _opened(study: Study, splits: Splits) -> Study:
    """Return the study with what its runs are judged on; from here on the test set is read."""
    test = splits.test.open(study.reading)
    sizes = item_sizes(test.task, test.labels, classes=test.classes)
    items = dataclasses.replace(
        study.items,
        sizes=tuple(sizes.tolist()),
        labels=_class_ids(test.labels) if test.task == "classification" else None,
        groups=None if test.groups is None else _numbered(test.groups),
    )
    return dataclasses.replace(study, items=items)


def _numbered(groups: Sequence[Hashable]) -> tuple[int, ...]:
    """Return the number of each item's group, counted from 0 in the order they appear in."""
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    return tuple(numbers[group] for group in groups)


def _resumed(study: Study, path: Path | None) -> Study:
    """Return the study with the runs that its file holds.

    Raises:
        CompanionError: the file holds another study.
    """
    if path is None or not path.is_file():
        return study
    found = load(path)
    differing = [k for k in study.config if study.config[k] != found.config.get(k)]
    if found.dependencies != study.dependencies:
        differing.append("code or assets")
    if (found.machine, dict(found.versions)) != (study.machine, dict(study.versions)):
        differing.append("machine or versions")
    if differing:
        checks.fail(
            f"study file {path}",
            got=f"another study (other {', '.join(differing)})",
            expected="the study that is asked for",
            do="delete the file or choose another path",
        )
    return dataclasses.replace(study, runs=found.runs)


def _bar(study: Study, progress: bool | None) -> Any:
    """Return a progress bar over the runs that remain."""
    from tqdm import tqdm

    total = len(study.strategies) * len(study.seeds) * len(study.labels_per_class)
    hidden = not runtime.show_progress(progress)
    return tqdm(total=total, initial=len(study.runs), desc="study", unit="run", disable=hidden)
