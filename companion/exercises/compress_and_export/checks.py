"""The checks: a right answer, the usual mistakes, and what is said of each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from companion.backbones.glyphnet import MEAN, STD
from companion.checks import CompanionError
from companion.datasets import LOADERS
from companion.exercises.answers import WrongKind, as_number
from companion.exercises.framework import Feedback, right, wrong
from companion.exporting import OnnxModel, load_onnx

__all__ = [
    "check_camera",
    "check_largest_rank",
    "check_repaired",
    "check_worst_error",
    "digits",
    "kernels",
]

LOW, HIGH, TOP = -0.8, 0.5, 127
INPUTS, OUTPUTS, KERNEL = 64, 128, 9
ENOUGH = 0.85


# --- 1: the worst rounding error ---


def check_worst_error(answer: Any) -> Feedback:
    """Check half a step of a symmetric grid of eight bits."""
    number = as_number(answer, what="a number")
    step = max(-LOW, HIGH) / TOP

    def near(value: float) -> bool:
        return abs(number - value) <= 0.01 * value

    if near(step / 2):
        return right("Half a step of the grid, and the largest size decides the step.")
    if near(step):
        return wrong(
            "That is a whole step. Which of two neighbours does rounding take?",
            misconception="a whole step for the error",
        )
    if near((HIGH - LOW) / 255 / 2) or near((HIGH - LOW) / 256 / 2):
        return wrong(
            "That grid is spread over the range from the smallest to the largest weight, as for "
            "inputs. A symmetric one reaches equally far to both sides of zero.",
            misconception="the range of an asymmetric grid",
        )
    if near(HIGH / TOP / 2):
        return wrong(
            "With this grid the weights near the negative end would be clipped.",
            misconception="the negative side forgotten",
        )
    return wrong("How far apart are two neighbours on the grid? Rounding moves half of that.")


# --- 2: the largest rank that saves parameters ---


def check_largest_rank(answer: Any) -> Feedback:
    """Check the largest rank at which two thin layers have fewer parameters."""
    number = as_number(answer, what="a whole number")
    limit = OUTPUTS * INPUTS * KERNEL / (INPUTS * KERNEL + OUTPUTS)
    if number == int(limit):
        return right(
            f"{int(limit)}: each rank costs one kernel of the first layer and one number for each "
            "output of the second."
        )
    if number in (int(limit) + 1, round(limit, 2)) or abs(number - limit) < 1e-3:
        return wrong(
            "Count once more: at that rank the thin layers are not the smaller ones, or it is no "
            "whole number.",
            misconception="rounded the wrong way",
        )
    if number == int(OUTPUTS * OUTPUTS * KERNEL / (OUTPUTS * KERNEL + OUTPUTS)):
        return wrong(
            "That is the second convolution of the block, with as many channels in as out.",
            misconception="the other convolution",
        )
    if number == int(OUTPUTS * INPUTS / (INPUTS + OUTPUTS)):
        return wrong(
            "Each kernel of the first thin layer has three by three numbers for each channel.",
            misconception="the kernel's size forgotten",
        )
    if number in (OUTPUTS, OUTPUTS - 1, INPUTS):
        return wrong(
            "A rank below the full one is not enough: two layers have to be paid for.",
            misconception="the second layer forgotten",
        )
    return wrong("Count the parameters of both thin layers as a function of the rank.")


# --- 3: a quantiser to repair ---


def kernels() -> Tensor:
    """Return kernels whose channels differ in size and lean to the negative, always the same."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(5, 3, 3, 3, generator=generator)
    sizes = torch.tensor([0.01, 0.1, 1.0, 3.0, 0.3]).view(-1, 1, 1, 1)
    return sizes * (weight - 1.0)


def check_repaired(answer: Any) -> Feedback:
    """Check a function from kernels to whole numbers and a scale for each output channel."""
    if not callable(answer):
        raise WrongKind("a function of a weight", answer)
    weight = kernels()
    found = _quantised(answer, weight)
    if isinstance(found, Feedback):
        return found
    numbers, scale = found
    feedback = _by_scale(scale, weight) or _by_numbers(numbers, scale, weight)
    if feedback is not None:
        return feedback
    weight[2] = 0.0
    found = _quantised(answer, weight)
    if isinstance(found, Feedback):
        return found
    numbers, scale = found
    broken = not (bool(torch.isfinite(scale).all()) and bool((scale > 0).all()))
    if broken or bool((numbers[2] != 0).any()):
        return wrong(
            "A channel of zeros has no size: its scale must still be above zero, and its numbers "
            "zero.",
            misconception="a channel of zeros divides by zero",
        )
    return right("Every weight is within half a step of its own channel's grid.")


def _quantised(
    function: Callable[[Tensor], Any], weight: Tensor
) -> tuple[Tensor, Tensor] | Feedback:
    """Return whole numbers and scales, or what is wrong with their form."""
    what = "a function that returns whole numbers and scales"
    try:
        found = function(weight.clone())
    except Exception as error:
        return wrong(f"The function fails: {error}")
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise WrongKind(what, found)
    numbers, scale = found
    if not isinstance(numbers, Tensor) or not isinstance(scale, Tensor):
        raise WrongKind(f"{what}, both tensors", numbers)
    if numbers.shape != weight.shape:
        raise WrongKind(f"{what}, the numbers of shape {tuple(weight.shape)}", numbers)
    return numbers.detach().double(), scale.detach().double()


def _by_scale(scale: Tensor, weight: Tensor) -> Feedback | None:
    """Say what is wrong with the scales."""
    wanted = (len(weight), 1, 1, 1)
    if scale.numel() == 1 or (tuple(scale.shape) == wanted and bool((scale == scale[0]).all())):
        return wrong(
            "There is one scale for all channels, so small channels live on a coarse grid.",
            misconception="one scale for all",
        )
    if tuple(scale.shape) != wanted:
        return wrong(
            f"The scales have the shape {tuple(scale.shape)}, and {wanted} is asked for: the "
            "output channel is the first axis.",
            misconception="the wrong axis",
        )
    return None


def _by_numbers(numbers: Tensor, scale: Tensor, weight: Tensor) -> Feedback | None:
    """Say what is wrong with the whole numbers."""
    sizes = weight.double().abs().amax(dim=(1, 2, 3), keepdim=True)
    error = (numbers * scale - weight).abs()
    if bool((scale < 0.99 * sizes / TOP).any()):
        return wrong(
            "The scale of a channel is too small for its largest size: those weights are clipped. "
            "Is the largest one perhaps negative?",
            misconception="the sign forgotten",
        )
    if bool((scale > 1.02 * sizes / TOP).any()):
        return wrong("The grid is coarser than it need be: the largest size belongs at 127.")
    if bool((numbers != numbers.round()).any()) or bool((numbers.abs() > TOP).any()):
        return wrong("The numbers must be whole and lie between -127 and 127.")
    if bool((error > scale / 2 * 1.001).any()):
        return wrong(
            "Some weights are more than half a step from their grid point: was something cut off "
            "instead of rounded?",
            misconception="cut off, not rounded",
        )
    return None


# --- 4: a file for a camera ---


def digits() -> tuple[Tensor, Tensor]:
    """Return the pool of digits, bright on dark, in [0, 1], and their labels."""
    pool = LOADERS["digits"](None).pool
    return torch.stack(list(pool.inputs)).float(), torch.as_tensor(pool.labels)


def check_camera(answer: Any) -> Feedback:
    """Check a file that takes a camera's pictures, dark on bright, from 0 to 255."""
    file = _loaded(answer)
    if isinstance(file, Feedback):
        return file
    pictures, labels = digits()
    shape = tuple(pictures.shape[1:])
    if not file.has_preprocessing or f"{list(shape)}" != file.facts["input_shape"]:
        return wrong(
            f"The file takes {file.facts['inputs']} inputs of shape {file.facts['input_shape']}. "
            f"The camera's are raw and of shape {list(shape)}: the preprocessing must be in the "
            "file.",
            misconception="preprocessing left outside",
        )
    accuracy = _accuracy(file, 255 * (1 - pictures), labels)
    if accuracy >= ENOUGH:
        return right(
            f"{accuracy:.3f} of the camera's digits are read, and whoever uses the file needs to "
            "know nothing of the backbone."
        )
    for inputs, words, misconception in (
        (255 * pictures, "bright ink on dark paper", "dark ink not turned round"),
        (1 - pictures, "pictures from 0 to 1", "0 to 255 forgotten"),
        (pictures, "bright ink on dark paper, from 0 to 1", "the camera forgotten"),
        (
            255 * (1 - (pictures - MEAN) / STD),
            "pictures that somebody has normalised",
            "normalisation left outside",
        ),
    ):
        if _accuracy(file, inputs, labels) >= ENOUGH:
            return wrong(
                f"Accuracy {accuracy:.3f} on the camera's pictures. The file reads {words} well, "
                "but that is not what the camera hands over.",
                misconception=misconception,
            )
    return wrong(f"Accuracy {accuracy:.3f}: the camera's digits are not read.")


def _accuracy(file: OnnxModel, inputs: Tensor, labels: Tensor) -> float:
    """Return the fraction of pictures that is read right."""
    read = torch.cat([file(part).argmax(dim=1) for part in torch.split(inputs, 250)])
    return float((read == labels).double().mean())


def _loaded(answer: Any) -> OnnxModel | Feedback:
    """Return a file that was handed in, or what is wrong with it."""
    if isinstance(answer, OnnxModel):
        answer = answer.path
    if not isinstance(answer, str | Path) or not str(answer):
        raise WrongKind("what export_onnx returns, or the path of its file", answer)
    try:
        return load_onnx(answer)
    except CompanionError as error:
        return wrong(f"The file cannot be used: {error}")
