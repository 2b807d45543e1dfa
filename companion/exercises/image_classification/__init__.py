"""The exercises of `vision/image-classification`."""

from companion.exercises.framework import Exercise, Mistake, register
from companion.exercises.image_classification.checks import (
    ALPHAS,
    check_mixtures,
    check_repaired_probe,
    check_steps_of_the_stem,
)
from companion.exercises.image_classification.mistakes import (
    head_left_alone,
    mixture,
    mixtures_by_name,
    mixtures_without,
    probe_by_hand,
    probe_with_a_head_of_another,
    runs,
    scores,
    statistics_left_alone,
)
from companion.exercises.image_classification.rare_class import check_rare_class

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
            "In which of them is the stem not frozen? `history.phases` names each phase with the "
            "step at which it begins.",
        ),
        mistakes=(
            Mistake("everything unfrozen at once", lambda: 60),
            Mistake("unfrozen from the input to the head", lambda: 50),
            Mistake("the head's own phase forgotten", lambda: 12),
            Mistake("phases for steps", lambda: 1),
            Mistake("phases for steps", lambda: 6),
            Mistake("fraction for steps", lambda: 1 / 6),
            Mistake("fraction for steps", lambda: 16.7),
            Mistake("the steps themselves instead of their number", lambda: range(50, 60)),
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
            "`fit` takes a plan of your own instead of a name.",
            "`companion.strategies.wise_ft(groups, interpolation=alpha)` returns such a plan. "
            "`groups` are the names of all layer groups, the head last: "
            "`layer_groups.group_names(model)`.",
            "With `interpolation=0` nothing of the second phase is left: the backbone must be the "
            "pretrained one.",
        ),
        mistakes=(
            Mistake("alpha not passed on", lambda: dict.fromkeys(ALPHAS, mixture(0.5))),
            Mistake(
                "alpha the wrong way round",
                lambda: {alpha: mixture(1 - alpha) for alpha in ALPHAS},
            ),
            Mistake("the head was not mixed", lambda: mixtures_without("head.")),
            Mistake("the head was not mixed", head_left_alone),
            Mistake("not of the same run", mixtures_by_name),
            Mistake("batch-norm statistics not mixed", lambda: mixtures_without(".running_")),
            Mistake("batch-norm statistics not mixed", statistics_left_alone),
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
            "Which parameters can still move after `model.requires_grad_(False)`?",
            "What does a forward pass in training mode do to the backbone?",
            "In which mode must a model be when it is handed over to be judged?",
        ),
        mistakes=(
            Mistake("the head was frozen too", lambda: probe_by_hand(steps=0)),
            Mistake("the head has not learned", probe_with_a_head_of_another),
            Mistake("the head has not learned", lambda: probe_by_hand(steps=1)),
            Mistake("the head has not learned", lambda: probe_by_hand(shift=1)),
            Mistake("the head has not learned", lambda: probe_by_hand(sign=-1)),
            Mistake("the head has not learned", lambda: probe_by_hand(learning_rate=1e-9)),
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
        expects="a dictionary with the keys 'plain' and 'weighted', each a list of scores on val",
        check=check_rare_class,
        hints=(
            '`write_folder` and `load_dataset("folder", path=...)` do the first half.',
            "`probe_folder` draws from `mine`, the chapter's folder: write one that draws from "
            "yours.",
            "`[result.scores for result in ...]` is such a list. The n-th scores of both lists "
            "must be of the same draw.",
        ),
        mistakes=(
            Mistake("training accuracy for test accuracy", lambda: runs(name="train")),
            Mistake("chosen on test data", lambda: runs(name="test")),
            Mistake("one run only", lambda: dict(plain=scores(), weighted=scores())),
            Mistake("one run only", lambda: runs(num_draws=1)),
            Mistake("too few draws", lambda: runs(num_draws=5)),
            Mistake("the draws are not paired", lambda: runs() | {"plain": runs()["plain"][::-1]}),
            Mistake("seeds not varied", lambda: {n: r * 10 for n, r in runs(num_draws=1).items()}),
            Mistake("the two lists are identical", lambda: runs(common_probability=0.1)),
            Mistake(
                "the two lists are swapped",
                lambda: dict(plain=runs()["weighted"], weighted=runs()["plain"]),
            ),
            Mistake("the chapter's own folder", lambda: runs(classes=("1", "not 1"))),
            Mistake("scores of another dataset", lambda: runs(classes=tuple("0123456789"))),
            Mistake(
                "scores of another dataset",
                lambda: runs() | {"plain": runs(classes=("7", "not 7"))["plain"]},
            ),
            Mistake("no rare class", lambda: runs(num_common=9, num_rare=6, num_found=6)),
            Mistake(
                "counts the wrong way round",
                lambda: runs(num_common=2, num_rare=14, num_found=14),
            ),
            Mistake("majority class taken for skill", lambda: runs(num_found=1)),
            Mistake(
                "hardly trained",
                lambda: runs() | {"plain": runs(num_found=0, common_probability=0.3)["plain"]},
            ),
            Mistake(
                "accuracy for balanced accuracy",
                lambda: {n: [s.accuracy for s in r] for n, r in runs(num_found=1).items()},
            ),
            Mistake(
                "another kind of answer",
                lambda: {n: [s.values for s in r] for n, r in runs().items()},
            ),
            Mistake("another kind of answer", scores),
        ),
    )
)
