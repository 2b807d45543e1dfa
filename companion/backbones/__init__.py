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
        loader: called as `loader(card, pretrained=, seed=, image_size=)`; of the modality
            language as `loader(card, pretrained=, seed=, max_length=, pooling=)`.

    Raises:
        CompanionError: the name is taken.
    """
    BACKBONES.add(card)
    LOADERS[card.name] = loader


def load_backbone(
    name: str,
    *,
    pretrained: bool = True,
    seed: int = 0,
    image_size: int | None = None,
    max_length: int | None = None,
    pooling: str | None = None,
) -> Backbone:
    """Load a backbone by name.

    Args:
        name: a registered name, such as `"glyphnet"` or `"resnet18"`.
        pretrained: whether to load the pretrained weights; at the scale `rehearsal` public
            architectures stay random.
        seed: seed of the random weights where they are not loaded.
        image_size: side in pixels that images are resized to, for backbones that take several.
        max_length: tokens of the longest text, for backbones of texts; longer ones are cut.
        pooling: for backbones of texts, how a classification head makes one vector of a text:
            `"mean"` of its tokens or `"cls"`, the first one; `None` takes the backbone's own.

    Returns:
        The backbone, in evaluation mode.

    Raises:
        CompanionError: an unknown name (near matches are listed), an option that is not for this
            modality, a file that is missing or has another checksum, or weights that do not fit.
    """
    card = BACKBONES.get(name)
    options = _options(card, image_size=image_size, max_length=max_length, pooling=pooling)
    loader = LOADERS[name]
    try:
        backbone = loader(card, pretrained=pretrained, seed=seed, **options)
    except URLError as error:
        checks.fail(
            f"weights of {name!r}",
            got=f"no download ({error.reason})",
            expected=f"{card.size_bytes / 1e6:.0f} MB from {card.source}",
            do="go online once, put the file into torch hub's folder `hub/checkpoints`, or pass "
            "pretrained=False",
        )
    backbone.image_size = image_size
    backbone.max_length = max_length
    return backbone.eval()


def _options(card: BackboneCard, **given: int | str | None) -> dict[str, int | str | None]:
    """Return the options of a backbone's modality.

    Raises:
        CompanionError: one of another modality, or a value that is none.
    """
    own = ("max_length", "pooling") if card.modality == "language" else ("image_size",)
    for name, value in given.items():
        if value is not None and name not in own:
            checks.fail(
                name,
                got=f"{value!r} for {card.name!r}, a backbone of {card.modality}",
                expected=f"None: its options are {' and '.join(own)}",
                do="leave it out",
            )
        if value is not None and name != "pooling":
            checks.positive_int(name, value)
    if given["pooling"] is not None:
        checks.one_of("pooling", str(given["pooling"]), ("mean", "cls"))
    return {name: given[name] for name in own}


def _register_all() -> None:
    """Register the backbones of this package."""
    from companion.backbones import detection, faces, language, vision, vision_public

    for card, loader in (
        *vision.CARDS,
        *vision_public.CARDS,
        *detection.CARDS,
        *language.CARDS,
    ):
        register_backbone(card, loader)
    register_backbone(faces.CARD, faces.load)


_register_all()
