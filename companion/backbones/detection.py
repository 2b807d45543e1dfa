"""Backbones of detectors: the bundled spotnet and torchvision's detectors with COCO weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from companion import assets, checks, runtime
from companion.backbones import spotnet
from companion.backbones.base import Backbone, DetectorParts, LayerGroup
from companion.backbones.detector_weights import part_weights
from companion.backbones.vision import ImagePrepare, PreparedImages
from companion.batches import Augmentation, BatchSource, DetectionSource
from companion.registry import BackboneCard
from companion.splits import Split

__all__ = ["CARDS", "DetectionPrepare", "load_public_detector", "load_spotnet"]

SPOTNET_GROUPS = (
    LayerGroup("stem", ("stem",)),
    LayerGroup("layer1", ("layer1",)),
    LayerGroup("layer2", ("layer2",)),
    LayerGroup("layer3", ("layer3",)),
    LayerGroup("up", ("lateral2", "lateral3", "smooth")),
)
PUBLIC_GROUPS = (
    LayerGroup("stem", ("net.body.conv1", "net.body.bn1")),
    LayerGroup("layer1", ("net.body.layer1",)),
    LayerGroup("layer2", ("net.body.layer2",)),
    LayerGroup("layer3", ("net.body.layer3",)),
    LayerGroup("layer4", ("net.body.layer4",)),
    LayerGroup("fpn", ("net.fpn",)),
)
EVAL_BATCH_SIZE = 16

SPOTNET_PARTS = DetectorParts(
    kind="fcos",
    image_size=spotnet.IMAGE_SIZE,
    map_sides=(spotnet.MAP_SIDE,),
    anchor_sizes=((8,),),
    options={"num_convs": 1},
)
SPOTNET_RCNN_PARTS = replace(
    SPOTNET_PARTS,
    kind="faster_rcnn",
    anchor_sizes=((8, 16, 28, 48),),
    aspect_ratios=(0.7, 1.4),
    options={
        "roi_side": 5,
        "hidden": 128,
        "rpn_pre_nms_top_n_train": 200,
        "rpn_pre_nms_top_n_test": 200,
        "rpn_post_nms_top_n_train": 64,
        "rpn_post_nms_top_n_test": 64,
        "rpn_batch_size_per_image": 64,
        "box_batch_size_per_image": 48,
    },
)


@dataclass(frozen=True)
class DetectionPrepare(ImagePrepare):
    """Prepare images with boxes: boxes are fractions and stay, whatever the images' size.

    The attributes are those of `ImagePrepare`; `preprocess` returns images of one size.
    """

    def __call__(self, split: Split, augment: Augmentation | None) -> BatchSource:
        """Return the split's images in the form that the encoder takes."""
        if split.task != "detection":
            return super().__call__(split, augment)
        images: Tensor | PreparedImages
        if isinstance(split.inputs, Tensor):
            pieces = [self.preprocess(piece) for piece in torch.split(split.inputs, 256)]
            images = torch.cat(pieces)
        else:
            images = PreparedImages(split.inputs, self)
        return DetectionSource(images, list(split.labels), augment)


def load_spotnet(
    card: BackboneCard, *, pretrained: bool, seed: int, image_size: int | None
) -> Backbone:
    """Load the bundled network that was pretrained to find things in drawn scenes.

    Args:
        card: its card; `spotnet` has the head of a one-stage, `spotnet_rcnn` of a two-stage
            detector.
        pretrained: whether to load the bundled weights.
        seed: seed of the random weights where they are not.
        image_size: must be `None` or 128: the network has one size.
    """
    if image_size not in (None, spotnet.IMAGE_SIZE):
        checks.fail(
            "image_size",
            got=image_size,
            expected=f"{spotnet.IMAGE_SIZE}, the one size of {card.name}",
            do="leave it out",
        )
    parts = SPOTNET_RCNN_PARTS if card.name.endswith("rcnn") else SPOTNET_PARTS
    weights = None
    if pretrained:
        path = Path(assets.__file__).parent / "assets" / card.name / "model.safetensors"
        state = assets.load_weights(path, sha256=card.sha256)
        weights, head = part_weights({name: value.float() for name, value in state.items()})
        parts = replace(parts, weights=head)
    return Backbone(
        card,
        spotnet.SpotNet,
        groups=SPOTNET_GROUPS,
        prepare=DetectionPrepare(f"spotnet/{spotnet.IMAGE_SIZE}", spotnet.preprocess),
        weights=weights,
        seed=seed,
        detector=parts,
        eval_batch_size=4 * EVAL_BATCH_SIZE,
    )


class _Flattened(nn.Module):
    """A backbone with several feature maps, whose maps become one row of positions."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        """Return features (batch, positions, channels), map by map."""
        maps = self.net(images).values()
        return torch.cat([one.flatten(2) for one in maps], dim=2).transpose(1, 2)


@dataclass(frozen=True)
class _Public:
    """How torchvision builds one of its detectors.

    Attributes:
        kind: as in `DetectorParts`.
        strides: pixels between the positions of each map.
        returned_layers: stages of the residual network that the pyramid begins with.
        options: as in `DetectorParts`.
        norm_eps: what the public weights want added to the variances of the frozen batch norms.
    """

    kind: str
    strides: tuple[int, ...]
    returned_layers: tuple[int, ...]
    anchor_sizes: tuple[tuple[int, ...], ...]
    aspect_ratios: tuple[float, ...]
    options: Mapping[str, float]
    norm_eps: float = 1e-5


PUBLIC = {
    "fcos_resnet50_fpn": _Public(
        "fcos", (8, 16, 32, 64, 128), (2, 3, 4), ((8,), (16,), (32,), (64,), (128,)), (1.0,), {}
    ),
    "fasterrcnn_resnet50_fpn": _Public(
        "faster_rcnn",
        (4, 8, 16, 32, 64),
        (1, 2, 3, 4),
        ((32,), (64,), (128,), (256,), (512,)),
        (0.5, 1.0, 2.0),
        {"num_pooled_maps": 4},
        norm_eps=0.0,
    ),
}
PUBLIC_SIZE = 512
PUBLIC_MULTIPLE = 128


def load_public_detector(
    card: BackboneCard, *, pretrained: bool, seed: int, image_size: int | None
) -> Backbone:
    """Load a detector of torchvision, with its public COCO weights.

    Args:
        card: its card; the name is torchvision's.
        pretrained: whether to load the public weights (torch hub's folder, else a download).
        seed: seed of the random weights where they are not.
        image_size: side in pixels that images are resized to, a multiple of 128; `None` takes
            512.

    Raises:
        CompanionError: a size that the coarsest map does not divide.

    Reference: tian2019fcos; ren2015faster; lin2017feature
    """
    from torchvision import models

    size = PUBLIC_SIZE if image_size is None else image_size
    if size % PUBLIC_MULTIPLE:
        checks.fail(
            "image_size",
            got=size,
            expected=f"a multiple of {PUBLIC_MULTIPLE}",
            do=f"take {max(size // PUBLIC_MULTIPLE, 1) * PUBLIC_MULTIPLE}",
        )
    public = PUBLIC[card.name]
    weights, head = None, None
    if pretrained and runtime.scale() != "rehearsal":
        source = models.get_model_weights(card.name).DEFAULT
        state = source.get_state_dict(progress=runtime.show_progress(None), weights_only=True)
        encoder, head = part_weights(state)
        weights = {f"net.{name}": value for name, value in encoder.items()}
    parts = DetectorParts(
        kind=public.kind,
        image_size=size,
        map_sides=tuple(size // stride for stride in public.strides),
        anchor_sizes=public.anchor_sizes,
        aspect_ratios=public.aspect_ratios,
        options=public.options,
        weights=head,
    )
    return Backbone(
        card,
        lambda: _Flattened(_pyramid(public)),
        groups=PUBLIC_GROUPS,
        prepare=DetectionPrepare(f"{card.name}/{size}", _ToSize(size)),
        weights=weights,
        seed=seed,
        detector=parts,
        eval_batch_size=EVAL_BATCH_SIZE,
    )


def _pyramid(public: _Public) -> nn.Module:
    """Return a residual network with a feature pyramid, as torchvision's detector has it."""
    from torchvision.models import resnet50
    from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
    from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7
    from torchvision.ops.misc import FrozenBatchNorm2d

    norm = partial(FrozenBatchNorm2d, eps=public.norm_eps)
    body = resnet50(weights=None, norm_layer=norm)
    extra = LastLevelP6P7(256, 256) if public.kind == "fcos" else LastLevelMaxPool()
    pyramid: nn.Module = _resnet_fpn_extractor(
        body, 5, returned_layers=list(public.returned_layers), extra_blocks=extra
    )
    return pyramid


@dataclass(frozen=True)
class _ToSize:
    """Resize to a square and normalise as torchvision's detectors do."""

    size: int

    def __call__(self, images: Tensor) -> Tensor:
        """Return normalised images, (batch, 3, size, size)."""
        pixels = images.float() / 255 if images.dtype == torch.uint8 else images.float()
        pixels = nn.functional.interpolate(
            pixels, (self.size, self.size), mode="bilinear", antialias=True
        ).expand(-1, 3, -1, -1)
        mean = pixels.new_tensor((0.485, 0.456, 0.406)).view(1, 3, 1, 1)
        std = pixels.new_tensor((0.229, 0.224, 0.225)).view(1, 3, 1, 1)
        return (pixels - mean) / std


_SPOTNET = "recipes/spotnet.py of this project; bundled"
_PUBLIC = "torchvision, weights COCO_V1, trained on COCO 2017"
CARDS: tuple[tuple[BackboneCard, Callable[..., Backbone]], ...] = (
    (
        BackboneCard(
            name="spotnet",
            title="spotnet, one stage",
            modality="vision",
            feature_dim=spotnet.FEATURE_DIM,
            licence="MIT",
            source=_SPOTNET,
            size_bytes=910_406,
            sha256="f883b443395773d7d5da35fe5ffb616d57541acf6d017bc490e6f38af94de098",
            pretrained_on=("letter_scenes", "smears_a"),
            paper="tian2019fcos",
            notes="small; knows drawn letters and drawn cells",
        ),
        load_spotnet,
    ),
    (
        BackboneCard(
            name="spotnet_rcnn",
            title="spotnet, two stages",
            modality="vision",
            feature_dim=spotnet.FEATURE_DIM,
            licence="MIT",
            source=_SPOTNET,
            size_bytes=1_285_286,
            sha256="3cbe2f1004d5c2e39c0c56bf2c69113659dd558d051d7e1ebfb6e61126646c8e",
            pretrained_on=("letter_scenes", "smears_a"),
            paper="ren2015faster",
            notes="the encoder of spotnet, pretrained together with it",
        ),
        load_spotnet,
    ),
    (
        BackboneCard(
            name="fcos_resnet50_fpn",
            title="FCOS, ResNet-50",
            modality="vision",
            feature_dim=256,
            licence="BSD-3-Clause (code and weights of torchvision)",
            source=_PUBLIC,
            size_bytes=round(123.608 * 2**20),  # as torchvision states it
            sha256="99b0c9b7",
            pretrained_on=("coco2017",),
            paper="tian2019fcos",
        ),
        load_public_detector,
    ),
    (
        BackboneCard(
            name="fasterrcnn_resnet50_fpn",
            title="Faster R-CNN, ResNet-50",
            modality="vision",
            feature_dim=256,
            licence="BSD-3-Clause (code and weights of torchvision)",
            source=_PUBLIC,
            size_bytes=round(159.743 * 2**20),  # as torchvision states it
            sha256="258fb6c6",
            pretrained_on=("coco2017",),
            paper="ren2015faster",
        ),
        load_public_detector,
    ),
)
