"""Fine-tuning a language model: what is learned, what stays, LoRA on transposed layers."""

from __future__ import annotations

import copy

import pytest
import torch
from tiny_language_models import TEXTS, tiny_model
from torch.nn import functional

from companion.checks import CompanionError
from companion.language_models import (
    adapt_attention_,
    fine_tune_,
    freeze_parts_,
    load_language_model,
    merge_attention_,
    part_names,
    save_language_model,
    score_texts,
    tuning,
)
from companion.optimisation import minimise_

PAIRS = [("Return the", " mean"), ("An array of", " values"), ("Raise an", " error or two")]


def weights(model):
    return {k: v.detach().clone() for k, v in model.network.state_dict().items()}


def changed(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_texts_are_learned():
    model = tiny_model(num_positions=32)
    before = score_texts(model, TEXTS).bits_per_byte
    found = fine_tune_(model, TEXTS, num_steps=60, batch_size=2, learning_rate=0.02)
    assert score_texts(model, TEXTS).bits_per_byte < 0.75 * before
    assert len(found.losses) == 60
    assert found.num_trained == model.num_parameters
    assert found.moved == dict.fromkeys(part_names(model), True)
    assert found.num_targets == sum(len(model.vocabulary.encode(t)) + 1 for t in TEXTS)
    assert not model.network.training


def test_steps_are_those_of_transformers_loss():
    """One step on all pairs: the same weights as a step on the loss that transformers computes."""
    ours, theirs = tiny_model(num_positions=32), tiny_model(num_positions=32)
    encode = ours.vocabulary.encode
    rows, labels = [], []
    for prompt, answer in PAIRS:
        row = [0, *encode(prompt), *encode(answer), 0]
        rows.append(row)
        labels.append([-100] * (1 + len(encode(prompt))) + [*encode(answer), 0])
    longest = max(map(len, rows))
    inputs = torch.tensor([row + [1] * (longest - len(row)) for row in rows])
    targets = torch.tensor([row + [-100] * (longest - len(row)) for row in labels])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])

    def loss(step):
        return theirs.network(inputs, attention_mask=mask, labels=targets).loss

    expected = minimise_(loss, theirs.network.parameters(), num_steps=3, learning_rate=0.01)
    found = fine_tune_(ours, PAIRS, num_steps=3, batch_size=3, learning_rate=0.01)
    assert found.losses == pytest.approx(expected, rel=1e-4)
    assert found.num_targets == sum(len(encode(answer)) + 1 for _, answer in PAIRS)
    # A shift of all keys changes no attention: its gradient is rounding alone, which Adam scales.
    expected = {k: v for k, v in weights(theirs).items() if not k.endswith("c_attn.bias")}
    for name, tensor in expected.items():
        assert torch.allclose(weights(ours)[name], tensor, atol=1e-3), name


def test_a_prompt_is_read_and_not_learned():
    """Its tokens take part as inputs, but no gradient asks for them as outputs."""
    model = tiny_model(num_positions=32)
    blocks = tuning.text_blocks(model, PAIRS[:1])
    logits = model.network(blocks.inputs).logits
    logits.retain_grad()
    functional.cross_entropy(logits.transpose(1, 2), blocks.labels).backward()
    num_prompt = len(model.vocabulary.encode(PAIRS[0][0]))
    per_position = logits.grad[0].abs().sum(dim=-1)
    assert per_position[:num_prompt].tolist() == [0.0] * num_prompt
    assert per_position[num_prompt:].min() > 0
    other = tuning.text_blocks(model, [("Compute the", PAIRS[0][1])])
    assert not torch.equal(other.inputs, blocks.inputs)


def test_equal_seeds_give_equal_bits_and_leave_the_world_alone():
    state = torch.random.get_rng_state()
    models = [tiny_model(num_positions=8, dropout=0.1) for _ in range(3)]
    found = [
        fine_tune_(model, TEXTS, num_steps=5, batch_size=2, seed=seed)
        for model, seed in zip(models, (1, 1, 2), strict=True)
    ]
    assert found[0] == found[1]
    assert found[0].losses != found[2].losses
    assert not changed(weights(models[0]), weights(models[1]))
    assert torch.equal(state, torch.random.get_rng_state())


def test_each_epoch_sees_each_block_once():
    seen = [tuning._batch_indices(7, 3, step, 0).tolist() for step in range(6)]
    for epoch in (seen[:3], seen[3:]):
        assert sorted(sum(epoch, [])) == list(range(7))
    assert seen[:3] != seen[3:]


def test_frozen_parts_stay():
    model = tiny_model(num_positions=32)
    frozen = ["embeddings", "layer0"]
    freeze_parts_(model, frozen)
    before = weights(model)
    found = fine_tune_(model, TEXTS, num_steps=3, learning_rate=0.01)
    moved = changed(before, weights(model))
    names = {name for name, _ in model.network.named_parameters()}
    assert moved == {n for n in names if ".h.1." in n or "ln_f" in n}
    assert found.moved == {"embeddings": False, "layer0": False, "layer1": True, "norm": True}
    assert found.num_trained == sum(before[name].numel() for name in moved)
    freeze_parts_(model, [])
    assert all(parameter.requires_grad for parameter in model.network.parameters())


def test_lora_trains_its_factors_alone(tmp_path):
    model = tiny_model(num_positions=32)
    plain = weights(model)
    start = model.score(TEXTS[:1])[0]
    targets = adapt_attention_(model, rank=3, seed=1)
    assert targets == [
        f"transformer.h.{i}.attn.{name}" for i in (0, 1) for name in ("c_attn", "c_proj")
    ]
    assert torch.equal(model.score(TEXTS[:1])[0], start)
    assert model.network.transformer.h[0].attn.c_attn.scaling == {"default": 2.0}
    trained = {n for n, p in model.network.named_parameters() if p.requires_grad}
    assert len(trained) == 8
    assert all("lora_" in name for name in trained)
    found = fine_tune_(model, TEXTS, num_steps=20, learning_rate=0.02)
    assert found.moved == {**dict.fromkeys(part_names(model), False), "lora": True}
    assert found.num_trained == 2 * 3 * ((16 + 48) + (16 + 16))
    assert found.losses[-1] < found.losses[0]
    after = {k.replace(".base_layer.", "."): v for k, v in weights(model).items()}
    assert not changed(plain, {k: after[k] for k in plain})
    with pytest.raises(CompanionError, match="LoRA factors; expected plain weights"):
        save_language_model(model, tmp_path / "tiny")


def test_merging_writes_the_transposed_product():
    """Conv1D keeps (inputs, outputs): the correction is the product of the factors, transposed."""
    model = tiny_model(num_positions=32)
    plain = weights(model)
    adapt_attention_(model, rank=2, alpha=6)
    fine_tune_(model, TEXTS, num_steps=10, learning_rate=0.02)
    layer = model.network.transformer.h[0].attn.c_attn
    factors = [layer.lora_B["default"].weight, layer.lora_A["default"].weight]
    correction = 3.0 * (factors[0] @ factors[1]).T.detach()
    adapted = model.score(TEXTS)
    assert merge_attention_(model) == 4
    merged = weights(model)
    assert set(merged) == set(plain)
    name = "transformer.h.0.attn.c_attn.weight"
    assert correction.abs().max() > 1e-3
    assert torch.allclose(merged[name], plain[name] + correction, atol=1e-6)
    for row, expected in zip(model.score(TEXTS), adapted, strict=True):
        assert torch.allclose(row, expected, rtol=1e-3)
    assert changed(plain, merged) == {
        f"transformer.h.{i}.attn.{name}.weight" for i in (0, 1) for name in ("c_attn", "c_proj")
    }
    assert all(parameter.requires_grad for parameter in model.network.parameters())
    assert merge_attention_(model) == 0


def test_a_merged_model_is_saved_as_a_plain_one(tmp_path):
    model = tiny_model(num_positions=32)
    adapt_attention_(model, rank=2)
    fine_tune_(model, TEXTS, num_steps=3, learning_rate=0.02)
    merge_attention_(model)
    loaded = load_language_model(save_language_model(model, tmp_path / "tiny"))
    assert score_texts(loaded, TEXTS).bits_per_byte == pytest.approx(
        score_texts(model, TEXTS).bits_per_byte, rel=1e-2
    )


def test_random_factors_follow_the_seed():
    one, two, other = (tiny_model() for _ in range(3))
    for model, seed in ((one, 0), (two, 0), (other, 1)):
        adapt_attention_(model, rank=2, seed=seed)
    assert not changed(weights(one), weights(two))
    assert all("lora_A" in name for name in changed(weights(one), weights(other)))
    assert changed(weights(one), weights(other))


def test_bad_input():
    model = tiny_model()
    with pytest.raises(CompanionError, match="text 1: got 'b'; expected a pair"):
        fine_tune_(model, [("a", "b"), "b"], num_steps=1)
    with pytest.raises(CompanionError, match=r"text 1: got \('a', 'b'\), a tuple"):
        fine_tune_(model, ["b", ("a", "b")], num_steps=1)
    with pytest.raises(CompanionError, match="texts: got nothing"):
        fine_tune_(model, [], num_steps=1)
    with pytest.raises(CompanionError, match="pair 0: got .* tokens of prompt and 0 of answer"):
        fine_tune_(model, [("a", "")], num_steps=1)
    with pytest.raises(CompanionError, match="batch_size: got 0"):
        fine_tune_(model, TEXTS, num_steps=1, batch_size=0)
    with pytest.raises(CompanionError, match="part: got 'layer9'"):
        freeze_parts_(model, ["layer9"])
    freeze_parts_(model, part_names(model))
    with pytest.raises(CompanionError, match="parameters: got nothing"):
        fine_tune_(model, TEXTS, num_steps=1)
    with pytest.raises(CompanionError, match="rank: got 0"):
        adapt_attention_(model, rank=0)
    adapted = copy.deepcopy(model)
    adapt_attention_(adapted)
    with pytest.raises(CompanionError, match="4 layers with LoRA factors; expected a plain GPT-2"):
        adapt_attention_(adapted)
    with pytest.raises(CompanionError, match="4 layers with LoRA factors; expected a plain GPT-2"):
        freeze_parts_(adapted, [])
