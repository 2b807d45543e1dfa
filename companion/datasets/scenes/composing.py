"""From characters to scenes: sizes, places, colours and grounds are drawn by chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from companion import checks
from companion.datasets.scenes.ink import Ink

__all__ = ["SCENE_SIZE", "draw_scenes"]

Array = np.ndarray[Any, Any]

SCENE_SIZE = 128
"""Height and width of a scene, in pixels."""

MOST = 6
"""Most characters in a scene."""

LARGEST_SHARE = 0.2
"""Most of the smaller of two boxes that the other may cover; their IoU is then lower still."""

SIDES = (0.15, 0.45)
"""Smallest and largest side of a character, as shares of the scene's."""

SMALLEST_CONTRAST = 0.3
"""Least difference in brightness of ink and ground."""

TRIES = 20
GREY = np.array([0.299, 0.587, 0.114])
"""Shares of red, green and blue in brightness."""


def draw_scenes(
    num: int, ink: Ink, *, seed: int, size: int = SCENE_SIZE
) -> tuple[Tensor, list[Tensor], list[tuple[int, ...]]]:
    """Draw scenes of one to six characters.

    Args:
        num: how many.
        ink: the characters. Each is used once before any is used again.
        seed: of choice, sizes, places and grounds; the first scenes of a longer draw are the same.
        size: height and width, in pixels.

    Returns:
        Images (num, 3, size, size), uint8; for each a tensor (characters, 5), float32: class id
        and x_min, y_min, x_max, y_max as fractions of the side, tight around the pixels that are
        at least half ink; and for each the rows of `ink` that are in it.

    Raises:
        CompanionError: a number that is not positive, or a size below 32.
    """
    num, size = checks.positive_int("number of scenes", num), checks.positive_int("size", size)
    if size < 32:
        checks.fail("size of a scene", got=size, expected="32 or more", do="enlarge the scene")
    seed = checks.non_negative_int("seed", seed)
    order = np.random.default_rng([seed, 0])
    rows: list[int] = []
    images, labels, sources = [], [], []
    for number in range(num):
        rng = np.random.default_rng([seed, 1, number])
        wanted = int(rng.integers(1, MOST + 1))
        if len(rows) < wanted:
            rows += order.permutation(len(ink.labels)).tolist()
        chosen, rows = rows[:wanted], rows[wanted:]
        picture = _ground(size, rng)
        boxes = _write(picture, ink.images[chosen], rng)
        used = [row for row, box in zip(chosen, boxes, strict=True) if box is not None]
        sources.append(tuple(used))
        corners = np.array([box for box in boxes if box is not None], np.float32) / size
        labels.append(torch.from_numpy(np.column_stack([ink.labels[used], corners])).float())
        picture += 0.02 * rng.standard_normal(picture.shape, dtype=np.float32)
        images.append((picture.clip(0, 1) * 255).round().astype(np.uint8))
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(), labels, sources


def _write(
    picture: Array, inks: Array, rng: np.random.Generator
) -> list[tuple[int, int, int, int] | None]:
    """Write characters on a ground, in place.

    Args:
        picture: (size, size, 3), float32.
        inks: amounts of ink, (characters, height, width).
        rng: the source of chance.

    Returns:
        x_min, y_min, x_max, y_max of each in pixels; `None` where there was no room for it.
    """
    size = len(picture)
    found: list[tuple[int, int, int, int] | None] = []
    for image in inks:
        share = np.exp(rng.uniform(*np.log(SIDES)))
        alpha, tight = _enlarge(image, float(share) * size, rng)
        place = _free_place(alpha.shape, tight, [box for box in found if box], size, rng)
        found.append(place)
        if place is not None:
            row, column = place[1] - tight[1], place[0] - tight[0]
            part = picture[row : row + alpha.shape[0], column : column + alpha.shape[1]]
            colour = _ink_colour(part, rng)
            part += alpha[:, :, None] * (colour - part)
    return found


def _enlarge(
    image: Array, side: float, rng: np.random.Generator
) -> tuple[Array, tuple[int, int, int, int]]:
    """Return a character with its larger side so many pixels, and the box of what is half ink."""
    from PIL import Image

    rows, columns = (np.flatnonzero(image.max(axis) > 0.2 * image.max()) for axis in (1, 0))
    ink = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] / image.max()
    factor = side / max(ink.shape)
    ink = np.pad(ink, 1)
    stretch = np.exp(0.08 * rng.standard_normal())
    shape = (round(ink.shape[1] * factor * stretch), round(ink.shape[0] * factor / stretch))
    large = np.asarray(Image.fromarray(ink).resize(shape, Image.Resampling.BICUBIC))
    level, slope = rng.uniform(0.38, 0.5), rng.uniform(1.5, 5)
    alpha = ((large - level) * slope + 0.5).clip(0, 1)
    top, left = (np.flatnonzero(alpha.any(axis))[0] for axis in (1, 0))
    low, right = (np.flatnonzero(alpha.any(axis))[-1] + 1 for axis in (1, 0))
    alpha = alpha[top:low, left:right]
    rows, columns = (np.flatnonzero((alpha >= 0.5).any(axis)) for axis in (1, 0))
    return alpha, (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def _free_place(
    shape: tuple[int, ...],
    tight: tuple[int, int, int, int],
    others: list[tuple[int, int, int, int]],
    size: int,
    rng: np.random.Generator,
) -> tuple[int, int, int, int] | None:
    """Return a box in the picture that overlaps the others little, or `None`."""
    room = (size - shape[1], size - shape[0])
    if min(room) < 0:
        return None
    for _ in range(TRIES):
        x, y = (int(rng.integers(free + 1)) for free in room)
        box = (x + tight[0], y + tight[1], x + tight[2], y + tight[3])
        if all(_covered(box, other) <= LARGEST_SHARE for other in others):
            return box
    return None


def _covered(first: tuple[int, ...], second: tuple[int, ...]) -> float:
    """Return which share of the smaller of two boxes lies in the other."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    both = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return both / min(areas)


def _ink_colour(ground: Array, rng: np.random.Generator) -> Array:
    """Return a colour that stands out from the ground, (3,), float32."""
    bright = float(ground.mean((0, 1)) @ GREY)
    tries = rng.uniform(0, 1, (16, 3))
    stands_out = np.flatnonzero(np.abs(tries @ GREY - bright) > SMALLEST_CONTRAST)
    opposite = np.full(3, float(bright < 0.5))
    colour = tries[stands_out[0]] if len(stands_out) else opposite
    return colour.astype(np.float32)


def _ground(size: int, rng: np.random.Generator) -> Array:
    """Return an empty scene: plain, graded or cluttered, (size, size, 3), float32."""
    base = rng.uniform(0.2, 0.8) + rng.uniform(-0.25, 0.25, 3)
    kind = rng.integers(3)
    if kind == 0:
        return np.broadcast_to(base, (size, size, 3)).astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    steps = np.linspace(-0.5, 0.5, size)
    ramp = np.cos(angle) * steps + np.sin(angle) * steps[:, None]
    graded = base + ramp[:, :, None] * rng.uniform(-0.35, 0.35, 3)
    return (graded if kind == 1 else _clutter(graded, rng)).clip(0, 1).astype(np.float32)


def _clutter(ground: Array, rng: np.random.Generator) -> Array:
    """Return a ground with faint lines, boxes and discs on it."""
    from PIL import Image, ImageDraw

    size = len(ground)
    sheet = Image.new("F", (size, size))
    pen = ImageDraw.Draw(sheet)
    for _ in range(rng.integers(5, 13)):
        x, y = rng.uniform(-0.1, 1, 2) * size
        width, height = rng.uniform(0.05, 0.5, 2) * size
        shade, kind = float(rng.uniform(-1, 1)), rng.integers(3)
        if kind == 0:
            ends = [x, y, x + rng.choice([-1, 1]) * width, y + height]
            pen.line(ends, fill=shade, width=int(rng.integers(1, 4)))
        else:
            draw = pen.rectangle if kind == 1 else pen.ellipse
            draw([x, y, x + width, y + height], fill=shade)
    return ground + np.asarray(sheet)[:, :, None] * rng.uniform(-0.45, 0.45, 3)
