"""What a study found, and what may be said of its runs together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from companion import checks
from companion.evaluation import (
    MIN_SEEDS,
    Interval,
    Paired,
    correct_together,
    items_interval,
    main_metric,
    paired_comparison,
    t_interval,
)
from companion.study.provenance import hash_values
from companion.study.rows import MAJORITY, Agreement, Effect, Row, Run, RunKey, TestItems

if TYPE_CHECKING:
    from companion.heads import Model

__all__ = ["Study"]


@dataclass(frozen=True, eq=False)
class Study:
    """Strategies x seeds (x budgets), each evaluated once on one test set.

    Attributes:
        config: what was asked for: everything that decides the outcome.
        items: what the runs were judged on.
        runs: the finished runs.
        dependencies: hash of the code and assets that the outcome rests on.
        versions: of Python and the libraries.
        machine: in words.
        recorded: the day on which it was recorded; `None` for a live study.
        models: kept models by (strategy, seed, labels_per_class), where that was asked for; they
            are not saved.
    """

    config: Mapping[str, Any]
    items: TestItems
    runs: tuple[Run, ...]
    dependencies: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: str = ""
    recorded: str | None = None
    models: Mapping[RunKey, Model] = field(default_factory=dict, repr=False)

    @property
    def config_hash(self) -> str:
        """Hash of the config, 64 hexadecimal digits."""
        return hash_values(self.config)

    @property
    def reading(self) -> str:
        """The words under which the whole study is one reading of the test set."""
        return f"study {self.config_hash[:16]}"

    @property
    def metric(self) -> str:
        """Name of the main metric."""
        return main_metric(self.items.task)

    @property
    def strategies(self) -> tuple[str, ...]:
        """Names of the strategies in the order asked for, the constant answer first."""
        return (MAJORITY, *self.config["strategies"])

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds asked for."""
        return tuple(self.config["seeds"])

    @property
    def labels_per_class(self) -> tuple[int | None, ...]:
        """The budgets asked for."""
        return tuple(self.config["labels_per_class"])

    @property
    def is_complete(self) -> bool:
        """Whether every run that was asked for is finished."""
        wanted = len(self.strategies) * len(self.seeds) * len(self.labels_per_class)
        return len(self.runs) == wanted

    @property
    def seconds(self) -> float:
        """Wall time of all runs together."""
        return sum(run.seconds for run in self.runs)

    def run(self, strategy: str, seed: int, labels_per_class: int | None = None) -> Run:
        """Return one run.

        Args:
            strategy: its name.
            seed: its seed.
            labels_per_class: its budget; may be left out where the study has one.

        Raises:
            CompanionError: the study has no such run.
        """
        runs = self._runs(strategy, labels_per_class)
        if seed not in runs:
            checks.fail(
                "seed", got=seed, expected=f"one of {sorted(runs)}", do="choose one of the study's"
            )
        return runs[seed]

    def values(self, strategy: str, labels_per_class: int | None = None) -> dict[int, float]:
        """Return the main metric on test, as fractions, by seed.

        Args:
            strategy: its name.
            labels_per_class: the budget; may be left out where the study has one.

        Raises:
            CompanionError: the study has no such strategy or budget.
        """
        runs = self._runs(strategy, labels_per_class)
        return {seed: runs[seed].test[self.metric] for seed in sorted(runs)}

    def row(self, strategy: str, labels_per_class: int | None = None) -> Row:
        """Return a strategy at one budget over all seeds.

        Args:
            strategy: its name.
            labels_per_class: the budget; may be left out where the study has one.

        Raises:
            CompanionError: the study has no such strategy or budget.
        """
        runs = list(self._runs(strategy, labels_per_class).values())
        values = self.values(strategy, labels_per_class)
        vals = [run.val for run in runs if run.val is not None]
        return Row(
            strategy=strategy,
            labels_per_class=runs[0].labels_per_class,
            values=values,
            mean=sum(values.values()) / len(values),
            interval=_seeds_interval(list(values.values())),
            items_interval=self._items_interval(runs),
            val=sum(vals) / len(vals) if vals else None,
            seconds=sum(run.seconds for run in runs) / len(runs),
        )

    def rows(self) -> list[Row]:
        """Return the table: every strategy at every budget of which runs are finished."""
        finished = {(run.strategy, run.labels_per_class) for run in self.runs}
        return [
            self.row(strategy, budget)
            for budget in self.labels_per_class
            for strategy in self.strategies
            if (strategy, budget) in finished
        ]

    def effect(
        self, strategy: str, baseline: str = "scratch", labels_per_class: int | None = None
    ) -> Paired:
        """Return by how much a strategy differs from a baseline over the same seeds.

        This is one comparison by itself; `effects` corrects for all of a table.

        Args:
            strategy: what is compared.
            baseline: with what.
            labels_per_class: the budget; may be left out where the study has one.

        Returns:
            Differences of the main metric, strategy minus baseline, as fractions.

        Raises:
            CompanionError: the study has no such strategy or budget.

        Reference: student1908probable
        """
        first = self.values(strategy, labels_per_class)
        second = self.values(baseline, labels_per_class)
        seeds = [seed for seed in first if seed in second]
        checks.non_empty("seeds that both strategies share", seeds, do="let the study finish")
        return paired_comparison([first[s] for s in seeds], [second[s] for s in seeds], seeds=seeds)

    def effects(self, baseline: str = "scratch") -> list[Effect]:
        """Return all comparisons with a baseline, corrected together by Holm's method.

        Args:
            baseline: what each other strategy is compared with at each budget; the constant
                answer is not compared. While a study is unfinished, what shares no finished seed
                with its baseline yet is left out.

        Raises:
            CompanionError: the study has no such strategy.

        Reference: holm1979simple, sec. 3
        """
        checks.one_of("baseline", baseline, self.strategies)
        found = [
            Effect(row.strategy, baseline, row.labels_per_class, self._effect_of(row, baseline))
            for row in self.rows()
            if row.strategy not in (baseline, MAJORITY)
            and row.values.keys() & self._finished_seeds(baseline, row.labels_per_class)
        ]
        corrected = correct_together([effect.paired for effect in found])
        return [
            dataclasses.replace(effect, paired=paired)
            for effect, paired in zip(found, corrected, strict=True)
        ]

    def same_run(
        self,
        other: Study,
        *,
        strategy: str,
        seed: int,
        labels_per_class: int | None = None,
        tolerance: float = 0.03,
    ) -> Agreement:
        """Compare a run of this study with the same run of another, live with recorded.

        Args:
            other: the other study, judged on the same test set.
            strategy: name of the run's strategy.
            seed: its seed.
            labels_per_class: its budget; may be left out where both studies have one.
            tolerance: largest difference of the main metric on another machine, as a fraction.

        Raises:
            CompanionError: another test set, or a run that one of them does not have.
        """
        checks.fraction("tolerance", tolerance)
        if self.items.fingerprint != other.items.fingerprint:
            checks.fail(
                "studies to compare",
                got="two test sets",
                expected="the same items, in the same order",
                do="load the dataset in the same way for both",
            )
        first = self.run(strategy, seed, labels_per_class)
        second = other.run(strategy, seed, labels_per_class)
        num_differing = _num_differing(first, second)
        difference = first.test[self.metric] - second.test[self.metric]
        same = (self.machine, dict(self.versions)) == (other.machine, dict(other.versions))
        is_equal = num_differing == 0 and difference == 0
        agrees = is_equal if same else abs(difference) <= tolerance
        return Agreement(agrees, same, num_differing, difference, tolerance)

    def __repr__(self) -> str:
        """Return the table as text."""
        lines = [f"Study of {self.config['backbone']} on {self.config['dataset']}: {self.metric}"]
        for row in self.rows():
            spread = f"{len(row.values)} seeds"
            if row.interval is not None:
                spread = f"[{row.interval.low:.3f}, {row.interval.high:.3f}] over {spread}"
            budget = "all labels" if row.labels_per_class is None else f"{row.labels_per_class:>3}"
            lines.append(f"  {budget}  {row.strategy:<12} {row.mean:.3f}  {spread}")
        return "\n".join(lines)

    def _effect_of(self, row: Row, baseline: str) -> Paired:
        """Return the comparison of a row with the baseline at its budget."""
        return self.effect(row.strategy, baseline, row.labels_per_class)

    def _finished_seeds(self, strategy: str, labels_per_class: int | None) -> set[int]:
        """Return the seeds of a strategy's finished runs at one budget, none where none are."""
        key = (strategy, labels_per_class)
        return {run.seed for run in self.runs if (run.strategy, run.labels_per_class) == key}

    def _runs(self, strategy: str, labels_per_class: int | None) -> dict[int, Run]:
        """Return the finished runs of a strategy at one budget, by seed."""
        checks.one_of("strategy", strategy, self.strategies)
        budget = self._budget(labels_per_class)
        found = {
            r.seed: r for r in self.runs if (r.strategy, r.labels_per_class) == (strategy, budget)
        }
        if not found:
            checks.fail(
                f"runs of {strategy!r} at labels_per_class={budget}",
                got="none that is finished",
                expected="at least one",
                do="let the study finish",
            )
        return found

    def _budget(self, labels_per_class: int | None) -> int | None:
        """Return a budget of the study; `None` stands for the only one."""
        if labels_per_class is None and len(self.labels_per_class) == 1:
            return self.labels_per_class[0]
        if labels_per_class not in self.labels_per_class:
            checks.fail(
                "labels_per_class",
                got=labels_per_class,
                expected=f"one of {', '.join(map(str, self.labels_per_class))}",
                do="name one of the study's budgets",
            )
        return labels_per_class

    def _items_interval(self, runs: list[Run]) -> Interval:
        """Return the interval over test items of the mean over runs.

        Average precision is no mean over images, nor the F1 of spans one over sentences: there
        the ends of the runs' own intervals are averaged.
        """
        import torch

        if self.items.task in ("detection", "spans"):
            return _mean_interval([run.interval for run in runs])

        errors = torch.tensor([run.errors for run in runs], dtype=torch.float64).mean(dim=0)
        sizes = torch.tensor(self.items.sizes, dtype=torch.float64)
        return items_interval(self.items.task, errors, sizes, groups=self.items.groups)


def _num_differing(first: Run, second: Run) -> int:
    """Return of how many items two runs predict something else, or make other mistakes."""
    if first.predictions is not None and second.predictions is not None:
        pairs = zip(first.predictions, second.predictions, strict=True)
    else:
        pairs = zip(first.errors, second.errors, strict=True)
    return sum(a != b for a, b in pairs)


def _mean_interval(intervals: list[Interval]) -> Interval:
    """Return the mean of the lower and of the upper ends."""
    low, high = (
        sum(getattr(one, end) for one in intervals) / len(intervals) for end in ("low", "high")
    )
    first = intervals[0]
    return Interval(low, high, first.level, f"{first.method}, mean of the runs' ends")


def _seeds_interval(values: list[float]) -> Interval | None:
    """Return the t interval over seeds, where there are enough and they vary."""
    if len(values) < MIN_SEEDS or max(values) == min(values):
        return None
    return t_interval(values)
