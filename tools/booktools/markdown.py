"""Turns the text of a MyST page into Markdown that Jupyter and Colab show as it is meant."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby

from booktools.cards import card, recorded_mark
from booktools.inline import Inline
from booktools.labels import (
    DISPLAY_MATH,
    HEADING,
    INLINE_DISPLAY_MATH,
    TARGET,
    THEOREM_LIKE,
)
from booktools.myst import Block, Directive, Literal, Text, read_blocks

ADMONITIONS = (
    "note", "tip", "hint", "warning", "caution", "attention", "important", "danger", "error",
    "seealso",
)  # fmt: skip
DROPPED = ("tableofcontents", "contents", "toctree", "bibliography", "margin-note", "index")
RAW = re.compile(
    r"^\s*(?:`{3,}|:{3,})\{|^:::|\{[A-Za-z][\w:.+-]*\}`|^\([^)\s]+\)=\s*$", re.MULTILINE
)
FENCED = re.compile(r"^ *(`{3,}|~{3,}).*?^ *\1`*$", re.MULTILINE | re.DOTALL)


def leftovers(markdown: str) -> list[str]:
    """Return each piece of MyST that is left in Markdown outside of code blocks."""
    return [match[0].strip() for match in RAW.finditer(_without_code(markdown))]


def _without_code(markdown: str) -> str:
    """Drop literal blocks and spans; keep a fence that opens a directive."""

    def keep(match: re.Match[str]) -> str:
        return match[0] if match[0].lstrip(" `~").startswith("{") else ""

    without_blocks = FENCED.sub(keep, markdown)
    return re.sub(r"(?<![`}])(`+)(?!`).+?(?<!`)\1(?!`)", "", without_blocks)


@dataclass
class Converter:
    """Converts the text cells of one page, in order; counts figures and exercises as it goes.

    Args:
        inline: converts what stands inside lines.
    """

    inline: Inline
    solution: str = ""
    handlers: dict[str, Callable[[Directive], str]] = field(init=False)

    def __post_init__(self) -> None:
        """Fill the table of handlers."""
        simple: dict[str, Callable[[Directive], str]] = {
            "admonition": self.admonition,
            "dropdown": self.dropdown,
            "figure": self.figure,
            "image": self.image,
            "math": self.math,
            "list-table": self.list_table,
            "table": self.table,
            "glossary": self.glossary,
            "exercise": self.exercise,
            "exercise-start": self.exercise,
            "exercise-end": self.nothing,
            "solution": self.whole_solution,
            "solution-start": self.solution_start,
            "solution-end": self.solution_end,
            "code-block": self.code_block,
            "rubric": lambda block: f"**{self.inline.convert(block.argument)}**",
            "chapter-card": self.chapter_card,
            "recorded-study": self.recorded_study,
            "glue:figure": self.glued,
            "glue": self.glued,
            "glue:any": self.glued,
            "tab-item": self.titled,
            "grid-item-card": self.titled,
            "card": self.titled,
            "sidebar": self.admonition,
            "margin": self.admonition,
        }
        plain = ("tab-set", "grid", "grid-item", "epigraph", "div", "container", "highlights")
        self.handlers = {
            **dict.fromkeys(ADMONITIONS, self.admonition),
            **dict.fromkeys(THEOREM_LIKE, self.theorem),
            **dict.fromkeys(("proof",), self.theorem),
            **dict.fromkeys(DROPPED, self.nothing),
            **dict.fromkeys(plain, self.plain),
            **simple,
        }

    def convert(self, source: str) -> str:
        """Return one text cell in plain Markdown; empty when nothing is left to show.

        Raises:
            ConversionError: something in it has no plain Markdown here.
        """
        parts: list[tuple[bool, str]] = []
        for block in read_blocks(source.splitlines()):
            was_inside = bool(self.solution)
            converted = self._block(block)
            parts.append((was_inside and bool(self.solution), converted))
        text = _joined(_fold_solutions(parts)).strip()
        left = leftovers(text)
        if left:
            raise self.inline.error(f"still MyST after conversion: {', '.join(left)}")
        return text

    def _blocks(self, lines: list[str]) -> str:
        return _joined([self._block(block) for block in read_blocks(lines)])

    def _block(self, block: Block) -> str:
        if isinstance(block, Literal):
            return "\n".join(block.lines)
        if isinstance(block, Text):
            return self._text(block)
        return self._directive(block)

    def _directive(self, block: Directive) -> str:
        name = block.name.removeprefix("prf:")
        if name not in self.handlers:
            raise self.inline.error(f"directive {block.name!r} has no plain Markdown")
        converted = self.handlers[name](block)
        if not block.indent:
            return f"\n{converted}\n"
        return "\n".join(block.indent + line if line else "" for line in converted.splitlines())

    def _text(self, block: Text) -> str:
        lines: list[str] = []
        for line in block.lines:
            numbered = DISPLAY_MATH.match(line) or INLINE_DISPLAY_MATH.match(line)
            if TARGET.match(line) or line.startswith(("% ", "+++")) or line == "%":
                continue
            if numbered:
                lines += [line[: line.rindex("(")].rstrip(), "", self._equation(numbered[1])]
            elif heading := HEADING.match(line):
                lines.append(f"{heading[1]} {heading[2]}")
            else:
                lines.append(line)
        return self.inline.convert("\n".join(lines))

    def _equation(self, label: str) -> str:
        target = self.inline.labels.get(label)
        return f"*Equation ({target.number if target else '?'})*"

    def _body(self, block: Directive) -> str:
        return self._blocks(block.body).strip()

    # --- boxes ---

    def nothing(self, block: Directive) -> str:
        """Leave it out."""
        return ""

    def plain(self, block: Directive) -> str:
        """Keep the content without its box."""
        return self._body(block)

    def titled(self, block: Directive) -> str:
        """Keep the content under its title."""
        return f"**{self.inline.convert(block.argument)}**\n\n{self._body(block)}"

    def admonition(self, block: Directive) -> str:
        """A box becomes a quote that begins with its title; a folded one folds here too."""
        title = block.argument if block.name in ("admonition", "sidebar", "margin") else ""
        if block.name in ADMONITIONS and block.argument:
            block.body.insert(0, block.argument)
        title = self.inline.convert(title) or block.name.replace("seealso", "see also").capitalize()
        if "dropdown" in block.classes:
            return folded(title, self._body(block))
        return quoted(f"**{title}**\n\n{self._body(block)}")

    def dropdown(self, block: Directive) -> str:
        """A folded box stays folded."""
        return folded(self.inline.convert(block.argument or "More"), self._body(block))

    def theorem(self, block: Directive) -> str:
        """A theorem-like block becomes a quote with its number."""
        name = block.name.removeprefix("prf:")
        target = self.inline.labels.get(block.label)
        number = f" {target.number}" if target else ""
        title = f" ({self.inline.convert(block.argument)})" if block.argument else ""
        return quoted(f"**{name.capitalize()}{number}{title}**\n\n{self._body(block)}")

    def chapter_card(self, block: Directive) -> str:
        """The chapter's card, without the time that another machine took."""
        return self.inline.convert(card(self.inline.page.front_matter, None))

    def recorded_study(self, block: Directive) -> str:
        """The mark of a recorded study."""
        return quoted(recorded_mark({}, block.argument.rpartition("/")[2]))

    # --- exercises ---

    def exercise(self, block: Directive) -> str:
        """An exercise becomes a heading with its text and folded hints."""
        target = self.inline.labels.get(block.label)
        number = f" {target.number}" if target else ""
        title = self.inline.convert(block.argument)
        return f"### Exercise{number}{': ' + title if title else ''}\n\n{self._body(block)}"

    def _solution_title(self, label: str) -> str:
        target = self.inline.labels.get(label)
        return f"Solution to exercise {target.number}" if target else "Solution"

    def whole_solution(self, block: Directive) -> str:
        """A solution without cells is folded."""
        return folded(self._solution_title(block.argument), self._body(block))

    def solution_start(self, block: Directive) -> str:
        """From here to `solution-end` cells belong to a solution."""
        self.solution = block.argument
        return f"#### {self._solution_title(block.argument)}"

    def solution_end(self, block: Directive) -> str:
        """Cells no longer belong to a solution."""
        self.solution = ""
        return ""

    # --- figures, maths, tables, code ---

    def figure(self, block: Directive) -> str:
        """A picture with its numbered caption below."""
        picture = self.image(block)
        caption, _, legend = self._body(block).partition("\n\n")
        return f"{picture}\n\n{self._numbered('Figure', block.label)}{caption}\n\n{legend}".rstrip()

    def _numbered(self, kind: str, label: str) -> str:
        target = self.inline.labels.get(label)
        return f"**{kind} {target.number}.** " if target else ""

    def cell_caption(self, name: str, caption: str) -> str:
        """Return the text cell that goes below a code cell which draws a captioned figure."""
        return self._numbered("Figure", name) + self.inline.convert(caption.strip())

    def image(self, block: Directive) -> str:
        """A picture without caption."""
        alt = str(block.options.get("alt") or "")
        return f"![{alt}]({self.inline.picture(block.argument)})"

    def math(self, block: Directive) -> str:
        """Display maths, its number as text below."""
        formula = "\n".join(filter(None, [block.argument, *block.body]))
        number = f"\n\n{self._equation(block.label)}" if block.label else ""
        return f"$$\n{formula}\n$${number}"

    def table(self, block: Directive) -> str:
        """A Markdown table under its title."""
        return self._table_title(block) + self._body(block)

    def _table_title(self, block: Directive) -> str:
        title = self._numbered("Table", block.label) + self.inline.convert(block.argument)
        return f"{title}\n\n" if title else ""

    def list_table(self, block: Directive) -> str:
        """A table written as lists becomes a Markdown table."""
        rows = list_rows(block.body)
        cells = [[self.inline.convert(cell) for cell in row] for row in rows]
        header, rest = cells[0], cells[1:]
        lines = [_row(header), _row(["---"] * len(header)), *(_row(row) for row in rest)]
        return self._table_title(block) + "\n".join(lines)

    def glossary(self, block: Directive) -> str:
        """Terms in bold, what they mean below."""
        lines = []
        for line in block.body:
            is_term = bool(line.strip()) and not line.startswith(" ")
            lines += ["", f"**{line}**", ""] if is_term else [line.strip()]
        return self.inline.convert("\n".join(lines))

    def code_block(self, block: Directive) -> str:
        """Code that is shown and not run."""
        return "\n".join([f"```{block.argument}", *block.body, "```"])

    def glued(self, block: Directive) -> str:
        """A glued figure or value becomes a pointer to the cell that shows it."""
        return self.inline.glue(block.argument)


def _joined(parts: list[str]) -> str:
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts))


def _fold_solutions(parts: list[tuple[bool, str]]) -> list[str]:
    """Fold each run of parts that stand inside a solution."""
    result = []
    for is_inside, run in groupby(parts, key=lambda part: part[0]):
        text = _joined([part for _, part in run])
        result.append(folded("The solution in words", text) if is_inside and text.strip() else text)
    return result


def quoted(markdown: str) -> str:
    """Return Markdown as a quote."""
    return "\n".join(f"> {line}".rstrip() for line in markdown.strip().splitlines())


def folded(title: str, markdown: str) -> str:
    """Return Markdown folded away under a title."""
    return f"<details>\n<summary>{title}</summary>\n\n{markdown.strip()}\n\n</details>"


def list_rows(lines: list[str]) -> list[list[str]]:
    """Return the cells of a table that is written as a list of lists."""
    rows: list[list[str]] = []
    for line in lines:
        if match := re.match(r"^\s*[*-]\s+[*-]\s*(.*)$", line):
            rows.append([match[1]])
        elif (match := re.match(r"^\s+[*-]\s*(.*)$", line)) and rows:
            rows[-1].append(match[1])
        elif line.strip() and rows:
            rows[-1][-1] += " " + line.strip()
    return rows


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
