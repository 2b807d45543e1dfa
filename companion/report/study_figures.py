"""Figures of a study: points, means and intervals; accuracy over the number of labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from companion import checks
from companion.evaluation import MIN_SEEDS, Interval
from companion.report.numbers import budget_unit, format_fraction, format_mean
from companion.report.style import figure_size, finish, footnote, new_figure, strategy_style
from companion.report.tables import recorded_note

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from companion.study import Row, Study

__all__ = ["LabelEquivalent", "labels_from_scratch_equal", "plot_label_curve", "plot_study"]

NUM_RESAMPLES = 1000


def plot_study(
    study: Study,
    *,
    labels_per_class: int | None = None,
    strategies: Sequence[str] | None = None,
) -> Figure:
    """Draw each run as a point, each strategy's mean, and its interval over seeds.

    Args:
        study: live or recorded.
        labels_per_class: draw this budget only; `None` draws all, one beside the other.
        strategies: which to draw; `None` draws all.

    Raises:
        CompanionError: nothing is finished, or not at this budget; a strategy that the study
            does not have.
    """
    names = _names(study, strategies)
    rows = [r for r in study.rows() if labels_per_class in (None, r.labels_per_class)]
    rows = [row for row in rows if row.strategy in names]
    checks.non_empty("rows of the study", rows, do="let it finish, or name one of its budgets")
    budgets = list(dict.fromkeys(row.labels_per_class for row in rows))
    names = [name for name in names if any(row.strategy == name for row in rows)]
    height = 0.9 + 0.38 * len(names)
    figure, axes = new_figure(
        1, len(budgets), sharex=True, sharey=True, figsize=(figure_size()[0], height)
    )
    for place, budget in zip(axes[0], budgets, strict=True):
        for row in rows:
            if row.labels_per_class == budget:
                _draw_row(place, row, names.index(row.strategy))
        place.set_title(_budget_words(budget, study))
        place.set_xlabel(f"test {study.metric} (fraction)")
    axes[0, 0].set_yticks(range(len(names)), names)
    axes[0, 0].invert_yaxis()
    footnote(figure, recorded_note(study))
    means = "; ".join(_row_words(row, study, with_budget=len(budgets) > 1) for row in rows)
    return finish(figure, alt=f"Test {study.metric} by strategy, one point a seed: {means}.")


def _names(study: Study, strategies: Sequence[str] | None) -> list[str]:
    """Return the strategies to draw, all of them where none is named."""
    return [checks.one_of("strategy", s, study.strategies) for s in strategies or study.strategies]


def _draw_row(axes: Axes, row: Row, position: int) -> None:
    """Draw the points, the mean and the interval of one strategy."""
    colour, marker = strategy_style(row.strategy)
    values = list(row.values.values())
    offsets = [0.22 * (2 * ((i * 0.618) % 1) - 1) for i in range(len(values))]
    heights = [position + offset for offset in offsets]
    axes.scatter(values, heights, s=14, color=colour, alpha=0.45, linewidths=0)
    if row.interval is not None:
        axes.hlines(position, row.interval.low, row.interval.high, color=colour, linewidth=2)
    axes.scatter([row.mean], [position], s=55, color=colour, marker=marker, zorder=3,
                 edgecolors="white" if marker not in "_x" else None, linewidths=0.8)  # fmt: skip


def plot_label_curve(study: Study, *, strategies: Sequence[str] | None = None) -> Figure:
    """Draw the main metric over the number of labels a class, one line a strategy.

    Args:
        study: with at least two budgets; a budget of all labels is left out.
        strategies: which to draw; `None` draws all.

    Raises:
        CompanionError: fewer than two budgets, or a strategy that the study does not have.
    """
    budgets = _budgets(study)
    names = _names(study, strategies)
    figure, axes = new_figure(figsize=figure_size(ratio=0.62))
    axes = axes[0, 0]
    words = []
    for number, name in enumerate(names):
        rows = [study.row(name, budget) for budget in budgets]
        shift = 1 + 0.02 * (number - (len(names) - 1) / 2)
        _draw_curve(axes, name, [budget * shift for budget in budgets], rows)
        ends = [f"{format_fraction(row.mean)} at {row.labels_per_class}" for row in rows]
        words.append(f"{name} {', '.join(ends)}")
    axes.set_xscale("log")
    axes.set_xticks(budgets, [str(budget) for budget in budgets])
    axes.minorticks_off()
    axes.set(xlabel=budget_unit(study), ylabel=f"test {study.metric} (fraction)")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    footnote(figure, recorded_note(study))
    unit = budget_unit(study)
    alt = f"Test {study.metric} over {unit}: {'; '.join(words)} {unit}."
    return finish(figure, alt=alt)


def _draw_curve(axes: Axes, name: str, positions: list[float], rows: list[Row]) -> None:
    """Draw one strategy over the budgets."""
    colour, marker = strategy_style(name)
    line = "--" if name == "majority" else "-"
    means = [row.mean for row in rows]
    axes.plot(positions, means, color=colour, marker=marker, linestyle=line, label=name)
    for position, row in zip(positions, rows, strict=True):
        if row.interval is not None:
            low, high = row.interval.low, row.interval.high
            axes.vlines(position, low, high, color=colour, linewidth=1.2, alpha=0.8)


@dataclass(frozen=True)
class LabelEquivalent:
    """How many labels a class training from scratch needs to reach the same score.

    Attributes:
        strategy: what is to be equalled.
        labels_per_class: with how many labels a class it was trained.
        score: its mean score, as a fraction.
        labels: labels a class from scratch; infinite where the study's largest budget does not
            reach the score, 0 where the smallest passes it.
        interval: 95% bootstrap interval over seeds; ends may be infinite or 0 likewise; `None`
            with fewer than five seeds.
        smallest: the study's smallest budget.
        largest: the study's largest budget.
    """

    strategy: str
    labels_per_class: int
    score: float
    labels: float
    interval: Interval | None
    smallest: int
    largest: int

    def __str__(self) -> str:
        """Return the number of labels in words."""
        if self.interval is None:
            return self._words(self.labels)
        middle, low, high = map(self._words, (self.labels, self.interval.low, self.interval.high))
        return middle if middle == low == high else f"{middle} [{low}, {high}]"

    def _words(self, labels: float) -> str:
        """Return a number of labels, or that it lies outside of what was measured."""
        if math.isinf(labels):
            return f"more than {self.largest}"
        return f"{labels:.1f}" if labels else f"fewer than {self.smallest}"


def labels_from_scratch_equal(
    study: Study, labels_per_class: int, *, strategy: str = "lp_ft", baseline: str = "scratch"
) -> LabelEquivalent:
    """Return how many labels from scratch equal so many with transfer.

    The baseline's means are made monotone (the nearest curve that never falls, in least squares)
    and interpolated over the logarithm of the number of labels.

    Args:
        study: with at least two budgets.
        labels_per_class: budget of the strategy.
        strategy: what is to be equalled.
        baseline: what is to equal it.

    Raises:
        CompanionError: fewer than two budgets, or none of that size.
    """
    import numpy as np

    budgets = _budgets(study)
    sign = -1.0 if study.metric == "cer" else 1.0
    target = study.values(strategy, labels_per_class)
    curves = [study.values(baseline, budget) for budget in budgets]
    seeds = [seed for seed in target if all(seed in curve for curve in curves)]
    goals = sign * np.array([target[seed] for seed in seeds])
    scores = sign * np.array([[curve[seed] for seed in seeds] for curve in curves])
    drawn = np.random.default_rng(0).integers(0, len(seeds), (NUM_RESAMPLES, len(seeds)))
    found = [_crossing(budgets, scores[:, d].mean(axis=1), goals[d].mean()) for d in drawn]
    low, high = (float(end) for end in np.quantile(found, [0.025, 0.975], method="nearest"))
    interval = Interval(low, high, 0.95, f"bootstrap over {len(seeds)} seeds")
    return LabelEquivalent(
        strategy=strategy,
        labels_per_class=labels_per_class,
        score=float(sign * goals.mean()),
        labels=_crossing(budgets, scores.mean(axis=1), float(goals.mean())),
        interval=interval if len(seeds) >= MIN_SEEDS else None,
        smallest=budgets[0],
        largest=budgets[-1],
    )


def _crossing(budgets: Sequence[int], scores: Sequence[float], goal: float) -> float:
    """Return where the monotone curve through the scores first reaches the goal."""
    curve = _monotone(scores)
    if curve[0] > goal:
        return 0.0
    for i, (low, high) in enumerate(zip(curve, curve[1:], strict=False)):
        if low <= goal <= high:
            part = 0.0 if goal == low else (goal - low) / (high - low)
            return float(budgets[i] ** (1 - part) * budgets[i + 1] ** part)
    return math.inf


def _monotone(values: Sequence[float]) -> list[float]:
    """Return the nearest values that never fall, by pooling neighbours that do."""
    pools: list[list[float]] = []
    for value in values:
        pools.append([float(value)])
        while len(pools) > 1 and _mean(pools[-2]) > _mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    return [_mean(pool) for pool in pools for _ in pool]


def _mean(values: Sequence[float]) -> float:
    """Return the mean."""
    return sum(values) / len(values)


def _budgets(study: Study) -> list[int]:
    """Return the numbers of labels a class of a study, in order."""
    budgets = sorted(budget for budget in study.labels_per_class if budget is not None)
    if len(budgets) < 2:
        checks.fail(
            "budgets of the study",
            got=len(budgets),
            expected="at least two numbers of labels a class",
            do="pass labels_per_class=[1, 5, 10] to compare",
        )
    return budgets


def _budget_words(labels_per_class: int | None, study: Study) -> str:
    """Return a budget in words."""
    if labels_per_class is None:
        return "all labels"
    unit = budget_unit(study)
    if labels_per_class == 1:
        unit = unit.replace("labels", "label").replace("images", "image")
    return f"{labels_per_class} {unit}"


def _row_words(row: Row, study: Study, *, with_budget: bool) -> str:
    """Return a strategy's mean in words."""
    words = f"{row.strategy} {format_mean(row.mean, row.interval)}"
    return f"{words} with {_budget_words(row.labels_per_class, study)}" if with_budget else words
