"""Draws the workflow of transfer learning in general: three ways to use a pretrained model."""

from svg import BLUE, GREEN, MUTED, ORANGE, PALE_BLUE, PALE_GREEN, PALE_GREY, PALE_ORANGE, Canvas

WAYS = (
    ("apply directly", "no training: features as they are"),
    ("fine-tune", "train the head, or all of it"),
    ("fuse", "join it with other features, models"),
)
TOP, HEIGHT, GAP = 66, 66, 18


def draw() -> Canvas:
    """Return the figure."""
    canvas = Canvas(
        760,
        350,
        title="The workflow of transfer learning",
        description="A model is pretrained on the source. On the target it is applied directly, "
        "fine-tuned, or fused with other models. Each candidate is compared with training from "
        "scratch on validation data; the chosen one is evaluated once on test data. If it is not "
        "good enough, the way back leads to another use or another source.",
    )
    draw_source(canvas)
    for row, (name, words) in enumerate(WAYS):
        draw_way(canvas, TOP + row * (HEIGHT + GAP), name, words)
    draw_evaluation(canvas)
    return canvas


def draw_source(canvas: Canvas) -> None:
    """Draw the first step, which is paid for once."""
    canvas.text(95, 32, "1  Pretrain", bold=True)
    canvas.box(20, 118, 150, 130, fill=PALE_BLUE, stroke=BLUE)
    canvas.text(95, 158, "source", bold=True)
    canvas.text(95, 182, "many examples,", size=13, colour=MUTED)
    canvas.text(95, 201, "paid for once", size=13, colour=MUTED)
    canvas.text(95, 228, "gives a backbone", size=13, colour=MUTED)


def draw_way(canvas: Canvas, y: float, name: str, words: str) -> None:
    """Draw one way of using the backbone, with its arrows."""
    if y == TOP:
        canvas.text(352, 32, "2  Use it on the target: few labels", bold=True)
    canvas.box(232, y, 240, HEIGHT, fill=PALE_ORANGE, stroke=ORANGE)
    canvas.text(352, y + 29, name, bold=True)
    canvas.text(352, y + 50, words, size=13, colour=MUTED)
    middle = y + HEIGHT / 2
    canvas.arrow(172, 183, 229, middle, colour=BLUE)
    canvas.arrow(474, middle, 531, 183)


def draw_evaluation(canvas: Canvas) -> None:
    """Draw the last step and the way back."""
    canvas.text(640, 32, "3  Evaluate", bold=True)
    canvas.box(534, 118, 206, 130, fill=PALE_GREEN, stroke=GREEN)
    canvas.text(637, 148, "beside scratch", bold=True)
    canvas.text(637, 172, "validation data choose,", size=13, colour=MUTED)
    canvas.text(637, 191, "test data judge once", size=13, colour=MUTED)
    canvas.text(637, 218, "labels, gap, shift, cost", size=13, colour=MUTED)
    canvas.box(180, 318, 360, 26, fill=PALE_GREY)
    canvas.text(360, 336, "not good enough: another use, or another source", size=13)
    canvas.arrow(637, 250, 542, 331, dashed=True)
    canvas.arrow(178, 331, 95, 251, dashed=True)


if __name__ == "__main__":
    draw().save_beside(__file__)
