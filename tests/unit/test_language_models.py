"""Blocks, windows, the network, its files, and bits per byte."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from tiny_language_models import LONG, TEXTS, tiny_model, vocabulary
from torch.nn import functional

from companion import language_models, runtime
from companion.assets import RemoteFile
from companion.checks import CompanionError
from companion.language_models import (
    GPTShape,
    LanguageModel,
    answer_blocks,
    build_gpt,
    cut_windows,
    difference_in_bits,
    files,
    load_language_model,
    model,
    pack_blocks,
    save_language_model,
    score_texts,
    tiny_vocabulary,
    token_nats,
)


def test_blocks_learn_each_token_once():
    rows = [[5, 6, 7], [8], [9, 10]]
    blocks = pack_blocks(rows, length=4, end=0, padding=1)
    assert blocks.inputs.tolist() == [[0, 5, 6, 7], [0, 8, 0, 9], [10, 1, 1, 1]]
    assert blocks.labels.tolist() == [[5, 6, 7, 0], [8, 0, 9, 10], [0, -100, -100, -100]]
    assert blocks.num_targets == sum(len(row) + 1 for row in rows)
    assert len(blocks) == 3


def test_blocks_that_end_with_a_block():
    blocks = pack_blocks([[5, 6, 7]], length=4, end=0, padding=1)
    assert blocks.inputs.tolist() == [[0, 5, 6, 7]]
    assert blocks.labels.tolist() == [[5, 6, 7, 0]]


def test_answers_alone_are_learned():
    pairs = [([5, 6], [7]), ([], [8, 9])]
    blocks = answer_blocks(pairs, length=4, end=0, padding=1)
    assert blocks.inputs.tolist() == [[0, 5, 6, 7], [0, 8, 9, 1]]
    assert blocks.labels.tolist() == [[-100, -100, 7, 0], [8, 9, 0, -100]]
    assert blocks.num_targets == 5


def test_a_batch_is_cut_to_its_longest():
    blocks = answer_blocks([([5, 6], [7]), ([], [8])], length=9, end=0, padding=1)
    assert blocks.inputs.shape == (2, 4)
    short = blocks.batch(torch.tensor([1]))
    assert short.inputs.tolist() == [[0, 8]]
    assert short.labels.tolist() == [[8, 0]]


@pytest.mark.parametrize("num_positions", [1, 7, 8, 9, 23, 40])
@pytest.mark.parametrize("stride", [1, 3, 8])
def test_windows_score_each_position_once(num_positions, stride):
    windows = cut_windows(num_positions, length=8, stride=stride)
    scored = [i for w in windows for i in range(w.first, w.stop)]
    assert scored == list(range(num_positions))
    assert all(w.stop - w.start <= 8 for w in windows)
    for window in windows:
        for position in range(window.first, window.stop):
            assert position - window.start >= min(position, 8 - stride)


def test_bad_blocks_and_windows():
    with pytest.raises(CompanionError, match="stride: got 9; expected 1..8"):
        cut_windows(20, length=8, stride=9)
    with pytest.raises(CompanionError, match="rows: got nothing"):
        pack_blocks([], length=4, end=0, padding=1)
    with pytest.raises(CompanionError, match="pair 1: got 2 tokens of prompt and 2 of answer"):
        answer_blocks([([5], [6]), ([5, 6], [7, 8])], length=4, end=0, padding=1)
    with pytest.raises(CompanionError, match="pair 0: got 2 tokens of prompt and 0 of answer"):
        answer_blocks([([5, 6], [])], length=4, end=0, padding=1)


def slow_nats(subject: LanguageModel, ids: list[int]) -> list[float]:
    """One forward pass a token, the softmax written out."""
    found = []
    for position in range(1, len(ids)):
        context = torch.tensor([ids[max(0, position - subject.num_positions) : position]])
        with torch.no_grad():
            logits = subject.network(context).logits[0, -1].double()
        shares = logits.exp() / logits.exp().sum()
        found.append(-math.log(shares[ids[position]]))
    return found


def test_score_is_the_slow_loop():
    subject = tiny_model(num_positions=64)
    found = subject.score(TEXTS)
    for text, row in zip(TEXTS, found, strict=True):
        ids = [0, *subject.vocabulary.encode(text), 0]
        assert row.tolist() == pytest.approx(slow_nats(subject, ids), rel=1e-4)
        assert row.dtype == torch.float64
        assert row.std() > 0.5


def test_score_is_the_loss_of_transformers():
    """Its own shift of the labels, its own padding, its own mean."""
    subject = tiny_model(num_positions=64)
    rows = [[0, *subject.vocabulary.encode(text), 0] for text in TEXTS]
    longest = max(map(len, rows))
    inputs = torch.tensor([row + [1] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    with torch.no_grad():
        theirs = subject.network(
            inputs, attention_mask=mask, labels=inputs.masked_fill(mask == 0, -100)
        ).loss
    ours = torch.cat(subject.score(TEXTS)).mean()
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)


def test_a_long_text_is_read_in_windows():
    """With a stride of one every token has the whole context; wider ones have what they promise."""
    subject = tiny_model(num_positions=16)
    ids = [0, *subject.vocabulary.encode(LONG), 0]
    assert len(ids) > 3 * 16
    assert subject.score([LONG], stride=1)[0].tolist() == pytest.approx(
        slow_nats(subject, ids), rel=1e-4
    )
    expected = []
    for start, first, stop in [(0, 0, 16), (12, 16, 28)]:
        window = torch.tensor([ids[start:stop]])
        with torch.no_grad():
            shares = subject.network(window).logits[0].log_softmax(dim=-1)
        expected += [-float(shares[i - start, ids[i + 1]]) for i in range(first, stop)]
    assert subject.score([LONG], stride=12)[0][:28].tolist() == pytest.approx(expected, rel=1e-4)


def test_neighbours_padding_and_mode_change_nothing(monkeypatch):
    subject = tiny_model(num_positions=64, dropout=0.5)
    alone = [subject.score([text])[0] for text in TEXTS]
    subject.network.train()
    together = subject.score(TEXTS)
    assert subject.network.training
    monkeypatch.setattr(model, "POSITIONS_AT_ONCE", 1)
    one_by_one = subject.score(TEXTS)
    for rows in (together, one_by_one):
        for row, expected in zip(rows, alone, strict=True):
            assert torch.allclose(row, expected, rtol=1e-4)


def test_one_pass_holds_so_many_positions(monkeypatch):
    """Long and short windows are not padded to each other beyond what one pass may hold."""
    monkeypatch.setattr(model, "POSITIONS_AT_ONCE", 12)
    lengths = [3, 9, 1, 4, 4, 16, 2]
    pieces = [(i, cut_windows(n, length=16, stride=16)[0]) for i, n in enumerate(lengths)]
    groups = list(model._alike(pieces))
    found = [[lengths[number] for number, _ in group] for group in groups]
    assert found == [[1, 2, 3], [4, 4], [9], [16]]


def test_token_nats_ignores_what_has_no_label():
    subject = tiny_model()
    inputs = torch.tensor([[0, 5, 6], [0, 7, 1]])
    labels = torch.tensor([[5, 6, 0], [-100, 0, -100]])
    found = token_nats(subject.network, inputs, labels)
    logits = subject.network(inputs).logits
    assert found[1].tolist()[::2] == [0.0, 0.0]
    expected = functional.cross_entropy(logits[1, 1:2], labels[1, 1:2])
    assert found[1, 1].item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_shape_of_tinygpt():
    network = build_gpt()
    count = sum(parameter.numel() for parameter in network.parameters())
    per_layer = 12 * 192**2 + 13 * 192
    assert count == 4096 * 192 + 128 * 192 + 5 * per_layer + 2 * 192 == 3_035_712
    assert count <= 3_200_000
    assert network.lm_head.weight is network.transformer.wte.weight
    assert not network.training


def test_weights_follow_the_seed_and_nothing_else():
    state = torch.random.get_rng_state()
    shape = GPTShape(258, width=8, num_layers=1, num_heads=2, num_positions=8)
    one, two, other = (build_gpt(shape, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(one.transformer.wte.weight, two.transformer.wte.weight)
    assert not torch.equal(one.transformer.wte.weight, other.transformer.wte.weight)
    assert torch.equal(state, torch.random.get_rng_state())


def test_bad_shapes():
    with pytest.raises(CompanionError, match="num_heads: got 5; expected a divisor of the width"):
        build_gpt(GPTShape(num_heads=5))
    with pytest.raises(CompanionError, match="num_layers: got 0"):
        build_gpt(GPTShape(num_layers=0))
    network = build_gpt(GPTShape(258, width=8, num_layers=1, num_heads=2, num_positions=8))
    with pytest.raises(CompanionError, match="vocabulary: got 300 tokens; expected at most 258"):
        LanguageModel(network, vocabulary())


def test_bad_texts_to_score():
    with pytest.raises(CompanionError, match="got one string"):
        tiny_model().score("text")
    with pytest.raises(CompanionError, match="text 1: got an empty text"):
        tiny_model().score(["a", ""])
    with pytest.raises(CompanionError, match="stride: got 17; expected 1..16"):
        tiny_model().score(["a"], stride=17)


def test_a_folder_is_one_of_transformers(tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    subject = tiny_model(num_positions=64)
    folder = save_language_model(subject, tmp_path / "tiny")
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert (folder / "model.safetensors").stat().st_size < 2.2 * subject.num_parameters + 8_000
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ours = load_language_model(folder)
    assert ours.network.dtype == torch.float32
    assert not ours.network.training
    ids = ours.vocabulary.encode(LONG)[:60]
    assert tokenizer(LONG).input_ids[:60] == ids
    assert (tokenizer.eos_token_id, tokenizer.pad_token_id) == (0, 1)
    with torch.no_grad():
        logits = [net(torch.tensor([ids])).logits for net in (theirs, ours.network)]
    assert torch.equal(logits[0], logits[1])
    for name, tensor in ours.network.state_dict().items():
        assert torch.equal(tensor, subject.network.state_dict()[name].half().float()), name


def test_saving_twice_gives_equal_bytes(tmp_path):
    subject = tiny_model()
    one, two = (save_language_model(subject, tmp_path / name) for name in "ab")
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes()
    again = save_language_model(load_language_model(one), tmp_path / "c")
    assert (again / "model.safetensors").read_bytes() == (one / "model.safetensors").read_bytes()


def public_file(tmp_path, subject):
    """Write the trunk alone, named and laid out as the public file is, with its mask buffers."""
    from safetensors.torch import save_file

    folder = save_language_model(subject, tmp_path / "language" / "gpt2")
    state = {
        name.removeprefix("transformer."): tensor.contiguous().clone()
        for name, tensor in subject.network.state_dict().items()
        if name != "lm_head.weight"
    }
    state["h.0.attn.bias"] = torch.ones(1, 1, 4, 4)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_the_public_model_comes_by_the_same_call(tmp_path, monkeypatch):
    subject = tiny_model()
    folder = public_file(tmp_path, subject)
    there = tuple(
        RemoteFile(f.name, f.url, runtime.sha256_file(folder / f.name.rsplit("/")[-1]), 1, "MIT")
        for f in files.PUBLIC["gpt2"]
    )
    monkeypatch.setitem(files.PUBLIC, "gpt2", there)
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path))
    loaded = load_language_model("gpt2")
    assert torch.equal(loaded.score([LONG])[0], subject.score([LONG])[0])


def test_public_files_are_named_by_revision_and_checksum():
    weights, config, tokenizer = files.PUBLIC["gpt2"]
    for file in (weights, config, tokenizer):
        assert len(file.sha256) == 64
        assert file.url == f"{files.HUB}/{files.REVISION}/{file.name.rsplit('/')[-1]}"
    assert weights.size_bytes == 548_105_171


def test_at_rehearsal_the_public_model_is_tiny_and_random(monkeypatch):
    monkeypatch.setenv("COMPANION_SCALE", "rehearsal")
    one, two = (load_language_model("gpt2", seed=seed) for seed in (0, 1))
    assert one.num_parameters < 100_000
    assert len(one.vocabulary) == len(tiny_vocabulary())
    assert not torch.equal(one.score(["text"])[0], two.score(["text"])[0])


def test_bad_folders(tmp_path):
    with pytest.raises(CompanionError, match="'nowhere', which is no folder; expected 'tinygpt', "):
        load_language_model("nowhere")
    folder = save_language_model(tiny_model(), tmp_path / "tiny")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"n_layer": 3}))
    with pytest.raises(CompanionError, match="h.2.attn.c_attn.bias that is missing or too many"):
        load_language_model(folder)
    (folder / "config.json").write_text(json.dumps(config | {"n_positions": 9}))
    with pytest.raises(CompanionError, match="size mismatch for transformer.wpe.weight"):
        load_language_model(folder)
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "bert"}))
    with pytest.raises(CompanionError, match="the architecture 'bert'; expected 'gpt2'"):
        load_language_model(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(CompanionError, match="language model tiny: got .*tokenizer.json"):
        load_language_model(folder)


def test_weights_that_16_bits_cannot_hold(tmp_path):
    subject = tiny_model()
    subject.network.transformer.wpe.weight.data[0, 0] = 1e6
    with pytest.raises(CompanionError, match="weight transformer.wpe.weight: got 1e.06"):
        save_language_model(subject, tmp_path / "tiny")
    assert not (tmp_path / "tiny").exists()


class Fixed:
    """A scorer with given nats."""

    def __init__(self, *rows):
        self.rows = [torch.tensor(row, dtype=torch.float64) for row in rows]

    def score(self, texts):
        return self.rows


def test_bits_per_byte_by_hand():
    texts = ["ab", "é€"]
    scorer = Fixed([1.0, 2.0, 0.5], [4.0, 0.25])
    found = score_texts(scorer, texts)
    assert found.num_bytes == (2, 5)
    assert found.num_tokens == (3, 2)
    assert found.bits_per_byte == pytest.approx(7.75 / math.log(2) / 7)
    assert found.perplexity == pytest.approx(math.exp(7.75 / 5))
    assert found.bits == pytest.approx((3.5 / math.log(2), 4.25 / math.log(2)))


def test_other_tokens_of_the_same_code_length_change_perplexity_alone():
    whole = score_texts(Fixed([4.0, 2.0]), ["abcd"])
    cut = score_texts(Fixed([1.0, 1.0, 1.0, 1.0, 2.0]), ["abcd"])
    assert whole.bits_per_byte == cut.bits_per_byte
    assert whole.perplexity > 2 * cut.perplexity


def test_the_interval_resamples_documents():
    """Against a loop of numpy over the same resamples."""
    generator = np.random.default_rng(1)
    sizes = generator.integers(5, 30, size=40)
    texts = ["x" * size for size in sizes]
    rows = [generator.exponential(1.5, size=size // 3 + 2) for size in sizes]
    found = score_texts(Fixed(*rows), texts, seed=4, num_resamples=500, level=0.9)
    drawn = np.random.default_rng(4).integers(0, 40, size=(500, 40))
    sums, counts = np.array([row.sum() for row in rows]), np.array([len(row) for row in rows])
    bits = [sums[i].sum() / np.log(2) / sizes[i].sum() for i in drawn]
    exps = [np.exp(sums[i].sum() / counts[i].sum()) for i in drawn]
    interval, other = found.bits_per_byte_interval, found.perplexity_interval
    assert (interval.low, interval.high) == pytest.approx(tuple(np.quantile(bits, [0.05, 0.95])))
    assert (other.low, other.high) == pytest.approx(
        tuple(np.quantile(exps, [0.05, 0.95])), rel=1e-3
    )
    assert interval.low < found.bits_per_byte < interval.high
    assert interval.method == "bootstrap over 40 items"


def test_a_paired_difference_is_narrower_than_either():
    generator = np.random.default_rng(2)
    texts = ["x" * 20] * 30
    hard = generator.exponential(5.0, size=30)
    one = score_texts(Fixed(*[[value, 1.0] for value in hard]), texts)
    two = score_texts(Fixed(*[[value, 1.2] for value in hard]), texts)
    value, interval = difference_in_bits(one, two)
    assert value == pytest.approx(-0.2 / math.log(2) / 20)
    assert (interval.low, interval.high) == pytest.approx((value, value))
    assert one.bits_per_byte_interval.high > two.bits_per_byte_interval.low
    with pytest.raises(CompanionError, match="30 and 1 documents"):
        difference_in_bits(one, score_texts(Fixed([1.0]), ["x" * 20]))


def test_uniform_bytes_cost_eight_bits():
    """A network of zeros says nothing: log2 of the vocabulary a token."""
    words = tiny_vocabulary()
    network = build_gpt(GPTShape(258, width=8, num_layers=1, num_heads=2, num_positions=32))
    for parameter in network.parameters():
        parameter.data.zero_()
    found = score_texts(LanguageModel(network, words), ["abcd"])
    assert found.bits_per_byte == pytest.approx(math.log2(258) * 5 / 4, rel=1e-6)
    assert found.perplexity == pytest.approx(258, rel=1e-5)


def test_public_names_are_there():
    assert all(hasattr(language_models, name) for name in language_models.__all__)
