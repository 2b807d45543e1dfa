"""Two more public families for images: VGG, a plain stack, and ViT, patches and attention.

`companion.backbones.vision` has the residual networks. Here are torchvision's `vgg16` and
`vit_b_16` with their public ImageNet weights and their own preprocessing. Each has five layer
groups, as the residual networks have, so that plans and figures can stand side by side.

Reference: simonyan2015very; dosovitskiy2021image
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from companion import checks, runtime
from companion.backbones.base import Backbone, LayerGroup
from companion.backbones.vision import ImagePrepare, _ThreeChannels
from companion.registry import BackboneCard

__all__ = [
    "VGG16_GROUPS",
    "VGG16_WIDTHS",
    "VIT_B_16_GROUPS",
    "PatchTransformer",
    "PlainNetwork",
    "load_vgg",
    "load_vit",
]

VGG16_WIDTHS: tuple[int | str, ...] = (
    *(64, 64, "M", 128, 128, "M", 256, 256, 256, "M"),
    *(512, 512, 512, "M", 512, 512, 512, "M"),
)
"""Channels of the convolutions, in order; `"M"` is a pooling."""

VGG16_BLOCKS = ((0, 5), (5, 10), (10, 17), (17, 24), (24, 31))
"""First and last-but-one position in `features` of each block: convolutions, then a pooling."""

VGG16_GROUPS = tuple(
    LayerGroup(f"block{number}", tuple(f"features.{i}" for i in range(*positions)))
    for number, positions in enumerate(VGG16_BLOCKS, start=1)
)

VIT_B_16_GROUPS = (
    LayerGroup("embedding", ("embedding",)),
    *(
        LayerGroup(f"blocks{n}", tuple(f"blocks.{i}" for i in range(3 * n - 3, 3 * n)))
        for n in (1, 2, 3)
    ),
    LayerGroup("blocks4", ("blocks.9", "blocks.10", "blocks.11", "norm")),
)

PATCH_SIZE, VIT_IMAGE_SIZE, VGG_SMALLEST = 16, 224, 32
"""In pixels."""


class PatchEmbedding(nn.Module):
    """An image becomes a row of tokens: one a patch, and a class token before them.

    Args:
        network: torchvision's `VisionTransformer`; its first layers are taken over.

    Reference: dosovitskiy2021image, eq. 1
    """

    def __init__(self, network: Any):
        super().__init__()
        self.conv_proj = network.conv_proj
        self.class_token = network.class_token
        self.pos_embedding = network.encoder.pos_embedding
        self.dropout = network.encoder.dropout
        self.image_size = int(network.image_size)

    def forward(self, images: Tensor) -> Tensor:
        """Return tokens, (batch, 1 + patches, width), of images (batch, 3, height, width)."""
        if images.shape[-2:] != (self.image_size, self.image_size):
            checks.fail(
                "images",
                got=f"{images.shape[-2]} x {images.shape[-1]} pixels",
                expected=f"{self.image_size} x {self.image_size}, one embedding a position",
                do="prepare them with backbone.prepare, or load the backbone with image_size=",
            )
        patches = self.conv_proj(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(images), -1, -1), patches], dim=1)
        return cast("Tensor", self.dropout(tokens + self.pos_embedding))


class SelfAttention(nn.Module):
    """The attention of torchvision's blocks with linear layers that LoRA can adapt.

    Args:
        attention: the module that it stands for; its weights are taken over.

    Reference: vaswani2017attention, section 3.2
    """

    def __init__(self, attention: nn.MultiheadAttention):
        super().__init__()
        width = attention.embed_dim
        self.num_heads = attention.num_heads
        self.dropout = attention.dropout
        self.in_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)
        with torch.no_grad():
            self.in_proj.weight.copy_(attention.in_proj_weight)
            self.in_proj.bias.copy_(attention.in_proj_bias)
            self.out_proj.weight.copy_(attention.out_proj.weight)
            self.out_proj.bias.copy_(attention.out_proj.bias)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, need_weights: bool = False
    ) -> tuple[Tensor, None]:
        """Return what the tokens take from one another, (batch, tokens, width), and no weights.

        Args:
            query: tokens, (batch, tokens, width).
            key: the same tokens; not looked at.
            value: the same tokens; not looked at.
            need_weights: must be False.
        """
        batch, tokens, width = query.shape
        pieces = self.in_proj(query).view(batch, tokens, 3, self.num_heads, -1)
        queries, keys, values = pieces.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = nn.functional.scaled_dot_product_attention(
            queries, keys, values, dropout_p=self.dropout if self.training else 0.0
        )
        return self.out_proj(mixed.transpose(1, 2).reshape(batch, tokens, width)), None


class PatchTransformer(nn.Module):
    """torchvision's `VisionTransformer` without its classifier, in parts that have names.

    The class token and the position embeddings, bare parameters there, lie in `embedding` here, so
    that they can be frozen with it; the blocks are `blocks.0`, `blocks.1`, ...

    Args:
        network: torchvision's network; its parts are taken over.

    Reference: dosovitskiy2021image, eq. 1 to 4
    """

    def __init__(self, network: Any):
        super().__init__()
        self.embedding = PatchEmbedding(network)
        blocks: list[Any] = list(network.encoder.layers.children())
        for block in blocks:
            block.self_attention = SelfAttention(block.self_attention)
        self.blocks = nn.Sequential(*blocks)
        self.norm = network.encoder.ln

    def forward(self, images: Tensor) -> Tensor:
        """Return the class token behind the last block, (batch, width), normalised."""
        return cast("Tensor", self.norm(self.blocks(self.embedding(images)))[:, 0])


def public_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a public ViT's weights under the names of `PatchTransformer`, without its classifier.

    Args:
        state: state dict of torchvision's `VisionTransformer`.
    """
    renamed = {}
    for name, tensor in state.items():
        for old, new in _NEW_NAMES:
            if name.startswith(old):
                own = new + name[len(old) :].replace(".in_proj_", ".in_proj.")
                renamed[own] = tensor
    return renamed


_NEW_NAMES = (
    ("conv_proj.", "embedding.conv_proj."),
    ("class_token", "embedding.class_token"),
    ("encoder.pos_embedding", "embedding.pos_embedding"),
    ("encoder.layers.encoder_layer_", "blocks."),
    ("encoder.ln.", "norm."),
)


class PlainNetwork(nn.Module):
    """A stack of 3 x 3 convolutions and poolings that ends in the mean over positions.

    torchvision's `VGG` without its linear layers, drawn at random as there.

    Args:
        widths: channels of each convolution, and `"M"` for a pooling that halves the side.
        batch_norm: whether each convolution is followed by batch normalisation.

    Reference: simonyan2015very, table 1; he2015delving, section 2.2
    """

    def __init__(self, widths: Sequence[int | str], *, batch_norm: bool = False):
        super().__init__()
        from torchvision.models import vgg

        self.features = vgg.make_layers(list(widths), batch_norm=batch_norm)
        for module in self.features:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(cast("Tensor", module.bias))

    def forward(self, images: Tensor) -> Tensor:
        """Return features, (batch, last width), of images (batch, 3, height, width)."""
        return cast("Tensor", self.features(images).mean(dim=(2, 3)))


def load_vgg(
    card: BackboneCard, *, pretrained: bool, seed: int, image_size: int | None
) -> Backbone:
    """Load a VGG of torchvision with its public ImageNet weights, without its linear layers.

    They hold most of its parameters and are tied to a grid of 7 x 7 positions. Without them the
    features are the mean over positions of the last block.

    Args:
        card: its card; the name is torchvision's.
        pretrained: whether to load the public weights (torch hub's folder, else a download).
        seed: seed of the random weights where they are not.
        image_size: side in pixels that images are resized to, at least 32; `None` takes the
            weights' own preprocessing (224 after a resize and a centre crop).

    Raises:
        CompanionError: images too small to be halved five times.

    Reference: simonyan2015very, table 1, column D
    """
    from torchvision import models

    if image_size is not None and image_size < VGG_SMALLEST:
        checks.fail(
            "image_size",
            got=image_size,
            expected=f"at least {VGG_SMALLEST}: {card.name} halves its input five times",
            do="choose a larger one",
        )
    recipe = models.get_model_weights(card.name).DEFAULT
    state = _public_state(recipe, pretrained=pretrained)
    if state is not None:
        state = {name: value for name, value in state.items() if name.startswith("features.")}
    return Backbone(
        card,
        lambda: PlainNetwork(VGG16_WIDTHS),
        groups=VGG16_GROUPS,
        prepare=_prepare(card, recipe, image_size),
        weights=state,
        seed=seed,
    )


def load_vit(
    card: BackboneCard, *, pretrained: bool, seed: int, image_size: int | None
) -> Backbone:
    """Load a vision transformer of torchvision with its public ImageNet weights.

    Args:
        card: its card; the name is torchvision's.
        pretrained: whether to load the public weights (torch hub's folder, else a download).
        seed: seed of the random weights where they are not.
        image_size: side in pixels that images are resized to, a multiple of 16; the position
            embeddings are interpolated to the new grid. `None` takes the weights' own
            preprocessing (224 after a resize and a centre crop).

    Raises:
        CompanionError: an `image_size` that patches of 16 pixels do not fill.

    Reference: dosovitskiy2021image, section 3.2 for the interpolation
    """
    from torchvision import models
    from torchvision.models.vision_transformer import interpolate_embeddings

    side = VIT_IMAGE_SIZE if image_size is None else image_size
    if side % PATCH_SIZE:
        checks.fail(
            "image_size",
            got=side,
            expected=f"a multiple of {PATCH_SIZE}, the side of a patch of {card.name}",
            do=f"choose {max(1, round(side / PATCH_SIZE)) * PATCH_SIZE}",
        )
    recipe = models.get_model_weights(card.name).DEFAULT
    state = _public_state(recipe, pretrained=pretrained)
    if state is not None:
        state = public_names(interpolate_embeddings(side, PATCH_SIZE, state))
    return Backbone(
        card,
        lambda: PatchTransformer(models.get_model(card.name, weights=None, image_size=side)),
        groups=VIT_B_16_GROUPS,
        prepare=_prepare(card, recipe, image_size),
        weights=state,
        seed=seed,
    )


def _public_state(recipe: Any, *, pretrained: bool) -> dict[str, Tensor] | None:
    """Return the public weights, or `None` where they stay random."""
    if not pretrained or runtime.scale() == "rehearsal":
        return None
    progress = runtime.show_progress(None)
    return cast("dict[str, Tensor]", recipe.get_state_dict(progress=progress, weights_only=True))


def _prepare(card: BackboneCard, recipe: Any, image_size: int | None) -> ImagePrepare:
    """Return the preprocessing of the weights, for the size that was asked for."""
    from torchvision.transforms._presets import ImageClassification

    preset = recipe.transforms()
    if image_size is not None:
        preset = ImageClassification(crop_size=image_size, resize_size=image_size)
    return ImagePrepare(f"{card.name}/{image_size}", _ThreeChannels(preset))


_LICENCE = "BSD-3-Clause (code and weights of torchvision)"
_SOURCE = "torchvision, weights IMAGENET1K_V1, trained on ImageNet-1k"
CARDS: tuple[tuple[BackboneCard, Callable[..., Backbone]], ...] = (
    (
        BackboneCard(
            name="vgg16",
            title="VGG-16",
            modality="vision",
            feature_dim=512,
            licence=_LICENCE,
            source=_SOURCE,
            size_bytes=round(527.796 * 2**20),  # as torchvision states it
            sha256="397923af",
            pretrained_on=("imagenet1k",),
            paper="simonyan2015very",
            notes="its two wide linear layers are left out; the features are a mean over positions",
        ),
        load_vgg,
    ),
    (
        BackboneCard(
            name="vit_b_16",
            title="ViT-B/16",
            modality="vision",
            feature_dim=768,
            licence=_LICENCE,
            source=_SOURCE,
            size_bytes=round(330.285 * 2**20),  # as torchvision states it
            sha256="c867db91",
            pretrained_on=("imagenet1k",),
            paper="dosovitskiy2021image",
            notes="patches of 16 x 16 pixels; image_size must be a multiple of 16",
        ),
        load_vit,
    ),
)
