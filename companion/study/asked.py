"""What a study is asked for: checked, in one form, with everything that decides its outcome."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from companion import checks
from companion.backbones import Backbone
from companion.evaluation import weights_fingerprint
from companion.splits import Splits
from companion.strategies import Adaptation
from companion.study.provenance import hash_values, plans
from companion.study.rows import MAJORITY
from companion.training import Recipe

__all__ = ["as_budgets", "as_config", "as_plans", "as_recipes", "as_seeds"]

BASELINE = "scratch"


def as_recipes(recipe: Recipe | Sequence[Recipe] | None) -> list[Recipe]:
    """Return the recipes to choose from."""
    if recipe is None or isinstance(recipe, Recipe):
        return [recipe or Recipe()]
    checks.non_empty("recipe", recipe, do="pass a Recipe or leave it out")
    return list(recipe)


def as_budgets(splits: Splits, asked: int | Sequence[int | None] | None) -> list[int | None]:
    """Return the budgets of a study, each once."""
    if asked is None:
        return [splits.labels_per_class]
    budgets: list[int | None] = list(asked) if isinstance(asked, Sequence) else [asked]
    checks.non_empty("labels_per_class", budgets, do="name at least one budget")
    budgets = [k if k is None else checks.positive_int("labels_per_class", k) for k in budgets]
    _check_once("labels_per_class", budgets)
    if splits.pool is None and budgets != [splits.labels_per_class]:
        checks.fail(
            "labels_per_class",
            got="budgets for splits that were put together by hand",
            expected="splits with a pool to draw from",
            do="make them with `companion.splits.draw`, or leave labels_per_class out",
        )
    return budgets


def as_seeds(seeds: Iterable[int]) -> list[int]:
    """Return the seeds of a study, each once."""
    checks.instance("seeds", seeds, Iterable)
    found = [checks.non_negative_int("seed", seed) for seed in seeds]
    checks.non_empty("seeds", found, do="pass range(5), say")
    _check_once("seeds", found)
    return found


def as_plans(backbone: Backbone, strategies: Sequence[str | Adaptation]) -> dict[str, Adaptation]:
    """Return the plans of a study by name, training from scratch among them."""
    if isinstance(strategies, (str, Adaptation)):
        strategies = [strategies]
    checks.non_empty("strategies", strategies, do="name at least one, such as 'lp_ft'")
    names = [s if isinstance(s, str) else s.name for s in strategies]
    _check_once("strategies", names)
    if MAJORITY in names:
        strategies = [s for s in strategies if s != MAJORITY]
    if BASELINE not in names:
        strategies = [BASELINE, *strategies]
    return plans(strategies, backbone.group_names)


def _check_once(what: str, values: Sequence[object]) -> None:
    """Refuse a value that is given twice: it would count twice."""
    twice = [value for position, value in enumerate(values) if value in values[:position]]
    if twice:
        checks.fail(what, got=f"{twice[0]!r} twice", expected="each once", do="leave one out")


def as_config(
    backbone: Backbone,
    splits: Splits,
    adaptations: dict[str, Adaptation],
    seeds: list[int],
    budgets: list[int | None],
    recipes: list[Recipe],
) -> dict[str, Any]:
    """Return everything that decides the outcome, as plain values."""
    is_drawn = splits.pool is not None
    parts = (splits.pool, splits.val_pool) if is_drawn else (splits.train, splits.val)
    return {
        "backbone": backbone.name,
        "weights": weights_fingerprint(backbone),
        "dataset": splits.card.name,
        "items": hash_values({"": [part.fingerprint() if part else None for part in parts]}),
        "test": splits.test.fingerprint,
        "is_redrawn": is_drawn,
        "is_grouped": splits.grouped,
        "val_per_class": splits.val_per_class if budgets == [splits.labels_per_class] else None,
        "strategies": {
            name: hash_values(dataclasses.asdict(plan)) for name, plan in adaptations.items()
        },
        "seeds": seeds,
        "labels_per_class": budgets,
        "recipes": [recipe.as_dict() for recipe in recipes],
    }
