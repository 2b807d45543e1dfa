"""Draws two ways to hold out a quarter of the same pictures: scattered, and by whole fonts."""

from svg import BLUE, INK, LINE, MUTED, ORANGE, PALE_BLUE, PALE_ORANGE, Canvas

LETTERS = "abcd"
SANS, SERIF = "system-ui, Helvetica, Arial, sans-serif", "Georgia, 'Times New Roman', serif"
FONTS = (
    f'font-family="{SANS}"',
    f'font-family="{SERIF}" font-style="italic"',
    f'font-family="{SANS}" font-weight="700"',
    f'font-family="{SERIF}"',
)
SCATTERED = {(0, 2), (1, 0), (2, 3), (3, 1)}
WHOLE = {(2, column) for column in range(4)}
CELL, TOP, LEFT = 52, 92, 92


def draw() -> Canvas:
    """Return the figure."""
    canvas = Canvas(
        760, 372, title="Two ways to hold out a quarter of the pictures",
        description="Left: judged pictures are scattered over all fonts, so each has others of "
        "its font among the training pictures. Right: the judged pictures are one whole font.",
    )  # fmt: skip
    draw_panel(canvas, LEFT, SCATTERED, "by picture", "asks: another picture of a known font?")
    draw_panel(canvas, LEFT + 370, WHOLE, "by font", "asks: a font never seen before?")
    draw_legend(canvas, 346)
    return canvas


def draw_panel(
    canvas: Canvas, left: float, judged: set[tuple[int, int]], title: str, asks: str
) -> None:
    """Draw the pictures of all fonts; the judged ones are marked."""
    width = CELL * len(LETTERS)
    canvas.text(left + width / 2, 40, title, size=18, bold=True)
    canvas.text(left + width / 2, 66, asks, size=14, colour=MUTED, italic=True)
    for row in range(len(FONTS)):
        top = TOP + row * CELL
        canvas.text(left - 14, top + 30, f"font {row + 1}", size=14, anchor="end")
        for column, letter in enumerate(LETTERS):
            is_judged = (row, column) in judged
            fill, stroke = (PALE_ORANGE, ORANGE) if is_judged else (PALE_BLUE, LINE)
            canvas.box(left + column * CELL + 3, top + 3, CELL - 6, CELL - 6, fill=fill,
                       stroke=stroke, radius=4)  # fmt: skip
            draw_letter(canvas, left + (column + 0.5) * CELL, top + 33, letter, row)


def draw_letter(canvas: Canvas, x: float, y: float, letter: str, row: int) -> None:
    """Write a letter in the type of its row."""
    canvas.shapes.append(
        f'<text x="{x:g}" y="{y:g}" font-size="24" fill="{INK}" text-anchor="middle" '
        f"{FONTS[row]}>{letter}</text>"
    )


def draw_legend(canvas: Canvas, top: float) -> None:
    """Explain the colours."""
    for left, fill, stroke, words in (
        (210, PALE_BLUE, BLUE, "trained on"),
        (410, PALE_ORANGE, ORANGE, "judged"),
    ):
        canvas.box(left, top - 13, 22, 16, fill=fill, stroke=stroke, radius=3)
        canvas.text(left + 30, top, words, size=14, anchor="start")


if __name__ == "__main__":
    draw().save_beside(__file__)
