"""The exercises of `vision/medical-imaging`."""

from companion.exercises.framework import Exercise, Mistake, register
from companion.exercises.medical_imaging.checks import (
    check_needed_specificity,
    check_split,
    check_thresholds,
    check_tumours,
)
from companion.exercises.medical_imaging.mistakes import (
    split_by_item,
    split_of_one_patient,
    split_that_keeps_all,
    split_that_loses,
    tumours,
)

__all__: list[str] = []

CHAPTER = "vision/medical-imaging"

register(
    Exercise(
        id="medical-imaging-ex1",
        chapter=CHAPTER,
        kind="predict",
        minutes=5,
        difficulty="easy",
        expects="a fraction from 0 to 1",
        check=check_needed_specificity,
        hints=(
            "Imagine ten thousand people. How many are sick, and how many of these are found?",
            "As many healthy people may get a positive answer. Which share of the healthy is that?",
        ),
        mistakes=(
            Mistake("false alarms for specificity", lambda: 0.9 * 0.01 / 0.99),
            Mistake("prevalence forgotten", lambda: 0.5),
            Mistake("prevalence forgotten", lambda: 0.1),
            Mistake("one minus the prevalence", lambda: 0.99),
            Mistake("specificity like sensitivity", lambda: 0.9),
            Mistake("percent for fraction", lambda: 99.09),
            Mistake("another kind of answer", lambda: "very"),
            Mistake(None, lambda: 0.97),
        ),
    )
)
register(
    Exercise(
        id="medical-imaging-ex2",
        chapter=CHAPTER,
        kind="change",
        minutes=10,
        difficulty="easy",
        expects="a dictionary from 1, 4 and 99 to thresholds",
        check=check_thresholds,
        hints=(
            "The equation of the threshold has the cost of a false alarm above the line.",
            "The dearer a miss, the sooner one calls. Do your thresholds fall?",
        ),
        mistakes=(
            Mistake("costs exchanged", lambda: {m: m / (1 + m) for m in (1, 4, 99)}),
            Mistake("odds for probability", lambda: {m: 1 / m for m in (1, 4, 99)}),
            Mistake("threshold left at one half", lambda: dict.fromkeys((1, 4, 99), 0.5)),
            Mistake("costs of the chapter", lambda: dict.fromkeys((1, 4, 99), 1 / 21)),
            Mistake("another kind of answer", lambda: [0.5, 0.2, 0.01]),
            Mistake(None, lambda: {1: 0.5, 4: 0.3, 99: 0.01}),
        ),
    )
)
register(
    Exercise(
        id="medical-imaging-ex3",
        chapter=CHAPTER,
        kind="repair",
        minutes=15,
        difficulty="medium",
        expects="a function of a split and a seed that returns train and val",
        check=check_split,
        hints=(
            "What do two neighbouring cells of a slide have in common?",
            "Draw patients, not cells; `split.groups` has the patient of each cell. `hold_out` "
            "has an option for it.",
            "Every cell must be in one of the two parts, none may be lost.",
        ),
        mistakes=(
            Mistake("patients on both sides", lambda: split_by_item),
            Mistake("cells are lost", lambda: split_that_loses),
            Mistake("cells are in both parts", lambda: split_that_keeps_all),
            Mistake("too little to judge by", lambda: split_of_one_patient),
            Mistake("another kind of answer", lambda: (1, 2)),
        ),
    )
)
register(
    Exercise(
        id="medical-imaging-ex4",
        chapter=CHAPTER,
        kind="transfer",
        minutes=20,
        difficulty="hard",
        expects="a dictionary with threshold, sensitivity and specificity",
        check=check_tumours,
        hints=(
            "`load_breast_cancer(return_X_y=True)` calls the benign ones 1.",
            "`make_pipeline(StandardScaler(), LogisticRegression())` learns its scale from the "
            "training rows only.",
            "`evaluation.threshold_for_specificity` on the validation rows, "
            "`evaluation.decision_rates` on test.",
        ),
        mistakes=(
            Mistake("threshold chosen on test", lambda: tumours(chosen_on="test")),
            Mistake("threshold chosen on train", lambda: tumours(chosen_on="train")),
            Mistake("benign taken for positive", lambda: tumours(positive=1)),
            Mistake("threshold left at one half", lambda: tumours(threshold=0.5)),
            Mistake("judged on validation", lambda: tumours(judged_on="val")),
            Mistake("another kind of answer", lambda: 0.95),
            Mistake(None, lambda: {"threshold": 0.3, "sensitivity": 0.9, "specificity": 0.9}),
        ),
    )
)
