"""Random changes of images that are a function of (seed, epoch, index) alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from companion import checks, runtime

__all__ = ["BoxAugment", "ImageAugment"]


@dataclass(frozen=True)
class ImageAugment:
    """Small random rotations, shifts, zooms and mirrorings of images.

    The numbers behind each change come from `runtime.item_uniforms`, so an item looks the same
    in a given epoch whatever batch it is in.

    Attributes:
        seed: the seed of the run.
        degrees: largest rotation either way, in degrees.
        shift: largest shift either way, as a fraction of the image's side.
        zoom: largest relative change of size either way, as a fraction.
        mirror: whether half of the images are mirrored left to right (wrong for letters and
            digits, usual for photographs).
    """

    seed: int = 0
    degrees: float = 10.0
    shift: float = 0.08
    zoom: float = 0.1
    mirror: bool = False

    def with_seed(self, seed: int) -> ImageAugment:
        """Return the same augmentation for the run of another seed."""
        return replace(self, seed=seed)

    def __call__(self, inputs: Tensor, indices: Tensor, epoch: int) -> Tensor:
        """Return changed images.

        Args:
            inputs: images, (batch, channels, height, width).
            indices: positions of the items in their split, (batch,).
            epoch: which epoch, from 0.

        Returns:
            Images of the same shape; what comes in from outside repeats the border.
        """
        draws = runtime.item_uniforms(self.seed, epoch, indices, 5).to(inputs.device)
        matrices = self._matrices(2 * draws[:, :4] - 1, draws[:, 4] < 0.5)
        grid = torch.nn.functional.affine_grid(
            matrices.to(inputs.dtype), list(inputs.shape), align_corners=False
        )
        return torch.nn.functional.grid_sample(
            inputs, grid, padding_mode="border", align_corners=False
        )

    def _matrices(self, draws: Tensor, flipped: Tensor) -> Tensor:
        """Return affine matrices, (batch, 2, 3), from draws in [-1, 1), (batch, 4)."""
        angle = torch.deg2rad(draws[:, 0] * self.degrees)
        size = 1 + draws[:, 1] * self.zoom
        side = torch.where(flipped & self.mirror, -1.0, 1.0)
        cos, sin = angle.cos() / size, angle.sin() / size
        shift_x, shift_y = draws[:, 2] * 2 * self.shift, draws[:, 3] * 2 * self.shift
        first = torch.stack([cos * side, -sin, shift_x], dim=1)
        second = torch.stack([sin * side, cos, shift_y], dim=1)
        return torch.stack([first, second], dim=1)


@dataclass(frozen=True)
class BoxAugment:
    """Mirrorings and changes of contrast of images whose boxes move along.

    Attributes:
        seed: the seed of the run.
        mirror: whether half of the images are mirrored left to right (wrong for digits).
        flip: whether half of the images are turned upside down (right for what has no above and
            below, such as cells under a microscope).
        contrast: largest relative change of contrast either way, as a fraction, about the colour
            that the backbone's preprocessing makes 0.
    """

    seed: int = 0
    mirror: bool = False
    flip: bool = False
    contrast: float = 0.0

    def __post_init__(self) -> None:
        """Check the range of the contrast."""
        checks.fraction("contrast", self.contrast)

    def with_seed(self, seed: int) -> BoxAugment:
        """Return the same augmentation for the run of another seed."""
        return replace(self, seed=seed)

    def __call__(self, inputs: Tensor, indices: Tensor, epoch: int) -> Tensor:
        """Return changed images, (batch, channels, height, width), without their boxes."""
        return self.with_boxes(inputs, inputs.new_zeros(len(inputs), 0, 5), indices, epoch)[0]

    def with_boxes(
        self, inputs: Tensor, boxes: Tensor, indices: Tensor, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """Return changed images and boxes.

        Args:
            inputs: prepared images, (batch, channels, height, width).
            boxes: (batch, boxes, 5): class id, x_min, y_min, x_max, y_max as fractions; rows of
                padding stay padding by their class id.
            indices: positions of the images in their split, (batch,).
            epoch: which epoch, from 0.
        """
        draws = runtime.item_uniforms(self.seed, epoch, indices, 3).to(inputs.device)
        mirrored, flipped = (draws[:, 0] < 0.5) & self.mirror, (draws[:, 1] < 0.5) & self.flip
        factor = 1 + (2 * draws[:, 2] - 1) * self.contrast
        inputs = torch.where(mirrored[:, None, None, None], inputs.flip(3), inputs)
        inputs = torch.where(flipped[:, None, None, None], inputs.flip(2), inputs)
        class_id, x_min, y_min, x_max, y_max = boxes.unbind(dim=2)
        x_min, x_max = _turned(x_min, x_max, mirrored[:, None])
        y_min, y_max = _turned(y_min, y_max, flipped[:, None])
        moved = torch.stack([class_id, x_min, y_min, x_max, y_max], dim=2)
        return inputs * factor[:, None, None, None].to(inputs.dtype), moved


def _turned(low: Tensor, high: Tensor, is_turned: Tensor) -> tuple[Tensor, Tensor]:
    """Return the ends of intervals in [0, 1] after turning some of them round."""
    return torch.where(is_turned, 1 - high, low), torch.where(is_turned, 1 - low, high)
