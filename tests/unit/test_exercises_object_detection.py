"""The exercises of the chapter on object detection: solutions pass, mistakes are named."""

import re
from pathlib import Path

import pytest
import torch

from companion.exercises import EXERCISES, check
from companion.exercises.object_detection.checks import CASES
from companion.exercises.object_detection.mistakes import (
    heap,
    precision,
    scores,
    suppressed,
    two_scores,
)

PAGE = Path(__file__).parents[2] / "book" / "vision" / "object-detection.md"
IDS = [f"object-detection-ex{number}" for number in range(1, 5)]


@pytest.mark.parametrize("answer", [225 / 575, 0.39, torch.tensor(0.3913)])
def test_the_overlap_is_right(answer):
    assert check(IDS[0], answer).passed


@pytest.mark.parametrize("answer", [0.38, 0.41, 0.5])
def test_other_overlaps_are_not(answer):
    assert not check(IDS[0], answer).passed


def test_suppression_with_three_thresholds_is_right():
    feedback = check(IDS[1], suppressed())
    assert feedback.passed, feedback
    assert str(len(suppressed()[0.9])) in feedback.message


def test_a_box_too_many_is_told():
    answer = suppressed()
    answer[0.1] = answer[0.5]
    assert "overlap by more than it allows" in check(IDS[1], answer).message


def test_a_box_too_few_is_told():
    answer = suppressed()
    answer[0.5] = answer[0.5][:-1]
    assert check(IDS[1], answer).misconception == "more suppressed than was asked"


def test_missing_threshold_is_told():
    answer = suppressed()
    del answer[0.9]
    assert "missing [0.9]" in check(IDS[1], answer).message


def test_the_heap_has_doubles():
    assert len(suppressed()[0.1]) < len(suppressed()[0.5]) < len(suppressed()[0.9]) < len(heap())


def test_a_repaired_precision_is_right():
    assert check(IDS[2], precision()).passed


def test_the_pictures_of_the_check_are_not_all_alike():
    values = {round(precision()(*case), 4) for case in CASES}
    assert len(values) >= 4
    assert max(values) < 1


def test_the_broken_function_of_the_page_fails():
    broken = precision(by_score=False, frees=False, best=False)
    assert not check(IDS[2], broken).passed


def test_a_function_that_stops_is_told():
    assert "that runs on a picture" in check(IDS[2], lambda found, truth: 1 / 0).message


def test_two_trainings_are_right_and_told():
    feedback = check(IDS[3], two_scores())
    assert feedback.passed
    assert "mAP50 on 4 smears: 1.000 fine-tuned" in feedback.message


def test_one_score_on_test_spoils_the_answer():
    answer = two_scores() | {"scratch": scores(split="test", confidence=0.3)}
    assert check(IDS[3], answer).misconception == "chosen on test data"


def test_hints_are_those_of_the_page():
    page = PAGE.read_text(encoding="utf-8")
    for exercise_id in IDS:
        stated = page.partition(f":label: {exercise_id}")[2].partition("````")[0]
        hints = re.findall(r"```\{dropdown\} Hint \d\n(.*?)\n```", stated, re.DOTALL)
        assert tuple(" ".join(hint.split()) for hint in hints) == EXERCISES.get(exercise_id).hints
