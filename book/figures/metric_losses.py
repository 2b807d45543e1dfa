"""Draws three metric losses: what each of them pulls and pushes on the circle of embeddings."""

from math import cos, radians, sin

from svg import BLUE, GREEN, MUTED, ORANGE, PALE_BLUE, PALE_GREEN, PALE_ORANGE, Canvas

RADIUS = 84
CENTRES = {"contrastive": (125, 178), "triplet": (360, 178), "arcface": (595, 178)}


def draw() -> Canvas:
    """Return the figure."""
    canvas = Canvas(
        720,
        372,
        title="Three metric losses",
        description="Three circles of embeddings. Contrastive: a pair of one identity is pulled "
        "together, a pair of two is pushed apart up to a margin. Triplet: an anchor must be nearer "
        "to its positive than to a negative, by a margin. ArcFace: each training class has a "
        "vector on the circle, and a margin is added to the angle to the right one.",
    )
    for name, (x, y) in CENTRES.items():
        canvas.box(x - RADIUS, y - RADIUS, 2 * RADIUS, 2 * RADIUS, radius=RADIUS)
        title = {"contrastive": "Contrastive", "triplet": "Triplet", "arcface": "ArcFace"}[name]
        canvas.text(x, 40, title, bold=True, size=17)
    draw_contrastive(canvas, *CENTRES["contrastive"])
    draw_triplet(canvas, *CENTRES["triplet"])
    draw_arcface(canvas, *CENTRES["arcface"])
    return canvas


def on_circle(x: float, y: float, degrees: float, radius: float = RADIUS) -> tuple[float, float]:
    """Return the place at an angle, counted from the right against the clock."""
    return x + radius * cos(radians(degrees)), y - radius * sin(radians(degrees))


def dot(canvas: Canvas, place: tuple[float, float], letter: str, colours: tuple[str, str]) -> None:
    """Draw an embedding with a letter in it."""
    x, y = place
    canvas.box(x - 13, y - 13, 26, 26, fill=colours[0], stroke=colours[1], radius=13)
    canvas.text(x, y + 5, letter)


SAME, OTHER = (PALE_BLUE, BLUE), (PALE_ORANGE, ORANGE)


def draw_contrastive(canvas: Canvas, x: float, y: float) -> None:
    """Draw one pair that is pulled and one that is pushed."""
    first, second = on_circle(x, y, 100), on_circle(x, y, 175)
    canvas.arrow(first[0] - 12, first[1] + 8, x - 44, y - 50, colour=BLUE)
    canvas.arrow(second[0] + 8, second[1] - 12, x - 54, y - 40, colour=BLUE)
    dot(canvas, first, "A", SAME)
    dot(canvas, second, "A", SAME)
    left, right = on_circle(x, y, 300), on_circle(x, y, 340)
    canvas.arrow(left[0] - 16, left[1] + 2, left[0] - 50, left[1] + 6, colour=ORANGE)
    canvas.arrow(right[0] + 2, right[1] - 16, right[0] + 8, right[1] - 50, colour=ORANGE)
    dot(canvas, left, "A", SAME)
    dot(canvas, right, "B", OTHER)
    canvas.text(x, 304, "one identity: together", size=14, colour=BLUE)
    canvas.text(x, 326, "two: apart, up to a margin", size=14, colour=ORANGE)
    canvas.text(x, 352, "looks at pairs", size=13, colour=MUTED)


def draw_triplet(canvas: Canvas, x: float, y: float) -> None:
    """Draw an anchor, a positive and a negative."""
    anchor, near, far = on_circle(x, y, 130), on_circle(x, y, 60), on_circle(x, y, 215)
    canvas.line(*anchor, *near, colour=BLUE)
    canvas.line(*anchor, *far, colour=ORANGE)
    dot(canvas, anchor, "a", SAME)
    dot(canvas, near, "p", SAME)
    dot(canvas, far, "n", OTHER)
    canvas.text(x + 14, y + 40, "\u2016ap\u2016\u00b2 + \u03b1 < \u2016an\u2016\u00b2", size=13)
    canvas.text(x, 304, "nearer to its own", size=14, colour=BLUE)
    canvas.text(x, 326, "than to another, by a margin", size=14, colour=ORANGE)
    canvas.text(x, 352, "looks at order, not at distance", size=13, colour=MUTED)


def draw_arcface(canvas: Canvas, x: float, y: float) -> None:
    """Draw class vectors, an embedding, and the angle with its margin."""
    for degrees, name, colours in ((80, "w\u2081", SAME), (200, "w\u2082", OTHER),
                                   (320, "w\u2083", OTHER)):  # fmt: skip
        canvas.arrow(x, y, *on_circle(x, y, degrees, RADIUS - 2), colour=colours[1])
        canvas.text(*on_circle(x, y, degrees, RADIUS + 16), name, size=14, colour=colours[1])
    place, beyond = on_circle(x, y, 45), on_circle(x, y, 15)
    canvas.line(x, y, *place, colour=BLUE)
    canvas.line(x, y, *beyond, colour=GREEN)
    dot(canvas, place, "A", SAME)
    dot(canvas, beyond, "", (PALE_GREEN, GREEN))
    canvas.text(*on_circle(x, y, 63, 46), "\u03b8", size=15, colour=BLUE)
    canvas.text(*on_circle(x, y, 29, 52), "m", size=15, colour=GREEN)
    canvas.text(x, 304, "name the class, as if the angle", size=14, colour=BLUE)
    canvas.text(x, 326, "were larger by a margin m", size=14, colour=GREEN)
    canvas.text(x, 352, "looks at one vector a class", size=13, colour=MUTED)


if __name__ == "__main__":
    draw().save_beside(__file__)
