"""What it takes to use torchvision's detectors without their backbone and their modes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from companion import checks

__all__ = ["NoBackbone", "load_all_but_", "training_mode"]


class NoBackbone(nn.Module):
    """Stands where torchvision's detectors keep their backbone, which is elsewhere here."""

    def __init__(self, out_channels: int):
        super().__init__()
        self.out_channels = out_channels


@contextlib.contextmanager
def training_mode(is_training: bool, *modules: nn.Module) -> Iterator[None]:
    """Let torchvision's modules compute losses, or boxes, whatever mode their layers are in.

    Args:
        is_training: whether losses are wanted.
        *modules: they look at their own mode alone; their layers stay as they are.
    """
    modes = [module.training for module in modules]
    for module in modules:
        module.training = is_training
    try:
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode


def load_all_but_(
    detector: nn.Module, weights: Mapping[str, Tensor], new_layers: tuple[str, ...]
) -> None:
    """Load the weights of a pretrained detector into all but the layers that name classes.

    Modifies: `detector`.

    Raises:
        CompanionError: weights of other names or shapes.
    """
    own = {
        key: tuple(value.shape)
        for key, value in detector.state_dict().items()
        if not key.startswith(new_layers)
    }
    given = {key: tuple(value.shape) for key, value in weights.items()}
    if own != given:
        wrong = sorted(set(own.items()) ^ set(given.items()))[:3]
        checks.fail(
            "weights of a detector's head",
            got=f"other names or shapes: {', '.join(key for key, _ in wrong)}",
            expected=f"the {len(own)} tensors of its architecture without its classes",
            do="use the weight file of this very detector",
        )
    detector.load_state_dict(dict(weights), strict=False)
