"""Scale, device, precision, seeds, versions and safe writing: what a run rests on.

Nothing in this module touches a global random state: an order or an augmentation is a function of
(seed, epoch, item) alone, so that a resumed run, another batch size and another number of
processes see the same numbers.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, cast

from companion import checks

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = [
    "atomic_directory",
    "atomic_write",
    "derive_seed",
    "epoch_order",
    "fork_seed",
    "item_uniforms",
    "pick_device",
    "pick_precision",
    "scale",
    "sha256_file",
    "show_progress",
    "use_device",
    "versions",
]

Scale = Literal["laptop", "full", "rehearsal"]
SCALES: tuple[Scale, ...] = ("laptop", "full", "rehearsal")
DISTRIBUTIONS = (
    "torch",
    "torchvision",
    "torchaudio",
    "transformers",
    "accelerate",
    "peft",
    "scikit-learn",
    "numpy",
)


def scale() -> Scale:
    """Return `"laptop"`, unless the environment variable `COMPANION_SCALE` has another scale.

    Raises:
        CompanionError: `COMPANION_SCALE` holds another word.
    """
    name = os.environ.get("COMPANION_SCALE") or "laptop"
    if name not in SCALES:
        checks.fail(
            "COMPANION_SCALE",
            got=repr(name),
            expected="laptop, full or rehearsal",
            do="set it to one of these or unset it",
        )
    return name


_preferred_device: str | None = None


def use_device(name: str | None) -> torch.device:
    """Make a device the one that is taken where none is named, and return it.

    Args:
        name: a torch device string such as `"cpu"`; `None` takes the best one there is again.

    Raises:
        CompanionError: the named device is not a device or is not on this machine.

    Modifies: what `device=None` means in this process.
    """
    global _preferred_device
    device = pick_device(name) if name is not None else _best_device()
    _preferred_device = name
    return device


def _best_device() -> torch.device:
    """Return the best device there is: CUDA, then MPS, then CPU."""
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda")
    is_apple = torch.backends.mps.is_available()
    return torch.device("mps" if is_apple else "cpu")


def pick_device(name: str | None = None) -> torch.device:
    """Return the named device, or the one `use_device` named, or the best one there is.

    Args:
        name: a torch device string such as `"cpu"` or `"cuda:1"`; `None` picks.

    Raises:
        CompanionError: the named device is not a device or is not on this machine.
    """
    import torch

    best = _preferred_device or str(_best_device())
    try:
        device = torch.device(name or best)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        checks.fail(
            "device",
            got=repr(name),
            expected=f"a device of this machine, such as {best!r}",
            do=f"leave it out to use {best!r} ({str(error).splitlines()[0]})",
        )
    return device


def pick_precision(precision: str, device: torch.device) -> str:
    """Return the mixed precision that accelerate is to use: `"no"`, `"bf16"` or `"fp16"`.

    Args:
        precision: `"auto"` (bf16 or fp16 on CUDA, none elsewhere), `"no"`, `"bf16"` or `"fp16"`.
        device: where the training runs.

    Raises:
        CompanionError: an unknown word, or fp16 on a device without it.
    """
    checks.one_of("precision", precision, ("auto", "no", "bf16", "fp16"))
    if precision == "auto":
        if device.type != "cuda":
            return "no"
        import torch

        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    if precision == "fp16" and device.type == "cpu":
        checks.fail(
            "precision", got="'fp16' on the CPU", expected="'no' or 'bf16'", do="use precision='no'"
        )
    return precision


def show_progress(progress: bool | None) -> bool:
    """Return whether to draw progress bars: as asked, or when a person watches a terminal."""
    return sys.stderr.isatty() if progress is None else progress


def versions() -> dict[str, str]:
    """Return the versions of everything a result depends on, by distribution name."""
    found = {"python": platform.python_version()}
    for name in DISTRIBUTIONS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def derive_seed(seed: int, *names: object) -> int:
    """Return a seed in [0, 2**63) for one purpose, so that purposes share no random numbers.

    Args:
        seed: the seed of the run.
        *names: what the numbers are for, such as `"head"` or `("order", 3)`.

    Raises:
        CompanionError: the seed is not a non-negative integer.

    Example:
        >>> derive_seed(0, "head") == derive_seed(0, "head")
        True
        >>> derive_seed(0, "head") == derive_seed(1, "head")
        False
    """
    checks.non_negative_int("seed", seed)
    text = "\x1f".join([str(int(seed)), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@contextlib.contextmanager
def fork_seed(seed: int, *names: object) -> Iterator[None]:
    """Seed torch for the body of a `with` block and put the global state back afterwards.

    Args:
        seed: the seed of the run.
        *names: what the numbers are for, as in `derive_seed`.
    """
    import torch

    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(derive_seed(seed, *names))
        yield


def epoch_order(num_items: int, *, seed: int, epoch: int) -> Tensor:
    """Return the order in which one epoch visits the items: a function of (seed, epoch) alone.

    Args:
        num_items: how many items there are.
        seed: the seed of the run.
        epoch: which epoch, from 0.

    Returns:
        A permutation of `0..num_items-1`, shape (num_items,), int64.
    """
    import torch

    generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
    return torch.randperm(num_items, generator=generator)


def item_uniforms(seed: int, epoch: int, indices: Sequence[int] | Tensor, num: int) -> Tensor:
    """Return random numbers that belong to items, not to batches.

    The numbers of an item are a hash (SplitMix64's finaliser) of (seed, epoch, index, column):
    they do not change with the batch size, the order, the number of processes or a resume.

    Args:
        seed: the seed of the run.
        epoch: which epoch, from 0.
        indices: positions of the items, shape (batch,).
        num: how many numbers each item gets.

    Returns:
        Uniform numbers in [0, 1), shape (batch, num), float32.
    """
    import numpy as np
    import torch

    items = np.asarray(indices, dtype=np.uint64)[:, None]
    key = np.uint64(derive_seed(seed, "items", epoch))
    columns = np.arange(num, dtype=np.uint64)[None, :]
    with np.errstate(over="ignore"):
        state = _mix(_mix(items + key) + columns * np.uint64(0x9E3779B97F4A7C15))
    return torch.from_numpy((state >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24))


def _mix(state: NDArray[Any]) -> NDArray[Any]:
    """Scramble 64-bit integers: the finaliser of SplitMix64."""
    import numpy as np

    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return cast("NDArray[Any]", state ^ (state >> np.uint64(31)))


def sha256_file(path: str | Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits, read in pieces."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def atomic_write(path: str | Path, content: bytes | str) -> Path:
    """Write a file so that a reader sees the old one or the new one, never a half.

    Args:
        path: where to; missing parent folders are made.
        content: text (written as UTF-8) or bytes.

    Returns:
        The path.

    Raises:
        CompanionError: no permission, or no room; the file that was there is untouched.
    """
    path = Path(path).expanduser()
    data = content.encode() if isinstance(content, str) else content
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        _cannot_write(path, error)
    return path


@contextlib.contextmanager
def atomic_directory(path: str | Path) -> Iterator[Path]:
    """Fill a folder under a temporary name and rename it once it is whole.

    Args:
        path: the folder to make; one that is there already is replaced at the end.

    Yields:
        The temporary folder to write into.

    Raises:
        CompanionError: no permission, or no room; the folder that was there is untouched.
    """
    path = Path(path).expanduser()
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        yield temporary
        for file in temporary.rglob("*"):
            _sync(file)
        if path.exists():
            shutil.rmtree(path)
        os.replace(temporary, path)
        _sync(path.parent)
    except OSError as error:
        _cannot_write(path, error)
    finally:
        if temporary is not None and temporary.exists():
            shutil.rmtree(temporary, ignore_errors=True)


def _sync(path: Path) -> None:
    """Ask the system to put a file or folder on the disk."""
    if os.name == "nt" and path.is_dir():  # pragma: no cover - Windows has no such call
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cannot_write(path: Path, error: OSError) -> NoReturn:
    """Turn an OSError while writing into the project's message form."""
    checks.fail(
        f"writing {path}",
        got=error.strerror or str(error),
        expected="a folder with write permission and free space",
        do="free some space or choose another folder; what was there before is untouched",
    )
