"""The exercises of `foundations/why-transfer`."""

from companion.exercises.framework import Exercise, Mistake, register
from companion.exercises.why_transfer.checks import (
    check_nonsense_labels,
    check_other_way_round,
    check_steps_to,
    check_upside_down,
)
from companion.exercises.why_transfer.mistakes import (
    accuracies_of_scratch,
    equivalents,
    last_reaching,
    never_is_zero,
    position,
    step_of_best,
    strictly_above,
    turned,
)

__all__: list[str] = []

CHAPTER = "foundations/why-transfer"

register(
    Exercise(
        id="why-transfer-ex1",
        chapter=CHAPTER,
        kind="predict",
        minutes=10,
        difficulty="easy",
        expects="two fractions: the accuracy on the training images, and the one on val",
        check=check_nonsense_labels,
        hints=(
            "How many weights has the network, and how many images are there?",
            "Is there anything in these labels that could help with a new image?",
            "dataclasses.replace(split, labels=...) is a split with other labels.",
        ),
        mistakes=(
            Mistake("wrong labels cannot be learned", lambda: [0.1, 0.1]),
            Mistake("the source knows the labels", lambda: [1.0, 0.9]),
            Mistake("train and val exchanged", lambda: [0.1, 1.0]),
            Mistake("percent for fraction", lambda: [100, 10]),
            Mistake("another kind of answer", lambda: 1.0),
        ),
    )
)
register(
    Exercise(
        id="why-transfer-ex2",
        chapter=CHAPTER,
        kind="change",
        minutes=10,
        difficulty="medium",
        expects="a dictionary from 10, 20, 40 and 80 to labels a class with transfer",
        check=check_other_way_round,
        hints=(
            "report.labels_from_scratch_equal has two more options than the chapter used.",
            "What is equalled is `strategy`; what is to equal it is `baseline`.",
        ),
        mistakes=(
            Mistake("the question was not turned round", lambda: equivalents("full", "scratch")),
            Mistake("compared with itself", lambda: equivalents("scratch", "scratch")),
            Mistake(
                "labels of all classes together",
                lambda: {k: 10 * v.labels for k, v in equivalents("scratch", "full").items()},
            ),
            Mistake("accuracy for labels", accuracies_of_scratch),
            Mistake("another kind of answer", lambda: [2.0, 4.0, 8.0, 16.0]),
        ),
    )
)
register(
    Exercise(
        id="why-transfer-ex3",
        chapter=CHAPTER,
        kind="repair",
        minutes=10,
        difficulty="medium",
        expects="a function of a curve and a goal",
        check=check_steps_to,
        hints=(
            "Try it on [(0, 0.1), (5, 0.7), (10, 0.6), (15, 0.9)] with the goal 0.6.",
            "What does it say where the goal is never reached, or just met?",
        ),
        mistakes=(
            Mistake("position for step", lambda: position),
            Mistake("the best for the first", lambda: step_of_best),
            Mistake("never reached told as a number", lambda: never_is_zero),
            Mistake("a goal just met does not count", lambda: strictly_above),
            Mistake(None, lambda: last_reaching),
            Mistake("another kind of answer", lambda: 5),
        ),
    )
)
register(
    Exercise(
        id="why-transfer-ex4",
        chapter=CHAPTER,
        kind="transfer",
        minutes=20,
        difficulty="hard",
        expects="a dictionary with the keys 'pixels' and 'letters', one accuracy a seed each",
        check=check_upside_down,
        hints=(
            "images.flip((-2, -1)) turns images by half a circle.",
            "Start from try_directly. What does turning do to the distance between two images?",
        ),
        mistakes=(
            Mistake("nothing was turned", lambda: turned(train=False, val=False)),
            Mistake("only one side was turned", lambda: turned(train=False)),
            Mistake("training accuracy for test accuracy", lambda: turned(scored_on_train=True)),
            Mistake("seeds not varied", lambda: turned(seeds=(0, 0, 0, 0, 0))),
            Mistake("fewer than five seeds", lambda: turned(seeds=(0, 1))),
            Mistake(
                "percent for fraction",
                lambda: {k: [100 * a for a in v] for k, v in turned().items()},
            ),
            Mistake("another kind of answer", lambda: {"pixels": 0.8, "letters": 0.9}),
        ),
    )
)
