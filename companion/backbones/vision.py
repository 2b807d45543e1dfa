"""Backbones for images: the bundled glyphnet and torchvision's residual networks."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from companion import assets, checks, runtime
from companion.backbones.base import Backbone, LayerGroup
from companion.batches import Augmentation, BatchSource, LazySource, TensorSource
from companion.registry import BackboneCard
from companion.splits import Selection, Split, check_images

__all__ = ["ImagePrepare", "PreparedImages", "load_glyphnet", "load_resnet"]

RESNET_GROUPS = (
    LayerGroup("stem", ("conv1", "bn1")),
    LayerGroup("layer1", ("layer1",)),
    LayerGroup("layer2", ("layer2",)),
    LayerGroup("layer3", ("layer3",)),
    LayerGroup("layer4", ("layer4",)),
)


CACHE_BYTES = 1 << 30
"""Prepared images of files are kept in memory up to this size, in bytes, over all fits."""


@dataclass(frozen=True)
class ImagePrepare:
    """Prepare images: in memory at once where they are a tensor, else as they are read.

    Attributes:
        name: tells one preprocessing from another, such as `"glyphnet/32"`.
        preprocess: from images (batch, channels, height, width), uint8 or float in [0, 1], to
            what the encoder takes.
    """

    name: str
    preprocess: Callable[[Tensor], Tensor]

    def __call__(self, split: Split, augment: Augmentation | None) -> BatchSource:
        """Return the split's images in the form that the encoder takes."""
        if not isinstance(split.labels, Tensor):
            checks.fail(
                f"task of split {split.name!r}",
                got=repr(split.task),
                expected="'classification', one class an image",
                do="load a backbone that was made for this task",
            )
        labels = split.labels
        if isinstance(split.inputs, Tensor):
            pieces = [self.preprocess(piece) for piece in torch.split(split.inputs, 1024)]
            return TensorSource(torch.cat(pieces), labels, augment)
        return LazySource(PreparedImages(split.inputs, self), labels, augment)


class PreparedImages(Sequence[Tensor]):
    """Images that are read and prepared when they are first asked for, then kept.

    Subsets of one sequence of files share what is kept, so that the runs of a study decode each
    file once. Images beyond `CACHE_BYTES` are read again each time.

    Args:
        images: a sequence whose `[i]` is a float image (channels, height, width).
        prepare: what the encoder wants.
    """

    def __init__(self, images: Sequence[Tensor], prepare: ImagePrepare):
        self.images = images
        self.prepare = prepare
        self._origin: Any = images
        self._positions: Sequence[int] = range(len(images))
        if isinstance(images, Selection):
            self._origin, self._positions = images.items, images.positions
        self._kept = _kept_for(self._origin, prepare.name)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        """Return image `index`, prepared, (channels, height, width)."""
        position = self._positions[index]
        if self._kept is not None and position in self._kept:
            return self._kept[position]
        image = self.prepare.preprocess(_checked(self._origin[position], position)[None])[0]
        if self._kept is not None and sum(_KEPT_BYTES.values()) + image.nbytes <= CACHE_BYTES:
            self._kept[position] = image
            _KEPT_BYTES[id(self._kept)] = _KEPT_BYTES.get(id(self._kept), 0) + image.nbytes
        return image


def _checked(image: Tensor, position: int) -> Tensor:
    """Return an image that was read, if it is one: three dimensions and values of the right range.

    Raises:
        CompanionError: something else.
    """
    what = f"image {position}"
    checks.instance(what, image, Tensor)
    if image.dim() != 3:
        checks.fail(
            what,
            got=f"the shape {tuple(image.shape)}",
            expected="(channels, height, width)",
            do="give each image its channels first, also where there is only one",
        )
    check_images(what, image)
    return image


_KEPT: weakref.WeakKeyDictionary[Any, dict[str, dict[int, Tensor]]] = weakref.WeakKeyDictionary()
_KEPT_BYTES: dict[int, int] = {}


def _kept_for(origin: Any, name: str) -> dict[int, Tensor] | None:
    """Return what is kept of a sequence of images; it is let go together with the sequence.

    Of a list, which is in memory already and cannot be referred to weakly, nothing is kept.
    """
    if isinstance(origin, (list, tuple)):
        return None
    by_name = _KEPT.setdefault(origin, {})
    if name not in by_name:
        by_name[name] = {}
        weakref.finalize(origin, _KEPT_BYTES.pop, id(by_name[name]), None)
    return by_name[name]


def load_glyphnet(
    card: BackboneCard, *, pretrained: bool, seed: int, image_size: int | None
) -> Backbone:
    """Load the bundled network that was pretrained on rendered letters.

    Args:
        card: its card.
        pretrained: whether to load the bundled weights.
        seed: seed of the random weights where they are not.
        image_size: must be `None` or 32: the network has one size.
    """
    from companion.backbones import glyphnet

    if image_size not in (None, glyphnet.IMAGE_SIZE):
        checks.fail(
            "image_size",
            got=image_size,
            expected=f"{glyphnet.IMAGE_SIZE}, the one size of glyphnet",
            do="leave it out",
        )
    weights = None
    if pretrained:
        path = Path(assets.__file__).parent / "assets" / "glyphnet" / "model.safetensors"
        weights = _without_head(assets.load_weights(path, sha256=card.sha256))
    return Backbone(
        card,
        lambda: _headless(glyphnet.build_glyphnet()),
        groups=RESNET_GROUPS,
        prepare=ImagePrepare(f"{card.name}/{glyphnet.IMAGE_SIZE}", glyphnet.preprocess),
        weights=weights,
        seed=seed,
    )


def load_resnet(
    card: BackboneCard, *, pretrained: bool, seed: int, image_size: int | None
) -> Backbone:
    """Load a residual network of torchvision, with its public ImageNet weights.

    Args:
        card: its card; the name is torchvision's.
        pretrained: whether to load the public weights (torch hub's folder, else a download).
        seed: seed of the random weights where they are not.
        image_size: side in pixels that images are resized to; `None` takes the weights' own
            preprocessing (224 after a resize and a centre crop).

    Reference: he2016deep
    """
    from torchvision import models
    from torchvision.transforms._presets import ImageClassification

    recipe = models.get_model_weights(card.name).DEFAULT
    weights = None
    if pretrained and runtime.scale() != "rehearsal":
        state = recipe.get_state_dict(progress=runtime.show_progress(None), weights_only=True)
        weights = _without_head(state)
    preset = recipe.transforms()
    if image_size is not None:
        preset = ImageClassification(crop_size=image_size, resize_size=image_size)
    return Backbone(
        card,
        lambda: _headless(models.get_model(card.name, weights=None)),
        groups=RESNET_GROUPS,
        prepare=ImagePrepare(f"{card.name}/{image_size}", _ThreeChannels(preset)),
        weights=weights,
        seed=seed,
    )


@dataclass(frozen=True)
class _ThreeChannels:
    """Repeat a grey channel three times, then apply torchvision's preprocessing."""

    preset: Callable[[Tensor], Tensor]

    def __call__(self, images: Tensor) -> Tensor:
        """Return normalised images, (batch, 3, height, width)."""
        channels = images.shape[1]
        return self.preset(images.expand(-1, 3, -1, -1) if channels == 1 else images)


def _headless(network: nn.Module) -> nn.Module:
    """Replace the classifier of a residual network by the identity.

    Modifies: `network`.
    """
    network.fc = nn.Identity()
    return network


def _without_head(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict without the classifier of the source task."""
    return {key: value for key, value in state.items() if not key.startswith("fc.")}


_TORCHVISION = "torchvision, weights IMAGENET1K_V1 or later, trained on ImageNet-1k"
CARDS: tuple[tuple[BackboneCard, Callable[..., Backbone]], ...] = (
    (
        BackboneCard(
            name="glyphnet",
            title="glyphnet",
            modality="vision",
            feature_dim=128,
            licence="MIT",
            source="recipes/glyphnet.py of this project; bundled",
            size_bytes=1_281_996,
            sha256="ee21c3a0da6718b6dfc434f4ef34e7f5f94a04e12f6405e4e1647cadddf5da53",
            pretrained_on=("glyphs",),
            paper="he2016deep",
            notes="small; knows strokes, not textures or colours",
        ),
        load_glyphnet,
    ),
    (
        BackboneCard(
            name="resnet18",
            title="ResNet-18",
            modality="vision",
            feature_dim=512,
            licence="BSD-3-Clause (code and weights of torchvision)",
            source=_TORCHVISION,
            size_bytes=round(44.661 * 2**20),  # as torchvision states it
            sha256="f37072fd",
            pretrained_on=("imagenet1k",),
            paper="he2016deep",
        ),
        load_resnet,
    ),
    (
        BackboneCard(
            name="resnet50",
            title="ResNet-50",
            modality="vision",
            feature_dim=2048,
            licence="BSD-3-Clause (code and weights of torchvision)",
            source=_TORCHVISION,
            size_bytes=round(97.79 * 2**20),  # as torchvision states it
            sha256="11ad3fa6",
            pretrained_on=("imagenet1k",),
            paper="he2016deep",
        ),
        load_resnet,
    ),
)
