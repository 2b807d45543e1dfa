"""Omniglot: the drawings of the kept alphabets are found, turned round and parted by number."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace

import pytest
import torch
from PIL import Image

import companion
from companion import runtime
from companion.checks import CompanionError
from companion.datasets import glyphs, omniglot
from companion.registry import DATASETS

TINY = {"Korean": 2, "Tagalog": 1}


def png(*, ink_at):
    """Return a white drawing of one bit a pixel with one black pixel."""
    image = Image.new("1", (105, 105), 1)
    image.putpixel(ink_at, 0)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def write_zip(path, alphabets, num_drawings=20):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for alphabet, num_characters in alphabets.items():
            for character in range(1, num_characters + 1):
                for drawing in range(1, num_drawings + 1):
                    name = f"{alphabet}/character{character:02d}/0007_{drawing:02d}.png"
                    content = png(ink_at=(character, drawing))
                    archive.writestr(f"{path.stem}/{name}", content)


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Two zips with three characters that are kept, and one alphabet that is left out."""
    write_zip(tmp_path / omniglot.FILES[0].name, {"Korean": 2, "Greek": 1})
    write_zip(tmp_path / omniglot.FILES[1].name, {"Tagalog": 1, "Latin": 1})
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path))
    use(monkeypatch, tmp_path)
    return tmp_path


def use(monkeypatch, root):
    """Make the loader expect the files that lie there."""
    files = [replace(file, sha256=runtime.sha256_file(root / file.name)) for file in omniglot.FILES]
    names = ("Korean/01", "Korean/02", "Tagalog/01")
    monkeypatch.setattr(omniglot, "FILES", tuple(files))
    monkeypatch.setattr(omniglot, "ALPHABETS", TINY)
    monkeypatch.setattr(omniglot, "CARD", replace(omniglot.CARD, classes=names))


def test_drawings_are_parted_by_their_number(tiny):
    source = omniglot.load()
    assert source.pool.classes == ("Korean/01", "Korean/02", "Tagalog/01")
    assert source.pool.labels.tolist() == [0] * 10 + [1] * 10 + [2] * 10
    assert source.pool.ids[0] == "omniglot/Korean/01/01"
    assert source.pool.ids[19] == "omniglot/Korean/02/10"
    assert source.test.ids[0] == "omniglot/Korean/01/11"
    assert source.test.ids[29] == "omniglot/Tagalog/01/20"
    assert not set(source.pool.ids) & set(source.test.ids)


def test_strokes_are_bright_and_stand_where_they_were_drawn(tiny):
    images = omniglot.load().test.inputs
    assert images.shape == (30, 1, 105, 105)
    assert images.dtype == torch.uint8
    assert images.flatten(1).sum(1).tolist() == [255] * 30
    assert images[12, 0, 13, 2] == 255  # character 2, drawing 13: row 13, column 2


def test_missing_drawings_are_one_clear_error(tiny, monkeypatch):
    write_zip(tiny / omniglot.FILES[1].name, {"Tagalog": 1}, num_drawings=19)
    use(monkeypatch, tiny)
    with pytest.raises(CompanionError, match="not all, of Tagalog/01; expected 20 drawings"):
        omniglot.load()


def test_a_path_is_refused(tmp_path):
    with pytest.raises(CompanionError, match="path of the dataset 'omniglot'"):
        omniglot.load(tmp_path)


def test_no_alphabet_of_the_rendered_letters_is_kept():
    card = DATASETS.get("omniglot")
    alphabets = {name.split("/")[0] for name in card.classes}
    assert alphabets == set(omniglot.ALPHABETS)
    assert not alphabets & set(omniglot.LEFT_OUT)
    assert len(card.classes) == sum(omniglot.ALPHABETS.values()) == 192
    assert "Greek" in glyphs.CARD.notes and "Latin" in glyphs.CARD.notes


def test_rehearsal_needs_no_file(monkeypatch):
    monkeypatch.setenv("COMPANION_SCALE", "rehearsal")
    splits = companion.load_dataset("omniglot", labels_per_class=1)
    assert splits.train.inputs.shape == (192, 1, 105, 105)
