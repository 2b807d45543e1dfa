"""Train YOLOv5u of `ultralytics` and our own detector on the same boxes: `make test-yolo`.

Runs in an environment of its own, `.venv-yolo`. Offline YOLOv5u starts from its description alone,
without weights; `--weights yolov5nu.pt` fetches the public ones first:

    make test-yolo
    make test-yolo YOLO='--weights yolov5nu.pt --epochs 20'

What it asserts: the whole way runs (boxes written as YOLO text files, training, validation,
detections read back), something is learnt, and mean average precision as ultralytics computes it
and as `companion.evaluation.detection` does agree within `TOLERANCE` on the same detections.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import companion  # noqa: E402
from companion import boxes  # noqa: E402
from companion.evaluation.detection import detection_values  # noqa: E402
from companion.splits import Split  # noqa: E402

FOLDER = ROOT / "build" / "yolo"
DESCRIPTION = "yolov5n.yaml"
SEED = 0
BATCH_SIZE = 8
MIN_SCORE, NMS_IOU, MAX_DETECTIONS = 0.001, 0.7, 100

TOLERANCE = 0.03
LEARNT = 0.1
"""Mean average precision at IoU 0.5 from which on we say that something was learnt."""

LICENCE = """\
ultralytics is under the AGPL-3.0: whoever passes on a program that contains it, or lets others use
one over a network, must offer them its whole source under the same licence, or buy another one.
Neither companion nor the book imports it; it is in .venv-yolo alone, and this run is a comparison.
What is trained is YOLOv5u, the revision without anchors and objectness, not the YOLOv5 of 2020."""

DIFFERENCES = """\
The two columns need not be equal: between the points of the precision-recall curve ultralytics
draws straight lines, and below the first recall reached; COCO's program (and ours) takes steps."""


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        name: the detector and where it starts from.
        values: our metrics of its detections, as fractions.
        seconds: how long training took.
        theirs: `map50` and `map` as ultralytics computes them, for its own detector.
    """

    name: str
    values: Mapping[str, float]
    seconds: float
    theirs: Mapping[str, float] | None = None


# --- from our splits to a folder in YOLO's format, and back from its detections ------------------


def write_yolo_folder(parts: Mapping[str, Split], folder: Path) -> Path:
    """Write images as PNG files and boxes as YOLO text files.

    Args:
        parts: splits of detection by the names `train`, `val` and `test`.
        folder: where to; it must not be there.

    Returns:
        The yaml file that names the parts and the classes.
    """
    images = [
        image
        for part, split in parts.items()
        for image in _annotated(split, part, folder.with_name(folder.name + "-images"))
    ]
    classes = next(iter(parts.values())).classes
    boxes.write_annotations(boxes.Annotations(tuple(images), classes), folder, format="yolo")
    return folder / "data.yaml"


def _annotated(split: Split, part: str, folder: Path) -> Iterator[boxes.AnnotatedImage]:
    """Save the images of a split and yield them with boxes in pixels."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for number, (image, rows) in enumerate(zip(split.inputs, split.labels, strict=True)):
        name = f"{part}_{number:05d}"
        pixels = as_bytes(image)
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(folder / f"{name}.png")
        height, width = pixels.shape[1:]
        scale = torch.tensor([width, height, width, height], dtype=torch.float64)
        found = tuple(
            boxes.Box(split.classes[int(row[0])], *(row[1:].double() * scale).tolist())
            for row in rows
        )
        yield boxes.AnnotatedImage(name, folder / f"{name}.png", width, height, found, part)


def as_bytes(image: Any) -> Tensor:
    """Return an image, bytes or fractions, as bytes (3, height, width)."""
    image = torch.as_tensor(image)
    if image.is_floating_point():
        image = (255 * image).round().clamp(0, 255).to(torch.uint8)
    return image.expand(3, -1, -1).contiguous()


def as_predictions(classes: Tensor, corners: Tensor, scores: Tensor) -> Tensor:
    """Return one image's detections as our predictions, (detections, 6), the best first.

    Args:
        classes: class ids, (detections,).
        corners: as fractions of width and height, (detections, 4).
        scores: (detections,).
    """
    columns = [classes[:, None], corners.clamp(0, 1), scores[:, None]]
    rows = torch.cat([column.float().cpu() for column in columns], dim=1)
    return rows[rows[:, 5].argsort(descending=True, stable=True)]


# --- ultralytics ---------------------------------------------------------------------------------


def prepare_ultralytics(folder: Path, *, online: bool) -> None:
    """Keep its settings in a folder of ours, and switch off all that talks to the outside.

    Modifies: environment variables of this process; nothing outside the folder.
    """
    config = folder / "config"
    config.mkdir(parents=True, exist_ok=True)
    os.environ["YOLO_CONFIG_DIR"] = str(config)
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ["YOLO_OFFLINE"] = "false" if online else "true"
    _put_font(config / "Ultralytics")
    from ultralytics import settings

    services = {name: False for name, value in settings.items() if isinstance(value, bool)}
    places = {f"{name}_dir": str(folder / name) for name in ("datasets", "weights", "runs")}
    settings.update(services | places)


def _put_font(folder: Path) -> None:
    """Put a font where ultralytics looks for the one that it would fetch; nothing is drawn here."""
    from matplotlib import font_manager

    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(font_manager.findfont("DejaVu Sans"), folder / "Arial.ttf")


def train_yolo(data: Path, folder: Path, given: argparse.Namespace) -> tuple[Any, float]:
    """Train YOLOv5u and return it with the seconds that training took."""
    from ultralytics import YOLO
    from ultralytics.utils.events import events

    assert not events.enabled, "ultralytics would report its use"
    model = YOLO(given.weights or DESCRIPTION)
    started = time.perf_counter()
    model.train(
        data=str(data),
        epochs=given.epochs,
        imgsz=given.image_size,
        # A step a batch; its default gathers four batches for one.
        batch=BATCH_SIZE,
        nbs=BATCH_SIZE,
        optimizer="AdamW",
        lr0=given.learning_rate,
        device="cpu",
        workers=0,
        seed=SEED,
        amp=False,
        val=False,
        plots=False,
        verbose=False,
        fliplr=0.0,  # a mirrored digit is none
        project=str(folder / "runs"),
        name="train",
        exist_ok=True,
    )
    return model, time.perf_counter() - started


def their_values(
    model: Any, data: Path, folder: Path, given: argparse.Namespace
) -> dict[str, float]:
    """Return mean average precision on the test images as ultralytics computes it."""
    found = model.val(
        data=str(data),
        split="test",
        imgsz=given.image_size,
        batch=16,
        rect=False,
        conf=MIN_SCORE,
        iou=NMS_IOU,
        max_det=MAX_DETECTIONS,
        device="cpu",
        workers=0,
        plots=False,
        verbose=False,
        project=str(folder / "runs"),
        name="val",
        exist_ok=True,
    )
    return {"map50": float(found.box.map50), "map": float(found.box.map)}


def their_detections(model: Any, images: Sequence[Path], given: argparse.Namespace) -> list[Tensor]:
    """Return the detections of YOLOv5u in our form, one tensor (detections, 6) an image."""
    found = model.predict(
        [str(path) for path in images],
        imgsz=given.image_size,
        rect=False,
        conf=MIN_SCORE,
        iou=NMS_IOU,
        max_det=MAX_DETECTIONS,
        device="cpu",
        verbose=False,
    )
    return [as_predictions(row.boxes.cls, row.boxes.xyxyn, row.boxes.conf) for row in found]


# --- the comparison ------------------------------------------------------------------------------


def yolo_row(parts: Mapping[str, Split], folder: Path, given: argparse.Namespace) -> Row:
    """Train YOLOv5u on the boxes and score it with both programs."""
    data = write_yolo_folder(parts, folder / "data")
    prepare_ultralytics(folder, online=given.weights is not None)
    with contextlib.redirect_stdout(sys.stderr):
        model, seconds = train_yolo(data, folder, given)
        theirs = their_values(model, data, folder, given)
        images = sorted((folder / "data" / "images" / "test").iterdir())
        predictions = their_detections(model, images, given)
    test = parts["test"]
    values = detection_values(predictions, list(test.labels), test.classes)
    start = given.weights or f"{DESCRIPTION}, no weights"
    return Row(f"YOLOv5u ({start})", values, seconds, theirs)


def our_row(splits: companion.splits.Splits, test: Split, given: argparse.Namespace) -> Row:
    """Fine-tune our one-stage detector on the same boxes and score it."""
    started = time.perf_counter()
    result = companion.fit("spotnet", splits, strategy="full", seed=SEED, device="cpu")
    seconds = time.perf_counter() - started
    values = companion.evaluate(result.model, test).values
    return Row("spotnet (pretrained on drawn scenes)", values, seconds)


def table(rows: Sequence[Row]) -> str:
    """Return the comparison as text, one line a detector."""
    head = ("", "mAP50 ours", "theirs", "mAP ours", "theirs", "s of training")
    lines = [head]
    for row in rows:
        theirs = row.theirs or {}
        cells = [
            text
            for name in ("map50", "map")
            for text in (f"{row.values[name]:.3f}", f"{theirs[name]:.3f}" if theirs else "-")
        ]
        lines.append((row.name, *cells, f"{row.seconds:.0f}"))
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
        for line in lines
    )


def faults(yolo: Row) -> list[str]:
    """Return what is not as it should be, in sentences; nothing where all is well."""
    assert yolo.theirs is not None
    found = [
        f"{name} differs by {abs(yolo.values[name] - yolo.theirs[name]):.3f}, more than {TOLERANCE}"
        for name in ("map50", "map")
        if not abs(yolo.values[name] - yolo.theirs[name]) <= TOLERANCE
    ]
    if not yolo.values["map50"] >= LEARNT:
        found.append(f"mAP50 is {yolo.values['map50']:.3f}, below {LEARNT}: nothing was learnt")
    return found


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dataset", default="digit_scenes", help="a dataset of detection")
    parser.add_argument("--labels-per-class", type=int, help="labelled images; all by default")
    parser.add_argument("--weights", help="public weights to start from, such as yolov5nu.pt")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--learning-rate", type=float, default=0.002)
    parser.add_argument("--image-size", type=int, default=128, help="side in pixels")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    given = options(arguments)
    print(LICENCE, end="\n\n", flush=True)
    if FOLDER.exists():
        shutil.rmtree(FOLDER)
    splits = companion.load_dataset(given.dataset, labels_per_class=given.labels_per_class)
    test = splits.test.open("make test-yolo")
    parts = {"train": splits.train, "val": splits.val or splits.train, "test": test}
    print({name: f"{len(part)} images" for name, part in parts.items()}, flush=True)
    yolo = yolo_row(parts, FOLDER, given)
    print("\n" + table([yolo, our_row(splits, test, given)]) + "\n\n" + DIFFERENCES)
    wrong = faults(yolo)
    print("\n" + ("\n".join(wrong) or f"Both programs agree within {TOLERANCE}."))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
