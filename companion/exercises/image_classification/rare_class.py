"""The check of exercise 4: does it help to weigh the classes, for another rare class?

The answer holds scores over several draws of one folder, once for each loss. What it shows is
measured by the check itself, so nobody has to pick a number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from companion import runtime
from companion.evaluation import Scores
from companion.exercises.answers import WrongKind, as_mapping, as_numbers
from companion.exercises.framework import Feedback, first_of, right, wrong
from companion.exercises.misconceptions import chosen_on_test, trained_on_what_is_scored
from companion.training import Result

__all__ = ["LEAST_AUC", "LISTS", "MOST_RARE", "NUM_DRAWS", "check_rare_class"]

LISTS = ("plain", "weighted")
NUM_DRAWS = {"laptop": 10, "full": 10, "rehearsal": 2}
CHAPTERS_RARE = {"laptop": "1", "full": "cat", "rehearsal": "cat"}
VAL_COUNTS = (14, 2)
"""Common and rare images of a validation draw, of a folder with the chapter's counts."""

MOST_RARE = 0.2
LEAST_AUC = 0.9
Runs = dict[str, list[Scores]]


def check_rare_class(answer: Any) -> Feedback:
    """Check paired scores, plain and weighted, on validation draws of a folder with a rare class.

    Args:
        answer: a dictionary with the lists `"plain"` and `"weighted"`.
    """
    given = as_mapping(answer, LISTS, what="a dictionary with the keys 'plain' and 'weighted'")
    if (found := _accuracies(given)) is not None:
        return found
    runs = {name: _as_scores(name, given[name]) for name in LISTS}
    needs_skill = runtime.scale() != "rehearsal"  # random images have nothing to find
    detectors: tuple[Callable[[Runs], Feedback | None], ...] = (
        _another_split,
        _another_dataset,
        _too_few_draws,
        _not_paired,
        _same_draw,
        _same_runs,
        *((_nothing_rare, _hardly_trained, _swapped, _blind_to_the_rare) if needs_skill else ()),
    )
    found = first_of(detect(runs) for detect in detectors)
    return found or right(_told(runs))


def _accuracies(given: dict[str, Any]) -> Feedback | None:
    """Recognise lists of accuracies: some value is none that balanced accuracy can take."""
    try:
        values = [value for name in LISTS for value in as_numbers(given[name])]
    except WrongKind:
        return None
    common, rare = VAL_COUNTS
    possible = [(a / common + b / rare) / 2 for a in range(common + 1) for b in range(rare + 1)]
    if all(min(abs(value - one) for one in possible) < 0.002 for value in values):
        return None
    return wrong(
        "These numbers look like accuracies, and accuracy is blind to the rare class. Hand in "
        "result.scores as they are: the check takes their balanced accuracy.",
        misconception="accuracy for balanced accuracy",
    )


def _as_scores(name: str, given: Any) -> list[Scores]:
    """Return a list of scores with probabilities, also from the results of trainings."""
    given = [given] if isinstance(given, Scores | Result) else given
    what = f"a list of scores under {name!r}, the result.scores of each draw"
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise WrongKind(what, given)
    found = [one.scores if isinstance(one, Result) else one for one in given]
    for one in found:
        if not isinstance(one, Scores) or one.probabilities is None:
            raise WrongKind(what, one)
    return [one for one in found if isinstance(one, Scores)]


def _another_split(runs: Runs) -> Feedback | None:
    """Recognise scores on train or test."""
    given = [*runs["plain"], *runs["weighted"]]
    on_train = first_of(map(trained_on_what_is_scored, given))
    return on_train or chosen_on_test(given)


def _another_dataset(runs: Runs) -> Feedback | None:
    """Recognise ten classes, several folders, and the chapter's own folder."""
    folders = {one.classes for name in LISTS for one in runs[name]}
    classes = next(iter(folders))
    if len(folders) > 1:
        return wrong(
            "Both lists must come from one folder; these have other classes.",
            misconception="scores of another dataset",
        )
    if len(classes) != 2:
        return wrong(
            f"These scores are over {len(classes)} classes; the folder has two.",
            misconception="scores of another dataset",
        )
    if CHAPTERS_RARE[runtime.scale()] in classes:
        return wrong(
            f"This is the chapter's own folder, {' and '.join(map(repr, classes))}: write one for "
            'CHOICE["other_rare"].',
            misconception="the chapter's own folder",
        )
    return None


def _too_few_draws(runs: Runs) -> Feedback | None:
    """Recognise one run, or fewer than the chapter's draws."""
    fewest, wanted = min(len(runs[name]) for name in LISTS), NUM_DRAWS[runtime.scale()]
    if fewest == 1:
        return wrong(
            "One draw has a handful of rare images: it may show anything. Take all of DRAWS.",
            misconception="one run only",
        )
    if fewest < wanted:
        return wrong(
            f"A list has {fewest} draws; DRAWS has {wanted}.", misconception="too few draws"
        )
    return None


def _items(scores: Scores) -> tuple[str, ...]:
    """Return which images were scored, by class and file: without the name of the folder."""
    return tuple(one.partition("/")[2] or one for one in scores.ids)


def _not_paired(runs: Runs) -> Feedback | None:
    """Recognise lists whose n-th scores are not on the same images."""
    plain, weighted = ([_items(scores) for scores in runs[name]] for name in LISTS)
    if plain != weighted:
        return wrong(
            "The n-th of both lists must be of the same draw: the same seed in redraw and fit, "
            "the same order.",
            misconception="the draws are not paired",
        )
    return None


def _same_draw(runs: Runs) -> Feedback | None:
    """Recognise draws that hold the same images."""
    draws = [_items(scores) for scores in runs["plain"]]
    if len(set(draws)) < len(draws):
        return wrong(
            "The same validation images come more than once: was each seed passed on to redraw?",
            misconception="seeds not varied",
        )
    return None


def _probabilities(scores: Scores) -> Tensor:
    """Return the probabilities, which `_as_scores` has seen to be there."""
    return torch.as_tensor(scores.probabilities)


def _same_runs(runs: Runs) -> Feedback | None:
    """Recognise two lists that hold the same runs."""
    pairs = zip(runs["plain"], runs["weighted"], strict=True)
    if all(torch.equal(_probabilities(one), _probabilities(other)) for one, other in pairs):
        return wrong(
            "Both lists hold the same runs: did class_weights reach the recipe?",
            misconception="the two lists are identical",
        )
    return None


def _rare(scores: Scores) -> int:
    """Return the id of the class with the fewest images."""
    return int(torch.bincount(torch.as_tensor(scores.labels), minlength=2).argmin())


def _nothing_rare(runs: Runs) -> Feedback | None:
    """Recognise other counts than the chapter's: too many of one class, or the wrong one rare."""
    first = runs["plain"][0]
    rare = _rare(first)
    share = float((torch.as_tensor(first.labels) == rare).double().mean())
    if share > MOST_RARE:
        return wrong(
            f"The rarer class has {share:.2f} of the images, so it is not rare: write the folder "
            "with the chapter's counts.",
            misconception="no rare class",
        )
    if first.classes[rare].startswith("not "):
        return wrong(
            f"{first.classes[rare]!r} is the rare class here: the counts are for all else first, "
            "then for the rare class.",
            misconception="counts the wrong way round",
        )
    return None


def _swapped(runs: Runs) -> Feedback | None:
    """Recognise swapped lists: weights raise the probability of the rare class."""
    raised = [
        float((_probabilities(other) - _probabilities(one))[:, _rare(one)].mean())
        for one, other in zip(runs["plain"], runs["weighted"], strict=True)
    ]
    if mean(raised) < 0:
        return wrong(
            "With class weights a model gives the rare class more probability. Here the runs "
            "under 'plain' do.",
            misconception="the two lists are swapped",
        )
    return None


def _recall(scores: Scores) -> float:
    """Return the fraction found of the rare class."""
    is_rare = torch.as_tensor(scores.labels) == _rare(scores)
    found = torch.as_tensor(scores.predictions)[is_rare] == _rare(scores)
    return float(found.double().mean())


def _blind_to_the_rare(runs: Runs) -> Feedback | None:
    """Recognise weighted models that find at most half of the rare class."""
    recall = mean(map(_recall, runs["weighted"]))
    if recall <= 0.5:
        accuracy = mean(scores.accuracy for scores in runs["weighted"])
        return wrong(
            f"With class weights the accuracy is {accuracy:.3f}, and of the rare class "
            f"{recall:.3f} is found: no more than half.",
            misconception="majority class taken for skill",
        )
    return None


def _hardly_trained(runs: Runs) -> Feedback | None:
    """Recognise a list whose models do not even rank the rare class above the other."""
    areas = {name: mean(scores.values["auc"] for scores in runs[name]) for name in LISTS}
    worst = min(LISTS, key=lambda name: areas[name])
    if areas[worst] < LEAST_AUC:
        return wrong(
            f"The mean AUC under {worst!r} is {areas[worst]:.3f}: a probe of STEPS steps on the "
            "pretrained backbone ranks better.",
            misconception="hardly trained",
        )
    return None


def _told(runs: Runs) -> str:
    """Say what the answer shows."""
    first, num_draws = runs["plain"][0], len(runs["plain"])
    num_rare = int((torch.as_tensor(first.labels) == _rare(first)).sum())
    balanced, accuracy = (
        {name: mean(scores.values[metric] for scores in runs[name]) for name in LISTS}
        for metric in ("balanced_accuracy", "accuracy")
    )
    return (
        f"Over {num_draws} draws with {num_rare} of {first.classes[_rare(first)]!r} on val: "
        f"balanced accuracy {balanced['weighted']:.3f} with class weights, "
        f"{balanced['plain']:.3f} without; accuracy {accuracy['weighted']:.3f} and "
        f"{accuracy['plain']:.3f}. So few rare images cannot settle which loss is better."
    )
