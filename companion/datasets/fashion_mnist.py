"""Photographs of clothes, 28 x 28 pixels: the four public files, read by torchvision.

Reference: xiao2017fashion
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path, PurePosixPath

from companion import assets, checks, runtime
from companion.assets import RemoteFile
from companion.datasets.base import Source, refuse_path, stand_in
from companion.registry import DatasetCard
from companion.splits import Split

__all__ = ["CARD", "FILES", "load"]

_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
_FOLDER = "vision/FashionMNIST/raw/"
_HASHES = {
    "train-images-idx3-ubyte.gz": (
        26421880,
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    ),
    "train-labels-idx1-ubyte.gz": (
        29515,
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    ),
    "t10k-images-idx3-ubyte.gz": (
        4422102,
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    ),
    "t10k-labels-idx1-ubyte.gz": (
        5148,
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
}

FILES = tuple(
    RemoteFile(_FOLDER + name, _URL + name, sha256, size_bytes, licence="MIT")
    for name, (size_bytes, sha256) in _HASHES.items()
)
"""The four files as Zalando published them."""

CARD = DatasetCard(
    name="fashion_mnist",
    title="FashionMNIST",
    modality="vision",
    task="classification",
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    licence="MIT",
    source="github.com/zalandoresearch/fashion-mnist",
    size_bytes=sum(file.size_bytes for file in FILES),
    sha256=tuple((PurePosixPath(file.name).name, file.sha256) for file in FILES),
    paper="xiao2017fashion",
    notes="The official 60,000 items are the pool, the official 10,000 the test set.",
)


def load(path: Path | None = None) -> Source:
    """Load FashionMNIST; the files are downloaded if they are not on this machine.

    Args:
        path: not used; put the files below `COMPANION_DATA` instead.

    Returns:
        Pool (60,000 items) and test (10,000); images (items, 1, 28, 28), uint8. At the scale
        `rehearsal` a few random images of this form.

    Raises:
        CompanionError: a file is broken or cannot be had, or the cache cannot be written.
    """
    refuse_path(CARD, path)
    if runtime.scale() == "rehearsal":
        return stand_in(CARD, (1, 28, 28))
    for file in FILES:
        _unpack(file)
    root = _unpacked(FILES[0]).parents[2]
    return Source(_read(root, "pool"), _read(root, "test"), CARD)


def _unpacked(file: RemoteFile) -> Path:
    """Return where the unpacked form of a file belongs: in the cache, as torchvision wants it."""
    return assets.cache_directory() / PurePosixPath(file.name).with_suffix("")


def _unpack(file: RemoteFile) -> None:
    """Put the unpacked form of a file into the cache, where it is not there yet."""
    if _unpacked(file).is_file():
        return
    try:
        content = gzip.decompress(assets.fetch(file).read_bytes())
    except (OSError, EOFError, zlib.error) as error:  # pragma: no cover - after a good checksum
        checks.fail(
            f"file {file.name}",
            got=str(error),
            expected="a gzip file",
            do="delete it and try again",
        )
    runtime.atomic_write(_unpacked(file), content)


def _read(root: Path, name: str) -> Split:
    """Return the pool or the test set from the folder that holds FashionMNIST/raw."""
    from torchvision.datasets import FashionMNIST

    raw = FashionMNIST(str(root), train=name == "pool")
    part = "train" if name == "pool" else "test"
    ids = tuple(f"fashion_mnist/{part}/{number:05d}" for number in range(len(raw.data)))
    return Split(name, raw.data[:, None], raw.targets, ids, CARD.classes)
