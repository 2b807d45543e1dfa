"""Draws a one-stage and a two-stage detector over the same map."""

from svg import BLUE, MUTED, ORANGE, PALE_BLUE, PALE_GREY, PALE_ORANGE, Canvas

ROWS = (("one stage", 96), ("two stages", 262))


def draw() -> Canvas:
    """Return the figure."""
    canvas = Canvas(
        880,
        400,
        title="One-stage and two-stage detectors",
        description="In both an image passes through backbone and neck to a map of features. In "
        "the one-stage detector each position of the map says class, box and centre. In the "
        "two-stage detector a first network proposes boxes, each of which is cut out of the map, "
        "named and corrected. Suppression of doubles comes last. All but the layers that name "
        "classes is carried over.",
    )
    for name, middle in ROWS:
        canvas.text(20, middle - 66, name, bold=True, anchor="start")
        draw_body(canvas, middle)
    draw_one_stage(canvas, ROWS[0][1])
    draw_two_stages(canvas, ROWS[1][1])
    legend(canvas, 380)
    return canvas


def part(canvas: Canvas, left: float, middle: float, words: str, small: str, *,
         width: float = 112, height: float = 56, is_new: bool = False) -> None:  # fmt: skip
    """Draw one part of a detector, centred on a height."""
    fill, stroke = (PALE_ORANGE, ORANGE) if is_new else (PALE_BLUE, BLUE)
    canvas.box(left, middle - height / 2, width, height, fill=fill, stroke=stroke)
    canvas.text(left + width / 2, middle - 2, words, size=14)
    canvas.text(left + width / 2, middle + 16, small, size=12, colour=MUTED)


def draw_body(canvas: Canvas, middle: float) -> None:
    """Draw image, backbone, neck and map."""
    canvas.box(20, middle - 28, 56, 56, fill=PALE_GREY)
    canvas.text(48, middle + 5, "image", size=13)
    canvas.arrow(76, middle, 92, middle)
    part(canvas, 92, middle, "backbone", "layer by layer")
    canvas.arrow(204, middle, 220, middle)
    part(canvas, 220, middle, "neck", "coarse + fine", width=100)
    canvas.arrow(320, middle, 338, middle)
    for column in range(5):
        for row in range(5):
            canvas.box(338 + 11 * column, middle - 28 + 11 * row, 11, 11, radius=0)
    canvas.text(365, middle + 44, "map", size=12, colour=MUTED)


def draw_one_stage(canvas: Canvas, middle: float) -> None:
    """Draw what each position of the map says."""
    for offset, words, small, is_new in (
        (-48, "class", "at each position", True),
        (0, "box", "four distances", False),
        (48, "centre", "how near", False),
    ):
        canvas.arrow(396, middle, 436, middle + offset)
        part(canvas, 436, middle + offset, words, small, height=42, width=128, is_new=is_new)
        canvas.arrow(564, middle + offset, 706, middle)
    last(canvas, middle)


def draw_two_stages(canvas: Canvas, middle: float) -> None:
    """Draw proposals, and what is said of each."""
    canvas.arrow(394, middle, 410, middle)
    part(canvas, 410, middle, "proposals", "thing or not", width=90)
    canvas.arrow(500, middle, 514, middle)
    part(canvas, 514, middle, "cut out", "5 x 5 each", width=80)
    canvas.arrow(594, middle, 608, middle)
    part(canvas, 608, middle, "name it", "and correct", width=84, is_new=True)
    canvas.arrow(692, middle, 706, middle)
    last(canvas, middle)


def last(canvas: Canvas, middle: float) -> None:
    """Draw the suppression of doubles and what comes out."""
    canvas.box(706, middle - 28, 92, 56, fill=PALE_GREY)
    canvas.text(752, middle - 2, "suppress", size=14)
    canvas.text(752, middle + 16, "doubles", size=14)
    canvas.arrow(798, middle, 816, middle)
    canvas.text(842, middle + 5, "boxes", size=14)


def legend(canvas: Canvas, y: float) -> None:
    """Say what the colours mean."""
    for left, fill, stroke, words in (
        (92, PALE_BLUE, BLUE, "carried over from the source"),
        (330, PALE_ORANGE, ORANGE, "new: layers whose outputs are classes"),
        (640, PALE_GREY, MUTED, "nothing to learn"),
    ):
        canvas.box(left, y - 13, 18, 16, fill=fill, stroke=stroke, radius=3)
        canvas.text(left + 26, y, words, size=13, colour=MUTED, anchor="start")


if __name__ == "__main__":
    draw().save_beside(__file__)
