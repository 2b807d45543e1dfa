"""Draws the kinds of transfer as one map: three questions, and where the first chapter stands."""

from svg import BLUE, INK, MUTED, ORANGE, PALE_BLUE, PALE_GREY, PALE_ORANGE, Canvas

Entry = tuple[str, str, bool]
COLUMNS: tuple[tuple[str, tuple[tuple[str, tuple[Entry, ...]], ...]], ...] = (
    (
        "How do the two relate?",
        (
            (
                "tasks and labels",
                (
                    ("inductive", "other task; target has labels", True),
                    ("transductive", "same task; labels in the source only", False),
                    ("unsupervised", "other task; no labels in either", False),
                ),
            ),
            (
                "domains",
                (
                    ("same domain", "same inputs, equally frequent", False),
                    ("cross-domain", "other inputs, or other frequencies", True),
                ),
            ),
            (
                "spaces",
                (
                    ("homogeneous", "inputs of one form", True),
                    ("heterogeneous", "inputs of two forms", False),
                ),
            ),
        ),
    ),
    (
        "What is carried over?",
        (
            (
                "data-based",
                (
                    ("instances", "source examples, weighted", False),
                    ("features", "a common representation", False),
                ),
            ),
            (
                "model-based",
                (("parameters", "weights, to start from or keep", True),),
            ),
            (
                "knowledge-based",
                (("relations", "rules that hold in both", False),),
            ),
        ),
    ),
    (
        "How was the source learned?",
        (
            (
                "with labels",
                (
                    ("supervised", "labels given by people or programs", True),
                    ("multi-task", "several tasks at once", False),
                ),
            ),
            (
                "without labels of its own",
                (("self-supervised", "the inputs supply the answers", False),),
            ),
            (
                "for classes never shown",
                (("zero-shot", "classes met by description alone", False),),
            ),
        ),
    ),
)
WIDTH, LEFT, GAP = 286, 16, 14


def draw() -> Canvas:
    """Return the figure."""
    canvas = Canvas(
        920,
        508,
        title="Kinds of transfer",
        description="Three columns. How source and target relate: inductive, transductive, "
        "unsupervised; same domain or cross-domain; homogeneous or heterogeneous. What is carried "
        "over: instances and features (data-based), parameters (model-based), relations "
        "(knowledge-based). How the source was learned: supervised, multi-task, self-supervised, "
        "zero-shot. Marked for this chapter: inductive, cross-domain, homogeneous, parameters, "
        "supervised.",
    )
    for number, (question, groups) in enumerate(COLUMNS):
        draw_column(canvas, LEFT + number * (WIDTH + GAP), question, groups)
    canvas.box(634, 440, 18, 18, fill=PALE_ORANGE, stroke=ORANGE, radius=3)
    canvas.text(662, 454, "from letters to digits: this chapter", size=14, anchor="start")
    return canvas


def draw_column(
    canvas: Canvas, x: float, question: str, groups: tuple[tuple[str, tuple[Entry, ...]], ...]
) -> None:
    """Draw one question with its groups of answers."""
    canvas.box(x, 14, WIDTH, 36, fill=PALE_BLUE, stroke=BLUE)
    canvas.text(x + WIDTH / 2, 38, question, bold=True)
    y = 74.0
    for title, entries in groups:
        canvas.text(x + 2, y, title, size=13, colour=MUTED, anchor="start", italic=True)
        y += 8
        for entry in entries:
            draw_entry(canvas, x, y, entry)
            y += 50
        y += 20


def draw_entry(canvas: Canvas, x: float, y: float, entry: Entry) -> None:
    """Draw one answer."""
    name, words, is_here = entry
    fill, stroke = (PALE_ORANGE, ORANGE) if is_here else (PALE_GREY, MUTED)
    canvas.box(x, y, WIDTH, 44, fill=fill, stroke=stroke)
    canvas.text(x + 12, y + 18, name, size=14, colour=INK, bold=True, anchor="start")
    canvas.text(x + 12, y + 36, words, size=13, colour=MUTED, anchor="start")


if __name__ == "__main__":
    draw().save_beside(__file__)
