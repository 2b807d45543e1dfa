"""How figures look: size, letters, and colours that colour-blind readers can tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from companion.registry import STRATEGIES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["alt_text", "figure_size", "palette", "strategy_colour"]

_OKABE_ITO = {
    "black": "#000000",
    "orange": "#E69F00",
    "sky blue": "#56B4E9",
    "green": "#009E73",
    "yellow": "#F0E442",
    "blue": "#0072B2",
    "vermilion": "#D55E00",
    "purple": "#CC79A7",
}
_GREY = "#767676"

# One colour and one marker a strategy in every figure of the book: colour is never alone.
_STRATEGY_STYLES = {
    "majority": (_GREY, "_"),
    "scratch": (_OKABE_ITO["black"], "X"),
    "probe": (_OKABE_ITO["sky blue"], "s"),
    "full": (_OKABE_ITO["vermilion"], "^"),
    "lp_ft": (_OKABE_ITO["blue"], "o"),
    "gradual": (_OKABE_ITO["green"], "v"),
    "layer_decay": (_OKABE_ITO["purple"], "D"),
    "lora": (_OKABE_ITO["orange"], "P"),
    # The palette's yellow is too pale for lines on white; Paul Tol's olive stands in for it.
    "wise_ft": ("#999933", "h"),
    "l2_sp": ("#882255", "*"),
}
_SPARE_MARKERS = "<>dp8H"
_STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.dpi": 110,
    "savefig.dpi": 110,
    "svg.hashsalt": "companion",
}


def palette() -> dict[str, str]:
    """Return the eight colours of Okabe and Ito by name, as hexadecimal RGB."""
    return dict(_OKABE_ITO)


def figure_size(*, width: float = 1.0, ratio: float = 0.6) -> tuple[float, float]:
    """Return width and height of a figure.

    Args:
        width: as a fraction of the column's width.
        ratio: height as a fraction of the width.

    Returns:
        Inches.
    """
    inches = 7.0 * width
    return inches, inches * ratio


def strategy_colour(name: str) -> str:
    """Return the colour of a strategy, the same in every figure, as hexadecimal RGB.

    Args:
        name: the strategy's name; what is not in the book gets one of the palette's colours.
    """
    return strategy_style(name)[0]


def strategy_style(name: str) -> tuple[str, str]:
    """Return colour and marker of a strategy; no two registered ones share both.

    Where colours or markers run out they begin again; as 7 and 6 have no common divisor, 42
    further strategies differ in one or the other.

    Args:
        name: the strategy's name.
    """
    if name in _STRATEGY_STYLES:
        return _STRATEGY_STYLES[name]
    further = [known for known in STRATEGIES.names() if known not in _STRATEGY_STYLES]
    # The number of a plan of one's own is the same in every process.
    number = further.index(name) if name in further else sum(name.encode())
    colours = [colour for word, colour in _OKABE_ITO.items() if word != "yellow"]
    return colours[number % len(colours)], _SPARE_MARKERS[number % len(_SPARE_MARKERS)]


def alt_text(figure: Figure) -> str:
    """Return what a figure of this module shows, in words, for those who do not see it."""
    return str(figure.get_label())


def new_figure(rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """Return a figure in the book's style and an array of its axes, (rows, columns).

    It is taken from pyplot's list at once: a notebook shows what a cell returns, once.

    Args:
        rows: rows of axes.
        columns: columns of axes.
        **options: as for `matplotlib.pyplot.subplots`.
    """
    import matplotlib.pyplot as plt

    options.setdefault("figsize", figure_size())
    with plt.rc_context(_STYLE):
        figure, axes = plt.subplots(rows, columns, squeeze=False, layout="constrained", **options)
    plt.close(figure)
    return figure, axes


def finish(figure: Figure, *, alt: str) -> Figure:
    """Give a figure its words.

    Args:
        figure: the figure.
        alt: what it shows, in words.

    Modifies: `figure`.
    """
    figure.set_label(alt)
    return figure


def footnote(figure: Figure, text: str) -> None:
    """Write a small line below a figure; nothing where the text is empty.

    Modifies: `figure`.
    """
    if text:
        figure.supxlabel(text, fontsize=7, color=_GREY, x=0.99, ha="right")
