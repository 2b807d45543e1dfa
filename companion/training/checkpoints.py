"""Checkpoints: written whole or not at all, checked by hash, the last good one found again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from companion import assets, checks, runtime

__all__ = ["Checkpoint", "load_latest", "save", "tidy_"]

TENSORS = "tensors.safetensors"
STATE = "state.json"
KEPT = 2
_NAME = re.compile(r"step-(\d{9})")


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a run needs to go on as if it had never stopped.

    Attributes:
        tensors: model, optimizer and kept weights by dotted names.
        state: position and history, as plain values.
    """

    tensors: dict[str, Tensor]
    state: dict[str, Any]


def save(folder: Path, step: int, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint and drop all but the last two.

    Args:
        folder: the run's checkpoint folder.
        step: how many steps the run has made.
        checkpoint: what to write.

    Returns:
        The folder of this checkpoint.

    Raises:
        CompanionError: no permission or no room; earlier checkpoints are untouched.
    """
    from safetensors.torch import save as to_bytes

    path = folder / f"step-{step:09d}"
    data = to_bytes({k: v.detach().cpu().contiguous() for k, v in checkpoint.tensors.items()})
    digest = hashlib.sha256(data).hexdigest()
    with runtime.atomic_directory(path) as temporary:
        (temporary / TENSORS).write_bytes(data)
        state = {**checkpoint.state, "tensors_sha256": digest}
        text = json.dumps(state)
        check = hashlib.sha256(text.encode()).hexdigest()
        (temporary / STATE).write_text(f"{check}\n{text}\n", encoding="utf-8")
    tidy_(folder, keep=KEPT)
    return path


def _existing(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, newest first."""
    if not folder.is_dir():
        return []
    return sorted((p for p in folder.iterdir() if _NAME.fullmatch(p.name)), reverse=True)


def tidy_(folder: Path, *, keep: int) -> None:
    """Remove all but the newest checkpoints and what killed writers left behind.

    Modifies: the folder.
    """
    for path in _existing(folder)[keep:]:
        shutil.rmtree(path, ignore_errors=True)
    for path in folder.glob(".step-*"):
        shutil.rmtree(path, ignore_errors=True)


def load_latest(folder: Path, *, run: str) -> Checkpoint | None:
    """Return the newest checkpoint that is whole; a broken one is named in a warning.

    Args:
        folder: the run's checkpoint folder.
        run: fingerprint of the run, which must be the one that wrote the checkpoint.

    Returns:
        The checkpoint, or `None` where there is none.

    Raises:
        CompanionError: the checkpoints belong to another run, or all of them are broken.
    """
    paths = _existing(folder)
    for path in paths:
        try:
            checkpoint = _load(path)
        except (OSError, ValueError, KeyError) as error:
            warnings.warn(
                f"checkpoint {path} is broken ({error}); trying the one before it", stacklevel=4
            )
            continue
        if checkpoint.state["run"] != run:
            checks.fail(
                f"checkpoint folder {folder}",
                got="checkpoints of another run (other data, backbone, strategy, recipe or seed)",
                expected="an empty folder or the checkpoints of this very run",
                do="choose another checkpoint_dir, or delete this one to start again",
            )
        return checkpoint
    if paths:
        checks.fail(
            f"checkpoint folder {folder}",
            got=f"{len(paths)} checkpoints, all of them broken",
            expected="at least one whole checkpoint",
            do="delete the folder to start again",
        )
    return None


def _load(path: Path) -> Checkpoint:
    """Return one checkpoint after checking both of its files."""
    check, _, text = (path / STATE).read_text(encoding="utf-8").partition("\n")
    if hashlib.sha256(text.rstrip("\n").encode()).hexdigest() != check:
        raise ValueError(f"{STATE} does not match its checksum")
    state = json.loads(text)
    tensors = assets.load_weights(path / TENSORS, sha256=state["tensors_sha256"])
    return Checkpoint(tensors, state)


def pack_optimizer(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], list[Any]]:
    """Return an optimizer's tensors by name, and its groups as plain values."""
    state = optimizer.state_dict()
    tensors = {
        f"optimizer.{index}.{key}": torch.as_tensor(value)
        for index, values in state["state"].items()
        for key, value in values.items()
    }
    return tensors, state["param_groups"]


def unpack_optimizer_(
    optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], groups: list[Any]
) -> None:
    """Put an optimizer back where `pack_optimizer` found it.

    Modifies: `optimizer`.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def check_writable(folder: Path) -> None:
    """Check before a long run that checkpoints can be written.

    Raises:
        CompanionError: the folder cannot be made or written to.
    """
    probe = runtime.atomic_write(folder / ".write-test", b"")
    with contextlib.suppress(OSError):
        probe.unlink()
