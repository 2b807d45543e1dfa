"""The exercises of `foundations/multi-task`."""

from companion.exercises.framework import Exercise, Mistake, register
from companion.exercises.multi_task.checks import (
    check_changes,
    check_iris,
    check_surgery,
    check_units,
)
from companion.exercises.multi_task.mistakes import flowers, surgery, units

__all__: list[str] = []

CHAPTER = "foundations/multi-task"

register(
    Exercise(
        id="multi-task-ex1",
        chapter=CHAPTER,
        kind="predict",
        minutes=10,
        difficulty="easy",
        expects="two numbers, the change of each loss",
        check=check_changes,
        hints=(
            "The change has the product of the two gradients in it. What is it here?",
            "The product is the cosine times both lengths. For the second loss exchange the roles.",
        ),
        mistakes=(
            Mistake("cosine taken for the product", lambda: [-0.085, -0.005]),
            Mistake("the sign of the step", lambda: [0.075, -0.005]),
            Mistake("the other gradient forgotten", lambda: [-0.09, -0.01]),
            Mistake("the step size forgotten", lambda: [-7.5, 0.5]),
            Mistake("losses exchanged", lambda: [0.005, -0.075]),
            Mistake("another kind of answer", lambda: "the second loss rises"),
            Mistake(None, lambda: [-0.075, -0.025]),
        ),
    )
)
register(
    Exercise(
        id="multi-task-ex2",
        chapter=CHAPTER,
        kind="change",
        minutes=10,
        difficulty="medium",
        expects="a dictionary from 'degrees' and 'radians' to a weight",
        check=check_units,
        hints=(
            "Where does the weight of a fixed loss settle?",
            "An error in radians is pi / 180 times that in degrees. And a squared error?",
        ),
        mistakes=(
            Mistake("the factor not squared", lambda: units(power=1)),
            Mistake("the weight taken to stay", lambda: units(power=0)),
            Mistake("the wrong way round", lambda: units(power=-2)),
            Mistake("the half forgotten", lambda: units(half=1.0)),
            Mistake("another kind of answer", lambda: {"degrees": 1 / 800}),
        ),
    )
)
register(
    Exercise(
        id="multi-task-ex3",
        chapter=CHAPTER,
        kind="repair",
        minutes=15,
        difficulty="medium",
        expects="a function from two gradients to two gradients",
        check=check_surgery,
        hints=(
            "What should happen to two gradients that do not conflict?",
            "When the second row is projected, is the old or the new first row meant?",
            "Compute the product once, from the old rows; divide by the squared length of the row "
            "that is taken away.",
        ),
        mistakes=(
            Mistake("projected without a conflict", lambda: surgery(only_conflicts=False)),
            Mistake("the changed row used", lambda: surgery(in_turn=True)),
            Mistake("divided by its own length", lambda: surgery(own_length=True)),
            Mistake("the conflict was left", lambda: lambda gradients: gradients),
            Mistake("another kind of answer", lambda: [[1.0, 0.0], [0.0, 1.0]]),
        ),
    )
)
register(
    Exercise(
        id="multi-task-ex4",
        chapter=CHAPTER,
        kind="transfer",
        minutes=15,
        difficulty="medium",
        expects="a number of flowers",
        check=check_iris,
        hints=(
            "load_iris() has the sepal width as its second column; versicolor is 1, virginica 2.",
            "The formula for the worth, with n2 = 50, both variances and the gap of the means.",
        ),
        mistakes=(
            Mistake("the limit for the worth", lambda: flowers("limit")),
            Mistake("the difference of the means forgotten", lambda: flowers("same mean")),
            Mistake("deviations taken for variances", lambda: flowers("deviations")),
            Mistake("the kinds exchanged", lambda: flowers("exchanged")),
            Mistake("another kind of answer", lambda: "two"),
        ),
    )
)
