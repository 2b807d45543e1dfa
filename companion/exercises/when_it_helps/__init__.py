"""The exercises of `foundations/when-it-helps`."""

from companion.exercises.framework import Exercise, Mistake, register
from companion.exercises.when_it_helps.checks import (
    COPIES,
    check_added,
    check_changes_of_log_me,
    check_choice,
    check_copies,
    check_distance,
)
from companion.exercises.when_it_helps.mistakes import changes, choice, distance

__all__: list[str] = []

CHAPTER = "foundations/when-it-helps"

register(
    Exercise(
        id="when-it-helps-ex1",
        chapter=CHAPTER,
        kind="predict",
        minutes=5,
        difficulty="easy",
        expects="a number",
        check=check_added,
        hints=(
            "The formula of the proxy A-distance turns the error into a distance from 0 to 2.",
            "Which factor stands before the divergence in the bound?",
        ),
        mistakes=(
            Mistake("the half forgotten", lambda: 0.8),
            Mistake("the error taken for the distance", lambda: 0.3),
            Mistake("the accuracy taken for the distance", lambda: 0.7),
            Mistake("the error doubled", lambda: 0.6),
            Mistake("another kind of answer", lambda: "not much"),
            Mistake(None, lambda: 1.4),
        ),
    )
)
register(
    Exercise(
        id="when-it-helps-ex2",
        chapter=CHAPTER,
        kind="change",
        minutes=10,
        difficulty="medium",
        expects="a dictionary from 'raw', 'times 255', 'plus 10' and 'standardised' to scores",
        check=check_changes_of_log_me,
        hints=(
            "Does the model of LogME have an intercept?",
            "All weights share one prior variance. What does a unit of its own for each feature "
            "do to that?",
        ),
        mistakes=(
            Mistake("features not changed", lambda: changes(factor=1, shift=0, own_units=False)),
            Mistake("other items for one of the scores", lambda: changes(num_items=40)),
            Mistake("the shift was lost", lambda: changes(shift=0)),
            Mistake("one unit for all features", lambda: changes(own_units=False)),
            Mistake("another kind of answer", lambda: {"raw": 0.1, "times 255": 0.1}),
        ),
    )
)
register(
    Exercise(
        id="when-it-helps-ex3",
        chapter=CHAPTER,
        kind="repair",
        minutes=15,
        difficulty="medium",
        expects="a function of source and target features that returns a distance",
        check=check_distance,
        hints=(
            "On which items is the classifier judged?",
            "What is the error of one who always says 'source', when the source is nine times as "
            "large?",
            "Held-out error may exceed one half. A distance is never negative.",
        ),
        mistakes=(
            Mistake("judged on its own training items", lambda: distance(held_out=False)),
            Mistake("domains of unequal size", lambda: distance(balanced=False)),
            Mistake("not clipped at 0", lambda: distance(clipped=False)),
            Mistake("the scale is not 0 to 2", lambda: distance(scale=0.5)),
            Mistake("another kind of answer", lambda: 1.2),
        ),
    )
)
register(
    Exercise(
        id="when-it-helps-ex4",
        chapter=CHAPTER,
        kind="transfer",
        minutes=20,
        difficulty="hard",
        expects="a dictionary with 'scores', 'accuracies' and 'chosen'",
        check=check_choice,
        hints=(
            "black + white - inputs turns prepared pictures into their negatives.",
            "features_of(inputs, encoder) and linear() do the rest. The choice is made before the "
            "accuracies are known.",
        ),
        mistakes=(
            Mistake("chosen by the accuracy", lambda: choice("c")),
            Mistake("the lowest score chosen", lambda: choice("d")),
            Mistake("percent", lambda: choice("a", factor=100)),
            Mistake("the accuracy taken for a score", lambda: choice("c", same=True)),
            Mistake("another kind of answer", lambda: choice("a nameless one")),
            Mistake(None, lambda: choice("b")),
        ),
    )
)
register(
    Exercise(
        id="when-it-helps-ex5",
        chapter=CHAPTER,
        kind="transfer",
        minutes=15,
        difficulty="medium",
        expects="a list of positions",
        check=check_copies,
        hints=(
            "A card cannot find them. Distances between pictures can: torch.cdist.",
            "Look at the distances to the nearest picture, sorted. Where is the gap?",
        ),
        mistakes=(
            Mistake("only exact copies", lambda: list(COPIES[:2])),
            Mistake("every neighbour is called a copy", lambda: list(range(20))),
            Mistake("positions of the wrong set", lambda: [580 + n for n in range(5)]),
            Mistake("another kind of answer", lambda: "the brighter ones"),
        ),
    )
)
