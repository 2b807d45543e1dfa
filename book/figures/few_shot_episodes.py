"""Draws few-shot learning: base classes train an encoder, an episode of new classes judges it."""

from svg import BLUE, GREEN, MUTED, ORANGE, PALE_BLUE, PALE_GREEN, PALE_ORANGE, Canvas


def draw() -> Canvas:
    """Return the figure."""
    canvas = Canvas(
        720,
        420,
        title="Few-shot learning by episodes",
        description="Above: base classes train an encoder, by naming all of them or by episodes. "
        "Below: an episode of new classes; three support items become prototypes in the space of "
        "features, and a query item takes the class of the nearest prototype.",
    )
    draw_training(canvas)
    canvas.line(20, 178, 700, 178)
    draw_episode(canvas)
    canvas.arrow(350, 142, 350, 236, colour=BLUE)
    canvas.text(362, 205, "the same encoder", size=14, colour=BLUE, anchor="start")
    return canvas


def draw_training(canvas: Canvas) -> None:
    """Draw the upper row: what is learned before."""
    canvas.text(20, 30, "Before: base classes, many labels", bold=True, anchor="start")
    canvas.box(20, 52, 190, 88)
    canvas.text(115, 90, "A  G  \u0424  \u03a3  h  \u042f ...", size=18)
    canvas.text(115, 118, "printed letters", size=13, colour=MUTED)
    canvas.arrow(210, 96, 258, 96)
    canvas.box(260, 52, 180, 88, fill=PALE_BLUE, stroke=BLUE)
    canvas.text(350, 90, "encoder", bold=True)
    canvas.text(350, 114, "image to features", size=13, colour=MUTED)
    canvas.arrow(440, 96, 488, 96)
    canvas.text(496, 78, "trained by naming all classes,", size=14, anchor="start")
    canvas.text(496, 100, "or by episodes of them", size=14, anchor="start")
    canvas.text(496, 122, "(prototypes, MAML)", size=13, colour=MUTED, anchor="start")


def draw_episode(canvas: Canvas) -> None:
    """Draw the lower row: one episode of new classes."""
    canvas.text(20, 208, "Then: an episode of new classes", bold=True, anchor="start")
    canvas.box(20, 228, 190, 72, fill=PALE_ORANGE, stroke=ORANGE)
    canvas.text(115, 258, "2   7   9", size=20)
    canvas.text(115, 284, "support: labelled, 1 of each", size=13, colour=MUTED)
    canvas.box(20, 322, 190, 72, fill=PALE_GREEN, stroke=GREEN)
    canvas.text(115, 352, "?", size=22)
    canvas.text(115, 378, "query: to be named", size=13, colour=MUTED)
    canvas.box(260, 238, 180, 150, fill=PALE_BLUE, stroke=BLUE)
    canvas.text(350, 318, "encoder", bold=True)
    canvas.arrow(210, 264, 258, 264)
    canvas.arrow(210, 358, 258, 358)
    canvas.arrow(440, 313, 478, 313)
    canvas.box(480, 200, 220, 204)
    for x, y, name in ((530, 250, "2"), (650, 262, "7"), (560, 360, "9")):
        canvas.box(x - 13, y - 13, 26, 26, fill=PALE_ORANGE, stroke=ORANGE, radius=13)
        canvas.text(x, y + 5, name)
    canvas.box(602, 272, 24, 24, fill=PALE_GREEN, stroke=GREEN, radius=12)
    canvas.text(614, 289, "?")
    canvas.line(626, 278, 640, 271, colour=GREEN)
    canvas.text(590, 224, "prototypes", size=13, colour=MUTED)
    canvas.text(590, 396, "the nearest one names it", size=13, colour=MUTED)


if __name__ == "__main__":
    draw().save_beside(__file__)
