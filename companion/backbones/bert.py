"""Encoders of BERT's architecture, as transformers has them, with their tokenizers."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from companion import checks
from companion.backbones.base import Backbone, LayerGroup
from companion.backbones.text import (
    TextEncoder,
    TextPrepare,
    check_tokenizer,
    special_ids,
    word_mask,
)
from companion.registry import BackboneCard

__all__ = ["belongs", "bert_backbone", "read_tokenizer", "tiny_tokenizer"]


def bert_backbone(
    card: BackboneCard,
    config: Mapping[str, Any],
    tokenizer: Any,
    *,
    weights: Mapping[str, Tensor] | None,
    seed: int,
    max_length: int,
    pooling: str,
) -> Backbone:
    """Return a backbone of BERT's architecture.

    Args:
        card: what is known of it.
        config: fields of transformers' `BertConfig`.
        tokenizer: a `tokenizers.Tokenizer`.
        weights: state dict of transformers' `BertModel` without pooler; `None` for random ones.
        seed: seed of the random weights.
        max_length: tokens of the longest text, at most the positions of the network.
        pooling: `"mean"` or `"cls"`.

    Raises:
        CompanionError: a tokenizer of another model, or more tokens than there are positions.

    Reference: devlin2019bert, sec. 3
    """
    from transformers import BertConfig, BertModel

    settings = BertConfig(**{**config, "attn_implementation": "sdpa"})
    padding, separator = special_ids(tokenizer)
    check_tokenizer(tokenizer, settings.vocab_size, name=card.name)
    _check_length(max_length, settings.max_position_embeddings, card.name)
    layers = range(settings.num_hidden_layers)

    def build() -> nn.Module:
        network = BertModel(settings, add_pooling_layer=False)
        return TextEncoder(network, separator=separator if settings.type_vocab_size > 1 else None)

    return Backbone(
        card,
        build,
        groups=[
            LayerGroup("embeddings", ("network.embeddings",)),
            *(LayerGroup(f"layer{i}", (f"network.encoder.layer.{i}",)) for i in layers),
        ],
        prepare=TextPrepare(tokenizer, max_length, padding),
        weights=None if weights is None else {f"network.{k}": v for k, v in weights.items()},
        seed=seed,
        feature_mask=word_mask,
        eval_batch_size=64,
        pooling=pooling,
    )


def _check_length(max_length: int, num_positions: int, name: str) -> None:
    """Refuse texts that are longer than a network has positions for."""
    checks.positive_int("max_length", max_length)
    if not 3 <= max_length <= num_positions:
        checks.fail(
            "max_length",
            got=max_length,
            expected=f"3..{num_positions}, the positions of {name}",
            do="choose fewer tokens, or leave it out",
        )


def belongs(name: str) -> bool:
    """Return whether a weight is one of the encoder: no pooler, no table of positions.

    Args:
        name: as transformers names it in `BertModel`.
    """
    return not name.startswith("pooler.") and not name.endswith("position_ids")


@functools.cache
def read_tokenizer(path: str) -> Any:
    """Return the `tokenizers.Tokenizer` of a file.

    Args:
        path: a `tokenizer.json`.
    """
    from tokenizers import Tokenizer

    return Tokenizer.from_file(path)


@functools.cache
def tiny_tokenizer() -> Any:
    """Return a tokenizer that spells words in letters: for tests and for the scale `rehearsal`."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    letters = [chr(code) for code in range(33, 127)]
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{x}" for x in letters)]
    vocabulary = {name: number for number, name in enumerate(names)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(names[:5])
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer
