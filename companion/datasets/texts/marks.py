"""Names marked in a text, `{Vienna|LOC}`, as words with BIO labels."""

from __future__ import annotations

import re

from companion import checks

__all__ = ["CLASSES", "MARK", "TYPES", "plain_text", "read_marks"]

TYPES = {"PER": "person", "LOC": "location", "ORG": "organisation", "DATE": "date"}
"""What may be marked, and what it is called."""

CLASSES = ("O", *(f"{border}-{name}" for name in TYPES.values() for border in "BI"))
"""Names of the class ids: outside, and beginning and inside of each type."""

MARK = re.compile(r"\{([^{}|]+)\|(" + "|".join(TYPES) + r")\}")
"""A mark; its groups are the name and its type."""

WORD = re.compile(r"\w+|[^\w\s]")


def plain_text(marked: str) -> str:
    """Return a text without its marks.

    Raises:
        CompanionError: a brace or a bar that is no part of a mark.

    Example:
        >>> plain_text("{Ada|PER} came to {Vienna|LOC}.")
        'Ada came to Vienna.'
    """
    text = MARK.sub(r"\1", marked)
    if any(sign in text for sign in "{}|"):
        checks.fail(
            "marked text",
            got=f"{marked!r:.80}",
            expected="marks such as {Vienna|LOC}, with a type of " + ", ".join(TYPES),
            do="close each mark, and put none inside another",
        )
    return text


def read_marks(marked: str) -> tuple[tuple[str, ...], list[int]]:
    """Return the words of a marked text and the class id of each.

    A word is a run of letters, digits and underscores, or a single other sign.

    Args:
        marked: the text with its marks.

    Returns:
        Words, and as many ids of `CLASSES`.

    Raises:
        CompanionError: a brace or a bar that is no part of a mark, or a mark that begins or ends
            within a word.

    Example:
        >>> words, labels = read_marks("{Ada King|PER} wrote.")
        >>> words, [CLASSES[label] for label in labels]
        (('Ada', 'King', 'wrote', '.'), ['B-person', 'I-person', 'O', 'O'])
    """
    plain = plain_text(marked)
    pieces = [(match.start(), match.end()) for match in WORD.finditer(plain)]
    labels = [0] * len(pieces)
    shift = 0
    for match in MARK.finditer(marked):
        start = match.start() - shift
        end = start + len(match[1])
        shift += len(match[0]) - len(match[1])
        inside = [p for p, (first, last) in enumerate(pieces) if first < end and last > start]
        if not inside or (pieces[inside[0]][0], pieces[inside[-1]][1]) != (start, end):
            checks.fail(
                "marked text",
                got=f"{match[0]!r}, which begins or ends within a word or at a space",
                expected="marks around whole words",
                do="move its ends to the borders of words",
            )
        begin = CLASSES.index(f"B-{TYPES[match[2]]}")
        for position in inside:
            labels[position] = begin + (position != inside[0])
    return tuple(plain[first:last] for first, last in pieces), labels
