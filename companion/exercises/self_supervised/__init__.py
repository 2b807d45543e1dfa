"""The exercises of `foundations/self-supervised`."""

import math

from companion.exercises.framework import Exercise, Mistake, register
from companion.exercises.self_supervised.checks import (
    check_blocks,
    check_chance,
    check_repaired_loss,
    check_turning_letters,
    letters_like_themselves,
)
from companion.exercises.self_supervised.mistakes import (
    block_masks,
    contrastive_loss,
    pixel_masks,
    scattered_masks,
)

__all__: list[str] = []

CHAPTER = "foundations/self-supervised"

register(
    Exercise(
        id="self-supervised-ex1",
        chapter=CHAPTER,
        kind="predict",
        minutes=5,
        difficulty="easy",
        expects="a number of nats",
        check=check_chance,
        hints=(
            "All candidates look alike, so each gets the same probability.",
            "Count the candidates of one view: two views an item, and the view itself is none.",
        ),
        mistakes=(
            Mistake("the view itself counted", lambda: math.log(512)),
            Mistake("the partner left out", lambda: math.log(510)),
            Mistake("items for views", lambda: math.log(256)),
            Mistake("another logarithm", lambda: math.log2(511)),
            Mistake("temperature taken for a factor of the loss", lambda: 10 * math.log(511)),
            Mistake("another kind of answer", lambda: "chance"),
            Mistake(None, lambda: 511),
        ),
    )
)
register(
    Exercise(
        id="self-supervised-ex2",
        chapter=CHAPTER,
        kind="change",
        minutes=10,
        difficulty="medium",
        expects="100 masks, a tensor (100, 1, height, width) of True and False",
        check=check_blocks,
        hints=(
            "Draw the upper left corner of the block: three rows and three columns are possible.",
            "Fill a grid (100, 4, 4) first, then repeat each field as hidden_patches does.",
        ),
        mistakes=(
            Mistake("scattered patches", scattered_masks),
            Mistake("another number of patches", lambda: scattered_masks(8)),
            Mistake("one block for all", lambda: block_masks(same=True)),
            Mistake("hidden and visible swapped", lambda: block_masks(seen=True)),
            Mistake("cut through patches", pixel_masks),
            Mistake("another kind of answer", lambda: block_masks()[:50]),
        ),
    )
)
register(
    Exercise(
        id="self-supervised-ex3",
        chapter=CHAPTER,
        kind="repair",
        minutes=15,
        difficulty="medium",
        expects="a function of two views and a temperature that returns the loss",
        check=check_repaired_loss,
        hints=(
            "What is the largest similarity in each row, and should it be a candidate?",
            "The similarity is a cosine, and it is divided by the temperature.",
            "Normalise the rows, divide, and fill the diagonal with minus infinity.",
        ),
        mistakes=(
            Mistake("the view itself counted", lambda: contrastive_loss(drops_itself=False)),
            Mistake("not normalised", lambda: contrastive_loss(normalises=False)),
            Mistake("temperature the wrong way round", lambda: contrastive_loss(divides=False)),
            Mistake("a partner that is none", lambda: contrastive_loss(has_partner=False)),
            Mistake("another kind of answer", lambda: 3.2),
            Mistake(None, lambda: contrastive_loss(normalises=False, drops_itself=False)),
        ),
    )
)
register(
    Exercise(
        id="self-supervised-ex4",
        chapter=CHAPTER,
        kind="transfer",
        minutes=15,
        difficulty="medium",
        expects="a collection of capital letters",
        check=check_turning_letters,
        hints=(
            "render_letters returns images and characters; image.rot90(2, (1, 2)) turns by half.",
            "torch.corrcoef of two flattened drawings, stacked, has the correlation in [0, 1].",
        ),
        mistakes=(
            Mistake("mirrored, not turned", lambda: letters_like_themselves("mirrored")),
            Mistake("mirrored, not turned", lambda: letters_like_themselves("upside down")),
            Mistake("letters that are not in the data", lambda: "HINOSXZ"),
            Mistake("the others", lambda: "ABCDEFGJKLMPQRTUVWY"),
            Mistake("another kind of answer", lambda: [7, 14]),
            Mistake(None, lambda: ["N", "Z"]),
        ),
    )
)
