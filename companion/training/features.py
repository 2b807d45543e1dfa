"""Features of a frozen backbone, computed once instead of every epoch."""

from __future__ import annotations

import torch
from torch import Tensor

from companion.batches import Batch, BatchSource, PaddedSource, TensorSource
from companion.heads import Model

__all__ = ["compute_features"]


@torch.no_grad()
def compute_features(model: Model, source: BatchSource, *, device: torch.device) -> BatchSource:
    """Return the same items as features.

    Args:
        model: the model whose backbone is frozen.
        source: prepared items, not augmented.
        device: where to compute and to keep them.

    Returns:
        A source whose inputs are features, (items, feature_dim), or one tensor
        (positions, feature_dim) an item, trimmed to its real positions.
    """
    modes = {module: module.training for module in model.backbone.modules()}
    model.backbone.eval()
    pieces = [
        _features(model, source.batch(indices).to(device))
        for indices in torch.split(torch.arange(len(source)), model.backbone.eval_batch_size)
    ]
    for module, is_training in modes.items():
        module.training = is_training
    labels = source.labels
    if isinstance(labels, Tensor) and pieces[0][0].dim() == 2:
        return TensorSource(torch.cat([values for values, _ in pieces]), labels.to(device))
    rows = [
        row if mask is None else row[mask[position]]
        for values, mask in pieces
        for position, row in enumerate(values)
    ]
    return PaddedSource(rows, labels)


def _features(model: Model, batch: Batch) -> tuple[Tensor, Tensor | None]:
    """Return the features of a batch and their mask."""
    mask = model.backbone.feature_mask(batch.mask)
    return model.backbone(batch.inputs, batch.mask), mask
