"""Draws which layer groups each strategy trains in which phase, from the strategies' own plans."""

from svg import BLUE, GREEN, INK, LINE, MUTED, ORANGE, PALE_BLUE, PALE_GREEN, PALE_GREY, Canvas

from companion.strategies import Adaptation, Phase, plan

GROUPS = ("stem", "layer1", "layer2", "layer3", "layer4", "head")
LADDER = ("scratch", "probe", "full", "lp_ft", "gradual", "layer_decay", "lora", "wise_ft", "l2_sp")
TITLES = {
    "scratch": "from scratch",
    "probe": "linear probe",
    "full": "full fine-tuning",
    "lp_ft": "LP-FT",
    "gradual": "gradual unfreezing",
    "layer_decay": "layer-wise decay",
    "lora": "LoRA",
    "wise_ft": "WiSE-FT",
    "l2_sp": "L2-SP",
}
LEFT, TOP, CELL, ROW = 190, 84, 84, 26


def draw() -> Canvas:
    """Return the figure."""
    adaptations = [plan(name, GROUPS) for name in LADDER]
    num_rows = sum(len(adaptation.phases) for adaptation in adaptations)
    height = TOP + num_rows * ROW + len(LADDER) * 12 + 56
    canvas = Canvas(
        LEFT + len(GROUPS) * CELL + 20, height, title="The strategy ladder",
        description="One row a phase of a strategy, one column a layer group from input to head. "
        "Grey is frozen. The number is the learning rate as a multiple of the recipe's.",
    )  # fmt: skip
    draw_header(canvas)
    top = float(TOP)
    for adaptation in adaptations:
        top = draw_strategy(canvas, adaptation, top)
    draw_legend(canvas, height - 34)
    return canvas


def draw_header(canvas: Canvas) -> None:
    """Write the layer groups above the columns."""
    canvas.text(LEFT, 30, "input", size=14, colour=MUTED, anchor="start")
    canvas.arrow(LEFT + 46, 25, LEFT + len(GROUPS) * CELL - 60, 25)
    canvas.text(LEFT + len(GROUPS) * CELL, 30, "answer", size=14, colour=MUTED, anchor="end")
    for column, group in enumerate(GROUPS):
        canvas.text(LEFT + (column + 0.5) * CELL, 66, group, bold=True)


def draw_strategy(canvas: Canvas, adaptation: Adaptation, top: float) -> float:
    """Draw the phases of one strategy and return where the next one begins."""
    middle = top + len(adaptation.phases) * ROW / 2 + 5
    canvas.text(LEFT - 14, middle, TITLES[adaptation.name], bold=True, anchor="end")
    for phase in adaptation.phases:
        for column, group in enumerate(GROUPS):
            draw_cell(canvas, adaptation, phase, group, LEFT + column * CELL, top)
        top += ROW
    note = "then average both" if adaptation.interpolation is not None else ""
    note = "pulled to its start" if adaptation.l2_sp is not None else note
    if note:
        canvas.text(LEFT - 14, middle + 17, note, size=12, colour=MUTED, anchor="end")
    return top + 12


def draw_cell(
    canvas: Canvas, adaptation: Adaptation, phase: Phase, group: str, left: float, top: float
) -> None:
    """Draw whether one phase trains one layer group, and how fast."""
    factor = phase.factors.get(group)
    fill, stroke = PALE_GREY, LINE
    if factor is not None:
        fill, stroke = (PALE_BLUE, BLUE) if adaptation.is_pretrained else ("#ffffff", ORANGE)
        if adaptation.lora_rank and group != "head":
            fill, stroke = PALE_GREEN, GREEN
    canvas.box(left + 2, top, CELL - 4, ROW - 4, fill=fill, stroke=stroke, radius=4)
    words = "frozen" if factor is None else f"{factor:.2g}"
    colour = MUTED if factor is None else INK
    canvas.text(left + CELL / 2, top + 16, words, size=13, colour=colour)


def draw_legend(canvas: Canvas, top: float) -> None:
    """Explain the colours."""
    entries = (
        (PALE_GREY, LINE, "kept as it is"),
        (PALE_BLUE, BLUE, "trained"),
        (PALE_GREEN, GREEN, "low-rank change"),
        ("#ffffff", ORANGE, "random at first"),
    )
    for column, (fill, stroke, words) in enumerate(entries):
        left = 40 + 165 * column
        canvas.box(left, top, 22, 16, fill=fill, stroke=stroke, radius=3)
        canvas.text(left + 30, top + 13, words, size=14, anchor="start")


if __name__ == "__main__":
    draw().save_beside(__file__)
