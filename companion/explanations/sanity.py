"""Whether a map depends on what the network has learned: randomise it, and the map must change."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from companion import checks, runtime
from companion.explanations.class_maps import check_maps, check_model, grad_cam, is_flat
from companion.heads import Model
from companion.layer_groups import HEAD, group_modules, group_names

__all__ = ["SanityRow", "map_similarity", "randomised_cascade", "sanity_check"]


@dataclass(frozen=True)
class SanityRow:
    """How like the maps are after some layer groups lost what they had learned.

    Attributes:
        group: the layer group that was randomised last; all above it, the head included, were
            randomised before.
        similarities: rank correlation with the map of the trained network, one an image; NaN
            where one of the two maps is flat.
    """

    group: str
    similarities: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over the images whose maps are not flat; NaN where all are."""
        return float(torch.tensor(self.similarities).nanmean())


def map_similarity(first: Tensor, second: Tensor) -> Tensor:
    """Return the rank correlation of two maps of each image, place by place.

    Args:
        first: maps, (batch, rows, columns).
        second: maps of the same shape.

    Returns:
        Correlations in [-1, 1], (batch,), float64; NaN where one of the two maps is flat.

    Raises:
        CompanionError: maps of different shapes.

    Reference: adebayo2018sanity; spearman1904proof
    """
    from scipy.stats import rankdata

    check_maps("first", first)
    check_maps("second", second)
    if first.shape != second.shape:
        checks.fail(
            "maps to compare",
            got=f"shapes {tuple(first.shape)} and {tuple(second.shape)}",
            expected="twice (batch, rows, columns)",
            do="take both from the same images and the same layer group",
        )
    rows = [maps.detach().double().cpu().flatten(1) for maps in (first, second)]
    flat = torch.stack([is_flat(row) for row in rows]).any(dim=0)
    ranks = [torch.from_numpy(rankdata(row.numpy(), axis=1)) for row in rows]
    a, b = (rank - rank.mean(dim=1, keepdim=True) for rank in ranks)
    norm = (a.square().sum(dim=1) * b.square().sum(dim=1)).sqrt()
    return torch.where(flat, torch.nan, (a * b).sum(dim=1) / norm)


def randomised_cascade(model: Model, *, seed: int) -> Iterator[tuple[str, Model]]:
    """Yield copies of a model that lose what they learned, layer group by layer group, head first.

    Args:
        model: the model; it is left as it came.
        seed: seed of the random weights.

    Yields:
        The name of the layer group that was randomised last, and the model in which it and all
        above it are random; in the last one nothing learned is left.

    Raises:
        CompanionError: no model with a head, or a backbone with other tensors than its
            architecture, such as LoRA factors.

    Reference: adebayo2018sanity, sec. 4.1 (cascading randomisation)
    """
    check_model(model)
    fresh = copy.deepcopy(model)
    fresh.backbone.encoder = model.backbone.with_random_weights(seed).encoder.to(_device(model))
    _reset_head_(fresh.head, seed)
    current = copy.deepcopy(model)
    for name in reversed(group_names(model)):
        current = copy.deepcopy(current)
        pairs = zip(group_modules(current, name), group_modules(fresh, name), strict=True)
        for module, random in pairs:
            if module.state_dict().keys() != random.state_dict().keys():
                checks.fail(
                    f"layer group {name!r}",
                    got="tensors that a fresh backbone does not have",
                    expected="a backbone without adapters",
                    do="merge the adapters into the weights first",
                )
            module.load_state_dict(random.state_dict())
        yield name, current


def sanity_check(
    model: Model,
    images: Tensor,
    classes: Tensor,
    *,
    group: str,
    seed: int = 0,
    rectify: bool = False,
) -> list[SanityRow]:
    """Return how like the maps stay while the network is randomised from the head down.

    A map that stays the same does not show what the network has learned.

    Args:
        model: the trained model; it is left as it came.
        images: prepared images, (batch, channels, height, width).
        classes: whose score is explained, class ids, (batch,), int64.
        group: the layer group of the maps.
        seed: seed of the random weights.
        rectify: whether the maps are cut off at 0 before they are compared. Uncut, they have
            ranks everywhere.

    Returns:
        One row a layer group, from the head to the input.

    Raises:
        CompanionError: what `grad_cam` or `randomised_cascade` refuses.

    Reference: adebayo2018sanity, sec. 4.1
    """
    trained = grad_cam(model, images, classes, group=group, rectify=rectify)
    rows = []
    with torch.inference_mode(False):  # gradients must pass through the copies
        for name, randomised in randomised_cascade(model, seed=seed):
            maps = grad_cam(randomised, images, classes, group=group, rectify=rectify)
            rows.append(SanityRow(name, tuple(map_similarity(trained, maps).tolist())))
    return rows


def _reset_head_(head: nn.Module, seed: int) -> None:
    """Draw the weights of a head anew.

    Modifies: `head`.
    """
    with runtime.fork_seed(seed, HEAD):
        for module in head.modules():
            if isinstance(module, nn.Linear):
                module.reset_parameters()


def _device(model: Model) -> torch.device:
    """Return where a model lies."""
    return next(model.parameters()).device
