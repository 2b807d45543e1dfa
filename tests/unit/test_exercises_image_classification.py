"""The exercises of the chapter on image classification: solutions pass, mistakes are named."""

import dataclasses
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

import companion
from companion.exercises import EXERCISES, check
from companion.exercises.image_classification import checks as image_checks
from companion.exercises.image_classification.checks import GROUPS, NUM_STEPS
from companion.exercises.image_classification.mistakes import probe_by_hand, runs
from companion.exercises.image_classification.rare_class import LISTS, VAL_COUNTS
from companion.heads import Model
from companion.strategies import wise_ft
from companion.training import Recipe

PAGE = Path(__file__).parents[2] / "book" / "vision" / "image-classification.md"
IDS = [f"image-classification-ex{number}" for number in range(1, 5)]


def short_mixture(alpha: float) -> companion.training.Result:
    backbone = companion.load_backbone("glyphnet")
    splits = companion.load_dataset("digits", labels_per_class=1, seed=0)
    plan = wise_ft(GROUPS, interpolation=alpha)
    recipe = Recipe(epochs=1, min_steps=8)
    return companion.fit(backbone, splits, strategy=plan, seed=0, recipe=recipe)


def fitted(strategy: str, *, num_steps: int = 8) -> companion.training.Result:
    backbone = companion.load_backbone("glyphnet")
    splits = companion.load_dataset("digits", labels_per_class=1, seed=0)
    recipe = Recipe(epochs=1, min_steps=num_steps)
    return companion.fit(backbone, splits, strategy=strategy, seed=0, recipe=recipe)


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


def test_strategies_of_one_run_are_right_under_other_names():
    answer = {0: short_mixture(0), 0.5: short_mixture(0.5), 1: fitted("lp_ft")}
    assert check(IDS[1], answer).passed


def test_the_figure_is_named_where_no_mistake_is_recognised():
    feedback = check(IDS[0], 30)
    assert "'The strategy ladder'" in feedback.message
    page = PAGE.read_text(encoding="utf-8")
    assert "\nThe strategy ladder. Grey is frozen" in page


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (0.17, "fraction for steps"),
        (1 - 1 / 6, "fraction for steps"),
        (list(range(51, 61)), "the steps themselves instead of their number"),
        (set(range(50, 60)), "the steps themselves instead of their number"),
        (torch.arange(50, 60), "the steps themselves instead of their number"),
        ((50, 60), "the steps themselves instead of their number"),
        (0.5, None),
        (9, None),
        (11, None),
    ],
)
def test_other_things_than_a_number_of_steps(answer, named):
    feedback = check(IDS[0], answer)
    assert (feedback.passed, feedback.misconception) == (False, named)


def test_a_probe_is_a_right_repair():
    assert check(IDS[2], fitted("probe", num_steps=20)).passed


def test_a_probe_by_hand_is_a_right_repair():
    model = probe_by_hand(mode="eval")
    assert isinstance(model, Model)
    assert check(IDS[2], model).passed


def right_on_train(model: Model) -> int:
    """Count by hand, image by image."""
    train = companion.load_dataset("digits", labels_per_class=1, seed=0).train
    batch = model.backbone.prepare(train).batch(torch.arange(len(train)))
    with torch.no_grad():
        rows = [model(image[None])[0] for image in batch.inputs]
    return sum(int(row.argmax()) == int(y) for row, y in zip(rows, batch.labels, strict=True))


@pytest.mark.parametrize("num_confused", [1, 2])
def test_one_training_image_in_ten_may_be_wrong(num_confused):
    model = probe_by_hand()
    assert right_on_train(model) == 10
    with torch.no_grad():
        model.head.linear.bias[:num_confused] -= 1e3
    assert right_on_train(model) == 10 - num_confused
    feedback = check(IDS[2], model)
    assert feedback.passed == (num_confused == 1)
    if not feedback.passed:
        assert "8 of 10 training images" in feedback.message


def test_a_model_of_other_classes_is_no_repair():
    model = probe_by_hand()
    model.classes = ("a", *model.classes[1:])
    feedback = check(IDS[2], model)
    assert feedback.misconception == "another kind of answer"
    assert "a model of the chapter's 10 classes" in feedback.message


def test_a_head_need_not_learn_random_images_in_a_rehearsal(monkeypatch):
    model = probe_by_hand(shift=1)
    assert not check(IDS[2], model).passed
    monkeypatch.setitem(image_checks.TRAINED_ON, "rehearsal", ("digits", 1))
    monkeypatch.setenv("COMPANION_SCALE", "rehearsal")
    assert check(IDS[2], model).passed


# --- another rare class ------------------------------------------------------------------------


def test_paired_scores_are_right_and_told():
    feedback = check(IDS[3], runs() | {"plain": runs(num_found=1)["plain"]})
    assert feedback.passed, feedback
    assert "Over 10 draws with 2 of '8' on val" in feedback.message
    assert "balanced accuracy 1.000 with class weights, 0.750 without" in feedback.message
    assert "accuracy 1.000 and 0.938" in feedback.message


def test_scores_need_probabilities():
    bare = {n: [dataclasses.replace(s, probabilities=None) for s in r] for n, r in runs().items()}
    assert check(IDS[3], bare).misconception == "another kind of answer"


def test_a_single_score_on_test_spoils_the_lists():
    answer = runs()
    answer["weighted"][7] = dataclasses.replace(answer["weighted"][7], split="test")
    assert check(IDS[3], answer).misconception == "chosen on test data"


def test_folders_written_twice_are_the_same_draws():
    answer = runs()
    answer["weighted"] = [
        dataclasses.replace(s, ids=tuple(i.replace("folder/", "again/") for i in s.ids))
        for s in answer["weighted"]
    ]
    assert check(IDS[3], answer).passed


def test_balanced_accuracies_are_no_accuracies():
    answer = {n: [s.values["balanced_accuracy"] for s in r] for n, r in runs(num_found=1).items()}
    assert check(IDS[3], answer).misconception == "another kind of answer"


@pytest.mark.parametrize(("num_rare", "passed"), [(3, True), (4, False)])
def test_rare_is_a_fifth_at_most(num_rare, passed):
    answer = runs(num_common=15 - num_rare, num_rare=num_rare, num_found=num_rare)
    assert check(IDS[3], answer).passed == passed


def test_more_than_half_of_the_rare_class_must_be_found():
    half = runs(num_found=1)
    half["weighted"][0] = runs()["weighted"][0]
    assert check(IDS[3], half).passed
    assert not check(IDS[3], runs(num_found=1)).passed


def test_random_images_need_no_skill_in_a_rehearsal(monkeypatch):
    monkeypatch.setenv("COMPANION_SCALE", "rehearsal")
    assert check(IDS[3], runs(num_draws=2, num_found=0)).passed
    assert not check(IDS[3], runs(num_draws=2, classes=("cat", "not cat"))).passed


@pytest.fixture(scope="module")
def real_runs(tmp_path_factory):
    """Return the scores of real probes on a folder as the chapter writes them."""
    pool = companion.load_dataset("digits", labels_per_class=1, seed=0).pool
    root = tmp_path_factory.mktemp("my-images")
    for name, is_in, count in ("8", pool.labels == 8, 10), ("not 8", pool.labels != 8, 90):
        (root / name).mkdir()
        for position in is_in.nonzero().flatten()[:count].tolist():
            pixels = (pool.inputs[position][0] * 255).byte().numpy()
            Image.fromarray(pixels).save(root / name / f"{position}.png")
    folder = companion.load_dataset("folder", path=root, seed=0)
    backbone = companion.load_backbone("glyphnet")

    def probes(class_weights: str | None, num_steps: int = 60) -> list[companion.training.Result]:
        recipe = Recipe(epochs=1, min_steps=num_steps, class_weights=class_weights)
        return [
            companion.fit(
                backbone, folder.redraw(seed=seed), strategy="probe", seed=seed, recipe=recipe
            )
            for seed in range(10)
        ]

    return {
        "plain": probes(None),
        "weighted": probes("balanced"),
        "short": probes(None, num_steps=2),
    }


def test_real_probes_are_right_as_results_and_as_scores(real_runs):
    answer = {name: real_runs[name] for name in LISTS}
    assert check(IDS[3], answer).passed, check(IDS[3], answer)
    assert check(IDS[3], {n: [one.scores for one in r] for n, r in answer.items()}).passed
    counts = torch.bincount(answer["plain"][0].scores.labels).tolist()
    assert tuple(sorted(counts, reverse=True)) == VAL_COUNTS


def test_real_mistakes_are_named(real_runs):
    plain, weighted, short = real_runs["plain"], real_runs["weighted"], real_runs["short"]
    told = {
        "the two lists are swapped": {"plain": weighted, "weighted": plain},
        "the two lists are identical": {"plain": plain, "weighted": plain},
        "hardly trained": {"plain": short, "weighted": weighted},
        "accuracy for balanced accuracy": {
            "plain": [one.scores.accuracy for one in plain],
            "weighted": [one.scores.accuracy for one in weighted],
        },
    }
    found = {name: check(IDS[3], answer).misconception for name, answer in told.items()}
    assert found == {name: name for name in told}


# --- the page ----------------------------------------------------------------------------------


def test_hints_are_those_of_the_page():
    page = PAGE.read_text(encoding="utf-8")
    for exercise_id in IDS:
        stated = page.partition(f":label: {exercise_id}")[2].partition("````")[0]
        hints = re.findall(r"```\{dropdown\} Hint \d\n(.*?)\n```", stated, re.DOTALL)
        assert tuple(" ".join(hint.split()) for hint in hints) == EXERCISES.get(exercise_id).hints


def test_each_exercise_has_a_cell_for_the_answer_before_its_solution():
    page = PAGE.read_text(encoding="utf-8")
    for exercise_id in IDS:
        stated = page.partition(f":label: {exercise_id}\n")[2]
        before = stated.partition("```{solution-start}")[0]
        cell = f'answer = ...  # yours\nexercises.check("{exercise_id}", answer)\n```'
        assert before.count(cell) == 1, exercise_id
