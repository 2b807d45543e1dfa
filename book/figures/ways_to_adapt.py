"""Draws seven ways to adapt a pretrained network: what moves, how far, what is averaged."""

from svg import (
    BLUE,
    GREEN,
    INK,
    LINE,
    MUTED,
    ORANGE,
    PALE_BLUE,
    PALE_GREEN,
    PALE_GREY,
    PALE_ORANGE,
    Canvas,
)

LAYERS, TALL, GAP, TOP, WIDE = 4, 30, 8, 96, 66
FROZEN, TRAINED = (PALE_GREY, LINE), (PALE_ORANGE, ORANGE)
COLUMNS = (
    ("feature", "extraction", "head only"),
    ("full", "fine-tuning", "everything"),
    ("gradual,", "layer-wise", "later or slower below"),
    ("L2-SP", "", "on a spring"),
    ("LoRA", "", "a thin path beside"),
    ("adapters", "", "a thin layer between"),
    ("WiSE-FT,", "checkpoints", "means of weights"),
)
STEP, LEFT = 122, 18


def draw() -> Canvas:
    """Return the figure."""
    canvas = Canvas(
        LEFT + len(COLUMNS) * STEP + 4,
        372,
        title="Seven ways to adapt a pretrained network",
        description="Feature extraction trains the head only. Full fine-tuning trains everything. "
        "Gradual unfreezing and layer-wise rates train lower layers later or slower. L2-SP trains "
        "everything on a spring to the pretrained weights. LoRA trains thin paths beside frozen "
        "layers, adapters thin layers between them. WiSE-FT and checkpoint averaging take means "
        "of weights.",
    )
    for number, (first, second, note) in enumerate(COLUMNS):
        middle = LEFT + number * STEP + STEP / 2 - 4
        canvas.text(middle, 34, first, bold=True)
        canvas.text(middle, 54, second, bold=True)
        draw_tower(canvas, number, middle)
        for line, words in enumerate(halves(note)):
            canvas.text(middle, 302 + 17 * line, words, size=13, colour=MUTED)
    draw_legend(canvas, 350)
    return canvas


def halves(note: str) -> list[str]:
    """Return a note in one or two lines."""
    words = note.split()
    if len(words) < 3:
        return [note]
    cut = (len(words) + 1) // 2
    return [" ".join(words[:cut]), " ".join(words[cut:])]


def top_of(place: int) -> float:
    """Return the upper edge of a layer, 0 being the head."""
    return TOP - 20 + place * (TALL + GAP)


def draw_tower(canvas: Canvas, number: int, middle: float) -> None:
    """Draw head and layers of one way, the head above."""
    left = middle - WIDE / 2
    trained_from_top = (1, 5, 5, 5, 1, 1, 5)[number]
    for place in range(LAYERS + 1):
        fill, stroke = TRAINED if place < trained_from_top else FROZEN
        canvas.box(left, top_of(place), WIDE, TALL, fill=fill, stroke=stroke)
        words = "head" if place == 0 else ""
        canvas.text(middle, top_of(place) + 20, words, size=13)
    if number == 2:
        draw_phases(canvas, middle)
    if number == 3:
        draw_springs(canvas, left)
    if number in (4, 5):
        draw_additions(canvas, number, left)
    if number == 6:
        draw_before(canvas, left)


def draw_phases(canvas: Canvas, middle: float) -> None:
    """Write when, or how fast, each layer moves."""
    for place, words in enumerate(("", "soon", "later", "later", "last")):
        canvas.text(middle, top_of(place) + 20, words, size=13, colour=INK)


def draw_springs(canvas: Canvas, left: float) -> None:
    """Draw the pull to the pretrained weights, zigzag to an anchor."""
    for place in range(1, LAYERS + 1):
        y = top_of(place) + TALL / 2
        points = [left + WIDE + 3 * step for step in range(7)]
        for step in range(6):
            low, high = (y - 5, y + 5) if step % 2 else (y + 5, y - 5)
            canvas.line(points[step], low, points[step + 1], high, colour=BLUE)
        canvas.box(points[-1], y - 9, 6, 18, fill=PALE_BLUE, stroke=BLUE, radius=1)


def draw_additions(canvas: Canvas, number: int, left: float) -> None:
    """Draw thin paths beside the layers, or thin layers between them."""
    for place in range(1, LAYERS + 1):
        if number == 4:
            canvas.box(left + WIDE + 4, top_of(place), 11, TALL, fill=PALE_ORANGE, stroke=ORANGE)
        else:
            canvas.box(left + 12, top_of(place) - GAP + 1, WIDE - 24, GAP - 2, fill=ORANGE,
                       stroke=ORANGE, radius=2)  # fmt: skip


def draw_before(canvas: Canvas, left: float) -> None:
    """Draw the tower before, narrow, beside the tower after."""
    for place in range(LAYERS + 1):
        canvas.box(left - 27, top_of(place), 21, TALL, fill=PALE_GREEN, stroke=GREEN)


def draw_legend(canvas: Canvas, y: float) -> None:
    """Say what the colours mean."""
    entries = (
        (FROZEN, "frozen"),
        (TRAINED, "trained"),
        ((PALE_BLUE, BLUE), "pretrained weights, as an anchor"),
        ((PALE_GREEN, GREEN), "an earlier state, to be averaged with"),
    )
    x = 60.0
    for (fill, stroke), words in entries:
        canvas.box(x, y - 14, 22, 18, fill=fill, stroke=stroke, radius=3)
        canvas.text(x + 30, y, words, size=14, anchor="start")
        x += 62 + 7.4 * len(words)


if __name__ == "__main__":
    draw().save_beside(__file__)
