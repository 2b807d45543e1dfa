"""Draws the bound on the target error as a sum of three terms, and what each needs."""

from svg import BLUE, GREEN, MUTED, ORANGE, PALE_BLUE, PALE_GREEN, PALE_ORANGE, Canvas

TERMS = (
    ("source error", "what was learned,", "where it was learned", "labelled source", BLUE),
    ("half the distance", "how far the inputs", "lie apart", "unlabelled of both", GREEN),
    ("joint error", "what the best", "compromise still errs", "labelled of both", ORANGE),
)
FILLS = {BLUE: PALE_BLUE, GREEN: PALE_GREEN, ORANGE: PALE_ORANGE}
WIDTH, GAP = 166, 28


def draw() -> Canvas:
    """Return the figure."""
    canvas = Canvas(
        760,
        230,
        title="Three terms bound the target error",
        description="The target error is at most the source error plus half the distance of the "
        "domains plus the joint error. The first needs labelled source items, the second "
        "unlabelled items of both domains, the third labelled items of both.",
    )
    canvas.box(10, 50, 128, 92)
    canvas.text(74, 90, "target error", bold=True)
    canvas.text(74, 114, "what we care about", size=12, colour=MUTED)
    for number, term in enumerate(TERMS):
        left = 138 + GAP + number * (WIDTH + GAP)
        canvas.text(left - GAP / 2, 103, "≤" if number == 0 else "+", size=20)
        draw_term(canvas, left, *term)
    canvas.text(74, 194, "needs:", size=14, colour=MUTED)
    return canvas


def draw_term(
    canvas: Canvas, left: float, name: str, first: str, second: str, needs: str, colour: str
) -> None:
    """Draw one term and what it needs."""
    middle = left + WIDTH / 2
    canvas.box(left, 50, WIDTH, 92, fill=FILLS[colour], stroke=colour)
    canvas.text(middle, 80, name, bold=True)
    canvas.text(middle, 104, first, size=13, colour=MUTED)
    canvas.text(middle, 124, second, size=13, colour=MUTED)
    canvas.arrow(middle, 176, middle, 146, colour=colour)
    canvas.text(middle, 194, needs, size=14)


if __name__ == "__main__":
    draw().save_beside(__file__)
