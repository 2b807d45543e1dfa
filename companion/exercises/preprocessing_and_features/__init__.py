"""The exercises of `vision/preprocessing-and-features`."""

from companion.exercises.framework import Exercise, Mistake, register
from companion.exercises.preprocessing_and_features.checks import (
    check_box,
    check_chain,
    check_seen,
    check_verdict,
)
from companion.exercises.preprocessing_and_features.mistakes import box, chain, triangle, verdict

__all__: list[str] = []

CHAPTER = "vision/preprocessing-and-features"

register(
    Exercise(
        id="preprocessing-and-features-ex1",
        chapter=CHAPTER,
        kind="predict",
        minutes=10,
        difficulty="medium",
        expects="a number of pixels",
        check=check_seen,
        hints=(
            "Keep two numbers: the width r that is seen, and the step j, in pixels of the image, "
            "between neighbours. Both begin at 1.",
            "A layer of width k makes r larger by (k - 1) * j. A pooling of 2 then doubles j.",
        ),
        mistakes=(
            Mistake("steps were forgotten", lambda: 7),
            Mistake("steps were forgotten", lambda: 10),
            Mistake("poolings were not counted", lambda: 15),
            Mistake("the last pooling was forgotten", lambda: 18),
            Mistake("one stage too many", lambda: 46),
            Mistake("area for width", lambda: 484),
            Mistake("step for width", lambda: 8),
            Mistake("another kind of answer", lambda: "all of it"),
            Mistake(None, lambda: 32),
        ),
    )
)
register(
    Exercise(
        id="preprocessing-and-features-ex2",
        chapter=CHAPTER,
        kind="change",
        minutes=10,
        difficulty="medium",
        expects="a matrix (32, 96)",
        check=check_box,
        hints=(
            "Each new pixel covers three old ones, and no old one belongs to two.",
            "The distance of an old pixel to the centre is below half of the ratio for those that "
            "are covered.",
        ),
        mistakes=(
            Mistake("weights that do not add up to one", lambda: box(scaled=False)),
            Mistake("rows and columns exchanged", lambda: box().T),
            Mistake("nearest neighbour", lambda: triangle(antialias=False)),
            Mistake("the window is still the triangle's", triangle),
            Mistake("another kind of answer", lambda: 3),
            Mistake("another kind of answer", lambda: box()[:4]),
            Mistake(None, lambda: box().roll(1, dims=1)),
        ),
    )
)
register(
    Exercise(
        id="preprocessing-and-features-ex3",
        chapter=CHAPTER,
        kind="repair",
        minutes=15,
        difficulty="medium",
        expects="a function of train that returns a transform",
        check=check_chain,
        hints=(
            "What do `MEAN` and `STD` in `companion.backbones.glyphnet` say?",
            "Which of the changes keeps the label of a digit? And to whom does it apply?",
            "Every third pixel is not a third of the page.",
        ),
        mistakes=(
            Mistake("validation was augmented", lambda: chain(mild_in_validation=True)),
            Mistake("an augmentation that changes the label", lambda: chain(mirrored=True)),
            Mistake("no antialiasing", lambda: chain(antialias=False)),
            Mistake("wrong normalisation", lambda: chain(statistics=(0.449, 0.226))),
            Mistake("wrong normalisation", lambda: chain(statistics=None)),
            Mistake("nothing is augmented", lambda: chain(mild=False)),
            Mistake(
                "training and validation are prepared differently",
                lambda: chain(only_in_validation=True),
            ),
            Mistake("another kind of answer", lambda: "antialias"),
            Mistake("another kind of answer", lambda: lambda train: None),
        ),
    )
)
register(
    Exercise(
        id="preprocessing-and-features-ex4",
        chapter=CHAPTER,
        kind="transfer",
        minutes=20,
        difficulty="hard",
        expects="a dictionary with 'fine', 'coarse' and 'verdict'",
        check=check_verdict,
        hints=(
            "on_target(network, target, seed) returns the accuracy behind each block.",
            "The verdict belongs to the paired differences: "
            "evaluation.paired_comparison(coarse, fine) and its claim.",
        ),
        mistakes=(
            Mistake("a claim without a test", lambda: verdict("lower", gain=-0.005)),
            Mistake("a difference overlooked", lambda: verdict("not told apart")),
            Mistake("the sign of the difference", lambda: verdict("higher")),
            Mistake("fewer than five seeds", lambda: verdict("lower", num=3)),
            Mistake("percent for fraction", lambda: verdict("lower", factor=100)),
            Mistake(
                "one source judged twice",
                lambda: {"fine": [0.8] * 5, "coarse": [0.8] * 5, "verdict": "not told apart"},
            ),
            Mistake("another kind of answer", lambda: verdict("worse")),
        ),
    )
)
