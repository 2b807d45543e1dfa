"""The checks: a right answer, the usual mistakes, and what is said of each."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from companion import runtime
from companion.backbones.glyphnet import MEAN, STD
from companion.evaluation import MIN_SEEDS
from companion.exercises.answers import (
    WrongKind,
    as_number,
    as_tensor,
)
from companion.exercises.framework import Feedback, right, wrong
from companion.exercises.verdicts import judged_verdict

__all__ = [
    "NEW",
    "OLD",
    "SEEN",
    "check_box",
    "check_chain",
    "check_seen",
    "check_verdict",
]

# --- 1: how far a position sees ---

SEEN = 22
"""Pixels after three stages of a 3 x 3 convolution and a 2 x 2 pooling: 1, 3 4, 8 10, 18 22."""


def check_seen(answer: Any) -> Feedback:
    """Check the width of a receptive field."""
    width = as_number(answer, what="a number of pixels")
    known = {
        7: ("steps were forgotten", "A convolution after a pooling reaches twice as far."),
        10: ("steps were forgotten", "After each pooling neighbours lie twice as far apart."),
        15: ("poolings were not counted", "A pooling reads two neighbours: it widens too."),
        18: ("the last pooling was forgotten", "The stage ends behind its pooling."),
        46: ("one stage too many", "That is the field after the fourth stage."),
        484: ("area for width", "How many pixels wide, not how many pixels."),
        8: ("step for width", "That is how far two neighbours lie apart after three poolings."),
    }
    if width == SEEN:
        return right("Two thirds of the image already, from windows of three pixels.")
    if int(width) == width and int(width) in known:
        misconception, message = known[int(width)]
        return wrong(message, misconception=misconception)
    return wrong("Write down r and j after each of the six layers.")


# --- 2: a box instead of a triangle ---

OLD, NEW = 96, 32


def check_box(answer: Any) -> Feedback:
    """Check the matrix that averages what each new pixel covers."""
    matrix = as_tensor(answer, shape=(None, None), what="a matrix (32, 96)").double()
    if matrix.shape == (OLD, NEW):
        return wrong("One row a new pixel: 32 rows.", misconception="rows and columns exchanged")
    if matrix.shape != (NEW, OLD):
        raise WrongKind("a matrix (32, 96)", answer)
    sums = matrix.sum(dim=1)
    if not torch.allclose(sums, torch.ones_like(sums), atol=1e-4):
        return wrong(
            "The weights of a row must add up to one, or a white image would change.",
            misconception="weights that do not add up to one",
        )
    return _judged_weights(matrix)


def _judged_weights(matrix: Tensor) -> Feedback:
    """Return whether each row is the mean of the three pixels that it covers."""
    box = torch.eye(NEW, dtype=torch.double).repeat_interleave(OLD // NEW, dim=1) * NEW / OLD
    if torch.allclose(matrix, box, atol=1e-4):
        return right("This is average pooling, a resize that antialiases as well.")
    counts = (matrix.abs() > 1e-6).sum(dim=1)
    if int(counts.max()) == 1:
        return wrong(
            "One old pixel a new one: two of three are never read.",
            misconception="nearest neighbour",
        )
    if int(counts.max()) > OLD // NEW:
        return wrong(
            "Some old pixels have a weight in two rows: the window is still too wide.",
            misconception="the window is still the triangle's",
        )
    return wrong("Which three pixels does the first new one cover?")


# --- 3: a chain to repair ---


def check_chain(answer: Any) -> Feedback:
    """Check a function that returns the chain for training or for validation."""
    if not callable(answer) or isinstance(answer, type | nn.Module):
        raise WrongKind("a function of train that returns a transform", answer)
    with runtime.fork_seed(0, "chain to repair"):
        found = _judged_validation(answer(False)) or _judged_training(answer(True))
    return found or right("Mild in training, the same every time in validation, and one resize.")


def _run(chain: Any, images: Tensor) -> Tensor:
    """Return what a chain makes of images."""
    result = chain(images) if callable(chain) else None
    if not isinstance(result, Tensor) or result.dim() != 4:
        raise WrongKind("a function that returns a transform of images", result)
    return result


def _judged_validation(chain: Any) -> Feedback | None:
    """Return what is wrong with the chain of validation."""
    noise = torch.rand(2, 1, OLD, OLD, generator=torch.Generator().manual_seed(0))
    made = _run(chain, noise)
    if tuple(made.shape) != (2, 1, NEW, NEW):
        return wrong(f"The images come out as {tuple(made.shape)}, not (2, 1, 32, 32).")
    if any(not torch.equal(_run(chain, noise), made) for _ in range(8)):
        return wrong(
            "Validation images look different each time: chance is for training only.",
            misconception="validation was augmented",
        )
    flat = torch.stack([torch.zeros(1, OLD, OLD), torch.ones(1, OLD, OLD)])
    ends = _run(chain, flat).mean(dim=(1, 2, 3))
    if torch.allclose(ends, torch.tensor([0.0, 1.0]), atol=1e-3):
        return wrong(
            "Black is still 0 and white 1: nothing was normalised.",
            misconception="wrong normalisation",
        )
    if not torch.allclose(ends, (torch.tensor([0.0, 1.0]) - MEAN) / STD, atol=1e-2):
        return wrong(
            "Black and white do not come out as glyphnet knows them: whose statistics are these?",
            misconception="wrong normalisation",
        )
    return _judged_resize(noise, made)


def _judged_resize(noise: Tensor, made: Tensor) -> Feedback | None:
    """Return whether single pixels pass through."""
    smooth = functional.interpolate(noise, (NEW, NEW), mode="bilinear", antialias=True)
    if made.std() * STD > 1.5 * smooth.std():
        return wrong(
            "Noise of single pixels passes through: most old pixels are never read.",
            misconception="no antialiasing",
        )
    return None


def _judged_training(chain: Any) -> Feedback | None:
    """Return what is wrong with the chain of training."""
    lopsided = torch.zeros(1, 1, OLD, OLD)
    lopsided[..., 20:70, 20:40] = 1
    made = [_run(chain, lopsided) for _ in range(24)]
    if all(torch.equal(one, made[0]) for one in made):
        return wrong(
            "Training images look the same each time: the mild change is gone as well.",
            misconception="nothing is augmented",
        )
    if any(bool(one[..., : NEW // 2].mean() < one[..., NEW // 2 :].mean()) for one in made):
        return wrong(
            "A stroke on the left came out on the right: mirrored digits keep no label.",
            misconception="an augmentation that changes the label",
        )
    if any(bool(one.max() > 1.1 * (1 - MEAN) / STD) for one in made):
        return wrong(
            "In training white comes out as something else than in validation.",
            misconception="training and validation are prepared differently",
        )
    return None


# --- 4: a verdict on four other digits ---


def check_verdict(answer: Any) -> Feedback:
    """Check two lists of accuracies, and a verdict that follows from them."""
    return judged_verdict(
        answer,
        first="fine",
        second="coarse",
        too_few="One accuracy a source, five sources each, in the same order.",
        judged_twice="one source judged twice",
        fewest=2 if runtime.scale() == "rehearsal" else MIN_SEEDS,
    )
