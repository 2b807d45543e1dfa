"""Small learnable tasks of three modalities, with random backbones: the core knows none of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from companion import splits as splits_module
from companion.backbones import Backbone, DetectorParts, LayerGroup, load_backbone
from companion.backbones.bert import bert_backbone, tiny_tokenizer
from companion.backbones.text import TextEncoder, TextPrepare, special_ids, word_mask
from companion.batches import Augmentation, BatchSource, DetectionSource, PaddedSource
from companion.registry import BackboneCard, DatasetCard
from companion.splits import IGNORED, Split, Splits, TestSplit, draw

BLANK_AND_LETTERS = ("-", "a", "b", "c")


class Case(NamedTuple):
    """A backbone and data for it."""

    backbone: Backbone
    splits: Splits


def _dataset_card(name: str, modality: str, task: str, classes: tuple[str, ...]) -> DatasetCard:
    return DatasetCard(name, name, modality, task, classes, "MIT", "made in the tests")


def image_case() -> Case:
    """Bright squares in one of three places, seen by an untrained glyphnet."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(90) % 3
    images = torch.rand(90, 1, 8, 8, generator=generator) * 0.3
    for image, label in zip(images, labels.tolist(), strict=True):
        image[:, 2 * label : 2 * label + 3, 2 * label : 2 * label + 3] += 0.6
    ids = tuple(f"square/{i:02d}" for i in range(90))
    whole = Split("pool", images, labels, ids, ("left", "middle", "right"))
    card = _dataset_card("squares", "vision", "classification", whole.classes)
    return Case(load_backbone("glyphnet", pretrained=False), _divide(whole, card))


def _divide(whole: Split, card: DatasetCard) -> Splits:
    pool = whole.subset(range(0, 60), name="pool")
    test = TestSplit(whole.subset(range(60, 90), name="test"))
    if whole.task == "classification":
        return draw(pool, test, card, labels_per_class=10, seed=0)
    train, val = pool.subset(range(48), name="train"), pool.subset(range(48, 60), name="val")
    return Splits(train=train, val=val, test=test, card=card, labels_per_class=None, seed=0)


TINY_BERT = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
}


def _with_pooler() -> nn.Module:
    """A two-layer BERT of transformers with random weights; its pooler is never used."""
    from transformers import BertConfig, BertModel

    config = BertConfig(vocab_size=tiny_tokenizer().get_vocab_size(), **TINY_BERT)
    return TextEncoder(BertModel(config), separator=special_ids(tiny_tokenizer())[1])


def text_case() -> Case:
    """Texts of short words; the class is which of two words occurs."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(90) % 2
    texts = []
    for label in labels.tolist():
        length = int(torch.randint(3, 9, (1,), generator=generator))
        chosen = torch.randint(0, len(FILLERS), (length,), generator=generator).tolist()
        words = [FILLERS[number] for number in chosen]
        words[int(torch.randint(0, length, (1,), generator=generator))] = ("good", "bad")[label]
        texts.append(" ".join(words))
    ids = tuple(f"text/{i:02d}" for i in range(90))
    whole = Split("pool", texts, labels, ids, ("good", "bad"))
    pooler = ("encoder.network.pooler.dense.weight", "encoder.network.pooler.dense.bias")
    card = BackboneCard("tiny_text", "tiny", "language", 16, "MIT", "tests", untrained=pooler)
    groups = [
        LayerGroup("embeddings", ("network.embeddings",)),
        LayerGroup("layer0", ("network.encoder.layer.0",)),
        LayerGroup("layer1", ("network.encoder.layer.1", "network.pooler")),
    ]
    prepare = TextPrepare(tiny_tokenizer(), max_length=64)
    backbone = Backbone(
        card, _with_pooler, groups=groups, prepare=prepare, feature_mask=word_mask
    ).eval()
    data_card = _dataset_card("short texts", "language", "classification", whole.classes)
    return Case(backbone, _divide(whole, data_card))


FILLERS = ("we", "saw", "the", "old", "at", "it", "is", "by", "was", "in", "on", "here")
ANIMALS = (("ox",), ("cat",), ("sea", "cow"), ("red", "fox"))
PLACES = (("rome",), ("new", "york"), ("le", "mans"))
BIO_CLASSES = ("O", "B-animal", "I-animal", "B-place", "I-place")


def _sentence(generator: torch.Generator) -> tuple[tuple[str, ...], list[int]]:
    """Return words with one or two names among them, and the BIO class of each word."""
    words: list[str] = []
    labels: list[int] = []
    for _ in range(int(torch.randint(1, 3, (1,), generator=generator))):
        fill = torch.randint(0, len(FILLERS), (4,), generator=generator).tolist()
        fill = fill[: int(torch.randint(1, 5, (1,), generator=generator))]
        kind, which = torch.randint(0, 12, (2,), generator=generator).tolist()
        names = (ANIMALS, PLACES)[kind % 2]
        name = names[which % len(names)]
        words += [*(FILLERS[number] for number in fill), *name]
        labels += [0] * len(fill) + [1 + 2 * (kind % 2)] + [2 + 2 * (kind % 2)] * (len(name) - 1)
    return tuple(words), labels


def words_case() -> Case:
    """Sentences as rows of words, with animals and places to be found; each word is spelled."""
    generator = torch.Generator().manual_seed(0)
    pairs = [_sentence(generator) for _ in range(90)]
    labels = [torch.tensor(row) for _, row in pairs]
    labels[0][0] = IGNORED
    ids = tuple(f"sentence/{i:02d}" for i in range(90))
    sentences = [words for words, _ in pairs]
    whole = Split("pool", sentences, labels, ids, BIO_CLASSES, task="spans")
    card = BackboneCard("tiny_words", "tiny", "language", 16, "MIT", "tests")
    tokenizer = tiny_tokenizer()
    backbone = bert_backbone(
        card,
        TINY_BERT | {"vocab_size": tokenizer.get_vocab_size()},
        tokenizer,
        weights=None,
        seed=0,
        max_length=64,
        pooling="mean",
    ).eval()
    data_card = _dataset_card("short sentences", "language", "spans", whole.classes)
    return Case(backbone, _divide(whole, data_card))


class TinyAudio(nn.Module):
    """Two strided convolutions over a waveform, with batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.Sequential(nn.Conv1d(1, 12, 8, 4, padding=2), nn.BatchNorm1d(12))
        self.back = nn.Sequential(nn.Conv1d(12, 16, 4, 2, padding=1), nn.BatchNorm1d(16))

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        hidden = torch.relu(self.front(inputs[:, None, :]))
        return torch.relu(self.back(hidden)).transpose(1, 2)


def _shorten(mask: Tensor) -> Tensor:
    lengths = mask.sum(dim=1) // 8
    return torch.arange(mask.shape[1] // 8)[None, :] < lengths[:, None]


def _prepare_waves(split: Split, augment: Augmentation | None) -> BatchSource:
    return PaddedSource(split.inputs, split.labels)


def audio_case() -> Case:
    """Strings of one to three letters, each letter a tone of 64 samples, with pauses."""
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(64) / 64
    waves, labels = [], []
    for _ in range(90):
        length = int(torch.randint(1, 4, (1,), generator=generator))
        letters = torch.randint(1, 4, (length,), generator=generator)
        tones = [torch.sin(2 * torch.pi * 5 * letter * time) for letter in letters.tolist()]
        silence = torch.zeros(32)
        wave = torch.cat([piece for tone in tones for piece in (tone, silence)])
        waves.append(wave + 0.01 * torch.randn(len(wave), generator=generator))
        labels.append(letters)
    ids = tuple(f"tones/{i:02d}" for i in range(90))
    whole = Split("pool", waves, labels, ids, BLANK_AND_LETTERS, task="ctc")
    card = BackboneCard("tiny_audio", "tiny", "speech", 16, "MIT", "tests")
    groups = [LayerGroup("front", ("front",)), LayerGroup("back", ("back",))]
    backbone = Backbone(
        card, TinyAudio, groups=groups, prepare=_prepare_waves, feature_mask=_shorten
    ).eval()
    data_card = _dataset_card("tones", "speech", "ctc", whole.classes)
    return Case(backbone, _divide(whole, data_card))


class TinyMaps(nn.Module):
    """Two strided convolutions to one feature map, as a row of positions."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.Sequential(nn.Conv2d(3, 16, 4, 4), nn.BatchNorm2d(16))
        self.back = nn.Conv2d(16, 32, 3, padding=1)

    def forward(self, inputs: Tensor) -> Tensor:
        maps = torch.relu(self.back(torch.relu(self.front(inputs))))
        return maps.flatten(2).transpose(1, 2)


def _prepare_boxes(split: Split, augment: Augmentation | None) -> BatchSource:
    return DetectionSource(split.inputs.float() / 255, list(split.labels), augment)


def boxes_case() -> Case:
    """One or two bright squares of two colours on dark ground, found by a tiny FCOS."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 60, (90, 3, 32, 32), generator=generator, dtype=torch.uint8)
    labels = []
    for image in images:
        rows = []
        for half in range(int(torch.randint(1, 3, (1,), generator=generator))):
            kind = int(torch.randint(0, 2, (1,), generator=generator))
            side = int(torch.randint(8, 14, (1,), generator=generator))
            x, y = torch.randint(0, 16 - 13 + 1, (2,), generator=generator).tolist()
            x, y = x + 16 * half, y + 8
            image[2 * kind, y : y + side, x : x + side] = 255
            rows.append([kind, x / 32, y / 32, (x + side) / 32, (y + side) / 32])
        labels.append(torch.tensor(rows))
    ids = tuple(f"squares/{i:02d}" for i in range(90))
    whole = Split("pool", images, labels, ids, ("red", "blue"), task="detection")
    card = BackboneCard("tiny_maps", "tiny", "vision", 32, "MIT", "tests")
    groups = [LayerGroup("front", ("front",)), LayerGroup("back", ("back",))]
    parts = DetectorParts("fcos", 32, (8,), ((4,),), options={"num_convs": 1})
    backbone = Backbone(
        card, TinyMaps, groups=groups, prepare=_prepare_boxes, detector=parts
    ).eval()
    data_card = _dataset_card("coloured squares", "vision", "detection", whole.classes)
    return Case(backbone, _divide(whole, data_card))


CASES: dict[str, Callable[[], Case]] = {
    "image": image_case,
    "text": text_case,
    "words": words_case,
    "audio": audio_case,
    "boxes": boxes_case,
}


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    """Each modality in turn."""
    return CASES[request.param]()


@pytest.fixture
def images() -> Case:
    """The image task alone, for what does not depend on the modality."""
    return image_case()


@pytest.fixture
def texts() -> Case:
    """The task of short texts alone, with a fresh backbone."""
    return text_case()


@pytest.fixture
def words() -> Case:
    """The task of labelled words alone, with a fresh backbone."""
    return words_case()


@pytest.fixture
def boxes() -> Case:
    """The detection task alone, with a fresh backbone."""
    return boxes_case()


@pytest.fixture(autouse=True)
def _unread_test_sets() -> Iterator[None]:
    """Let no test see the test-set readings of another."""
    with splits_module.fresh_readings():
        yield
