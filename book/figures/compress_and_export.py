"""Draws what an exported file holds, and three ways to make it smaller."""

from svg import (
    BLUE,
    GREEN,
    MUTED,
    ORANGE,
    PALE_BLUE,
    PALE_GREEN,
    PALE_GREY,
    PALE_ORANGE,
    Canvas,
)


def draw() -> Canvas:
    """Return the figure."""
    canvas = Canvas(
        720,
        430,
        title="What an exported file holds, and how it becomes smaller",
        description="Above: a picture goes through preprocessing, backbone and head to an answer; "
        "a file with prepared inputs begins after the preprocessing, one with raw inputs before "
        "it. Below: fewer bits for each weight, fewer weights, two thin layers for a thick one.",
    )
    draw_file(canvas)
    canvas.line(20, 218, 700, 218)
    draw_ways(canvas)
    return canvas


def draw_file(canvas: Canvas) -> None:
    """Draw the upper row: what is in the file."""
    canvas.text(20, 28, "Export: where does the file begin?", bold=True, anchor="start")
    canvas.box(20, 64, 96, 60)
    canvas.text(68, 99, "picture")
    canvas.arrow(116, 94, 156, 94)
    canvas.box(158, 64, 140, 60, fill=PALE_ORANGE, stroke=ORANGE)
    canvas.text(228, 90, "preprocessing")
    canvas.text(228, 111, "resize, normalise", size=13, colour=MUTED)
    canvas.arrow(298, 94, 338, 94)
    canvas.box(340, 64, 210, 60, fill=PALE_BLUE, stroke=BLUE)
    canvas.text(445, 90, "backbone and head")
    canvas.text(445, 111, "a graph and its weights", size=13, colour=MUTED)
    canvas.arrow(550, 94, 590, 94)
    canvas.box(592, 64, 108, 60, fill=PALE_GREEN, stroke=GREEN)
    canvas.text(646, 99, "logits")
    for x, y, words in (
        (340, 150, "a file that takes prepared inputs"),
        (158, 190, "a file that takes raw inputs"),
    ):
        canvas.line(x, y - 14, x, y + 4, colour=BLUE)
        canvas.line(x, y - 5, 550, y - 5, colour=BLUE)
        canvas.line(550, y - 14, 550, y + 4, colour=BLUE)
        canvas.text((x + 550) / 2, y + 13, words, size=13, colour=BLUE)


def draw_ways(canvas: Canvas) -> None:
    """Draw the lower row: three ways to make the weights smaller."""
    canvas.text(20, 248, "Compress: three ways", bold=True, anchor="start")
    for x, title, words in (
        (20, "fewer bits", "a weight is one of 255 values"),
        (260, "fewer weights", "the smallest become zero"),
        (500, "thinner layers", "two narrow ones for a wide one"),
    ):
        canvas.text(x + 100, 282, title, bold=True)
        canvas.text(x + 100, 414, words, size=13, colour=MUTED)
    for step in range(9):
        canvas.line(32 + 22 * step, 352, 32 + 22 * step, 372, colour=BLUE)
    canvas.line(32, 362, 208, 362, colour=BLUE)
    canvas.text(80, 330, "0.3172", size=14)
    canvas.arrow(80, 338, 96, 358, colour=ORANGE)
    kept = {(0, 1), (1, 3), (2, 0), (2, 4), (3, 2)}
    for row in range(4):
        for column in range(6):
            is_kept = (row, column) in kept
            canvas.box(
                294 + 22 * column, 302 + 22 * row, 20, 20, radius=2,
                fill=PALE_BLUE if is_kept else PALE_GREY, stroke=BLUE if is_kept else PALE_GREY,
            )  # fmt: skip
    canvas.box(506, 310, 66, 72, fill=PALE_BLUE, stroke=BLUE)
    canvas.text(588, 351, "\u2248")
    canvas.box(604, 310, 20, 72, fill=PALE_GREEN, stroke=GREEN)
    canvas.box(632, 310, 66, 20, fill=PALE_GREEN, stroke=GREEN)


if __name__ == "__main__":
    draw().save_beside(__file__)
