"""Question 7: what does `fit` cost for a detector beside the usual torchvision loop?"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn

import companion
from benchmarks import timing
from benchmarks.tasks import LEARNING_RATE, SEED, cosine
from companion.backbones import Backbone, spotnet
from companion.heads import OneStageHead, build_head
from companion.runtime import epoch_order
from companion.splits import Splits
from companion.training import Recipe

__all__ = ["FIT", "LOOP", "WAYS", "report"]

NUM_IMAGES, BATCH_SIZE, NUM_EPOCHS = 48, 8, 4
AT_MOST = 1.0
LOOP, FIT = "the torchvision loop", "fit"


def scenes() -> Splits:
    """Return scenes of digits to train on, without val."""
    drawn = companion.load_dataset("digit_scenes", labels_per_class=NUM_IMAGES, seed=SEED)
    return drawn.redraw(seed=SEED, labels_per_class=NUM_IMAGES, val_per_class=0)


def start() -> Backbone:
    """Return the one-stage detector's backbone with random weights, the same each time."""
    return companion.load_backbone("spotnet", pretrained=False, seed=SEED)


class Maps(nn.Module):
    """The encoder in the form of torchvision's backbones: one map by its name.

    Args:
        encoder: returns positions, (batch, positions, channels).
    """

    out_channels = spotnet.FEATURE_DIM

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """Return the map, (batch, channels, side, side), by its name."""
        rows = self.encoder(images).transpose(1, 2)
        side = spotnet.MAP_SIDE
        return OrderedDict([("0", rows.reshape(len(rows), -1, side, side))])


def torchvision_detector(backbone: Backbone, splits: Splits) -> nn.Module:
    """Return torchvision's FCOS, preprocessing included, with the weights that `fit` begins with.

    Args:
        backbone: the encoder, which becomes a part of the detector.
        splits: tell the classes.
    """
    from torchvision.models.detection import FCOS

    head = build_head(backbone, splits.train, seed=SEED)
    assert isinstance(head, OneStageHead)
    return FCOS(
        Maps(backbone.encoder),
        len(splits.train.classes),
        min_size=spotnet.IMAGE_SIZE,
        max_size=spotnet.IMAGE_SIZE,
        image_mean=[spotnet.MEAN] * 3,
        image_std=[spotnet.STD] * 3,
        anchor_generator=head.detector.anchor_generator,
        head=head.detector.head,
    )


def with_torchvision(backbone: Backbone, splits: Splits) -> nn.Module:
    """Train as in torchvision's own examples: lists of images and targets in, losses out.

    Fused AdamW along a cosine, nothing else, as `with_fit` is told.
    """
    model = torchvision_detector(backbone, splits).train()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, weight_decay=0.0, fused=True
    )
    images, labels, step = splits.train.inputs, splits.train.labels, 0
    num_steps = NUM_EPOCHS * len(labels) // BATCH_SIZE
    for epoch in range(NUM_EPOCHS):
        order = epoch_order(len(labels), seed=SEED, epoch=epoch)
        for indices in torch.split(order, BATCH_SIZE):
            optimizer.param_groups[0]["lr"] = LEARNING_RATE * cosine(step, num_steps)
            pictures = [images[i].float() / 255 for i in indices.tolist()]
            targets = [
                {"boxes": labels[i][:, 1:] * spotnet.IMAGE_SIZE, "labels": labels[i][:, 0].long()}
                for i in indices.tolist()
            ]
            loss = sum(model(pictures, targets).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
    return nn.ModuleList([model.backbone.encoder, model.head])


def with_fit(backbone: Backbone, splits: Splits) -> nn.Module:
    """Train with `companion.fit`: a cosine without warm-up; no decay, clipping or val."""
    recipe = Recipe(
        epochs=NUM_EPOCHS,
        min_steps=1,
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        weight_decay=0.0,
        warmup_fraction=0.0,
        max_grad_norm=None,
    )
    model = companion.fit(
        backbone, splits, strategy="full", seed=SEED, recipe=recipe, device="cpu", progress=False
    ).model
    head = model.head
    assert isinstance(head, OneStageHead)
    return nn.ModuleList([model.backbone.encoder, head.detector.head])


WAYS: dict[str, Callable[[Backbone, Splits], nn.Module]] = {LOOP: with_torchvision, FIT: with_fit}


def prepare(way: str) -> Callable[[], object]:
    """Return a training without arguments; pictures are drawn and libraries imported here."""
    splits = scenes()
    start()
    return functools.partial(_run, way, splits)


def _run(way: str, splits: Splits) -> nn.Module:
    """Train a detector with fresh weights."""
    return WAYS[way](start(), splits)


def report(rounds: int) -> str:
    """Train the same detector in both ways and return the table."""
    contestants = {way: timing.Contestant(prepare, (way,)) for way in WAYS}
    found = timing.measure(contestants, rounds=rounds)
    measured = timing.ratios(found, reference=LOOP)
    rows = [
        [way, f"{ratio.wall:.3f}", f"{ratio.low:.3f}-{ratio.high:.3f}", f"{ratio.cpu:.3f}"]
        for way, ratio in measured.items()
    ]
    ours = measured[FIT].wall
    steps = NUM_EPOCHS * NUM_IMAGES // BATCH_SIZE
    return "\n\n".join(
        [
            "## 7. Training a detector",
            f"One stage, {steps} steps of {BATCH_SIZE} scenes of {spotnet.IMAGE_SIZE} x "
            f"{spotnet.IMAGE_SIZE} pixels, 1 thread, {rounds} rounds.",
            timing.table(["", "time", "range", "CPU time"], rows),
            f"Target: fit at most {AT_MOST:.2f} of the loop. "
            + timing.met(ours, at_most=AT_MOST, shown=f"{ours:.3f}"),
        ]
    )
