"""Graded pairs: what they hold is checked once, when they are made."""

from __future__ import annotations

import pytest
import torch

from companion.checks import CompanionError
from companion.datasets.graded_pairs import GradedPairs

GOOD = {
    "first": ["A dog runs.", "It rains.", "Two cats."],
    "second": ["A dog is running.", "The sun shines.", "Two cats sleep."],
    "scores": [0.9, 0.0, 1.0],
    "kinds": ["paraphrase", "opposite", "part"],
    "ids": ["a", "b", "c"],
}


def test_fields_come_in_one_form():
    pairs = GradedPairs(**GOOD)
    assert pairs.first[1] == "It rains." and pairs.second[2] == "Two cats sleep."
    assert pairs.scores.dtype == torch.float32
    assert pairs.scores.tolist() == [torch.tensor(x).item() for x in (0.9, 0.0, 1.0)]
    assert pairs.kinds == ("paraphrase", "opposite", "part") and pairs.ids == ("a", "b", "c")
    assert repr(pairs) == "GradedPairs(3 pairs, 3 kinds)"
    assert repr(GradedPairs(**GOOD | {"kinds": None})) == "GradedPairs(3 pairs, no kinds)"


def test_a_subset_keeps_what_belongs_together():
    part = GradedPairs(**GOOD).subset(torch.tensor([2, 0]))
    assert (part.ids, part.kinds) == (("c", "a"), ("part", "paraphrase"))
    assert (part.first[0], part.second[0], part.scores[0].item()) == (
        "Two cats.",
        "Two cats sleep.",
        1.0,
    )
    assert GradedPairs(**GOOD | {"kinds": None}).subset([1]).kinds is None
    assert len(GradedPairs(**GOOD).subset([])) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": [0.9, 0.0, 4.5]}, "scores of graded pairs: got 4.5; .*divide grades of 0 to 5"),
        ({"scores": [0.9, -0.1, 0.5]}, "scores of graded pairs: got -0.1"),
        ({"scores": [0.9, float("nan"), 0.5]}, "scores of graded pairs: got nan"),
        ({"scores": ["high", "low", "low"]}, r"scores of graded pairs: got \['high'"),
        ({"scores": [[0.9], [0.0], [0.5]]}, r"scores of graded pairs: got \[\[0.9\]"),
        ({"scores": [0.9, 0.5]}, "got 3 first, 3 second, 2 scores, 3 kinds, 3 ids"),
        ({"second": ["a", "b"]}, "got 3 first, 2 second"),
        ({"kinds": ["a"]}, "3 scores, 1 kinds"),
        ({"first": ["a", " ", "c"]}, "first of graded pairs: got ' ', at 1; .*none of them empty"),
        ({"second": ["a", "b", None]}, "second of graded pairs: got None, at 2"),
        ({"first": "abc"}, "first of graded pairs: got one text"),
        ({"ids": ["a", "b", "a"]}, "ids of graded pairs: got 'a' more than once"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(CompanionError, match=message):
        GradedPairs(**GOOD | change)


def test_positions_outside_are_refused():
    with pytest.raises(CompanionError, match=r"positions: got 3; expected 0\.\.2 for 3 pairs"):
        GradedPairs(**GOOD).subset([3])
    with pytest.raises(CompanionError, match="ids of graded pairs: got 'b' more than once"):
        GradedPairs(**GOOD).subset([1, 1])
