"""The exercises of `vision/object-detection`."""

from companion.exercises.framework import Exercise, Mistake, register
from companion.exercises.object_detection.checks import (
    check_iou,
    check_new_cells,
    check_repaired_precision,
    check_suppressed,
)
from companion.exercises.object_detection.mistakes import (
    no_suppression,
    precision,
    scores,
    suppressed,
    two_scores,
)

__all__: list[str] = []

CHAPTER = "vision/object-detection"

register(
    Exercise(
        id="object-detection-ex1",
        chapter=CHAPTER,
        kind="predict",
        minutes=5,
        difficulty="easy",
        expects="a number from 0 to 1, the IoU",
        check=check_iou,
        hints=(
            "How wide and how high is the part that both share?",
            "The union is both areas together, less what was counted twice.",
        ),
        mistakes=(
            Mistake("share of one box for the IoU", lambda: 225 / 400),
            Mistake("moved along one axis only", lambda: 0.6),
            Mistake("the shared part counted twice in the union", lambda: 225 / 800),
            Mistake("a side for the area", lambda: 0.75),
            Mistake("percent for fraction", lambda: 39.1),
            Mistake("another kind of answer", lambda: "wrong at one half"),
            Mistake(None, lambda: 0.9),
        ),
    )
)
register(
    Exercise(
        id="object-detection-ex2",
        chapter=CHAPTER,
        kind="change",
        minutes=10,
        difficulty="medium",
        expects="a dictionary from 0.1, 0.5 and 0.9 to the rows that stay, (rows, 6)",
        check=check_suppressed,
        hints=(
            "`boxes.nms(corners, scores, iou_threshold=...)` returns positions, not boxes.",
            "Corners are the columns from 1 to 4, the score is the last one. Which threshold must "
            "leave more?",
        ),
        mistakes=(
            Mistake("the threshold not passed on", lambda: suppressed(0.5, 0.5, 0.5)),
            Mistake("the threshold the wrong way round", lambda: suppressed(0.9, 0.5, 0.1)),
            Mistake("the threshold of the score", lambda: suppressed(by_score=True)),
            Mistake("nothing suppressed", no_suppression),
            Mistake("more suppressed than was asked", lambda: suppressed(0.05, 0.3, 0.5)),
            Mistake("the worse box kept", lambda: suppressed(sign=-1)),
            Mistake("another kind of answer", lambda: {0.1: 5, 0.5: 7, 0.9: 30}),
        ),
    )
)
register(
    Exercise(
        id="object-detection-ex3",
        chapter=CHAPTER,
        kind="repair",
        minutes=15,
        difficulty="medium",
        expects="a function of detections (corners, score) and boxes that returns a number",
        check=check_repaired_precision,
        hints=(
            "In which order must detections choose?",
            "May two detections take the same box?",
            "What does average precision take at a recall: the precision there, or the best from "
            "there on?",
        ),
        mistakes=(
            Mistake("not sorted by score", lambda: precision(by_score=False)),
            Mistake("a box taken twice", lambda: precision(frees=False)),
            Mistake("not the best precision from there on", lambda: precision(best=False)),
            Mistake("missed boxes forgotten", lambda: precision(counts_missed=False)),
            Mistake("percent for fraction", lambda: precision(factor=100)),
            Mistake("the threshold not used", lambda: precision(threshold_used=False)),
            Mistake("another kind of answer", lambda: 0.5),
        ),
    )
)
register(
    Exercise(
        id="object-detection-ex4",
        chapter=CHAPTER,
        kind="transfer",
        minutes=20,
        difficulty="hard",
        expects="a dictionary with the keys 'scratch' and 'full', each the scores on val",
        check=check_new_cells,
        hints=(
            "`companion.load_dataset` takes `labels_per_class`, `companion.fit` takes `strategy`.",
            "`fit` has scored the model on val already: look at what it returns.",
        ),
        mistakes=(
            Mistake("training score for test score", lambda: two_scores(split="train")),
            Mistake("chosen on test data", lambda: two_scores(split="test")),
            Mistake("the chapter's own data", lambda: two_scores(classes=tuple("0123456789"))),
            Mistake(
                "the pictures are not the same",
                lambda: two_scores() | {"full": scores(shift=1)},
            ),
            Mistake(
                "the two are one training", lambda: dict.fromkeys(("scratch", "full"), scores())
            ),
            Mistake(
                "another kind of answer", lambda: {n: s.value for n, s in two_scores().items()}
            ),
            Mistake("another kind of answer", scores),
        ),
    )
)
