"""The exercises of `foundations/evaluation`."""

from companion.exercises.evaluation.checks import (
    check_folds,
    check_rare_defect,
    check_seeds_needed,
    check_wines,
    seeds_needed,
)
from companion.exercises.evaluation.mistakes import folds, wines
from companion.exercises.framework import Exercise, Mistake, register

__all__: list[str] = []

CHAPTER = "foundations/evaluation"

register(
    Exercise(
        id="evaluation-ex1",
        chapter=CHAPTER,
        kind="predict",
        minutes=5,
        difficulty="easy",
        expects="a fraction from 0 to 1",
        check=check_rare_defect,
        hints=(
            "Imagine ten thousand parts. How many have a defect, and how many of those ring?",
            "How many of the good ones ring? Divide the first by both together.",
        ),
        mistakes=(
            Mistake("recall taken for precision", lambda: 0.9),
            Mistake("prevalence forgotten", lambda: 0.9 / 0.95),
            Mistake("accuracy taken for precision", lambda: 0.9495),
            Mistake("all that rings", lambda: 0.0585),
            Mistake("percent for fraction", lambda: 15.4),
            Mistake("another kind of answer", lambda: "unlikely"),
            Mistake(None, lambda: 0.5),
        ),
    )
)
register(
    Exercise(
        id="evaluation-ex2",
        chapter=CHAPTER,
        kind="change",
        minutes=10,
        difficulty="medium",
        expects="a number of seeds",
        check=check_seeds_needed,
        hints=(
            "power(effect, num_seeds) takes the effect in standard deviations of the differences.",
            "Half the effect needs about four times the seeds.",
        ),
        mistakes=(
            Mistake("the normal in place of Student's t", lambda: 32),
            Mistake("two groups instead of pairs", lambda: 64),
            Mistake("tested on one side", lambda: seeds_needed(0.5, level=0.1)),
            Mistake("enough for an interval taken for enough", lambda: 5),
            Mistake("another effect", lambda: seeds_needed(1.0)),
            Mistake("another kind of answer", lambda: "many"),
            Mistake(None, lambda: 1000),
        ),
    )
)
register(
    Exercise(
        id="evaluation-ex3",
        chapter=CHAPTER,
        kind="repair",
        minutes=15,
        difficulty="medium",
        expects="a list of pairs (train, judged) of splits",
        check=check_folds,
        hints=(
            "Deal out faces, not pictures. split.groups has the face of each picture.",
            "split.subset(positions) makes a split of some of the pictures.",
            "scikit-learn's GroupKFold deals out groups.",
        ),
        mistakes=(
            Mistake(
                "leakage between training and test", lambda: folds([0, 1], train=[0, 2, 3, 4, 5])
            ),
            Mistake("pictures dealt out instead of faces", lambda: folds([0, 2, 4], [1, 3, 5])),
            Mistake("only a part was judged", lambda: folds([0, 1])),
            Mistake("judged more than once", lambda: folds([0, 1, 2, 3], [4, 5, 2, 3])),
            Mistake("another kind of answer", lambda: [([0, 1], [2, 3])]),
        ),
    )
)
register(
    Exercise(
        id="evaluation-ex4",
        chapter=CHAPTER,
        kind="transfer",
        minutes=20,
        difficulty="medium",
        expects="a dictionary from three methods to fifty accuracies each",
        check=check_wines,
        hints=(
            "METHODS and folds of this chapter can be used as they are.",
            "cross_val_score returns accuracies on the fold that was held out.",
        ),
        mistakes=(
            Mistake("percent for fraction", lambda: wines(40.0)),
            Mistake("folds not repeated", lambda: wines(num=5, top=0.9)),
            Mistake("scores of another dataset", lambda: wines(1 / 3, top=0.9)),
            Mistake("training accuracy for test accuracy", lambda: wines()),
            Mistake("columns not scaled", lambda: wines(near=0.7, top=0.9)),
            Mistake("another kind of answer", lambda: {"majority": 0.4}),
            Mistake(None, lambda: wines(num=40, top=0.9)),
        ),
    )
)
