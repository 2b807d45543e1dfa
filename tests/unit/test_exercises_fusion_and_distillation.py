"""The exercises on fusion and distillation: correct approaches pass, others are told apart."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, kl_div

from companion.exercises import check
from companion.exercises.fusion_and_distillation.checks import AMBIGUITY, ERRORS
from companion.exercises.fusion_and_distillation.mistakes import first_level, fuse, lesson
from companion.objectives import soft_target_loss, soft_targets

IDS = [f"fusion-and-distillation-ex{number}" for number in range(1, 5)]


@pytest.mark.parametrize("answer", [0.19, np.float64(0.19), torch.tensor(0.19), 0.1905])
def test_error_less_ambiguity_is_right(answer):
    assert check(IDS[0], answer).passed


def test_the_stated_score_is_that_of_the_decomposition():
    """Members on a line around their mean, with the errors of the exercise, obey the identity."""
    assert check(IDS[0], np.mean(ERRORS) - AMBIGUITY).passed
    generator = np.random.default_rng(0)
    members, truth = generator.normal(size=(5, 7)), generator.normal(size=7)
    error = ((members.mean(axis=0) - truth) ** 2).mean()
    spread = ((members - members.mean(axis=0)) ** 2).mean()
    assert np.isclose(error, ((members - truth) ** 2).mean() - spread)


def by_logarithms(first, second):
    logs = (np.log(np.asarray(first)) + np.log(np.asarray(second))) / 2
    return np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)


def only_numpy(first, second):
    if not isinstance(first, np.ndarray):
        raise TypeError("arrays only")
    return by_logarithms(first, second)


def only_torch(first, second):
    return ((first.log() + second.log()) / 2).softmax(dim=1)


@pytest.mark.parametrize("answer", [fuse("geometric"), by_logarithms, only_numpy, only_torch])
def test_every_way_to_the_geometric_mean_is_right(answer):
    assert check(IDS[1], answer).passed


def test_a_function_that_always_says_the_same_is_wrong():
    assert not check(IDS[1], lambda first, second: torch.full((6, 4), 0.25)).passed
    assert not check(IDS[1], lambda first, second: first).passed


def by_cross_entropy(student, teacher, temperature):
    q = soft_targets(teacher.detach(), temperature=temperature)
    return temperature**2 * cross_entropy(student / temperature, q)


def by_divergence(student, teacher, temperature):
    with torch.no_grad():
        q = (teacher / temperature).softmax(dim=1)
    log_p = (student / temperature).log_softmax(dim=1)
    return temperature**2 * kl_div(log_p, q, reduction="batchmean")


def from_companion(student, teacher, temperature):
    return soft_target_loss(student, teacher, temperature=temperature)


@pytest.mark.parametrize("answer", [lesson(), by_cross_entropy, by_divergence, from_companion])
def test_a_loss_is_right_whatever_its_constant(answer):
    assert check(IDS[2], answer).passed


def test_the_loss_of_the_chapter_has_all_three_faults():
    def broken(student, teacher, temperature):
        q = (teacher / temperature).softmax(dim=1)
        return (q * (q.log() - student.log_softmax(dim=1))).sum(dim=1).mean()

    feedback = check(IDS[2], broken)
    assert feedback.misconception == "the teacher is trained too"
    still = check(IDS[2], lambda s, t, tau: broken(s, t.detach(), tau))
    assert still.misconception == "the student is asked at another temperature"


def test_a_loss_that_ignores_the_student_or_is_unlike_is_wrong():
    assert not check(IDS[2], lambda s, t, tau: (s**2).mean()).passed
    assert not check(IDS[2], lambda s, t, tau: torch.zeros(())).passed
    feedback = check(IDS[2], lambda s, t, tau: s - t.detach())
    assert feedback.misconception == "another kind of answer"


@pytest.mark.parametrize("form", [np.asarray, torch.tensor, lambda table: table.astype("float32")])
def test_out_of_fold_answers_are_right_in_any_form(form):
    assert check(IDS[3], form(first_level())).passed


def test_other_folds_are_right_too():
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeClassifier

    data = load_breast_cancer(return_X_y=True)
    models = (
        DecisionTreeClassifier(random_state=3),
        make_pipeline(StandardScaler(), LogisticRegression()),
    )
    table = [cross_val_predict(m, *data, cv=10, method="predict_proba")[:, 1] for m in models]
    assert check(IDS[3], np.stack(table, axis=1)).passed


def test_random_and_constant_tables_are_wrong():
    generator = np.random.default_rng(0)
    for table in (generator.random((569, 2)), np.full((569, 2), 0.6), np.full((569, 2), np.nan)):
        assert not check(IDS[3], table).passed
