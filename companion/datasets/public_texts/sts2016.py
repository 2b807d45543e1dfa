"""Graded pairs of real sentences: machine translations and what people made of them (STS 2016).

Reference: agirre2016semeval
"""

from __future__ import annotations

from pathlib import PurePosixPath

import torch

from companion import runtime
from companion.assets import RemoteFile
from companion.datasets.graded_pairs import GradedPairs
from companion.datasets.public_texts.files import checksums, read_bytes, spoilt
from companion.registry import DatasetCard

__all__ = ["CARD", "FILES", "load_sts2016"]

HIGHEST = 5.0
"""The best grade: the two sentences mean the same."""

FILES = (
    RemoteFile(
        "text/sts2016/postediting.test.tsv",
        "https://raw.githubusercontent.com/brmson/dataset-sts/"
        "e1d3375f5b3bc24f21aa4e46f96eb379e9fc1081/data/sts/semeval-sts/2016/postediting.test.tsv",
        "e412867621bbabf17d4b44c99f84bb222448eabaef34b37243baed1687812b81",
        793290,
        licence="CC BY 4.0",
    ),
)
"""The pairs of the shared task, graded or not."""

CARD = DatasetCard(
    name="sts2016",
    title="STS 2016, post-editing",
    modality="language",
    task="graded pairs",
    classes=(),
    licence="CC BY 4.0",
    source="github.com/brmson/dataset-sts, data/sts/semeval-sts/2016",
    size_bytes=FILES[0].size_bytes,
    sha256=checksums(*FILES),
    paper="agirre2016semeval",
    notes="News that a machine translated, and what people made of it by editing. 244 of 3,287 "
    "pairs were graded, whole numbers from 0 to 5, about as many of each grade; the others are "
    "left out. High grades are mostly two versions of one sentence, low grades different "
    "sentences, so that counting common words does well. All are test data of the shared task: "
    "too few to train on, and the interval of a correlation over them is wide.",
)


def load_sts2016() -> GradedPairs:
    """Load the graded pairs; the file is downloaded if it is not on this machine.

    Returns:
        244 pairs, scores of 0 to 5 divided by 5; ids end in the number of the line. At the scale
        `rehearsal` a few made up pairs.

    Raises:
        CompanionError: the file is broken or cannot be had, or a line is not a grade (or nothing)
            and two sentences.
    """
    if runtime.scale() == "rehearsal":
        return _stand_in()
    file = FILES[0]
    what = PurePosixPath(file.name).name
    rows: list[tuple[int, float, str, str]] = []
    lines = read_bytes(file).decode("utf-8").removesuffix("\n").split("\n")
    for number, line in enumerate(lines, start=1):
        columns = [column.strip() for column in line.split("\t")]
        if len(columns) != 3 or not all(columns[1:]) or not _is_grade(columns[0]):
            spoilt(
                f"{what}, line {number}",
                f"{line[:60]!r}",
                "a grade from 0 to 5 or nothing, and two sentences, with tabs between them",
                file,
            )
        if columns[0]:
            rows.append((number, float(columns[0]), columns[1], columns[2]))
    return GradedPairs(
        first=tuple(row[2] for row in rows),
        second=tuple(row[3] for row in rows),
        scores=torch.tensor([row[1] for row in rows]) / HIGHEST,
        kinds=None,
        ids=tuple(f"sts2016/postediting/{row[0]:04d}" for row in rows),
    )


def _is_grade(text: str) -> bool:
    """Return whether a text is a grade, or nothing."""
    try:
        return not text or 0 <= float(text) <= HIGHEST
    except ValueError:
        return False


def _stand_in() -> GradedPairs:
    """Return eight pairs that nobody graded, for the scale `rehearsal`."""
    numbers = range(8)
    return GradedPairs(
        first=tuple(f"The film number {number} is warm." for number in numbers),
        second=tuple(f"Film {number} was never dull." for number in numbers),
        scores=torch.linspace(0, 1, 8),
        kinds=None,
        ids=tuple(f"sts2016/stand-in/{number}" for number in numbers),
    )
