"""Class activation maps from gradients: which places of a layer group speak for a class."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from companion import checks
from companion.heads import Model
from companion.layer_groups import group_modules

__all__ = [
    "check_images",
    "check_maps",
    "check_model",
    "enlarge_maps",
    "evaluation_mode",
    "grad_cam",
    "is_flat",
]

FLAT = 1e-12
"""A map whose values differ by less has no highest place."""


def grad_cam(
    model: Model, images: Tensor, classes: Tensor, *, group: str, rectify: bool = True
) -> Tensor:
    r"""Return a map of the places that speak for a class: Grad-CAM.

    With the activations $A^k$ of the layer group and the score $s_c$ of the class, channel $k$ is
    weighted by its mean gradient over all places, $\alpha_k = \operatorname{mean} \partial s_c /
    \partial A^k$, and the map is $\operatorname{relu}(\sum_k \alpha_k A^k)$.

    Args:
        model: a backbone for images with a head of one logit a class; it is left as it came.
        images: prepared images, (batch, channels, height, width).
        classes: whose score is explained, class ids, (batch,), int64.
        group: name of a layer group whose output is (batch, channels, rows, columns).
        rectify: whether what speaks against the class is cut off at 0.

    Returns:
        Maps, (batch, rows, columns), in units of the score; `enlarge_maps` brings them to the size
        of the images.

    Raises:
        CompanionError: a backbone without a head, no such layer group, one without places, not one
            class an image, or a class that the head does not have.

    Reference: selvaraju2017grad, eq. 1 and 2
    """
    check_images(model, images, classes)
    _check_differentiable(model)
    # Where inference mode is on, gradients need tensors that were made outside it.
    with evaluation_mode(model), torch.inference_mode(False), torch.enable_grad():
        images, classes = images.clone(), classes.clone()
        logits, activations = _activated(model, images, group)
        own = logits.gather(1, classes[:, None].to(logits.device)).sum()
        (gradients,) = torch.autograd.grad(own, activations)
    weights = gradients.mean(dim=(2, 3), keepdim=True)
    maps = (weights * activations.detach()).sum(dim=1)
    return maps.relu() if rectify else maps


def enlarge_maps(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Return maps at the size of the images, bilinear.

    Args:
        maps: (batch, rows, columns).
        size: height and width in pixels.

    Returns:
        (batch, height, width).

    Raises:
        CompanionError: no such maps, or a side that is not positive.
    """
    check_maps("maps", maps)
    for side in size:
        checks.positive_int("size", side)
    enlarged = torch.nn.functional.interpolate(
        maps[:, None], size=size, mode="bilinear", align_corners=False
    )
    return enlarged[:, 0]


def _activated(model: Model, images: Tensor, group: str) -> tuple[Tensor, Tensor]:
    """Return the logits and what came out of a layer group, from where gradients begin."""
    checks.one_of("layer group", group, tuple(model.backbone.group_names))
    held: list[Tensor] = []

    def keep(_: nn.Module, __: object, output: Tensor) -> Tensor:
        held.append(output.detach().clone().requires_grad_())
        return held[-1].clone()  # a copy, which a layer that works in place may change

    hook = group_modules(model, group)[-1].register_forward_hook(keep)
    try:
        logits: Tensor = model(images)
    finally:
        hook.remove()
    if held[-1].dim() != 4 or logits.dim() != 2:
        checks.fail(
            f"output of layer group {group!r}",
            got=f"shape {tuple(held[-1].shape)}, logits {tuple(logits.shape)}",
            expected="(batch, channels, rows, columns), and one row of logits an image",
            do="choose a group of convolutions in a classifier of images",
        )
    return logits, held[-1]


@contextlib.contextmanager
def evaluation_mode(model: Model) -> Iterator[None]:
    """Put a model in evaluation mode for a block, then each module back as it was.

    Args:
        model: the model.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def is_flat(rows: Tensor) -> Tensor:
    """Return which rows hold one value only, (rows,), bool.

    Args:
        rows: (rows, values).
    """
    return rows.amax(dim=1) - rows.amin(dim=1) <= FLAT


def check_maps(what: str, maps: Tensor) -> None:
    """Refuse what is not one map an image.

    Args:
        what: name of the maps, for the message.
        maps: (batch, rows, columns).

    Raises:
        CompanionError: no tensor, or another shape.
    """
    checks.instance(what, maps, Tensor)
    if maps.dim() != 3:
        checks.fail(
            what,
            got=f"shape {tuple(maps.shape)}",
            expected="(batch, rows, columns), one map an image",
            do="pass map[None] for a single one",
        )


def check_model(model: Model) -> None:
    """Refuse what is not a backbone with a head.

    Args:
        model: what should be one.

    Raises:
        CompanionError: it is not.
    """
    if not isinstance(model, Model):
        checks.fail(
            "model",
            got=f"a {type(model).__name__}",
            expected="a Model, a backbone with a head",
            do="pass what training returned: without a head there are no classes to explain",
        )


def _check_differentiable(model: Model) -> None:
    """Refuse a model that was made in inference mode: no gradient passes through it."""
    if any(parameter.is_inference() for parameter in model.parameters()):
        checks.fail(
            "model",
            got="one that was made under torch.inference_mode()",
            expected="parameters that gradients can pass through",
            do="load it outside that block",
        )


def check_images(model: Model, images: Tensor, classes: Tensor) -> None:
    """Refuse what is not a model, a batch of images and one of its classes each.

    Args:
        model: a backbone with a head.
        images: (batch, channels, height, width).
        classes: class ids, (batch,), int64.

    Raises:
        CompanionError: no such model, other shapes, or a class id out of range.
    """
    check_model(model)
    checks.instance("images", images, Tensor)
    checks.instance("classes", classes, Tensor)
    if images.dim() != 4 or classes.shape != images.shape[:1]:
        checks.fail(
            "images and classes",
            got=f"shapes {tuple(images.shape)} and {tuple(classes.shape)}",
            expected="(batch, channels, height, width) and one class id an image, (batch,)",
            do="prepare the images with backbone.prepare(split).batch(indices)",
        )
    wrong = classes[(classes < 0) | (classes >= model.head.num_classes)]
    if classes.dtype != torch.int64 or len(wrong):
        checks.fail(
            "classes",
            got=f"class {int(wrong[0])}" if len(wrong) else f"{classes.dtype}",
            expected=f"class ids of torch.int64 in 0..{model.head.num_classes - 1}",
            do="see model.classes for their names",
        )
