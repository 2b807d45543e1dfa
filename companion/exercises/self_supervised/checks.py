"""The checks: a right answer, the usual mistakes, and what is said of each."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from companion.datasets.glyphs import FACES, render_letters
from companion.exercises.answers import WrongKind, as_number, as_tensor
from companion.exercises.framework import Feedback, right, wrong
from companion.exercises.self_supervised.mistakes import contrastive_loss

__all__ = [
    "ENOUGH",
    "NUM_ITEMS",
    "NUM_MASKS",
    "check_blocks",
    "check_chance",
    "check_repaired_loss",
    "check_turning_letters",
    "letters_like_themselves",
]

NUM_ITEMS = 256
NUM_MASKS = 100
GRID = 4
ENOUGH = 0.7
FACE = "DejaVuSans"
CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


# --- 1: the loss at chance ---


def check_chance(answer: Any) -> Feedback:
    """Check the loss of a batch whose projections are all alike."""
    number = as_number(answer, what="a number of nats")
    candidates = 2 * NUM_ITEMS - 1

    def is_near(value: float) -> bool:
        return math.isclose(number, value, abs_tol=2e-3)

    if math.isclose(number, math.log(candidates), abs_tol=9e-4):
        return right(
            "The logarithm of the number of candidates, all views but the one that asks. The "
            "temperature divides equal similarities and changes nothing."
        )
    if is_near(math.log(candidates + 1)):
        return wrong(
            "Is a view a candidate for its own partner?", misconception="the view itself counted"
        )
    if is_near(math.log(candidates - 1)):
        return wrong(
            "The partner is a candidate too, the right one.", misconception="the partner left out"
        )
    if any(is_near(math.log(n)) for n in (NUM_ITEMS, NUM_ITEMS - 1)):
        return wrong("Each item is there in two views.", misconception="items for views")
    if any(is_near(math.log(candidates) / math.log(base)) for base in (2, 10)):
        return wrong("The loss is in nats.", misconception="another logarithm")
    if any(is_near(math.log(candidates) * factor) for factor in (10, 0.1)):
        return wrong(
            "All similarities are alike: what does a common factor do to a softmax?",
            misconception="temperature taken for a factor of the loss",
        )
    return wrong("How many candidates has a view, and what does softmax say if all are alike?")


# --- 2: hide a block ---


def check_blocks(answer: Any) -> Feedback:
    """Check masks that hide one block of two by two patches each."""
    grids = _as_grids(answer)
    if isinstance(grids, Feedback):
        return grids
    counts = grids.sum(dim=(1, 2))
    if bool((counts == GRID * GRID - 4).all()):
        return wrong(
            "Twelve patches are hidden and four are seen: True means hidden.",
            misconception="hidden and visible swapped",
        )
    if not bool((counts == 4).all()):
        low, high = int(counts.min()), int(counts.max())
        return wrong(
            f"Between {low} and {high} patches are hidden in a picture; it should be four in each.",
            misconception="another number of patches",
        )
    blocks = torch.nn.functional.avg_pool2d(grids.float()[:, None], 2, stride=1)[:, 0] == 1
    if not bool(blocks.any(dim=2).any(dim=1).all()):
        return wrong(
            "Four patches are hidden, but in some picture they are not one block of two by two.",
            misconception="scattered patches",
        )
    places = len({tuple(grid.flatten().tolist()) for grid in grids})
    if places == 1:
        return wrong(
            "The block is at the same place in all pictures: what lies there is never seen, and "
            "all else is never asked for.",
            misconception="one block for all",
        )
    if places < (GRID - 1) ** 2:
        return wrong(
            f"The block comes at {places} places only; {(GRID - 1) ** 2} are possible.",
            misconception="not all places drawn",
        )
    return right("One block a picture, of the right size, on the grid, anywhere.")


def _as_grids(answer: Any) -> Tensor | Feedback:
    """Return which patches are hidden, (masks, 4, 4), bool."""
    what = f"{NUM_MASKS} masks, a tensor ({NUM_MASKS}, 1, height, width)"
    masks = as_tensor(answer, shape=(NUM_MASKS, 1, None, None), what=what)
    height, width = masks.shape[2:]
    values = masks.double()
    if height != width or height == 0 or height % GRID or not _are_bits(values):
        raise WrongKind(f"{what} of True and False, its side a multiple of {GRID}", masks)
    side = height // GRID
    shares = torch.nn.functional.avg_pool2d(values, side)[:, 0]
    if not bool(((shares == 0) | (shares == 1)).all()):
        return wrong(
            "Some patches are hidden in part: whole patches of the grid are asked for.",
            misconception="cut through patches",
        )
    return shares == 1


def _are_bits(values: Tensor) -> bool:
    """Return whether there is nothing but 0 and 1."""
    return bool(((values == 0) | (values == 1)).all())


# --- 3: a loss to repair ---


def check_repaired_loss(answer: Any) -> Feedback:
    """Check a function of two views and a temperature that returns the contrastive loss."""
    if not callable(answer):
        raise WrongKind("a function of two views and a temperature", answer)
    views = _views()
    found = [as_number(_detached(answer(*views, t)), what="a loss") for t in (0.2, 1.0)]

    def agrees(**mistakes: bool) -> bool:
        loss = contrastive_loss(**mistakes)
        expected = [float(loss(*views, t)) for t in (0.2, 1.0)]
        pairs = zip(found, expected, strict=True)
        return all(math.isclose(a, b, rel_tol=1e-4) for a, b in pairs)

    if agrees():
        return right("It is the loss of SimCLR: both sides ask, and no view asks for itself.")
    named = {
        "the view itself counted": {"drops_itself": False},
        "not normalised": {"normalises": False},
        "temperature the wrong way round": {"divides": False},
        "a partner that is none": {"has_partner": False},
    }
    words = {
        "the view itself counted": "Each view still finds itself among its candidates.",
        "not normalised": "The similarity is a cosine: are the rows of length 1?",
        "temperature the wrong way round": "A low temperature must make differences larger.",
        "a partner that is none": "Whom does row i look for? Its partner stands half the rows on.",
    }
    for misconception, mistake in named.items():
        if agrees(**mistake):
            return wrong(words[misconception], misconception=misconception)
    expected = float(contrastive_loss()(*views, 1.0))
    return wrong(
        f"At temperature 1 it returns {found[1]:.3f} for our views, not {expected:.3f}. There is "
        "more than one thing to repair."
    )


def _views() -> tuple[Tensor, Tensor]:
    """Return two views of six items, always the same, of very different lengths."""
    generator = torch.Generator().manual_seed(5)
    first, noise = torch.randn(2, 6, 4, generator=generator)
    lengths = torch.linspace(0.5, 2, 6)[:, None]
    return first * lengths, (first + 0.5 * noise) / lengths


def _detached(value: Any) -> Any:
    """Return a loss without its gradient."""
    return value.detach() if isinstance(value, Tensor) else value


# --- 4: letters for which the question has no answer ---


@functools.cache
def letters_like_themselves(change: str = "half turn") -> frozenset[str]:
    """Return the capitals whose drawing correlates with its changed self above the limit.

    Args:
        change: `"half turn"`, `"mirrored"` or `"upside down"`.
    """
    drawings = render_letters([face for face in FACES if face.name == FACE])
    changes = {
        "half turn": lambda image: image.rot90(2, (1, 2)),
        "mirrored": lambda image: image.flip(2),
        "upside down": lambda image: image.flip(1),
    }
    found = set()
    for image, character in zip(drawings.images.double(), drawings.characters, strict=True):
        rows = torch.stack([image.flatten(), changes[change](image).flatten()])
        if character in CAPITALS and float(torch.corrcoef(rows)[0, 1]) > ENOUGH:
            found.add(character)
    return frozenset(found)


def check_turning_letters(answer: Any) -> Feedback:
    """Check the letters that a half turn leaves as they are."""
    letters = _as_letters(answer)
    expected = letters_like_themselves()
    absent = letters & {"I", "O"}
    if letters == expected:
        return right(
            f"{', '.join(sorted(expected))}: for these the question 'which way up?' has two right "
            "answers, and a network can only guess."
        )
    if absent and letters - absent == expected:
        return wrong(
            f"{' and '.join(sorted(absent))}: drawn like a digit, so not among the letters.",
            misconception="letters that are not in the data",
        )
    for change in ("mirrored", "upside down"):
        if letters == letters_like_themselves(change):
            return wrong(
                "These look like themselves in a mirror. A half turn is both mirrors, one after "
                "the other.",
                misconception="mirrored, not turned",
            )
    if letters == set(CAPITALS) - {"I", "O"} - expected:
        return wrong(
            "These are the letters that a half turn does change.",
            misconception="the others",
        )
    return wrong(
        f"Of {len(expected)} letters {len(letters & expected)} are among yours, and "
        f"{len(letters - expected)} of yours are none of them. Turn the drawing by half, and take "
        f"the correlation of its pixels with the drawing as it was; {ENOUGH} is the limit."
    )


def _as_letters(answer: Any) -> set[str]:
    """Return capitals, given as a word or as any collection."""
    what = "a collection of capital letters, such as {'A', 'B'}"
    if not isinstance(answer, Iterable):
        raise WrongKind(what, answer)
    letters = list(answer)
    if not letters or not all(isinstance(one, str) and one in CAPITALS for one in letters):
        raise WrongKind(what, answer)
    if any(len(one) != 1 for one in letters):
        raise WrongKind(what, answer)
    return set(letters)
