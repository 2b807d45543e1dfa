"""Finds, downloads and verifies files; reads weights without running any code of theirs.

A file is looked for in this order: among the files that ship with the package, below the folder
that `COMPANION_DATA` names (it may be read-only), in the user's cache, on the network.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import ssl
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NoReturn

from companion import checks, runtime

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "BUNDLED",
    "RemoteFile",
    "broken_bundled",
    "bundled_checksums",
    "cache_directory",
    "data_directory",
    "fetch",
    "load_weights",
    "locate",
    "roots",
    "write_bundled_checksums",
]

BUNDLED = Path(__file__).parent / "assets"
"""The folder of files that ship with the package."""

CHECKSUMS = "SHA256SUMS"
TIMEOUT_SECONDS = 30.0
FIRST_PAUSE_SECONDS = 1.0
BLOCK_BYTES = 1 << 18
NETWORK_ERRORS = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
)


@dataclass(frozen=True)
class RemoteFile:
    """A public file.

    Attributes:
        name: where it lies below each root, such as `"vision/FashionMNIST/raw/x.gz"`.
        url: where it is downloaded from.
        sha256: its checksum, 64 hexadecimal digits.
        size_bytes: its size.
        licence: under which it may be used.
    """

    name: str
    url: str
    sha256: str
    size_bytes: int
    licence: str


def data_directory() -> Path | None:
    """Return the folder that `COMPANION_DATA` names, or `None` where it is not set.

    Raises:
        CompanionError: it is set and is no folder.
    """
    text = os.environ.get("COMPANION_DATA")
    if not text:
        return None
    return checks.existing_directory(
        "COMPANION_DATA", text, do="set it to a folder that is there, or unset it"
    )


def cache_directory() -> Path:
    """Return the folder for downloads: `COMPANION_CACHE`, else the system's place for caches."""
    text = os.environ.get("COMPANION_CACHE")
    if text:
        return Path(text).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("transfer-learning-companion", appauthor=False))


def roots() -> dict[str, Path]:
    """Return the folders where files are looked for, by what they are, in order."""
    data = data_directory()
    found = {"package": BUNDLED}
    if data is not None:
        found["COMPANION_DATA"] = data
    return found | {"cache": cache_directory()}


def locate(file: RemoteFile) -> Path | None:
    """Return where a file lies on this machine, or `None`; nothing is downloaded.

    Args:
        file: the file.

    Raises:
        CompanionError: a file of that name has another checksum.
    """
    for root in roots().values():
        path = root / PurePosixPath(file.name)
        if path.is_file():
            _check_sha256(path, file.sha256, do=f"delete it, or replace it by {file.url}")
            return path
    return None


def fetch(file: RemoteFile, *, num_attempts: int = 4, progress: bool | None = None) -> Path:
    """Return where a file lies on this machine; download it to the cache if it is nowhere.

    Args:
        file: the file.
        num_attempts: how often the network is tried, with growing pauses in between.
        progress: whether to draw a progress bar; `None` draws one in a terminal.

    Raises:
        CompanionError: the file is broken, cannot be had, or cannot be written.
    """
    found = locate(file)
    if found is not None:
        return found
    path = cache_directory() / PurePosixPath(file.name)
    checks.positive_int("num_attempts", num_attempts)
    reason = ""
    for attempt in range(num_attempts):
        if attempt:
            time.sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
        try:
            _download(file, path, progress)
            return path
        except urllib.error.HTTPError as error:
            reason = f"HTTP status {error.code}"
            if error.code in (401, 403, 404, 410):
                break
        except (*NETWORK_ERRORS, _WrongContent) as error:
            reason = str(error) or type(error).__name__
    _cannot_fetch(file, reason)


class _WrongContent(Exception):
    """A download that ended early or has another checksum."""


def _download(file: RemoteFile, path: Path, progress: bool | None) -> None:
    """Download a file under a temporary name, verify it, and rename it.

    Raises:
        CompanionError: it cannot be written.
        _WrongContent: it ended early or has another checksum.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        request = urllib.request.Request(file.url, headers={"User-Agent": "companion"})
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            temporary = Path(name)
            digest = hashlib.sha256()
            with os.fdopen(descriptor, "wb") as out:
                for block in _blocks(response, file, progress):
                    digest.update(block)
                    out.write(block)
                size = out.tell()
        if size != file.size_bytes:
            raise _WrongContent(f"{size} bytes came instead of {file.size_bytes}")
        if digest.hexdigest() != file.sha256:
            raise _WrongContent(f"SHA-256 is {digest.hexdigest()} instead of {file.sha256}")
        temporary.chmod(0o644)
        temporary.replace(path)
    except NETWORK_ERRORS:
        raise
    except OSError as error:
        checks.fail(
            f"writing {path}",
            got=error.strerror or str(error),
            expected=f"write permission and {_megabytes(file.size_bytes)} of free space",
            do="free some space, or set COMPANION_CACHE to another folder",
        )
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _blocks(response: Any, file: RemoteFile, progress: bool | None) -> Iterator[bytes]:
    """Yield a response's content piece by piece, with a progress bar."""
    from tqdm import tqdm

    with tqdm(
        total=file.size_bytes,
        unit="B",
        unit_scale=True,
        desc=PurePosixPath(file.name).name,
        disable=not runtime.show_progress(progress),
    ) as bar:
        for block in iter(lambda: response.read(BLOCK_BYTES), b""):
            bar.update(len(block))
            yield block


def _cannot_fetch(file: RemoteFile, reason: str) -> NoReturn:
    """Raise the one error for a file that is nowhere and cannot be downloaded."""
    places = " or ".join(
        str(root / PurePosixPath(file.name)) for name, root in roots().items() if name != "package"
    )
    checks.fail(
        f"file {file.name}",
        got=f"{reason} from {file.url}",
        expected=f"{_megabytes(file.size_bytes)} under the licence {file.licence}, "
        f"SHA-256 {file.sha256}",
        do=f"try again later, or download it elsewhere and put it at {places}",
    )


def _megabytes(size_bytes: int) -> str:
    """Return a size in words."""
    return f"{size_bytes / 1e6:.1f} MB"


def _check_sha256(path: Path, expected: str, *, do: str) -> None:
    """Refuse a file whose checksum does not begin with the expected digits."""
    found = runtime.sha256_file(path)
    if not found.startswith(expected.lower()):
        checks.fail(f"file {path}", got=f"SHA-256 {found}", expected=f"SHA-256 {expected}", do=do)


def bundled_checksums() -> dict[str, str]:
    """Return the checksums of the files that ship with the package, by name below `BUNDLED`."""
    path = BUNDLED / CHECKSUMS
    if not path.is_file():
        return {}
    rows = (line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines())
    return {name: sha256 for sha256, name in rows}


def broken_bundled() -> list[str]:
    """Return what is wrong with the files that ship with the package, one sentence each."""
    checksums = bundled_checksums()
    problems = [] if checksums else [f"{CHECKSUMS} is missing or empty"]
    for name, sha256 in checksums.items():
        path = BUNDLED / name
        if not path.is_file():
            problems.append(f"{name} is missing")
        elif runtime.sha256_file(path) != sha256:
            problems.append(f"{name} has another SHA-256 than {CHECKSUMS} says")
    return problems


def write_bundled_checksums() -> Path:
    """Write the checksums of all files that ship with the package; recipes call it at the end.

    Returns:
        The file that was written.
    """
    files = sorted(path for path in BUNDLED.rglob("*") if path.is_file() and path.name != CHECKSUMS)
    rows = (
        f"{runtime.sha256_file(path)}  {path.relative_to(BUNDLED).as_posix()}" for path in files
    )
    return runtime.atomic_write(BUNDLED / CHECKSUMS, "".join(f"{row}\n" for row in rows))


def load_weights(path: str | Path, *, sha256: str | None = None) -> dict[str, Tensor]:
    """Read weights from a safetensors file, or from one that `torch.save` wrote.

    No code from the file runs: of torch's files only the zip form is read, and that with
    `weights_only=True`.

    Args:
        path: the file.
        sha256: its checksum or the first digits of it; `None` takes the one that the package
            has for a file that ships with it, and checks nothing for others.

    Returns:
        Tensors by name, on the CPU.

    Raises:
        CompanionError: no such file, another checksum, broken content, or a file that is not
            weights alone, such as a pickle.
    """
    path = checks.existing_file("weights", path)
    if path.resolve().is_relative_to(BUNDLED.resolve()) and not sha256:
        name = path.resolve().relative_to(BUNDLED.resolve()).as_posix()
        sha256 = bundled_checksums().get(name)
    if sha256:
        _check_sha256(path, sha256, do="delete it and fetch or install it again")
    weights: Any = _read_zip(path) if zipfile.is_zipfile(path) else _read_safetensors(path)
    from torch import Tensor

    if not isinstance(weights, dict) or not all(isinstance(v, Tensor) for v in weights.values()):
        _refuse(path, f"a {type(weights).__name__} that holds more than tensors")
    return weights


def _read_zip(path: Path) -> Any:
    """Return the content of a file that `torch.save` wrote."""
    import pickle

    import torch

    try:
        with path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        _refuse(path, "a pickle that wants to run code")
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        _refuse(path, f"broken content ({str(error).splitlines()[0]})")


def _read_safetensors(path: Path) -> Any:
    """Return the content of a safetensors file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    with open(path, "rb") as file:
        start = file.read(9)
    if start[8:] != b"{":
        _refuse(path, "a pickle" if start[:1] == b"\x80" else "an unknown kind of file")
    try:
        return load_file(path)
    except (SafetensorError, ValueError, KeyError) as error:
        _refuse(path, f"broken content ({error})")


def _refuse(path: Path, got: str) -> NoReturn:
    """Raise the error for a file that is not weights alone."""
    checks.fail(
        f"weights {path}",
        got=got,
        expected="named tensors in a safetensors file or in torch's zip format",
        do="save them with safetensors.torch.save_file; nothing in the file was run",
    )
