"""The exercises of `foundations/which-features-transfer`."""

from companion.exercises.framework import Exercise, Mistake, register
from companion.exercises.which_features_transfer.checks import (
    check_cut,
    check_plan,
    check_trained,
    check_verdict,
)
from companion.exercises.which_features_transfer.mistakes import cutter, slow, verdict

__all__: list[str] = []

CHAPTER = "foundations/which-features-transfer"

register(
    Exercise(
        id="which-features-transfer-ex1",
        chapter=CHAPTER,
        kind="predict",
        minutes=5,
        difficulty="easy",
        expects="a number of parameters",
        check=check_trained,
        hints=(
            "A k x k convolution without bias has k * k * (channels in) * (channels out) "
            "parameters.",
            "A batch norm has a scale and a shift for each channel. Its statistics are buffers: "
            "nothing trains them.",
        ),
        mistakes=(
            Mistake("the head was forgotten", lambda: 230_144),
            Mistake("the head's biases were forgotten", lambda: 231_424),
            Mistake("batch norm was forgotten", lambda: 230_666),
            Mistake("the shortcut was forgotten", lambda: 223_242),
            Mistake("buffers were counted", lambda: 232_205),
            Mistake("the frozen layers were counted", lambda: 308_794),
            Mistake("another kind of answer", lambda: "most of them"),
            Mistake(None, lambda: 128),
        ),
    )
)
register(
    Exercise(
        id="which-features-transfer-ex2",
        chapter=CHAPTER,
        kind="change",
        minutes=10,
        difficulty="medium",
        expects="an Adaptation",
        check=check_plan,
        hints=(
            "Look at plan above: a factor is a multiple of the recipe's learning rate.",
            "A group that is not named is frozen, so all six must be named.",
        ),
        mistakes=(
            Mistake("a group that is not named is frozen", lambda: slow(below=None)),
            Mistake("one rate for old and new layers", lambda: slow(below=1.0)),
            Mistake("the wrong way round", lambda: slow(below=10.0)),
            Mistake("the head was frozen too", lambda: slow(head=None)),
            Mistake("the head is slowed down", lambda: slow(head=0.1)),
            Mistake("nothing is carried over", lambda: slow(kept=False)),
            Mistake("another kind of answer", lambda: "lp_ft"),
            Mistake(None, lambda: slow(below=0.5)),
        ),
    )
)
register(
    Exercise(
        id="which-features-transfer-ex3",
        chapter=CHAPTER,
        kind="repair",
        minutes=15,
        difficulty="medium",
        expects="a function of origin, fresh network and cut",
        check=check_cut,
        hints=(
            "Whose parts does the new network hold: copies, or the origin's own?",
            "What does batch norm do in training mode, gradient or not?",
            "Which parts are frozen by the loop? The head must learn.",
        ),
        mistakes=(
            Mistake("the origin was changed", lambda: cutter(copied=False)),
            Mistake("not frozen", lambda: cutter(frozen=False)),
            Mistake("batch-norm statistics moved", lambda: cutter(in_evaluation=False)),
            Mistake("all parts in evaluation mode", lambda: cutter(all_in_evaluation=True)),
            Mistake("the head was frozen too", lambda: cutter(head_frozen=True)),
            Mistake("cut in the wrong place", lambda: cutter(shift=1)),
            Mistake("another kind of answer", lambda: lambda origin, fresh, n: None),
        ),
    )
)
register(
    Exercise(
        id="which-features-transfer-ex4",
        chapter=CHAPTER,
        kind="transfer",
        minutes=20,
        difficulty="hard",
        expects="a dictionary with 'base', 'tuned' and 'verdict'",
        check=check_verdict,
        hints=(
            "puzzle shows how to make the words, drawing and train_many train, accuracies judges.",
            'cut(spelling, fresh, ("letters", "gru1", "gru2")) gives the starts; no moves are '
            "needed.",
            "The verdict belongs to the paired differences: "
            "evaluation.paired_comparison(tuned, base).claim.",
        ),
        mistakes=(
            Mistake("a claim without a test", lambda: verdict("higher", gain=0.005)),
            Mistake("a difference overlooked", lambda: verdict("not told apart")),
            Mistake("the sign of the difference", lambda: verdict("lower")),
            Mistake("fewer than five seeds", lambda: verdict("higher", num=3)),
            Mistake("percent for fraction", lambda: verdict("higher", factor=100)),
            Mistake("another kind of answer", lambda: verdict("better")),
        ),
    )
)
