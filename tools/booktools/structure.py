"""The shape every chapter has: front matter, order of sections, cells, figures, exercises."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from booktools.labels import TARGET
from booktools.layout import Page
from booktools.myst import Block, Directive, Text, directives, read_blocks

SECTIONS = (
    "question",
    "idea",
    "formula",
    "by-hand",
    "experiment",
    "reading",
    "fails",
    "remember",
    "exercises",
    "further",
)
KINDS = ("Predict", "Change one thing", "Repair", "Transfer to new data")
HEAD = re.compile(rf"^\*\*({'|'.join(KINDS)})\*\* · (\d+) minutes · (easy|medium|hard)$")
DRAWS = re.compile(r"plt\.show\(\)|\breport\.(?:plot_\w+|show_images)\(")
MOST_LINES = 20
MEDIAN_LINES = 8
MOST_HINTS = 3
FEWEST_EXERCISES = 4


def faults(page: Page) -> list[str]:
    """Return what is not as it should be in a chapter, one line each."""
    blocks = read_blocks(page.body.splitlines())
    return [
        *front_matter_faults(page),
        *section_faults(page),
        *cell_faults(page, blocks),
        *figure_faults(page),
        *exercise_faults(page, blocks),
    ]


def front_matter_faults(page: Page) -> list[str]:
    """Objectives and prerequisites are there; measured things are not written by hand."""
    matter: dict[str, Any] = page.front_matter
    found = []
    if not isinstance(matter.get("objectives"), list) or not matter["objectives"]:
        found.append("front matter: objectives must be a list with at least one entry")
    if not isinstance(matter.get("prerequisites"), list):
        found.append("front matter: prerequisites must be a list; [] if there are none")
    found += [
        f"front matter: {key} is measured by the build; remove it"
        for key in ("minutes", "memory", "seconds")
        if key in matter
    ]
    cards = [d for d in directives(page.body.splitlines()) if d.name == "chapter-card"]
    if len(cards) != 1:
        found.append(f"{len(cards)} {{chapter-card}} directives; write one, below the question")
    return found


def section_faults(page: Page) -> list[str]:
    """The ten parts of a chapter are marked and in order."""
    targets = [match[1] for line in page.body.splitlines() if (match := TARGET.match(line))]
    wanted = [f"{page.stem}-{section}" for section in SECTIONS]
    missing = [label for label in wanted if label not in targets]
    if missing:
        return [f"no section is marked ({label})=" for label in missing]
    present = [label for label in targets if label in wanted]
    if present != wanted:
        return [f"sections stand in the order {present}, expected {wanted}"]
    return []


def code_lines(block: Directive) -> int:
    """Count the lines of a cell that are not blank."""
    return sum(bool(line.strip()) for line in block.body)


def cell_faults(page: Page, blocks: list[Block]) -> list[str]:
    """Cells are short, have text between them, and the first one names the results file."""
    cells = [b for b in blocks if isinstance(b, Directive) and b.name == "code-cell"]
    if not cells:
        return ["the chapter has no code cell"]
    found = [
        f"a cell has {code_lines(cell)} lines, at most {MOST_LINES}: {cell.body[0]}"
        for cell in cells
        if code_lines(cell) > MOST_LINES
    ]
    middle = median(code_lines(cell) for cell in cells)
    if middle > MEDIAN_LINES:
        found.append(f"cells have {middle:g} lines in the median, at most {MEDIAN_LINES}")
    if f'report.chapter("{page.name}")' not in "\n".join(cells[0].body):
        found.append(f'the first cell must call companion.report.chapter("{page.name}")')
    in_a_row = 0
    for block in blocks:
        is_cell = isinstance(block, Directive) and block.name == "code-cell"
        if is_cell:
            in_a_row += 1
        elif not isinstance(block, Text) or any(line.strip() for line in block.lines):
            in_a_row = 0
        if is_cell and in_a_row == 3:
            found.append(f"three code cells in a row, the last: {block.body[0]}")
    return found


def figure_faults(page: Page) -> list[str]:
    """Every figure has a caption, a text for those who cannot see it, and a name."""
    found = []
    for block in directives(page.body.splitlines()):
        if block.name == "figure":
            found += _missing(block.argument, block.options.get("alt"), block.label, block.body)
        elif block.name == "code-cell" and DRAWS.search("\n".join(block.body)):
            settings = block.options.get("mystnb") or {}
            figure, image = settings.get("figure") or {}, settings.get("image") or {}
            where = f"the cell {block.body[0]!r}"
            found += _missing(where, image.get("alt"), figure.get("name"), figure.get("caption"))
    return found


def _missing(where: str, alt: object, name: object, caption: object) -> list[str]:
    parts = {"alt text": alt, "name": name, "caption": caption}
    return [f"figure of {where} has no {part}" for part, value in parts.items() if not value]


@dataclass
class Solution:
    """The cells between `solution-start` and `solution-end`."""

    label: str
    cells: list[Directive] = field(default_factory=list)


def solutions(blocks: list[Block]) -> list[Solution]:
    """Return the solutions of a chapter with their cells, in order."""
    found: list[Solution] = []
    is_inside = False
    for block in blocks:
        if not isinstance(block, Directive):
            continue
        if block.name == "solution-start":
            found.append(Solution(block.argument))
            is_inside = True
        elif block.name == "solution-end":
            is_inside = False
        elif block.name == "code-cell" and is_inside:
            found[-1].cells.append(block)
    return found


def exercise_faults(page: Page, blocks: list[Block]) -> list[str]:
    """There are enough exercises, one of each kind, each stated, hinted, solved and checked."""
    exercises = [b for b in blocks if isinstance(b, Directive) and b.name == "exercise"]
    found = []
    if len(exercises) < FEWEST_EXERCISES:
        found.append(f"{len(exercises)} exercises, at least {FEWEST_EXERCISES}")
    kinds = []
    for number, exercise in enumerate(exercises, start=1):
        wanted = f"{page.stem}-ex{number}"
        if exercise.label != wanted:
            found.append(f"exercise {number} is labelled {exercise.label!r}, expected {wanted!r}")
        head = HEAD.match(next((line for line in exercise.body if line.strip()), ""))
        if head:
            kinds.append(head[1])
        else:
            found.append(f"{wanted}: its first line must be like **Predict** · 5 minutes · easy")
        hints = [d for d in directives(exercise.body) if d.name == "dropdown"]
        if len(hints) > MOST_HINTS:
            found.append(f"{wanted}: {len(hints)} hints, at most {MOST_HINTS}")
    found += [f"no exercise of the kind {kind!r}" for kind in KINDS if kind not in kinds]
    return found + solution_faults([e.label for e in exercises], solutions(blocks))


def solution_faults(labels: list[str], solved: list[Solution]) -> list[str]:
    """Each exercise has one solution, in marked cells, that ends in its check."""
    found = []
    if [solution.label for solution in solved] != labels:
        found.append(f"solutions {[s.label for s in solved]} for exercises {labels}")
    for solution in solved:
        code = "\n".join("\n".join(cell.body) for cell in solution.cells)
        begins, ends = code.count("### BEGIN SOLUTION"), code.count("### END SOLUTION")
        if not begins or begins != ends:
            found.append(f"{solution.label}: {begins} BEGIN and {ends} END SOLUTION marks")
        last = "\n".join(solution.cells[-1].body) if solution.cells else ""
        after = last.rpartition("### END SOLUTION")[2]
        if not re.search(rf"exercises\.check\(\s*[\"']{re.escape(solution.label)}[\"']", after):
            found.append(f"{solution.label}: its last cell must end in exercises.check(...)")
    return found
