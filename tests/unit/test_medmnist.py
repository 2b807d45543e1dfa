"""MedMNIST through its package: official parts, channels, and what is said where it is missing."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
import torch

import companion
from companion.checks import CompanionError
from companion.datasets import medmnist


class FakeSet:
    """Stands for a class of the package: images and labels as its files hold them."""

    channels: tuple[int, ...] = (3,)
    asked: list[tuple[str, str, bool]] = []

    def __init__(self, split, root, download):
        self.asked.append((split, root, download))
        size = {"train": 16, "val": 8, "test": 9}[split]
        shape = (size, 28, 28, *self.channels)
        self.imgs = np.arange(np.prod(shape), dtype=np.uint32).astype(np.uint8).reshape(shape)
        self.labels = (np.arange(size)[:, None] % (8 if self.channels else 2)).astype(np.uint8)


class FakeGrey(FakeSet):
    channels = ()


@pytest.fixture
def package(monkeypatch):
    fake = types.ModuleType("medmnist")
    fake.BloodMNIST, fake.PneumoniaMNIST = FakeSet, FakeGrey
    FakeSet.asked.clear()
    monkeypatch.setitem(sys.modules, "medmnist", fake)


def test_the_official_parts_stay_apart(package, tmp_path):
    (tmp_path / "bloodmnist.npz").touch()
    source = medmnist.load_blood(tmp_path)
    assert (len(source.pool), len(source.val_pool), len(source.test)) == (16, 8, 9)
    raw = FakeSet("train", "", False)
    assert source.pool.inputs.shape == (16, 3, 28, 28)
    assert torch.equal(source.pool.inputs[5, 2], torch.from_numpy(raw.imgs[5, :, :, 2]))
    assert source.pool.labels.tolist() == [i % 8 for i in range(16)]
    assert source.test.ids[3] == "bloodmnist/test/00003"
    assert not any(download for _, _, download in FakeSet.asked)


def test_grey_images_get_a_channel(package, tmp_path):
    (tmp_path / "pneumoniamnist.npz").touch()
    source = medmnist.load_pneumonia(tmp_path)
    assert source.pool.inputs.shape == (16, 1, 28, 28)
    assert source.pool.classes == ("normal", "pneumonia")


def test_the_file_is_downloaded_once_into_the_cache(package, tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path))
    monkeypatch.delenv("COMPANION_DATA", raising=False)
    medmnist.load_blood()
    place = str(tmp_path / "vision" / "medmnist")
    assert FakeSet.asked == [("train", place, True), ("val", place, False), ("test", place, False)]


def test_without_the_package_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "medmnist", None)
    with pytest.raises(CompanionError, match=r"pip install 'transfer-learning-companion\[medical"):
        medmnist.load_blood()


def test_a_file_that_cannot_be_had_is_one_clear_error(package, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("Something went wrong when downloading!")

    monkeypatch.setattr(FakeSet, "__init__", refuse)
    with pytest.raises(CompanionError, match=r"dataset 'bloodmnist': got Something .*35.5 MB"):
        medmnist.load_blood(tmp_path)


@pytest.mark.parametrize(
    ("name", "shape"), [("bloodmnist", (3, 28, 28)), ("pneumoniamnist", (1, 28, 28))]
)
def test_rehearsal_needs_neither_package_nor_file(name, shape, monkeypatch):
    monkeypatch.setitem(sys.modules, "medmnist", None)
    monkeypatch.setenv("COMPANION_SCALE", "rehearsal")
    splits = companion.load_dataset(name, labels_per_class=5)
    assert splits.train.inputs.shape[1:] == shape
