"""Draws the chain from a page to a probe, and what goes wrong in each step."""

from svg import BLUE, GREEN, MUTED, ORANGE, PALE_BLUE, PALE_GREEN, PALE_GREY, PALE_ORANGE, Canvas

STEPS = (
    ("crop", "another size", "than in training"),
    ("denoise", "wider than", "a stroke"),
    ("resize", "without", "antialiasing"),
    ("normalise", "another's", "statistics"),
)
WIDTH, GAP, TOP, HEIGHT = 92, 18, 96, 62


def draw() -> Canvas:
    """Return the figure."""
    canvas = Canvas(
        820,
        250,
        title="From a page to a probe",
        description="A page is cropped, denoised, resized and normalised. A backbone turns the "
        "result into features and a probe reads them. Augmentation joins the chain for training "
        "images only. Below each box stands what goes wrong there.",
    )
    canvas.box(10, TOP, 66, HEIGHT, fill=PALE_GREY)
    canvas.text(43, TOP + 37, "page")
    for number, step in enumerate(STEPS):
        draw_step(canvas, 76 + GAP + number * (WIDTH + GAP), *step)
    left = 76 + GAP + len(STEPS) * (WIDTH + GAP)
    canvas.arrow(left - GAP, TOP + HEIGHT / 2, left, TOP + HEIGHT / 2)
    canvas.box(left, TOP, 118, HEIGHT, fill=PALE_ORANGE, stroke=ORANGE)
    canvas.text(left + 59, TOP + 28, "backbone", bold=True)
    canvas.text(left + 59, TOP + 48, "frozen", size=12, colour=MUTED)
    canvas.text(left + 59, TOP + HEIGHT + 26, "which labels?", size=12, colour=MUTED)
    canvas.text(left + 59, TOP + HEIGHT + 44, "which family?", size=12, colour=MUTED)
    right = left + 118
    canvas.arrow(right, TOP + HEIGHT / 2, right + GAP, TOP + HEIGHT / 2)
    canvas.box(right + GAP, TOP, 76, HEIGHT, fill=PALE_GREEN, stroke=GREEN)
    canvas.text(right + GAP + 38, TOP + 37, "probe", bold=True)
    draw_augmentation(canvas)
    return canvas


def draw_step(canvas: Canvas, left: float, name: str, first: str, second: str) -> None:
    """Draw one step, the arrow to it, and what goes wrong in it."""
    middle = left + WIDTH / 2
    canvas.arrow(left - GAP, TOP + HEIGHT / 2, left, TOP + HEIGHT / 2)
    canvas.box(left, TOP, WIDTH, HEIGHT, fill=PALE_BLUE, stroke=BLUE)
    canvas.text(middle, TOP + 37, name, bold=True)
    canvas.text(middle, TOP + HEIGHT + 26, first, size=12, colour=MUTED)
    canvas.text(middle, TOP + HEIGHT + 44, second, size=12, colour=MUTED)


def draw_augmentation(canvas: Canvas) -> None:
    """Draw the step that is for training images only, above the last arrow before normalising."""
    at = 76 + GAP + 3 * (WIDTH + GAP) - GAP / 2
    canvas.box(at - 95, 12, 190, 46, dashed=True)
    canvas.text(at, 31, "augment", bold=True)
    canvas.text(at, 49, "training images only", size=12, colour=MUTED)
    canvas.arrow(at, 58, at, TOP + HEIGHT / 2 - 3, dashed=True)


if __name__ == "__main__":
    draw().save_beside(__file__)
