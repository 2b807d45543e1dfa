"""Characters to put into scenes: real handwritten digits, rendered Latin letters."""

from __future__ import annotations

import string
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from companion import checks, runtime
from companion.datasets import digits, glyphs

__all__ = ["DIGITS", "LETTERS", "Ink", "digit_ink", "letter_ink"]

Array = np.ndarray[Any, Any]

DIGITS = digits.CARD.classes
LETTERS = tuple(letters[0] for letters in glyphs.LETTERS if letters[0].isascii())
"""The classes of letter scenes: Latin; a small letter of its capital's shape is in its class."""

COPIES = 4
"""How many distorted pictures of each letter of each face."""


@dataclass(frozen=True, eq=False)
class Ink:
    """Characters to put into scenes.

    Attributes:
        images: amount of ink in [0, 1], (characters, height, width), float32.
        labels: positions in `classes`, (characters,), int64.
        classes: names of the labels.
    """

    images: Array
    labels: Array
    classes: tuple[str, ...]


@cache
def digit_ink(part: str) -> Ink:
    """Return the handwritten digits of one part.

    Args:
        part: `"pool"` (1000 digits) or `"test"` (797).

    Raises:
        CompanionError: an unknown part.
    """
    source = digits.load()
    split = source.pool if checks.one_of("part", part, ("pool", "test")) == "pool" else source.test
    labels: Any = split.labels
    return Ink(np.asarray(split.inputs)[:, 0], np.asarray(labels), DIGITS)


@cache
def letter_ink(part: str, seed: int) -> Ink:
    """Return Latin letters, each drawn with each face and distorted several times.

    Args:
        part: `"pool"` (28 faces) or `"test"` (the 4 faces that are held out).
        seed: of the distortions.

    Raises:
        CompanionError: an unknown part.
    """
    is_test = checks.one_of("part", part, ("pool", "test")) == "test"
    held_out = glyphs.HELD_OUT_FACES
    drawings = _letters([face for face in glyphs.FACES if (face.name in held_out) == is_test])
    generator = torch.Generator().manual_seed(runtime.derive_seed(seed, "letter scenes", part))
    amounts = glyphs.Distortion(
        fill=(0.7, 0.85), thicken=1, resolutions=(8, 10, 12, 16, 32), noise=0.0
    )
    rounds = [
        glyphs.distort(drawings[0], generator=generator, distortion=amounts) for _ in range(COPIES)
    ]
    return Ink(np.asarray(torch.cat(rounds)[:, 0]), np.tile(drawings[1], COPIES), LETTERS)


def _letters(faces: list[glyphs.Face]) -> tuple[Tensor, Array]:
    """Return the drawings of Latin letters and their positions in `LETTERS`."""
    latin = [
        face if face.characters else replace(face, characters=string.ascii_letters)
        for face in faces
    ]
    drawings = glyphs.render_letters(latin)
    position = {
        number: LETTERS.index(letters[0])
        for number, letters in enumerate(glyphs.LETTERS)
        if letters[0] in LETTERS
    }
    labels = [position[label] for label in drawings.labels.tolist()]
    return drawings.images, np.array(labels)
