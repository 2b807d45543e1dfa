"""Features of a frozen backbone, computed once instead of every epoch."""

from __future__ import annotations

import torch
from torch import Tensor

from companion.batches import Batch, BatchSource, PaddedSource, TensorSource, by_length
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
        A source whose inputs are features, (items, feature_dim), pooled where the head pools; or
        one tensor (positions, feature_dim) an item, trimmed to its real positions.
    """
    modes = {module: module.training for module in model.backbone.modules()}
    model.backbone.eval()
    order = by_length(source)
    pieces = [
        _features(model, source.batch(indices).to(device))
        for indices in torch.split(order, model.backbone.eval_batch_size)
    ]
    for module, is_training in modes.items():
        module.training = is_training
    labels = source.labels
    if isinstance(labels, Tensor) and pieces[0][0].dim() == 2:
        pooled = torch.cat([values for values, _ in pieces])
        pooled = pooled[torch.argsort(order)]
        return TensorSource(pooled, labels.to(device), lengths=source.lengths)
    rows = [
        row if mask is None else row[mask[position]]
        for values, mask in pieces
        for position, row in enumerate(values)
    ]
    rows = [rows[p] for p in torch.argsort(order).tolist()]
    kept = PaddedSource(rows, labels)
    kept.lengths = source.lengths  # so that the same items meet in a batch
    return kept


def _features(model: Model, batch: Batch) -> tuple[Tensor, Tensor | None]:
    """Return the features of a batch as the head pools them, and their mask."""
    mask = model.backbone.feature_mask(batch.mask)
    return model.head.pool(model.backbone(batch.inputs, batch.mask), mask), mask
