"""From a name to a backbone: an encoder, its own preprocessing, its ordered layer groups."""

from __future__ import annotations

from collections.abc import Callable
from urllib.error import URLError

from companion import checks
from companion.backbones.base import Backbone, DetectorParts, LayerGroup
from companion.registry import BACKBONES, BackboneCard

__all__ = [
    "LOADERS",
    "Backbone",
    "DetectorParts",
    "LayerGroup",
    "load_backbone",
    "register_backbone",
]

LOADERS: dict[str, Callable[..., Backbone]] = {}


def register_backbone(card: BackboneCard, loader: Callable[..., Backbone]) -> None:
    """Make a backbone known by its card's name.

    Args:
        card: what is known of it.
        loader: called as `loader(card, pretrained=, seed=, image_size=)`.

    Raises:
        CompanionError: the name is taken.
    """
    BACKBONES.add(card)
    LOADERS[card.name] = loader


def load_backbone(
    name: str, *, pretrained: bool = True, seed: int = 0, image_size: int | None = None
) -> Backbone:
    """Load a backbone by name.

    Args:
        name: a registered name, such as `"glyphnet"` or `"resnet18"`.
        pretrained: whether to load the pretrained weights; at the scale `rehearsal` public
            architectures stay random.
        seed: seed of the random weights where they are not loaded.
        image_size: side in pixels that images are resized to, for backbones that take several.

    Returns:
        The backbone, in evaluation mode.

    Raises:
        CompanionError: an unknown name (near matches are listed), a file that is missing or has
            another checksum, or weights that do not fit.
    """
    card = BACKBONES.get(name)
    if image_size is not None:
        checks.positive_int("image_size", image_size)
    loader = LOADERS[name]
    try:
        backbone = loader(card, pretrained=pretrained, seed=seed, image_size=image_size)
    except URLError as error:
        checks.fail(
            f"weights of {name!r}",
            got=f"no download ({error.reason})",
            expected=f"{card.size_bytes / 1e6:.0f} MB from {card.source}",
            do="go online once, put the file into torch hub's folder `hub/checkpoints`, or pass "
            "pretrained=False",
        )
    backbone.image_size = image_size
    return backbone.eval()


def _register_all() -> None:
    """Register the backbones of this package."""
    from companion.backbones import detection, vision

    for card, loader in (*vision.CARDS, *detection.CARDS):
        register_backbone(card, loader)


_register_all()
