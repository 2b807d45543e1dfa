"""BCCD with its real file, where COMPANION_DATA has it."""

import os
import time
import zipfile
from pathlib import Path

import pytest
import torch

from companion import assets, load_dataset
from companion.boxes import Problem, convert, read_annotations
from companion.checks import CompanionError
from companion.command_line import main
from companion.datasets import bccd
from companion.datasets.boxes_folder import unpacked
from companion.splits import fresh_readings

REAL = Path(os.environ.get("COMPANION_DATA") or "nowhere") / bccd.FILES[0].name

pytestmark = pytest.mark.skipif(
    not REAL.is_file(), reason="needs COMPANION_DATA with vision/bccd_voc.zip"
)

NO_AREA = ("BloodImage_00338", "BloodImage_00343")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The unpacked files in a cache of their own, network forbidden."""
    patch = pytest.MonkeyPatch()
    patch.setenv("COMPANION_CACHE", str(tmp_path_factory.mktemp("cache")))
    patch.setattr(bccd, "_downloaded", lambda: pytest.fail("asked the network"))
    yield unpacked(REAL)
    patch.undo()


@pytest.fixture(scope="module")
def drawn(folder):
    with pytest.warns(UserWarning, match="2 problems, left out or clipped: box without area: 2"):
        return load_dataset("bccd", labels_per_class=20, seed=0)


def test_the_two_boxes_without_area_are_reported_and_nothing_else(folder):
    started = time.process_time()
    with pytest.raises(CompanionError, match="got 2 problems: box without area: 2"):
        read_annotations(folder)
    assert time.process_time() - started < 2, "364 xml files and the heads of 364 images"
    with pytest.warns(UserWarning):
        found = read_annotations(folder, on_problem="report", whole_images=True)
    assert found.problems == tuple(
        Problem(
            f"Annotations/{name}.xml",
            "box without area",
            f"RBC {place},{place} in an image of 640 x 480",
        )
        for name, place in zip(NO_AREA, ("504,337", "181,329"), strict=True)
    )
    assert found.class_counts() == {"Platelets": 361, "RBC": 4155 - 2, "WBC": 372}
    assert found.part_counts() == {"train": 205, "val": 87, "test": 72}


def test_sizes_and_labels(drawn):
    assert (len(drawn.pool), len(drawn.test), len(drawn.train), len(drawn.val)) == (292, 72, 16, 4)
    with fresh_readings():
        test = drawn.test.open("a test")
    counts = [drawn.pool.class_counts(), test.class_counts()]
    assert [sum(count[name] for count in counts) for name in bccd.CARD.classes] == [4153, 372, 361]
    assert drawn.train.inputs[0].shape == (3, 480, 640)
    corners = torch.cat(list(drawn.pool.labels))[:, 1:]
    assert 0 <= float(corners.min()) and float(corners.max()) == 1
    assert all(name in bccd.CARD.notes for name in NO_AREA)
    assert set(NO_AREA) <= {name.removeprefix("bccd/") for name in drawn.pool.ids}


def test_a_box_is_where_the_xml_file_says(drawn, folder):
    """The first object of one file, read with the eye: RBC 453, 81, 555, 182 of 640 x 480."""
    position = drawn.pool.ids.index("bccd/BloodImage_00338")
    expected = torch.tensor([0, 453 / 640, 81 / 480, 555 / 640, 182 / 480])
    assert torch.allclose(drawn.pool.labels[position][0], expected)


def test_the_checksum_of_the_content_is_that_of_the_file():
    assert bccd._content_sha256(REAL.read_bytes()) == bccd.CONTENT_SHA256
    with zipfile.ZipFile(REAL) as archive:
        names = [name for name in archive.namelist() if bccd._NAME.search(name)]
    assert len(names) == 364 + 364 + 4
    assert assets.locate(bccd.FILES[0]) == REAL


@pytest.mark.filterwarnings("ignore:.*box without area")
def test_round_the_three_formats_nothing_moves(folder, tmp_path):
    before = convert(folder, tmp_path / "1", format="coco", on_problem="report", images="link")
    convert(tmp_path / "1", tmp_path / "2", format="yolo", images="link")
    convert(tmp_path / "2", tmp_path / "3", format="voc", images="link")
    after = read_annotations(tmp_path / "3")
    assert after.part_counts() == before.part_counts() and len(after.images) == 364
    for new, old in zip(after.images, before.images, strict=True):
        assert (new.name, new.part) == (old.name, old.part)
        assert new.boxes == old.boxes, "whole pixels come back as whole pixels"


def test_the_command_says_what_is_wrong(folder, capsys):
    assert main(["boxes", "check", str(REAL)]) == 1
    printed = capsys.readouterr().out
    assert "364 images (train 205, val 87, test 72), 4886 boxes, 3 classes" in printed
    assert "box without area: 2\n  Annotations/BloodImage_00338.xml: RBC 504,337,504,337" in printed
