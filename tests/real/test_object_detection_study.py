"""The recorded study of the chapter on object detection: one of its runs, run again."""

import os
from pathlib import Path

import pytest

from companion import compare, load_backbone, load_dataset, study
from companion.datasets import bccd

NAME = "vision/object-detection/bccd"
REAL = Path(os.environ.get("COMPANION_DATA") or "nowhere") / bccd.FILES[0].name

pytestmark = pytest.mark.skipif(
    not REAL.is_file(), reason="needs COMPANION_DATA with vision/bccd_voc.zip"
)


@pytest.mark.filterwarnings("ignore:.*problems, left out")
@pytest.mark.parametrize("strategy", ["scratch", "full"])
def test_a_recorded_run_is_found_again(strategy):
    found = study.recorded(NAME)
    recipe = study.recipe_from_dict(found.config["recipes"][0])
    live = compare(
        load_backbone("spotnet"),
        load_dataset("bccd", labels_per_class=5, seed=0),
        strategies=[strategy],
        seeds=[0],
        recipe=recipe,
        device="cpu",
    )
    assert live.items.fingerprint == found.items.fingerprint
    twin = live.same_run(found, strategy=strategy, seed=0, labels_per_class=5)
    assert twin.agrees, str(twin)
