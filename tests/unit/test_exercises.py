"""The checker: no answer crashes it, none passes by chance, and usual mistakes are named."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from companion import evaluation, exercises, layer_groups
from companion.checks import CompanionError
from companion.exercises import (
    Exercise,
    ExerciseFailed,
    Feedback,
    WrongKind,
    as_choice,
    as_fraction,
    as_mapping,
    as_model,
    as_number,
    as_numbers,
    as_tensor,
    first_of,
    framework,
    misconceptions,
    right,
    wrong,
)
from companion.exercises.image_classification import checks as image_checks
from companion.heads import Model, build_head
from companion.registry import Registry
from companion.splits import Split


def share_of(answer):
    """A check as chapters write them: read the answer, look for mistakes, then judge."""
    value = as_number(answer, what="a fraction from 0 to 1")
    found = first_of(detect(value) for detect in (misconceptions.percent,))
    if found is not None:
        return found
    return right("So it is.") if value == 0.25 else wrong("Count again.")


def exercise(check=share_of, **changes):
    fields = {
        "id": "counting-ex1",
        "chapter": "foundations/counting",
        "kind": "predict",
        "minutes": 5,
        "difficulty": "easy",
        "expects": "a fraction from 0 to 1",
        "check": check,
        "hints": ("Count.", "Divide."),
    }
    return Exercise(**{**fields, **changes})


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    """Exercises of a test are not those of the book."""
    monkeypatch.setattr(framework, "EXERCISES", Registry("exercise"))
    monkeypatch.setattr(framework, "_SHOWN_EMPTY", set())
    monkeypatch.delenv("COMPANION_RESULTS", raising=False)


class Hostile:
    """An answer whose every method raises."""

    def __getattr__(self, name):
        raise RuntimeError(name)

    def __eq__(self, other):
        raise RuntimeError("eq")

    __hash__ = None

    def __repr__(self):
        raise RuntimeError("repr")

    def __len__(self):
        raise RuntimeError("len")


class Agreeable:
    """An answer that is equal to everything."""

    def __eq__(self, other):
        return True

    __hash__ = None


ANSWERS = [
    None,
    ...,
    "",
    "0.25 or so",
    b"x",
    [],
    [0.25, 0.3],
    {},
    {"a": 1},
    (),
    set(),
    True,
    math.nan,
    math.inf,
    -1,
    10**400,
    0.26,
    1 + 2j,
    np.zeros(0),
    np.zeros((2, 2)),
    torch.zeros(3),
    torch.zeros(0),
    print,
    int,
    object(),
    nn.Linear(2, 2),
    Hostile(),
    Agreeable(),
    [[[]]],
    iter([1]),
    "x" * 10_000,
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda a: type(a).__name__)
@pytest.mark.parametrize(
    "check",
    [
        share_of,
        lambda a: right("") if as_fraction(a) == 0.25 else wrong("No."),
        lambda a: right("") if as_choice(a, ["probe"]) else wrong("No."),
        lambda a: right("") if as_mapping(a, ["x", "y"]) else wrong("No."),
        lambda a: right("") if as_numbers(a, length=3)[0] == 1 else wrong("No."),
        lambda a: right("") if as_tensor(a, shape=(2, None)).sum() > 9 else wrong("No."),
        lambda a: right("") if as_model(a) else wrong("No."),
        lambda a: right("") if a.x["y"].shape[0] > 3 else wrong("No."),
    ],
    ids=["share", "fraction", "choice", "mapping", "numbers", "tensor", "model", "careless"],
)
def test_no_answer_crashes_a_check_nor_passes_it(check, answer):
    exercises.register(exercise(check))
    feedback = exercises.check("counting-ex1", answer)
    assert not feedback.passed
    assert feedback.message
    repr(feedback)
    feedback._repr_html_()


def test_random_numbers_do_not_pass():
    exercises.register(exercise())
    draws = np.random.default_rng(0).normal(size=200)
    assert not any(exercises.check("counting-ex1", draw).passed for draw in draws)


@pytest.mark.parametrize("answer", [0.25, np.float32(0.25), torch.tensor(0.25), np.array([0.25])])
def test_a_right_answer_passes_in_any_form(answer):
    exercises.register(exercise())
    feedback = exercises.check("counting-ex1", answer)
    assert feedback.passed
    assert repr(feedback) == "Right. So it is."


@pytest.mark.parametrize(
    ("answer", "misconception", "message"),
    [
        (25, "percent for fraction", "divide by 100"),
        (0.3, None, "Count again"),
        ("much", "another kind of answer", "Expected a fraction from 0 to 1, got 'much'"),
        ([0.25] * 2, "another kind of answer", "got a list of 2"),
        (None, None, 'Expected a fraction from 0 to 1. For a hint: exercises.hint("counting-ex1"'),
        (..., None, 'exercises.hint("counting-ex1", 1).'),
    ],
)
def test_a_wrong_answer_is_told_what_it_is(answer, misconception, message):
    exercises.register(exercise())
    feedback = exercises.check("counting-ex1", answer)
    assert (feedback.passed, feedback.misconception) == (False, misconception)
    assert message in feedback.message


def test_feedback_is_html_that_does_not_rely_on_colour():
    page = wrong("a < b", misconception="percent for fraction")._repr_html_()
    assert "<strong>Not yet.</strong> <em>percent for fraction.</em> a &lt; b" in page
    assert "<strong>Right.</strong>" in right("Yes.")._repr_html_()
    assert repr(wrong("No.", misconception="leak")) == "Not yet. (leak) No."


def test_in_a_build_a_solution_that_fails_breaks_it(monkeypatch, tmp_path):
    exercises.register(exercise())
    monkeypatch.setenv("COMPANION_RESULTS", str(tmp_path))
    assert exercises.check("counting-ex1", 0.25).passed
    with pytest.raises(ExerciseFailed, match="solution of counting-ex1: got Not yet. Count again"):
        exercises.check("counting-ex1", 0.5)
    with pytest.raises(ExerciseFailed) as caught:
        exercises.check("counting-ex1", "much")
    assert isinstance(caught.value.__cause__, WrongKind)


def test_no_answer_is_neither_right_nor_wrong():
    exercises.register(exercise())
    feedback = exercises.check("counting-ex1", ...)
    told = 'Expected a fraction from 0 to 1. For a hint: exercises.hint("counting-ex1", 1).'
    assert repr(feedback) == f"No answer yet. {told}"
    assert "<strong>No answer yet.</strong> Expected" in feedback._repr_html_()
    assert not feedback.passed
    exercises.register(exercise(id="counting-ex2", hints=()))
    assert repr(exercises.check("counting-ex2")) == (
        "No answer yet. Expected a fraction from 0 to 1."
    )


def test_in_a_build_the_empty_cell_passes_once_and_no_solution_is_forgotten(monkeypatch, tmp_path):
    exercises.register(exercise())
    exercises.register(exercise(id="counting-ex2"))
    monkeypatch.setenv("COMPANION_RESULTS", str(tmp_path))
    assert exercises.check("counting-ex1", ...).is_empty
    assert exercises.check("counting-ex2", ...).is_empty
    with pytest.raises(ExerciseFailed, match="solution of counting-ex1: got No answer yet"):
        exercises.check("counting-ex1", ...)
    with pytest.raises(ExerciseFailed, match="solution of counting-ex2"):
        exercises.check("counting-ex2", None)


def test_a_check_that_returns_no_feedback_is_called_broken():
    exercises.register(exercise(lambda answer: True))
    feedback = exercises.check("counting-ex1", 1)
    assert not feedback.passed
    assert "This exercise is broken" in feedback.message


def test_unknown_exercises_are_named_with_near_ones():
    exercises.register(exercise())
    with pytest.raises(CompanionError, match="did you mean 'counting-ex1'"):
        exercises.check("countin-ex1", 1)
    with pytest.raises(CompanionError, match="exercise"):
        exercises.check(3, 1)
    with pytest.raises(CompanionError, match="which is taken"):
        exercises.register(exercise())


def test_hints_are_given_one_at_a_time():
    exercises.register(exercise())
    assert [exercises.hint("counting-ex1", n) for n in (1, 2)] == ["Count.", "Divide."]
    with pytest.raises(CompanionError, match=r"1\.\.2"):
        exercises.hint("counting-ex1", 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "counting-ex0"}, "'counting-ex<n>'"),
        ({"id": "other-ex1"}, "'counting-ex<n>'"),
        ({"kind": "guess"}, "kind"),
        ({"difficulty": "hardest"}, "did you mean 'hard'"),
        ({"minutes": 0}, "minutes"),
        ({"hints": ("a", "b", "c", "d")}, "at most 3"),
    ],
)
def test_an_exercise_is_stated_in_full(changes, message):
    with pytest.raises(CompanionError, match=message):
        exercise(**changes)


# --- readers of answers ------------------------------------------------------------------------


def test_answers_are_read_in_several_forms():
    assert as_numbers(torch.tensor([1, 2]), length=2) == [1.0, 2.0]
    assert as_numbers((1, 2.5)) == [1.0, 2.5]
    assert as_choice(" Probe ", ["probe", "full"]) == "probe"
    assert as_mapping({"a": 1}, ["a"]) == {"a": 1}
    assert as_tensor(np.ones((2, 3)), shape=(2, None)).shape == (2, 3)
    assert as_tensor(np.arange(3)[::-1], shape=(3,)).tolist() == [2, 1, 0]
    assert as_fraction(1) == 1.0


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda: as_fraction(1.5), "expected a fraction from 0 to 1, got 1.5"),
        (lambda: as_number(True), "expected a number, got True"),
        (lambda: as_number(math.inf), "that is finite"),
        (lambda: as_numbers([1, "a"]), "expected a row of numbers, got 'a'"),
        (lambda: as_numbers([1], length=2), "a row of 2 numbers, got a list of 1"),
        (lambda: as_choice("lora", ["probe"]), "one of 'probe', got 'lora'"),
        (lambda: as_mapping({"a": 1}, ["b"]), r"missing \['b'\], surplus \['a'\]"),
        (lambda: as_tensor(torch.zeros(3), shape=(2,)), r"shape \(2\), got a tensor of shape \(3,"),
        (lambda: as_tensor(torch.zeros(2, 2), shape=(2,)), "got a tensor of shape"),
        (lambda: as_tensor(np.array(["a", "b"]), shape=(2,)), "got an object of type ndarray"),
        (lambda: as_model(nn.Linear(1, 1)), "a model, or the result"),
    ],
)
def test_another_kind_of_answer_is_named(read, message):
    with pytest.raises(WrongKind, match=message):
        read()


def test_scores_are_not_a_number_but_have_some():
    labels = torch.tensor([0, 1])
    split = Split("val", ["a", "b"], labels, ("a", "b"), ("x", "y"))
    with pytest.raises(WrongKind, match="scores.accuracy"):
        as_number(evaluation.score(split, labels))


# --- misconceptions ----------------------------------------------------------------------------


def named(feedback):
    assert feedback is None or isinstance(feedback, Feedback)
    return None if feedback is None else feedback.misconception


def model_of(case):
    return Model(case.backbone, build_head(case.backbone, case.splits.train, seed=0), ("a",))


@pytest.mark.parametrize(
    ("value", "name"),
    [(0.93, None), (1.0, None), (93.1, "percent for fraction"), (100, "percent for fraction"),
     (-1, None), (250, None)],
)  # fmt: skip
def test_percent(value, name):
    assert named(misconceptions.percent(value)) == name


def scores_on(name):
    labels = torch.tensor([0, 1, 1])
    split = Split(name, ["a", "b", "c"], labels, ("a", "b", "c"), ("x", "y"))
    return evaluation.score(split, labels)


def test_choosing_on_test_is_recognised():
    assert named(misconceptions.chosen_on_test(scores_on("val"))) is None
    assert named(misconceptions.chosen_on_test(scores_on("test"))) == "chosen on test data"
    both = [scores_on("val"), scores_on("test")]
    assert named(misconceptions.chosen_on_test(both)) == "chosen on test data"


def test_reading_test_again_is_recognised(images):
    test = images.splits.test
    test.open("one")
    assert named(misconceptions.read_test_again(test)) is None
    with pytest.warns(UserWarning, match="was read before"):
        test.open("two")
    assert named(misconceptions.read_test_again(test)) == "chosen on test data"
    assert named(misconceptions.read_test_again(test, allowed=2)) is None


def test_training_scores_are_recognised():
    assert named(misconceptions.trained_on_what_is_scored(scores_on("val"))) is None
    found = misconceptions.trained_on_what_is_scored(scores_on("train"))
    assert named(found) == "training accuracy for test accuracy"


def test_a_frozen_head_is_recognised_in_model_and_ledger(images):
    model = model_of(images)
    assert named(misconceptions.head_frozen(model)) is None
    assert named(misconceptions.head_frozen(layer_groups.ledger(model))) is None
    layer_groups.freeze_(model, ["head"])
    assert named(misconceptions.head_frozen(model)) == "the head was frozen too"
    assert named(misconceptions.head_frozen(layer_groups.ledger(model))) == (
        "the head was frozen too"
    )


def test_a_backbone_that_was_not_frozen_is_recognised(images):
    model = model_of(images)
    assert named(misconceptions.backbone_trained(model)) == "the backbone was not frozen"
    layer_groups.freeze_(model, images.backbone.group_names)
    assert named(misconceptions.backbone_trained(model)) is None


def test_statistics_that_moved_are_recognised():
    norm = nn.BatchNorm1d(2)
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    assert named(misconceptions.batch_norm_moved(before, norm.state_dict())) is None
    with torch.no_grad():
        norm.weight += 1
    assert named(misconceptions.batch_norm_moved(before, norm.state_dict())) is None
    norm(torch.randn(8, 2))
    found = misconceptions.batch_norm_moved(before, norm.state_dict())
    assert named(found) == "batch-norm statistics moved"


class Elsewhere(torch.Tensor):
    """A tensor that, as one on another device, is compared with others on the CPU only."""

    def cpu(self):
        return self.as_subclass(torch.Tensor)

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function in (torch.equal, torch.allclose):
            raise RuntimeError("Expected all tensors to be on the same device")
        return super().__torch_function__(function, types, args, kwargs)


def test_states_on_two_devices_are_compared():
    state = nn.BatchNorm1d(2).state_dict()
    there = {name: value.clone().as_subclass(Elsewhere) for name, value in state.items()}
    moved = {name: value + 1 for name, value in there.items()}
    for first, second in ((state, there), (there, state)):
        assert named(misconceptions.batch_norm_moved(first, second)) is None
        assert image_checks._differing(first, second) == []
    assert named(misconceptions.batch_norm_moved(state, moved)) == "batch-norm statistics moved"
    assert image_checks._differing(moved, state) == sorted(state)


def test_forgotten_eval_mode_is_recognised():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    assert named(misconceptions.eval_mode_forgotten(model)) == "forgot eval mode"
    assert named(misconceptions.eval_mode_forgotten(model.eval())) is None
    assert named(misconceptions.eval_mode_forgotten(nn.Linear(2, 2))) is None


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda x: (x - 0.25) / 0.33, None),
        (lambda x: x, "wrong normalisation"),
        (lambda x: x * 255, "wrong normalisation"),
        (lambda x: (x * 255 - 0.25) / 0.33, "wrong normalisation"),
        (lambda x: (x - 0.25) / 0.05, "wrong normalisation"),
    ],
)
def test_wrong_normalisation_is_recognised(change, name):
    pixels = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    found = misconceptions.wrong_normalisation(change(pixels), mean=(0.25,), std=(0.33,))
    assert named(found) == name


def test_leakage_is_recognised():
    assert named(misconceptions.leakage(["a", "b"], ["c"])) is None
    found = misconceptions.leakage(["a", "b"], ["b", "c"])
    assert named(found) == "leakage between training and test"
    assert "'b'" in found.message or " b." in found.message


def test_seeds_that_were_not_varied_are_recognised():
    assert named(misconceptions.seeds_not_varied([0.9, 0.9, 0.9])) == "seeds not varied"
    assert named(misconceptions.seeds_not_varied([0.9, 0.91, 0.9])) is None
    assert named(misconceptions.seeds_not_varied([0.9])) is None


def test_the_majority_taken_for_skill_is_recognised():
    labels = torch.tensor([0] * 90 + [1] * 10)
    assert named(misconceptions.majority_mistaken(0.9, labels)) == "majority class taken for skill"
    assert named(misconceptions.majority_mistaken(0.95, labels)) is None


def test_counted_padding_is_recognised():
    labels = torch.tensor([[0, 1, -100, -100], [1, 1, 0, -100]])
    predictions = torch.tensor([[0, 0, 0, 0], [1, 1, 1, 1]])
    assert named(misconceptions.padding_counted(3 / 5, predictions, labels)) is None
    assert named(misconceptions.padding_counted(3 / 8, predictions, labels)) == "padding counted"
    assert named(misconceptions.padding_counted(6 / 8, predictions, labels)) == "padding counted"
    assert named(misconceptions.padding_counted(0.1, predictions, labels)) is None


def test_every_detector_is_tested_here():
    with open(__file__, encoding="utf-8") as file:
        text = file.read()
    assert len(misconceptions.__all__) >= 13
    for name in misconceptions.__all__:
        assert f"misconceptions.{name}(" in text or f"misconceptions.{name}," in text, name


def test_mistakes_belong_to_their_exercise():
    mistake = exercises.Mistake("percent for fraction", lambda: 25)
    one = exercise(mistakes=(mistake,))
    exercises.register(one)
    feedback = exercises.check(one.id, one.mistakes[0].answer())
    assert feedback.misconception == mistake.misconception
    assert dataclasses.replace(one, minutes=3).name == "counting-ex1"
