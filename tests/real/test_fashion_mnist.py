"""FashionMNIST with its real files, where COMPANION_DATA has them."""

import os
from pathlib import Path

import pytest
import torch

from companion import assets, load_dataset
from companion.datasets import fashion_mnist


def real_files():
    root = Path(os.environ.get("COMPANION_DATA") or "nowhere")
    return [root / file.name for file in fashion_mnist.FILES]


pytestmark = pytest.mark.skipif(
    not all(path.is_file() for path in real_files()),
    reason="needs COMPANION_DATA with vision/FashionMNIST/raw/*.gz",
)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Ten labels a class, from the real files, unpacked into an empty cache, network forbidden."""
    patch = pytest.MonkeyPatch()
    patch.setenv("COMPANION_CACHE", str(tmp_path_factory.mktemp("cache")))
    patch.setattr(assets, "_download", lambda *args: pytest.fail("asked the network"))
    yield load_dataset("fashion_mnist", labels_per_class=10, seed=0)
    patch.undo()


def test_sizes_and_classes(drawn):
    assert (len(drawn.pool), len(drawn.test)) == (60_000, 10_000)
    assert set(drawn.pool.class_counts().values()) == {6_000}
    assert drawn.pool.inputs.shape == (60_000, 1, 28, 28)
    assert drawn.pool.inputs.dtype == torch.uint8
    assert (len(drawn.train), len(drawn.val)) == (80, 20)


def test_mean_and_deviation_are_the_published_ones(drawn):
    pixels = drawn.pool.inputs.double() / 255
    assert float(pixels.mean()) == pytest.approx(0.2860, abs=5e-5)
    assert float(pixels.std()) == pytest.approx(0.3530, abs=5e-5)


def test_first_labels_are_the_official_ones(drawn):
    assert drawn.pool.labels[:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]


def test_everything_is_a_fifth_val(drawn):
    everything = drawn.redraw(labels_per_class=None)
    assert (len(everything.train), len(everything.val)) == (48_000, 12_000)
    assert everything.test is drawn.test
