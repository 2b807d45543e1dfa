"""Omniglot with its real files, where COMPANION_DATA has them."""

import os
from pathlib import Path

import pytest
import torch

from companion import assets, compare, load_backbone, load_dataset, study
from companion.datasets import omniglot


def real_files():
    root = Path(os.environ.get("COMPANION_DATA") or "nowhere")
    return [root / file.name for file in omniglot.FILES]


pytestmark = pytest.mark.skipif(
    not all(path.is_file() for path in real_files()),
    reason="needs COMPANION_DATA with vision/omniglot/images_background_small1.zip and _small2.zip",
)


@pytest.fixture(scope="module")
def drawn():
    """One label a class, from the real files, network forbidden."""
    patch = pytest.MonkeyPatch()
    patch.setattr(assets, "_download", lambda *args: pytest.fail("asked the network"))
    yield load_dataset("omniglot", labels_per_class=1, seed=0)
    patch.undo()


def test_sizes(drawn):
    assert (len(drawn.pool), len(drawn.test), len(drawn.train)) == (1920, 1920, 192)
    assert set(drawn.pool.class_counts().values()) == {10}
    assert drawn.pool.inputs.shape == (1920, 1, 105, 105)


def test_ink_is_bright_and_thin(drawn):
    assert set(drawn.pool.inputs.unique().tolist()) == {0, 255}
    share = (drawn.pool.inputs == 255).double().mean(dim=(1, 2, 3))
    assert 0.01 < float(share.mean()) < 0.1
    assert float(share.max()) < 0.5


def test_drawings_are_all_different(drawn):
    packed = {image.numpy().tobytes() for image in drawn.pool.inputs}
    assert len(packed) == 1920


def test_drawings_of_one_character_are_alike(drawn):
    images = torch.nn.functional.avg_pool2d(drawn.pool.inputs.float(), 15).flatten(1)
    images = torch.nn.functional.normalize(images, dim=1)
    likeness = images @ images.T
    is_same = drawn.pool.labels[:, None] == drawn.pool.labels[None]
    assert likeness[is_same].mean() > likeness[~is_same].mean() + 0.1


def test_a_recorded_run_is_found_again(drawn):
    found = study.recorded("foundations/few-shot/omniglot")
    live = compare(load_backbone("glyphnet"), drawn, strategies=["probe"], seeds=[0], device="cpu")
    twin = live.same_run(found, strategy="probe", seed=0, labels_per_class=1)
    assert twin.agrees, str(twin)
