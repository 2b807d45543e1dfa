"""Draws hard and soft sharing: one backbone for two tasks, or two that are tied or mixed."""

from svg import BLUE, GREEN, MUTED, ORANGE, PALE_BLUE, PALE_GREEN, PALE_GREY, PALE_ORANGE, Canvas

WIDTH, TOP, MIDDLE, BOTTOM = 86, 92, 202, 312


def draw() -> Canvas:
    """Return the figure."""
    canvas = Canvas(
        720,
        400,
        title="Hard and soft sharing of parameters",
        description="Three networks for two tasks. Left: hard sharing, one backbone feeds two "
        "heads. Middle: two backbones, their weights tied by a penalty. Right: two backbones, "
        "their features mixed after each layer.",
    )
    draw_hard(canvas)
    canvas.line(240, 20, 240, 380)
    draw_tied(canvas)
    canvas.line(480, 20, 480, 380)
    draw_stitched(canvas)
    return canvas


def title(canvas: Canvas, x: float, name: str, note: str) -> None:
    """Write what a panel shows."""
    canvas.text(x, 36, name, bold=True)
    canvas.text(x, 58, note, size=13, colour=MUTED)


def heads(canvas: Canvas, x: float) -> None:
    """Draw the two heads of a panel, centred at x."""
    for shift, name, fill, stroke in (
        (-54, "task 1", PALE_ORANGE, ORANGE),
        (54, "task 2", PALE_GREEN, GREEN),
    ):
        canvas.box(x + shift - WIDTH / 2, TOP - 16, WIDTH, 36, fill=fill, stroke=stroke)
        canvas.text(x + shift, TOP + 7, name)


def layers(canvas: Canvas, x: float, width: float, *, is_mixed: bool = False) -> None:
    """Draw two layers of a backbone, the lower one first."""
    for y in (BOTTOM, MIDDLE):
        canvas.box(x - width / 2, y - 18, width, 40, fill=PALE_BLUE, stroke=BLUE)
    if not is_mixed:
        canvas.arrow(x, BOTTOM - 18, x, MIDDLE + 24)


def draw_hard(canvas: Canvas) -> None:
    """Draw one backbone with two heads."""
    title(canvas, 120, "Hard sharing", "one backbone, two heads")
    heads(canvas, 120)
    layers(canvas, 120, 150)
    canvas.text(120, MIDDLE + 7, "shared")
    canvas.text(120, BOTTOM + 7, "shared")
    canvas.arrow(100, MIDDLE - 18, 72, TOP + 22)
    canvas.arrow(140, MIDDLE - 18, 168, TOP + 22)
    canvas.text(120, 374, "input", size=14, colour=MUTED)


def draw_pair(canvas: Canvas, x: float, *, is_mixed: bool = False) -> None:
    """Draw two backbones side by side, centred at x, with a head each."""
    heads(canvas, x)
    for shift in (-54, 54):
        layers(canvas, x + shift, 64, is_mixed=is_mixed)
        if not is_mixed:
            canvas.arrow(x + shift, MIDDLE - 18, x + shift, TOP + 22)
    canvas.text(x, 374, "input", size=14, colour=MUTED)


def draw_tied(canvas: Canvas) -> None:
    """Draw two backbones with a penalty between their weights."""
    title(canvas, 360, "Soft: a penalty", "weights pulled together")
    draw_pair(canvas, 360)
    for y in (BOTTOM + 2, MIDDLE + 2):
        canvas.line(338, y, 382, y, colour=ORANGE)
        canvas.text(360, y - 5, "tie", size=13, colour=ORANGE)


def draw_stitched(canvas: Canvas) -> None:
    """Draw two backbones whose features are mixed after each layer."""
    title(canvas, 600, "Soft: cross-stitch", "features mixed")
    draw_pair(canvas, 600, is_mixed=True)
    for y in (258, 148):
        canvas.box(528, y - 13, 144, 26, fill=PALE_GREY)
        canvas.text(600, y + 5, "mix (2 x 2)", size=13)
        for x in (546, 654):
            canvas.arrow(x, y + 36, x, y + 15)
            canvas.arrow(x, y - 13, x, y - 34)


if __name__ == "__main__":
    draw().save_beside(__file__)
