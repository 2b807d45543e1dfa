"""Draws the four places where networks can be joined: features, answers, weights, a successor."""

from svg import BLUE, GREEN, MUTED, ORANGE, PALE_BLUE, PALE_GREEN, PALE_GREY, PALE_ORANGE, Canvas

WIDTH, HEIGHT = 370, 186


def draw() -> Canvas:
    """Return the figure."""
    canvas = Canvas(
        780,
        420,
        title="Four places to join networks",
        description="Features of two networks side by side go into one head. Answers of two "
        "networks are combined by a mean, a second-level classifier or a gate. Weights of several "
        "fine-tunings of one start are averaged into one network. A large network teaches a "
        "small one.",
    )
    draw_features(canvas, 15, 15)
    draw_answers(canvas, 395, 15)
    draw_weights(canvas, 15, 217)
    draw_successor(canvas, 395, 217)
    return canvas


def frame(canvas: Canvas, x: float, y: float, name: str, price: str) -> None:
    """Draw the frame of a panel with its name and what it costs."""
    canvas.box(x, y, WIDTH, HEIGHT)
    canvas.text(x + 14, y + 26, name, bold=True, anchor="start")
    canvas.text(x + WIDTH - 14, y + 26, price, size=13, colour=MUTED, anchor="end")


def node(canvas: Canvas, x: float, y: float, words: str, fill: str, stroke: str) -> None:
    """Draw a box with a word in it; x and y are its upper left corner."""
    canvas.box(x, y, 94, 40, fill=fill, stroke=stroke)
    canvas.text(x + 47, y + 25, words, size=14)


def draw_features(canvas: Canvas, x: float, y: float) -> None:
    """Draw two backbones whose features go into one head."""
    frame(canvas, x, y, "Features", "pays for both")
    node(canvas, x + 14, y + 50, "network 1", PALE_BLUE, BLUE)
    node(canvas, x + 14, y + 122, "network 2", PALE_BLUE, BLUE)
    canvas.box(x + 158, y + 62, 50, 88, fill=PALE_GREY)
    canvas.text(x + 183, y + 92, "side", size=13)
    canvas.text(x + 183, y + 110, "by", size=13)
    canvas.text(x + 183, y + 128, "side", size=13)
    canvas.arrow(x + 110, y + 70, x + 154, y + 88, colour=BLUE)
    canvas.arrow(x + 110, y + 142, x + 154, y + 124, colour=BLUE)
    canvas.arrow(x + 210, y + 106, x + 258, y + 106)
    node(canvas, x + 262, y + 86, "one head", PALE_ORANGE, ORANGE)


def draw_answers(canvas: Canvas, x: float, y: float) -> None:
    """Draw two networks whose answers are combined."""
    frame(canvas, x, y, "Answers", "pays for both")
    for row, number in ((50, 1), (122, 2)):
        node(canvas, x + 14, y + row, f"network {number}", PALE_BLUE, BLUE)
        node(canvas, x + 130, y + row, f"answer {number}", PALE_ORANGE, ORANGE)
        canvas.arrow(x + 110, y + row + 20, x + 127, y + row + 20, colour=BLUE)
    canvas.arrow(x + 226, y + 74, x + 258, y + 92, colour=ORANGE)
    canvas.arrow(x + 226, y + 138, x + 258, y + 120, colour=ORANGE)
    canvas.box(x + 262, y + 66, 94, 80, fill=PALE_GREY)
    for line, words in enumerate(("mean,", "stacking", "or gate")):
        canvas.text(x + 309, y + 90 + 21 * line, words, size=14)


def draw_weights(canvas: Canvas, x: float, y: float) -> None:
    """Draw three fine-tunings of one start whose weights are averaged."""
    frame(canvas, x, y, "Weights", "pays once")
    node(canvas, x + 14, y + 86, "one start", PALE_BLUE, BLUE)
    for number, row in enumerate((44, 92, 140)):
        canvas.box(x + 142, y + row, 86, 32, fill=PALE_GREEN, stroke=GREEN)
        canvas.text(x + 185, y + row + 21, "fine-tuned", size=14)
        canvas.arrow(x + 110, y + 106, x + 139, y + row + 16, colour=BLUE)
        canvas.arrow(x + 230, y + row + 16, x + 262, y + 92 + 14 * number, colour=GREEN)
    node(canvas, x + 265, y + 86, "their mean", PALE_GREEN, GREEN)


def draw_successor(canvas: Canvas, x: float, y: float) -> None:
    """Draw a large network that teaches a small one."""
    frame(canvas, x, y, "A successor", "pays once, and little")
    canvas.box(x + 14, y + 56, 120, 100, fill=PALE_BLUE, stroke=BLUE)
    canvas.text(x + 74, y + 100, "teacher", bold=True)
    canvas.text(x + 74, y + 122, "large", size=13, colour=MUTED)
    canvas.arrow(x + 136, y + 106, x + 258, y + 106, colour=ORANGE)
    canvas.text(x + 196, y + 94, "soft targets", size=14)
    canvas.text(x + 196, y + 128, "on many images", size=13, colour=MUTED)
    canvas.box(x + 262, y + 80, 94, 52, fill=PALE_GREEN, stroke=GREEN)
    canvas.text(x + 309, y + 102, "student", size=14, bold=True)
    canvas.text(x + 309, y + 121, "small", size=13, colour=MUTED)


if __name__ == "__main__":
    draw().save_beside(__file__)
