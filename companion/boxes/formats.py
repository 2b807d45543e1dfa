"""Reading, writing and converting annotated images in the formats people have them in."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from companion import checks, runtime
from companion.boxes import checking, coco, voc, yolo
from companion.boxes.checking import Findings, RawImage, checked_image
from companion.boxes.records import PARTS, AnnotatedImage, Annotations, said
from companion.boxes.texts import is_label
from companion.boxes.writing import named_as_files, put_by

__all__ = ["FORMATS", "convert", "read_annotations", "recognise", "write_annotations"]

FORMATS = ("voc", "coco", "yolo")
"""The formats: Pascal VOC xml, COCO json, YOLO txt."""

_IS_HERE = {"voc": voc.is_here, "coco": coco.is_here, "yolo": yolo.is_here}


def recognise(folder: str | Path) -> tuple[str, ...]:
    """Return the formats that a folder holds annotations in; none for other folders.

    Args:
        folder: where to look; a single folder within it is looked into, as archives have one.

    Raises:
        CompanionError: there is no such folder.
    """
    return _recognised(checks.existing_directory("folder of annotations", folder))[1]


def read_annotations(
    folder: str | Path,
    *,
    format: str | None = None,
    classes: Sequence[str] | None = None,
    on_problem: str = "fail",
    whole_images: bool = False,
    voc_inclusive: bool = False,
) -> Annotations:
    """Read the boxes of a folder of images.

    What is wrong is never passed over in silence. `on_problem="report"` leaves out boxes that have
    no area, lie outside the image, hold what is no number, or have an unknown label, and images
    that cannot be read, have no annotation, or have another size than it says; boxes partly
    outside are clipped. Each of them is in `problems`, and a warning says how many there are.

    Args:
        folder: holds images and annotations; the layouts are told in the modules `voc`, `coco` and
            `yolo`.
        format: one of `FORMATS`; `None` recognises it.
        classes: the labels that are known, in the order wanted; `None` takes those of the files
            (for VOC, which has no list of them, the labels that occur, sorted).
        on_problem: `"fail"` or `"report"`.
        whole_images: whether each image is decoded, to see that it is whole; otherwise its head
            alone is read, for the size.
        voc_inclusive: whether VOC's pixels are counted from 1, the last included.

    Returns:
        The images, sorted by name, with boxes in pixels.

    Raises:
        CompanionError: no such folder, no annotations in it, or in more than one format; a list of
            parts or of classes that cannot be read; nothing left in train, because all of it is in
            other parts too; with `"fail"` any problem.

    Warns:
        UserWarning: with `"report"`, when there are problems.
    """
    checks.one_of("on_problem", on_problem, ("fail", "report"))
    root, format = _chosen(checks.existing_directory("folder of annotations", folder), format)
    findings = Findings(root)
    if format == "voc":
        raw, named = list(voc.read(root, findings, inclusive=voc_inclusive)), None
    else:
        raw, named = (coco if format == "coco" else yolo).read(root, findings)
    known = None if classes is None else tuple(classes)
    raw = _named(_once(raw, findings), root)
    read = [checked_image(item, findings, known, whole=whole_images) for item in raw]
    images = tuple(sorted((i for i in read if i is not None), key=lambda image: image.name))
    _tell(root, findings, fails=on_problem == "fail")
    _check_train(root, images, findings)
    labels = sorted({box.label for image in images for box in image.boxes})
    return Annotations(
        _without_lone_part(images),
        known or named or tuple(labels),
        tuple(findings.problems),
        format,
    )


def write_annotations(
    annotations: Annotations,
    folder: str | Path,
    *,
    format: str,
    images: str = "copy",
    voc_inclusive: bool = False,
) -> Path:
    """Write images and boxes to a new folder, which is there whole or not at all.

    What a format cannot say is lost, and a warning says how much: VOC and YOLO have no crowds, YOLO
    does not mark what is difficult. Corners are written to a millionth of a pixel. A folder without
    images is not written: YOLO and VOC could not be told from an empty folder when read again.

    Args:
        annotations: what to write.
        folder: where to; it must be new or empty.
        format: one of `FORMATS`.
        images: `"copy"`, or `"link"` for hard links where the file system has them.
        voc_inclusive: whether VOC's pixels are counted from 1, the last included.

    Returns:
        The folder.

    Raises:
        CompanionError: there are no images, the folder holds something or cannot be written, two
            images would have the same name, a class has no name that can be written, or a box has
            a label that is no class.

    Warns:
        UserWarning: boxes or marks that the format cannot hold.
    """
    checks.one_of("format", format, FORMATS)
    put = put_by(images)
    checks.non_empty(
        "images to write",
        annotations.images,
        do="see what is wrong with them: `python -m companion boxes check`",
    )
    folder = Path(folder).expanduser()
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        checks.fail(
            f"folder {folder}",
            got="something that is there already",
            expected="a new folder, or an empty one",
            do="name another one, or delete this one",
        )
    _check_labels(annotations)
    annotations = _holdable(annotations, format)
    annotations = replace(annotations, images=named_as_files(annotations.images))
    with runtime.atomic_directory(folder) as temporary:
        if format == "voc":
            voc.write(annotations, temporary, put, inclusive=voc_inclusive)
        else:
            (coco if format == "coco" else yolo).write(annotations, temporary, put)
        temporary.chmod(0o755)
    return folder


def convert(
    source: str | Path,
    target: str | Path,
    *,
    format: str,
    source_format: str | None = None,
    on_problem: str = "fail",
    images: str = "copy",
    voc_inclusive: bool = False,
) -> Annotations:
    """Write a folder of annotated images anew in another format.

    Args:
        source: the folder to read.
        target: the folder to write; it must be new or empty.
        format: of the target, one of `FORMATS`.
        source_format: of the source; `None` recognises it.
        on_problem: `"fail"` or `"report"`, as for `read_annotations`.
        images: `"copy"` or `"link"`.
        voc_inclusive: whether VOC's pixels are counted from 1, the last included.

    Returns:
        What was read, with the problems.

    Raises:
        CompanionError: as for reading and writing.
    """
    checks.one_of("format", format, FORMATS)
    annotations = read_annotations(
        source, format=source_format, on_problem=on_problem, voc_inclusive=voc_inclusive
    )
    write_annotations(
        annotations, target, format=format, images=images, voc_inclusive=voc_inclusive
    )
    return annotations


def _recognised(root: Path) -> tuple[Path, tuple[str, ...]]:
    """Return the folder that holds the annotations, and in which formats it does."""
    while True:
        found = tuple(name for name in FORMATS if _IS_HERE[name](root))
        inside = [path for path in root.iterdir() if not path.name.startswith((".", "__MACOSX"))]
        folders = [path for path in inside if path.is_dir()]
        if found or len(folders) != 1:
            return root, found
        root = folders[0]


def _chosen(folder: Path, format: str | None) -> tuple[Path, str]:
    """Return the folder that holds the annotations, and the format to read.

    Raises:
        CompanionError: none, or more than one where none was named.
    """
    if format is not None:
        checks.one_of("format", format, FORMATS)
        if _IS_HERE[format](folder):
            return folder, format
    root, found = _recognised(folder)
    if format is None and len(found) == 1:
        return root, found[0]
    if format is not None and format in found:
        return root, format
    is_ambiguous = format is None and len(found) > 1
    checks.fail(
        f"folder {folder}",
        got=f"annotations in {' and '.join(found)}" if found else "no annotations",
        expected=f"annotations in {format or 'one of ' + ', '.join(FORMATS)}: xml files beside "
        "images, a json file with images, annotations and categories, or data.yaml with labels",
        do="say which with format=..." if is_ambiguous else "check the path",
    )


def _once(images: Sequence[RawImage], findings: Findings) -> list[RawImage]:
    """Return each image file once: what is listed again is a problem.

    Of several parts it belongs to the one that judges: test, then val, then train.
    """
    chosen: dict[Path, RawImage] = {}
    for raw in images:
        other = chosen.setdefault(raw.path, raw)
        if other is raw:
            continue
        findings.add(raw.file, checking.LISTED_TWICE, f"{raw.path.name}, also by {other.file.name}")
        chosen[raw.path] = max(other, raw, key=lambda raw: ("", *PARTS).index(raw.part))
    return list(chosen.values())


def _named(images: Sequence[RawImage], root: Path) -> list[RawImage]:
    """Return images under names that tell them apart: the shortest that do."""
    below = [raw.path.relative_to(root) for raw in images]
    names = [raw.name for raw in images]
    for longer in ([p.with_suffix("").as_posix() for p in below], [p.as_posix() for p in below]):
        if len(set(names)) < len(names):
            names = longer
    return [replace(raw, name=name) for raw, name in zip(images, names, strict=True)]


def _without_lone_part(images: tuple[AnnotatedImage, ...]) -> tuple[AnnotatedImage, ...]:
    """Return images without a part where all are in train: that divides nothing."""
    if {image.part for image in images} != {"train"}:
        return images
    return tuple(replace(image, part="") for image in images)


def _tell(root: Path, findings: Findings, *, fails: bool) -> None:
    """Raise or warn where there are problems."""
    problems = findings.problems
    if not problems:
        return
    counted = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    if not fails:
        warnings.warn(f"{root}: {counted}, left out or clipped: {said(problems)}", stacklevel=3)
        return
    checks.fail(
        f"annotations in {root}",
        got=f"{counted}: {said(problems)}",
        expected="boxes with an area, inside whole images, with known labels",
        do='put them right, or pass on_problem="report" to leave them out and keep a list',
    )


def _check_train(root: Path, images: Sequence[AnnotatedImage], findings: Findings) -> None:
    """Refuse a folder whose images are all in a part that judges, because they were listed twice.

    Raises:
        CompanionError: nothing is left in train.
    """
    twice = [
        problem
        for problem in findings.problems
        if problem.kind == checking.LISTED_TWICE and "train" in f"{problem.file} {problem.detail}"
    ]
    parts = {image.part for image in images}
    if twice and "train" not in parts and parts != {""}:
        checks.fail(
            f"parts of {root}",
            got=f"none for train alone: images in two parts: {len(twice)}, such as "
            f"{twice[0].file} ({twice[0].detail})",
            expected="each image in one part, as what was trained on judges nothing",
            do="name other images for val, or leave val out: it is then drawn from train",
        )


def _check_labels(annotations: Annotations) -> None:
    """Refuse classes that cannot be written in every format, and boxes whose label is no class."""
    for name in annotations.classes:
        if not is_label(name):
            checks.fail(
                "name of a class",
                got=repr(name),
                expected="letters, without control characters and without blanks around them",
                do="give it another name",
            )
    labels = {box.label for image in annotations.images for box in image.boxes}
    for label in sorted(labels):
        checks.one_of("label of a box", label, annotations.classes)


def _holdable(annotations: Annotations, format: str) -> Annotations:
    """Return what a format can hold, after a warning of what it cannot."""
    boxes = [box for image in annotations.images for box in image.boxes]
    num_crowds = sum(box.is_crowd for box in boxes)
    num_marks = sum(box.is_difficult and not box.is_crowd for box in boxes)
    if format != "coco" and num_crowds:
        warnings.warn(f"{num_crowds} crowds are left out: {format} has none", stacklevel=3)
        annotations = replace(annotations, images=tuple(map(_without_crowds, annotations.images)))
    if format == "yolo" and num_marks:
        warnings.warn(f"{num_marks} marks of difficult boxes are lost in yolo", stacklevel=3)
    return annotations


def _without_crowds(image: AnnotatedImage) -> AnnotatedImage:
    """Return an image without its crowds."""
    return replace(image, boxes=tuple(box for box in image.boxes if not box.is_crowd))
