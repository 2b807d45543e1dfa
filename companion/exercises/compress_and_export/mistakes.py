"""Wrong answers as learners give them, made by doing the wrong thing."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from companion.backbones import load_backbone
from companion.backbones.glyphnet import preprocess
from companion.datasets import load_dataset
from companion.exporting import OnnxModel, export_onnx
from companion.heads import Model
from companion.training import Recipe, fit

__all__ = ["camera_file", "quantiser", "reader"]


def quantiser(
    *, per_channel: bool = True, signed: bool = True, rounds: bool = True, guarded: bool = True
) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Return a function from kernels to whole numbers and scales, with one of the mistakes."""

    def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
        sizes = weight.abs() if signed else weight
        axes = (1, 2, 3) if per_channel else (0, 1, 2, 3)
        scale = sizes.amax(dim=axes, keepdim=True) / 127
        if guarded:
            scale = scale.clamp(min=1e-12)
        steps = weight / scale
        return (steps.round() if rounds else steps.trunc()).clamp(-127, 127), scale

    return quantise


@functools.cache
def reader() -> Model:
    """Return a probe that reads digits."""
    splits = load_dataset("digits", labels_per_class=10, seed=77)
    recipe = Recipe(epochs=1, min_steps=60)
    backbone = load_backbone("glyphnet")
    model: Model = fit(backbone, splits, strategy="probe", recipe=recipe, device="cpu").model
    return model


_AHEAD: dict[str, Callable[[Tensor], Tensor]] = {
    "right": lambda pictures: preprocess(1 - pictures / 255),
    "dark": lambda pictures: preprocess(pictures / 255),
    "scale": lambda pictures: preprocess(1 - pictures),
    "neither": preprocess,
}


@functools.cache
def camera_file(kind: str) -> OnnxModel:
    """Return a file for the camera, with one of the mistakes; `"outside"` takes prepared inputs."""
    path = Path(tempfile.mkdtemp()) / f"{kind}.onnx"
    if kind == "outside":
        return export_onnx(reader(), path, torch.rand(4, 1, 32, 32))
    return export_onnx(reader(), path, torch.rand(4, 1, 8, 8), preprocess=_AHEAD[kind])
