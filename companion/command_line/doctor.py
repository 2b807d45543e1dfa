"""`doctor`: what works on this machine, and what to do about the rest."""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from companion import assets, runtime

__all__ = ["Finding", "add_parser", "examine", "run"]

DISTRIBUTION = "transfer-learning-companion"
OLDEST_PYTHON = (3, 11)
TORCHVISION_AHEAD = 15
"""torchvision 0.(m + 15) belongs to torch 2.m."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ROOM_BYTES = 2e9


@dataclass(frozen=True)
class Finding:
    """What one look at the machine found.

    Attributes:
        subject: what was looked at.
        state: `"ok"`, `"note"` (works, but less is possible) or `"broken"`.
        found: what is there.
        do: what to do about it; nothing where all is well.
    """

    subject: str
    state: Literal["ok", "note", "broken"]
    found: str
    do: str = ""


def add_parser(commands: Any) -> None:
    """Add the command `doctor` to the parser.

    Args:
        commands: what `add_subparsers` returned.

    Modifies: `commands`.
    """
    parser = commands.add_parser("doctor", help="what works on this machine")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print all findings and what to do; 1 if something is broken."""
    findings = list(examine())
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        print(f"{finding.state:<6}  {finding.subject:<{width}}  {finding.found}")
    broken = sum(finding.state == "broken" for finding in findings)
    for title, is_broken in (("What to do:", True), ("Optional:", False)):
        advice = [f for f in findings if f.do and (f.state == "broken") is is_broken]
        if advice:
            print(f"\n{title}")
        for finding in advice:
            print(f"  {finding.subject}: {finding.do}")
    print(f"\n{broken} of {len(findings)} things are broken." if broken else "\nAll is well.")
    return 1 if broken else 0


def examine() -> Iterator[Finding]:
    """Yield what was found, one subject after the other; nothing is changed or downloaded."""
    for look in LOOKS:
        try:
            yield from look()
        except Exception as error:  # whatever is broken, the other looks are still worth having
            yield Finding(look.__name__.strip("_"), "broken", type(error).__name__, str(error))


def _python() -> Iterator[Finding]:
    found = platform.python_version()
    if sys.version_info >= OLDEST_PYTHON:
        yield Finding("python", "ok", found)
    else:  # pragma: no cover - the package does not install there
        oldest = ".".join(map(str, OLDEST_PYTHON))
        yield Finding("python", "broken", found, f"install Python {oldest} or newer")


def _libraries() -> Iterator[Finding]:
    """Look for what the package needs, and at whether torch and torchvision fit together."""
    missing = [name for name in _requirements(None) if _version(name) is None]
    if missing:
        do = f"pip install {' '.join(missing)}"
        yield Finding("libraries", "broken", f"missing: {', '.join(missing)}", do)
    else:
        yield Finding("libraries", "ok", f"{len(_requirements(None))} of them, all installed")
    yield _torch()


def _torch() -> Finding:
    """Look at whether torch, torchvision and torchaudio load and belong together."""
    names = ("torch", "torchvision", "torchaudio")
    versions = {name: version for name in names if (version := _version(name))}
    found = ", ".join(f"{name} {version}" for name, version in versions.items())
    do = "install both in one command: pip install --force-reinstall torch torchvision"
    try:
        import torchvision.ops

        torchvision.ops.nms  # noqa: B018 - a torch of another build fails at the import above
    except Exception as error:  # whatever a broken build raises
        return Finding("torch", "broken", f"{found}; {str(error).splitlines()[0]}", do)
    torch, vision = (_numbers(versions.get(name, "")) for name in names[:2])
    if torch[0] == 2 and vision[:2] != [0, torch[1] + TORCHVISION_AHEAD]:
        return Finding("torch", "note", f"{found}: not released together", do)
    return Finding("torch", "ok", found)


def _device() -> Iterator[Finding]:
    import torch

    device = runtime.pick_device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
    yield Finding("device", "ok", f"{name}{threads}")
    yield Finding(
        "precision", "ok", {"no": "32 bits"}.get(p := runtime.pick_precision("auto", device), p)
    )
    yield Finding("scale", "ok", runtime.scale())


def _bundled() -> Iterator[Finding]:
    """Look at the files that ship with the package."""
    problems = assets.broken_bundled()
    if problems:
        yield Finding("bundled files", "broken", "; ".join(problems), "install the package again")
    else:
        yield Finding("bundled files", "ok", f"{len(assets.bundled_checksums())} files are whole")


def _cache() -> Iterator[Finding]:
    """Look at whether the cache can be written and has room."""
    folder = assets.cache_directory()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            free = shutil.disk_usage(there).free
    except OSError as error:
        do = "change its permissions, or set COMPANION_CACHE to a folder of your own"
        yield Finding("cache", "broken", f"{folder} cannot be written ({error.strerror})", do)
        return
    found = f"{folder}, {free / 1e9:.0f} GB free"
    if free < ROOM_BYTES:
        do = f"free {ROOM_BYTES / 1e9:.0f} GB, or set COMPANION_CACHE to another disk"
        yield Finding("cache", "note", found, do)
    else:
        yield Finding("cache", "ok", found)


def _data() -> Iterator[Finding]:
    """Look at the folder of public data."""
    folder = assets.data_directory()
    if folder is None:
        do = "set it to a folder with public data for work without a network"
        yield Finding("COMPANION_DATA", "note", "not set; not needed at laptop scale", do)
    else:
        yield Finding("COMPANION_DATA", "ok", str(folder))


def _extras() -> Iterator[Finding]:
    """Look for what the optional parts need."""
    extras = importlib.metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or []
    for extra in extras:
        missing = [name for name in _requirements(extra) if _version(name) is None]
        subject = f"extra [{extra}]"
        if missing:
            do = f"in the folder of the project: pip install -c constraints.txt -e '.[{extra}]'"
            yield Finding(subject, "note", f"missing: {', '.join(missing)}", do)
        else:
            yield Finding(subject, "ok", "installed")


def _browser() -> Iterator[Finding]:
    """Look for the browser that the site tests drive."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found:
        yield Finding("browser", "ok", found)
    else:
        do = "install Debian's `chromium`, or run `playwright install chromium`"
        yield Finding("browser", "note", "no Chromium: the site tests are skipped", do)


def _requirements(extra: str | None) -> list[str]:
    """Return the distributions that the package (or one of its extras) needs."""
    found = []
    for line in importlib.metadata.requires(DISTRIBUTION) or []:
        name = re.split(r"[^\w.-]", line, maxsplit=1)[0]
        marker = re.search(r"extra\s*==\s*['\"](.+?)['\"]", line)
        if (marker.group(1) if marker else None) == extra:
            found.append(name)
    return found


def _version(name: str) -> str | None:
    """Return the version of a distribution, `None` where it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> list[int]:
    """Return the first two numbers of a version; zeros where there are none."""
    found = [int(number) for number in re.findall(r"\d+", version)[:2]]
    return found + [0] * (2 - len(found))


LOOKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _python,
    _libraries,
    _device,
    _bundled,
    _cache,
    _data,
    _extras,
    _browser,
)
