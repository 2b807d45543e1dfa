"""Letters drawn with the fonts that matplotlib ships: a labelled dataset without a download.

`render_letters` draws each letter of each face once; `distort` turns the drawings into small
pictures that look written by hand and scanned; `load` makes the dataset of them, with whole faces
held out for the test.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from companion import runtime
from companion.datasets.base import Source, refuse_path
from companion.datasets.glyphs.distortion import IMAGE_SIZE, Distortion, distort
from companion.datasets.glyphs.drawings import (
    BOX_SIZE,
    DRAWING_SIZE,
    FACES,
    HELD_OUT_FACES,
    LETTERS,
    LOOKALIKES,
    Drawings,
    Face,
    render_letters,
)
from companion.registry import DatasetCard
from companion.splits import Split

__all__ = [
    "BOX_SIZE",
    "CARD",
    "DRAWING_SIZE",
    "FACES",
    "HELD_OUT_FACES",
    "IMAGE_SIZE",
    "LETTERS",
    "LOOKALIKES",
    "Distortion",
    "Drawings",
    "Face",
    "distort",
    "load",
    "render_letters",
]

PICTURES_PER_DRAWING = 2
"""How many distorted pictures `load` makes of each letter of each face."""

CARD = DatasetCard(
    name="glyphs",
    title="Rendered letters",
    modality="vision",
    task="classification",
    classes=tuple(letters[0] for letters in LETTERS),
    licence="made by this project; fonts: Bitstream Vera and Arev (DejaVu), SIL OFL 1.1 (STIX), "
    "BaKoMa (Computer Modern)",
    source="drawn on the reader's machine with the fonts that matplotlib ships",
    seen_by=("glyphnet",),
    notes="Latin, Greek and Cyrillic letters, no digits. A group is a face; the faces of the test "
    f"set ({', '.join(HELD_OUT_FACES)}) are nowhere in the pool.",
)


def load(path: Path | None = None) -> Source:
    """Draw and distort the letters; always the same pictures for the same versions.

    Args:
        path: not used.

    Returns:
        Pool (28 faces) and test (4 faces); images (items, 1, 32, 32), uint8; groups are faces.

    Raises:
        CompanionError: a path was given.
    """
    refuse_path(CARD, path)
    pool = [face for face in FACES if face.name not in HELD_OUT_FACES]
    test = [face for face in FACES if face.name in HELD_OUT_FACES]
    return Source(_split("pool", pool), _split("test", test), CARD)


def _split(name: str, faces: Sequence[Face]) -> Split:
    """Return the distorted pictures of some faces."""
    drawings = render_letters(faces)
    generator = torch.Generator().manual_seed(runtime.derive_seed(0, "glyphs", name))
    rounds = [distort(drawings.images, generator=generator) for _ in range(PICTURES_PER_DRAWING)]
    ids = [
        f"glyphs/{face}/{character}/{number}"
        for number in range(PICTURES_PER_DRAWING)
        for face, character in zip(drawings.faces, drawings.characters, strict=True)
    ]
    return Split(
        name,
        torch.cat(rounds).mul(255).round().to(torch.uint8),
        drawings.labels.repeat(PICTURES_PER_DRAWING),
        tuple(ids),
        CARD.classes,
        groups=drawings.faces * PICTURES_PER_DRAWING,
    )
