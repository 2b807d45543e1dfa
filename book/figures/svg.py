"""A small SVG canvas for the book's hand-made figures.

Text stays text (searchable, scalable), colours are those of `companion.report`'s palette,
and a light ground is drawn so that the figure reads in the dark theme too.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

INK = "#1b1f24"
MUTED = "#57606a"
GROUND = "#ffffff"
LINE = "#8c959f"
BLUE = "#0072b2"
ORANGE = "#d55e00"
GREEN = "#009e73"
PALE_BLUE = "#d6e9f5"
PALE_ORANGE = "#fbe3d3"
PALE_GREEN = "#d5f0e6"
PALE_GREY = "#eaeef2"
FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"


class Canvas:
    """Collects shapes; coordinates are pixels from the upper left corner.

    Args:
        width: of the whole figure, in pixels.
        height: of the whole figure, in pixels.
        title: what screen readers announce.
        description: what the figure shows, for those who cannot see it.
    """

    def __init__(self, width: int, height: int, *, title: str, description: str):
        """Start an empty figure."""
        self.width, self.height = width, height
        self.title, self.description = title, description
        self.shapes: list[str] = []

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        fill: str = GROUND,
        stroke: str = LINE,
        dashed: bool = False,
        radius: float = 6,
    ) -> None:
        """Draw a rectangle with round corners."""
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self.shapes.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}" '
            f'fill="{fill}" stroke="{stroke}" stroke-width="1.5"{dash}/>'
        )

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = 15,
        colour: str = INK,
        bold: bool = False,
        anchor: str = "middle",
        italic: bool = False,
    ) -> None:
        """Write one line; `y` is its base line."""
        weight = ' font-weight="600"' if bold else ""
        style = ' font-style="italic"' if italic else ""
        self.shapes.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{colour}" '
            f'text-anchor="{anchor}"{weight}{style}>{escape(words)}</text>'
        )

    def arrow(
        self,
        x1: float,
        y1: float,
        x2: float,
        y2: float,
        *,
        colour: str = MUTED,
        dashed: bool = False,
    ) -> None:
        """Draw a straight arrow from the first point to the second."""
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self.shapes.append(
            f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{colour}" '
            f'stroke-width="2" marker-end="url(#head)"{dash}/>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, *, colour: str = LINE) -> None:
        """Draw a thin line without a head."""
        self.shapes.append(
            f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{colour}"/>'
        )

    def to_svg(self) -> str:
        """Return the whole document."""
        marker = (
            '<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
            f'markerHeight="7" orient="auto-start-reverse">'
            f'<path d="M0 0L10 5L0 10z" fill="{MUTED}"/></marker>'
        )
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" role="img" '
            f'aria-labelledby="title description" font-family="{escape(FONT)}">',
            f'<title id="title">{escape(self.title)}</title>',
            f'<desc id="description">{escape(self.description)}</desc>',
            f"<defs>{marker}</defs>",
            f'<rect width="{self.width}" height="{self.height}" rx="8" fill="{GROUND}"/>',
            *self.shapes,
            "</svg>",
        ]
        return "\n".join(lines) + "\n"

    def save_beside(self, script: str) -> Path:
        """Write `<script>.svg` in the script's folder and return its path."""
        path = Path(script).with_suffix(".svg")
        path.write_text(self.to_svg(), encoding="utf-8")
        return path
