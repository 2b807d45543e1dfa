"""Whether a map points at what matters: at a known box, or at pixels whose loss is felt."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from companion import checks
from companion.explanations.class_maps import (
    check_images,
    check_maps,
    evaluation_mode,
    is_flat,
)
from companion.heads import Model

__all__ = ["deletion_curve", "pointing_hits", "share_inside"]


def pointing_hits(maps: Tensor, boxes: Tensor) -> Tensor:
    """Return whether the highest place of each map lies in a box: the pointing game.

    Args:
        maps: (batch, rows, columns), best at the size of the images.
        boxes: corners x_min, y_min, x_max, y_max as fractions of width and height, (batch, 4).

    Returns:
        (batch,), bool; a flat map points nowhere and hits nothing.

    Raises:
        CompanionError: not one box a map.

    Reference: zhang2018topdown
    """
    _check_boxes(maps, boxes)
    rows, columns = maps.shape[1:]
    highest = maps.flatten(1).argmax(dim=1)
    inside = _inside(boxes, rows, columns).flatten(1)
    hits = inside.gather(1, highest[:, None].cpu())[:, 0]
    return hits & ~is_flat(maps.flatten(1)).cpu()


def share_inside(maps: Tensor, boxes: Tensor) -> Tensor:
    """Return which share of each map lies in a box; an even map has the box's share of the area.

    Args:
        maps: of values at least 0, (batch, rows, columns).
        boxes: corners x_min, y_min, x_max, y_max as fractions of width and height, (batch, 4).

    Returns:
        Fractions, (batch,); NaN where a map is 0 everywhere.

    Raises:
        CompanionError: not one box a map, or maps below 0.
    """
    _check_boxes(maps, boxes)
    if bool((maps < 0).any()):
        checks.fail(
            "maps",
            got=f"values down to {float(maps.min()):.3g}",
            expected="values of at least 0, of which a share can be taken",
            do="leave rectify=True",
        )
    inside = _inside(boxes, *maps.shape[1:]).to(maps.device)
    return (maps * inside).sum(dim=(1, 2)) / maps.sum(dim=(1, 2))


def deletion_curve(
    model: Model,
    images: Tensor,
    classes: Tensor,
    maps: Tensor,
    *,
    fractions: Sequence[float],
    fill: Tensor | float,
) -> Tensor:
    """Return how the probability of a class falls as the highest places of a map are deleted.

    Compare it with a map of random numbers: deleting pixels hurts in any case.

    Args:
        model: the model; it is left as it came.
        images: prepared images, (batch, channels, height, width).
        classes: whose probability is followed, class ids, (batch,), int64.
        maps: at the size of the images, (batch, height, width).
        fractions: which share of the pixels is deleted.
        fill: what takes their place: a number, or a tensor that is broadcast to the images.

    Returns:
        Probabilities, (fractions, batch).

    Raises:
        CompanionError: maps of another size, no fractions, or what `grad_cam` refuses of model,
            images and classes.

    Reference: petsiuk2018rise
    """
    check_images(model, images, classes)
    checks.instance("maps", maps, Tensor)
    if maps.shape != (len(images), *images.shape[-2:]):
        checks.fail(
            "maps",
            got=f"shape {tuple(maps.shape)}",
            expected=f"{(len(images), *images.shape[-2:])}, the size of the images",
            do="call enlarge_maps first",
        )
    if isinstance(fractions, int | float) or len(fractions) == 0:
        checks.fail(
            "fractions", got=fractions, expected="a row of fractions", do="pass such as [0.1, 0.2]"
        )
    order = maps.flatten(1).argsort(dim=1, descending=True, stable=True)
    rank = order.argsort(dim=1).reshape(maps.shape)[:, None]
    filled = torch.as_tensor(fill, dtype=images.dtype, device=images.device).expand_as(images)
    curve = []
    with evaluation_mode(model), torch.no_grad():
        for share in fractions:
            num_deleted = round(checks.fraction("fraction", share) * rank[0].numel())
            left = torch.where(rank < num_deleted, filled, images)
            curve.append(model(left).softmax(dim=1).gather(1, classes[:, None])[:, 0])
    return torch.stack(curve)


def _inside(boxes: Tensor, rows: int, columns: int) -> Tensor:
    """Return which places have their centre in a box, (batch, rows, columns), bool."""
    y = (torch.arange(rows) + 0.5) / rows
    x = (torch.arange(columns) + 0.5) / columns
    left, top, right, bottom = boxes.detach().cpu()[:, :, None].unbind(dim=1)
    in_rows, in_columns = (top <= y) & (y <= bottom), (left <= x) & (x <= right)
    return in_rows[:, :, None] & in_columns[:, None, :]


def _check_boxes(maps: Tensor, boxes: Tensor) -> None:
    """Refuse what is not a batch of maps and one box each."""
    check_maps("maps", maps)
    checks.instance("boxes", boxes, Tensor)
    if boxes.shape != (len(maps), 4):
        checks.fail(
            "maps and boxes",
            got=f"shapes {tuple(maps.shape)} and {tuple(boxes.shape)}",
            expected="(batch, rows, columns) and (batch, 4)",
            do="pass one box an image: x_min, y_min, x_max, y_max, as fractions",
        )
    if not bool(((boxes >= 0) & (boxes <= 1)).all()):
        checks.fail(
            "boxes",
            got="a corner outside [0, 1]",
            expected="corners as fractions of width and height",
            do="divide pixels by them, as companion.boxes.pixels_to_fractions does",
        )
