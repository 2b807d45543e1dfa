"""A small network with one feature map, for detectors on two cores.

Residual blocks down to a sixteenth of the image, then one step up again: the map at an eighth of
the image's side, which the detection head sees, knows detail and surroundings. Group norm in place
of batch norm, because a detector's batches are small.

Reference: lin2017feature, section 3; wu2018group, eq. 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from companion import checks

__all__ = [
    "FEATURE_DIM",
    "IMAGE_SIZE",
    "MAP_SIDE",
    "MEAN",
    "STD",
    "SpotNet",
    "preprocess",
]

IMAGE_SIZE = 128
"""Height and width of an input, in pixels."""

STRIDE = 8
MAP_SIDE = IMAGE_SIZE // STRIDE
"""Positions along each side of the feature map."""

FEATURE_DIM = 64
"""Channels of the feature map."""

MEAN = 0.5
STD = 0.25
"""What pixels in [0, 1] are shifted and scaled by, in every channel."""

_WIDTHS = (16, 32, 64, 128)
_NUM_NORM_GROUPS = 8


class _Block(nn.Module):
    """Two 3 x 3 convolutions with group norm beside a shortcut; the first halves the side."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(_NUM_NORM_GROUPS, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(_NUM_NORM_GROUPS, out_channels)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride=2, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (batch, out_channels, height / 2, width / 2)."""
        hidden = functional.relu(self.norm1(self.conv1(inputs)))
        return functional.relu(self.norm2(self.conv2(hidden)) + self.shortcut(inputs))


class SpotNet(nn.Module):
    """Stem, three blocks, and a step up: from an image to one feature map, as positions."""

    def __init__(self) -> None:
        super().__init__()
        stem, first, second, third = _WIDTHS
        self.stem = nn.Sequential(
            nn.Conv2d(3, stem, 3, stride=2, padding=1, bias=False),
            nn.GroupNorm(_NUM_NORM_GROUPS, stem),
            nn.ReLU(),
        )
        self.layer1 = _Block(stem, first)
        self.layer2 = _Block(first, second)
        self.layer3 = _Block(second, third)
        self.lateral2 = nn.Conv2d(second, FEATURE_DIM, 1)
        self.lateral3 = nn.Conv2d(third, FEATURE_DIM, 1)
        self.smooth = nn.Sequential(
            nn.Conv2d(FEATURE_DIM, FEATURE_DIM, 3, padding=1, bias=False),
            nn.GroupNorm(_NUM_NORM_GROUPS, FEATURE_DIM),
            nn.ReLU(),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Return features (batch, 256, 64) for prepared images (batch, 3, 128, 128)."""
        fine = self.layer2(self.layer1(self.stem(images)))
        coarse = functional.interpolate(self.lateral3(self.layer3(fine)), scale_factor=2.0)
        features: Tensor = self.smooth(self.lateral2(fine) + coarse)
        return features.flatten(2).transpose(1, 2)


def preprocess(images: Tensor) -> Tensor:
    """Turn images into what the network was pretrained on.

    Grey becomes colour, the size becomes 128 x 128, whatever the shape was (bilinear, antialiased
    where it shrinks; boxes as fractions of width and height stay right), pixels are shifted and
    scaled.

    Args:
        images: (batch, channels, height, width) with 1 or 3 channels; uint8 in 0..255 or float
            in [0, 1].

    Returns:
        (batch, 3, 128, 128), float32.

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
    if pixels.shape[-2:] != (IMAGE_SIZE, IMAGE_SIZE):
        pixels = functional.interpolate(
            pixels, (IMAGE_SIZE, IMAGE_SIZE), mode="bilinear", antialias=True
        )
    return ((pixels - MEAN) / STD).expand(-1, 3, -1, -1)
