"""Pascal VOC: one xml file an image.

Layouts that are read: `Annotations/` (or `annotations/`) beside `JPEGImages/` (or `images/`), with
lists of names in `ImageSets/Main/` where there are any; or images and xml files side by side, in
the folder itself or in `train/`, `val/` (`valid/`) and `test/`. An xml file belongs to the image of
its own name, else to the one that its `filename` names; its `path`, which points into somebody's
disk, is never followed. It is read in the encoding that it declares, UTF-8 where it declares none;
one with a DOCTYPE is refused: entities have no business here.

**Pixels.** The original counts pixels from 1 and includes the last: a box round the first pixel has
xmin = xmax = 1. The tools that people draw boxes with write edges instead: there that box is
0, 0, 1, 1, and one with xmin = xmax is a slip of the hand. A file does not say which it means. They
are taken for edges, and the numbers stay as they are; with `inclusive=True` 1 is taken from xmin
and ymin when reading, and added when writing. The two differ by one pixel at the left and the top.

Reference: everingham2010pascal
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from companion.boxes import checking
from companion.boxes.checking import Findings, RawBox, RawImage, as_number, image_files, visible
from companion.boxes.records import PARTS, AnnotatedImage, Annotations
from companion.boxes.texts import as_listed, is_label, read_listed, reason
from companion.boxes.writing import Put, as_text, write_text

__all__ = ["is_here", "read", "write"]

FOLDERS_OF_XML = ("Annotations", "annotations")
FOLDERS_OF_IMAGES = ("JPEGImages", "images")
FOLDERS_OF_PARTS = {"train": "train", "val": "val", "valid": "val", "test": "test"}
LISTS = Path("ImageSets") / "Main"


def is_here(root: Path) -> bool:
    """Return whether a folder holds xml files where this format has them.

    Args:
        root: the folder.
    """
    return any(_xml_files(folder) for folder, _ in _places(root))


def read(root: Path, findings: Findings, *, inclusive: bool = False) -> Iterator[RawImage]:
    """Yield what the xml files of a folder say.

    Args:
        root: the folder.
        findings: where problems are written down.
        inclusive: whether pixels are counted from 1, the last included.

    Modifies: `findings`.
    """
    part_of = _listed_parts(root, findings)
    seen: set[str] = set()
    for folder, part in _places(root):
        images = _images_beside(root, folder)
        by_stem = {path.stem: path for path in reversed(images)}
        files = {path.stem: path for path in _xml_files(folder)}
        taken: set[Path] = set()
        for stem, file in files.items():
            found = _read_file(file, by_stem, findings, inclusive=inclusive)
            if found is not None:
                boxes, path, size = found
                taken.add(path)
                yield RawImage(file, path, stem, boxes, part or part_of.get(stem, ""), size)
        for path in images:
            of_it = by_stem[path.stem] == path  # not a.png beside a.jpg
            if path not in taken and not (of_it and path.stem in files):
                what = f"no {path.stem}.xml" if of_it else f"{by_stem[path.stem].name} has its name"
                findings.add(path, checking.MISSING_ANNOTATION, what)
        seen |= files.keys() | by_stem.keys()
    for stem in part_of:
        if stem not in seen:
            what = f"{as_listed(stem)}, which a list names"
            findings.add(root / LISTS, checking.MISSING_ANNOTATION, what)


def _xml_files(folder: Path) -> list[Path]:
    """Return the xml files of a folder, sorted."""
    files = [path for path in visible(folder) if path.suffix.lower() == ".xml"]
    return [path for path in files if not path.is_dir()]


def _places(root: Path) -> list[tuple[Path, str]]:
    """Return the folders that may hold xml files, with the part that each stands for."""
    for name in FOLDERS_OF_XML:
        if _xml_files(root / name):
            return [(root / name, "")]
    parts = [(root / name, part) for name, part in FOLDERS_OF_PARTS.items()]
    return [(folder, part) for folder, part in [(root, ""), *parts] if folder.is_dir()]


def _images_beside(root: Path, folder: Path) -> list[Path]:
    """Return the images that the xml files of a folder may belong to."""
    if folder.name in FOLDERS_OF_XML and folder.parent == root:
        for name in FOLDERS_OF_IMAGES:
            if found := image_files(root / name):
                return found
    return image_files(folder)


def _listed_parts(root: Path, findings: Findings) -> dict[str, str]:
    """Return the part of each image that stands in a list.

    `trainval` counts as train for what no other list has. An image in two parts is a problem, and
    belongs to the one that judges.

    Raises:
        CompanionError: a list cannot be read, or is no text.
    """
    part_of: dict[str, str] = {}
    reported: set[str] = set()
    for name, part in (("test", "test"), ("val", "val"), ("train", "train"), ("trainval", "")):
        path = root / LISTS / f"{name}.txt"
        for stem in read_listed(path) if os.path.lexists(path) else []:
            before = part_of.setdefault(stem, part or "train")
            is_same = before == part or (not part and before != "test")
            if not is_same and stem not in reported:
                findings.add(path, checking.LISTED_TWICE, f"{stem} is in {before}.txt too")
                reported.add(stem)
    return part_of


_Found = tuple[list[RawBox], Path, tuple[object, object] | None]


def _read_file(
    file: Path, images: dict[str, Path], findings: Findings, *, inclusive: bool
) -> _Found | None:
    """Return the boxes, the image and the size of an xml file; `None` where it cannot be used."""
    try:
        root = _parse(file)
    except (ElementTree.ParseError, ValueError, LookupError, OSError) as error:
        findings.add(file, checking.BROKEN_ANNOTATION, reason(error))
        return None
    filename = (root.findtext("filename") or "").strip().replace("\\", "/").rpartition("/")[2]
    path = images.get(file.stem) or images.get(Path(filename).stem if filename else "")
    if path is None:
        findings.add(file, checking.MISSING_IMAGE, f"no {filename or file.stem}")
        return None
    boxes = [_raw_box(item, inclusive=inclusive) for item in root.iterfind("object")]
    return boxes, path, _size(root)


class _NoDoctype(ElementTree.TreeBuilder):
    """Builds the tree of a file that declares nothing."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:
        """Refuse a DOCTYPE, which may name other files or grow without end."""
        raise ValueError("a DOCTYPE, which is not read")


_ENCODING = re.compile(rb"""<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z][\w.-]*)""")


def _decoded(data: bytes) -> str:
    """Return the text of an xml file, in the encoding that it declares.

    Raises:
        ValueError: it is in another one.
        LookupError: nobody knows that one.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    declared = _ENCODING.match(data.removeprefix(codecs.BOM_UTF8))
    return data.removeprefix(codecs.BOM_UTF8).decode(declared[1].decode() if declared else "utf-8")


def _parse(file: Path) -> ElementTree.Element:
    """Return the root of an xml file.

    Raises:
        ValueError: it has a DOCTYPE, is not in the encoding it declares, or is no VOC annotation.
        LookupError: it declares an encoding that nobody knows.
        ElementTree.ParseError: it is no xml.
    """
    text = _decoded(file.read_bytes())
    if "<!DOCTYPE" in text or "\0" in text:
        raise ValueError("a DOCTYPE, or a byte 0 in an encoding without any; neither is read")
    parser = ElementTree.XMLParser(target=_NoDoctype())
    parser.feed(text)
    root: ElementTree.Element = parser.close()
    if root.tag != "annotation":
        raise ValueError(f"<{root.tag}> where <annotation> is expected")
    return root


def _size(root: ElementTree.Element) -> tuple[object, object] | None:
    """Return the size as an xml file has it; `None` where it gives none."""
    if root.find("size") is None:
        return None
    width, height = (root.findtext(f"size/{side}", "").strip() for side in ("width", "height"))
    return width or "nothing", height or "nothing"


def _raw_box(item: ElementTree.Element, *, inclusive: bool) -> RawBox:
    """Return an object of an xml file; its parts, which are boxes too, are passed over."""
    label = (item.findtext("name") or "").strip()
    texts = [(item.findtext(f"bndbox/{k}") or "").strip() for k in ("xmin", "ymin", "xmax", "ymax")]
    x_min, y_min, x_max, y_max = map(as_number, texts)
    first = 1 if inclusive else 0
    is_difficult = (item.findtext("difficult") or "0").strip() == "1"
    corners = (x_min - first, y_min - first, x_max, y_max)
    text = f"{label or 'no name'} {','.join(texts)}"
    return RawBox(label if is_label(label) else None, corners, text, is_difficult)


def write(annotations: Annotations, folder: Path, put: Put, *, inclusive: bool = False) -> None:
    """Write images, xml files and, where the images have parts, lists of names.

    Args:
        annotations: each image named as its file may be called.
        folder: where to; it is there and empty.
        put: brings an image into a folder and returns the name of its file there.
        inclusive: whether pixels are counted from 1, the last included.
    """
    for image in annotations.images:
        filename = put(image, folder / FOLDERS_OF_IMAGES[0])
        content = _as_xml(image, filename, inclusive=inclusive)
        write_text(folder / FOLDERS_OF_XML[0] / f"{image.name}.xml", content)
    names = {part: [i.name for i in annotations.images if i.part == part] for part in PARTS}
    lists = names | {"trainval": sorted(names["train"] + names["val"])}
    for part, stems in lists.items():
        if stems:
            write_text(folder / LISTS / f"{part}.txt", "".join(f"{stem}\n" for stem in stems))


def _as_xml(image: AnnotatedImage, filename: str, *, inclusive: bool) -> str:
    """Return the xml file of an image."""
    first = 1 if inclusive else 0
    objects = "".join(
        f"""  <object>
    <name>{escape(box.label)}</name>
    <difficult>{int(box.is_difficult)}</difficult>
    <bndbox>
      <xmin>{as_text(box.x_min + first)}</xmin>
      <ymin>{as_text(box.y_min + first)}</ymin>
      <xmax>{as_text(box.x_max)}</xmax>
      <ymax>{as_text(box.y_max)}</ymax>
    </bndbox>
  </object>
"""
        for box in image.boxes
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<annotation>
  <folder>{FOLDERS_OF_IMAGES[0]}</folder>
  <filename>{escape(filename)}</filename>
  <size>
    <width>{image.width}</width>
    <height>{image.height}</height>
    <depth>3</depth>
  </size>
  <segmented>0</segmented>
{objects}</annotation>
"""
