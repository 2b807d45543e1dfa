"""What every backbone is: an encoder, its own preprocessing, and ordered layer groups."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from torch import Tensor, nn

from companion import checks, runtime
from companion.batches import Augmentation, BatchSource
from companion.registry import BackboneCard
from companion.splits import Split

__all__ = ["Backbone", "DetectorParts", "LayerGroup", "Prepare"]


@dataclass(frozen=True)
class LayerGroup:
    """Modules that are frozen, trained and given a learning rate together.

    Attributes:
        name: how strategies and ledgers call it, such as `"layer3"`.
        modules: names of submodules of the encoder, such as `("conv1", "bn1")`.
    """

    name: str
    modules: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class DetectorParts:
    """What a detection head must know of the backbone that it stands on.

    The encoder of a detector returns its feature maps as one row of positions, (batch, positions,
    channels): map by map, each from the top left, line by line.

    Attributes:
        kind: `"fcos"` (one stage) or `"faster_rcnn"` (two stages), torchvision's parts.
        image_size: side of the prepared, square images, in pixels.
        map_sides: side of each feature map, in positions.
        anchor_sizes: side of the anchors on each map, in pixels; of `"fcos"` one, its unit.
        aspect_ratios: height over width of the anchors of a map; `"fcos"` has none.
        options: further numbers of torchvision's classes, by their names there.
        weights: of the head of a pretrained detector, without the layers that name its classes;
            `None` for random ones.
    """

    kind: str
    image_size: int
    map_sides: tuple[int, ...]
    anchor_sizes: tuple[tuple[int, ...], ...]
    aspect_ratios: tuple[float, ...] = (1.0,)
    options: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[str, Tensor] | None = None


class Prepare(Protocol):
    """The preprocessing that belongs to a backbone."""

    def __call__(self, split: Split, augment: Augmentation | None) -> BatchSource:
        """Return the split's items in the form that the encoder takes."""


class Backbone(nn.Module):
    """An encoder with all that must travel with it.

    Args:
        card: name, licence, source, feature_dim and what it was pretrained on.
        build_encoder: makes the encoder with fresh random weights. The encoder takes inputs, and
            a mask where the items differ in length, and returns features, (batch, feature_dim)
            or (batch, positions, feature_dim).
        groups: the layer groups, from the input to the output. Each parameter and each buffer of
            the encoder lies in exactly one.
        prepare: from a split to batches that the encoder takes.
        weights: state dict of the encoder; `None` leaves it random.
        seed: seed of the random weights.
        feature_mask: from the mask of the inputs to the mask of the features, for encoders that
            shorten sequences; `None` where both are the same.
        detector: what a detection head must know; `None` for a backbone without such a head.
        eval_batch_size: items a forward pass without gradients.
        pooling: how a classification head makes one vector of several positions: `"mean"` or
            `"cls"`.

    Attributes:
        is_pretrained: whether the weights were given.
        image_size: side in pixels that `load_backbone` was asked to resize images to, or `None`.
        max_length: tokens of the longest text that it was asked for, or `None`.

    Raises:
        CompanionError: groups that miss a parameter or hold one twice, weights that do not fit.
    """

    def __init__(
        self,
        card: BackboneCard,
        build_encoder: Callable[[], nn.Module],
        *,
        groups: Sequence[LayerGroup],
        prepare: Prepare,
        weights: Mapping[str, Tensor] | None = None,
        seed: int = 0,
        feature_mask: Callable[[Tensor], Tensor] | None = None,
        detector: DetectorParts | None = None,
        eval_batch_size: int = 256,
        pooling: str = "mean",
    ):
        super().__init__()
        self.card = card
        self.groups = tuple(groups)
        self._build_encoder = build_encoder
        self._prepare = prepare
        self._feature_mask = feature_mask
        self.detector = detector
        self.eval_batch_size = eval_batch_size
        self.pooling = pooling
        self.is_pretrained = weights is not None
        self.image_size: int | None = None
        self.max_length: int | None = None
        with runtime.fork_seed(seed, "backbone", card.name):
            self.encoder = build_encoder()
        if weights is not None:
            _load_exactly_(self.encoder, weights, name=card.name)
        _check_groups(self.encoder, self.groups, name=card.name)

    @property
    def name(self) -> str:
        """The name in the registry."""
        return self.card.name

    @property
    def feature_dim(self) -> int:
        """How many numbers describe an item (or a position of it)."""
        return self.card.feature_dim

    @property
    def group_names(self) -> tuple[str, ...]:
        """Names of the layer groups, from the input to the output."""
        return tuple(group.name for group in self.groups)

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return features.

        Args:
            inputs: prepared inputs, (batch, ...).
            mask: True where an input is real, (batch, tokens or samples); `None` if all are.

        Returns:
            Features, (batch, feature_dim) or (batch, positions, feature_dim).
        """
        features: Tensor = self.encoder(inputs) if mask is None else self.encoder(inputs, mask)
        return features

    def feature_mask(self, mask: Tensor | None) -> Tensor | None:
        """Return which positions of the features are real, (batch, positions), bool."""
        if mask is None or self._feature_mask is None:
            return mask
        return self._feature_mask(mask)

    def prepare(self, split: Split, *, augment: Augmentation | None = None) -> BatchSource:
        """Return a split in the form that the encoder takes.

        Args:
            split: raw items.
            augment: an optional random change of each batch, for training only.
        """
        return self._prepare(split, augment)

    def with_random_weights(self, seed: int) -> Backbone:
        """Return the same architecture, untrained: the start of training from scratch."""
        fresh = copy.copy(self)
        fresh._modules = dict(self._modules)
        fresh.is_pretrained = False
        if self.detector is not None:
            fresh.detector = replace(self.detector, weights=None)
        with runtime.fork_seed(seed, "backbone", self.card.name):
            fresh.encoder = self._build_encoder()
        return fresh


def _load_exactly_(encoder: nn.Module, weights: Mapping[str, Tensor], *, name: str) -> None:
    """Load weights that must fit name by name and shape by shape.

    Modifies: `encoder`.
    """
    own = {key: tuple(value.shape) for key, value in encoder.state_dict().items()}
    given = {key: tuple(value.shape) for key, value in weights.items()}
    if own != given:
        missing = sorted(own.keys() - given.keys())[:3]
        surplus = sorted(given.keys() - own.keys())[:3]
        wrong = sorted(key for key in own.keys() & given.keys() if own[key] != given[key])[:3]
        checks.fail(
            f"weights of {name}",
            got=f"{len(missing)}+ missing {missing}, surplus {surplus}, wrong shapes {wrong}",
            expected=f"the {len(own)} tensors of its architecture",
            do="use the weight file of this very architecture",
        )
    encoder.load_state_dict(dict(weights))


def _check_groups(encoder: nn.Module, groups: Sequence[LayerGroup], *, name: str) -> None:
    """Check that each parameter and buffer lies in exactly one group."""
    held: Counter[str] = Counter()
    for group in groups:
        for module_name in group.modules:
            module = encoder.get_submodule(module_name)
            held.update(f"{module_name}.{key}" for key, _ in module.named_parameters())
            held.update(f"{module_name}.{key}" for key, _ in module.named_buffers())
    wanted = {key for key, _ in encoder.named_parameters()}
    wanted |= {key for key, _ in encoder.named_buffers()}
    missing = sorted(wanted - held.keys())
    twice = sorted(key for key, count in held.items() if count > 1)
    if missing or twice:
        checks.fail(
            f"layer groups of {name}",
            got=f"in no group: {missing[:3]}; in two groups: {twice[:3]}",
            expected="each parameter and buffer in exactly one group",
            do="correct the groups' module names",
        )
