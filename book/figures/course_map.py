"""Draws the map of the course: its parts, and how one leads to the next.

Parts that have chapters in `_toc.yml` are drawn solid, the others dashed.
"""

import re
from pathlib import Path

from svg import (
    BLUE,
    GREEN,
    LINE,
    MUTED,
    ORANGE,
    PALE_BLUE,
    PALE_GREEN,
    PALE_GREY,
    PALE_ORANGE,
    Canvas,
)

TABLE_OF_CONTENTS = Path(__file__).resolve().parents[2] / "_toc.yml"
MODALITIES = {
    "vision": ("Vision", "classify, detect, recognise", PALE_ORANGE, ORANGE),
    "language": ("Language", "classify, compare, tag, write", PALE_ORANGE, ORANGE),
    "speech": ("Speech", "hear words, adapt a recogniser", PALE_ORANGE, ORANGE),
}


def written_parts() -> set[str]:
    """Return the parts that have at least one chapter in the table of contents."""
    if not TABLE_OF_CONTENTS.is_file():
        return set()
    text = TABLE_OF_CONTENTS.read_text(encoding="utf-8")
    return set(re.findall(r"book/(\w+)/", text))


def draw() -> Canvas:
    """Return the figure."""
    canvas = Canvas(
        720,
        430,
        title="Map of the course",
        description="Foundations lead to vision, language and speech, which can be read in any "
        "order; all three lead to practice, with a capstone project. The companion package and "
        "the appendix serve every part. Dashed parts are in preparation.",
    )
    written = written_parts()
    draw_part(
        canvas,
        "foundations",
        ("Foundations", "why, when and how transfer works", PALE_BLUE, BLUE),
        190,
        20,
        340,
        written,
    )
    for index, (part, looks) in enumerate(MODALITIES.items()):
        left = 20 + 232 * index
        draw_part(canvas, part, looks, left, 142, 216, written)
        canvas.arrow(360 + 100 * (index - 1), 90, left + 108, 138)
        canvas.arrow(left + 108, 212, 360 + 100 * (index - 1), 260)
    draw_part(
        canvas,
        "practice",
        ("Practice", "a capstone on your own data", PALE_GREEN, GREEN),
        190,
        264,
        340,
        written,
    )
    canvas.box(20, 360, 680, 50, fill=PALE_GREY)
    canvas.text(360, 390, "companion: one tested package   ·   appendix: notation, words, papers")
    return canvas


def draw_part(
    canvas: Canvas,
    part: str,
    looks: tuple[str, str, str, str],
    x: float,
    y: float,
    width: float,
    written: set[str],
) -> None:
    """Draw one part as a box with its title and what it is about."""
    title, about, fill, stroke = looks
    is_written = part in written
    canvas.box(
        x,
        y,
        width,
        70,
        fill=fill if is_written else "#ffffff",
        stroke=stroke if is_written else LINE,
        dashed=not is_written,
    )
    canvas.text(x + width / 2, y + 30, title, bold=True, size=16)
    canvas.text(x + width / 2, y + 52, about, size=13, colour=MUTED)


if __name__ == "__main__":
    draw().save_beside(__file__)
