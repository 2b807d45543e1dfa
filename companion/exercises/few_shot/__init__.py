"""The exercises of `foundations/few-shot`."""

from companion.exercises.few_shot.checks import (
    check_episodes_for_half,
    check_fair_curve,
    check_printed_prototypes,
    check_repaired_logits,
)
from companion.exercises.few_shot.mistakes import episodes, handwritten_means, judge, printed
from companion.exercises.framework import Exercise, Mistake, register

__all__: list[str] = []

CHAPTER = "foundations/few-shot"

register(
    Exercise(
        id="few-shot-ex1",
        chapter=CHAPTER,
        kind="predict",
        minutes=5,
        difficulty="easy",
        expects="a number of episodes",
        check=check_episodes_for_half,
        hints=(
            "The half-width is t times s over the root of m, with m episodes.",
            "What happens to the root of m when m doubles?",
        ),
        mistakes=(
            Mistake("width taken to fall with the number", lambda: 800),
            Mistake("the wrong way round", lambda: 100),
            Mistake("the further ones counted only", lambda: 1200),
            Mistake("another kind of answer", lambda: "many"),
            Mistake(None, lambda: 500),
        ),
    )
)
register(
    Exercise(
        id="few-shot-ex2",
        chapter=CHAPTER,
        kind="change",
        minutes=10,
        difficulty="medium",
        expects="a dictionary from 1 and 2 to episodes",
        check=check_fair_curve,
        hints=(
            "What decides which items an episode gets? See the docstring of draw_episodes.",
            "Same seed, same number of ways and query items; only n_shot differs.",
        ),
        mistakes=(
            Mistake("another draw", lambda: {1: episodes(1), 2: episodes(2, seed=4)}),
            Mistake("the shots were not changed", lambda: {1: episodes(1), 2: episodes(1)}),
            Mistake(
                "more than one thing changed",
                lambda: {1: episodes(1, n_query=3), 2: episodes(2)},
            ),
            Mistake(
                "more than one thing changed", lambda: {1: episodes(1), 2: episodes(2, n_way=4)}
            ),
            Mistake(
                "one episode repeated",
                lambda: {shot: [episodes(shot)[0]] * 20 for shot in (1, 2)},
            ),
            Mistake("another kind of answer", lambda: {1: 0.8, 2: 0.9}),
        ),
    )
)
register(
    Exercise(
        id="few-shot-ex3",
        chapter=CHAPTER,
        kind="repair",
        minutes=15,
        difficulty="medium",
        expects="a function of an encoder and an episode that returns logits",
        check=check_repaired_logits,
        hints=(
            "Which items may a prototype be made of?",
            "May the logits of one query item change when the others are taken away?",
            "encoder.eval(), the support alone, and the larger logit for the smaller distance.",
        ),
        mistakes=(
            Mistake("labels of the query used", lambda: judge(with_query=True)),
            Mistake("query items see each other", lambda: judge(mode="train")),
            Mistake("distances for logits", lambda: judge(sign=-1.0)),
            Mistake("another kind of answer", lambda: 0.9),
        ),
    )
)
register(
    Exercise(
        id="few-shot-ex4",
        chapter=CHAPTER,
        kind="transfer",
        minutes=20,
        difficulty="hard",
        expects="prototypes of ten printed digits, a tensor of ten rows",
        check=check_printed_prototypes,
        hints=(
            "PIL.ImageDraw writes text with a font; matplotlib ships fonts.",
            "companion.backbones.glyphnet.preprocess takes bytes, (10, 1, height, width).",
            "Start with a black picture and write in white; put the backbone in eval mode.",
        ),
        mistakes=(
            Mistake("wrong preprocessing", lambda: printed(is_bright=False)),
            Mistake("rows in another order", lambda: printed().roll(1, dims=0)),
            Mistake("labels of the target used", handwritten_means),
            Mistake("another kind of answer", lambda: printed()[:5]),
        ),
    )
)
