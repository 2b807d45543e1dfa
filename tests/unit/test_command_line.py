"""companion.command_line: doctor, data and finetune, called as functions."""

import argparse
import hashlib
import json
import re
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import companion
from companion import assets, backbones, datasets, runtime
from companion.assets import RemoteFile
from companion.checks import CompanionError
from companion.command_line import build_parser, doctor, finetune, main
from companion.model_files import load_model
from companion.splits import fresh_readings

# The commands


def test_every_command_has_help(capsys):
    for words in (["doctor"], ["data"], ["data", "fetch"], ["finetune"]):
        with pytest.raises(SystemExit) as caught:
            build_parser().parse_args([*words, "--help"])
        assert caught.value.code == 0
        assert " ".join(words) in capsys.readouterr().out


def test_an_error_is_one_line_even_if_its_message_is_not(monkeypatch, capsys):
    def fail(options):
        raise CompanionError("something: got\n  two lines")

    monkeypatch.setattr(doctor, "run", fail)
    assert main(["doctor"]) == 1
    assert capsys.readouterr().err == "error: something: got two lines\n"


def test_ctrl_c_is_no_traceback(monkeypatch, capsys):
    def stop(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "run", stop)
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err == "stopped\n"


# doctor


@pytest.fixture
def healthy(tmp_path, monkeypatch):
    """A machine on which everything is well: whole bundled files, a cache, no COMPANION_DATA."""
    bundled = tmp_path / "bundled"
    bundled.mkdir()
    (bundled / "net.safetensors").write_bytes(b"weights")
    monkeypatch.setattr(assets, "BUNDLED", bundled)
    assets.write_bundled_checksums()
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("COMPANION_DATA", raising=False)
    monkeypatch.delenv("COMPANION_SCALE", raising=False)
    return tmp_path


def findings():
    return {finding.subject: finding for finding in doctor.examine()}


def test_doctor_finds_nothing_broken_here(healthy, capsys):
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    for subject in (
        "python",
        "libraries",
        "torch",
        "device",
        "precision",
        "bundled files",
        "cache",
    ):
        assert re.search(rf"^ok +{subject} ", printed, re.MULTILINE), subject
    assert "All is well." in printed
    assert "COMPANION_DATA: set it to a folder" in printed
    assert not (healthy / "cache").exists(), "looking must not make the cache"


def test_every_finding_that_is_not_ok_says_what_to_do(healthy, monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: None)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    found = findings()
    assert found["libraries"].state == "broken" and "torch" in found["libraries"].found
    assert found["browser"].state == "note"
    assert {f.state for name, f in found.items() if name.startswith("extra")} == {"note"}
    assert all(finding.do for finding in found.values() if finding.state != "ok")


def test_doctor_lists_every_extra(healthy):
    assert {"extra [language]", "extra [book]", "extra [test]"} <= set(findings())


def test_doctor_sees_a_torch_and_torchvision_of_different_releases(healthy, monkeypatch):
    versions = {"torch": "2.14.1", "torchvision": "0.28.0"}
    monkeypatch.setattr(doctor, "_version", versions.get)
    assert "not released together" in findings()["torch"].found
    monkeypatch.setattr(doctor, "_version", {**versions, "torchvision": "0.29.1+cpu"}.get)
    assert findings()["torch"].state == "ok"


def test_doctor_sees_a_torchvision_that_does_not_load(healthy, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision.ops", None)
    finding = findings()["torch"]
    assert finding.state == "broken" and "torchvision.ops" in finding.found
    assert "install both in one command" in finding.do


def test_doctor_sees_broken_bundled_files(healthy, capsys):
    (assets.BUNDLED / "net.safetensors").write_bytes(b"changed")
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "net.safetensors has another SHA-256" in printed
    assert "install the package again" in printed and "1 of " in printed
    (assets.BUNDLED / "SHA256SUMS").unlink()
    assert findings()["bundled files"].state == "broken", "no guard may pass by checking nothing"


def test_doctor_sees_a_cache_that_cannot_be_written(healthy, monkeypatch):
    def refuse(**options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    finding = findings()["cache"]
    assert finding.state == "broken" and "Permission denied" in finding.found
    assert "COMPANION_CACHE" in finding.do


def test_doctor_sees_a_full_disk(healthy, monkeypatch):
    usage = argparse.Namespace(free=1e6)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage)
    assert findings()["cache"].state == "note"


def test_doctor_sees_what_the_environment_says(healthy, monkeypatch, tmp_path):
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path))
    assert findings()["COMPANION_DATA"].found == str(tmp_path)
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path / "nothing"))
    monkeypatch.setenv("COMPANION_SCALE", "laptp")
    broken = [finding for finding in doctor.examine() if finding.state == "broken"]
    assert "COMPANION_DATA: got" in broken[-1].do and "COMPANION_SCALE" in broken[0].do


# data


@pytest.fixture
def one_file(healthy, monkeypatch):
    """A dataset with one public file, which lies in COMPANION_DATA."""
    content = b"a picture"
    file = RemoteFile(
        "vision/one.bin", "http://127.0.0.1:9/", hashlib.sha256(content).hexdigest(), 9, "MIT"
    )
    monkeypatch.setitem(datasets.FILES, "fashion_mnist", (file,))
    path = healthy / "data" / file.name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    monkeypatch.setenv("COMPANION_DATA", str(healthy / "data"))
    return path


def test_data_list_names_size_and_licence(capsys):
    assert main(["data", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(datasets.LOADERS)
    assert any(re.match(r"fashion_mnist +31 MB +FashionMNIST \(MIT\)", line) for line in lines)


def test_data_where_names_the_folders_and_the_files(one_file, capsys):
    assert main(["data", "where", "fashion_mnist"]) == 0
    printed = capsys.readouterr().out
    assert f"vision/one.bin: {one_file}" in printed
    assert "cache" in printed and "(not there yet)" in printed
    one_file.unlink()
    assert main(["data", "where"]) == 0
    assert "vision/one.bin: not on this machine" in capsys.readouterr().out


def test_data_verify_names_what_is_broken(one_file, capsys):
    assert main(["data", "verify", "fashion_mnist"]) == 0
    assert "1 of 1 files are here and whole" in capsys.readouterr().out
    one_file.write_bytes(b"another")
    assert main(["data", "verify"]) == 1
    assert re.search(rf"error: file {one_file}: got SHA-256", capsys.readouterr().err)
    assert main(["data", "where", "fashion_mnist"]) == 0
    assert "got SHA-256" in capsys.readouterr().out


def test_data_fetch_says_what_is_ready(capsys):
    assert main(["data", "fetch", "digits"]) == 0
    assert re.match(r"digits +ready: 1000 items to train on, 797 for test", capsys.readouterr().out)
    assert main(["data", "fetch", "folder"]) == 1
    assert "load your own images" in capsys.readouterr().err


# finetune


def make_flowers(root):
    """Dark roses and bright tulips, twenty of each: easy to tell apart."""
    for label, name in enumerate(("rose", "tulip")):
        (root / name).mkdir(parents=True)
        for number in range(20):
            noise = np.random.default_rng(100 * label + number).integers(0, 80, (12, 12))
            image = Image.fromarray((noise + 150 * label).astype(np.uint8))
            image.save(root / name / f"{number}.png")
    return root


def call(folder, out, *options):
    """Call `finetune` with an untrained glyphnet and a few steps."""

    def load(name, **asked):
        return backbones.load_backbone(name, **{**asked, "pretrained": False})

    steps = ("--seeds", "2", "--epochs", "1", "--min-steps", "4")
    with pytest.MonkeyPatch.context() as patch, fresh_readings():
        patch.setattr(companion, "load_backbone", load)
        return main(["finetune", str(folder), *steps, "--out", str(out), *options])


@pytest.fixture
def flowers(tmp_path):
    return make_flowers(tmp_path / "flowers")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder of images and what `finetune` wrote for it."""
    root = tmp_path_factory.mktemp("finetune")
    make_flowers(root / "flowers")
    assert call(root / "flowers", root / "out", "--strategies", "probe", "lora") == 0
    return root


def test_finetune_writes_study_model_and_report(finished):
    out = finished / "out"
    written = sorted(path.name for path in out.iterdir())
    assert written == ["model.safetensors", "report.md", "study.json"]
    assert json.loads((out / "study.json").read_text())["config"]["seeds"] == [0, 1]
    page = (out / "report.md").read_text()
    for name in ("majority", "scratch", "probe", "lora"):
        assert re.search(rf"^\| {name} \| all \| 2 \|", page, re.MULTILINE), name
    assert "train 26, val 6, test 8" in page and "Fewer than five seeds" in page
    best = finetune.best_row(companion.study.load(out / "study.json"))
    assert f"Chosen on val: {best.strategy}, accuracy" in page
    assert f"is the run of {best.strategy} with seed" in page


def test_the_saved_model_is_the_one_that_was_judged(finished):
    out = finished / "out"
    study = companion.study.load(out / "study.json")
    best = finetune.best_row(study)
    seed = int(re.search(r"with seed (\d)", (out / "report.md").read_text()).group(1))
    assert seed == max(study.seeds, key=lambda s: (study.run(best.strategy, s).val, -s))
    splits = companion.load_dataset("folder", path=finished / "flowers")
    with fresh_readings():
        scores = companion.evaluate(load_model(out / "model.safetensors"), splits.test)
    assert scores.predictions.tolist() == list(study.run(best.strategy, seed).predictions)


def test_the_code_in_the_report_runs(finished, monkeypatch):
    code = re.search(r"```python\n(.*?)```", (finished / "out" / "report.md").read_text(), re.S)
    monkeypatch.chdir(finished / "out")
    images = [str(finished / "flowers" / name / "0.png") for name in ("rose", "tulip")]
    found = {}
    exec(code.group(1).replace('["one.jpg", "two.jpg"]', repr(images)), found)
    assert len(found["names"]) == 2 and set(found["names"]) <= {"rose", "tulip"}


def test_a_resumed_finetune_repeats_nothing_and_saves_the_same_model(finished, capsys):
    out = finished / "out"
    study = (out / "study.json").read_text()
    before = load_model(out / "model.safetensors").state_dict()
    (out / "model.safetensors").unlink()
    assert call(finished / "flowers", out, "--strategies", "probe", "lora") == 0
    assert (out / "study.json").read_text() == study
    after = load_model(out / "model.safetensors").state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert re.search(r"^lora +all", capsys.readouterr().out, re.MULTILINE)


def fake_study(*rows):
    made = [argparse.Namespace(strategy=name, val=val, mean=mean) for name, val, mean in rows]
    return argparse.Namespace(rows=lambda: made)


def test_the_choice_looks_at_val_and_never_at_test():
    study = fake_study(
        ("majority", None, 1.0), ("scratch", 0.5, 0.9), ("probe", 0.8, 0.1), ("full", 0.8, 0.99)
    )
    assert finetune.best_row(study).strategy == "probe", "the first of those with equal val"
    tied = fake_study(("scratch", 1.0, 1.0), ("lp_ft", 1.0, 0.1), ("full", 1.0, 1.0))
    assert finetune.best_row(tied).strategy == "lp_ft", "scratch is last among equals"
    with pytest.raises(CompanionError, match="strategies with a val: got nothing"):
        finetune.best_row(fake_study(("majority", None, 1.0)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--labels-per-class", "4"), "--labels-per-class: got 4; expected 5 or more"),
        (("--labels-per-class", "17"), "class 'rose' of split 'pool': got 16 items"),
        (("--seeds", "0"), "--seeds: got 0"),
        (("--learning-rate", "nan"), "learning_rate: got nan"),
        (("--epochs", "-3"), "epochs: got -3"),
        (("--backbone", "glifnet"), "did you mean 'glyphnet'?"),
        (("--strategies", "prob"), "did you mean 'probe'?"),
        (("--device", "cudda"), "device: got 'cudda'"),
    ],
)
def test_finetune_refuses(flowers, tmp_path, capsys, options, message):
    assert call(flowers, tmp_path / "out", *options) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and len(error.splitlines()) == 1


def test_finetune_refuses_a_spoiled_folder(flowers, tmp_path, capsys):
    (flowers / "rose" / "notes.txt").write_text("a rose")
    assert call(flowers, tmp_path / "out") == 1
    assert "notes.txt: got a file that is no image" in capsys.readouterr().err


def test_finetune_sees_at_once_that_it_cannot_write(flowers, tmp_path, capsys, monkeypatch):
    def refuse(**options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(runtime.tempfile, "mkstemp", refuse)
    assert call(flowers, tmp_path / "out") == 1
    assert "Permission denied" in capsys.readouterr().err


def test_options_reach_the_recipe():
    options = build_parser().parse_args(
        ["finetune", "x", "--balanced", "--epochs", "3", "--learning-rate", "0.01"]
    )
    recipe = finetune._recipe(options)
    assert (recipe.class_weights, recipe.epochs, recipe.learning_rate) == ("balanced", 3, 0.01)
    plain = finetune._recipe(build_parser().parse_args(["finetune", "x"]))
    assert plain == companion.training.Recipe()


def test_a_folder_with_another_comparison_names_the_option(finished, capsys):
    status = call(finished / "flowers", finished / "out", "--seeds", "3")
    assert status == 1
    said = capsys.readouterr().err
    assert (
        "--out" in said and "another study (other" in said and "name another one with --out" in said
    )


def test_a_wrong_device_is_told_before_anything_else(flowers, tmp_path, capsys):
    assert call(flowers, tmp_path / "out", "--device", "gpu0") == 1
    assert "device: got 'gpu0'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_options_are_not_guessed_from_their_beginnings(flowers, tmp_path, capsys):
    with pytest.raises(SystemExit):
        call(flowers, tmp_path / "out", "--seed", "2")
    assert "unrecognized arguments: --seed" in capsys.readouterr().err
