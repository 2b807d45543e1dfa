"""Bad input, one row a case: each ends in one clear error (or, where it can, in a way out)."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import companion
from companion import assets, runtime
from companion.checks import CompanionError
from companion.splits import Split, Splits
from companion.training import Recipe

FEW_STEPS = Recipe(epochs=1, min_steps=4)


class Place:
    """A folder of images that each case spoils in its own way, and a small task to train on."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch):
        self.root, self.patch, self.images = root, patch, root / "flowers"
        for label, name in enumerate(("rose", "tulip")):
            (self.images / name).mkdir(parents=True)
            for number in range(8):
                pixels = np.random.default_rng(10 * label + number).integers(0, 256, (40, 40, 3))
                image = Image.fromarray(pixels.astype(np.uint8))
                image.save(self.images / name / f"{number}.jpg")

    def load(self, **options: object) -> Splits:
        return companion.load_dataset("folder", path=self.images, **options)  # type: ignore[arg-type]

    def fit(self, *, splits: Splits | None = None, backbone: str = "glyphnet", **options: object):
        splits = splits or companion.load_dataset("digits", labels_per_class=5)
        body = companion.load_backbone(backbone, pretrained=False)
        return companion.fit(body, splits, **({"recipe": FEW_STEPS} | options))

    def checkpointed(self, **options: object):
        folder = self.root / "checkpoints"
        return self.fit(checkpoint_dir=folder, checkpoint_every=2, **options)


def empty_folder(place):
    shutil.rmtree(place.images)
    place.images.mkdir()
    place.load()


def one_class_only(place):
    shutil.rmtree(place.images / "tulip")
    place.load()


def a_text_file_among_images(place):
    (place.images / "rose" / "notes.txt").write_text("a rose")
    place.load()


def truncated_jpeg(place):
    path = place.images / "rose" / "3.jpg"
    path.write_bytes(path.read_bytes()[:600])
    place.load()


def labels_out_of_range(place):
    Split("train", ["x", "y"], [0, 2], ["1", "2"], ["no", "yes"])


def class_with_fewer_images_than_k(place):
    place.load(labels_per_class=10)


def wrong_strategy_name(place):
    place.fit(strategy="lpft")


def unknown_backbone(place):
    companion.load_backbone("resnet-18")


def nan_learning_rate(place):
    Recipe(learning_rate=float("nan"))


def val_empty(place):
    splits = place.load()
    Splits(splits.train, splits.val.subset([]), splits.test, splits.card)


def val_folder_empty(place):
    whole = place.root / "whole"
    whole.mkdir()
    place.images.rename(whole / "train")
    (whole / "val").mkdir()
    companion.load_dataset("folder", path=whole)


def missing_write_permission(place):
    def refuse(**options):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    place.patch.setattr(runtime.tempfile, "mkstemp", refuse)
    place.checkpointed()


def corrupted_checkpoints(place):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        place.checkpointed()
        for path in (place.root / "checkpoints").glob("step-*/tensors.safetensors"):
            path.write_bytes(path.read_bytes()[:-1] + b"x")
        place.checkpointed()


def corrupted_asset(place):
    bundled = place.root / "assets"
    shutil.copytree(assets.BUNDLED, bundled)
    place.patch.setattr(assets, "BUNDLED", bundled)
    assets.write_bundled_checksums()
    path = next(bundled.rglob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assets.load_weights(path)


class Payload:
    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch '{self.marker}'",)


def pickle_offered_as_weights(place):
    path = place.root / "weights.safetensors"
    path.write_bytes(pickle.dumps(Payload(place.root / "it ran")))
    try:
        assets.load_weights(path)
    finally:
        assert not (place.root / "it ran").exists()


CASES = [
    (empty_folder, r"flowers: got no images; expected a folder of images for each class"),
    (one_class_only, r"got one class only, 'rose'; expected at least two class folders"),
    (a_text_file_among_images, r"file .*notes\.txt: got a file that is no image"),
    (truncated_jpeg, r"image .*3\.jpg: got a file that cannot be read \(.*[Tt]runcated"),
    (labels_out_of_range, r"labels of split 'train': got label 2; expected 0\.\.1 for 2 classes"),
    (class_with_fewer_images_than_k, r"class 'rose' of split 'pool': got 6 items; .*at least 10"),
    (wrong_strategy_name, r"strategy: got 'lpft'; .*did you mean 'lp_ft'"),
    (unknown_backbone, r"backbone: got 'resnet-18'; .*did you mean 'resnet18'"),
    (nan_learning_rate, r"learning_rate: got nan; expected a finite number above 0"),
    (val_empty, r"val split: got nothing; expected at least one item"),
    (val_folder_empty, r"folder .*val: got no images"),
    (missing_write_permission, r"writing .*checkpoints.*: got Permission denied"),
    (corrupted_checkpoints, r"checkpoint folder .*: got \d checkpoints, all of them broken"),
    (corrupted_asset, r"safetensors: got SHA-256 [0-9a-f]{64}; expected SHA-256 [0-9a-f]{64}"),
    (pickle_offered_as_weights, r"weights .*: got a pickle; .*nothing in the file was run"),
]


@pytest.mark.parametrize(("spoil", "message"), CASES, ids=[case.__name__ for case, _ in CASES])
def test_bad_input_is_one_clear_error(tmp_path, monkeypatch, spoil, message):
    with pytest.raises(CompanionError, match=message) as caught:
        spoil(Place(tmp_path, monkeypatch))
    found = str(caught.value)
    assert found.count("; expected ") == 1 and "\n" not in found
    assert not isinstance(caught.value.__context__, CompanionError), "one error, not two"


def test_a_full_disk_while_saving_loses_nothing_good(tmp_path, monkeypatch):
    place = Place(tmp_path, monkeypatch)
    place.checkpointed()
    folder = tmp_path / "checkpoints"
    before = {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    assert before

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(runtime.os, "fsync", full)
        with pytest.raises(CompanionError, match=r"writing .*: got No space left on device"):
            runtime.atomic_write(next(iter(before)), b"new")
        with (
            pytest.raises(CompanionError, match=r"writing .*: got No space left on device"),
            runtime.atomic_directory(next(iter(before)).parent) as temporary,
        ):
            (temporary / "state.json").write_bytes(b"new")
    assert {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()} == before


def test_a_corrupted_checkpoint_falls_back_to_the_one_before_and_says_so(tmp_path, monkeypatch):
    place = Place(tmp_path, monkeypatch)
    whole = place.checkpointed()
    newest = max((tmp_path / "checkpoints").glob("step-*"))
    path = newest / "tensors.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.warns(UserWarning, match=rf"checkpoint .*{newest.name} is broken"):
        resumed = place.checkpointed()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name])
