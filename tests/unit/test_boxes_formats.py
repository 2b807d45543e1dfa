"""companion.boxes: each format against an independent reader, round trips, layouts people have."""

import json
import os
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest
from boxes_folders import BOXES, CLASSES, PARTS, SIZES, draw_image, made, voc_xml, write_voc
from PIL import Image

from companion.boxes import (
    FORMATS,
    Annotations,
    Box,
    convert,
    read_annotations,
    recognise,
    write_annotations,
)
from companion.checks import CompanionError

NO_COCO = "pycocotools is not installed: pip install -c constraints.txt -e '.[test]'"

TOLERANCE = 1e-5
"""Pixels by which a corner may move on its way through all formats."""


@pytest.fixture
def annotations(tmp_path):
    return made(tmp_path / "made")


def check_same(found, expected):
    """Compare everything that must survive, image by image."""
    assert [image.name for image in found.images] == [image.name for image in expected.images]
    for new, old in zip(found.images, expected.images, strict=True):
        assert (new.part, new.width, new.height) == (old.part, old.width, old.height)
        assert [box.label for box in new.boxes] == [box.label for box in old.boxes]
        for after, before in zip(new.boxes, old.boxes, strict=True):
            assert after.corners == pytest.approx(before.corners, abs=TOLERANCE)


# Round trips


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("divided", [True, False])
def test_what_was_written_is_read_again(tmp_path, format, divided, recwarn):
    before = made(tmp_path / "made", divided=divided)
    write_annotations(before, tmp_path / "out", format=format)
    assert len(recwarn) == (format == "yolo"), "only yolo loses something: a mark"
    after = read_annotations(tmp_path / "out")
    check_same(after, before)
    assert set(after.part_counts()) == (set(PARTS.values()) if divided else {""})
    assert (after.classes, after.problems, after.format) == (CLASSES, (), format)
    assert after.class_counts() == {"bird & fish": 1, "cat": 4, "dog": 3}
    for old, new in zip(before.images, after.images, strict=True):
        assert new.path.read_bytes() == old.path.read_bytes(), "the image came along"


def test_round_the_three_formats_and_back(annotations, tmp_path):
    write_annotations(annotations, tmp_path / "1", format="voc")
    convert(tmp_path / "1", tmp_path / "2", format="coco")
    with pytest.warns(UserWarning, match="1 marks of difficult boxes are lost in yolo"):
        convert(tmp_path / "2", tmp_path / "3", format="yolo")
    convert(tmp_path / "3", tmp_path / "4", format="voc")
    check_same(read_annotations(tmp_path / "4"), annotations)
    first, last = (
        (tmp_path / folder / "Annotations" / "b.xml").read_text() for folder in ("1", "4")
    )
    assert first == last, "whole and simple numbers come back as they were written"


def test_marks_survive_where_the_format_has_them(annotations, tmp_path):
    write_annotations(annotations, tmp_path / "voc", format="voc")
    convert(tmp_path / "voc", tmp_path / "coco", format="coco")
    for folder in ("voc", "coco"):
        boxes = read_annotations(tmp_path / folder).images[0].boxes
        assert [box.is_difficult for box in boxes] == [False, True]


def test_crowds_stay_in_coco_and_are_left_out_elsewhere(annotations, tmp_path):
    crowd = Box("cat", 3, 3, 9, 9, is_crowd=True)
    first = replace(annotations.images[0], boxes=(*BOXES["a"], crowd))
    annotations = replace(annotations, images=(first, *annotations.images[1:]))
    write_annotations(annotations, tmp_path / "coco", format="coco")
    after = read_annotations(tmp_path / "coco")
    assert [box.is_crowd for box in after.images[0].boxes] == [False, False, True]
    assert after.class_counts()["cat"] == 4, "a crowd is not an object"
    with pytest.warns(UserWarning, match="1 crowds are left out: voc has none"):
        convert(tmp_path / "coco", tmp_path / "voc", format="voc")
    check_same(read_annotations(tmp_path / "voc"), made(tmp_path))


# Independent readers


def test_torchvision_reads_the_voc_folder(annotations, tmp_path):
    from torchvision.datasets import VOCDetection

    write_annotations(annotations, tmp_path / "VOCdevkit" / "VOC2007", format="voc")
    lists = {"train": "abd", "val": "c", "trainval": "abcd", "test": "ef"}
    for part, names in lists.items():
        # torchvision looks for jpg files alone.
        for image in (tmp_path / "VOCdevkit" / "VOC2007" / "JPEGImages").glob("*.png"):
            image.rename(image.with_suffix(".jpg"))
        data = VOCDetection(str(tmp_path), year="2007", image_set=part)
        assert [os.path.basename(path)[0] for path in data.images] == list(names)
        for name, (image, target) in zip(names, data, strict=True):
            found = target["annotation"]
            assert image.size == SIZES[name]
            size = tuple(int(found["size"][side]) for side in ("width", "height"))
            assert size == SIZES[name]
            objects = [
                (row["name"], *(float(row["bndbox"][k]) for k in ("xmin", "ymin", "xmax", "ymax")))
                for row in found.get("object", [])
            ]
            assert objects == [(box.label, *box.corners) for box in BOXES[name]]


def test_pycocotools_reads_the_coco_file(annotations, tmp_path, capsys):
    coco = pytest.importorskip("pycocotools.coco", reason=NO_COCO)
    write_annotations(annotations, tmp_path / "out", format="coco")
    for part in ("train", "val", "test"):
        data = coco.COCO(str(tmp_path / "out" / "annotations" / f"instances_{part}.json"))
        names = {row["id"]: row["name"] for row in data.loadCats(data.getCatIds())}
        assert names == dict(enumerate(CLASSES, start=1)), "0 would be the background to many"
        rows = data.loadImgs(data.getImgIds())
        assert [row["file_name"] for row in rows] == [
            f"{name}.png" for name, where in PARTS.items() if where == part
        ]
        for row in rows:
            name = row["file_name"][0]
            assert (row["width"], row["height"]) == SIZES[name]
            found = data.loadAnns(data.getAnnIds(imgIds=[row["id"]], iscrowd=False))
            boxes = [(names[a["category_id"]], *a["bbox"], a["area"]) for a in found]
            expected = [
                (b.label, b.x_min, b.y_min, b.x_max - b.x_min, b.y_max - b.y_min)
                for b in BOXES[name]
            ]
            assert boxes == [pytest.approx((*e, e[3] * e[4])) for e in expected]


def test_the_yolo_files_say_what_their_makers_say_they_mean(annotations, tmp_path):
    """Read in plain lines: centre and size in fractions, class numbers of the yaml file."""
    import yaml

    with pytest.warns(UserWarning):
        write_annotations(annotations, tmp_path / "out", format="yolo")
    settings = yaml.safe_load((tmp_path / "out" / "data.yaml").read_text())
    assert settings["names"] == dict(enumerate(CLASSES))
    for name, part in PARTS.items():
        assert settings[part] == f"images/{part}"
        with Image.open(tmp_path / "out" / settings[part] / f"{name}.png") as image:
            width, height = image.size
        lines = (tmp_path / "out" / "labels" / part / f"{name}.txt").read_text().splitlines()
        assert len(lines) == len(BOXES[name])
        for line, box in zip(lines, BOXES[name], strict=True):
            number, x, y, w, h = line.split()
            assert CLASSES[int(number)] == box.label
            assert float(x) * width == pytest.approx((box.x_min + box.x_max) / 2, abs=TOLERANCE)
            assert float(y) * height == pytest.approx((box.y_min + box.y_max) / 2, abs=TOLERANCE)
            assert float(w) * width == pytest.approx(box.x_max - box.x_min, abs=TOLERANCE)
            assert float(h) * height == pytest.approx(box.y_max - box.y_min, abs=TOLERANCE)


# Layouts and conventions


def test_voc_pixels_counted_from_one_cover_the_whole_image(tmp_path):
    write_voc(tmp_path / "in", {"a": voc_xml("cat 1 1 40 30", "dog 7 7 7 7")})
    image = read_annotations(tmp_path / "in", voc_inclusive=True).images[0]
    assert [box.corners for box in image.boxes] == [(0, 0, 40, 30), (6, 6, 7, 7)]
    with pytest.raises(CompanionError, match="box without area: 1"):
        read_annotations(tmp_path / "in")
    convert(tmp_path / "in", tmp_path / "out", format="voc", voc_inclusive=True)
    root = ElementTree.parse(tmp_path / "out" / "Annotations" / "a.xml").getroot()
    assert [e.text for e in root.findall("object/bndbox/*")] == "1 1 40 30 7 7 7 7".split()


def test_the_path_in_an_xml_file_is_ignored_and_the_file_name_used_as_a_last_resort(tmp_path):
    elsewhere = draw_image(tmp_path / "elsewhere.png", (40, 30))
    files = {
        "a": voc_xml("cat 1 1 4 4", path=str(elsewhere), filename="b.png"),
        "other": voc_xml("dog 2 2 4 4", filename=r"C:\images\b.png"),
    }
    write_voc(tmp_path / "in", files, images=("a", "b"))
    images = read_annotations(tmp_path / "in").images
    assert [(image.name, image.path.name) for image in images] == [
        ("a", "a.png"),
        ("other", "b.png"),
    ]


def test_a_list_trainval_alone_is_train(annotations, tmp_path):
    write_annotations(annotations, tmp_path / "in", format="voc")
    for name in ("train", "val"):
        (tmp_path / "in" / "ImageSets" / "Main" / f"{name}.txt").unlink()
    assert read_annotations(tmp_path / "in").part_counts() == {"train": 4, "test": 2}


def test_voc_folders_of_parts_and_other_names_are_read(tmp_path):
    for part in ("train", "valid", "test"):
        write_voc(tmp_path / "parts" / part, {"a": voc_xml("cat 1 1 4 4")})
    found = read_annotations(tmp_path / "parts")
    assert [(image.name, image.part) for image in found.images] == [
        ("test/a", "test"),
        ("train/a", "train"),
        ("valid/a", "val"),
    ]
    write_voc(tmp_path / "named" / "annotations", {"a": voc_xml("cat 1 1 4 4")}, images=())
    draw_image(tmp_path / "named" / "images" / "a.png", (40, 30))
    assert read_annotations(tmp_path / "named").class_counts() == {"cat": 1}


def test_an_archive_with_one_folder_in_it_is_looked_into(annotations, tmp_path):
    write_annotations(annotations, tmp_path / "in" / "VOCdevkit" / "VOC2007", format="voc")
    assert len(read_annotations(tmp_path / "in").images) == 6
    assert recognise(tmp_path / "in") == ("voc",)


def test_parts_of_boxes_inside_an_object_are_not_objects(tmp_path):
    text = voc_xml("cat 1 1 20 20")
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part></object>"
    write_voc(tmp_path, {"a": text.replace("</object>", part)})
    assert read_annotations(tmp_path).images[0].boxes == (Box("cat", 1, 1, 20, 20),)


def coco_file(path, *, images, rows, categories):
    path.parent.mkdir(parents=True, exist_ok=True)
    made = {"images": images, "annotations": rows, "categories": categories}
    path.write_text(json.dumps(made))


def test_coco_ids_may_be_any_and_images_may_lie_beside_the_file(tmp_path):
    """The layout of an export with one folder a part, ids that skip, classes by id."""
    for part in ("train", "valid"):
        draw_image(tmp_path / part / "x.v1.png", (40, 30))
        coco_file(
            tmp_path / part / "_annotations.coco.json",
            images=[{"id": 70, "file_name": "x.v1.png", "width": 40, "height": 30}],
            rows=[
                {"id": 5, "image_id": 70, "category_id": 90, "bbox": [1, 2, 3, 4]},
                {"id": 9, "image_id": 70, "category_id": 3, "bbox": [0, 0, 40.0, 30], "iscrowd": 1},
            ],
            categories=[{"id": 90, "name": "dog"}, {"id": 3, "name": "cat"}],
        )
    found = read_annotations(tmp_path)
    assert found.classes == ("cat", "dog") and found.part_counts() == {"train": 1, "val": 1}
    assert found.images[0].boxes == (Box("dog", 1, 2, 4, 6), Box("cat", 0, 0, 40, 30, False, True))
    assert found.class_counts() == {"cat": 0, "dog": 2}


def test_coco_as_published_is_found(tmp_path):
    """Keypoints of the same images stand beside the objects, and are not read."""
    draw_image(tmp_path / "val2017" / "1.png", (40, 30))
    coco_file(
        tmp_path / "annotations" / "instances_val2017.json",
        images=[{"id": 1, "file_name": "1.png", "width": 40, "height": 30}],
        rows=[],
        categories=[{"id": 1, "name": "cat"}],
    )
    coco_file(
        tmp_path / "annotations" / "person_keypoints_val2017.json",
        images=[{"id": 1, "file_name": "1.png", "width": 40, "height": 30}],
        rows=[{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
        categories=[{"id": 1, "name": "person"}],
    )
    found = read_annotations(tmp_path)
    assert [(i.path.parent.name, i.part, i.boxes) for i in found.images] == [("val2017", "val", ())]


def yolo_folder(root, yaml, labels, *, images):
    root.mkdir(parents=True, exist_ok=True)
    (root / "data.yaml").write_text(yaml)
    for number, name in enumerate(images):
        draw_image(root / name, (40, 30), number)
    for name, text in labels.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_yolo_exports_with_paths_of_another_place_are_read(tmp_path):
    """Paths as for a yaml file a folder deeper, a foreign `path`, and a list of files."""
    root = yolo_folder(
        tmp_path / "in",
        "path: /content/mine\ntrain: ../train/images\nval: val.txt\nnc: 2\nnames: [cat, dog]\n",
        {
            "train/labels/a.txt": "1 0.5 0.5 1 1\n",
            "valid/labels/b.txt": "\n",
            "val.txt": "./valid/images/b.png\n",
        },
        images=["train/images/a.png", "valid/images/b.png"],
    )
    found = read_annotations(root)
    assert [(i.name, i.part, i.boxes) for i in found.images] == [
        ("a", "train", (Box("dog", 0, 0, 40, 30),)),
        ("b", "val", ()),
    ]


def test_the_last_folder_of_images_is_exchanged_for_the_labels(tmp_path):
    labels = {"images/set/labels/a.txt": "0 0.5 0.5 1 1\n"}
    root = yolo_folder(tmp_path, "names: [cat]\n", labels, images=["images/set/images/a.png"])
    assert read_annotations(root).images[0].boxes == (Box("cat", 0, 0, 40, 30),)


def test_yolo_files_beside_their_images_with_a_list_of_classes(tmp_path):
    draw_image(tmp_path / "a.png", (40, 30))
    (tmp_path / "a.txt").write_text("0 0.25 0.5 0.5 0.2")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    found = read_annotations(tmp_path)
    assert found.images[0].boxes == (Box("cat", 0, pytest.approx(12), 20, pytest.approx(18)),)
    assert found.classes == ("cat", "dog") and found.format == "yolo"


def test_a_photo_that_lies_on_its_side_has_the_size_that_is_seen(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    tmp_path.joinpath("a.xml").write_text(voc_xml("cat 1 1 29 39", size=None))
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg", exif=exif)
    image = read_annotations(tmp_path).images[0]
    assert (image.width, image.height) == (30, 40)


def test_the_classes_wanted_come_in_the_order_wanted(annotations, tmp_path):
    write_annotations(annotations, tmp_path / "out", format="coco")
    wanted = ("dog", "cat", "bird & fish", "horse")
    assert read_annotations(tmp_path / "out", classes=wanted).class_counts()["horse"] == 0


# Writing


def test_a_link_shares_the_file_and_a_copy_does_not(annotations, tmp_path):
    for how, shared in (("link", True), ("copy", False)):
        write_annotations(annotations, tmp_path / how, format="voc", images=how)
        written = tmp_path / how / "JPEGImages" / "a.png"
        assert written.samefile(annotations.images[0].path) is shared


def test_a_link_becomes_a_copy_where_there_are_none(annotations, tmp_path, monkeypatch):
    def refuse(*paths):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    write_annotations(annotations, tmp_path / "out", format="coco", images="link")
    assert (tmp_path / "out" / "images" / "f.png").is_file()


def test_a_folder_that_holds_something_is_not_touched(annotations, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    with pytest.raises(CompanionError, match="out: got something that is there already"):
        write_annotations(annotations, tmp_path / "out", format="voc")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_what_is_written_may_be_read_by_others(annotations, tmp_path):
    write_annotations(annotations, tmp_path / "out", format="voc")
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o755


def test_a_failed_writing_leaves_nothing(annotations, tmp_path, monkeypatch):
    def refuse(*paths):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("companion.boxes.writing.shutil.copyfile", refuse)
    with pytest.raises(CompanionError, match="No space left on device"):
        write_annotations(annotations, tmp_path / "new" / "out", format="voc")
    assert list((tmp_path / "new").iterdir()) == []


def test_names_that_become_one_are_refused_and_others_made_writable(annotations, tmp_path):
    first, second = (replace(i, part="") for i in annotations.images[:2])
    wild = Annotations((replace(first, name="x/1: a?"), replace(second, name="y")), CLASSES)
    write_annotations(wild, tmp_path / "out", format="voc")
    assert (tmp_path / "out" / "Annotations" / "x_1_ a_.xml").is_file()
    same = Annotations((replace(first, name="x/1"), replace(second, name="X_1")), CLASSES)
    with pytest.raises(CompanionError, match=r"a\.png and .*b\.png, which would both be called"):
        write_annotations(same, tmp_path / "other", format="voc")


def test_a_label_that_is_no_class_is_refused(annotations, tmp_path):
    with pytest.raises(CompanionError, match="label of a box: got 'bird & fish'; expected one of"):
        write_annotations(
            replace(annotations, classes=("cat", "dog")), tmp_path / "o", format="voc"
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "vocc"}, "format: got 'vocc'; .*did you mean 'voc'"),
        ({"format": "voc", "images": "move"}, "images: got 'move'"),
    ],
)
def test_unknown_words_are_refused(annotations, tmp_path, options, message):
    with pytest.raises(CompanionError, match=message):
        write_annotations(annotations, tmp_path / "out", **options)


def test_a_folder_in_no_format_or_in_two_is_told(annotations, tmp_path):
    draw_image(tmp_path / "plain" / "rose" / "1.png", (4, 4))
    draw_image(tmp_path / "plain" / "tulip" / "1.png", (4, 4))
    assert recognise(tmp_path / "plain") == ()
    with pytest.raises(
        CompanionError, match="plain: got no annotations; expected annotations in one"
    ):
        read_annotations(tmp_path / "plain")
    write_annotations(annotations, tmp_path / "both", format="voc")
    convert(tmp_path / "both", tmp_path / "coco", format="coco")
    (tmp_path / "coco" / "annotations").rename(tmp_path / "both" / "annotations")
    with pytest.raises(CompanionError, match="in voc and coco; .*format="):
        read_annotations(tmp_path / "both")
    assert read_annotations(tmp_path / "both", format="voc").format == "voc"
    with pytest.raises(CompanionError, match="expected annotations in yolo"):
        read_annotations(tmp_path / "both", format="yolo")


@pytest.mark.parametrize(
    ("stem", "part"),
    [
        ("instances_train2017", "train"),
        ("instances_val2017", "val"),
        ("test", "test"),
        ("validation", "val"),
        ("latest", ""),
        ("contest", ""),
        ("interval", ""),
        ("strain", ""),
    ],
)
def test_the_part_in_a_files_name_is_a_word_of_its_own(stem, part):
    from companion.boxes.coco import _part_in_name

    assert _part_in_name(stem) == part
