"""The checks: a right answer, the usual mistakes, and what is said of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from statistics import mean
from typing import Any

from companion.exercises.answers import WrongKind, as_mapping, as_number, as_numbers
from companion.exercises.framework import Feedback, first_of, right, wrong
from companion.exercises.misconceptions import leakage, percent
from companion.splits import Split

__all__ = [
    "LARGEST_CLASS",
    "Folds",
    "check_folds",
    "check_rare_defect",
    "check_seeds_needed",
    "check_wines",
    "seeds_needed",
]

Folds = list[tuple[Split, Split]]


# --- 1: how likely is a defect when the camera rings? ---

PREVALENCE, RECALL, FALSE_ALARMS = 0.01, 0.9, 0.05
RINGS = PREVALENCE * RECALL + (1 - PREVALENCE) * FALSE_ALARMS


def check_rare_defect(answer: Any) -> Feedback:
    """Check the precision of a detector of something rare."""
    value = as_number(answer, what="a fraction from 0 to 1")
    accuracy = PREVALENCE * RECALL + (1 - PREVALENCE) * (1 - FALSE_ALARMS)
    if abs(value - PREVALENCE * RECALL / RINGS) < 0.003:
        return right("Most of the parts that ring are good: there are so many more of them.")
    usual = (
        (RECALL, "recall taken for precision", "That is how often a defect rings."),
        (
            RECALL / (RECALL + FALSE_ALARMS),
            "prevalence forgotten",
            "That would hold if every second part had a defect.",
        ),
        (accuracy, "accuracy taken for precision", "That is how often the camera is right."),
        (RINGS, "all that rings", "That is how often it rings at all."),
    )
    for number, name, message in usual:
        if abs(value - number) < 0.0006:
            return wrong(f"{message} Divide the defects that ring by all that ring.",
                         misconception=name)  # fmt: skip
    found = percent(value)
    return found or wrong("Count, among ten thousand parts, those that ring, and why.")


# --- 2: seeds for half a standard deviation ---


def seeds_needed(effect: float, *, wanted: float = 0.8, level: float = 0.05) -> int:
    """Return the fewest seeds with which a paired t test has the wanted power."""
    from scipy import stats

    num_seeds, power = 2, 0.0
    while power < wanted:
        num_seeds += 1
        limit, shift = stats.t.ppf(1 - level / 2, num_seeds - 1), effect * num_seeds**0.5
        tails = stats.nct.sf(limit, num_seeds - 1, shift)
        power = float(tails + stats.nct.cdf(-limit, num_seeds - 1, shift))
    return num_seeds


def check_seeds_needed(answer: Any) -> Feedback:
    """Check how many seeds find half a standard deviation of the differences."""
    value = as_number(answer, what="a number of seeds")
    if value == seeds_needed(0.5):
        return right("Compare that with how many seeds the comparisons that you read have.")
    usual = {
        32: ("the normal in place of Student's t", "The spread is estimated, too: use t."),
        64: ("two groups instead of pairs", "That is for unrelated runs, of each method."),
        128: ("two groups instead of pairs", "That is for unrelated runs, of both together."),
        seeds_needed(0.5, level=0.1): ("tested on one side", "The test is two-sided."),
        5: ("enough for an interval taken for enough", "Five seeds find large effects only."),
        seeds_needed(1.0): ("another effect", "That is for a whole standard deviation."),
    }
    if value in usual:
        name, message = usual[int(value)]
        return wrong(message, misconception=name)
    return wrong("Raise the number of seeds until `power(0.5, num_seeds)` reaches four fifths.")


# --- 3: folds that keep faces together ---


def check_folds(answer: Any) -> Feedback:
    """Check that folds judge every item once, by items of other groups."""
    folds = _as_folds(answer)
    detectors: tuple[Callable[[Folds], Feedback | None], ...] = (
        _shared_items,
        _shared_groups,
        _judged_in_part,
        _judged_again,
    )
    found = first_of(detect(folds) for detect in detectors)
    return found or right(
        f"{len(folds)} folds, every picture is judged once, and never by its own face."
    )


def _as_folds(answer: Any) -> Folds:
    """Return pairs of splits with groups."""
    what = "a list of pairs (train, judged) of splits with groups"
    if not isinstance(answer, Sequence) or isinstance(answer, str) or not len(answer):
        raise WrongKind(what, answer)
    for pair in answer:
        is_pair = isinstance(pair, tuple | list) and len(pair) == 2
        if not is_pair or not all(isinstance(part, Split) and part.groups for part in pair):
            raise WrongKind(what, pair)
    return [(train, judged) for train, judged in answer]


def _shared_items(folds: Folds) -> Feedback | None:
    """Recognise pictures that are trained on and judged."""
    return first_of(leakage(train.ids, judged.ids) for train, judged in folds)


def _shared_groups(folds: Folds) -> Feedback | None:
    """Recognise folds of pictures."""
    for train, judged in folds:
        shared = set(train.groups or ()) & set(judged.groups or ())
        if shared:
            return wrong(
                f"{len(shared)} faces are on both sides of a fold, for instance "
                f"{sorted(map(str, shared))[0]}. New faces are the question.",
                misconception="pictures dealt out instead of faces",
            )
    return None


def _judged_in_part(folds: Folds) -> Feedback | None:
    """Recognise a single holdout."""
    everything = {name for train, judged in folds for name in (*train.ids, *judged.ids)}
    left_out = everything - {name for _, judged in folds for name in judged.ids}
    if left_out:
        return wrong(
            f"{len(left_out)} pictures are never judged: let every fold have its turn.",
            misconception="only a part was judged",
        )
    return None


def _judged_again(folds: Folds) -> Feedback | None:
    """Recognise pictures that count twice."""
    counts = Counter(name for _, judged in folds for name in judged.ids)
    if max(counts.values()) > 1:
        return wrong(
            "Some pictures are judged in more than one fold, so they count more than once.",
            misconception="judged more than once",
        )
    return None


# --- 4: a table of wines ---

WINES = ("majority", "nearest neighbours", "logistic regression")
NUM_SCORES = 50
LARGEST_CLASS = 71 / 178


def check_wines(answer: Any) -> Feedback:
    """Check fifty accuracies of three methods on the table of wines."""
    given = as_mapping(answer, WINES)
    scores = {name: as_numbers(given[name], what=f"accuracies of {name!r}") for name in WINES}
    found = first_of(detect(scores) for detect in (_in_percent, _too_few, _implausible))
    ahead = mean(scores["logistic regression"]) - mean(scores["nearest neighbours"])
    return found or right(
        f"Logistic regression minus nearest neighbours: {ahead:+.3f}. Before you say more, put the "
        "corrected interval around it."
    )


def _in_percent(scores: dict[str, list[float]]) -> Feedback | None:
    """Recognise percentages."""
    return percent(max(map(max, scores.values())))


def _too_few(scores: dict[str, list[float]]) -> Feedback | None:
    """Recognise folds that were not repeated."""
    lengths = {len(values) for values in scores.values()}
    if lengths == {5}:
        return wrong(
            "Five folds once: another shuffle would give other numbers. Repeat them ten times.",
            misconception="folds not repeated",
        )
    if lengths != {NUM_SCORES}:
        return wrong(f"Expected {NUM_SCORES} accuracies of each method, got {sorted(lengths)}.")
    return None


def _implausible(scores: dict[str, list[float]]) -> Feedback | None:
    """Recognise other data, training accuracy, and columns that were not scaled."""
    majority, neighbours, logistic = (scores[name] for name in WINES)
    if abs(mean(majority) - LARGEST_CLASS) > 0.02:
        return wrong(
            f"Always naming the largest grower is right in {LARGEST_CLASS:.3f} of the cases, "
            f"yours in {mean(majority):.3f}.",
            misconception="scores of another dataset",
        )
    if min(logistic) == 1:
        return wrong(
            "No fold has a single mistake: are these the wines that the model was fitted to?",
            misconception="training accuracy for test accuracy",
        )
    if mean(neighbours) < 0.85:
        return wrong(
            "One column is a thousand times as large as another and decides who is a neighbour.",
            misconception="columns not scaled",
        )
    return None
