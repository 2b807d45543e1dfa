"""Crops of the boxes of BCCD, on a zip made here: parts, groups, margins, boxes without area."""

from __future__ import annotations

import dataclasses
import io
import zipfile

import pytest
import torch
from PIL import Image, ImageDraw

import companion
from companion import assets
from companion.checks import CompanionError
from companion.datasets import bccd_cells

COLOURS = {"RBC": (200, 40, 40), "WBC": (60, 20, 160), "Platelets": (20, 120, 20)}


def xml_of(boxes):
    rows = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin>"
        f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        for name, (x, y, right, bottom) in boxes
    )
    return f"<annotation>{rows}</annotation>"


def photograph(boxes):
    image = Image.new("RGB", (160, 120), (250, 250, 250))
    for name, corners in boxes:
        if corners[2] > corners[0]:
            ImageDraw.Draw(image).rectangle(corners, fill=COLOURS.get(name, (0, 0, 0)))
    raw = io.BytesIO()
    image.save(raw, "JPEG", quality=95)
    return raw.getvalue()


BOXES = {
    "one": [
        ("RBC", (10, 10, 30, 30)),
        ("RBC", (50, 50, 50, 50)),
        ("WBC", (60, 20, 100, 60)),
        ("RBC", (110, 60, 140, 90)),
        ("RBC", (10, 80, 40, 110)),
    ],
    "two": [("Platelets", (0, 0, 12, 12)), ("RBC", (60, 40, 90, 70))],
    "three": [("WBC", (20, 20, 60, 100)), ("Platelets", (100, 100, 110, 110))],
}


def write(path, boxes=None, lists=None):
    boxes = BOXES if boxes is None else boxes
    lists = {"trainval": ["one", "two"], "test": ["three"]} if lists is None else lists
    with zipfile.ZipFile(path, "w") as archive:
        for name, found in boxes.items():
            archive.writestr(f"VOCdevkit/VOC2007/Annotations/{name}.xml", xml_of(found))
            archive.writestr(f"VOCdevkit/VOC2007/JPEGImages/{name}.jpg", photograph(found))
        for name, images in lists.items():
            text = "\n".join(images) + "\n"
            archive.writestr(f"VOCdevkit/VOC2007/ImageSets/Main/{name}.txt", text)
    return path


@pytest.fixture
def located(tmp_path, monkeypatch):
    path = write(tmp_path / "bccd.zip")
    monkeypatch.setattr(assets, "locate", lambda file: path)
    return path


def test_official_parts_photographs_as_groups_two_red_cells_each(located):
    source = bccd_cells.load()
    assert source.grouped
    labels = [source.pool.classes[label] for label in source.pool.labels]
    assert labels == ["RBC", "WBC", "RBC", "Platelets", "RBC"]
    assert source.pool.groups == ("one", "one", "one", "two", "two")
    assert source.test.groups == ("three", "three")
    assert source.pool.ids == tuple(
        f"bccd_cells/{n}" for n in ("one/0", "one/1", "one/2", "two/0", "two/1")
    )
    assert source.pool.inputs.shape == (5, 3, 32, 32)
    assert source.pool.inputs.dtype == torch.uint8


def test_a_crop_shows_its_cell_as_a_negative_with_a_margin(located):
    white = bccd_cells.load().pool.inputs[1].float()
    middle = white[:, 14:18, 14:18].mean(dim=(1, 2))
    wanted = 255 - torch.tensor(COLOURS["WBC"], dtype=torch.float)
    torch.testing.assert_close(middle, wanted, atol=6, rtol=0)
    # 40 pixels and 6 on each side become 32: the cell fills 3.7..28.3 of them.
    ground = white.mean(dim=0) < 60
    assert bool(ground[:3].all() and ground[-3:].all() and ground[:, :3].all())
    assert not bool(ground[5:27, 5:27].any())


def test_what_lies_over_the_border_is_cut(located):
    platelet = bccd_cells.load().pool.inputs[3].float().mean(dim=0)
    assert bool((platelet[:20, :20] > 150).all())
    assert bool((platelet[-1] < 100).all())


def test_boxes_without_area_are_told(located):
    with zipfile.ZipFile(located) as archive:
        boxes = bccd_cells.read_boxes(archive, "trainval")
    assert len(boxes) == 7
    empty = [box for box in boxes if not box.has_area]
    assert empty == [bccd_cells.Box("one", "RBC", (50, 50, 50, 50))]


def test_without_the_file_the_error_says_where_to_put_it(monkeypatch):
    monkeypatch.setattr(assets, "locate", lambda file: None)
    with pytest.raises(CompanionError, match="no vision/bccd_voc.zip; .* COMPANION_DATA"):
        bccd_cells.load()


def test_a_zip_without_a_list_or_with_an_unknown_name_is_refused(tmp_path, monkeypatch):
    path = write(tmp_path / "half.zip", lists={"trainval": ["one", "two"]})
    monkeypatch.setattr(assets, "locate", lambda file: path)
    with pytest.raises(CompanionError, match="got no ImageSets/Main/test"):
        bccd_cells.load()
    boxes = BOXES | {"two": [("Bacterium", (0, 0, 9, 9))]}
    path = write(tmp_path / "other.zip", boxes=boxes)
    with pytest.raises(CompanionError, match=r"name in Annotations/two.xml: got 'Bacterium'"):
        bccd_cells.load()


def test_a_path_is_refused_and_rehearsal_needs_no_file(tmp_path, monkeypatch):
    with pytest.raises(CompanionError, match="path of the dataset 'bccd_cells'"):
        bccd_cells.load(tmp_path)
    monkeypatch.setenv("COMPANION_SCALE", "rehearsal")
    splits = companion.load_dataset("bccd_cells", labels_per_class=5)
    assert splits.train.inputs.shape[1:] == (3, 32, 32)


def test_the_file_is_that_of_the_card():
    assert bccd_cells.CARD.sha256 == (("bccd_voc.zip", bccd_cells.FILES[0].sha256),)
    assert dataclasses.asdict(bccd_cells.FILES[0])["licence"] == bccd_cells.CARD.licence
