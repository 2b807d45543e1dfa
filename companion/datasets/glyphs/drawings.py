"""Letters as the fonts of matplotlib draw them, before any distortion.

A *face* is one way to draw an alphabet: a font file, or a mathematical alphabet inside one
(script, fraktur, ...). No digit is among the characters, and the letters that are drawn like a
digit are left out: `LOOKALIKES` lists them. Some that remain share strokes with a digit (S with 5,
B with 8).
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "BOX_SIZE",
    "DRAWING_SIZE",
    "FACES",
    "HELD_OUT_FACES",
    "LETTERS",
    "LOOKALIKES",
    "Drawings",
    "Face",
    "render_letters",
]

DRAWING_SIZE = 48
"""Height and width of a drawing, in pixels."""

BOX_SIZE = 34
"""The larger of a letter's height and width inside its drawing, in pixels."""

LETTERS: tuple[str, ...] = (
    # Latin capitals with the Greek and Cyrillic letters of the same shape; a small letter joins
    # its capital where the two differ in size only. The first character names the class.
    *("AΑА", "BΒВв", "CcСс", "D", "EΕЕ", "F", "G", "HΗНн", "J", "KΚКκк", "L", "MΜМм", "NΝ"),
    *("PpΡρРр", "Q", "R", "Ss", "TΤТ", "Uu", "Vvν", "Ww", "XxΧχХх", "YΥ", "ZzΖ"),
    *("aа", "b", "d", "eе", "f", "g", "h", "j", "k", "m", "n", "q", "r", "t", "yу"),
    # Greek
    *("ΓГ", "Δ", "Λ", "Ξ", "ΠП", "Σ", "ΦφФф", "Ψψ", "Ω", "α", "β", "γ", "ε", "ζ", "η", "λ"),
    *("μ", "ξ", "π", "σ", "ς", "ω"),
    # Cyrillic
    *("Б", "Д", "Жж", "И", "Й", "Лл", "Цц", "Чч", "Шш", "Щщ", "Ъъ", "Ыы", "Ьь", "Ээ", "Юю", "Яя"),
)
"""The classes: the characters of one class, all letters."""

LOOKALIKES: dict[str, str] = {
    "0": "OoΟοОоΘθ",
    "1": "IilΙι",
    "3": "Зз",
    "6": "бδ",
}
"""Letters that are left out because they are drawn like this digit."""


@dataclass(frozen=True)
class Face:
    """One way to draw letters.

    Attributes:
        name: how groups and tables call it.
        file: font file among those of matplotlib.
        alphabet: code point of the capital A of a mathematical alphabet of 52 Latin letters
            inside the file; `None` means the ordinary characters.
        characters: the only characters that the file draws as letters; empty means all it has.
    """

    name: str
    file: str
    alphabet: int | None = None
    characters: str = ""


_FILES = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    *("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique"),
    *("DejaVuSansMono-BoldOblique", "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic"),
    *("DejaVuSerif-BoldItalic", "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic"),
    "STIXGeneralBolIta",
)
_LATIN_FILES = ("cmb10", "cmmi10", "cmr10", "cmss10", "cmti10", "cmtt10")
_ALPHABETS = {
    "script": 0x1D49C,
    "bold script": 0x1D4D0,
    "fraktur": 0x1D504,
    "double-struck": 0x1D538,
    "bold fraktur": 0x1D56C,
    "sans": 0x1D5A0,
    "sans bold": 0x1D5D4,
    "sans italic": 0x1D608,
    "monospace": 0x1D670,
}

FACES: tuple[Face, ...] = (
    *(Face(name, f"{name}.ttf") for name in _FILES),
    *(Face(name, f"{name}.ttf", characters=string.ascii_letters) for name in _LATIN_FILES),
    Face("cmsy10", "cmsy10.ttf", characters=string.ascii_uppercase),
    *(Face(f"STIX {name}", "STIXGeneral.ttf", start) for name, start in _ALPHABETS.items()),
)
"""All faces, in a fixed order."""

HELD_OUT_FACES = ("DejaVuSerif-Italic", "STIXGeneralBol", "cmss10", "cmti10")
"""Faces that nothing is trained on."""


@dataclass(frozen=True)
class Drawings:
    """Letters as drawn, before any distortion.

    Attributes:
        images: bright ink on dark, (drawings, 1, 48, 48), uint8.
        labels: positions in `LETTERS`, (drawings,), int64.
        characters: what was drawn; for a mathematical alphabet the ordinary letter.
        faces: name of the face of each drawing.
    """

    images: Tensor
    labels: Tensor
    characters: tuple[str, ...]
    faces: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of drawings."""
        return len(self.labels)


def render_letters(faces: Sequence[Face] = FACES) -> Drawings:
    """Draw every letter of every face once, centred, the larger side 34 of 48 pixels.

    Args:
        faces: which faces, in this order.

    Returns:
        The drawings; letters that a face lacks are left out.
    """
    label_of = {character: i for i, letters in enumerate(LETTERS) for character in letters}
    rows = [
        (image, label_of[character], character, face.name)
        for face in faces
        for character, image in _draw_face(face, tuple(label_of))
    ]
    images, labels, characters, names = zip(*rows, strict=True)
    return Drawings(
        torch.from_numpy(np.stack(images))[:, None], torch.tensor(labels), characters, names
    )


@cache
def _draw_face(face: Face, characters: tuple[str, ...]) -> list[tuple[str, np.ndarray[Any, Any]]]:
    """Return (character, drawing) for each of the characters that the face has."""
    from matplotlib import get_data_path
    from matplotlib.ft2font import FT2Font
    from PIL import ImageFont

    path = str(Path(get_data_path()) / "fonts" / "ttf" / face.file)
    known = FT2Font(path).get_charmap()
    font = ImageFont.truetype(path, 3 * DRAWING_SIZE)
    drawn = []
    for character in characters:
        code = _code_point(face, character)
        if code in known:
            drawn.append((character, _draw(font, chr(code))))
    return drawn


def _code_point(face: Face, character: str) -> int | None:
    """Return where the face keeps a character; `None` if it does not draw it as a letter."""
    if face.alphabet is not None:
        position = (string.ascii_uppercase + string.ascii_lowercase).find(character)
        return None if position < 0 else face.alphabet + position
    return ord(character) if not face.characters or character in face.characters else None


def _draw(font: Any, character: str) -> np.ndarray[Any, Any]:
    """Return one letter, cropped to its ink and fitted into the box, (48, 48), uint8."""
    from PIL import Image

    mask = font.getmask(character, mode="L")
    ink = Image.frombytes("L", mask.size, bytes(mask))
    ink = ink.crop(ink.getbbox())
    scale = BOX_SIZE / max(ink.size)
    width, height = (max(1, round(side * scale)) for side in ink.size)
    ink = ink.resize((width, height), Image.Resampling.BOX)
    canvas = Image.new("L", (DRAWING_SIZE, DRAWING_SIZE))
    canvas.paste(ink, ((DRAWING_SIZE - width) // 2, (DRAWING_SIZE - height) // 2))
    return np.asarray(canvas)
