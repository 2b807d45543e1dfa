r"""LoRA: train a low-rank correction of a frozen layer.

`LoRALinear` and `LoRAConv2d` are the method in readable lines, for study and as the oracle of the
tests. `add_lora_` puts peft's implementation into a backbone; the strategy `lora` uses it.

With $W_0$ the frozen weight, the layer computes $W_0 x + \frac{\alpha}{r} B A x$; $A$ starts
random, $B$ starts at zero, so that training starts from the pretrained function.

Reference: hu2021lora, eq. 3
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from companion import checks, runtime
from companion.heads import Model

__all__ = ["LoRAConv2d", "LoRALinear", "add_lora_", "lora_layers", "merge_", "unmerge_"]


class LoRALinear(nn.Module):
    """A frozen linear layer and a trained low-rank correction.

    Args:
        base: the layer; its parameters are frozen.
        rank: rank of the correction.
        alpha: its scale; the correction is multiplied by `alpha / rank`.

    Reference: hu2021lora, eq. 3
    """

    def __init__(self, base: nn.Linear, *, rank: int, alpha: float):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.scaling = alpha / checks.positive_int("rank", rank)
        self.lora_A = nn.Linear(base.in_features, rank, bias=False)
        self.lora_B = nn.Linear(rank, base.out_features, bias=False)
        nn.init.kaiming_uniform_(self.lora_A.weight, a=math.sqrt(5))
        nn.init.zeros_(self.lora_B.weight)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs, (..., out_features), of inputs (..., in_features)."""
        correction: Tensor = self.lora_B(self.lora_A(inputs))
        outputs: Tensor = self.base(inputs) + self.scaling * correction
        return outputs

    def delta(self) -> Tensor:
        """Return the correction of the weight, (out_features, in_features)."""
        product: Tensor = self.lora_B.weight @ self.lora_A.weight
        return self.scaling * product


class LoRAConv2d(nn.Module):
    """A frozen convolution and a correction through `rank` channels.

    Args:
        base: the convolution, ungrouped; its parameters are frozen.
        rank: channels of the correction between its two convolutions.
        alpha: its scale; the correction is multiplied by `alpha / rank`.

    Reference: hu2021lora, eq. 3, with the kernel reshaped to a matrix
    """

    def __init__(self, base: nn.Conv2d, *, rank: int, alpha: float):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.scaling = alpha / checks.positive_int("rank", rank)
        shape: dict[str, Any] = {"stride": base.stride, "padding": base.padding, "bias": False}
        size: Any = base.kernel_size
        self.lora_A = nn.Conv2d(base.in_channels, rank, size, **shape)
        self.lora_B = nn.Conv2d(rank, base.out_channels, 1, bias=False)
        nn.init.kaiming_uniform_(self.lora_A.weight, a=math.sqrt(5))
        nn.init.zeros_(self.lora_B.weight)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs, (batch, out_channels, height, width)."""
        correction: Tensor = self.lora_B(self.lora_A(inputs))
        outputs: Tensor = self.base(inputs) + self.scaling * correction
        return outputs

    def delta(self) -> Tensor:
        """Return the correction of the kernel, shaped as the kernel."""
        rank = self.lora_A.weight.shape[0]
        product = self.lora_B.weight.reshape(-1, rank) @ self.lora_A.weight.reshape(rank, -1)
        return self.scaling * product.reshape(self.base.weight.shape)


def add_lora_(model: Model, *, rank: int, alpha: int | None = None, seed: int = 0) -> list[str]:
    """Put peft's LoRA factors beside every linear and convolutional layer of the backbone.

    Args:
        model: the model; its head is left as it is.
        rank: rank of the corrections.
        alpha: their scale; `None` takes twice the rank.
        seed: seed of the random factors.

    Returns:
        Names of the adapted layers within the encoder.

    Raises:
        CompanionError: the rank is not a positive integer, the backbone has no layer to adapt,
            or it holds LoRA factors already.

    Modifies: the model: layers are wrapped, everything in the backbone but the factors is frozen.
    """
    from peft import LoraConfig, inject_adapter_in_model

    checks.positive_int("rank", rank)
    encoder = model.backbone.encoder
    targets = _adaptable(encoder)
    if not targets or any(lora_layers(model)):
        checks.fail(
            "LoRA",
            got=f"{len(targets)} layers to adapt in {model.backbone.name!r}, "
            f"{len(list(lora_layers(model)))} adapted already",
            expected="at least one linear or convolutional layer and no LoRA factors yet",
            do="start from a fresh backbone",
        )
    config = LoraConfig(r=rank, lora_alpha=alpha or 2 * rank, target_modules=targets)
    with runtime.fork_seed(seed, "lora"):
        inject_adapter_in_model(config, encoder)
    return targets


def _adaptable(encoder: nn.Module) -> list[str]:
    """Return the names of layers that LoRA can adapt."""
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d)
    return [
        name
        for name, module in encoder.named_modules()
        if isinstance(module, kinds) and getattr(module, "groups", 1) == 1
    ]


def lora_layers(model: Model) -> Iterator[nn.Module]:
    """Yield the layers that peft has wrapped."""
    for module in model.backbone.encoder.modules():
        if hasattr(module, "base_layer") and hasattr(module, "lora_A"):
            yield module


@torch.no_grad()
def merge_(model: Model) -> int:
    """Add the corrections to the weights, so that a forward pass costs what it cost before.

    Args:
        model: a model with LoRA factors.

    Returns:
        How many layers were merged; those that are merged already count as zero.

    Modifies: the adapted weights.
    """
    waiting: list[Any] = [layer for layer in lora_layers(model) if not _is_merged(layer)]
    for layer in waiting:
        layer.merge(safe_merge=True)
    return len(waiting)


@torch.no_grad()
def unmerge_(model: Model) -> int:
    """Take the corrections out of the weights again, equal up to rounding.

    Args:
        model: a model with merged LoRA factors.

    Returns:
        How many layers were unmerged.

    Modifies: the adapted weights.
    """
    merged: list[Any] = [layer for layer in lora_layers(model) if _is_merged(layer)]
    for layer in merged:
        layer.unmerge()
    return len(merged)


def _is_merged(layer: Any) -> bool:
    """Return whether peft has added the correction to the weight."""
    return bool(layer.merged)
