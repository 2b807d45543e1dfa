"""Scenes of real handwritten digits, or of rendered letters, with a box around each.

One composer makes both: characters in coloured ink lie at random sizes and places on plain, graded
or cluttered grounds. Digits of the test part of `digits` are in scenes of the test part only, and
letters of the faces that `glyphs` holds out likewise. No letter that is drawn like a digit is
among the letters, so that a detector which is pretrained on them has seen no digit.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from companion import runtime
from companion.datasets.base import Source, refuse_path
from companion.datasets.scenes.composing import SCENE_SIZE, draw_scenes
from companion.datasets.scenes.ink import DIGITS, LETTERS, Ink, digit_ink, letter_ink
from companion.registry import DatasetCard
from companion.splits import Split

__all__ = [
    "DIGITS",
    "DIGIT_SCENES",
    "LETTERS",
    "LETTER_SCENES",
    "SCENE_SIZE",
    "Ink",
    "digit_ink",
    "draw_scenes",
    "letter_ink",
    "load_digit_scenes",
    "load_letter_scenes",
]

NUM_SCENES = {"pool": 240, "test": 120}

DIGIT_SCENES = DatasetCard(
    name="digit_scenes",
    title="Scenes of handwritten digits",
    modality="vision",
    task="detection",
    classes=DIGITS,
    licence="CC BY 4.0",
    source="composed on the reader's machine from the digits of scikit-learn",
    seen_by=("digits",),
    paper="alpaydin1998optical",
    notes="240 scenes of the digits that may be trained on, 120 of those that may "
    "not; no digit is in two scenes. One to six digits a scene, up to a fifth of a small box "
    "under another. The writers are not named: one may be on both sides.",
)

LETTER_SCENES = DatasetCard(
    name="letter_scenes",
    title="Scenes of rendered letters",
    modality="vision",
    task="detection",
    classes=LETTERS,
    licence="made by this project; fonts: Bitstream Vera and Arev (DejaVu), SIL OFL 1.1 (STIX), "
    "BaKoMa (Computer Modern)",
    source="composed on the reader's machine from the Latin letters of `glyphs`",
    seen_by=("glyphs",),
    notes="A source for scenes of digits: the same composer, no digit and no letter that is drawn "
    "like one. The letters of the test scenes are of faces that are nowhere in the pool.",
)


def load_digit_scenes(path: Path | None = None) -> Source:
    """Compose the scenes of digits; always the same scenes for the same versions.

    Args:
        path: not used.

    Returns:
        Pool (240 scenes) and test (120); images (items, 3, 128, 128), uint8.

    Raises:
        CompanionError: a path was given.
    """
    refuse_path(DIGIT_SCENES, path)
    return Source(_split(DIGIT_SCENES, "pool"), _split(DIGIT_SCENES, "test"), DIGIT_SCENES)


def load_letter_scenes(path: Path | None = None) -> Source:
    """Compose the scenes of letters; always the same scenes for the same versions.

    Args:
        path: not used.

    Returns:
        Pool (240 scenes) and test (120); images (items, 3, 128, 128), uint8.

    Raises:
        CompanionError: a path was given.
    """
    refuse_path(LETTER_SCENES, path)
    return Source(_split(LETTER_SCENES, "pool"), _split(LETTER_SCENES, "test"), LETTER_SCENES)


@cache
def _split(card: DatasetCard, part: str) -> Split:
    """Return the scenes of one part."""
    num = NUM_SCENES[part]
    ink = digit_ink(part) if card is DIGIT_SCENES else letter_ink(part, seed=0)
    seed = runtime.derive_seed(0, card.name, part)
    images, labels, _ = draw_scenes(num, ink, seed=seed)
    ids = tuple(f"{card.name}/{part}/{number:03d}" for number in range(num))
    return Split(part, images, labels, ids, card.classes, task="detection")
