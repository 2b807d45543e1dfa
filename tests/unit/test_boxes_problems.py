"""companion.boxes: every fault is found, named with its file, counted, and never just dropped."""

import json

import pytest
from boxes_folders import WHOLE, coco, coco_row, draw_image, made, voc_xml, write_voc, yolo

from companion.boxes import KINDS, Box, Problem, read_annotations, said, write_annotations
from companion.checks import CompanionError

BOXES = {
    "the two corners are one": (f"{WHOLE};dog 5 5 5 5", "box without area", "dog 5,5,5,5", None),
    "a line": ("dog 5 5 5 9", "box without area", "40 x 30", None),
    "a line across": ("dog 5 5 9 5", "box without area", "dog 5,5,9,5", None),
    "inside out": ("dog 9 9 5 5", "box without area", "dog 9,9,5,5", None),
    "to the right": ("dog 41 3 50 9", "box outside the image", "dog 41,3,50,9", None),
    "above": ("dog 1 -9 5 -2", "box outside the image", "dog 1,-9,5,-2", None),
    "only touches": ("dog 40 3 50 9", "box outside the image", "dog 40,3,50,9", None),
    "over the edge": ("dog 30 3 50 9", "box partly outside the image", "clipped", (30, 3, 40, 9)),
    "over all": ("dog -1 -1 99 99", "box partly outside the image", "clipped", (0, 0, 40, 30)),
    "a word": ("dog x 3 9 9", "corner that is no number", "dog x,3,9,9", None),
    "not a number": ("dog nan 3 9 9", "corner that is no number", "nan", None),
    "infinite": ("dog 1 3 inf 9", "corner that is no number", "inf", None),
}


@pytest.mark.parametrize("case", BOXES)
def test_a_bad_box_fails_by_default_and_is_reported_on_demand(tmp_path, case):
    boxes, kind, detail, kept = BOXES[case]
    write_voc(tmp_path, {"a": voc_xml(*boxes.split(";"))})
    with pytest.raises(CompanionError, match=rf"got 1 problem: {kind}: 1 \(a\.xml\); .*report"):
        read_annotations(tmp_path)
    with pytest.warns(UserWarning, match=f"1 problem, left out or clipped: {kind}: 1"):
        found = read_annotations(tmp_path, on_problem="report")
    (problem,) = found.problems
    assert (problem.file, problem.kind) == ("a.xml", kind) and detail in problem.detail
    expected = [Box("cat", 1, 2, 13, 17)] if WHOLE in boxes else []
    expected += [Box("dog", *kept)] if kept else []
    assert list(found.images[0].boxes) == expected


def test_a_hair_outside_is_rounding_and_no_problem(tmp_path):
    write_voc(tmp_path, {"a": voc_xml("cat -0.04 3 40.04 9", "dog 1 1 5 30.001")})
    boxes = read_annotations(tmp_path).images[0].boxes
    assert [box.corners for box in boxes] == [(0, 3, 40, 9), (1, 1, 5, 30)]


def test_labels_beyond_those_wanted_are_a_problem(tmp_path):
    write_voc(tmp_path, {"a": voc_xml(WHOLE, "dgo 1 1 5 5")})
    assert read_annotations(tmp_path).classes == ("cat", "dgo")
    with pytest.warns(UserWarning, match=r"unknown label: 1 \(a.xml\)"):
        found = read_annotations(tmp_path, classes=["cat", "dog"], on_problem="report")
    assert found.class_counts() == {"cat": 1, "dog": 0}


def voc_without_label(root):
    return write_voc(root, {"a": voc_xml(WHOLE).replace("cat", "")})


def image_without_xml(root):
    return write_voc(root, {"a": voc_xml(WHOLE)}, images=("a", "b"))


def two_images_of_one_name(root):
    write_voc(root, {"a": voc_xml(WHOLE)})
    draw_image(root / "a.tif", (40, 30))
    return root


def the_name_of_another_part(root):
    write_voc(root / "train", {"a": voc_xml(WHOLE)})
    return draw_image(root / "valid" / "a.png", (40, 30)).parents[1]


def two_xml_of_one_image(root):
    return write_voc(root, {"a": voc_xml(WHOLE), "c": voc_xml(WHOLE, filename="a.png")})


def coco_listed_twice(root):
    coco(root)
    (root / "test").mkdir()
    (root / "all.json").rename(root / "train.json")
    content = json.loads((root / "train.json").read_text())
    content["images"], content["annotations"] = content["images"][:1], []
    (root / "test.json").write_text(json.dumps(content))
    return root


def xml_without_image(root):
    return write_voc(root, {"a": voc_xml(WHOLE), "b": voc_xml(WHOLE, filename="b.jpg")})


def other_size(root):
    files = {"a": voc_xml(WHOLE), "b": voc_xml(WHOLE, size="<width>30</width><height>40</height>")}
    return write_voc(root, files, images=("a", "b"))


def size_of_nothing(root):
    files = {"a": voc_xml(WHOLE), "b": voc_xml(WHOLE, size="<width/><height>30</height>")}
    return write_voc(root, files, images=("a", "b"))


def broken_xml(root):
    return write_voc(root, {"a": voc_xml(WHOLE), "b": "<annotation><object>"}, images=("a", "b"))


def other_xml(root):
    return write_voc(root, {"a": voc_xml(WHOLE), "b": "<svg/>"}, images=("a", "b"))


def image_of_nothing(root):
    write_voc(root, {"a": voc_xml(WHOLE), "b": voc_xml(WHOLE)}, images=("a",))
    (root / "b.png").write_bytes(b"no image")
    return root


def listed_and_missing(root):
    write_annotations(made(root.parent / "made"), root, format="voc")
    for path in (root / "Annotations" / "c.xml", root / "JPEGImages" / "c.png"):
        path.unlink()
    return root


def in_two_lists(root):
    write_annotations(made(root.parent / "made"), root, format="voc")
    with (root / "ImageSets" / "Main" / "train.txt").open("a") as lists:
        lists.write("e\n")
    return root


def coco_image(name):
    return lambda root: coco(root, images=[{"id": 1, "file_name": name, "width": 40, "height": 30}])


def yolo_without_txt(root):
    draw_image(yolo(root) / "images" / "b.png", (40, 30))
    return root


def yolo_without_image(root):
    (yolo(root) / "labels" / "b.txt").write_text("")
    return root


def yolo_that_leads_out(root):
    draw_image(root.parent / "elsewhere" / "b.png", (40, 30))
    return yolo(root, yaml="names: [cat]\nval: ../elsewhere\n")


def yolo_in_two_parts(root):
    draw_image(
        yolo(root, yaml="names: [cat]\ntrain: images\nval: v.txt\n") / "images" / "b.png", (40, 30)
    )
    (root / "labels" / "b.txt").write_text("")
    (root / "v.txt").write_text("images/a.png\n")
    return root


FOLDERS = [
    (voc_without_label, "unknown label", "a.xml", "no name 1,2,13,17", 1),
    (image_without_xml, "image without annotation", "b.png", "no b.xml", 1),
    (two_images_of_one_name, "image without annotation", "a.tif", "a.png has its name", 1),
    (the_name_of_another_part, "image without annotation", "valid/a.png", "no a.xml", 1),
    (two_xml_of_one_image, "image listed twice", "c.xml", "a.png, also by a.xml", 1),
    (coco_listed_twice, "image listed twice", "train.json", "a.png, also by test.json", 2),
    (xml_without_image, "annotation without image", "b.xml", "no b.jpg", 1),
    (other_size, "size that is not the image's", "b.xml", "30 x 40 for b.png, which is 40 x 30", 1),
    (size_of_nothing, "size that is not the image's", "b.xml", "which is 40 x 30", 1),
    (broken_xml, "annotation that cannot be read", "b.xml", "no element found", 1),
    (other_xml, "annotation that cannot be read", "b.xml", "<svg> where <annotation>", 1),
    (image_of_nothing, "image that cannot be read", "b.png", "cannot identify image", 1),
    (listed_and_missing, "image without annotation", "ImageSets/Main", "c, which a list", 5),
    (in_two_lists, "image listed twice", "ImageSets/Main/train.txt", "e is in test.txt too", 6),
    (coco_row(category_id=5), "unknown label", "all.json", "category 5", 2),
    (coco_row(image_id=3), "annotation without image", "all.json", "annotation 7 of image 3", 2),
    (coco_row(bbox=[1, 2, 0, 4]), "box without area", "all.json", "[1, 2, 0, 4]", 2),
    (coco_row(bbox=[1, 2, 3]), "corner that is no number", "all.json", "[1, 2, 3]", 2),
    (coco_row(bbox=None), "corner that is no number", "all.json", "None", 2),
    (coco_image("c.png"), "annotation without image", "all.json", "no c.png", 0),
    (coco_image("../in/a.png"), "annotation without image", "all.json", "no ../in/a.png", 0),
    (lambda root: coco(root, images=7), "annotation that cannot be read", "all.json", "", 0),
    (lambda root: coco(root, categories=[{}]), "annotation that cannot", "all.json", "no 'id'", 0),
    (
        lambda root: coco(root, images=[{"id": 1}, {"id": 1}]),
        "annotation that cannot be read",
        "all.json",
        "two images with the same id",
        0,
    ),
    (yolo_without_txt, "image without annotation", "images/b.png", "no labels/b.txt", 1),
    (yolo_without_image, "annotation without image", "labels/b.txt", "no image b", 1),
    (yolo_in_two_parts, "image listed twice", "images/a.png", "train and val", 2),
    (lambda root: yolo(root, "1 0.5 0.5 1 1"), "unknown label", "labels/a.txt", "line 1, 1 0.5", 1),
    (lambda root: yolo(root, "cat 0.5 0.5 1 1"), "unknown label", "labels/a.txt", "cat 0.5", 1),
    (lambda root: yolo(root, "-1 0.5 0.5 1 1"), "unknown label", "labels/a.txt", "-1 0.5", 1),
    (
        lambda root: yolo(root, "0 0.5 0.5 1 1\n0 0.1 0.1 0.2 0.1 0.2 0.2"),
        "annotation that cannot be read",
        "labels/a.txt",
        "line 2 has 7 values",
        1,
    ),
    (lambda root: yolo(root, "0 0.5 0.5 x 1"), "corner that is no number", "labels/a.txt", "x", 1),
    (lambda root: yolo(root, "0 20 15 1 1"), "box outside the image", "labels/a.txt", "20 15", 1),
    (
        yolo_that_leads_out,
        "annotation without image",
        ".",
        "val: ../elsewhere, which is not in the folder",
        1,
    ),
]


@pytest.mark.parametrize(("build", "kind", "file", "detail", "num_images"), FOLDERS)
def test_a_bad_folder_fails_by_default_and_is_reported_on_demand(
    tmp_path, build, kind, file, detail, num_images
):
    root = build(tmp_path / "in")
    with pytest.raises(CompanionError, match=rf"annotations in .*: got 1 problem: {kind}"):
        read_annotations(root)
    with pytest.warns(UserWarning, match=f"1 problem, left out or clipped: {kind}"):
        found = read_annotations(root, on_problem="report")
    (problem,) = found.problems
    assert problem.kind in KINDS and problem.kind.startswith(kind)
    assert problem.file == file and detail in problem.detail
    assert len(found.images) == num_images


def test_every_kind_of_problem_occurs_above():
    kinds = {kind for _, kind, _, _ in BOXES.values()} | {row[1] for row in FOLDERS}
    assert set(KINDS) <= kinds


@pytest.mark.parametrize(
    ("build", "name"),
    [(in_two_lists, "e"), (coco_listed_twice, "a"), (yolo_in_two_parts, "a")],
)
def test_an_image_in_two_parts_belongs_to_the_one_that_judges(tmp_path, build, name):
    with pytest.warns(UserWarning):
        found = read_annotations(build(tmp_path / "in"), on_problem="report")
    part = {image.name: image.part for image in found.images}[name]
    assert part == ("val" if build is yolo_in_two_parts else "test")


def test_an_image_that_is_cut_off_is_seen_when_all_of_it_is_read(tmp_path):
    write_voc(tmp_path, {"a": voc_xml(WHOLE)})
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    assert read_annotations(tmp_path).problems == ()
    with pytest.raises(CompanionError, match=r"image that cannot be read: 1 \(a\.png\)"):
        read_annotations(tmp_path, whole_images=True)


ENTITY = '<!DOCTYPE annotation [<!ENTITY secret SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize(
    "content",
    [
        ENTITY.encode() + voc_xml("&secret; 1 2 13 17").encode(),
        ('<?xml version="1.0"?>' + ENTITY + voc_xml(WHOLE)).encode("utf-16"),
        b'<?xml version="1.0" encoding="cp037"?>' + (ENTITY + voc_xml(WHOLE)).encode("cp037"),
    ],
)
def test_an_xml_file_that_declares_entities_is_not_read(tmp_path, content):
    write_voc(tmp_path, {})
    (tmp_path / "a.xml").write_bytes(content)
    with pytest.warns(UserWarning):
        found = read_annotations(tmp_path, on_problem="report")
    assert found.images == () and found.problems[0].kind == "annotation that cannot be read"
    assert "hostname" not in found.problems[0].detail


def test_a_doctype_is_refused_by_the_parser_too(tmp_path, monkeypatch):
    """The bytes are looked at first; what gets past that look is refused while it is parsed."""
    from companion.boxes import voc

    target = voc._NoDoctype()
    with pytest.raises(ValueError, match="a DOCTYPE"):
        target.doctype("annotation", None, None)


def test_many_problems_are_counted_by_kind_and_the_first_files_named(tmp_path):
    names = [f"{number:02d}" for number in range(5)]
    files = {name: voc_xml(WHOLE, "dog 5 5 5 5", "dog 6 6 6 6") for name in names}
    files["00"] = voc_xml(WHOLE, "dog 50 50 60 60")
    write_voc(tmp_path, files, images=tuple(names))
    expected = (
        r"got 9 problems: box without area: 8 \(01.xml, 02.xml, 03.xml, \.\.\.\); "
        r"box outside the image: 1 \(00.xml\)"
    )
    with pytest.raises(CompanionError, match=expected):
        read_annotations(tmp_path)


def test_what_is_said_of_problems_names_each_file_once():
    rows = [Problem("a", "x", "1"), Problem("a", "x", "2"), Problem("b", "x", "3")]
    assert said(rows) == "x: 3 (a, b)"
    assert said(rows, num_files=1) == "x: 3 (a, ...)"


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("names: [cat\n", "data.yaml: got .*expected yaml"),
        ("names: cat\n", "names in the yaml file: got 'cat'; expected a list of class names"),
        ("names: []\n", r"names in the yaml file: got \[\]"),
        ("names: {a: cat}\n", "names in the yaml file: got {'a': 'cat'}"),
    ],
)
def test_a_yaml_file_without_names_cannot_be_reported_round(tmp_path, yaml, message):
    with pytest.raises(CompanionError, match=message):
        read_annotations(yolo(tmp_path / "in", yaml=yaml), on_problem="report")


def test_a_wrong_wish_or_place_is_refused(tmp_path):
    with pytest.raises(CompanionError, match="on_problem: got 'ignore'; expected one of 'fail'"):
        read_annotations(tmp_path, on_problem="ignore")
    with pytest.raises(
        CompanionError, match="folder of annotations: got .*nowhere, which does not"
    ):
        read_annotations(tmp_path / "nowhere")
