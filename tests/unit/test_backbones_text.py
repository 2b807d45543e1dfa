"""Encoders of texts: tokens, words and pairs, against transformers run by hand."""

from __future__ import annotations

import copy

import pytest
import torch
from transformers import AutoModel, BertConfig, BertModel, PreTrainedTokenizerFast

from companion import (
    embedding,
    evaluation,
    explanations,
    exporting,
    objectives,
    transferability,
)
from companion.backbones import language, load_backbone
from companion.backbones.bert import bert_backbone, tiny_tokenizer
from companion.backbones.text import TextPrepare, gather_words, special_ids, word_mask
from companion.checks import CompanionError
from companion.heads import LinearHead, Model, build_head, pool_positions
from companion.model_files import load_model, save_model
from companion.registry import BACKBONES, BackboneCard
from companion.splits import Split
from companion.training import Recipe, fit
from companion.training.features import compute_features

CARD = BackboneCard("tiny", "tiny", "language", 16, "MIT", "tests")
CONFIG = {
    "vocab_size": 193,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
}
BIO = ("O", "B-a", "I-a")
SENTENCES = [("we", "saw", "york"), ("ox",), ("by", "the", "old", "Red-fox", "here", "x")]


def tiny(*, max_length=64, pooling="mean", tokenizer=None, weights=None, **changes):
    """A small BERT with random weights."""
    return bert_backbone(
        CARD, CONFIG | changes, tokenizer or tiny_tokenizer(), weights=weights, seed=0,
        max_length=max_length, pooling=pooling,
    ).eval()  # fmt: skip


def by_hand(backbone):
    """transformers' own model with the same weights, and its own wrapper of the tokenizer."""
    network = BertModel(BertConfig(**CONFIG), add_pooling_layer=False).eval()
    network.load_state_dict(backbone.encoder.network.state_dict())
    wrapped = copy.deepcopy(tiny_tokenizer())
    wrapped.encode_special_tokens = False
    wrapped.no_truncation()
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    return network, PreTrainedTokenizerFast(tokenizer_object=wrapped, **special)


def texts_of(items, *, name="train"):
    """A split of texts or pairs."""
    labels = torch.arange(len(items)) % 2
    return Split(name, items, labels, tuple(f"t/{i}" for i in range(len(items))), ("a", "b"))


def words_of(sentences, labels=None):
    """A split of sentences of words."""
    rows = labels or [torch.zeros(len(words), dtype=torch.long) for words in sentences]
    ids = tuple(f"s/{i}" for i in range(len(sentences)))
    return Split("train", sentences, rows, ids, BIO, task="spans")


def whole(source):
    """All items in one batch."""
    return source.batch(torch.arange(len(source)))


# --- tokens, words, pairs ----------------------------------------------------------------------


@torch.no_grad()
def test_a_text_alone_or_padded_has_the_vectors_of_transformers():
    backbone = tiny()
    network, tokenize = by_hand(backbone)
    items = ["we saw it", "a considerably longer text, here", "ox"]
    batch = whole(backbone.prepare(texts_of(items)))
    found = backbone(batch.inputs, batch.mask)
    for row, real, text in zip(found, batch.mask, items, strict=True):
        wanted = network(**tokenize(text, return_tensors="pt")).last_hidden_state[0]
        assert int(real.sum()) == len(wanted)
        torch.testing.assert_close(row[real], wanted, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_a_pair_has_the_token_types_of_transformers():
    backbone = tiny()
    network, tokenize = by_hand(backbone)
    items = [("we saw it", "here"), ("ox", "a considerably longer text"), ["is it", "it is"]]
    batch = whole(backbone.prepare(texts_of(items)))
    found = backbone(batch.inputs, batch.mask)
    for row, real, pair in zip(found, batch.mask, items, strict=True):
        fields = tokenize(*pair, return_tensors="pt", return_token_type_ids=True)
        assert fields["token_type_ids"].sum() > 0
        wanted = network(**fields).last_hidden_state[0]
        torch.testing.assert_close(row[real], wanted, atol=1e-5, rtol=1e-4)
        fields["token_type_ids"] *= 0
        without = network(**fields).last_hidden_state[0]
        assert (row[real] - without).abs().max() > 1e-3


@torch.no_grad()
def test_a_network_that_knows_no_token_types_gets_none():
    backbone = tiny(type_vocab_size=1)
    assert backbone.encoder.separator is None
    batch = whole(backbone.prepare(texts_of([("we", "saw"), ("it", "is")])))
    assert backbone(batch.inputs, batch.mask).isfinite().all()


@torch.no_grad()
def test_a_word_has_the_vector_of_its_first_piece():
    backbone = tiny()
    network, tokenize = by_hand(backbone)
    batch = whole(backbone.prepare(words_of(SENTENCES)))
    found = backbone(batch.inputs, batch.mask)
    real = backbone.feature_mask(batch.mask)
    assert found.shape == (3, 6, 16)
    assert real.sum(dim=1).tolist() == [3, 1, 6]
    for position, words in enumerate(SENTENCES):
        fields = tokenize(list(words), is_split_into_words=True, return_tensors="pt")
        hidden = network(**fields).last_hidden_state[0]
        firsts = [fields.word_ids().index(number) for number in range(len(words))]
        assert firsts != list(range(1, len(words) + 1)) or len(words) == 1
        mine = found[position][real[position]]
        torch.testing.assert_close(mine, hidden[firsts], atol=1e-5, rtol=1e-4)


def test_marked_words_in_numbers():
    mask = torch.tensor([[1, 2, 1, 2, 1, 0], [1, 2, 1, 0, 0, 0]], dtype=torch.int8)
    features = torch.arange(12.0).reshape(2, 6, 1)
    assert gather_words(features, mask == 2)[..., 0].tolist() == [[1.0, 3.0], [7.0, 0.0]]
    assert word_mask(mask).tolist() == [[True, True], [True, False]]
    assert word_mask(mask > 0).tolist() == (mask > 0).tolist()


def test_a_word_that_the_tokenizer_drops_stays_a_word():
    backbone = tiny()
    source = backbone.prepare(words_of([("we", "\u200b", "saw"), ("\u0301",)]))
    unknown = tiny_tokenizer().token_to_id("[UNK]")
    assert source.inputs[0].tolist().count(unknown) == 1
    assert source.inputs[1].tolist() == [2, unknown, 3]
    starts = [row.nonzero().flatten().tolist() for row in source.word_starts]
    assert starts == [[1, 3, 4], [1]]
    batch = whole(source)
    assert backbone.feature_mask(batch.mask).sum(dim=1).tolist() == [3, 1]
    assert backbone(batch.inputs, batch.mask).shape[:2] == (2, 3)


def test_special_tokens_that_are_written_in_a_text_are_text():
    backbone = tiny()
    separator, padding = 3, 0
    source = backbone.prepare(texts_of(["the [SEP] token", "[PAD] and [MASK]", "we saw"]))
    for row in source.inputs:
        assert row.tolist().count(separator) == 1 and row[-1] == separator
        assert padding not in row.tolist() and 4 not in row.tolist()
    source = backbone.prepare(words_of([("the", "[SEP]", "\u200b")]))
    assert source.inputs[0].tolist().count(1) == 1  # [UNK] for the sign that is dropped
    assert [int(row.sum()) for row in source.word_starts] == [3]


def test_longer_texts_are_cut_and_counted():
    backbone = tiny(max_length=8)
    items = ["we saw it", "ox", ("we saw", "it is here"), "at"]
    with pytest.warns(UserWarning, match=r"2 of 4 texts of split 'val' have more than 8 tokens"):
        source = backbone.prepare(texts_of(items, name="val"))
    assert source.lengths.tolist() == [8, 4, 8, 4]
    assert source.inputs[0].tolist() == tiny_tokenizer().encode("we saw it").ids[:7] + [3]
    assert source.inputs[2].tolist().count(3) == 2


def test_a_longer_sentence_of_labelled_words_is_refused():
    backbone = tiny(max_length=8)
    with pytest.raises(
        CompanionError,
        match=r"sentence 's/1': got 4 words, more than 8 tokens; expected at most 8 tokens, as "
        r"each word has a label; divide the sentence, or load .* larger max_length",
    ):
        backbone.prepare(words_of([("ox",), ("we", "saw", "the", "ox")]))


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (["we", ""], r"text 't/1': got nothing, or blanks only; expected at least one letter"),
        (["we", " \n"], "text 't/1': got nothing"),
        (["we", ("saw", "")], "text 't/1': got nothing"),
        (["we", 3], "text 't/1': got '3', a int; expected a string, or a pair of strings"),
        (["we", ("saw",)], r"text 't/1': got \"\('saw',\)\", a tuple; expected a string, or a"),
        (["we", ("a", "b", "c")], "a tuple; expected a string, or a pair"),
        (["we", ("a", None)], "a tuple; expected a string, or a pair"),
    ],
)
def test_what_is_no_text_is_refused(items, message):
    with pytest.raises(CompanionError, match=message):
        tiny().prepare(texts_of(items))


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        ("we saw", "text 's/0': got 'we saw', a str; expected a tuple of words; divide each"),
        (("we", " "), "got nothing, or blanks only; expected at least one letter in each word"),
        ((), "got nothing, or blanks only"),
        (("we", 3), "a tuple; expected a tuple of words"),
        (("we", "saw", "it"), r"sentence 's/0': got 3 words and 2 labels; .* with -100 for none"),
    ],
)
def test_what_is_no_sentence_of_words_is_refused(sentence, message):
    with pytest.raises(CompanionError, match=message):
        tiny().prepare(words_of([sentence], [torch.tensor([0, 1])]))


def test_pictures_are_refused_and_augmentation_too():
    images = Split("train", torch.rand(2, 1, 8, 8), torch.tensor([0, 1]), ("a", "b"), ("x", "y"))
    with pytest.raises(CompanionError, match=r"text 'a': .* a Tensor; expected a string"):
        tiny().prepare(images)
    with pytest.raises(CompanionError, match=r"augment: got object, which changes pictures"):
        tiny().prepare(texts_of(["we", "saw"]), augment=object())


def test_a_backbone_of_pictures_refuses_sentences(words):
    backbone = load_backbone("glyphnet", pretrained=False)
    with pytest.raises(CompanionError, match=r"task of split 'train': got 'spans'; expected 'cl"):
        fit(backbone, words.splits, recipe=Recipe(epochs=1, min_steps=2))


# --- the backbone --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [192, 193 + 128, 30522])
def test_a_tokenizer_of_another_model_is_refused(size):
    with pytest.raises(CompanionError, match=rf"tokenizer of tiny: got 193 tokens; .* {size} "):
        tiny(vocab_size=size)
    tiny(vocab_size=193 + 127)


@pytest.mark.parametrize("length", [2, 65])
def test_a_length_without_positions_is_refused(length):
    with pytest.raises(CompanionError, match=rf"max_length: got {length}; expected 3\.\.64"):
        tiny(max_length=length)


def test_weights_are_those_that_were_given_and_the_seed_decides_the_rest():
    state = torch.random.get_rng_state()
    first = tiny()
    weights = {key: tensor + 1 for key, tensor in first.encoder.network.state_dict().items()}
    second = tiny(weights=weights)
    assert torch.equal(state, torch.random.get_rng_state())
    assert (first.is_pretrained, second.is_pretrained) == (False, True)
    for key, tensor in second.encoder.network.state_dict().items():
        assert torch.equal(tensor, weights[key])
    assert all(
        torch.equal(a, b) for a, b in zip(first.parameters(), tiny().parameters(), strict=True)
    )
    del weights["embeddings.LayerNorm.bias"]
    with pytest.raises(CompanionError, match="weights of tiny: .*LayerNorm.bias"):
        tiny(weights=weights)


def test_a_copy_has_weights_of_its_own_and_the_same_tokenizer():
    backbone = tiny()
    twin = copy.deepcopy(backbone)
    assert isinstance(backbone._prepare, TextPrepare)
    assert twin._prepare.tokenizer is backbone._prepare.tokenizer
    next(twin.parameters()).data.add_(1)
    assert not torch.equal(next(twin.parameters()), next(backbone.parameters()))


def test_special_tokens_are_found_by_name():
    assert special_ids(tiny_tokenizer()) == (0, 3)


def test_options_of_texts_are_for_texts(monkeypatch):
    monkeypatch.setenv("COMPANION_SCALE", "rehearsal")
    backbone = load_backbone("bert_base_uncased", max_length=20)
    assert (backbone.max_length, backbone.pooling, backbone.feature_dim) == (20, "cls", 768)
    assert load_backbone("bert_base_uncased", pooling="mean").pooling == "mean"
    for options, message in [
        ({"image_size": 32}, r"image_size: got 32 for 'bert_base_uncased', a backbone of language"),
        ({"max_length": 0}, "max_length: got 0"),
        ({"max_length": 600}, r"max_length: got 600; expected 3\.\.512"),
        ({"pooling": "max"}, "pooling: got 'max'"),
    ]:
        with pytest.raises(CompanionError, match=message):
            load_backbone("bert_base_uncased", **options)
    for options in ({"max_length": 8}, {"pooling": "cls"}):
        with pytest.raises(CompanionError, match="for 'glyphnet', a backbone of vision"):
            load_backbone("glyphnet", pretrained=False, **options)


def test_a_public_encoder_is_read_as_transformers_reads_it(tmp_path, monkeypatch):
    monkeypatch.delenv("COMPANION_SCALE", raising=False)
    with torch.random.fork_rng():
        network = BertModel(BertConfig(**CONFIG)).eval()
    network.save_pretrained(tmp_path)
    by_hand(tiny())[1].save_pretrained(tmp_path)
    card = BackboneCard("own", "own", "language", 16, "MIT", f"{tmp_path}@main")
    with pytest.raises(CompanionError, match=r"max_length: got 128; expected 3\.\.64"):
        language.load_public(card, pretrained=True, seed=0, max_length=None, pooling=None)
    options = {"seed": 0, "max_length": 64, "pooling": None}
    backbone = language.load_public(card, pretrained=True, **options).eval()
    batch = whole(backbone.prepare(texts_of(["we saw it", "ox"])))
    with torch.no_grad():
        found = backbone(batch.inputs, batch.mask)
        wanted = AutoModel.from_pretrained(tmp_path)(
            input_ids=batch.inputs, attention_mask=batch.mask.long()
        ).last_hidden_state
    torch.testing.assert_close(found[batch.mask], wanted[batch.mask], atol=1e-5, rtol=1e-4)
    assert backbone.pooling == "cls"
    random = language.load_public(card, pretrained=False, **options)
    assert not random.is_pretrained
    ours, theirs = random.encoder.network, backbone.encoder.network
    assert not torch.equal(next(ours.parameters()), next(theirs.parameters()))


def test_without_a_network_a_public_encoder_is_one_clear_error(monkeypatch):
    import transformers

    def offline(*_, **__):
        raise OSError("We couldn't connect to the Hub.\nCheck your connection.")

    monkeypatch.delenv("COMPANION_SCALE", raising=False)
    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", offline)
    for name in ("bert_base_uncased", "bert_base_multilingual"):
        with pytest.raises(
            CompanionError,
            match=rf"files of '{name}': got We couldn't connect to the Hub\.; expected \d+ MB "
            r"from the Hub's google-bert/.*; go online once, or load 'minilm'",
        ):
            load_backbone(name)
    assert BACKBONES.get("bert_base_multilingual").modality == "language"


# --- pooling, features, files, and what else takes a backbone ------------------------------------


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@torch.no_grad()
def test_a_classifier_pools_real_tokens(pooling):
    backbone = tiny(pooling=pooling)
    split = texts_of(["we saw it", "a considerably longer text, here", "ox"])
    head = build_head(backbone, split, seed=0)
    batch = whole(backbone.prepare(split))
    features = backbone(batch.inputs, batch.mask)
    for row, real, logits in zip(
        features, batch.mask, Model(backbone, head, split.classes)(batch.inputs, batch.mask),
        strict=True,
    ):  # fmt: skip
        pooled = row[0] if pooling == "cls" else row[real].mean(dim=0)
        torch.testing.assert_close(logits, head.linear(pooled), atol=1e-5, rtol=1e-4)
    assert torch.equal(pool_positions(features[:, 0], None, pooling=pooling), features[:, 0])
    with pytest.raises(CompanionError, match="pooling: got 'max'"):
        LinearHead(16, 2, pooling="max")


def test_kept_features_are_those_that_are_computed_each_time(texts, words):
    for case in (texts, words):
        model = Model(
            case.backbone, build_head(case.backbone, case.splits.train, seed=0),
            case.splits.train.classes,
        ).eval()  # fmt: skip
        source = case.backbone.prepare(case.splits.train)
        kept = compute_features(model, source, device=torch.device("cpu"))
        assert torch.equal(kept.lengths, source.lengths)
        rows = torch.tensor([5, 0, 7, 3])
        with torch.no_grad():
            plain, batch = source.batch(rows), kept.batch(rows)
            wanted = model(plain.inputs, plain.mask)
            found = model.head(batch.inputs, batch.mask)
        assert torch.equal(batch.labels, plain.labels)
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def test_training_on_kept_features_is_training_on_features(texts, words):
    for case in (texts, words):
        results = [
            fit(case.backbone, case.splits, strategy="probe", seed=0,
                recipe=Recipe(epochs=1, min_steps=8, batch_size=16, cache_features=kept))
            for kept in (True, False)
        ]  # fmt: skip
        losses = [result.history.losses for result in results]
        assert losses[0] == pytest.approx(losses[1], abs=1e-5)
        weights = [result.model.head.linear.weight for result in results]
        torch.testing.assert_close(*weights, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("strategy", ["full", "lora"])
def test_a_model_of_texts_comes_back(strategy, tmp_path, monkeypatch, texts):
    monkeypatch.setenv("COMPANION_SCALE", "rehearsal")
    backbone = load_backbone("bert_base_uncased", max_length=24, pooling="mean")
    recipe = Recipe(epochs=1, min_steps=2, batch_size=8, learning_rate=1e-2)
    model = fit(backbone, texts.splits, strategy=strategy, recipe=recipe).model
    loaded = load_model(save_model(model, tmp_path / "model.safetensors"))
    assert (loaded.backbone.max_length, loaded.backbone.pooling) == (24, "mean")
    assert loaded.head.pooling == "mean"
    found, wanted = (evaluation.predict(m, texts.splits.val).logits for m in (loaded, model))
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_the_pooling_of_the_file_counts_and_the_given_backbone_keeps_its_own(texts, tmp_path):
    mean, cls = tiny(), tiny(pooling="cls")
    split = texts.splits.val
    model = Model(cls, build_head(cls, split, seed=0), split.classes).eval()
    path = save_model(model, tmp_path / "model.safetensors")
    loaded = load_model(path, backbone=mean)
    assert (loaded.head.pooling, loaded.backbone.pooling, mean.pooling) == ("cls", "cls", "mean")
    found, wanted = (evaluation.predict(m, split).logits for m in (loaded, model))
    assert torch.equal(found, wanted)
    with pytest.raises(CompanionError, match="tiny"):
        load_model(path)  # a backbone that is not registered must be given


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@torch.no_grad()
def test_embeddings_of_texts_are_pooled_without_padding(pooling):
    backbone = tiny(pooling=pooling)
    items = ["we saw it", "a considerably longer text, here", "ox", ("is it", "it is")]
    split = texts_of(items)
    found = embedding.embed(embedding.EmbeddingNet(backbone), split)
    assert found.shape == (4, 16)
    for position in range(4):
        alone = whole(backbone.prepare(split.subset([position])))
        features = backbone(alone.inputs)[0]
        vector = features[0] if pooling == "cls" else features.mean(dim=0)
        torch.testing.assert_close(found[position], vector / vector.norm(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("trained", ["all", "projection"])
def test_embeddings_of_texts_are_trained(trained, texts):
    net = embedding.EmbeddingNet(texts.backbone, 8, seed=0)
    before = embedding.embed(net, texts.splits.train)
    losses = embedding.train_embedding_(
        net, texts.splits.train, objectives.contrastive_loss, num_steps=5, seed=0,
        num_identities=2, items_each=4, trained=trained,
    )  # fmt: skip
    assert len(losses) == 5
    assert not torch.allclose(before, embedding.embed(net, texts.splits.train), atol=1e-4)


def test_estimates_of_transferability_take_features_of_texts(texts):
    model = Model(texts.backbone, LinearHead(16, 2), texts.splits.train.classes)
    source = texts.backbone.prepare(texts.splits.train)
    features = compute_features(model, source, device=torch.device("cpu"))
    labels = texts.splits.train.labels
    assert transferability.log_me(features.inputs, labels) > transferability.log_me(
        features.inputs, labels[torch.randperm(16, generator=torch.Generator().manual_seed(1))]
    )


def test_what_is_made_for_pictures_refuses_texts(texts, tmp_path):
    model = Model(texts.backbone, LinearHead(16, 2), texts.splits.train.classes)
    batch = whole(texts.backbone.prepare(texts.splits.train))
    with pytest.raises(CompanionError, match=r"model: got 'tiny_text', whose inputs are texts"):
        exporting.export_onnx(model, tmp_path / "model.onnx", batch.inputs)
    with pytest.raises(CompanionError, match=r"images and classes: got shapes"):
        explanations.grad_cam(model, batch.inputs, batch.labels, group="layer1")
