"""Draws where in a network each method of domain adaptation acts."""

from svg import BLUE, GREEN, MUTED, ORANGE, PALE_BLUE, PALE_GREEN, PALE_ORANGE, Canvas

PLACES = (
    (216, "encoder", "batch statistics", ("re-estimate them", "on the target"), BLUE),
    (406, "features", "two clouds", ("CORAL, MMD:", "equal moments", "DANN: fool a critic"), GREEN),
    (
        596,
        "predictions",
        "no labels needed",
        ("consistency: two", "views, one answer", "self-training"),
        ORANGE,
    ),
)
FILLS = {BLUE: PALE_BLUE, GREEN: PALE_GREEN, ORANGE: PALE_ORANGE}
WIDTH = 154


def draw() -> Canvas:
    """Return the figure."""
    canvas = Canvas(
        770,
        292,
        title="Three places to adapt a network",
        description="Labelled source pictures and unlabelled target pictures pass one encoder to "
        "features and predictions. The statistics of the encoder can be estimated again on the "
        "target; the features of both domains can be aligned by CORAL, MMD or a critic that is "
        "fooled; the predictions on target pictures can be made consistent, or taught to "
        "themselves where they are confident. Labels act on the source predictions only.",
    )
    for top, name, kind, fill, stroke in (
        (24, "source", "with labels", PALE_BLUE, BLUE),
        (96, "target", "without labels", PALE_ORANGE, ORANGE),
    ):
        canvas.box(14, top, 148, 60, fill=fill, stroke=stroke)
        canvas.text(88, top + 27, name, bold=True)
        canvas.text(88, top + 47, kind, size=13, colour=MUTED)
        canvas.arrow(166, top + 30, 212, 84 if top < 60 else 100)
    for number, place in enumerate(PLACES):
        draw_place(canvas, *place)
        if number:
            canvas.arrow(place[0] - 34, 92, place[0] - 4, 92)
    return canvas


def draw_place(
    canvas: Canvas, left: float, name: str, kind: str, lines: tuple[str, ...], colour: str
) -> None:
    """Draw one stage of the network and, below it, what adapts it."""
    middle = left + WIDTH / 2
    canvas.box(left, 54, WIDTH, 76)
    canvas.text(middle, 88, name, bold=True)
    canvas.text(middle, 110, kind, size=13, colour=MUTED)
    canvas.box(left, 184, WIDTH, 88, fill=FILLS[colour], stroke=colour)
    canvas.arrow(middle, 180, middle, 134, colour=colour)
    first = 233 - 11 * (len(lines) - 1)
    for number, line in enumerate(lines):
        canvas.text(middle, first + 22 * number, line, size=14)


if __name__ == "__main__":
    draw().save_beside(__file__)
