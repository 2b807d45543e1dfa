"""A detector's weights, parted into those of the encoder and those of the head.

They are one state dict in torchvision's format: `backbone.*` is the encoder, the rest the head. Of
the head all but the layers that name classes is carried over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

__all__ = ["part_weights"]

CLASS_LAYERS = (
    "head.classification_head.cls_logits",
    "roi_heads.box_predictor.cls_score",
    "roi_heads.box_predictor.bbox_pred",
)
"""Layers of torchvision's detectors whose outputs are classes."""

OLD_NAMES = re.compile(r"(fpn\.(?:inner|layer)_blocks\.\d|rpn\.head\.conv)\.(weight|bias)")
"""Convolutions that lie one or two levels deeper in torchvision than when COCO_V1 was written."""


def part_weights(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the encoder's weights and those of the head that name no class.

    Args:
        state: a detector's state dict in torchvision's format, that of older versions too.
    """
    state = {
        _name_of_today(name): value
        for name, value in state.items()
        if not name.endswith("num_batches_tracked")
    }
    encoder = {k.removeprefix("backbone."): v for k, v in state.items() if k.startswith("backbone")}
    head = {
        name: value
        for name, value in state.items()
        if not name.startswith(("backbone.", *CLASS_LAYERS))
    }
    return encoder, head


def _name_of_today(name: str) -> str:
    """Return what torchvision calls a tensor that has this name in a file of any version."""
    found = OLD_NAMES.search(name)
    if found is None or found.end() != len(name):
        return name
    depth = ".0.0" if found[1] == "rpn.head.conv" else ".0"
    return f"{name[: found.start()]}{found[1]}{depth}.{found[2]}"
