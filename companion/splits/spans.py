"""Spans of tokens, written as one BIO class a token.

`"B-x"` opens a span of type x, `"I-x"` goes on with it, `"O"` lies outside every span.
"""

from __future__ import annotations

from collections.abc import Sequence

from companion import checks

__all__ = ["check_bio_classes", "read_spans"]


def check_bio_classes(classes: Sequence[str]) -> None:
    """Pass the classes of a BIO scheme.

    Args:
        classes: `"O"`, and `"B-x"` and `"I-x"` of each type x, in any order.

    Raises:
        CompanionError: a class of another form, no `"O"`, no type, or a type that lacks one.

    Example:
        >>> check_bio_classes(["O", "B-person", "I-person"])
    """
    begins = {name[2:] for name in classes if name.startswith("B-")}
    inside = {name[2:] for name in classes if name.startswith("I-")}
    odd = [name for name in classes if name != "O" and name[:2] not in ("B-", "I-")]
    if odd or "O" not in classes or begins != inside or not begins or "" in begins:
        lacking = sorted(begins ^ inside)
        got = f"{odd[0]!r}" if odd else f"{len(classes)} classes, {', '.join(classes[:4])}"
        checks.fail(
            "classes of spans",
            got=f"type {lacking[0]!r} with only one of B- and I-" if lacking else got,
            expected="'O', and 'B-x' and 'I-x' of each type x",
            do="name the classes by the BIO scheme, or use the task 'tokens'",
        )


def read_spans(labels: Sequence[int], classes: Sequence[str]) -> list[tuple[str, int, int]]:
    """Return the spans of one sentence.

    An `"I-x"` that does not go on with a span of x opens one, as in the scoring program of the
    CoNLL-2000 shared task: sequences that a model predicts need not be well formed.

    Args:
        labels: one class id a token.
        classes: names of the class ids, of the BIO scheme.

    Returns:
        Type, first token, and the token behind the last, of each span, in the order they begin.

    Raises:
        CompanionError: a label that is no class, such as -100 (none).

    Reference: tjongkimsang2000introduction, sec. 4 (evaluation)

    Example:
        >>> read_spans([1, 2, 0, 2], ["O", "B-place", "I-place"])
        [('place', 0, 2), ('place', 3, 4)]
    """
    _check_ids(labels, len(classes))
    spans: list[tuple[str, int, int]] = []
    open_type, start = None, 0
    for position, label in enumerate([*labels, None]):
        name = "O" if label is None else classes[label]
        goes_on = name.startswith("I-") and name[2:] == open_type
        if goes_on:
            continue
        if open_type is not None:
            spans.append((open_type, start, position))
        open_type, start = (None if name == "O" else name[2:]), position
    return spans


def _check_ids(labels: Sequence[int], num_classes: int) -> None:
    """Refuse labels that are no classes: a negative one would be counted from the end."""
    wrong = [int(label) for label in labels if not 0 <= label < num_classes]
    if wrong:
        checks.fail(
            "labels of spans",
            got=wrong[0],
            expected=f"0..{num_classes - 1} for {num_classes} classes",
            do="leave out the tokens that carry no label",
        )
