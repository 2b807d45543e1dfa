"""The exercises of `vision/faces-and-metric-learning`."""

from companion.exercises.faces_and_metric_learning.checks import (
    check_door,
    check_embedded_digits,
    check_margin_alone,
    check_repaired_report,
)
from companion.exercises.faces_and_metric_learning.mistakes import (
    digit_embeddings,
    margins,
    one_hot_digits,
    reporter,
)
from companion.exercises.framework import Exercise, Mistake, register

__all__: list[str] = []

CHAPTER = "vision/faces-and-metric-learning"

register(
    Exercise(
        id="faces-and-metric-learning-ex1",
        chapter=CHAPTER,
        kind="predict",
        minutes=5,
        difficulty="easy",
        expects="a probability",
        check=check_door,
        hints=(
            "The door stays shut only if all comparisons are right.",
            "Each is right with probability 1 - f.",
        ),
        mistakes=(
            Mistake("the gallery's size left out", lambda: 0.001),
            Mistake("rates added up", lambda: 1.0),
            Mistake("the other event", lambda: 0.999**1000),
            Mistake("another kind of answer", lambda: "high"),
            Mistake(None, lambda: 0.5),
        ),
    )
)
register(
    Exercise(
        id="faces-and-metric-learning-ex2",
        chapter=CHAPTER,
        kind="change",
        minutes=10,
        difficulty="medium",
        expects="a dictionary from the margins 0 and 0.5 to ArcFace losses",
        check=check_margin_alone,
        hints=(
            "What else is in such a loss besides its margin? Look at its parameters.",
            "runtime.fork_seed(seed, name) gives both the same random vectors.",
        ),
        mistakes=(
            Mistake("other class vectors", lambda: margins(seeds=(0, 1))),
            Mistake("the scale was changed too", lambda: margins(scales=(64.0, 30.0))),
            Mistake("the margin was not changed", lambda: margins(values=(0.5, 0.5))),
            Mistake("other sizes", lambda: margins(num_classes=12)),
            Mistake("another kind of answer", lambda: {0.0: 1.0, 0.5: 2.0}),
        ),
    )
)
register(
    Exercise(
        id="faces-and-metric-learning-ex3",
        chapter=CHAPTER,
        kind="repair",
        minutes=15,
        difficulty="medium",
        expects="a function of similarities and kinds of val and test, and a limit",
        check=check_repaired_report,
        hints=(
            "Which pairs may choose the threshold?",
            "The FAR is a share of the impostor pairs. Of which pairs is the quantile taken?",
            "evaluation.threshold_at and evaluation.rates_at do both.",
        ),
        mistakes=(
            Mistake("chosen on test data", lambda: reporter(on_test=True)),
            Mistake("quantile of all pairs", lambda: reporter(of_all=True)),
            Mistake("the unlike are accepted", lambda: reporter(is_turned=True)),
            Mistake("the rates in another order", lambda: reporter(is_swapped=True)),
            Mistake("another kind of answer", lambda: 0.01),
        ),
    )
)
register(
    Exercise(
        id="faces-and-metric-learning-ex4",
        chapter=CHAPTER,
        kind="transfer",
        minutes=20,
        difficulty="medium",
        expects="embeddings of the pool of handwritten digits, a tensor of 1000 rows",
        check=check_embedded_digits,
        hints=(
            "Which network of this book has seen strokes, and no digit?",
            "embedding.EmbeddingNet without a projection, and embedding.embed.",
        ),
        mistakes=(
            Mistake("labels of the target used", one_hot_digits),
            Mistake("rows in another order", lambda: digit_embeddings().flip(0)),
            Mistake("untrained network", lambda: digit_embeddings(pretrained=False)),
            Mistake("another kind of answer", lambda: digit_embeddings()[:100]),
        ),
    )
)
