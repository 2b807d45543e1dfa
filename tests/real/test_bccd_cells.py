"""BCCD's single cells from the real file, where COMPANION_DATA has it."""

import os
import zipfile
from pathlib import Path

import pytest
import torch

from companion import compare, load_backbone, load_dataset, study
from companion.datasets import bccd_cells
from companion.training import Recipe


def real_file():
    return Path(os.environ.get("COMPANION_DATA") or "nowhere") / bccd_cells.FILES[0].name


pytestmark = pytest.mark.skipif(
    not real_file().is_file(), reason="needs COMPANION_DATA with vision/bccd_voc.zip"
)


@pytest.fixture(scope="module")
def splits():
    return load_dataset("bccd_cells", labels_per_class=5, seed=0)


def test_sizes_and_the_two_boxes_without_area():
    with zipfile.ZipFile(real_file()) as archive:
        pool, test = (bccd_cells.read_boxes(archive, part) for part in ("trainval", "test"))
    labels = [box.label for box in pool + test]
    assert [labels.count(name) for name in bccd_cells.CARD.classes] == [4155, 372, 361]
    empty = [(box.image, box.label) for box in pool if not box.has_area]
    assert empty == [("BloodImage_00338", "RBC"), ("BloodImage_00343", "RBC")]
    assert all(box.has_area for box in test)


def test_all_white_cells_and_platelets_and_two_red_cells_a_photograph(splits):
    pool = splits.pool.class_counts()
    test = load_dataset("bccd_cells").test
    assert pool["WBC"] + pool["Platelets"] < 733 - 100
    assert 500 < pool["RBC"] <= 2 * 292
    assert len(set(test.groups)) <= 72
    assert not set(test.groups) & set(splits.pool.groups)


def test_white_cells_are_violet(splits):
    """In the negatives green is brightest: nuclei swallow it."""
    images = 255 - splits.pool.inputs.double()
    middle = images[:, :, 12:20, 12:20].mean(dim=(2, 3))
    white = middle[splits.pool.labels == 1].mean(dim=0)
    red = middle[splits.pool.labels == 0].mean(dim=0)
    assert white[2] > white[1] + 20
    assert torch.all(white[:2] < red[:2])


def test_a_recorded_run_is_found_again(splits):
    found = study.recorded("vision/medical-imaging/cells")
    recipe = Recipe(epochs=1, min_steps=80, batch_size=16)
    backbone = load_backbone("glyphnet")
    live = compare(backbone, splits, strategies=["probe"], seeds=[0], recipe=recipe, device="cpu")
    twin = live.same_run(found, strategy="probe", seed=0, labels_per_class=5)
    assert twin.agrees, str(twin)
