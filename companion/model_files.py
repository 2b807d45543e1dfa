"""Saves a trained model as one safetensors file, and loads it again."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from companion import assets, checks, runtime
from companion.adapters import merge_
from companion.backbones import Backbone, load_backbone
from companion.heads import Model, head_for
from companion.registry import BACKBONES

__all__ = ["load_model", "save_model"]

FORMAT = "companion model 1"


def save_model(model: Model, path: str | Path, *, notes: Mapping[str, str] | None = None) -> Path:
    """Write a model's weights, with what is needed to build it again.

    LoRA's corrections are added to the weights first, so that the file fits the plain backbone.

    Args:
        model: the model; it stays as it is.
        path: where to; the ending is `.safetensors`.
        notes: anything else to keep with the weights, such as the strategy.

    Returns:
        The path.

    Raises:
        CompanionError: no permission, or no room; the file that was there is untouched.
    """
    from safetensors.torch import save

    merged = copy.deepcopy(model)
    merge_(merged)
    weights = {
        name.replace(".base_layer.", "."): tensor.detach().cpu().contiguous()
        for name, tensor in merged.state_dict().items()
        if ".lora_" not in name
    }
    facts = {
        "format": FORMAT,
        "backbone": model.backbone.name,
        "task": model.head.task,
        "classes": json.dumps(model.classes),
        "image_size": str(getattr(model.backbone, "image_size", None) or ""),
        "max_length": str(getattr(model.backbone, "max_length", None) or ""),
        "pooling": getattr(model.head, "pooling", model.backbone.pooling),
    }
    return runtime.atomic_write(path, save(weights, metadata=dict(notes or {}) | facts))


def load_model(path: str | Path, *, backbone: Backbone | None = None) -> Model:
    """Load a model that `save_model` wrote.

    Args:
        path: the file.
        backbone: the architecture, where it is not registered; its weights are replaced. `None`
            loads it by the name in the file, for the image size that it was saved with.

    Returns:
        The model, in evaluation mode on the CPU.

    Raises:
        CompanionError: no such file, not a model of this format, or another backbone.
    """
    path = checks.existing_file("model", path)
    facts = _facts(path)
    if backbone is None:
        backbone = _load_plain(path, facts)
    if backbone.name != facts["backbone"]:
        checks.fail(
            "backbone",
            got=repr(backbone.name),
            expected=repr(facts["backbone"]),
            do="load that one",
        )
    classes = tuple(json.loads(facts["classes"]))
    own = copy.deepcopy(backbone)
    own.pooling = facts.get("pooling", own.pooling)
    head = head_for(facts["task"], own, len(classes))
    model = Model(own, head, classes)
    try:
        model.load_state_dict(assets.load_weights(path))
    except RuntimeError as error:
        _refuse(path, f"weights that do not fit: {str(error).splitlines()[-1].strip()}")
    return model.eval()


def _load_plain(path: Path, facts: Mapping[str, str]) -> Backbone:
    """Return the architecture of a saved model, with the options that it was loaded with."""
    name = facts["backbone"]
    is_text = name in BACKBONES and BACKBONES.get(name).modality == "language"
    return load_backbone(
        name,
        pretrained=False,
        image_size=_size(path, facts, "image_size"),
        max_length=_size(path, facts, "max_length"),
        pooling=facts.get("pooling") if is_text else None,
    )


def _size(path: Path, facts: Mapping[str, str], name: str) -> int | None:
    """Return a size that a file names, in pixels or tokens; `None` for the backbone's own."""
    written = facts.get(name, "")
    if written and not written.isdecimal():
        _refuse(path, f"the {name.replace('_', ' ')} {written!r}")
    return int(written) if written else None


def _facts(path: Path) -> dict[str, str]:
    """Return what a file says of the model that it holds."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            facts: dict[str, str] = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        _refuse(path, str(error))
    if facts.get("format") != FORMAT:
        _refuse(path, f"the format {facts.get('format')!r}")
    return facts


def _refuse(path: Path, got: str) -> NoReturn:
    """Raise the error for a file that is no saved model."""
    checks.fail(
        f"model {path}",
        got=got,
        expected=f"a file that `save_model` wrote ({FORMAT})",
        do="save the model again",
    )
