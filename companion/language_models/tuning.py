"""Fine-tuning a language model: on texts, or on answers to prompts; whole, in parts, or by LoRA.

`fine_tune_` trains the parameters that require a gradient: `freeze_parts_` and `adapt_attention_`
say which those are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from companion import checks, runtime
from companion.language_models.blocks import Blocks, answer_blocks, pack_blocks
from companion.language_models.model import LanguageModel, token_nats
from companion.language_models.vocabulary import check_texts
from companion.optimisation import minimise_

__all__ = [
    "Tuning",
    "adapt_attention_",
    "fine_tune_",
    "freeze_parts_",
    "merge_attention_",
    "part_names",
    "text_blocks",
]

EMBEDDINGS, NORM = "embeddings", "norm"
FACTORS = ("lora_A", "lora_B")


@dataclass(frozen=True)
class Tuning:
    """What a fine-tuning did.

    Attributes:
        losses: nats per target token before each step.
        num_trained: how many numbers were trained.
        num_targets: how many tokens there were to predict in one pass over the texts.
        moved: for each part of the network and for the LoRA factors whether a bit of it differs
            from before.
    """

    losses: tuple[float, ...]
    num_trained: int
    num_targets: int
    moved: dict[str, bool]


def fine_tune_(
    model: LanguageModel,
    texts: Sequence[str] | Sequence[tuple[str, str]],
    *,
    num_steps: int,
    batch_size: int = 16,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-2,
    seed: int = 0,
) -> Tuning:
    """Train what is not frozen, on texts or on answers.

    Texts are packed into blocks of the model's context. Of a pair (prompt, answer) the loss counts
    the answer and its end mark alone; the prompt is read, not learned. The loss of a step is the
    mean over the target tokens of its batch.

    Args:
        model: the model.
        texts: strings, or pairs of prompt and answer.
        num_steps: optimizer steps.
        batch_size: blocks, or pairs, a step.
        learning_rate: the highest.
        weight_decay: AdamW's decay.
        seed: of the order and of dropout.

    Returns:
        What was trained, and what moved.

    Raises:
        CompanionError: no texts, texts mixed with pairs, a pair that is too long, everything
            frozen, or options out of range.

    Modifies: the parameters that require a gradient; the model is left in evaluation mode.
    """
    blocks = text_blocks(model, texts)
    size = min(checks.positive_int("batch_size", batch_size), len(blocks))
    trained = [p for p in model.network.parameters() if p.requires_grad]
    before = fingerprints(model)

    def loss(step: int) -> Tensor:
        batch = blocks.batch(_batch_indices(len(blocks), size, step, seed))
        return token_nats(model.network, batch.inputs, batch.labels).sum() / batch.num_targets

    with runtime.fork_seed(seed, "fine_tune"):
        model.network.train()
        try:
            losses = minimise_(
                loss,
                trained,
                num_steps=num_steps,
                learning_rate=learning_rate,
                weight_decay=weight_decay,
            )
        finally:
            model.network.eval()
    after = fingerprints(model)
    return Tuning(
        losses=tuple(losses),
        num_trained=sum(parameter.numel() for parameter in trained),
        num_targets=blocks.num_targets,
        moved={name: before[name] != after[name] for name in before},
    )


def _batch_indices(num_blocks: int, size: int, step: int, seed: int) -> Tensor:
    """Return which blocks a step sees: a function of (seed, step); each epoch sees each once."""
    epoch, slot = divmod(step, -(-num_blocks // size))
    order = runtime.epoch_order(num_blocks, seed=seed, epoch=epoch)
    return order[slot * size : (slot + 1) * size]


def text_blocks(model: LanguageModel, texts: Sequence[str] | Sequence[tuple[str, str]]) -> Blocks:
    """Return texts, or pairs of prompt and answer, as blocks that the model can be trained on.

    Args:
        model: for its vocabulary and its context.
        texts: strings, or pairs.

    Raises:
        CompanionError: no texts, texts mixed with pairs, or a pair that is too long.
    """
    checks.non_empty("texts", texts, do="pass at least one text, or pair")
    words = model.vocabulary
    options = {"length": model.num_positions, "end": words.end, "padding": words.padding}
    if isinstance(texts, str) or isinstance(texts[0], str):
        rows = [words.encode(text) for text in check_texts(cast("Sequence[str]", texts))]
        return pack_blocks(rows, **options)
    pairs = [_pair(position, item) for position, item in enumerate(texts)]
    return answer_blocks([(words.encode(a), words.encode(b)) for a, b in pairs], **options)


def _pair(position: int, item: object) -> tuple[str, str]:
    """Return a pair of prompt and answer."""
    if not (isinstance(item, (tuple, list)) and len(item) == 2):
        checks.fail(
            f"text {position}",
            got=f"{item!r:.40}",
            expected="a pair of prompt and answer, as the first is one",
            do="pass strings alone, or pairs alone",
        )
    return item[0], item[1]


def part_names(model: LanguageModel) -> tuple[str, ...]:
    """Return the parts of a network from input to output.

    The embeddings are the last layer as well, for they are tied.

    Args:
        model: the model.
    """
    layers = range(model.network.config.n_layer)
    return (EMBEDDINGS, *(f"layer{i}" for i in layers), NORM)


def freeze_parts_(model: LanguageModel, parts: Sequence[str]) -> None:
    """Freeze the named parts of a network, and let the others train.

    Args:
        model: the model, without LoRA factors.
        parts: names from `part_names`; an empty sequence freezes nothing.

    Raises:
        CompanionError: an unknown part, or a network with LoRA factors, whose weights are frozen
            already.

    Modifies: which parameters require a gradient.
    """
    for name in parts:
        checks.one_of("part", name, part_names(model))
    _check_plain(model)
    for name, parameter in model.network.named_parameters():
        parameter.requires_grad_(_part_of(name) not in parts)
        parameter.grad = None


def adapt_attention_(
    model: LanguageModel, *, rank: int = 8, alpha: int | None = None, seed: int = 0
) -> list[str]:
    """Freeze a network and put LoRA factors beside the attention's weights.

    GPT-2's layers are transformers' `Conv1D`: a linear layer whose weight is stored transposed,
    (inputs, outputs). peft knows it and is told so (`fan_in_fan_out`). `companion.adapters` looks
    for torch's own linear layers and would find none here.

    Args:
        model: the model.
        rank: rank of the corrections.
        alpha: their scale, the correction is multiplied by `alpha / rank`; `None` takes twice the
            rank.
        seed: of the random factors.

    Returns:
        Names of the adapted layers: of each block the one that makes queries, keys and values, and
        the one behind the heads.

    Raises:
        CompanionError: a rank that is no positive integer, or LoRA factors that are there already.

    Modifies: the network: layers are wrapped, everything but the factors is frozen.

    Reference: hu2021lora, eq. 3
    """
    from peft import LoraConfig, inject_adapter_in_model

    checks.positive_int("rank", rank)
    _check_plain(model)
    targets = [
        name
        for name, _ in model.network.named_modules()
        if name.endswith((".attn.c_attn", ".attn.c_proj"))
    ]
    config = LoraConfig(
        r=rank, lora_alpha=alpha or 2 * rank, target_modules=targets, fan_in_fan_out=True
    )
    with runtime.fork_seed(seed, "lora"):
        inject_adapter_in_model(config, model.network)
    return targets


@torch.no_grad()
def merge_attention_(model: LanguageModel) -> int:
    """Add the LoRA corrections to the weights and take the factors away.

    Args:
        model: a model with LoRA factors.

    Returns:
        How many layers were merged; 0 where there are no factors.

    Modifies: the network: it is a plain GPT-2 again, with nothing frozen.
    """
    wrapped = list(_wrapped(model.network))
    for name, layer in wrapped:
        layer.merge(safe_merge=True)
        parent, _, last = name.rpartition(".")
        setattr(model.network.get_submodule(parent), last, layer.base_layer)
    if wrapped:
        model.network.requires_grad_(True)
    return len(wrapped)


def _wrapped(network: nn.Module) -> Iterator[tuple[str, Any]]:
    """Yield the layers that peft has wrapped, by name."""
    for name, module in network.named_modules():
        if hasattr(module, "base_layer") and hasattr(module, "lora_A"):
            yield name, module


def _check_plain(model: LanguageModel) -> None:
    """Refuse a network with LoRA factors."""
    count = len(list(_wrapped(model.network)))
    if count:
        checks.fail(
            "model",
            got=f"{count} layers with LoRA factors",
            expected="a plain GPT-2",
            do="call merge_attention_ first, or start from a fresh model",
        )


def fingerprints(model: LanguageModel) -> dict[str, str]:
    """Return a SHA-256 of each part: equal if and only if no bit of it has moved.

    Args:
        model: the model.

    Returns:
        Hexadecimal digests by part; the LoRA factors, where there are any, are one of their own.
    """
    digests = {name: hashlib.sha256() for name in part_names(model)}
    for name, parameter in model.network.named_parameters():
        part = "lora" if any(mark in name for mark in FACTORS) else _part_of(name)
        digest = digests.setdefault(part, hashlib.sha256())
        digest.update(parameter.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return {name: digest.hexdigest() for name, digest in digests.items()}


def _part_of(name: str) -> str:
    """Return the part that a parameter belongs to."""
    pieces = name.removeprefix("transformer.").split(".")
    if pieces[0] == "h":
        return f"layer{pieces[1]}"
    return NORM if pieces[0] == "ln_f" else EMBEDDINGS
