"""The exercises of the chapter on medical images: solutions pass, mistakes are named."""

import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score, roc_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from companion.exercises import check
from companion.exercises.medical_imaging.checks import patients_split, tumour_answer
from companion.splits import hold_out

IDS = [f"medical-imaging-ex{number}" for number in range(1, 5)]


def test_the_specificity_by_counting_people():
    found, healthy = 100 * 9 // 10, 9_900
    assert check(IDS[0], 1 - found / healthy).passed


def test_the_thresholds_by_trying_all():
    answer = {}
    for miss in (1, 4, 99):
        calls = [p / 10_000 for p in range(1, 10_000) if 1 - p / 10_000 <= miss * p / 10_000]
        answer[miss] = round(min(calls), 4)
    assert answer == {1: 0.5, 4: 0.2, 99: 0.01}
    assert check(IDS[1], answer).passed


def test_a_split_by_patient_passes_and_the_groups_are_needed():
    def by_patient(split, seed):
        return hold_out(split, share=0.2, seed=seed, grouped=True)

    assert check(IDS[2], by_patient).passed
    pool = patients_split()
    assert len(set(pool.groups)) == 12
    assert 0 < int(pool.labels.sum()) < 30


def test_the_tumours_with_scikit_learn_alone():
    rows, benign = load_breast_cancer(return_X_y=True)
    malignant = benign == 0
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows[:300], malignant[:300])
    scores = model.predict_proba(rows)[:, 1]
    rate, _, thresholds = roc_curve(malignant[300:400], scores[300:400], drop_intermediate=False)
    threshold = thresholds[rate <= 0.05][-1]
    called = scores[400:] >= threshold
    answer = {
        "threshold": threshold,
        "sensitivity": recall_score(malignant[400:], called),
        "specificity": recall_score(malignant[400:], called, pos_label=False),
    }
    assert answer == pytest.approx(tumour_answer())
    assert check(IDS[3], answer).passed


def test_the_usual_mistakes_differ_from_the_answer():
    wanted = tumour_answer()
    for options in (
        {"chosen_on": "test"},
        {"chosen_on": "train"},
        {"positive": 1},
        {"threshold": 0.5},
        {"judged_on": "val"},
    ):
        other = tumour_answer(**options)
        assert any(abs(other[name] - wanted[name]) > 5e-3 for name in wanted), options
