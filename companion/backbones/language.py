"""Public encoders of texts from the Hub, and the list of all backbones for texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from companion import checks, runtime
from companion.backbones import minilm
from companion.backbones.base import Backbone
from companion.backbones.bert import belongs, bert_backbone, tiny_tokenizer
from companion.registry import BackboneCard

__all__ = ["CARDS", "load_public"]


def load_public(
    card: BackboneCard,
    *,
    pretrained: bool,
    seed: int,
    max_length: int | None,
    pooling: str | None,
) -> Backbone:
    """Load a public encoder of BERT's architecture from the Hub; at `rehearsal` a tiny random one.

    Args:
        card: its card; `source` names the Hub's repository and revision.
        pretrained: whether to load the public weights.
        seed: seed of the random weights where they are not.
        max_length: tokens of the longest text; `None` takes 128.
        pooling: `"cls"`, as it was trained, or `"mean"`; `None` takes `"cls"`.

    Raises:
        CompanionError: no network, or more tokens than there are positions.
    """
    length, kind = max_length or 128, pooling or "cls"
    if runtime.scale() == "rehearsal":
        tokenizer = tiny_tokenizer()
        config = TINY | {
            "vocab_size": tokenizer.get_vocab_size(),
            "hidden_size": card.feature_dim,
            "num_attention_heads": card.feature_dim // 64,
        }
        return bert_backbone(
            card, config, tokenizer, weights=None, seed=seed, max_length=length, pooling=kind
        )
    config, tokenizer, weights = _from_hub(card, pretrained=pretrained)
    return bert_backbone(
        card, config, tokenizer, weights=weights, seed=seed, max_length=length, pooling=kind
    )


def _from_hub(
    card: BackboneCard, *, pretrained: bool
) -> tuple[dict[str, Any], Any, dict[str, Tensor] | None]:
    """Return configuration, tokenizer and, where asked for, the weights of a public encoder.

    Raises:
        CompanionError: they cannot be had.
    """
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    repository, revision = card.source.split("@")
    weights = None
    try:
        config = AutoConfig.from_pretrained(repository, revision=revision).to_dict()
        tokenizer = AutoTokenizer.from_pretrained(repository, revision=revision).backend_tokenizer
        if pretrained:
            network = AutoModel.from_pretrained(
                repository, revision=revision, use_safetensors=True, dtype=torch.float32
            )
            weights = {k: v for k, v in network.state_dict().items() if belongs(k)}
    except OSError as error:  # of transformers too, where there is no network
        checks.fail(
            f"files of {card.name!r}",
            got=str(error).splitlines()[0] if str(error) else type(error).__name__,
            expected=f"{card.size_bytes / 1e6:.0f} MB from the Hub's {repository}",
            do="go online once, or load 'minilm', which needs no network",
        )
    return config, tokenizer, weights


TINY = {
    "num_hidden_layers": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 512,
}
"""What stands for a public encoder where none can be had."""


CARDS: tuple[tuple[BackboneCard, Callable[..., Backbone]], ...] = (
    (minilm.CARD, minilm.load),
    (
        BackboneCard(
            name="bert_base_uncased",
            title="BERT base",
            modality="language",
            feature_dim=768,
            licence="Apache-2.0",
            source="google-bert/bert-base-uncased@main",
            size_bytes=440_449_768,
            pretrained_on=("bookcorpus", "wikipedia"),
            paper="devlin2019bert",
        ),
        load_public,
    ),
    (
        BackboneCard(
            name="bert_base_multilingual",
            title="multilingual BERT base",
            modality="language",
            feature_dim=768,
            licence="Apache-2.0",
            source="google-bert/bert-base-multilingual-cased@main",
            size_bytes=714_290_682,
            pretrained_on=("wikipedia",),
            paper="devlin2019bert",
            notes="Wikipedia in 104 languages",
        ),
        load_public,
    ),
)
