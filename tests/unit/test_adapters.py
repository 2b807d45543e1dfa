"""LoRA: ours and peft's agree, start from the pretrained function, merge and unmerge."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from companion.adapters import LoRAConv2d, LoRALinear, add_lora_, lora_layers, merge_, unmerge_
from companion.checks import CompanionError
from companion.heads import Model, build_head


@pytest.fixture
def model(case) -> Model:
    train = case.splits.train
    return Model(case.backbone, build_head(case.backbone, train, seed=0), train.classes).eval()


def _logits(model: Model, case) -> torch.Tensor:
    batch = model.backbone.prepare(case.splits.train).batch(torch.arange(5))
    with torch.no_grad():
        return model(batch.inputs, batch.mask)


def _disturb(model: Model) -> None:
    """Give every second factor values, as training would."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for layer in lora_layers(model):
            for factor in layer.lora_B.parameters():
                factor.copy_(torch.randn(factor.shape, generator=generator) * 0.1)


def _ours(base: nn.Module, rank: int, alpha: float) -> nn.Module:
    kind = LoRALinear if isinstance(base, nn.Linear) else LoRAConv2d
    return kind(base, rank=rank, alpha=alpha)


@pytest.mark.parametrize(
    ("base", "inputs"),
    [
        (nn.Linear(6, 5), torch.randn(3, 6, generator=torch.Generator().manual_seed(2))),
        (
            nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False),
            torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(2)),
        ),
        (nn.Conv2d(3, 4, 1), torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(2))),
    ],
)
def test_ours_is_peft_and_is_the_formula(base, inputs):
    from peft import LoraConfig, inject_adapter_in_model

    ours = _ours(base, rank=2, alpha=6)
    holder = nn.Sequential(base)
    inject_adapter_in_model(LoraConfig(r=2, lora_alpha=6, target_modules=["0"]), holder)
    theirs = holder[0]
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for own, other in (
            (ours.lora_A, theirs.lora_A["default"]),
            (ours.lora_B, theirs.lora_B["default"]),
        ):
            own.weight.copy_(torch.randn(own.weight.shape, generator=generator))
            other.weight.copy_(own.weight)
    expected = base(inputs)
    assert not torch.allclose(ours(inputs), expected)
    assert torch.allclose(ours(inputs), holder(inputs), atol=1e-5)
    merged = {**dict(base.named_parameters()), "weight": base.weight + ours.delta()}
    by_formula = torch.func.functional_call(base, merged, (inputs,))
    assert torch.allclose(ours(inputs), by_formula, atol=1e-4)


def test_scaling_is_alpha_over_rank():
    layer = LoRALinear(nn.Linear(3, 3), rank=4, alpha=8)
    with torch.no_grad():
        layer.lora_A.weight.fill_(1)
        layer.lora_B.weight.fill_(1)
    assert layer.delta().tolist() == [[8.0] * 3] * 3
    assert not layer.base.weight.requires_grad
    with pytest.raises(CompanionError, match="rank: got 0"):
        LoRALinear(nn.Linear(3, 3), rank=0, alpha=1)


def test_a_new_adapter_computes_the_pretrained_function(model, case):
    before = _logits(model, case)
    names = add_lora_(model, rank=2)
    assert torch.equal(_logits(model, case), before)
    assert len(names) == len(list(lora_layers(model))) >= 2
    trainable = {n for n, p in model.backbone.named_parameters() if p.requires_grad}
    assert trainable
    assert all("lora_" in name for name in trainable)


def test_merge_is_exact_and_unmerge_goes_back(model, case):
    before = _logits(model, case)
    add_lora_(model, rank=2)
    _disturb(model)
    adapted = _logits(model, case)
    assert not torch.allclose(adapted, before, atol=1e-4)
    count = merge_(model)
    assert count == len(list(lora_layers(model)))
    assert merge_(model) == 0
    assert torch.allclose(_logits(model, case), adapted, atol=1e-4)
    assert unmerge_(model) == count
    assert torch.allclose(_logits(model, case), adapted, atol=1e-4)


def test_factors_are_seeded(images):
    def factors(seed: int) -> torch.Tensor:
        import copy

        body = copy.deepcopy(images.backbone)
        model = Model(
            body, build_head(images.backbone, images.splits.train, seed=0), ("a", "b", "c")
        )
        add_lora_(model, rank=2, seed=seed)
        return next(iter(lora_layers(model))).lora_A["default"].weight

    torch.manual_seed(5)
    first = factors(0)
    torch.manual_seed(6)
    assert torch.equal(first, factors(0))
    assert not torch.equal(first, factors(1))


def test_adapting_twice_and_rank_zero_are_refused(model):
    with pytest.raises(CompanionError, match="rank: got 0"):
        add_lora_(model, rank=0)
    add_lora_(model, rank=1)
    with pytest.raises(CompanionError, match="LoRA: got .* adapted already"):
        add_lora_(model, rank=1)
