"""tools/yolo.py, as far as it goes without ultralytics: boxes there and back, verdicts, licence."""

import ast
import math
import os
import sys
import types
from pathlib import Path

import pytest
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import yolo  # noqa: E402
from companion import boxes  # noqa: E402
from companion.splits import Split  # noqa: E402

CLASSES = ("0", "1", "owl")


def scenes(images, labels, name="train"):
    ids = tuple(f"{name}/{number}" for number in range(len(labels)))
    return Split(name, images, labels, ids, CLASSES, task="detection")


@pytest.fixture
def parts():
    """Two training images in bytes, and a test image of another form in fractions."""
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 3, 32, 64), generator=draw, dtype=torch.uint8)
    rows = torch.tensor([[2, 0.125, 0.25, 0.5, 0.75], [0, 0.3, 0.1, 0.7, 0.9]])
    train = scenes(images, [rows, rows.new_zeros(0, 5)])
    test = scenes([torch.rand(3, 20, 40, generator=draw)], [rows[1:]], name="test")
    return {"train": train, "test": test}


def test_a_folder_in_yolos_format_holds_the_same_boxes_and_pixels(parts, tmp_path):
    data = yolo.write_yolo_folder(parts, tmp_path / "data")
    assert data == tmp_path / "data" / "data.yaml"
    found = boxes.read_annotations(tmp_path / "data", format="yolo")
    assert found.classes == CLASSES
    assert [(image.part, len(image.boxes)) for image in found.images] == [
        ("test", 1), ("train", 2), ("train", 0)
    ]  # fmt: skip
    owl = found.images[1].boxes[0]
    assert (owl.label, owl.corners) == ("owl", pytest.approx((8, 8, 32, 24), abs=1e-4))
    read = Image.open(found.images[1].path)
    pixels = torch.frombuffer(bytearray(read.tobytes()), dtype=torch.uint8).reshape(32, 64, 3)
    assert torch.equal(pixels.permute(2, 0, 1), parts["train"].inputs[0])


def test_the_order_of_test_files_is_that_of_the_split(tmp_path):
    """Detections are matched with labels by position: the names sort as the images stand."""
    images = torch.zeros(120, 3, 8, 8, dtype=torch.uint8)
    images[:, 0] = torch.arange(120, dtype=torch.uint8)[:, None, None]
    split = scenes(images, [torch.zeros(0, 5)] * 119 + [torch.tensor([[0, 0.1, 0.1, 0.5, 0.5]])])
    yolo.write_yolo_folder({"test": split}, tmp_path / "data")
    files = sorted((tmp_path / "data" / "images" / "test").iterdir())
    assert [Image.open(file).getpixel((0, 0))[0] for file in files] == list(range(120))


def test_images_become_bytes():
    grey = yolo.as_bytes(torch.tensor([[[0.0, 0.5, 1.0]]]))
    assert grey.tolist() == [[[0, 128, 255]]] * 3
    assert grey.dtype == torch.uint8


def test_detections_take_our_form_the_best_first():
    found = yolo.as_predictions(
        torch.tensor([1.0, 0.0]),
        torch.tensor([[0.1, 0.2, 0.3, 1.0001], [0.0, 0.0, 1.0, 1.0]]),
        torch.tensor([0.2, 0.9]),
    )
    wanted = torch.tensor([[0, 0, 0, 1, 1, 0.9], [1, 0.1, 0.2, 0.3, 1, 0.2]])
    assert torch.equal(found, wanted)
    nothing = yolo.as_predictions(torch.zeros(0), torch.zeros(0, 4), torch.zeros(0))
    assert nothing.shape == (0, 6)


def row(ours, theirs, name="YOLOv5u"):
    return yolo.Row(name, dict(zip(("map50", "map"), ours, strict=True)), 12.4,
                    theirs and dict(zip(("map50", "map"), theirs, strict=True)))  # fmt: skip


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        ((0.50, 0.30), (0.51, 0.31), ""),
        ((0.50, 0.30), (0.54, 0.30), "map50 differs by 0.040"),
        ((0.50, 0.30), (0.50, 0.26), "map differs by 0.040"),
        ((0.50, math.nan), (0.50, 0.30), "map differs by nan"),
        ((0.05, 0.02), (0.05, 0.02), "nothing was learnt"),
    ],
)
def test_verdicts(ours, theirs, message):
    assert message in " ".join(yolo.faults(row(ours, theirs)))
    assert bool(message) == bool(yolo.faults(row(ours, theirs)))


def test_the_table_lines_up():
    lines = yolo.table([row((0.5, 0.25), (0.51, 0.26)), row((0.9, 0.6), None, "ours")]).splitlines()
    assert lines[1].split() == ["YOLOv5u", "0.500", "0.510", "0.250", "0.260", "12"]
    assert lines[2].split() == ["ours", "0.900", "-", "0.600", "-", "12"]
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize(("theirs", "status"), [((0.5, 0.3), 0), ((0.9, 0.3), 1)])
def test_the_licence_is_said_first_and_the_verdict_last(theirs, status, monkeypatch, capsys,
                                                        tmp_path, parts):  # fmt: skip
    order = []

    def trained(*arguments):
        order.append(capsys.readouterr().out)
        return row((0.5, 0.3), theirs)

    closed = types.SimpleNamespace(open=lambda reading: parts["test"])
    splits = types.SimpleNamespace(train=parts["train"], val=None, test=closed)
    monkeypatch.setattr(yolo, "FOLDER", tmp_path / "yolo")
    monkeypatch.setattr(yolo.companion, "load_dataset", lambda name, labels_per_class: splits)
    monkeypatch.setattr(yolo, "yolo_row", trained)
    monkeypatch.setattr(yolo, "our_row", lambda *arguments: row((0.9, 0.6), None, "spotnet"))
    assert yolo.main([]) == status
    assert order[0].startswith("ultralytics is under the AGPL-3.0")
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("map50 differs by 0.400" if status else "Both programs agree")


@pytest.mark.parametrize("online", [False, True])
def test_settings_stay_in_the_folder_and_nothing_is_sent(online, monkeypatch, tmp_path):
    names = ("YOLO_CONFIG_DIR", "YOLO_AUTOINSTALL", "YOLO_OFFLINE")
    for name in names:
        monkeypatch.setenv(name, "before")
    settings = {"sync": True, "wandb": True, "runs_dir": "elsewhere", "uuid": "x"}
    stand_in = types.SimpleNamespace(settings=settings)
    monkeypatch.setitem(sys.modules, "ultralytics", stand_in)
    yolo.prepare_ultralytics(tmp_path, online=online)
    assert (settings["sync"], settings["wandb"], settings["uuid"]) == (False, False, "x")
    assert settings["runs_dir"] == str(tmp_path / "runs")
    assert os.environ["YOLO_OFFLINE"] == ("false" if online else "true")
    assert (tmp_path / "config").is_dir()
    assert os.environ["YOLO_CONFIG_DIR"] == str(tmp_path / "config")


def test_nothing_but_this_tool_imports_ultralytics():
    importing = set()
    files = [p for folder in ("companion", "tools", "book", "benchmarks", "recipes")
             for p in (ROOT / folder).rglob("*.py")]  # fmt: skip
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if any(name.partition(".")[0] == "ultralytics" for name in names):
                importing.add(path.relative_to(ROOT).as_posix())
    assert len(files) > 100
    assert importing == {"tools/yolo.py"}
    pages = list((ROOT / "book").rglob("*.md"))
    assert len(pages) > 10
    assert not [p for p in pages if "import ultralytics" in p.read_text(encoding="utf-8")]
