"""The exercises of `vision/image-classification`."""

from companion.exercises.framework import Exercise, Mistake, register
from companion.exercises.image_classification.checks import (
    ALPHAS,
    check_mixtures,
    check_rare_class,
    check_repaired_probe,
    check_steps_of_the_stem,
)
from companion.exercises.image_classification.mistakes import (
    mixture,
    mixtures_without,
    probe_by_hand,
    scores,
)

__all__: list[str] = []

CHAPTER = "vision/image-classification"

register(
    Exercise(
        id="image-classification-ex1",
        chapter=CHAPTER,
        kind="predict",
        minutes=5,
        difficulty="easy",
        expects="a number of steps",
        check=check_steps_of_the_stem,
        hints=(
            "How many phases has the strategy for a backbone with five layer groups and a head?",
            "In which of them is the stem not frozen?",
        ),
        mistakes=(
            Mistake("everything unfrozen at once", lambda: 60),
            Mistake("unfrozen from the input to the head", lambda: 50),
            Mistake("the head's own phase forgotten", lambda: 12),
            Mistake("another kind of answer", lambda: "in the last phase"),
            Mistake(None, lambda: 30),
        ),
    )
)
register(
    Exercise(
        id="image-classification-ex2",
        chapter=CHAPTER,
        kind="change",
        minutes=10,
        difficulty="medium",
        expects="a dictionary from 0, 0.5 and 1 to the results of three trainings",
        check=check_mixtures,
        hints=(
            "fit takes a plan of your own instead of a name.",
            "companion.strategies.wise_ft(groups, interpolation=alpha) returns such a plan.",
            "With alpha 0 nothing of the second phase is left.",
        ),
        mistakes=(
            Mistake("alpha not passed on", lambda: dict.fromkeys(ALPHAS, mixture(0.5))),
            Mistake(
                "alpha the wrong way round",
                lambda: {alpha: mixture(1 - alpha) for alpha in ALPHAS},
            ),
            Mistake("the head was not mixed", lambda: mixtures_without("head.")),
            Mistake("batch-norm statistics not mixed", lambda: mixtures_without(".running_")),
            Mistake(
                "the mixture does not begin at the probe",
                lambda: {0: mixture(0.4), 0.5: mixture(0.5), 1: mixture(1)},
            ),
            Mistake("not half way", lambda: {0: mixture(0), 0.5: mixture(0.3), 1: mixture(1)}),
            Mistake("another kind of answer", lambda: {0: 0.7, 0.5: 0.8, 1: 0.75}),
        ),
    )
)
register(
    Exercise(
        id="image-classification-ex3",
        chapter=CHAPTER,
        kind="repair",
        minutes=15,
        difficulty="medium",
        expects="a model with a trained head on the untouched pretrained backbone",
        check=check_repaired_probe,
        hints=(
            "Which parameters can still move after model.requires_grad_(False)?",
            "What does a forward pass in training mode do to the backbone?",
            "In which mode must a model be when it is handed over to be judged?",
        ),
        mistakes=(
            Mistake("the head was frozen too", lambda: probe_by_hand(steps=0)),
            Mistake("the backbone was not frozen", lambda: probe_by_hand(train_all=True)),
            Mistake("batch-norm statistics moved", lambda: probe_by_hand(mode="train, then eval")),
            Mistake("forgot eval mode", lambda: probe_by_hand().train()),
            Mistake("another kind of answer", lambda: 0.9),
        ),
    )
)
register(
    Exercise(
        id="image-classification-ex4",
        chapter=CHAPTER,
        kind="transfer",
        minutes=20,
        difficulty="hard",
        expects="the scores of a model on validation images",
        check=check_rare_class,
        hints=(
            "write_folder and load_dataset('folder', path=...) do the first half.",
            "result.scores are the scores on val. Which of their values sees the rare class?",
        ),
        mistakes=(
            Mistake("training accuracy for test accuracy", lambda: scores("train")),
            Mistake("chosen on test data", lambda: scores("test")),
            Mistake("majority class taken for skill", lambda: scores(num_found=0)),
            Mistake("no rare class", lambda: scores(num_rare=9, num_found=8)),
            Mistake("scores of another dataset", lambda: scores(more=8)),
            Mistake("another kind of answer", lambda: 0.94),
        ),
    )
)
