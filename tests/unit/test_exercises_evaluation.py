"""The exercises of the chapter on evaluation: solutions pass, mistakes are named."""

import dataclasses

import numpy as np
import pytest
from scipy import stats
from sklearn import datasets, model_selection
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from companion.exercises import check
from companion.exercises.evaluation.checks import LARGEST_CLASS, seeds_needed
from companion.exercises.evaluation.mistakes import folds, pictures, wines

IDS = [f"evaluation-ex{number}" for number in range(1, 5)]


def test_the_defect_by_counting_parts():
    ringing_defects, ringing_good = 10_000 // 100 * 9 // 10, 9_900 // 20
    assert check(IDS[0], ringing_defects / (ringing_defects + ringing_good)).passed


def simulated_power(effect, num_seeds, num_studies=40_000):
    """Return the share of simulated studies in which scipy's test finds the effect."""
    draws = np.random.default_rng(0).normal(effect, 1, (num_studies, num_seeds))
    return (stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05).mean()


def test_the_number_of_seeds_is_what_a_simulation_needs():
    needed = seeds_needed(0.5)
    assert check(IDS[1], needed).passed
    assert simulated_power(0.5, needed) == pytest.approx(0.807, abs=0.01)
    assert simulated_power(0.5, needed - 2) < 0.79


def test_half_the_effect_needs_about_four_times_the_seeds():
    assert seeds_needed(0.25) == pytest.approx(4 * seeds_needed(0.5), rel=0.1)


def test_folds_by_face_are_right():
    feedback = check(IDS[2], folds([0, 1], [2, 3], [4, 5]))
    assert feedback.passed
    assert "3 folds" in feedback.message


def test_folds_need_groups():
    bare = dataclasses.replace(pictures(), groups=None)
    feedback = check(IDS[2], [(bare.subset([0, 1]), bare.subset([2, 3]))])
    assert feedback.misconception == "another kind of answer"


def wine_scores(scaler):
    """Return real scores of the three methods."""
    inputs, growers = datasets.load_wine(return_X_y=True)
    methods = {
        "majority": DummyClassifier(),
        "nearest neighbours": make_pipeline(scaler, KNeighborsClassifier(5)),
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression()),
    }
    cv = model_selection.RepeatedStratifiedKFold(n_splits=5, n_repeats=10, random_state=0)
    return {
        name: model_selection.cross_val_score(method, inputs, growers, cv=cv)
        for name, method in methods.items()
    }


def test_real_wines_are_right_when_scaled_and_recognised_when_not():
    assert check(IDS[3], wine_scores(StandardScaler())).passed
    assert check(IDS[3], wine_scores("passthrough")).misconception == "columns not scaled"


def test_the_largest_grower_is_as_large_as_the_check_says():
    growers = datasets.load_wine(return_X_y=True)[1]
    assert np.bincount(growers).max() / len(growers) == LARGEST_CLASS


def test_made_up_wines_without_a_mistake_pass():
    assert check(IDS[3], wines(top=0.9)).passed
