"""Draws three pretext tasks on unlabelled pictures, and what is kept of them afterwards."""

from svg import BLUE, GREEN, MUTED, ORANGE, PALE_BLUE, PALE_GREEN, PALE_ORANGE, Canvas

ROWS = (
    ("rotation", "one picture, turned", "head", "which of 4 turns?", "the turn is known"),
    ("contrastive", "two views of each picture", "projection", "which two belong together?",
     "the pairs are known"),
    ("masked", "one picture, patches hidden", "decoder", "which pixels were hidden?",
     "the pixels are known"),
)  # fmt: skip
TOP, STEP, HEIGHT = 52, 96, 74


def draw() -> Canvas:
    """Return the figure."""
    canvas = Canvas(
        760,
        470,
        title="Three pretext tasks and what is kept of them",
        description="Above: unlabelled pictures are turned, seen in two views, or partly hidden; "
        "an encoder with a head of its own answers which turn, which pair, or which pixels. "
        "Below: the encoder is kept and frozen, the head thrown away, and a linear probe is fitted "
        "to a few labels.",
    )
    canvas.text(20, 32, "First: many pictures, no label", bold=True, anchor="start")
    for number, row in enumerate(ROWS):
        draw_task(canvas, TOP + number * STEP, *row)
    canvas.line(20, 350, 740, 350)
    draw_probe(canvas)
    return canvas


def draw_task(
    canvas: Canvas, top: float, name: str, given: str, head: str, asked: str, known: str
) -> None:
    """Draw one pretext task from left to right."""
    middle = top + HEIGHT / 2
    canvas.box(20, top, 206, HEIGHT)
    canvas.text(123, middle - 6, name, bold=True)
    canvas.text(123, middle + 18, given, size=13, colour=MUTED)
    canvas.arrow(226, middle, 254, middle)
    canvas.box(256, top, 110, HEIGHT, fill=PALE_BLUE, stroke=BLUE)
    canvas.text(311, middle + 5, "encoder", bold=True)
    canvas.arrow(366, middle, 394, middle)
    canvas.box(396, top, 110, HEIGHT, fill=PALE_ORANGE, stroke=ORANGE, dashed=True)
    canvas.text(451, middle + 5, head)
    canvas.arrow(506, middle, 534, middle)
    canvas.text(542, middle - 4, asked, size=14, anchor="start")
    canvas.text(542, middle + 18, known, size=13, colour=MUTED, anchor="start")


def draw_probe(canvas: Canvas) -> None:
    """Draw the lower row: the linear probe."""
    canvas.text(20, 376, "Then: a few labels", bold=True, anchor="start")
    canvas.box(20, 392, 206, 64)
    canvas.text(123, 420, "pictures with labels", bold=True)
    canvas.text(123, 442, "1, 5 or 10 of each class", size=13, colour=MUTED)
    canvas.arrow(226, 424, 254, 424)
    canvas.box(256, 392, 110, 64, fill=PALE_BLUE, stroke=BLUE)
    canvas.text(311, 420, "encoder", bold=True)
    canvas.text(311, 442, "frozen", size=13, colour=MUTED)
    canvas.arrow(366, 424, 394, 424)
    canvas.box(396, 392, 110, 64, fill=PALE_GREEN, stroke=GREEN)
    canvas.text(451, 420, "linear", bold=True)
    canvas.text(451, 442, "fitted", size=13, colour=MUTED)
    canvas.arrow(506, 424, 534, 424)
    canvas.text(542, 420, "which class?", size=14, anchor="start")
    canvas.text(542, 442, "dashed heads are thrown away", size=13, colour=MUTED, anchor="start")


if __name__ == "__main__":
    draw().save_beside(__file__)
