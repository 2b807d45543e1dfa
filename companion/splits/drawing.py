"""Drawing the labelled budget from a pool, and the splits that come of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from companion import checks
from companion.registry import DatasetCard
from companion.splits.examples import Split
from companion.splits.parting import VAL_SHARE, hold_out, k_shot, prove_disjoint
from companion.splits.test_set import TestSplit

__all__ = ["Splits", "draw"]


class _Same:
    """Stands for "as it was", where `None` has a meaning of its own."""

    def __repr__(self) -> str:
        return "as it was"


SAME: Final = _Same()


@dataclass(frozen=True, eq=False)
class Splits:
    """What a model is trained on, chosen by, and judged by.

    Attributes:
        train: items to train on.
        val: items to choose by; `None` where the budget is too small for them.
        test: items that judge; only an evaluation reads them.
        card: what is known of the dataset.
        labels_per_class: the whole labelled budget, train and val together; `None` for all.
        seed: which draw from the pool this is.
        val_per_class: how many of the budget are val; `None` for a fifth of all.
        pool: where train (and val, without a pool of its own) was drawn from.
        val_pool: where val was drawn from, if not from the pool.
        grouped: whether train and val share no group either.

    Raises:
        CompanionError: two of train, val and test share an item (or a group, where grouped), or
            train or val is empty or holds no box, or train holds no item of a class.
    """

    train: Split
    val: Split | None
    test: TestSplit
    card: DatasetCard
    labels_per_class: int | None = None
    seed: int = 0
    val_per_class: int | None = None
    pool: Split | None = field(default=None, repr=False)
    val_pool: Split | None = field(default=None, repr=False)
    grouped: bool = False

    def __post_init__(self) -> None:
        """Name the parts, close the test set, check that the parts are apart and not empty."""
        if isinstance(self.train, TestSplit) or isinstance(self.val, TestSplit):
            checks.fail(
                "train and val",
                got="a test set",
                expected="items that were not set aside to judge",
                do="train on items of the pool",
            )
        if isinstance(self.test, Split):
            object.__setattr__(self, "test", TestSplit(self.test))
        object.__setattr__(self, "train", replace(self.train, name="train"))
        if self.val is not None:
            object.__setattr__(self, "val", replace(self.val, name="val"))
        parts = [part for part in (self.train, self.val, self.test) if part is not None]
        prove_disjoint(*parts, grouped=self.grouped)
        for part in parts:
            checks.non_empty(f"{part.name} split", part.ids, do=f"put items into {part.name}")
        _check_classes(self.train)
        _check_boxes(self.train)
        if self.val is not None:
            _check_boxes(self.val)

    def redraw(
        self,
        *,
        seed: int | _Same = SAME,
        labels_per_class: int | _Same | None = SAME,
        val_per_class: int | _Same | None = SAME,
    ) -> Splits:
        """Draw train and val anew; the test set stays the same object.

        Args:
            seed: which draw; left out, it stays.
            labels_per_class: the whole budget; left out, it stays.
            val_per_class: how many of it are val; left out, it follows a new budget, or stays
                with the old one.

        Raises:
            CompanionError: these splits were not drawn from a pool, or the pool is too small.
        """
        if self.pool is None:
            checks.fail(
                "redraw",
                got="splits that were put together by hand",
                expected="splits that `draw` or `load_dataset` made from a pool",
                do="make them with `companion.splits.draw`",
            )
        if isinstance(val_per_class, _Same):
            keeps_budget = isinstance(labels_per_class, _Same)
            val_per_class = self.val_per_class if keeps_budget else None
        return draw(
            self.pool,
            self.test,
            self.card,
            labels_per_class=self.labels_per_class
            if isinstance(labels_per_class, _Same)
            else labels_per_class,
            seed=self.seed if isinstance(seed, _Same) else seed,
            val_per_class=val_per_class,
            val_pool=self.val_pool,
            grouped=self.grouped,
        )


def draw(
    pool: Split,
    test: Split | TestSplit,
    card: DatasetCard,
    *,
    labels_per_class: int | None = None,
    seed: int = 0,
    val_per_class: int | None = None,
    val_pool: Split | None = None,
    grouped: bool = False,
) -> Splits:
    """Draw train and val from a pool.

    With the same seed a smaller budget is a part of a larger one, so that a curve over budgets
    adds labels and does not exchange them.

    Args:
        pool: items that may be trained on.
        test: items that judge; they are left as they are.
        card: what is known of the dataset.
        labels_per_class: the whole labelled budget k, val included; `None` takes the whole pool.
        seed: which draw.
        val_per_class: how many of the budget are val; `None` takes a fifth of k, rounded down.
        val_pool: items that were set aside for val beforehand; `None` takes val from the pool.
        grouped: whether val holds whole groups (speakers, fonts, drawers) that train has not.

    Returns:
        The splits; val is `None` where it would hold nothing.

    Raises:
        CompanionError: a class has fewer items than k, val would leave nothing to train on, or
            a part would share an item (or a group) with another.
    """
    checks.non_negative_int("seed", seed)
    if labels_per_class is not None:
        labels_per_class = checks.positive_int("labels_per_class", labels_per_class)
    num_val = _val_per_class(labels_per_class, val_per_class)
    if grouped and val_pool is None:
        train, val = _parts(
            *hold_out(pool, seed=seed, grouped=True), labels_per_class, num_val, seed
        )
    else:
        train, val = _parts(pool, val_pool, labels_per_class, num_val, seed)
    return Splits(
        train=train,
        val=None if num_val == 0 else val,
        test=test if isinstance(test, TestSplit) else TestSplit(test),
        card=card,
        labels_per_class=labels_per_class,
        seed=seed,
        val_per_class=num_val,
        pool=pool,
        val_pool=val_pool,
        grouped=grouped,
    )


def _parts(
    pool: Split, val_pool: Split | None, budget: int | None, num_val: int | None, seed: int
) -> tuple[Split, Split]:
    """Return the items of train and of val; without a pool of its own val comes from train's."""
    if budget is None or num_val is None:
        return hold_out(pool, seed=seed) if val_pool is None else (pool, val_pool)
    if val_pool is None:
        train = k_shot(pool, budget - num_val, seed=seed, skip=num_val)
        return train, k_shot(pool, num_val, seed=seed)
    return k_shot(pool, budget - num_val, seed=seed), k_shot(val_pool, num_val, seed=seed)


def _check_classes(train: Split) -> None:
    """Refuse training items that leave out a class, or hold only one."""
    if train.task != "classification":
        return
    counts = train.class_counts()
    missing = [name for name, number in counts.items() if number == 0]
    if missing or len(counts) < 2:
        checks.fail(
            "classes in train",
            got=f"no item of {', '.join(map(repr, missing[:3]))}" if missing else "one class only",
            expected="items of at least two classes, and of each that is named",
            do="add items, or leave the class out of `classes` and of val and test too",
        )


def _check_boxes(part: Split) -> None:
    """Refuse images of which none has a box: nothing is learnt from them, nothing chosen by."""
    if part.task != "detection" or any(len(rows) for rows in part.labels):
        return
    checks.fail(
        f"boxes in {part.name}",
        got=f"none in {len(part)} images",
        expected="at least one",
        do="take more images, or another seed",
    )


def _val_per_class(budget: int | None, val_per_class: int | None) -> int | None:
    """Return how many of the budget are val; `None` where the budget is everything.

    Raises:
        CompanionError: a budget that val would use up.
    """
    if val_per_class is None:
        return None if budget is None else budget // VAL_SHARE
    val_per_class = checks.non_negative_int("val_per_class", val_per_class)
    if budget is None or val_per_class >= budget:
        checks.fail(
            "val_per_class",
            got=val_per_class,
            expected=f"fewer than labels_per_class={budget}, which includes val",
            do="leave it out for a fifth of the budget",
        )
    return val_per_class
