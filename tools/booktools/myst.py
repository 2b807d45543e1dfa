"""Reads MyST Markdown into blocks: text, literal code, directives. Knows no directive by name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

OPENING = re.compile(r"^(?P<indent>\s*)(?P<fence>`{3,}|~{3,}|:{3,})(?P<info>[^`]*)$")
DIRECTIVE = re.compile(r"^\{(?P<name>[^}\s]+)\}\s*(?P<argument>.*)$")
OPTION = re.compile(r"^:(?P<key>[\w-]+):(?:\s+(?P<value>.*))?$")


class MystError(ValueError):
    """A source that cannot be read; the message names the line's text."""


@dataclass(frozen=True)
class Text:
    """Consecutive lines that are no fence."""

    lines: list[str]


@dataclass(frozen=True)
class Literal:
    """A fenced code block, kept as it stands."""

    lines: list[str]


@dataclass(frozen=True)
class Directive:
    """A fenced directive; `body` is not yet read further."""

    name: str
    argument: str
    body: list[str]
    indent: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The name by which others refer to it; empty when it has none."""
        return str(self.options.get("label") or self.options.get("name") or "")

    @property
    def classes(self) -> list[str]:
        """Its classes."""
        return str(self.options.get("class") or "").split()


Block = Text | Literal | Directive


def read_blocks(lines: list[str]) -> list[Block]:
    """Split lines of MyST into blocks.

    Raises:
        MystError: a fence is not closed.
    """
    blocks: list[Block] = []
    position = 0
    while position < len(lines):
        opening = OPENING.match(lines[position])
        if not opening:
            if blocks and isinstance(blocks[-1], Text):
                blocks[-1].lines.append(lines[position])
            else:
                blocks.append(Text([lines[position]]))
            position += 1
            continue
        end = _closing(lines, position, opening["fence"])
        blocks.append(_fenced(lines[position : end + 1], opening))
        position = end + 1
    return blocks


def _closing(lines: list[str], start: int, fence: str) -> int:
    pattern = re.compile(rf"^\s*{re.escape(fence[0])}{{{len(fence)},}}\s*$")
    for position in range(start + 1, len(lines)):
        if pattern.match(lines[position]):
            return position
    raise MystError(f"this fence is never closed: {lines[start].strip()}")


def _fenced(lines: list[str], opening: re.Match[str]) -> Block:
    match = DIRECTIVE.match(opening["info"].strip())
    if not match:
        return Literal(lines)
    indent = opening["indent"]
    inner = [line.removeprefix(indent) for line in lines[1:-1]]
    options, body = _options(inner)
    while body and not body[0].strip():
        body = body[1:]
    return Directive(match["name"], match["argument"].strip(), body, indent, options)


def _options(lines: list[str]) -> tuple[dict[str, Any], list[str]]:
    if lines and lines[0].strip() == "---":
        for end in range(1, len(lines)):
            if lines[end].strip() == "---":
                return yaml.safe_load("\n".join(lines[1:end])) or {}, lines[end + 1 :]
    options: dict[str, Any] = {}
    for position, line in enumerate(lines):
        match = OPTION.match(line)
        if not match:
            return options, lines[position:]
        options[match["key"]] = (match["value"] or "").strip()
    return options, []


def directives(lines: list[str]) -> list[Directive]:
    """Return every directive in the lines, those inside others included, in order."""
    found: list[Directive] = []
    for block in read_blocks(lines):
        if isinstance(block, Directive):
            found.append(block)
            if block.name not in ("code-cell", "math", "code-block", "raw"):
                found += directives(block.body)
    return found


def prose_lines(lines: list[str]) -> list[str]:
    """Return the lines that a reader reads as prose: no code, no display maths, no options."""
    kept: list[str] = []
    for block in read_blocks(lines):
        if isinstance(block, Text):
            kept += block.lines
        elif isinstance(block, Directive):
            if block.name not in ("code-cell", "math", "code-block", "raw"):
                kept += [block.argument, *prose_lines(block.body)]
    return kept
