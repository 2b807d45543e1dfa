"""FaceNet's successor for faces: Inception-ResNet-v1, with public weights as a plain state dict.

The architecture is that of Inception-ResNet-v1 as D. Sandberg's `facenet` trained it on VGGFace2.
Names of the parameters are those of the PyTorch port that published the weights, so that the file
loads here without that package, whose requirements clash with today's torch. Without the classifier
the network has 23,482,624 parameters, with it (8631 people) 27,910,327.

Reference: schroff2015facenet; szegedy2017inception, sec. 3.2; cao2018vggface2
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion import assets, checks, runtime
from companion.assets import RemoteFile
from companion.backbones.base import Backbone, LayerGroup
from companion.backbones.vision import ImagePrepare
from companion.registry import BackboneCard

__all__ = ["CARD", "FEATURE_DIM", "FILE", "InceptionResnet", "load", "preprocess"]

IMAGE_SIZE = 160
"""Height and width of an input, in pixels."""

FEATURE_DIM = 512

FILE = RemoteFile(
    "vision/faces/20180402-114759-vggface2.pt",
    "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/"
    "20180402-114759-vggface2.pt",
    "281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b",
    111_898_327,
    licence="MIT (port and file); trained on VGGFace2, whose photographs were collected without "
    "the consent of those who are on them: research only",
)

CARD = BackboneCard(
    name="inception_resnet_v1",
    title="Inception-ResNet-v1 (faces)",
    modality="vision",
    feature_dim=FEATURE_DIM,
    licence=FILE.licence,
    source="github.com/timesler/facenet-pytorch, release v2.2.9: a port of D. Sandberg's weights",
    size_bytes=FILE.size_bytes,
    sha256=FILE.sha256,
    pretrained_on=("vggface2",),
    paper="cao2018vggface2",
    notes="expects one upright face that fills most of the image; knows nothing else",
)

GROUPS = (
    LayerGroup("stem", tuple(f"conv2d_{name}" for name in ("1a", "2a", "2b", "3b", "4a", "4b"))),
    LayerGroup("repeat_1", ("repeat_1",)),
    LayerGroup("repeat_2", ("mixed_6a", "repeat_2")),
    LayerGroup("repeat_3", ("mixed_7a", "repeat_3", "block8")),
    LayerGroup("last", ("last_linear", "last_bn")),
)


class _Unit(nn.Module):
    """Convolution without bias, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int | tuple[int, int] = 1, stride: int = 1,
                 padding: int | tuple[int, int] = 0):  # fmt: skip
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, images: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(images)))


class _Residual(nn.Module):
    """Branches side by side, joined by a 1 x 1 convolution and added to their input.

    Args:
        channels: of input and output.
        branches: each from `channels` to some channels of the same height and width.
        joined: channels of all branches together.
        scale: what the joined branches are multiplied by.
        has_relu: whether a ReLU follows.
    """

    def __init__(self, channels: int, branches: list[nn.Module], joined: int, scale: float,
                 has_relu: bool = True):  # fmt: skip
        super().__init__()
        for number, branch in enumerate(branches):
            self.add_module(f"branch{number}", branch)
        self.num_branches = len(branches)
        self.conv2d = nn.Conv2d(joined, channels, 1)
        self.scale, self.has_relu = scale, has_relu

    def forward(self, images: Tensor) -> Tensor:
        parts = [self.get_submodule(f"branch{n}")(images) for n in range(self.num_branches)]
        outputs: Tensor = self.scale * self.conv2d(torch.cat(parts, dim=1)) + images
        return F.relu(outputs) if self.has_relu else outputs


class _Reduction(nn.Module):
    """Branches of stride 2 side by side; the last one is a max pooling."""

    def __init__(self, branches: list[nn.Module]):
        super().__init__()
        for number, branch in enumerate([*branches, nn.MaxPool2d(3, stride=2)]):
            self.add_module(f"branch{number}", branch)
        self.num_branches = len(branches) + 1

    def forward(self, images: Tensor) -> Tensor:
        parts = [self.get_submodule(f"branch{n}")(images) for n in range(self.num_branches)]
        return torch.cat(parts, dim=1)


def _block35() -> nn.Module:
    three = nn.Sequential(_Unit(256, 32), _Unit(32, 32, 3, padding=1), _Unit(32, 32, 3, padding=1))
    two = nn.Sequential(_Unit(256, 32), _Unit(32, 32, 3, padding=1))
    return _Residual(256, [_Unit(256, 32), two, three], 96, 0.17)


def _block17() -> nn.Module:
    along, down = _Unit(128, 128, (1, 7), padding=(0, 3)), _Unit(128, 128, (7, 1), padding=(3, 0))
    return _Residual(896, [_Unit(896, 128), nn.Sequential(_Unit(896, 128), along, down)], 256, 0.10)


def _block8(scale: float = 0.20, has_relu: bool = True) -> nn.Module:
    along, down = _Unit(192, 192, (1, 3), padding=(0, 1)), _Unit(192, 192, (3, 1), padding=(1, 0))
    branches = [_Unit(1792, 192), nn.Sequential(_Unit(1792, 192), along, down)]
    return _Residual(1792, branches, 384, scale, has_relu)


class InceptionResnet(nn.Module):
    """Inception-ResNet-v1 without its classifier: features that are not scaled to unit length.

    Reference: szegedy2017inception, sec. 3.2
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv2d_1a = _Unit(3, 32, 3, 2)
        self.conv2d_2a = _Unit(32, 32, 3)
        self.conv2d_2b = _Unit(32, 64, 3, padding=1)
        self.conv2d_3b = _Unit(64, 80)
        self.conv2d_4a = _Unit(80, 192, 3)
        self.conv2d_4b = _Unit(192, 256, 3, 2)
        self.repeat_1 = nn.Sequential(*(_block35() for _ in range(5)))
        narrow = [_Unit(256, 192), _Unit(192, 192, 3, padding=1), _Unit(192, 256, 3, 2)]
        self.mixed_6a = _Reduction([_Unit(256, 384, 3, 2), nn.Sequential(*narrow)])
        self.repeat_2 = nn.Sequential(*(_block17() for _ in range(10)))
        narrow = [_Unit(896, 256), _Unit(256, 256, 3, padding=1), _Unit(256, 256, 3, 2)]
        pairs = [nn.Sequential(_Unit(896, 256), _Unit(256, out, 3, 2)) for out in (384, 256)]
        self.mixed_7a = _Reduction([*pairs, nn.Sequential(*narrow)])
        self.repeat_3 = nn.Sequential(*(_block8() for _ in range(5)))
        self.block8 = _block8(scale=1.0, has_relu=False)
        self.last_linear = nn.Linear(1792, FEATURE_DIM, bias=False)
        self.last_bn = nn.BatchNorm1d(FEATURE_DIM, eps=1e-3)

    def forward(self, images: Tensor) -> Tensor:
        """Return features, (batch, 512), of prepared images, (batch, 3, 160, 160)."""
        hidden = self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(images)))
        hidden = F.max_pool2d(hidden, 3, stride=2)
        hidden = self.conv2d_4b(self.conv2d_4a(self.conv2d_3b(hidden)))
        hidden = self.repeat_2(self.mixed_6a(self.repeat_1(hidden)))
        hidden = self.block8(self.repeat_3(self.mixed_7a(hidden)))
        features: Tensor = self.last_bn(self.last_linear(hidden.mean(dim=(2, 3))))
        return features


def preprocess(images: Tensor) -> Tensor:
    """Turn images of faces into what the network was pretrained on.

    Args:
        images: (batch, 1 or 3, height, width), uint8 in 0..255 or float in [0, 1].

    Returns:
        (batch, 3, 160, 160), float32: (pixel - 127.5) / 128 for pixels in 0..255.
    """
    pixels = images.float() if images.dtype == torch.uint8 else images.float() * 255
    size = (IMAGE_SIZE, IMAGE_SIZE)
    if pixels.shape[-2:] != size:
        pixels = F.interpolate(pixels, size, mode="bilinear", antialias=True)
    return (pixels.expand(-1, 3, -1, -1) - 127.5) / 128


def load(card: BackboneCard, *, pretrained: bool, seed: int, image_size: int | None) -> Backbone:
    """Load the network; the weights are downloaded if they are not on this machine.

    Args:
        card: its card.
        pretrained: whether to load the public weights; not at the scale `rehearsal`.
        seed: seed of the random weights where they are not.
        image_size: must be `None` or 160.

    Raises:
        CompanionError: another image_size, or a file that cannot be had or does not fit.
    """
    if image_size not in (None, IMAGE_SIZE):
        checks.fail("image_size", got=image_size, expected=IMAGE_SIZE, do="leave it out")
    weights = None
    if pretrained and runtime.scale() != "rehearsal":
        state = assets.load_weights(assets.fetch(FILE), sha256=FILE.sha256)
        weights = {key: value for key, value in state.items() if not key.startswith("logits.")}
    return Backbone(
        card,
        InceptionResnet,
        groups=GROUPS,
        prepare=ImagePrepare(f"{card.name}/{IMAGE_SIZE}", preprocess),
        weights=weights,
        seed=seed,
    )
