"""One line a study: what a part's opening page shows of every chapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from companion import checks, evaluation
from companion.evaluation import MIN_SEEDS, t_interval
from companion.report.numbers import format_mean, format_paired
from companion.report.recording import record_entry

if TYPE_CHECKING:
    from companion.study import Study

__all__ = ["record_study"]

PREFIX = "study_"
HIGHER_IS_BETTER = ("accuracy", "map50")


def record_study(
    name: str,
    scores: Study | Mapping[str, Sequence[float]],
    *,
    task: str,
    baseline: str = "scratch",
    labels: int | str | None = None,
    seconds: Mapping[str, float] | None = None,
) -> None:
    """Record the outcome of a study for the table on the opening page of its part.

    The condition with the highest mean is called best; as it was found on the test data
    themselves, its mean is a little flattered, and the table says so. Its difference to the
    baseline is corrected for all comparisons of the study.

    Args:
        name: letters, digits, `_` and `-`; one a study of the chapter.
        scores: a study, live or recorded, of which each budget becomes a line; or scores by the
            condition's name, one a seed, as fractions, of which higher is better.
        task: what is to be learned, in a few words.
        baseline: the condition that the others are compared with.
        labels: the labelled budget, in labels a class or in words; a study knows its own.
        seconds: mean seconds of a run by the condition's name, where measured; a study knows its
            own.

    Raises:
        CompanionError: a name that cannot be recorded, a budget that is missing or no number, no
            scores, scores that `evaluation.compare_with_baseline` refuses, seconds of an unknown
            condition, or a study that is unfinished or of which lower is better.

    Modifies: in a build, the chapter's results file.
    """
    if isinstance(scores, Mapping):
        labels = _check_labels(name, labels)
        seconds = {
            checks.one_of(f"seconds of study {name!r}", key, tuple(scores)): checks.finite_positive(
                f"seconds of {key!r}", value
            )
            for key, value in (seconds or {}).items()
        }
        paired = evaluation.compare_with_baseline(scores, baseline)
        told = {condition: format_paired(pair) for condition, pair in paired.items()}
        _record_line(name, scores, told, task, baseline, labels, seconds, live=True)
        return
    if not hasattr(scores, "effects"):
        checks.fail(
            f"scores of study {name!r}",
            got=f"a {type(scores).__name__}",
            expected="a study, or scores by the condition's name",
            do="pass what `companion.compare` returned, or a dictionary",
        )
    if not scores.is_complete:
        checks.fail(
            f"study {name!r}",
            got=f"{len(scores.runs)} finished runs",
            expected="every run that was asked for",
            do="let the study finish",
        )
    _record_budgets(name, scores, task, baseline)


def _check_labels(name: str, labels: object) -> int | str:
    """Return a budget that a table can show."""
    if isinstance(labels, str) and labels:
        return labels
    if labels is None:
        checks.fail(
            f"labels of study {name!r}",
            got=None,
            expected="a number of labels a class, or words",
            do='pass labels=10, or labels="none"',
        )
    return checks.positive_int(f"labels of study {name!r}", labels)


def _record_budgets(name: str, study: Study, task: str, baseline: str) -> None:
    """Record a line for each budget of a study."""
    if study.metric not in HIGHER_IS_BETTER:
        checks.fail(
            f"metric of study {name!r}",
            got=study.metric,
            expected=f"{' or '.join(HIGHER_IS_BETTER)}, of which higher is better",
            do="pass scores by condition instead",
        )
    effects = {(e.strategy, e.labels_per_class): e.paired for e in study.effects(baseline)}
    for budget in study.labels_per_class:
        names = [n for n in study.strategies if n == baseline or (n, budget) in effects]
        values = {n: list(study.values(n, budget).values()) for n in names}
        told = {n: format_paired(effects[n, budget]) for n in names if (n, budget) in effects}
        shown = "all" if budget is None else budget
        seconds = {n: _seconds(study, n, budget) for n in names}
        live = study.recorded is None
        _record_line(f"{name}_{shown}", values, told, task, baseline, shown, seconds, live=live)


def _seconds(study: Study, strategy: str, budget: int | None) -> float:
    """Return the mean seconds of a strategy's runs at one budget."""
    runs = [r for r in study.runs if (r.strategy, r.labels_per_class) == (strategy, budget)]
    return sum(run.seconds for run in runs) / len(runs)


def _record_line(
    name: str,
    values: Mapping[str, Sequence[float]],
    told: Mapping[str, str],
    task: str,
    baseline: str,
    labels: int | str,
    seconds: Mapping[str, float],
    *,
    live: bool,
) -> None:
    """Record one line of the table; seconds apart, as they differ between runs."""
    means = {condition: sum(scores) / len(scores) for condition, scores in values.items()}
    best = max(means, key=means.__getitem__)
    line: dict[str, Any] = {
        "task": task,
        "labels": labels,
        "best": best,
        "best_score": _mean(values[best]),
        "baseline": baseline,
        "baseline_score": _mean(values[baseline]),
        "difference": told.get(best, "the baseline itself is best"),
        "conditions": len(values),
        "seeds": len(values[baseline]),
        "live": live,
    }
    record_entry(f"{PREFIX}{name}", line)
    if best in seconds:
        record_entry(f"{PREFIX}{name}_seconds", seconds[best], kind="cost" if live else "result")


def _mean(scores: Sequence[float]) -> str:
    """Return the mean over seeds with its interval, where there are seeds enough."""
    enough = len(scores) >= MIN_SEEDS and max(scores) > min(scores)
    return format_mean(sum(scores) / len(scores), t_interval(scores) if enough else None)
