"""Numbers as the book prints them: fractions without their leading zero, units named."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from companion.evaluation import Interval, Paired
from companion.splits import UNITS

if TYPE_CHECKING:
    from companion.study import Study

__all__ = [
    "budget_unit",
    "format_bytes",
    "format_difference",
    "format_fraction",
    "format_interval",
    "format_mean",
    "format_paired",
    "format_seconds",
]

MISSING = "-"


def format_fraction(value: float | None, *, digits: int = 3) -> str:
    """Return a fraction without its leading zero; a hyphen where there is none.

    Args:
        value: usually in [0, 1]; error rates may exceed 1.
        digits: digits after the point.

    Example:
        >>> format_fraction(0.9312), format_fraction(1.0), format_fraction(-0.05, digits=2)
        ('.931', '1.000', '-.05')
    """
    if value is None or math.isnan(value):
        return MISSING
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def format_difference(value: float | None, *, digits: int = 3) -> str:
    """Return a difference of fractions with its sign.

    Args:
        value: usually in [-1, 1].
        digits: digits after the point.

    Example:
        >>> format_difference(0.0416), format_difference(-0.2)
        ('+.042', '-.200')
    """
    text = format_fraction(value, digits=digits)
    return text if text.startswith("-") else f"+{text}"


def budget_unit(study: Study) -> str:
    """Return what a study's budgets count: labels a class, labelled images, sentences, ...

    Args:
        study: live or recorded.
    """
    return UNITS[study.items.task]


def format_interval(interval: Interval | None, *, digits: int = 2) -> str:
    """Return an interval of fractions in brackets; nothing where there is none.

    Args:
        interval: the interval.
        digits: digits after the point.

    Example:
        >>> format_interval(Interval(0.9171, 0.9432))
        '[.92, .94]'
    """
    if interval is None:
        return ""
    low, high = (format_fraction(x, digits=digits) for x in (interval.low, interval.high))
    return f"[{low}, {high}]"


def format_mean(value: float, interval: Interval | None) -> str:
    """Return a fraction with its interval, if it has one.

    Args:
        value: a fraction.
        interval: its interval, or `None`.

    Example:
        >>> format_mean(0.931, Interval(0.917, 0.943))
        '.931 [.92, .94]'
    """
    return f"{format_fraction(value)} {format_interval(interval)}".rstrip()


def format_paired(paired: Paired, *, digits: int = 3) -> str:
    """Return a difference in words: which way it goes, if that may be claimed, and how far.

    "Higher" and "lower" are said only where the comparison claims a sign, after the correction of
    its table if there is one; all else is "not told apart", or "no claim" where there are too few
    pairs, or no spread, for a test.

    Args:
        paired: the comparison.
        digits: digits after the point.

    Example:
        >>> format_paired(Paired(0.042, Interval(0.031, 0.053), 0.001, 5))
        'higher, +.042 [.031, .053]'
        >>> format_paired(Paired(-0.01, Interval(-0.03, 0.01), 0.2, 5))
        'not told apart, -.010 [-.030, .010]'
    """
    while paired.claim and digits < 6 and abs(paired.mean_difference) < 0.5 * 10**-digits:
        digits += 1  # a claim of .000 says nothing
    word = "not told apart" if paired.interval else "no claim"
    if paired.claim:
        word = "higher" if paired.mean_difference > 0 else "lower"
    difference = format_difference(paired.mean_difference, digits=digits)
    return f"{word}, {difference} {format_interval(paired.interval, digits=digits)}".rstrip()


def format_seconds(seconds: float) -> str:
    """Return a duration with its unit.

    Args:
        seconds: how long.

    Example:
        >>> format_seconds(0.042), format_seconds(7.31), format_seconds(420)
        ('42 ms', '7.3 s', '7.0 min')
    """
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def format_bytes(size: float) -> str:
    """Return a size with its unit, 1 kB being 1000 bytes.

    Args:
        size: bytes.

    Example:
        >>> format_bytes(999), format_bytes(1_480_000)
        ('999 B', '1.5 MB')
    """
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
