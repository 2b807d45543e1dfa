"""Characters of six alphabets drawn by hand: the parts of Omniglot that no font letter is in.

Reference: lake2015human
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from companion import assets, checks, runtime
from companion.assets import RemoteFile
from companion.datasets.base import Source, refuse_path, stand_in
from companion.registry import DatasetCard
from companion.splits import Split

__all__ = ["ALPHABETS", "CARD", "FILES", "IMAGE_SIZE", "LEFT_OUT", "NUM_POOL_DRAWINGS", "load"]

IMAGE_SIZE = 105
"""Height and width of a drawing, in pixels."""

ALPHABETS: dict[str, int] = {
    "Balinese": 24,
    "Early_Aramaic": 22,
    "Korean": 40,
    "Japanese_(katakana)": 47,
    "Sanskrit": 42,
    "Tagalog": 17,
}
"""The alphabets that are kept, with their numbers of characters."""

LEFT_OUT = ("Greek", "Latin")
"""Alphabets of the files that are left out: their letters are in fonts, and in `glyphs`."""

NUM_POOL_DRAWINGS = 10
"""Drawings 1..10 of each character are the pool, 11..20 the test set."""

_URL = (
    "https://raw.githubusercontent.com/brendenlake/omniglot/"
    "057f034baf2ecb8530bc5710e5a23584d2a519cc/python/"
)
_HASHES = {
    "images_background_small1.zip": (
        1319022,
        "f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4",
    ),
    "images_background_small2.zip": (
        1580917,
        "3ccaa407515a8778e5d0861875af38b17e418f301ad5bb3b5a6b65d901a41c7f",
    ),
}

FILES = tuple(
    RemoteFile(f"vision/omniglot/{name}", _URL + name, sha256, size_bytes, licence="MIT")
    for name, (size_bytes, sha256) in _HASHES.items()
)
"""The two small background sets as their authors published them."""

CARD = DatasetCard(
    name="omniglot",
    title="Omniglot, six alphabets",
    modality="vision",
    task="classification",
    classes=tuple(
        f"{alphabet}/{number:02d}"
        for alphabet, num_characters in ALPHABETS.items()
        for number in range(1, num_characters + 1)
    ),
    licence="MIT",
    source="github.com/brendenlake/omniglot, images_background_small1 and _small2",
    size_bytes=sum(file.size_bytes for file in FILES),
    sha256=tuple((PurePosixPath(file.name).name, file.sha256) for file in FILES),
    paper="lake2015human",
    notes="192 characters, 20 drawings each. Greek and Latin, which the files hold too, are left "
    "out. Drawings 01-10 of each character are the pool, 11-20 the test set: a split that we made, "
    "not an official one. The drawings are turned round to bright strokes on a dark ground.",
)

_PATH = re.compile(r"([^/]+)/character(\d\d)/\d+_(\d\d)\.png$")


def load(path: Path | None = None) -> Source:
    """Load the drawings; the files are downloaded if they are not on this machine.

    Args:
        path: not used; put the files below `COMPANION_DATA` instead.

    Returns:
        Pool (1920 items) and test (1920); images (items, 1, 105, 105), uint8, 255 is ink. At
        the scale `rehearsal` a few random images of this form.

    Raises:
        CompanionError: a file is broken or cannot be had, or lacks a drawing.
    """
    refuse_path(CARD, path)
    if runtime.scale() == "rehearsal":
        return stand_in(CARD, (1, IMAGE_SIZE, IMAGE_SIZE))
    drawings = {key: image for file in FILES for key, image in _drawings(file)}
    missing = [name for name in CARD.classes for d in range(1, 21) if (name, d) not in drawings]
    if missing:
        checks.fail(
            "files of the dataset 'omniglot'",
            got=f"no drawing, or not all, of {missing[0]}",
            expected="20 drawings of each character of " + ", ".join(ALPHABETS),
            do=f"get {FILES[0].url} and {PurePosixPath(FILES[1].name).name} beside it again",
        )
    numbers = range(1, NUM_POOL_DRAWINGS + 1)
    others = range(NUM_POOL_DRAWINGS + 1, 21)
    return Source(_split("pool", drawings, numbers), _split("test", drawings, others), CARD)


def _drawings(file: RemoteFile) -> Iterator[tuple[tuple[str, int], Tensor]]:
    """Yield class name and number of each drawing that is kept, and its image, (1, 105, 105)."""
    import numpy as np
    from PIL import Image

    with zipfile.ZipFile(assets.fetch(file)) as archive:
        for name in archive.namelist():
            found = _PATH.search(name)
            if found and found[1] in ALPHABETS:
                pixels = np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("L"))
                key = (f"{found[1]}/{found[2]}", int(found[3]))
                yield key, torch.from_numpy(255 - pixels)[None]


def _split(name: str, drawings: dict[tuple[str, int], Tensor], numbers: range) -> Split:
    """Return some drawings of each character, character by character."""
    keys = [(character, number) for character in CARD.classes for number in numbers]
    return Split(
        name,
        torch.stack([drawings[key] for key in keys]),
        torch.arange(len(CARD.classes)).repeat_interleave(len(numbers)),
        tuple(f"omniglot/{character}/{number:02d}" for character, number in keys),
        CARD.classes,
    )
