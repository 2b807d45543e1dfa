"""How chapters are run: the fingerprint of what their results depend on, and their environment."""

from __future__ import annotations

import hashlib
import os
import platform
from pathlib import Path

THREADS = "1"
"""Of every chapter and study: small networks gain nothing from more, and sums depend on them."""
SCALES = ("laptop", "full", "rehearsal")


def scale() -> str:
    """Return the scale that chapters run at: COMPANION_SCALE, else laptop."""
    return os.environ.get("COMPANION_SCALE") or "laptop"


def _files(root: Path) -> list[Path]:
    package = sorted(
        path
        for path in (root / "companion").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
    studies = sorted((root / "book" / "studies").rglob("*.json"))
    return [*package, *studies, root / "constraints.txt"]


def fingerprint(root: Path, *, at_scale: str | None = None) -> str:
    """Hash what the outputs of a chapter depend on besides its own cells.

    That is: the package with its assets, the recorded studies, constraints.txt, the Python
    version and the scale. The execution cache lies in a folder of this name, so that a change
    in any of them runs the chapters again.

    Args:
        root: the repository.
        at_scale: `laptop`, `full` or `rehearsal`; the current one when None.

    Returns:
        Sixteen hexadecimal digits.
    """
    digest = hashlib.sha256()
    digest.update(f"{platform.python_version()} {at_scale or scale()}".encode())
    for path in _files(root):
        if path.is_file():
            digest.update(path.relative_to(root).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def cache_path(root: Path) -> Path:
    """Return the execution cache that belongs to the present code and versions."""
    return root / "_build" / f".jupyter_cache-{fingerprint(root)}"


def chapter_environment(results: Path, *, at_scale: str | None = None) -> dict[str, str]:
    """Return the environment variables that a chapter's process is given.

    The same for the book build and for the second run, so that both can give equal numbers.
    At laptop scale there is no COMPANION_DATA and no Hub: outputs are the same everywhere.

    Args:
        results: folder for the results files.
        at_scale: `laptop`, `full` or `rehearsal`; the current one when None.
    """
    chosen = at_scale or scale()
    if chosen not in SCALES:
        raise SystemExit(f"COMPANION_SCALE is {chosen!r}; use one of {', '.join(SCALES)}")
    environment = {
        key: value
        for key, value in os.environ.items()
        if not (key == "COMPANION_DATA" and chosen == "laptop")
    }
    environment |= {
        "COMPANION_RESULTS": str(results.resolve()),
        "COMPANION_SCALE": chosen,
        "PYTHONHASHSEED": "0",
        "TOKENIZERS_PARALLELISM": "false",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    if chosen != "full":
        environment |= {"HF_HUB_OFFLINE": "1"}
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        environment.setdefault(name, THREADS)
    return environment


def machine() -> str:
    """Say in words on which machine this runs: processor, cores, memory, system, Python."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parts = [f"{cores} core{'s' if cores != 1 else ''} of {_processor()}"]
    memory = _memory_gigabytes()
    if memory:
        parts.append(f"{memory:.0f} GB of memory")
    parts.append(f"{platform.system()}, Python {platform.python_version()}")
    return ", ".join(parts)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.lower().startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "an unnamed processor"


def _memory_gigabytes() -> float | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):
        return None
