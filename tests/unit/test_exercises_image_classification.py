"""The exercises of the chapter on image classification: solutions pass, mistakes are named."""

import pytest
import torch

import companion
from companion.exercises import EXERCISES, check
from companion.exercises.image_classification.checks import GROUPS, NUM_STEPS
from companion.exercises.image_classification.mistakes import probe_by_hand, scores
from companion.heads import Model
from companion.strategies import wise_ft
from companion.training import Recipe

IDS = [f"image-classification-ex{number}" for number in range(1, 5)]
MISTAKES = [
    pytest.param(exercise_id, mistake, id=f"{exercise_id[-3:]}: {mistake.misconception}")
    for exercise_id in IDS
    for mistake in EXERCISES.get(exercise_id).mistakes
]


def short_mixture(alpha: float) -> companion.training.Result:
    backbone = companion.load_backbone("glyphnet")
    splits = companion.load_dataset("digits", labels_per_class=1, seed=0)
    plan = wise_ft(GROUPS, interpolation=alpha)
    recipe = Recipe(epochs=1, min_steps=8)
    return companion.fit(backbone, splits, strategy=plan, seed=0, recipe=recipe)


def probe() -> companion.training.Result:
    backbone = companion.load_backbone("glyphnet")
    splits = companion.load_dataset("digits", labels_per_class=1, seed=0)
    recipe = Recipe(epochs=1, min_steps=8)
    return companion.fit(backbone, splits, strategy="probe", seed=0, recipe=recipe)


def test_one_exercise_of_each_kind():
    kinds = [EXERCISES.get(exercise_id).kind for exercise_id in IDS]
    assert kinds == ["predict", "change", "repair", "transfer"]


@pytest.mark.parametrize("exercise_id", IDS)
def test_at_least_three_mistakes_are_recognised(exercise_id):
    named = {mistake.misconception for mistake in EXERCISES.get(exercise_id).mistakes}
    assert len(named - {None, "another kind of answer"}) >= 3


@pytest.mark.parametrize(("exercise_id", "mistake"), MISTAKES)
def test_mistake_is_named(exercise_id, mistake):
    feedback = check(exercise_id, mistake.answer())
    assert not feedback.passed
    assert feedback.misconception == mistake.misconception
    assert len(feedback.message) > 20


@pytest.mark.parametrize("exercise_id", IDS)
def test_no_answer_says_what_is_expected(exercise_id):
    feedback = check(exercise_id)
    assert not feedback.passed
    assert EXERCISES.get(exercise_id).expects in feedback.message


@pytest.mark.parametrize("answer", [10, 10.0, torch.tensor(10)])
def test_ten_steps_are_right(answer):
    assert check(IDS[0], answer).passed


def test_the_number_is_what_a_run_does():
    backbone = companion.load_backbone("glyphnet", pretrained=False)
    splits = companion.load_dataset("digits", labels_per_class=1, seed=0)
    recipe = Recipe(epochs=1, min_steps=NUM_STEPS)
    result = companion.fit(backbone, splits, strategy="gradual", seed=0, recipe=recipe)
    name, begin = result.history.phases[-1]
    assert name == "from stem"
    assert check(IDS[0], NUM_STEPS - begin).passed


def test_three_mixtures_are_right_as_results_and_as_models():
    results = {alpha: short_mixture(alpha) for alpha in (0, 0.5, 1)}
    assert check(IDS[1], results).passed
    assert check(IDS[1], {alpha: result.model for alpha, result in results.items()}).passed


def test_missing_alpha_is_told():
    feedback = check(IDS[1], {0: 1, 1: 1})
    assert not feedback.passed
    assert "missing [0.5]" in feedback.message


def test_a_probe_is_a_right_repair():
    assert check(IDS[2], probe()).passed


def test_a_probe_by_hand_is_a_right_repair():
    model = probe_by_hand(mode="eval")
    assert isinstance(model, Model)
    assert check(IDS[2], model).passed


def test_scores_that_see_the_rare_class_are_right_and_told():
    feedback = check(IDS[3], scores(num_found=1))
    assert feedback.passed
    assert "Balanced accuracy 0.750 beside accuracy 0.944" in feedback.message


def test_random_images_need_no_skill_in_a_rehearsal(monkeypatch):
    monkeypatch.setenv("COMPANION_SCALE", "rehearsal")
    assert check(IDS[3], scores(num_found=0)).passed
