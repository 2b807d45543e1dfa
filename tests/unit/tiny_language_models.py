"""Texts, a vocabulary and a GPT-2 that are small enough for every test to build its own."""

from __future__ import annotations

import functools

from companion.language_models import (
    GPTShape,
    LanguageModel,
    Vocabulary,
    build_gpt,
    train_vocabulary,
)

TEXTS = (
    "Return the mean of the values along an axis.",
    "Return the sum of the values.",
    "Compute the mean and the variance of an array.",
    "An array of values, or nothing.",
    "Raise an error where the axis is out of range.",
)
LONG = " ".join(TEXTS)


@functools.cache
def vocabulary() -> Vocabulary:
    """Return 300 tokens trained on the texts; nothing in it changes."""
    return train_vocabulary(TEXTS, size=300)


def tiny_model(*, seed: int = 0, num_positions: int = 16, dropout: float = 0.0) -> LanguageModel:
    """Return a two-layer GPT-2 whose random weights are large enough to tell contexts apart."""
    words = vocabulary()
    shape = GPTShape(
        len(words),
        width=16,
        num_layers=2,
        num_heads=2,
        num_positions=num_positions,
        dropout=dropout,
    )
    network = build_gpt(shape, end=words.end, padding=words.padding, seed=seed)
    for parameter in network.parameters():
        if parameter.dim() > 1:
            parameter.data.mul_(15.0)
    return LanguageModel(network, words)
