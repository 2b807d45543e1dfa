"""Draws the workflow of transfer learning: pretrain once, adapt many times, judge once."""

from svg import BLUE, GREEN, MUTED, ORANGE, PALE_BLUE, PALE_GREEN, PALE_ORANGE, Canvas


def draw() -> Canvas:
    """Return the figure."""
    canvas = Canvas(
        720,
        350,
        title="The workflow of transfer learning",
        description="Above: a backbone with an old head is pretrained on many labelled source "
        "examples, and the old head is dropped. Below: the same backbone with a new head is "
        "adapted on a few labelled target examples; validation data choose, test data judge once.",
    )
    draw_source(canvas)
    draw_target(canvas)
    canvas.arrow(320, 130, 320, 224, colour=BLUE)
    canvas.text(330, 172, "weights are copied", size=14, colour=BLUE, anchor="start")
    canvas.text(330, 192, "with their own normalisation", size=14, colour=BLUE, anchor="start")
    return canvas


def draw_source(canvas: Canvas) -> None:
    """Draw the upper row: pretraining."""
    canvas.text(20, 30, "Source: many labels, paid for once", bold=True, anchor="start")
    canvas.box(20, 50, 170, 78)
    canvas.text(105, 84, "rendered letters")
    canvas.text(105, 106, "99 classes, no digits", size=13, colour=MUTED)
    canvas.arrow(190, 89, 228, 89)
    canvas.box(230, 50, 180, 78, fill=PALE_BLUE, stroke=BLUE)
    canvas.text(320, 84, "backbone", bold=True)
    canvas.text(320, 106, "learns strokes, shapes", size=13, colour=MUTED)
    canvas.arrow(410, 89, 448, 89)
    canvas.box(450, 50, 130, 78, dashed=True)
    canvas.text(515, 84, "old head")
    canvas.text(515, 106, "names letters", size=13, colour=MUTED)
    canvas.text(650, 94, "dropped", size=14, colour=MUTED, italic=True)


def draw_target(canvas: Canvas) -> None:
    """Draw the lower row: adaptation."""
    canvas.text(20, 210, "Target: few labels", bold=True, anchor="start")
    canvas.box(20, 228, 170, 78)
    canvas.text(105, 262, "handwritten digits")
    canvas.text(105, 284, "k of each class", size=13, colour=MUTED)
    canvas.arrow(190, 267, 228, 267)
    canvas.box(230, 228, 180, 78, fill=PALE_BLUE, stroke=BLUE)
    canvas.text(320, 262, "backbone", bold=True)
    canvas.text(320, 284, "frozen, or fine-tuned", size=13, colour=MUTED)
    canvas.arrow(410, 267, 448, 267)
    canvas.box(450, 228, 130, 78, fill=PALE_ORANGE, stroke=ORANGE)
    canvas.text(515, 262, "new head", bold=True)
    canvas.text(515, 284, "names digits", size=13, colour=MUTED)
    canvas.arrow(580, 267, 616, 267)
    canvas.box(618, 228, 84, 78, fill=PALE_GREEN, stroke=GREEN)
    canvas.text(660, 262, "test", bold=True)
    canvas.text(660, 284, "read once", size=13, colour=MUTED)
    canvas.text(105, 330, "train fits, validation chooses", size=13, colour=MUTED)
    canvas.text(660, 330, "chooses nothing", size=13, colour=MUTED)


if __name__ == "__main__":
    draw().save_beside(__file__)
