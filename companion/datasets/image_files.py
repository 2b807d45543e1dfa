"""Image files: found, verified, and decoded when they are asked for."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from companion import checks, runtime

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["SUFFIXES", "ImageFiles", "decode", "find_images", "fingerprints"]

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Endings of files that are read as images, in lower case."""

LEFT_BY_SYSTEMS = ("thumbs.db", "desktop.ini", "icon\r")
"""Files that a file manager leaves behind; those that begin with a dot are passed over too."""


class ImageFiles(Sequence[Tensor]):
    """Images that are decoded when they are asked for.

    Args:
        paths: one file an image.
    """

    def __init__(self, paths: Sequence[Path]):
        self.paths = tuple(paths)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    def __getitem__(self, index: Any) -> Any:
        """Return image `index`, (3, height, width), float32 in [0, 1]; files for a slice."""
        if isinstance(index, slice):
            return ImageFiles(self.paths[index])
        return decode(self.paths[index])


def decode(path: str | Path) -> Tensor:
    """Read an image file, upright as its camera says, transparent parts white.

    Args:
        path: the file.

    Returns:
        The image, (3, height, width), float32 in [0, 1].

    Raises:
        CompanionError: the file cannot be read or is no whole image; it is named.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            image = _to_rgb(ImageOps.exif_transpose(opened))
    except _broken_image_errors() as error:
        _refuse(Path(path), error)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    return pixels.float().div_(255)


def _to_rgb(image: Image) -> Image:
    """Return an 8-bit colour image; a transparent one is laid on white."""
    from PIL import Image

    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.float64) / 256
        return Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(ground, image)
    return image.convert("RGB")


def find_images(folder: Path) -> list[Path]:
    """Return the image files below a folder, sorted.

    Args:
        folder: holds images, and folders of images.

    Raises:
        CompanionError: a file that is no image, or a folder that cannot be read; it is named.
    """
    found = []
    checks.existing_directory("folder of images", folder)
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name.lower() in LEFT_BY_SYSTEMS:
            continue
        if path.is_dir():
            found += find_images(path)
        elif path.suffix.lower() in SUFFIXES:
            found.append(path)
        else:
            checks.fail(
                f"file {path}",
                got="a file that is no image among the images",
                expected=f"only files that end in {', '.join(SUFFIXES)}",
                do="move it out of the folder",
            )
    return found


def fingerprints(paths: Sequence[Path]) -> list[str]:
    """Return the SHA-256 of each file, after decoding it once to see that it is whole.

    Args:
        paths: image files.

    Raises:
        CompanionError: a file cannot be read or is no whole image; the first is named.
    """
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(_fingerprint, paths))


def _fingerprint(path: Path) -> str:
    """Return the SHA-256 of an image file that is whole."""
    from PIL import Image

    try:
        sha256 = runtime.sha256_file(path)
        with Image.open(path) as image:
            # A JPEG is read to its end at an eighth of its size: a fraction of the time.
            image.draft(image.mode, (1, 1))
            image.load()
    except _broken_image_errors() as error:
        _refuse(path, error)
    return sha256


def _broken_image_errors() -> tuple[type[Exception], ...]:
    """Return what Pillow raises on files that are cut off, damaged, or too large to be true."""
    from PIL import Image

    bomb = Image.DecompressionBombError
    return (OSError, SyntaxError, ValueError, EOFError, struct.error, bomb)


def _refuse(path: Path, error: Exception) -> NoReturn:
    """Raise the error for a file that cannot be read as an image."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    checks.fail(
        f"image {path}",
        got=f"a file that cannot be read ({reason})",
        expected="a whole image that you have permission to read",
        do="replace the file or delete it",
    )
