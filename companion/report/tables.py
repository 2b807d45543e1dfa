"""Tables that a notebook shows as HTML, a terminal as text, and a screen reader reads well."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from companion import checks, evaluation
from companion.report.numbers import (
    budget_unit,
    format_difference,
    format_fraction,
    format_interval,
    format_mean,
    format_paired,
    format_seconds,
)

if TYPE_CHECKING:
    from companion.evaluation import Paired, Scores, Slice
    from companion.layer_groups import Ledger
    from companion.study import Study

__all__ = [
    "Table",
    "comparison_table",
    "effects_table",
    "ledger_table",
    "recorded_note",
    "scores_table",
    "slices_table",
    "study_table",
    "table",
]


@dataclass(frozen=True)
class Table:
    """A table: the first column names its rows.

    Attributes:
        caption: what it shows.
        header: names of the columns.
        rows: the cells as text, one tuple a row.
        note: a line below it, or nothing.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def __repr__(self) -> str:
        """Return the table as aligned text."""
        lines = [self.header, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.header))]
        text = ["  ".join(_pad(line, widths)).rstrip() for line in lines]
        text.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join(part for part in (self.caption, *text, self.note) if part)

    def _repr_html_(self) -> str:
        """Return the table as HTML with caption and scopes."""
        head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in self.header)
        body = "".join(f"<tr>{_html_row(row)}</tr>" for row in self.rows)
        note = f"<p><small>{html.escape(self.note)}</small></p>" if self.note else ""
        return (
            f'<table class="table"><caption>{html.escape(self.caption)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"
        )

    def _repr_markdown_(self) -> str:
        """Return the table as Markdown."""
        lines = [self.header, ("---", *("---:",) * (len(self.header) - 1)), *self.rows]
        text = [f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines]
        return "\n".join([f"*{self.caption}*", "", *text, *(["", self.note] if self.note else [])])


def _pad(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Return the cells of a line: the first to the left, the others to the right."""
    cells = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
    return [line[0].ljust(widths[0]), *cells[1:]]


def _html_row(row: Sequence[str]) -> str:
    """Return the cells of one row as HTML."""
    first, *others = (html.escape(cell) for cell in row)
    return f'<th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in others)


def table(rows: Sequence[Mapping[str, Any]], *, caption: str, note: str = "") -> Table:
    """Return a table of rows that all have the same keys.

    Args:
        rows: cells by the name of their column; floats are printed as fractions.
        caption: what the table shows.
        note: a line below it.

    Raises:
        CompanionError: no rows, or rows with different keys.
    """
    checks.non_empty("rows", rows, do="pass at least one row")
    header = tuple(rows[0])
    for row in rows:
        if tuple(row) != header:
            checks.fail(
                "columns of a row", got=list(row), expected=list(header), do="name the same columns"
            )
    return Table(caption, header, tuple(tuple(map(_cell, row.values())) for row in rows), note)


def _cell(value: Any) -> str:
    """Return a cell as text."""
    if value is None or isinstance(value, float):
        return format_fraction(value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def scores_table(scores: Mapping[str, Scores], *, caption: str = "Scores") -> Table:
    """Return the metrics of several evaluations.

    Args:
        scores: evaluations by what the row is called.
        caption: what the table shows.

    Raises:
        CompanionError: no evaluations.
    """
    checks.non_empty("scores", scores, do="pass at least one evaluation")
    names = list(dict.fromkeys(name for value in scores.values() for name in value.values))
    rows = [
        {
            "model": title,
            "split": value.split,
            "items": len(value.ids),
            **{name.replace("_", " "): value.values.get(name) for name in names},
            "interval": format_interval(value.interval),
        }
        for title, value in scores.items()
    ]
    first = next(iter(scores.values()))
    note = f"Interval: {first.interval.level:.0%} of the {first.metric}, over the items."
    return table(rows, caption=caption, note=note)


def study_table(study: Study, *, caption: str = "") -> Table:
    """Return a study: each strategy at each budget, with both of its uncertainties.

    Args:
        study: live or recorded.
        caption: what the table shows; nothing for a caption made of the study's names.
    """
    effects = {(e.strategy, e.labels_per_class): e.paired for e in study.effects()}
    rows = [
        {
            "strategy": row.strategy,
            budget_unit(study): _budget(row.labels_per_class),
            "seeds": len(row.values),
            f"test {study.metric}": format_mean(row.mean, row.interval),
            "other test items": format_interval(row.items_interval),
            "minus scratch": _difference(effects.get((row.strategy, row.labels_per_class))),
            "seconds a run": format_seconds(row.seconds) if row.seconds else "-",
        }
        for row in study.rows()
    ]
    note = (
        "In brackets: 95% t interval over seeds (five or more); 95% bootstrap interval over test "
        "items. A star marks a difference that holds after Holm's correction over this table. "
        + recorded_note(study)
    )
    title = f"{study.config['backbone']} on {study.config['dataset']}"
    return table(rows, caption=caption or title, note=note.rstrip())


def effects_table(study: Study, *, baseline: str = "scratch", caption: str = "") -> Table:
    """Return all comparisons of a study with one baseline, corrected together.

    Args:
        study: live or recorded.
        baseline: what the others are compared with.
        caption: what the table shows; nothing for one made of the baseline's name.

    Raises:
        CompanionError: the study has no such strategy.
    """
    rows = [
        {
            "strategy": effect.strategy,
            budget_unit(study): _budget(effect.labels_per_class),
            "seeds": effect.paired.num_pairs,
            "mean difference": format_difference(effect.paired.mean_difference),
            "95% interval": format_interval(effect.paired.interval, digits=3) or "points only",
            "corrected p": _p_value(effect.paired),
            "claim": "yes" if effect.paired.claim else "no",
        }
        for effect in study.effects(baseline)
    ]
    note = "Paired by seed; p-values of a paired t test after Holm's correction over this table."
    note = f"{note} {recorded_note(study)}".rstrip()
    title = f"Test {study.metric} minus that of {baseline}"
    return table(rows, caption=caption or title, note=note)


def comparison_table(
    values: Mapping[str, Sequence[float]],
    baseline: str,
    *,
    caption: str,
    row: str = "method",
    score: str = "test accuracy",
) -> Table:
    """Return the mean of each condition and its difference to the baseline, in words.

    Args:
        values: scores by the condition's name, one a seed, all in the same order of seeds.
        baseline: the condition that the others are compared with.
        caption: what the table shows.
        row: what the conditions are.
        score: what the scores are.

    Raises:
        CompanionError: as `evaluation.compare_with_baseline`.
    """
    paired = evaluation.compare_with_baseline(values, baseline)
    rows = [
        {
            row: name,
            f"mean {score}": format_fraction(sum(scores) / len(scores)),
            f"less {baseline}": format_paired(paired[name]) if name in paired else "baseline",
        }
        for name, scores in values.items()
    ]
    num_seeds = len(values[baseline])
    note = (
        f"Paired over {num_seeds} seeds, 95% t intervals; higher or lower is said only where it "
        "holds after Holm's correction over this table."
    )
    if num_seeds < evaluation.MIN_SEEDS:
        note = f"Runs a condition: {num_seeds}, too few for an interval or a claim."
    return table(rows, caption=caption, note=note)


def ledger_table(ledger: Ledger, *, caption: str = "What is trained") -> Table:
    """Return the ledger of trained parameters.

    Args:
        ledger: from a result or a model.
        caption: what the table shows.
    """
    moved = {None: "", True: "yes", False: "no"}
    rows = tuple(
        (
            row.group,
            f"{row.num_parameters:,}",
            f"{row.num_trainable:,}",
            *("frozen" if rate is None else f"{rate:.2g}" for rate in row.learning_rates),
            moved[row.has_moved],
        )
        for row in ledger.rows
    )
    phases = tuple(f"learning rate, {name}" for name in ledger.phases)
    header = ("layer group", "parameters", "trained", *phases, "moved")
    is_all = ledger.num_trainable == ledger.num_parameters
    trained = "all" if is_all else f"{ledger.num_trainable:,}"
    note = f"In all {ledger.num_parameters:,} parameters, {trained} of them trained."
    return Table(caption, header, rows, note)


def slices_table(slices: Sequence[Slice], *, caption: str = "Scores by part") -> Table:
    """Return the main metric on parts of the items.

    Args:
        slices: from `evaluation.error_slices`.
        caption: what the table shows.

    Raises:
        CompanionError: no slices.
    """
    rows = [
        {
            "part": row.name,
            "items": row.num_items,
            "score": row.value,
            "95% interval": format_interval(row.interval),
        }
        for row in slices
    ]
    return table(rows, caption=caption)


def recorded_note(study: Study) -> str:
    """Return when and on what a study was recorded; nothing for a live one."""
    if study.recorded is None:
        return ""
    return f"Recorded on {study.recorded}, {study.machine}, in {format_seconds(study.seconds)}."


def _budget(labels_per_class: int | None) -> str:
    """Return a budget as text."""
    return "all" if labels_per_class is None else str(labels_per_class)


def _difference(paired: Paired | None) -> str:
    """Return a difference, starred where it may be claimed."""
    if paired is None:
        return ""
    return format_difference(paired.mean_difference) + ("*" if paired.claim else "")


def _p_value(paired: Paired) -> str:
    """Return a corrected p-value as text."""
    p_value = paired.adjusted_p_value
    if p_value is None:
        return "-"
    return "< .001" if p_value < 0.001 else format_fraction(p_value)
