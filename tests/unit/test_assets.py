"""companion.assets: order of places, downloads that fail and recover, weights that cannot bite."""

import errno
import hashlib
import http.server
import os
import pickle
import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from companion import assets
from companion.assets import RemoteFile
from companion.checks import CompanionError

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """A server on this machine whose answers are told beforehand, one a request."""

    def __init__(self):
        self.answers, self.requests = [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append(self.path)
                status, body, length = outer.answers.pop(0)
                self.send_response(status)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, body=CONTENT, *, status=200, length=None):
        self.answers.append((status, body, len(body) if length is None else length))

    def file(self, name="vision/things.bin", sha256=SHA256):
        url = f"http://127.0.0.1:{self.server.server_port}/{name}"
        return RemoteFile(name, url, sha256, len(CONTENT), "CC0-1.0")


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(assets, "FIRST_PAUSE_SECONDS", 0.0)
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    server = Server()
    yield server
    server.server.shutdown()
    server.server.server_close()


@pytest.fixture
def places(tmp_path, monkeypatch):
    """The three folders where files are looked for, all empty."""
    found = {name: tmp_path / name for name in ("bundled", "data", "cache")}
    for path in found.values():
        path.mkdir()
    monkeypatch.setattr(assets, "BUNDLED", found["bundled"])
    monkeypatch.setenv("COMPANION_DATA", str(found["data"]))
    monkeypatch.setenv("COMPANION_CACHE", str(found["cache"]))
    return found


def put(place, content=CONTENT, name="vision/things.bin"):
    path = place / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def left_in(place):
    return sorted(path.name for path in place.rglob("*") if path.is_file())


# Where files are looked for


def test_the_order_is_package_data_cache(places, server):
    assert assets.locate(server.file()) is None
    for name in ("cache", "data", "bundled"):
        path = put(places[name])
        assert assets.locate(server.file()) == path
    assert server.requests == []


def test_fetch_asks_the_network_only_for_what_is_nowhere(places, server):
    path = put(places["data"])
    assert assets.fetch(server.file()) == path
    assert server.requests == [] and left_in(places["cache"]) == []


def test_a_read_only_data_folder_is_left_as_it_is(places, server):
    places["data"].chmod(0o555)
    server.answer()
    assert assets.fetch(server.file()) == places["cache"] / "vision/things.bin"
    assert left_in(places["data"]) == []


def test_data_directory_must_be_there(monkeypatch, tmp_path):
    monkeypatch.delenv("COMPANION_DATA", raising=False)
    assert assets.data_directory() is None
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path / "nothing"))
    with pytest.raises(CompanionError, match="COMPANION_DATA: got .*nothing, which does not exist"):
        assets.data_directory()


def test_the_cache_is_the_systems_unless_told_otherwise(monkeypatch, tmp_path):
    monkeypatch.delenv("COMPANION_CACHE", raising=False)
    monkeypatch.delenv("COMPANION_DATA", raising=False)
    assert assets.cache_directory().name == "transfer-learning-companion"
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path))
    assert assets.cache_directory() == tmp_path
    assert list(assets.roots()) == ["package", "cache"]


# Downloads


def test_a_download_is_verified_and_kept(places, server):
    server.answer()
    path = assets.fetch(server.file())
    assert path.read_bytes() == CONTENT and path.is_relative_to(places["cache"])
    assert assets.fetch(server.file()) == path
    assert server.requests == ["/vision/things.bin"]
    assert left_in(places["cache"]) == ["things.bin"]


def test_a_flaky_server_is_asked_again(places, server):
    server.answer(b"busy", status=503)
    server.answer(CONTENT[:1000], length=len(CONTENT))
    server.answer()
    assert assets.fetch(server.file()).read_bytes() == CONTENT
    assert len(server.requests) == 3 and left_in(places["cache"]) == ["things.bin"]


def test_pauses_grow(places, server, monkeypatch):
    pauses = []
    monkeypatch.setattr(assets, "FIRST_PAUSE_SECONDS", 1.0)
    monkeypatch.setattr(assets.time, "sleep", pauses.append)
    for _ in range(4):
        server.answer(b"", status=500)
    with pytest.raises(CompanionError, match="HTTP status 500"):
        assets.fetch(server.file())
    assert pauses == [1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("body", "length", "reason"),
    [
        (CONTENT[:-1] + b"x", None, r"SHA-256 is [0-9a-f]{64} instead of [0-9a-f]{64}"),
        (CONTENT[:1000], 1000, r"1000 bytes came instead of 1024000"),
        (CONTENT[:1000], len(CONTENT), r"IncompleteRead|1000 bytes came instead"),
    ],
)
def test_a_wrong_download_leaves_nothing_behind(places, server, body, length, reason):
    for _ in range(2):
        server.answer(body, length=length)
    with pytest.raises(CompanionError, match=rf"file vision/things.bin: got .*({reason})"):
        assets.fetch(server.file(), num_attempts=2)
    assert left_in(places["cache"]) == [] and len(server.requests) == 2


def test_the_one_error_says_all_one_needs(places, server):
    server.answer(b"", status=404)
    with pytest.raises(CompanionError) as caught:
        assets.fetch(server.file())
    message = str(caught.value)
    for part in ("HTTP status 404", server.file().url, "1.0 MB", "CC0-1.0", SHA256):
        assert part in message
    for place in ("data", "cache"):
        assert str(places[place] / "vision/things.bin") in message
    assert len(server.requests) == 1, "a file that is not there is not asked for again"


def test_no_network_is_the_same_error(places, server):
    file = RemoteFile("x.bin", "http://127.0.0.1:9/x.bin", SHA256, 10, "MIT")
    with pytest.raises(CompanionError, match="file x.bin: got .*refused.*put it at"):
        assets.fetch(file, num_attempts=2)


def test_num_attempts_is_checked(places, server):
    with pytest.raises(CompanionError, match="num_attempts: got 0"):
        assets.fetch(server.file(), num_attempts=0)


@pytest.mark.parametrize("place", ["bundled", "data", "cache"])
def test_a_corrupted_file_is_named_with_both_checksums(places, server, place):
    path = put(places[place], b"something else")
    wrong = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(CompanionError, match=rf"file {path}: got SHA-256 {wrong}; .*{SHA256}"):
        assets.fetch(server.file())


def full_disk(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def no_permission(*args, **kwargs):
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_a_full_disk_loses_nothing_and_leaves_nothing(places, server, monkeypatch):
    other = put(places["cache"], b"good", name="vision/other.bin")
    server.answer()
    monkeypatch.setattr(assets, "_blocks", full_disk)
    with pytest.raises(CompanionError, match=r"writing .*No space left.*1\.0 MB of free space"):
        assets.fetch(server.file())
    assert other.read_bytes() == b"good" and left_in(places["cache"]) == ["other.bin"]


def test_a_cache_without_write_permission(places, server, monkeypatch):
    server.answer()
    monkeypatch.setattr(assets.tempfile, "mkstemp", no_permission)
    with pytest.raises(CompanionError, match=r"writing .*Permission denied.*COMPANION_CACHE"):
        assets.fetch(server.file())


def test_the_progress_bar_is_drawn_when_asked_for(places, server, capsys):
    server.answer()
    assets.fetch(server.file(), progress=True)
    assert "things.bin: 100%" in capsys.readouterr().err
    server.answer()
    assets.fetch(server.file("other.bin"), progress=False)
    assert capsys.readouterr().err == ""


# Bundled files


def test_every_bundled_file_has_its_checksum():
    on_disk = {
        path.relative_to(assets.BUNDLED).as_posix()
        for path in assets.BUNDLED.rglob("*")
        if path.is_file() and path.name != "SHA256SUMS"
    }
    assert on_disk, "no bundled file was found"
    assert set(assets.bundled_checksums()) == on_disk
    assert assets.broken_bundled() == []


def test_checksums_are_written_and_watched_over(places):
    assert assets.bundled_checksums() == {}
    put(places["bundled"], b"one", name="a/one.txt")
    put(places["bundled"], b"two", name="two.txt")
    path = assets.write_bundled_checksums()
    assert path.read_text().splitlines()[0] == f"{hashlib.sha256(b'one').hexdigest()}  a/one.txt"
    assert assets.broken_bundled() == []
    put(places["bundled"], b"changed", name="a/one.txt")
    (places["bundled"] / "two.txt").unlink()
    assert assets.broken_bundled() == [
        "a/one.txt has another SHA-256 than SHA256SUMS says",
        "two.txt is missing",
    ]


def test_bundled_weights_are_verified_without_being_asked(places):
    path = places["bundled"] / "net.safetensors"
    save_file({"w": torch.ones(2)}, path)
    assets.write_bundled_checksums()
    assert torch.equal(assets.load_weights(path)["w"], torch.ones(2))
    save_file({"w": torch.zeros(2)}, path)
    with pytest.raises(CompanionError, match=r"net.safetensors: got SHA-256 .*expected SHA-256"):
        assets.load_weights(path)


# Weights


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".bin"])
def test_weights_come_back_whatever_the_file_is_called(tmp_path, suffix):
    weights = {
        "a": torch.randn(3, 2, generator=torch.Generator().manual_seed(0)),
        "b": torch.ones(1),
    }
    safe, torchs = tmp_path / f"safe{suffix}", tmp_path / f"torch{suffix}"
    save_file(weights, safe)
    torch.save(weights, torchs)
    for path in (safe, torchs):
        found = assets.load_weights(path)
        assert found.keys() == weights.keys()
        assert all(torch.equal(found[name], weights[name]) for name in weights)


def test_a_prefix_of_the_checksum_is_enough(tmp_path):
    path = tmp_path / "net.safetensors"
    save_file({"w": torch.ones(2)}, path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert assets.load_weights(path, sha256=sha256[:8].upper()).keys() == {"w"}
    with pytest.raises(CompanionError, match=rf"got SHA-256 {sha256}; expected SHA-256 00000000"):
        assets.load_weights(path, sha256="00000000")


class Payload:
    """Unpickling this runs a shell command."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (os.system, (f"touch '{self.marker}'",))


def write_pickle(path, marker):
    path.write_bytes(pickle.dumps({"w": Payload(marker)}))


def write_torch_zip(path, marker):
    torch.save({"w": Payload(marker)}, path)


def write_torch_legacy(path, marker):
    torch.save({"w": Payload(marker)}, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pkl"])
@pytest.mark.parametrize("write", [write_pickle, write_torch_zip, write_torch_legacy])
def test_a_pickle_is_refused_and_never_runs(tmp_path, write, suffix):
    marker, path = tmp_path / "it ran", tmp_path / f"weights{suffix}"
    write(path, marker)
    with pytest.raises(
        CompanionError, match=r"weights .*got a pickle.*nothing in the file was run"
    ):
        assets.load_weights(path)
    assert not marker.exists()


def test_the_payload_would_have_run(tmp_path):
    marker, path = tmp_path / "it ran", tmp_path / "weights.pth"
    write_torch_zip(path, marker)
    torch.load(path, weights_only=False)
    assert marker.exists()


def write_truncated_safetensors(path):
    save_file({"w": torch.ones(1000)}, path)
    path.write_bytes(path.read_bytes()[:500])


def write_truncated_zip(path):
    torch.save({"w": torch.ones(1000)}, path)
    content = bytearray(path.read_bytes())
    content[40:200] = bytes(160)
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (write_truncated_safetensors, "got broken content"),
        (write_truncated_zip, "got (broken content|a pickle)"),
        (lambda path: path.write_text("hello, this is text"), "got an unknown kind of file"),
        (lambda path: path.write_bytes(b""), "got an unknown kind of file"),
        (lambda path: torch.save([torch.ones(1)], path), "got a list that holds more than tensors"),
        (lambda path: torch.save({"epoch": 3}, path), "got a dict that holds more than tensors"),
        (lambda path: Path(path).mkdir(), "which is a folder"),
        (lambda path: None, "which does not exist"),
    ],
)
def test_what_is_no_weights_is_refused(tmp_path, write, message):
    path = tmp_path / "weights.pth"
    write(path)
    with pytest.raises(CompanionError, match=f"weights.*{message}"):
        assets.load_weights(path)
