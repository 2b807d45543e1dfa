"""Images, tokens and waveforms become one kind of batch.

A `BatchSource` turns positions into a `Batch`. The training loop and the evaluation know nothing
else of the data: whether items are stacked, padded, or read from disk is decided here.
"""

from companion.batches.augment import BoxAugment, ImageAugment
from companion.batches.sources import (
    IGNORE_LABEL,
    Augmentation,
    Batch,
    BatchSource,
    BoxAugmentation,
    DetectionSource,
    LazySource,
    PaddedSource,
    TensorSource,
    by_length,
    pad_sequences,
)

__all__ = [
    "IGNORE_LABEL",
    "Augmentation",
    "Batch",
    "BatchSource",
    "BoxAugment",
    "BoxAugmentation",
    "DetectionSource",
    "ImageAugment",
    "LazySource",
    "PaddedSource",
    "TensorSource",
    "by_length",
    "pad_sequences",
]
