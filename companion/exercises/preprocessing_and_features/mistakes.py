"""Wrong answers as learners give them, made by doing the wrong thing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from companion.exercises.preprocessing_and_features.checks import NEW, OLD

__all__ = ["box", "chain", "triangle", "verdict"]


def box(*, scaled: bool = True) -> Tensor:
    """Return the matrix that averages three pixels, (32, 96), or adds them up."""
    ones = torch.eye(NEW).repeat_interleave(OLD // NEW, dim=1)
    return ones * NEW / OLD if scaled else ones


def triangle(*, antialias: bool = True) -> Tensor:
    """Return the weights of bilinear interpolation, (32, 96)."""
    ratio = OLD / NEW
    centres = (torch.arange(NEW) + 0.5) * ratio - 0.5
    width = ratio if antialias else 1.0
    weights = (1 - (torch.arange(OLD) - centres[:, None]).abs() / width).clamp(min=0)
    return weights / weights.sum(dim=1, keepdim=True)


def chain(
    *,
    mild: bool = True,
    mild_in_validation: bool = False,
    mirrored: bool = False,
    antialias: bool = True,
    statistics: tuple[float, float] | None = (0.27, 0.30),
    only_in_validation: bool = False,
) -> Callable[[bool], Any]:
    """Return a function that makes a chain, with one of the usual mistakes.

    Args:
        mild: whether training images are turned and shifted.
        mild_in_validation: whether validation images are, too.
        mirrored: whether half of the training images are mirrored.
        antialias: whether the resize antialiases.
        statistics: mean and standard deviation; `None` normalises nothing.
        only_in_validation: whether training images go without normalisation by 255.
    """
    from torchvision.transforms import v2

    def make(train: bool) -> Any:
        steps: list[Any] = []
        if (mild and train) or (mild_in_validation and not train):
            steps.append(v2.RandomAffine(10, translate=(0.08, 0.08)))
        if mirrored and train:
            steps.append(v2.RandomHorizontalFlip(0.5))
        steps.append(v2.Resize([NEW, NEW], antialias=antialias))
        if only_in_validation and train:
            steps.append(v2.Lambda(lambda images: 255 * images))
        if statistics is not None:
            steps.append(v2.Normalize([statistics[0]], [statistics[1]]))
        return v2.Compose(steps)

    return make


def verdict(word: str, *, gain: float = -0.1, factor: float = 1, num: int = 5) -> dict[str, Any]:
    """Return accuracies after two sources, and a verdict.

    Args:
        word: the verdict.
        gain: mean gain of the coarse source.
        factor: what all accuracies are multiplied by.
        num: how many sources.
    """
    fine = [0.81, 0.85, 0.79, 0.83, 0.82][:num]
    noise = [0.02, -0.02, 0.01, -0.01, 0.0][:num]
    coarse = [value + gain + extra for value, extra in zip(fine, noise, strict=True)]
    lists = {"fine": fine, "coarse": coarse}
    return {name: [factor * v for v in values] for name, values in lists.items()} | {
        "verdict": word
    }
