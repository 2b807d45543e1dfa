"""The rows of a study: runs, lines of its table, comparisons, agreement with another study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from companion.evaluation import Interval, Paired

__all__ = ["MAJORITY", "Agreement", "Effect", "Row", "Run", "RunKey", "TestItems"]

MAJORITY = "majority"
"""Name of the constant answer in a study: what a model that never looks can reach."""

RunKey = tuple[str, int, int | None]


@dataclass(frozen=True)
class Run:
    """One strategy, trained with one seed on one draw of labels and evaluated once on test.

    Attributes:
        strategy: its name, or `"majority"`.
        seed: of the draw, the head, the order and all else.
        labels_per_class: the whole labelled budget a class; `None` for all of the pool.
        val: the main metric on val; `None` where there is no val.
        test: all metrics on test by name, as fractions.
        interval: of the main metric over the test items.
        errors: mistakes of each test item: 0 or 1, or a number of tokens or edits.
        predictions: class id of each test item; `None` for sequences.
        recipe: which of the study's recipes was chosen on val, from 0.
        num_steps: optimizer steps.
        seconds: wall time of training and evaluation.
    """

    strategy: str
    seed: int
    labels_per_class: int | None
    val: float | None
    test: Mapping[str, float]
    interval: Interval
    errors: tuple[int, ...]
    predictions: tuple[int, ...] | None
    recipe: int = 0
    num_steps: int = 0
    seconds: float = 0.0

    @property
    def key(self) -> RunKey:
        """What tells it from the study's other runs."""
        return self.strategy, self.seed, self.labels_per_class


@dataclass(frozen=True)
class TestItems:
    """What the runs were judged on.

    Attributes:
        fingerprint: of the test set.
        task: `"classification"`, `"tokens"` or `"ctc"`.
        classes: names of the class ids.
        sizes: how many mistakes each item could hold: 1 for a class.
        labels: class id of each item; `None` for sequences.
        groups: number of each item's group, such as its speaker; `None` where there are none.
    """

    __test__ = False

    fingerprint: str
    task: str
    classes: tuple[str, ...]
    sizes: tuple[int, ...]
    labels: tuple[int, ...] | None = None
    groups: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Row:
    """One line of a study's table: a strategy at one budget, over all seeds.

    Attributes:
        strategy: its name, or `"majority"`.
        labels_per_class: the budget.
        values: the main metric of each seed on test, as fractions, by seed.
        mean: their mean.
        interval: t interval of the mean over seeds; `None` with fewer than five seeds, or where
            they do not vary.
        items_interval: interval of the mean over the test items, or over groups of them where
            there are at least ten: what another test set of this size would change.
        val: mean of the main metric on val; `None` where there is no val.
        seconds: mean wall time of a run.
    """

    strategy: str
    labels_per_class: int | None
    values: Mapping[int, float]
    mean: float
    interval: Interval | None
    items_interval: Interval
    val: float | None
    seconds: float


@dataclass(frozen=True)
class Effect:
    """One comparison of a table.

    Attributes:
        strategy: what is compared.
        baseline: with what.
        labels_per_class: at which budget.
        paired: the differences over seeds, corrected for all comparisons of the table.
    """

    strategy: str
    baseline: str
    labels_per_class: int | None
    paired: Paired


@dataclass(frozen=True)
class Agreement:
    """Whether the same run gave the same in two studies.

    Attributes:
        agrees: equal predictions and scores on the same machine, else scores within the tolerance.
        is_same_machine: whether machine and versions are the same, in words.
        num_differing: test items with another number of mistakes (or another prediction).
        difference: of the main metric, first minus second, as a fraction.
        tolerance: largest difference that still agrees on another machine, as a fraction.
    """

    agrees: bool
    is_same_machine: bool
    num_differing: int
    difference: float
    tolerance: float

    def __str__(self) -> str:
        """Return the comparison as a sentence."""
        word = "agree" if self.agrees else "DISAGREE"
        if self.is_same_machine:
            rule = "same machine and versions, so equal predictions are expected"
        else:
            rule = f"another machine or other versions, so {self.tolerance:.3f} is allowed"
        return (
            f"the runs {word}: {self.num_differing} test items differ, "
            f"the metric by {self.difference:+.3f} ({rule})"
        )
