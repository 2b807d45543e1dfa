"""The recipe of `tinygpt`, run on a few made docstrings: held out, resumed, logged."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
from pathlib import Path

import pytest
from tiny_language_models import TEXTS

from companion import checks
from companion.checks import CompanionError
from companion.datasets.docstrings import Docstring
from companion.language_models import GPTShape, load_language_model

ROOT = Path(__file__).parents[2]
COPY = " ".join(f"word{i}" for i in range(30))


def _rows(package: str, texts: list[str]) -> list[Docstring]:
    return [Docstring(package, package, f"{package}.f{i}", t, "") for i, t in enumerate(texts)]


def _load(packages, **options):
    made = {
        "numpy": [f"{text} Number {i}." for i in range(12) for text in TEXTS] + [COPY],
        "scipy": [f"Special functions of kind {i} and their roots." for i in range(9)]
        + [f"A new word before {COPY}"],
        "json": ["Encode and decode the notation of objects."],
    }
    if packages == ["secrets"]:
        checks.fail("package 'secrets'", got="no Python source", expected="files", do="skip it")
    return [row for name in packages for row in _rows(name, made.get(name, []))]


@pytest.fixture
def recipe(monkeypatch):
    spec = importlib.util.spec_from_file_location("recipe", ROOT / "recipes" / "tinygpt.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "load_docstrings", _load)
    monkeypatch.setattr(module, "ONE_IN", 10)
    tiny = {"width": 8, "num_layers": 1, "num_heads": 2, "num_positions": 32}
    monkeypatch.setattr(module, "GPTShape", lambda size: GPTShape(size, **tiny))
    monkeypatch.setattr(module.torch, "set_num_threads", lambda threads: None)
    return module


def _options(folder: Path, **changes) -> argparse.Namespace:
    values = {
        "out": folder / "tinygpt",
        "steps": 6,
        "batch_size": 4,
        "learning_rate": 1e-2,
        "weight_decay": 0.1,
        "vocabulary_size": 300,
        "num_measured": 5,
        "seed": 0,
        "threads": 1,
        "device": "cpu",
        "minutes": None,
        "checkpoint": folder / "checkpoint.pt",
        "card_only": False,
    }
    return argparse.Namespace(**(values | changes))


def test_the_corpus_keeps_the_held_out_library_out(recipe):
    corpus = recipe.read_corpus()
    assert corpus.num_copies == 1
    assert len(corpus.target) == 9
    assert all("Special functions" in text for text in corpus.target)
    assert not any("Special functions" in text for text in corpus.train + corpus.val)
    assert any("notation of objects" in text for text in corpus.train + corpus.val)
    assert len(corpus.train) + len(corpus.val) == 12 * len(TEXTS) + 2
    assert 0 < len(corpus.val) < len(corpus.train)
    assert "secrets" not in recipe._standard_library()
    assert not set(corpus.train) & set(corpus.val)


def test_a_training_that_was_interrupted_ends_at_the_same_weights(recipe, tmp_path):
    whole = recipe.make(_options(tmp_path / "a"))
    again = _options(tmp_path / "b", minutes=0)
    for _ in range(5):
        assert recipe.make(argparse.Namespace(**vars(again))) is None
    assert not again.out.exists()
    pieces = recipe.make(argparse.Namespace(**vars(again)))
    assert pieces["sha256"] == whole["sha256"]
    assert [row["step"] for row in pieces["history"]] == [1, 2, 3, 4, 5, 6]
    assert whole["history"][-1]["step"] == 6
    assert load_language_model(again.out).num_parameters == whole["num_parameters"]


def test_the_log_fills_the_card(recipe, tmp_path):
    options = _options(tmp_path)
    log = recipe.make(options)
    assert set(log["measured"]) == {"known libraries", "scipy"}
    assert log["num_documents"]["scipy"] == 9
    assert log["size_bytes"] == sum(path.stat().st_size for path in options.out.iterdir())
    row = log["measured"]["scipy"]["tinygpt"]
    assert row["interval"][0] < row["bits_per_byte"] < row["interval"][1]
    text = recipe.card(log)
    assert f"| tinygpt | scipy | {row['bits_per_byte']:.3f} |" in text
    assert log["sha256"] in text


def test_a_checkpoint_of_other_options_is_refused(recipe, tmp_path):
    assert recipe.make(_options(tmp_path, minutes=0)) is None
    with pytest.raises(CompanionError, match="got one of other texts or options"):
        recipe.make(_options(tmp_path, learning_rate=2e-2))


def test_each_epoch_sees_each_block_once(recipe, tmp_path):
    @dataclasses.dataclass
    class Numbers:
        def __len__(self):
            return 9

        def batch(self, indices):
            return indices.tolist()

    options = _options(tmp_path)
    seen = [recipe._batch(Numbers(), step, options) for step in range(4)]
    assert [len(row) for row in seen] == [4, 4, 4, 4]
    assert len({*seen[0], *seen[1]}) == 8
    assert seen[:2] != seen[2:]
