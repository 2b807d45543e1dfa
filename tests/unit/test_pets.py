"""Cats and dogs: torchvision's layout is read, the official parts stay apart."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

import companion
from companion.checks import CompanionError
from companion.datasets import pets


@pytest.fixture
def pets_folder(tmp_path):
    base = tmp_path / "oxford-iiit-pet"
    (base / "images").mkdir(parents=True)
    (base / "annotations").mkdir()
    for part, offset in (("trainval", 0), ("test", 10)):
        lines = []
        for i in range(4):
            name = f"{'Abyssinian' if i % 2 == 0 else 'beagle'}_{offset + i}"
            Image.new("RGB", (8 + i, 6), (10 * i, 0, 255)).save(base / "images" / f"{name}.jpg")
            lines.append(f"{name} {1 + i % 2} {1 + i % 2} 1\n")
        (base / "annotations" / f"{part}.txt").write_text("".join(lines))
    return tmp_path


def test_cats_are_0_and_dogs_1_and_the_official_parts_are_kept(pets_folder):
    source = pets.load(pets_folder)
    assert source.pool.classes == ("cat", "dog")
    assert source.pool.labels.tolist() == [0, 1, 0, 1]
    assert source.pool.ids[0] == "pets/Abyssinian_0"
    assert source.test.ids[3] == "pets/beagle_13"
    assert source.pool.inputs[2].shape == (3, 6, 10)
    assert source.pool.inputs[0][2].mean() == pytest.approx(1.0, abs=0.02)


def test_a_missing_archive_is_one_clear_error(tmp_path, monkeypatch):
    from torchvision import datasets

    def refuse(*_, **__):
        raise RuntimeError("no network")

    monkeypatch.setattr(datasets.OxfordIIITPet, "_download", refuse)
    with pytest.raises(CompanionError, match="dataset 'pets': got no network; expected images.tar"):
        pets.load(tmp_path)


def test_rehearsal_needs_no_file(monkeypatch):
    monkeypatch.setenv("COMPANION_SCALE", "rehearsal")
    splits = companion.load_dataset("pets", labels_per_class=5)
    assert splits.train.inputs.shape == (8, 3, 64, 64)
    assert splits.train.inputs.dtype == torch.uint8
