"""The command line on folders with boxes: check, convert, and finetune to a detector."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from boxes_folders import CLASSES, made, voc_xml, write_voc
from PIL import Image

import companion
from companion import backbones, boxes
from companion.boxes import AnnotatedImage, Annotations, Box, read_annotations, write_annotations
from companion.command_line import build_parser, finetune, kinds, main
from companion.model_files import load_model
from companion.splits import fresh_readings


@pytest.fixture
def pets(tmp_path):
    return write_annotations(made(tmp_path / "made"), tmp_path / "pets", format="voc")


def test_every_command_has_help(capsys):
    for words in (["boxes"], ["boxes", "check"], ["boxes", "convert"]):
        with pytest.raises(SystemExit) as caught:
            build_parser().parse_args([*words, "--help"])
        assert caught.value.code == 0
        assert " ".join(words) in capsys.readouterr().out


# check


def test_check_counts_images_and_boxes_by_class(pets, capsys):
    assert main(["boxes", "check", str(pets)]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0] == "voc: 6 images (train 3, val 1, test 2), 8 boxes, 3 classes"
    assert [line.split() for line in lines[1:4]] == [["bird", "&", "fish", "1"], ["cat", "4"]] + [
        ["dog", "3"]
    ]
    assert lines[-1] == "All is well." and printed.err == ""


def test_check_names_every_problem_by_kind_and_file_and_fails(tmp_path, capsys):
    files = {"a": voc_xml("cat 1 1 1 1", "cat 2 2 2 2"), "b": voc_xml("cat 50 50 60 60")}
    write_voc(tmp_path, files, images=("a", "b"))
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:500])
    assert main(["boxes", "check", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert printed.err == "", "a problem is printed once"
    assert "voc: 1 images, 0 boxes, 0 classes" in printed.out
    assert re.search(
        r"box without area: 2\n  a.xml: cat 1,1,1,1 in .*\n  a.xml: cat 2,2,2,2", printed.out
    )
    assert re.search(r"image that cannot be read: 1\n  b.png: ", printed.out)


def test_check_reads_a_zip_and_says_what_it_cannot_read(pets, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "cache"))
    archive = shutil.make_archive(str(tmp_path / "pets"), "zip", tmp_path, "pets")
    assert main(["boxes", "check", archive]) == 0
    assert "8 boxes" in capsys.readouterr().out
    for wrong, message in (("nowhere", "which does not exist"), ("made", "got no annotations")):
        assert main(["boxes", "check", str(tmp_path / wrong)]) == 1
        assert message in capsys.readouterr().err


def test_the_convention_of_pixels_can_be_chosen(tmp_path, capsys):
    write_voc(tmp_path, {"a": voc_xml("cat 7 7 7 7")})
    assert main(["boxes", "check", str(tmp_path)]) == 1
    assert main(["boxes", "check", str(tmp_path), "--voc-inclusive"]) == 0
    assert "cat                         1" in capsys.readouterr().out


# convert


@pytest.mark.parametrize("format", boxes.FORMATS)
def test_convert_writes_what_is_read_again(pets, tmp_path, capsys, format):
    target = tmp_path / "out"
    assert main(["boxes", "convert", str(pets), str(target), "--format", format]) == 0
    printed = capsys.readouterr()
    assert f"Written: {target} ({format})" in printed.out and "8 boxes" in printed.out
    assert ("note: 1 marks of difficult" in printed.err) == (format == "yolo")
    found = read_annotations(target)
    assert (found.format, found.classes, len(found.images)) == (format, CLASSES, 6)


def test_convert_stops_at_a_problem_or_leaves_it_out(tmp_path, capsys):
    write_voc(tmp_path / "in", {"a": voc_xml("cat 1 2 13 17", "cat 1 1 1 1")})
    words = ["boxes", "convert", str(tmp_path / "in"), str(tmp_path / "out"), "--format", "coco"]
    assert main(words) == 1
    error = capsys.readouterr().err
    assert "box without area: 1 (a.xml)" in error and "leave them out with --leave-out" in error
    assert not (tmp_path / "out").exists()
    assert main([*words, "--leave-out", "--link"]) == 0
    assert "note: " in capsys.readouterr().err
    found = read_annotations(tmp_path / "out")
    assert found.class_counts() == {"cat": 1}
    assert found.images[0].path.samefile(tmp_path / "in" / "a.png")


def test_convert_refuses_a_full_target_and_an_unknown_format(pets, tmp_path, capsys):
    assert main(["boxes", "convert", str(pets), str(pets), "--format", "coco"]) == 1
    assert "something that is there already" in capsys.readouterr().err
    assert main(["boxes", "convert", str(pets), str(tmp_path / "o"), "--format", "yollo"]) == 1
    assert "did you mean 'yolo'?" in capsys.readouterr().err
    words = ["boxes", "convert", str(pets), str(tmp_path / "o"), "--format", "coco"]
    assert main([*words, "--source-format", "yolo"]) == 1
    assert "expected annotations in yolo" in capsys.readouterr().err


def test_data_fetch_of_a_folder_of_ones_own_is_refused(capsys):
    assert main(["data", "fetch", "boxes"]) == 1
    assert "dataset 'boxes': got a request to fetch it" in capsys.readouterr().err


# finetune


def draw_squares(root, *, format, num_images=20):
    """A red and a green square an image, on dark noise."""
    images = []
    for number in range(num_images):
        rng = np.random.default_rng(number)
        pixels = rng.integers(0, 60, (48, 64, 3))
        found = []
        for place in range(2):
            x, y, side = 32 * place + int(rng.integers(8)), int(rng.integers(20)), 16
            is_red = bool(rng.integers(2))
            pixels[y : y + side, x : x + side] = (220, 30, 30) if is_red else (30, 220, 30)
            found.append(Box("red" if is_red else "green", x, y, x + side, y + side))
        path = root / "drawn" / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        images.append(AnnotatedImage(path.stem, path, 64, 48, tuple(found)))
    annotations = Annotations(tuple(images), ("green", "red"))
    return write_annotations(annotations, root / "squares", format=format)


def call(folder, out, *options):
    """Call `finetune` with an untrained backbone and a few steps."""

    def load(name, **asked):
        return backbones.load_backbone(name, **{**asked, "pretrained": False})

    steps = ("--seeds", "2", "--epochs", "1", "--min-steps", "3", "--device", "cpu")
    with pytest.MonkeyPatch.context() as patch, fresh_readings():
        patch.setattr(companion, "load_backbone", load)
        return main(["finetune", str(folder), *steps, "--out", str(out), *options])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in the format of YOLO and what `finetune` wrote for it."""
    root = tmp_path_factory.mktemp("finetune")
    folder = draw_squares(root, format="yolo")
    assert call(folder, root / "out", "--strategies", "probe", "--labels-per-class", "10") == 0
    return root


def test_finetune_makes_a_detector_of_a_folder_with_boxes(finished):
    out = finished / "out"
    config = json.loads((out / "study.json").read_text())["config"]
    assert config["seeds"] == [0, 1] and "spotnet" in json.dumps(config)
    page = (out / "report.md").read_text()
    for name in ("majority", "scratch", "probe"):
        assert re.search(rf"^\| {name} \| 10 \| 2 \|", page, re.MULTILINE), name
    assert "test map50" in page and "accuracy" not in page
    assert "train 8, val 2, test 4" in page and "Read as yolo." in page
    best = finetune.best_row(companion.study.load(out / "study.json"))
    assert f"Chosen on val: {best.strategy}, mAP@0.5 " in page


def test_the_saved_detector_is_the_one_that_was_judged(finished):
    out = finished / "out"
    study = companion.study.load(out / "study.json")
    best = finetune.best_row(study)
    seed = int(re.search(r"with seed (\d)", (out / "report.md").read_text()).group(1))
    splits = companion.load_dataset("boxes", path=finished / "squares")
    with fresh_readings():
        scores = companion.evaluate(load_model(out / "model.safetensors"), splits.test)
    expected = study.run(best.strategy, seed, 10).test["map50"]
    assert scores.values["map50"] == pytest.approx(expected, abs=1e-6)


def test_the_code_in_the_report_runs(finished, monkeypatch):
    code = re.search(r"```python\n(.*?)```", (finished / "out" / "report.md").read_text(), re.S)
    monkeypatch.chdir(finished / "out")
    images = sorted(str(path) for path in (finished / "drawn").glob("*.png"))[:2]
    found = {}
    exec(code.group(1).replace('["one.jpg", "two.jpg"]', repr(images)), found)
    assert len(found["names"]) == len(found["predictions"].labels) == 2
    for rows, names in zip(found["sure"], found["names"], strict=True):
        assert len(rows) == len(names) and set(names) <= {"green", "red"}
        assert torch.all(rows[:, 5] >= 0.5)


@pytest.mark.parametrize("format", boxes.FORMATS)
def test_a_folder_with_boxes_is_told_from_one_of_classes(tmp_path, format):
    folder = draw_squares(tmp_path, format=format, num_images=2)
    assert kinds.recognise(str(folder)) is kinds.BOXES
    shutil.make_archive(str(folder), "zip", folder)
    assert kinds.recognise(f"{folder}.zip") is kinds.BOXES


@pytest.mark.parametrize("stray", ["classes.txt", "notes.json", "settings.yaml", "a.xml.txt"])
def test_stray_files_do_not_make_boxes_of_a_folder_of_classes(tmp_path, stray):
    for name in ("rose", "tulip"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / name / "1.png")
    (tmp_path / stray).write_text('{"images": 2}\n')
    assert kinds.recognise(str(tmp_path)) is kinds.CLASSES
    assert kinds.recognise(str(tmp_path / "nowhere")) is kinds.CLASSES


def test_a_budget_too_small_to_choose_by_is_told_in_images(finished, tmp_path, capsys):
    assert call(finished / "squares", tmp_path / "out", "--labels-per-class", "4") == 1
    expected = "--labels-per-class: got 4; expected 5 or more labelled images: with fewer"
    assert expected in capsys.readouterr().err


def test_classes_of_boxes_cannot_be_balanced(finished, tmp_path, capsys):
    assert call(finished / "squares", tmp_path / "out", "--balanced") == 1
    assert "error: --balanced: got a folder with boxes" in capsys.readouterr().err


def test_what_is_left_out_is_told_as_a_note(finished, tmp_path, capsys):
    folder = shutil.copytree(finished / "squares", tmp_path / "squares")
    with (folder / "labels" / "00.txt").open("a") as labels:
        labels.write("0 0.5 0.5 0 0\n")
    assert call(folder, tmp_path / "out", "--labels-per-class", "4") == 1
    error = capsys.readouterr().err
    assert re.search(r"^note: .*box without area: 1 \(labels/00.txt\)\nerror: --labels", error)


def test_a_backbone_for_classes_is_refused_for_boxes(finished, tmp_path, capsys):
    assert call(finished / "squares", tmp_path / "out", "--backbone", "glyphnet") == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "detection" in error and len(error.splitlines()) == 1
