"""The exercises of `foundations/compress-and-export`."""

from companion.exercises.compress_and_export.checks import (
    check_camera,
    check_largest_rank,
    check_repaired,
    check_worst_error,
)
from companion.exercises.compress_and_export.mistakes import camera_file, quantiser
from companion.exercises.framework import Exercise, Mistake, register

__all__: list[str] = []

CHAPTER = "foundations/compress-and-export"

register(
    Exercise(
        id="compress-and-export-ex1",
        chapter=CHAPTER,
        kind="predict",
        minutes=5,
        difficulty="easy",
        expects="a number, the largest rounding error",
        check=check_worst_error,
        hints=(
            "Symmetric: the scale belongs to the largest size, whatever its sign.",
            "The integers reach from -127 to 127. A number lies at most half a step from the next "
            "integer.",
        ),
        mistakes=(
            Mistake("a whole step for the error", lambda: 0.8 / 127),
            Mistake("the range of an asymmetric grid", lambda: 1.3 / 255 / 2),
            Mistake("the negative side forgotten", lambda: 0.5 / 127 / 2),
            Mistake("another kind of answer", lambda: "half a step"),
            Mistake(None, lambda: 0.5),
        ),
    )
)
register(
    Exercise(
        id="compress-and-export-ex2",
        chapter=CHAPTER,
        kind="change",
        minutes=10,
        difficulty="medium",
        expects="a rank, a whole number",
        check=check_largest_rank,
        hints=(
            "The first thin layer has r kernels of C x k x k, the second one number for each "
            "output channel and each of the r channels between.",
            "Count the parameters of thin(conv, rank) with num_weights, for several ranks.",
        ),
        mistakes=(
            Mistake("rounded the wrong way", lambda: 105),
            Mistake("the other convolution", lambda: 115),
            Mistake("the kernel's size forgotten", lambda: 42),
            Mistake("the second layer forgotten", lambda: 128),
            Mistake("another kind of answer", lambda: [104]),
        ),
    )
)
register(
    Exercise(
        id="compress-and-export-ex3",
        chapter=CHAPTER,
        kind="repair",
        minutes=15,
        difficulty="medium",
        expects="a function of a weight that returns whole numbers and scales",
        check=check_repaired,
        hints=(
            "Which axis of a kernel is the output channel? Which number needs the widest range?",
            "Converting a float to an integer cuts off what follows the point.",
            "A scale of zero divides by zero; clamp(min=...) with something tiny avoids it.",
        ),
        mistakes=(
            Mistake("one scale for all", lambda: quantiser(per_channel=False)),
            Mistake("the sign forgotten", lambda: quantiser(signed=False)),
            Mistake("cut off, not rounded", lambda: quantiser(rounds=False)),
            Mistake("a channel of zeros divides by zero", lambda: quantiser(guarded=False)),
            Mistake("another kind of answer", lambda: 0.003),
        ),
    )
)
register(
    Exercise(
        id="compress-and-export-ex4",
        chapter=CHAPTER,
        kind="transfer",
        minutes=20,
        difficulty="medium",
        expects="what export_onnx returns, or the path of its file",
        check=check_camera,
        hints=(
            "camera = 255 * (1 - few_raw) gives pictures as the camera would.",
            "export_onnx has an argument preprocess: from what comes in to what the backbone "
            "wants.",
            "First turn the picture into bright ink on dark ground, from 0 to 1; then "
            "glyphnet.preprocess.",
        ),
        mistakes=(
            Mistake("preprocessing left outside", lambda: camera_file("outside")),
            Mistake("dark ink not turned round", lambda: camera_file("dark")),
            Mistake("0 to 255 forgotten", lambda: camera_file("scale")),
            Mistake("the camera forgotten", lambda: camera_file("neither").path),
            Mistake("another kind of answer", lambda: 0.98),
        ),
    )
)
