"""A verdict on two lists of accuracies: does it follow from their paired differences?"""

from __future__ import annotations

from typing import Any

from companion.evaluation import MIN_SEEDS, paired_comparison
from companion.exercises.answers import as_choice, as_fraction, as_mapping, as_numbers
from companion.exercises.framework import Feedback, first_of, right, wrong
from companion.exercises.misconceptions import percent, seeds_not_varied

__all__ = ["VERDICTS", "judged_verdict"]

VERDICTS = ("higher", "lower", "not told apart")
"""What may be said of the second list beside the first."""


def judged_verdict(
    answer: Any,
    *,
    first: str,
    second: str,
    too_few: str,
    judged_twice: str,
    fewest: int = MIN_SEEDS,
) -> Feedback:
    """Return whether the verdict of an answer follows from its accuracies.

    Args:
        answer: a dictionary with the two lists, as fractions in the same order, and `"verdict"`,
            one of `VERDICTS`.
        first: key of the accuracies that are compared with.
        second: key of the accuracies that the verdict is about.
        too_few: what is said where a list is too short or the two differ in length.
        judged_twice: name of the mistake where both lists are the same.
        fewest: how many accuracies each list must hold.

    Raises:
        WrongKind: the answer is no such dictionary.
    """
    given = as_mapping(answer, (first, second, "verdict"))
    before, after = as_numbers(given[first]), as_numbers(given[second])
    verdict = as_choice(given["verdict"], VERDICTS)
    recognised = first_of(percent(value) for value in before + after)
    if recognised is not None:
        return recognised
    for value in before + after:
        as_fraction(value)
    if min(len(before), len(after)) < fewest or len(before) != len(after):
        return wrong(too_few, misconception="fewer than five seeds")
    if before == after:
        return wrong("Both lists are the same.", misconception=judged_twice)
    varied = first_of(seeds_not_varied(values) for values in (before, after))
    return varied or _judged_sign(before, after, verdict, f"{second} less {first}")


def _judged_sign(
    before: list[float], after: list[float], verdict: str, difference: str
) -> Feedback:
    """Return whether the verdict follows from the differences."""
    found = paired_comparison(after, before)
    sign = "higher" if found.mean_difference > 0 else "lower"
    if verdict == (sign if found.claim else "not told apart"):
        return right(f"The verdict follows from the differences, {difference}: {found}.")
    if not found.claim:
        return wrong(
            "The interval of the paired difference holds 0: its sign may not be claimed.",
            misconception="a claim without a test",
        )
    if verdict == "not told apart":
        return wrong("The interval does not hold 0.", misconception="a difference overlooked")
    return wrong(f"Which way is {difference}?", misconception="the sign of the difference")
