"""Labeled Faces in the Wild: scikit-learn's own reader on files of its form, and the pairs."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from companion.checks import CompanionError
from companion.datasets import lfw

TRAIN = "2\nAnn\t1\t2\nBob\t1\t3\nAnn\t2\tBob\t1\nCid\t1\tAnn\t1\n"
TEST = "1\nDee\t1\t2\nDee\t1\tEve\t1\n"
COLOURS = {"Ann": 10, "Bob": 60, "Cid": 110, "Dee": 160, "Eve": 210}


@pytest.fixture
def home(tmp_path):
    """A folder as scikit-learn keeps it: one grey level for each picture."""
    folder = tmp_path / "lfw_home"
    for name, grey in COLOURS.items():
        for number in (1, 2, 3):
            path = folder / "lfw_funneled" / name / f"{name}_{number:04d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (250, 250), (grey + 10 * number, grey, grey)).save(path, quality=100)
    (folder / "pairsDevTrain.txt").write_text(TRAIN)
    (folder / "pairsDevTest.txt").write_text(TEST)
    (folder / "pairs.txt").write_text(TEST)
    return tmp_path


def test_each_picture_is_there_once_with_its_person(home):
    source = lfw.load(home)
    assert source.pool.classes == ("Ann", "Bob", "Cid")
    assert source.pool.ids == (
        "lfw/Ann/0001", "lfw/Ann/0002", "lfw/Bob/0001", "lfw/Bob/0003", "lfw/Cid/0001",
    )  # fmt: skip
    assert source.pool.labels.tolist() == [0, 0, 1, 1, 2]
    assert source.test.classes == ("Dee", "Eve")
    assert source.pool.inputs.shape == (5, 3, 160, 160)
    assert source.pool.inputs.dtype == torch.uint8
    for image, name in zip(source.pool.inputs, source.pool.ids, strict=True):
        _, person, number = name.split("/")
        red, green = COLOURS[person] + 10 * int(number), COLOURS[person]
        assert (image[0].float().mean() - red).abs() < 3
        assert (image[1].float().mean() - green).abs() < 3


def test_the_pairs_are_those_of_the_list(home):
    pool = lfw.load(home).pool
    found = lfw.official_pairs(pool, path=home)
    assert found == [(0, 1, True), (2, 3, True), (1, 2, False), (4, 0, False)]


def test_a_person_on_both_sides_is_refused(home):
    (home / "lfw_home" / "pairsDevTest.txt").write_text("1\nDee\t1\t2\nDee\t1\tAnn\t1\n")
    with pytest.raises(CompanionError, match="people of the dataset 'lfw': got Ann in pool and t"):
        lfw.load(home)


def test_a_missing_list_is_told(home):
    pool = lfw.load(home).pool
    (home / "lfw_home" / "pairsDevTrain.txt").unlink()
    with pytest.raises(CompanionError, match=r"pairs of the dataset 'lfw' \(pool\): got .*which d"):
        lfw.official_pairs(pool, path=home)


def test_rehearsal_has_random_people_on_either_side(monkeypatch):
    monkeypatch.setenv("COMPANION_SCALE", "rehearsal")
    source = lfw.load()
    assert len(source.pool) == lfw.NUM_PEOPLE * lfw.NUM_PICTURES
    assert not set(source.pool.classes) & set(source.test.classes)
    pairs = lfw.official_pairs(source.pool)
    assert len(pairs) == 40 * 39 / 2
    assert sum(is_genuine for _, _, is_genuine in pairs) == lfw.NUM_PEOPLE
