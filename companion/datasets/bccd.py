"""Photographs of blood smears with a box around each cell: BCCD, 364 images, 640 x 480 pixels.

The file in `COMPANION_DATA` is a zip of its authors' files in the folders of Pascal VOC. Where it
is not there, the archive of the authors' repository at the same commit is downloaded; its content
is compared with a checksum, as the archive itself may be packed anew at every request.
"""

from __future__ import annotations

import hashlib
import io
import re
import urllib.request
import zipfile
from pathlib import Path, PurePosixPath

import torch

from companion import assets, boxes, checks, runtime
from companion.assets import RemoteFile
from companion.datasets.base import Source, refuse_path
from companion.datasets.boxes_folder import as_split, unpacked
from companion.registry import DatasetCard
from companion.splits import Split

__all__ = ["CARD", "CONTENT_SHA256", "FILES", "load"]

COMMIT = "d272fb14cdff6e473fafeeeba32aba5f560e9e43"

FILES = (
    RemoteFile(
        "vision/bccd_voc.zip",
        f"https://github.com/Shenggan/BCCD_Dataset/archive/{COMMIT}.zip",
        "9c05b00ca39d75fc278399fb96344164001d3a7d9a8489be72fd462f408a6b0f",
        7785343,
        licence="MIT",
    ),
)
"""The authors' 732 files in one zip; the address has the same files in another zip."""

CONTENT_SHA256 = "debd2d76b13c300a3999f96a08cbe9ada5f231c3f882f9877a65a01a695872d1"
"""SHA-256 of the lines `SHA-256  name` of all files, sorted by name below `Annotations` etc."""

CARD = DatasetCard(
    name="bccd",
    title="BCCD blood cells",
    modality="vision",
    task="detection",
    classes=("RBC", "WBC", "Platelets"),
    licence="MIT",
    source="github.com/Shenggan/BCCD_Dataset",
    size_bytes=FILES[0].size_bytes,
    sha256=((PurePosixPath(FILES[0].name).name, FILES[0].sha256),),
    notes="The official list trainval (292 images) is the pool, the official test (72) the test "
    "set. Two boxes without area are left out, one RBC each in BloodImage_00338 and "
    "BloodImage_00343, both of the pool. Which images show the same smear is not told: pool and "
    "test may share some.",
)

_NAME = re.compile(r"(?:^|/)((?:Annotations|JPEGImages|ImageSets/Main)/[^/]+)$")
_STAND_IN = {"pool": 60, "test": 8}


def load(path: Path | None = None) -> Source:
    """Load BCCD; the files are downloaded if they are not on this machine.

    Args:
        path: not used; put the file below `COMPANION_DATA` instead.

    Returns:
        Pool (292 images) and test (72), decoded when they are asked for; labels as `Split` has
        them for detection. At the scale `rehearsal` a few random images of this form.

    Raises:
        CompanionError: the file is broken or cannot be had, or the cache cannot be written.

    Warns:
        UserWarning: the two boxes without area.
    """
    refuse_path(CARD, path)
    if runtime.scale() == "rehearsal":
        return Source(_stand_in("pool"), _stand_in("test"), CARD)
    root = unpacked(assets.locate(FILES[0]) or _downloaded())
    root = next((folder.parent for folder in sorted(root.rglob("Annotations"))), root)
    found = boxes.read_annotations(root, format="voc", classes=CARD.classes, on_problem="report")
    parts = {
        part: [image for image in found.images if (image.part == "test") == (part == "test")]
        for part in ("pool", "test")
    }
    pool, test = (as_split(p, parts[p], CARD.classes, prefix=CARD.name) for p in parts)
    return Source(pool, test, CARD)


def _downloaded() -> Path:
    """Return the archive of the authors' repository, from the cache or from the network.

    Raises:
        CompanionError: it cannot be had, holds other files, or cannot be written.
    """
    path = assets.cache_directory() / "vision" / f"bccd-{COMMIT[:12]}.zip"
    if path.is_file():
        return path
    file = FILES[0]
    request = urllib.request.Request(file.url, headers={"User-Agent": "companion"})
    try:
        with urllib.request.urlopen(request, timeout=assets.TIMEOUT_SECONDS) as response:
            content = response.read()
        got = f"a zip of other files from {file.url}"
        found = _content_sha256(content)
    except (*assets.NETWORK_ERRORS, zipfile.BadZipFile) as error:
        got, found = f"{error or type(error).__name__} from {file.url}", ""
    if found != CONTENT_SHA256:
        place = assets.cache_directory() / PurePosixPath(file.name)
        checks.fail(
            f"file {file.name}",
            got=got,
            expected=f"the {file.size_bytes / 1e6:.1f} MB of BCCD under the licence {file.licence}",
            do=f"try again later, or put a zip with SHA-256 {file.sha256} at {place}",
        )
    return runtime.atomic_write(path, content)


def _content_sha256(content: bytes) -> str:
    """Return the checksum of a zip's annotations, images and lists, however they are packed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        rows = {
            found[1]: hashlib.sha256(archive.read(name)).hexdigest()
            for name in archive.namelist()
            if (found := _NAME.search(name))
        }
    lines = (f"{sha256}  {name}\n" for name, sha256 in sorted(rows.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _stand_in(name: str) -> Split:
    """Return random images with random boxes in the form of the dataset."""
    generator = torch.Generator().manual_seed(runtime.derive_seed(0, "stand-in", CARD.name, name))
    num = _STAND_IN[name]
    images = torch.randint(256, (num, 3, 96, 128), generator=generator, dtype=torch.uint8)
    labels = []
    for number in range(num):
        low = torch.rand(number % 4, 2, generator=generator) * 0.6
        size = 0.1 + 0.3 * torch.rand(number % 4, 2, generator=generator)
        kinds = torch.randint(len(CARD.classes), (number % 4, 1), generator=generator)
        labels.append(torch.cat([kinds, low, low + size], dim=1).float())
    ids = tuple(f"{CARD.name}/{name}/{number}" for number in range(num))
    return Split(name, images, labels, ids, CARD.classes, task="detection")
