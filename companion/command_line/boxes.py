"""`boxes check | convert`: what a folder of images with boxes holds; the same in another format."""

from __future__ import annotations

import argparse
import contextlib
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from companion import checks
from companion.checks import CompanionError
from companion.command_line.notes import telling_warnings

if TYPE_CHECKING:
    from companion.boxes import Annotations

__all__ = ["add_parser", "check", "convert", "naming_a_damaged_zip"]


def add_parser(commands: Any) -> None:
    """Add the command `boxes` to the parser.

    Args:
        commands: what `add_subparsers` returned.

    Modifies: `commands`.
    """
    parser = commands.add_parser("boxes", help="check and convert folders of images with boxes")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    action = actions.add_parser(
        "check", help="count the boxes and name what is wrong", allow_abbrev=False
    )
    action.add_argument("folder", help="images with boxes as VOC, COCO or YOLO has them, or a zip")
    _add_common(action, "--format")
    action.set_defaults(run=check)
    action = actions.add_parser(
        "convert", help="write the boxes in another format", allow_abbrev=False
    )
    add = action.add_argument
    add("source", help="images with boxes, or a zip")
    add("target", help="where to write: a new folder")
    add("--format", required=True, metavar="NAME", help="of the target: voc, coco or yolo")
    _add_common(action, "--source-format")
    add("--leave-out", action="store_true", help="leave out what is wrong (default: stop there)")
    add("--link", action="store_true", help="link images instead of copying them, where possible")
    action.set_defaults(run=convert)


def _add_common(action: argparse.ArgumentParser, format_option: str) -> None:
    """Add the options of reading."""
    action.add_argument(
        format_option,
        dest="source_format",
        metavar="NAME",
        help="voc, coco or yolo (default: recognised)",
    )
    action.add_argument(
        "--voc-inclusive",
        action="store_true",
        help="VOC's pixels are counted from 1, the last included (default: they are edges)",
    )


def check(options: argparse.Namespace) -> int:
    """Print classes with their counts, and each problem with its file; 1 for any, or no image."""
    from companion.boxes import read_annotations

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the same is printed below, at length
        found = read_annotations(
            _folder(options.folder),
            format=options.source_format,
            on_problem="report",
            whole_images=True,
            voc_inclusive=options.voc_inclusive,
        )
    print(_summary(found))
    for name, number in found.class_counts().items():
        print(f"{name:<20} {number:>8}")
    kinds: dict[str, list[str]] = {}
    for problem in found.problems:
        kinds.setdefault(problem.kind, []).append(f"{problem.file}: {problem.detail}")
    for kind, lines in kinds.items():
        print(f"\n{kind}: {len(lines)}")
        print("\n".join(f"  {line}" for line in lines))
    if not kinds:
        print("\nAll is well." if found.images else "\nThere are annotations, but no images.")
    return 0 if found.images and not kinds else 1


def convert(options: argparse.Namespace) -> int:
    """Write a folder of images with boxes in another format."""
    from companion import boxes
    from companion.boxes.texts import readable

    with telling_warnings(), _naming_the_option():
        found = boxes.convert(
            _folder(options.source),
            options.target,
            format=options.format,
            source_format=options.source_format,
            on_problem="report" if options.leave_out else "fail",
            images="link" if options.link else "copy",
            voc_inclusive=options.voc_inclusive,
        )
    print(f"{_summary(found)}\nWritten: {readable(options.target)} ({options.format})")
    return 0


@contextlib.contextmanager
def _naming_the_option() -> Iterator[None]:
    """Say of a folder with problems which option leaves them out."""
    try:
        yield
    except CompanionError as error:
        advice = 'pass on_problem="report" to leave them out and keep a list'
        raise CompanionError(
            str(error).replace(advice, "leave them out with --leave-out")
        ) from None


@contextlib.contextmanager
def naming_a_damaged_zip(path: Path) -> Iterator[None]:
    """Say of a file that is no zip, or is damaged within, that it is so.

    Args:
        path: the file that is unpacked in the body of the `with` block.

    Raises:
        CompanionError: it is no zip file, or its bytes cannot be decompressed.
    """
    if path.is_file() and not zipfile.is_zipfile(path):
        checks.fail(
            f"file {path}",
            got="no whole zip file",
            expected="a folder of images with boxes, or a zip of it",
            do="name the folder that the file lies in; get a zip that is cut off again",
        )
    try:
        yield
    except zlib.error as error:
        checks.fail(
            f"file {path}",
            got=f"a damaged file ({error})",
            expected="a whole zip file",
            do="get it again",
        )


def _folder(name: str) -> Path:
    """Return the folder of a name; a zip file is unpacked into the cache."""
    path = Path(name).expanduser()
    if path.is_file():
        from companion.datasets.boxes_folder import unpacked

        with naming_a_damaged_zip(path):
            return unpacked(path)
    return checks.existing_directory("folder of images with boxes", path)


def _summary(found: Annotations) -> str:
    """Return format and numbers of images and boxes in one line."""
    parts = found.part_counts()
    divided = ", ".join(f"{part or 'in no part'} {number}" for part, number in parts.items())
    num_boxes = sum(found.class_counts().values())
    num_crowds = sum(box.is_crowd for image in found.images for box in image.boxes)
    return (
        f"{found.format}: {len(found.images)} images{f' ({divided})' if any(parts) else ''}, "
        f"{num_boxes} boxes, {len(found.classes)} classes"
        + (f", {num_crowds} crowds besides" if num_crowds else "")
    )
