"""The dataset "bccd" on a small zip of its form, without the real files."""

import http.server
import io
import threading
import zipfile
from dataclasses import replace

import pytest
import torch
from boxes_folders import voc_xml
from PIL import Image

from companion import assets, load_dataset, runtime
from companion.checks import CompanionError
from companion.datasets import bccd

LISTS = {"train": "ab", "val": "c", "trainval": "abc", "test": "de"}
FILES = {f"ImageSets/Main/{part}.txt": "\n".join(names) for part, names in LISTS.items()}
FILES |= {f"Annotations/{name}.xml": voc_xml("RBC 1 2 13 17", "WBC 4 4 40 30") for name in "abcd"}
FILES["Annotations/e.xml"] = voc_xml("Platelets 1 2 3 4", "RBC 9 9 9 9", "RBC 1 1 5 5")


def small_zip(top, *, extra=()):
    """A zip of five images below a folder, and files that are not of the dataset."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in FILES.items():
            archive.writestr(f"{top}/{name}", text)
        for name in "abcde":
            image = io.BytesIO()
            Image.new("RGB", (40, 30), (ord(name), 0, 0)).save(image, "PNG")
            archive.writestr(f"{top}/JPEGImages/{name}.png", image.getvalue())
        for name in extra:
            archive.writestr(name, "something else")
    return content.getvalue()


@pytest.fixture
def local(tmp_path, monkeypatch):
    """COMPANION_DATA with a small zip in the place of the real one; its cache."""
    path = tmp_path / "data" / bccd.FILES[0].name
    path.parent.mkdir(parents=True)
    path.write_bytes(small_zip("VOCdevkit/VOC2007"))
    file = replace(bccd.FILES[0], sha256=runtime.sha256_file(path))
    monkeypatch.setattr(bccd, "FILES", (file,))
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "cache"))
    return path


def test_trainval_is_the_pool_and_test_the_test_set(local):
    with pytest.warns(UserWarning, match=r"box without area: 1 \(Annotations/e.xml\)"):
        source = bccd.load()
    assert source.pool.ids == ("bccd/a", "bccd/b", "bccd/c") and source.val_pool is None
    assert source.test.ids == ("bccd/d", "bccd/e")
    assert source.pool.classes == ("RBC", "WBC", "Platelets")
    assert source.pool.labels[0][:, 0].tolist() == [0, 1]
    assert source.test.labels[1].tolist() == [
        pytest.approx([2, 1 / 40, 2 / 30, 3 / 40, 4 / 30]),
        pytest.approx([0, 1 / 40, 1 / 30, 5 / 40, 5 / 30]),
    ]
    assert source.pool.inputs[1].shape == (3, 30, 40)
    assert float(source.pool.inputs[1][0, 0, 0]) == pytest.approx(ord("b") / 255)


class Served:
    """The address of a small server, and how often it was asked."""

    def __init__(self, content):
        outer, self.asked = self, 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                self.send_response(200)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/bccd.zip"


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """A network that holds a zip, a machine that holds none."""
    monkeypatch.delenv("COMPANION_DATA", raising=False)
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "cache"))
    servers = []

    def start(content, *, expected=None):
        servers.append(Served(content))
        monkeypatch.setattr(bccd, "FILES", (replace(bccd.FILES[0], url=servers[-1].url),))
        monkeypatch.setattr(bccd, "CONTENT_SHA256", bccd._content_sha256(expected or content))
        return servers[-1]

    yield start
    for served in servers:
        served.server.shutdown()
        served.server.server_close()


@pytest.mark.filterwarnings("ignore:.*box without area")
def test_the_archive_of_the_authors_is_downloaded_once(serve):
    top = "BCCD_Dataset-d272fb1"
    served = serve(small_zip(f"{top}/BCCD", extra=[f"{top}/README.md", f"{top}/scripts/a.py"]))
    assert bccd.load().pool.ids == ("bccd/a", "bccd/b", "bccd/c")
    assert bccd.load().test.ids == ("bccd/d", "bccd/e")
    assert served.asked == 1


def test_the_content_counts_and_not_the_packing():
    first, second = small_zip("VOCdevkit/VOC2007"), small_zip("x/BCCD", extra=["x/LICENSE"])
    assert first != second
    assert bccd._content_sha256(first) == bccd._content_sha256(second)
    assert bccd._content_sha256(first) != bccd._content_sha256(
        small_zip("x", extra=["x/Annotations/more.xml"])
    )


@pytest.mark.parametrize("content", [b"<html>", small_zip("x", extra=["x/Annotations/z.xml"])])
def test_another_file_than_expected_is_refused_and_not_kept(serve, content):
    serve(content, expected=small_zip("x"))
    with pytest.raises(
        CompanionError, match=r"file vision/bccd_voc.zip: got .*8 MB of BCCD.*put a"
    ):
        bccd.load()
    assert not list(assets.cache_directory().rglob("*.zip"))


def test_no_network_says_where_to_put_the_file(serve):
    served = serve(small_zip("x"))
    served.server.shutdown()
    served.server.server_close()
    with pytest.raises(CompanionError, match=r"refused.*put a zip with SHA-256 9c05.*bccd_voc.zip"):
        bccd.load()


def test_a_path_is_refused(tmp_path):
    with pytest.raises(CompanionError, match="path of the dataset 'bccd'"):
        load_dataset("bccd", path=tmp_path)


def test_rehearsal_needs_no_file(monkeypatch):
    monkeypatch.setenv("COMPANION_SCALE", "rehearsal")
    splits = load_dataset("bccd", labels_per_class=20)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (16, 4, 8)
    assert splits.train.inputs.shape == (16, 3, 96, 128)
    assert splits.train.inputs.dtype == torch.uint8
    assert min(splits.pool.class_counts().values()) > 10
    assert any(len(label) == 0 for label in splits.pool.labels), "some hold nothing, as may be"
