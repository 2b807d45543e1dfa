"""Seeds that belong to items, writing that never leaves a half, scale and device."""

from __future__ import annotations

import errno
import hashlib
import os

import pytest
import torch

from companion import runtime
from companion.checks import CompanionError


def test_scale_is_laptop_unless_told(monkeypatch):
    monkeypatch.delenv("COMPANION_SCALE", raising=False)
    assert runtime.scale() == "laptop"
    monkeypatch.setenv("COMPANION_SCALE", "full")
    assert runtime.scale() == "full"
    monkeypatch.setenv("COMPANION_SCALE", "big")
    with pytest.raises(CompanionError, match="COMPANION_SCALE: got 'big'; expected laptop, full"):
        runtime.scale()


def test_pick_device_refuses_what_is_not_there():
    assert runtime.pick_device("cpu") == torch.device("cpu")
    with pytest.raises(CompanionError, match="device: got 'gpu0'"):
        runtime.pick_device("gpu0")


def test_a_device_that_is_named_once_is_the_one_that_none_means():
    best = runtime.pick_device()
    try:
        assert runtime.use_device("meta") == torch.device("meta")
        assert runtime.pick_device() == torch.device("meta")
        assert runtime.pick_device("cpu") == torch.device("cpu")
        with pytest.raises(CompanionError, match="device: got 'gpu0'"):
            runtime.use_device("gpu0")
        assert runtime.pick_device() == torch.device("meta")
    finally:
        assert runtime.use_device(None) == best
    assert runtime.pick_device() == best


def test_pick_precision():
    cpu = torch.device("cpu")
    assert runtime.pick_precision("auto", cpu) == "no"
    assert runtime.pick_precision("bf16", cpu) == "bf16"
    with pytest.raises(CompanionError, match="'fp16' on the CPU"):
        runtime.pick_precision("fp16", cpu)
    with pytest.raises(CompanionError, match="precision: got 'half'"):
        runtime.pick_precision("half", cpu)


def test_versions_name_what_is_installed():
    found = runtime.versions()
    assert found["torch"] == torch.__version__.split("+")[0] or torch.__version__
    assert found["python"].startswith("3.")
    assert {"numpy", "torchvision", "transformers"} <= found.keys()


def test_derive_seed_is_the_same_everywhere_and_separates_purposes():
    oracle = int.from_bytes(hashlib.sha256(b"3\x1fhead\x1f2").digest()[:8], "big") >> 1
    assert runtime.derive_seed(3, "head", 2) == oracle
    seeds = {runtime.derive_seed(s, n) for s in range(20) for n in ("head", "order")}
    assert len(seeds) == 40
    with pytest.raises(CompanionError, match="seed: got -1"):
        runtime.derive_seed(-1, "head")


def test_fork_seed_repeats_and_restores():
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    with runtime.fork_seed(7, "a"):
        first = torch.rand(2)
    assert torch.equal(torch.rand(2), expected)
    with runtime.fork_seed(7, "a"):
        assert torch.equal(torch.rand(2), first)
    with runtime.fork_seed(7, "b"):
        assert not torch.equal(torch.rand(2), first)


def test_epoch_order_depends_on_seed_and_epoch_alone():
    order = runtime.epoch_order(50, seed=1, epoch=2)
    assert sorted(order.tolist()) == list(range(50))
    torch.manual_seed(123)
    assert torch.equal(order, runtime.epoch_order(50, seed=1, epoch=2))
    assert not torch.equal(order, runtime.epoch_order(50, seed=1, epoch=3))
    assert not torch.equal(order, runtime.epoch_order(50, seed=2, epoch=2))


def test_item_uniforms_belong_to_items_not_to_batches():
    whole = runtime.item_uniforms(0, 1, range(1000), 4)
    assert whole.shape == (1000, 4)
    assert whole.dtype == torch.float32
    part = runtime.item_uniforms(0, 1, torch.tensor([7, 999, 3]), 4)
    assert torch.equal(part, whole[[7, 999, 3]])
    assert not torch.equal(part, runtime.item_uniforms(0, 2, [7, 999, 3], 4))
    assert not torch.equal(part, runtime.item_uniforms(1, 1, [7, 999, 3], 4))


def test_item_uniforms_are_uniform_and_uncorrelated():
    draws = runtime.item_uniforms(0, 0, range(20_000), 3)
    assert draws.min() >= 0
    assert draws.max() < 1
    assert draws.mean(dim=0).tolist() == pytest.approx([0.5] * 3, abs=0.01)
    assert draws.var(dim=0).tolist() == pytest.approx([1 / 12] * 3, abs=0.002)
    neighbours = torch.cat([draws[:-1], draws[1:]], dim=1)
    correlation = torch.corrcoef(neighbours.T) - torch.eye(6)
    assert correlation.abs().max() < 0.03


def test_item_uniforms_follow_the_published_mixer():
    """SplitMix64's finaliser in plain integers, as an oracle."""

    def mix(state: int) -> int:
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
        return state ^ (state >> 31)

    key = runtime.derive_seed(5, "items", 2)
    expected = [
        (mix((mix((9 + key) % 2**64) + column * 0x9E3779B97F4A7C15) % 2**64) >> 40) / 2**24
        for column in range(3)
    ]
    assert runtime.item_uniforms(5, 2, [9], 3)[0].tolist() == expected


def test_sha256_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 3_000_000)
    assert runtime.sha256_file(path) == hashlib.sha256(b"x" * 3_000_000).hexdigest()


def test_atomic_write_replaces_and_makes_folders(tmp_path):
    path = tmp_path / "new" / "file.txt"
    runtime.atomic_write(path, "one")
    runtime.atomic_write(path, b"two")
    assert path.read_text() == "two"
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = runtime.atomic_write(tmp_path / "file.txt", "good")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CompanionError, match=r"writing .*file.txt: got No space left on device"):
        runtime.atomic_write(path, "half")
    assert path.read_text() == "good"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_missing_write_permission_is_one_clear_error(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(runtime.tempfile, "mkstemp", refuse)
    with pytest.raises(CompanionError, match="Permission denied; expected a folder with write"):
        runtime.atomic_write(tmp_path / "file.txt", "text")


def test_atomic_directory_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "folder"
    with runtime.atomic_directory(target) as temporary:
        (temporary / "a").write_text("1")
        assert not target.exists()
    assert (target / "a").read_text() == "1"
    with pytest.raises(RuntimeError), runtime.atomic_directory(target) as temporary:
        (temporary / "b").write_text("2")
        raise RuntimeError
    assert [p.name for p in target.iterdir()] == ["a"]
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_show_progress_obeys(monkeypatch):
    assert runtime.show_progress(True) is True
    assert runtime.show_progress(False) is False
