"""Draws four networks for one task, cut after the second of three layers."""

from svg import BLUE, GREEN, LINE, MUTED, PALE_BLUE, PALE_GREEN, PALE_GREY, Canvas

# name, what it is, origin of the two lower layers, whether they are frozen
COLUMNS = (
    ("base network", "B", None, False),
    ("selffer, frozen", "B₂B", "B", True),
    ("transfer, frozen", "A₂B", "A", True),
    ("transfer, tuned", "A₂B⁺", "A", False),
)
COLOURS = {"A": (PALE_BLUE, BLUE), "B": (PALE_GREEN, GREEN), None: (PALE_GREY, LINE)}
WIDTH, GAP, LEFT = 136, 20, 130
ROWS = (("head", 62), ("layer 3", 112), ("layer 2", 182), ("layer 1", 232))
CUT = 164


def draw() -> Canvas:
    """Return the figure."""
    canvas = Canvas(
        760,
        316,
        title="Four networks for task B, cut after the second of three layers",
        description="In the base network all layers are new. In the selffer network two layers "
        "come from the base network and are frozen. In the transfer network two layers come from "
        "a network for task A and are frozen. In the last network they are trained further.",
    )
    for name, top in ROWS:
        canvas.text(LEFT - 24, top + 24, name, size=14, colour=MUTED, anchor="end")
    for number, column in enumerate(COLUMNS):
        draw_network(canvas, LEFT + number * (WIDTH + GAP), *column)
    canvas.line(20, CUT, 740, CUT, colour=MUTED)
    canvas.text(LEFT - 24, CUT - 6, "the cut", size=13, colour=MUTED, anchor="end")
    canvas.text(LEFT - 24, 300, "input", size=14, colour=MUTED, anchor="end")
    return canvas


def draw_network(canvas: Canvas, left: float, title: str, short: str, origin: str | None,
                 is_frozen: bool) -> None:  # fmt: skip
    """Draw one column of three layers and a head."""
    middle = left + WIDTH / 2
    canvas.text(middle, 26, short, bold=True)
    canvas.text(middle, 46, title, size=13, colour=MUTED)
    for _, top in ROWS:
        source = origin if top > CUT else None
        fill, stroke = COLOURS[source]
        fixed = source is not None and is_frozen
        canvas.box(left, top, WIDTH, 38, fill=fill, stroke=stroke, dashed=not fixed)
        words = "new, trained" if source is None else f"from {source}, "
        if source is not None:
            words += "frozen" if fixed else "trained"
        canvas.text(middle, top + 24, words, size=13)
    canvas.arrow(middle, 300, middle, 274)


if __name__ == "__main__":
    draw().save_beside(__file__)
