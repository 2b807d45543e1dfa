"""Draws scores of two classes, a rare one and a frequent one, and the threshold that cuts both."""

import math

from svg import BLUE, GREEN, INK, MUTED, ORANGE, PALE_BLUE, PALE_GREEN, PALE_ORANGE, Canvas

LEFT, WIDTH, GROUND_LINE = 40, 640, 250
CUT = 0.56


def draw() -> Canvas:
    """Return the figure."""
    canvas = Canvas(
        720,
        350,
        title="A threshold makes a decision of a score",
        description="Scores on an axis from low to high. A tall hump of negative items lies to the "
        "left, a small hump of positive items to the right, and they overlap. A vertical line, the "
        "threshold, parts each hump: to its left true negatives and misses, to its right false "
        "alarms and found items.",
    )
    hump(canvas, 0.36, 0.12, 170, PALE_BLUE, BLUE)
    hump(canvas, 0.68, 0.11, 66, PALE_ORANGE, ORANGE)
    canvas.line(LEFT, GROUND_LINE, LEFT + WIDTH, GROUND_LINE, colour=INK)
    canvas.text(LEFT + WIDTH, 274, "score", size=14, colour=MUTED, anchor="end")
    draw_threshold(canvas)
    draw_words(canvas)
    return canvas


def hump(canvas: Canvas, centre: float, spread: float, height: float, fill: str, edge: str) -> None:
    """Draw how many items have each score."""
    steps = [number / 80 for number in range(81)]
    points = [
        (LEFT + step * WIDTH, GROUND_LINE - height * math.exp(-(((step - centre) / spread) ** 2)))
        for step in steps
    ]
    path = " ".join(f"L{x:.1f} {y:.1f}" for x, y in points)
    canvas.shapes.append(
        f'<path d="M{LEFT} {GROUND_LINE} {path} L{LEFT + WIDTH} {GROUND_LINE}z" fill="{fill}" '
        f'fill-opacity="0.75" stroke="{edge}" stroke-width="2"/>'
    )


def draw_threshold(canvas: Canvas) -> None:
    """Draw the line that cuts both humps, and what happens where it moves."""
    x = LEFT + CUT * WIDTH
    canvas.shapes.append(
        f'<line x1="{x}" y1="52" x2="{x}" y2="{GROUND_LINE + 8}" stroke="{GREEN}" '
        'stroke-width="3" stroke-dasharray="7 4"/>'
    )
    canvas.box(x - 62, 20, 124, 32, fill=PALE_GREEN, stroke=GREEN)
    canvas.text(x, 41, "threshold t", bold=True, colour=GREEN)
    canvas.arrow(x - 12, 300, x - 150, 300)
    canvas.arrow(x + 12, 300, x + 150, 300)
    canvas.text(x - 80, 326, "fewer misses", size=14)
    canvas.text(x + 80, 326, "fewer false alarms", size=14)


def draw_words(canvas: Canvas) -> None:
    """Name the four parts."""
    canvas.text(LEFT + 0.3 * WIDTH, 200, "left alone", size=14)
    canvas.box(LEFT, 30, 190, 30, fill=PALE_BLUE, stroke=BLUE)
    canvas.text(LEFT + 95, 50, "negative items: many", size=14, bold=True)
    canvas.box(LEFT + 0.72 * WIDTH, 130, 178, 30, fill=PALE_ORANGE, stroke=ORANGE)
    canvas.text(LEFT + 0.72 * WIDTH + 89, 150, "positive items: few", size=14, bold=True)
    canvas.text(LEFT + 0.705 * WIDTH, 222, "found", size=14)
    canvas.text(LEFT + 0.7 * WIDTH, 110, "false alarms", size=14, colour=BLUE)
    canvas.arrow(LEFT + 0.65 * WIDTH, 118, LEFT + 0.578 * WIDTH, 238, colour=BLUE)
    canvas.text(LEFT + 0.16 * WIDTH, 130, "misses", size=14, colour=ORANGE)
    canvas.arrow(LEFT + 0.2 * WIDTH, 134, LEFT + 0.535 * WIDTH, 243, colour=ORANGE)


if __name__ == "__main__":
    draw().save_beside(__file__)
