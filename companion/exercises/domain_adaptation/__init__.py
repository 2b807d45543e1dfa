"""The exercises of `foundations/domain-adaptation`."""

from companion.exercises.domain_adaptation.checks import (
    check_accuracy,
    check_distances,
    check_shares,
    check_statistics,
)
from companion.exercises.domain_adaptation.mistakes import distances, shares, statistics
from companion.exercises.framework import Exercise, Mistake, register

__all__: list[str] = []

CHAPTER = "foundations/domain-adaptation"

register(
    Exercise(
        id="domain-adaptation-ex1",
        chapter=CHAPTER,
        kind="predict",
        minutes=5,
        difficulty="easy",
        expects="a number",
        check=check_accuracy,
        hints=(
            "Which of the three shifts is this, and what does it leave alone?",
            "Four times as frequent: the shares are one fifth and four fifths.",
        ),
        mistakes=(
            Mistake("the shares of the source", lambda: 0.75),
            Mistake("the shares exchanged", lambda: 0.84),
            Mistake("four times taken for three quarters", lambda: 0.675),
            Mistake("percent", lambda: 66),
            Mistake("another kind of answer", lambda: "lower"),
            Mistake(None, lambda: 0.3),
        ),
    )
)
register(
    Exercise(
        id="domain-adaptation-ex2",
        chapter=CHAPTER,
        kind="change",
        minutes=10,
        difficulty="medium",
        expects="a dictionary with 'CORAL before', 'CORAL after', 'MMD before' and 'MMD after'",
        check=check_distances,
        hints=(
            "What is subtracted first when a covariance is computed?",
            "objectives.coral_loss(z_source, z_target + 5), and so on.",
        ),
        mistakes=(
            Mistake("features were not shifted but changed", lambda: distances(factor=5, shift=0)),
            Mistake("the shift is missing", lambda: distances(shift=0)),
            Mistake("the shift is missing", lambda: distances(both=True)),
            Mistake("one distance under two names", lambda: distances(coral_only=True)),
            Mistake("another kind of answer", lambda: {"CORAL": 0.1, "MMD": 0.2}),
            Mistake(None, lambda: dict(distances(), **{"MMD before": -1.0})),
        ),
    )
)
register(
    Exercise(
        id="domain-adaptation-ex3",
        chapter=CHAPTER,
        kind="repair",
        minutes=15,
        difficulty="medium",
        expects="a function of a network and its inputs that returns a network",
        check=check_statistics,
        hints=(
            "By default a running mean moves a tenth of the way at each batch.",
            "In which mode should a network be that is handed over?",
            "update_bn solves one of the faults, deepcopy another.",
        ),
        mistakes=(
            Mistake("the original was changed", lambda: statistics(copied=False)),
            Mistake("statistics did not change", lambda: statistics(gathered=False)),
            Mistake("a tenth of the way", lambda: statistics(momentum=0.1)),
            Mistake("left in training mode", lambda: statistics(mode="train")),
            Mistake("weights were trained", lambda: statistics(trained=True)),
            Mistake("another kind of answer", lambda: lambda network, inputs: inputs),
            Mistake(None, lambda: statistics(momentum=0.5)),
        ),
    )
)
register(
    Exercise(
        id="domain-adaptation-ex4",
        chapter=CHAPTER,
        kind="transfer",
        minutes=20,
        difficulty="hard",
        expects="a function of labels, predictions and new predictions that returns ten shares",
        check=check_shares,
        hints=(
            "The equation gives ratios, not shares.",
            "A joint table has the prediction in its rows, the label in its columns, and sums to "
            "1.",
        ),
        mistakes=(
            Mistake("predictions counted", lambda: shares(solved=False)),
            Mistake("ratios for shares", lambda: shares(times_known=False)),
            Mistake(
                "known items taken for even", lambda: shares(times_known=False, normalised=True)
            ),
            Mistake("the table is turned", lambda: shares(turned=True)),
            Mistake("another kind of answer", lambda: lambda *rows: rows),
            Mistake(None, lambda: lambda *rows: [0.1] * 10),
        ),
    )
)
