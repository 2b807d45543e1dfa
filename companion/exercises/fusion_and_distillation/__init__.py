"""The exercises of `foundations/fusion-and-distillation`."""

from companion.exercises.framework import Exercise, Mistake, register
from companion.exercises.fusion_and_distillation.checks import (
    check_first_level,
    check_geometric_mean,
    check_repaired_loss,
    check_score_of_the_mean,
)
from companion.exercises.fusion_and_distillation.mistakes import first_level, fuse, lesson

__all__: list[str] = []

CHAPTER = "foundations/fusion-and-distillation"

register(
    Exercise(
        id="fusion-and-distillation-ex1",
        chapter=CHAPTER,
        kind="predict",
        minutes=5,
        difficulty="easy",
        expects="a Brier score",
        check=check_score_of_the_mean,
        hints=(
            "The ambiguity decomposition holds for every item, so for the mean over items.",
            "The first term is the mean of the five errors.",
        ),
        mistakes=(
            Mistake("the mean of the members taken for the member of means", lambda: 0.25),
            Mistake("ambiguity added", lambda: 0.31),
            Mistake("the best member taken for the ensemble", lambda: 0.15),
            Mistake("ambiguity taken from the best member", lambda: 0.09),
            Mistake("ambiguity divided by the number of members", lambda: 0.25 - 0.06 / 5),
            Mistake("percent for fraction", lambda: 19),
            Mistake("another kind of answer", lambda: "lower"),
            Mistake(None, lambda: 0.5),
        ),
    )
)
register(
    Exercise(
        id="fusion-and-distillation-ex2",
        chapter=CHAPTER,
        kind="change",
        minutes=10,
        difficulty="medium",
        expects="a function of two tables of probabilities",
        check=check_geometric_mean,
        hints=(
            "The exponential of the mean of the logarithms.",
            "Rows must sum to one afterwards.",
        ),
        mistakes=(
            Mistake("still the arithmetic mean", lambda: fuse("arithmetic")),
            Mistake("rows do not sum to one", lambda: fuse("not normalised")),
            Mistake("product without the root", lambda: fuse("product")),
            Mistake("logarithms for probabilities", lambda: fuse("logarithms")),
            Mistake("normalised over the items", lambda: fuse("columns")),
            Mistake("another kind of answer", lambda: 0.9),
        ),
    )
)
register(
    Exercise(
        id="fusion-and-distillation-ex3",
        chapter=CHAPTER,
        kind="repair",
        minutes=15,
        difficulty="medium",
        expects="a function of student logits, teacher logits and a temperature",
        check=check_repaired_loss,
        hints=(
            "At which temperature is the student asked, and at which the teacher?",
            "Which tensor may receive a gradient?",
            "What keeps the gradient from shrinking as the temperature grows?",
        ),
        mistakes=(
            Mistake("the teacher is trained too", lambda: lesson(is_detached=False)),
            Mistake("the student is asked at another temperature", lambda: lesson(asks_student=1)),
            Mistake("the gradient shrinks with the temperature", lambda: lesson(power=0)),
            Mistake("the gradient shrinks with the temperature", lambda: lesson(power=1)),
            Mistake("divergence the wrong way round", lambda: lesson(is_turned=True)),
            Mistake("the student gets no gradient", lambda: lesson(has_gradient=False)),
            Mistake("sum for mean", lambda: lesson(is_sum=True)),
            Mistake("another kind of answer", lambda: 0.9),
        ),
    )
)
register(
    Exercise(
        id="fusion-and-distillation-ex4",
        chapter=CHAPTER,
        kind="transfer",
        minutes=20,
        difficulty="hard",
        expects="probabilities, one row a tumour, two columns",
        check=check_first_level,
        hints=(
            "Which classifier may answer for a tumour: one that was trained on it?",
            "cross_val_predict returns answers in the order of the data.",
        ),
        mistakes=(
            Mistake("answers learned by heart", lambda: first_level(is_in_fold=True)),
            Mistake("classes for probabilities", lambda: first_level(method="predict")),
            Mistake("rows in another order", lambda: first_level(is_in_order=False)),
            Mistake("probabilities of the other class", lambda: 1 - first_level()),
            Mistake("columns swapped", lambda: first_level()[:, ::-1]),
            Mistake("another kind of answer", lambda: first_level()[:100]),
        ),
    )
)
