"""The texts as they ship: one packed file a set, one JSON object a line."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable
from functools import cache
from typing import Any

from companion import assets, checks, runtime

__all__ = ["FOLDER", "LICENCE", "SOURCE", "file_name", "held_out", "read_rows"]

FOLDER = "texts"
LICENCE = "CC BY 4.0"
SOURCE = "composed for this course; recipes/texts.py of this project; bundled"


def file_name(name: str) -> str:
    """Return what the packed file of a set is called."""
    return f"{name}.jsonl.gz"


@cache
def read_rows(name: str, sha256: str) -> tuple[dict[str, Any], ...]:
    """Return the rows of a set, in their order.

    Args:
        name: of the set, such as `"reviews"`.
        sha256: checksum of its packed file.

    Raises:
        CompanionError: the file is missing, or is another one.
    """
    path = assets.BUNDLED / FOLDER / file_name(name)
    again = "install the package again"
    content = checks.existing_file(f"bundled texts {name!r}", path, do=again).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        checks.fail(f"file {path}", got=f"SHA-256 {found}", expected=f"SHA-256 {sha256}", do=again)
    try:
        lines = gzip.decompress(content).decode("utf-8").rstrip("\n").split("\n")
    except (OSError, EOFError, zlib.error) as error:  # pragma: no cover - after a good checksum
        checks.fail(f"file {path}", got=str(error), expected="a gzip file", do=again)
    return tuple(json.loads(line) for line in lines)


def held_out(names: Iterable[str], share: float, purpose: str) -> tuple[str, ...]:
    """Return which names are set aside: the same ones for ever, and nested for growing shares.

    The order is that of a hash of purpose and name, so that neither texts, labels nor results
    have a say in it.

    Args:
        names: of what is parted whole, such as topics; repeated ones count once.
        share: how many of them, in [0, 1]; the number is rounded.
        purpose: what for; another purpose gives another order.
    """
    ranked = sorted(set(names), key=lambda name: runtime.derive_seed(0, FOLDER, purpose, name))
    return tuple(ranked[: round(checks.fraction("share", share) * len(ranked))])
