"""Warnings of the package, told in the manner of a command."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator

__all__ = ["telling_warnings"]


@contextlib.contextmanager
def telling_warnings() -> Iterator[None]:
    """Print the warnings of the body of a `with` block as notes, one line each, at its end."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for warning in caught:
                print(f"note: {' '.join(str(warning.message).split())}", file=sys.stderr)
