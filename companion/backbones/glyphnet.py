"""A small residual network for single characters, and how it wants its images.

The network follows torchvision's `ResNet` with `BasicBlock` (stem, four stages, average pooling,
`fc`) and uses its parameter names, so that code written for `resnet18` reads this state dict too.
It is narrower (16 to 128 channels) and has one block a stage; because its images are 32 x 32
pixels of one channel, its stem is a 5 x 5 convolution of stride 2 without max pooling.

Reference: he2016deep, section 3.3 and figure 5 (left).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from companion import checks

__all__ = [
    "FEATURE_DIM",
    "IMAGE_SIZE",
    "MEAN",
    "STD",
    "GlyphNet",
    "ResidualBlock",
    "build_glyphnet",
    "preprocess",
]

IMAGE_SIZE = 32
"""Height and width of an input, in pixels."""

FEATURE_DIM = 128
"""Length of the vector behind the average pooling."""

MEAN = 0.27
STD = 0.30
"""Mean and standard deviation of the pixels of distorted letters, in [0, 1], bright ink on dark.

Measured by `recipes/glyphnet.py` on `companion.datasets.glyphs` and rounded.
"""

_LUMA = (0.299, 0.587, 0.114)
_WIDTHS = (16, 32, 64, FEATURE_DIM)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut: torchvision's `BasicBlock`.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: 1 keeps height and width, 2 halves them.

    Reference: he2016deep, eq. 2.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (batch, out_channels, height / stride, width / stride)."""
        shortcut = inputs if self.downsample is None else self.downsample(inputs)
        hidden = self.relu(self.bn1(self.conv1(inputs)))
        hidden = self.bn2(self.conv2(hidden))
        outputs: Tensor = self.relu(hidden + shortcut)
        return outputs


class GlyphNet(nn.Module):
    """Stem, four stages of one block each, average pooling, linear layer.

    Args:
        num_classes: outputs of `fc`.
    """

    def __init__(self, num_classes: int):
        super().__init__()
        first, *rest = _WIDTHS
        self.conv1 = nn.Conv2d(1, first, 5, stride=2, padding=2, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = nn.Sequential(ResidualBlock(first, first))
        self.layer2 = nn.Sequential(ResidualBlock(first, rest[0], stride=2))
        self.layer3 = nn.Sequential(ResidualBlock(rest[0], rest[1], stride=2))
        self.layer4 = nn.Sequential(ResidualBlock(rest[1], rest[2], stride=2))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(FEATURE_DIM, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (batch, num_classes) for preprocessed images (batch, 1, 32, 32)."""
        hidden = self.relu(self.bn1(self.conv1(images)))
        hidden = self.layer4(self.layer3(self.layer2(self.layer1(hidden))))
        logits: Tensor = self.fc(self.avgpool(hidden).flatten(1))
        return logits


def build_glyphnet(num_classes: int = 10) -> GlyphNet:
    """Build the network with fresh weights drawn from torch's current random state.

    Args:
        num_classes: outputs of the last layer.

    Returns:
        The network in training mode; convolutions drawn as in torchvision's `ResNet`.

    Raises:
        CompanionError: `num_classes` is not a positive integer.

    Reference: he2015delving, section 2.2.
    """
    checks.positive_int("num_classes", num_classes)
    network = GlyphNet(num_classes)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


def preprocess(images: Tensor) -> Tensor:
    """Turn images into what the network was pretrained on.

    Colour becomes grey, the size becomes 32 x 32 (bilinear, antialiased where it shrinks), and
    pixels are shifted and scaled by `MEAN` and `STD`. Ink is expected bright on a dark ground, as
    in the digits and in FashionMNIST; turn photographs of dark ink on paper round first.

    Args:
        images: (batch, channels, height, width) with 1 or 3 channels; uint8 in 0..255 or float
            in [0, 1].

    Returns:
        (batch, 1, 32, 32), float32.

    Raises:
        CompanionError: the tensor has another shape or number of channels.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        checks.fail(
            "images",
            got=f"shape {tuple(images.shape)}",
            expected="(batch, channels, height, width) with 1 or 3 channels",
            do="stack them with torch.stack and drop an alpha channel",
        )
    pixels = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    if pixels.shape[1] == 3:
        weights = pixels.new_tensor(_LUMA).view(1, 3, 1, 1)
        pixels = (pixels * weights).sum(dim=1, keepdim=True)
    if pixels.shape[-2:] != (IMAGE_SIZE, IMAGE_SIZE):
        pixels = functional.interpolate(
            pixels, (IMAGE_SIZE, IMAGE_SIZE), mode="bilinear", antialias=True
        )
    return (pixels - MEAN) / STD
