"""companion.boxes: slightly broken files end in one clear error, or in a problem with its file."""

import codecs
import io
import os
import sys
import zipfile
import zlib
from dataclasses import replace

import pytest
from boxes_folders import (
    CLASSES,
    WHOLE,
    coco,
    coco_row,
    draw_image,
    made,
    voc_xml,
    write_voc,
    yolo,
)

from companion import load_dataset
from companion.boxes import (
    FORMATS,
    Annotations,
    convert,
    read_annotations,
    recognise,
    write_annotations,
)
from companion.boxes.texts import is_label, read_listed, readable, reason
from companion.checks import CompanionError
from companion.command_line import kinds, main


def reported(root, **options):
    """Return the annotations and the problems, kind, file and detail, of a folder that has some."""
    with pytest.warns(UserWarning):
        found = read_annotations(root, on_problem="report", **options)
    return found, [(p.kind, p.file, p.detail) for p in found.problems]


def voc_in_folders(root, **lists):
    """The layout with lists, two images."""
    for number, name in enumerate("ab"):
        draw_image(root / "JPEGImages" / f"{name}.png", (40, 30), number)
    write_voc(root / "Annotations", {"a": voc_xml(WHOLE), "b": voc_xml(WHOLE)}, images=())
    (root / "ImageSets" / "Main").mkdir(parents=True)
    for name, content in lists.items():
        (root / "ImageSets" / "Main" / f"{name}.txt").write_bytes(content)
    return root


def called_in_bytes(folder, name):
    """The path of a file whose name is not UTF-8; the test is skipped where there are none."""
    path = folder / os.fsdecode(name)
    try:
        path.touch()
    except OSError:
        pytest.skip("file names are UTF-8 on this file system")
    path.unlink()
    return path


# Encodings


@pytest.mark.parametrize("encoding", ["iso-8859-1", "windows-1252", "gb18030", "utf-16", "utf-8"])
def test_an_xml_file_is_read_in_the_encoding_that_it_declares(tmp_path, encoding):
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n{voc_xml("Löwe 1 2 13 17")}'
    write_voc(tmp_path, {})
    (tmp_path / "a.xml").write_bytes(text.encode(encoding))
    assert read_annotations(tmp_path).class_counts() == {"Löwe": 1}


def test_a_mark_of_the_byte_order_is_passed_over(tmp_path):
    root = yolo(tmp_path / "yolo")
    write_voc(tmp_path / "voc", {"a": voc_xml(WHOLE)})
    for path in (root / "data.yaml", root / "labels" / "a.txt", tmp_path / "voc" / "a.xml"):
        path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    for name in ("yolo", "voc"):
        assert read_annotations(tmp_path / name).class_counts() == {"cat": 1}


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (voc_xml("Löwe 1 2 13 17").encode("latin-1"), "byte 0xf6 at position 76, which is not UTF"),
        (b'<?xml version="1.0" encoding="martian"?>' + voc_xml(WHOLE).encode(), "martian"),
        (b'<?xml version="1.0" encoding="ascii"?><a>\xf6</a>', "byte 0xf6 at position 41"),
        (voc_xml(WHOLE).encode("utf-16-le"), "a byte 0"),
    ],
)
def test_an_xml_file_in_no_encoding_is_a_problem(tmp_path, content, detail):
    write_voc(tmp_path, {"b": voc_xml(WHOLE)}, images=("a", "b"))
    (tmp_path / "a.xml").write_bytes(content)
    found, ((kind, file, said),) = reported(tmp_path)
    assert (kind, file) == ("annotation that cannot be read", "a.xml") and detail in said
    assert [image.name for image in found.images] == ["b"]


def test_a_list_of_classes_that_is_not_utf_8_is_refused(tmp_path):
    root = yolo(tmp_path / "in")
    (root / "data.yaml").unlink()
    (root / "classes.txt").write_bytes("Löwe\n".encode("latin-1"))
    expected = r"classes.txt: got byte 0xf6 at position 1, which is not UTF-8; .*save it as UTF-8"
    with pytest.raises(CompanionError, match=expected):
        read_annotations(root, on_problem="report")
    (root / "classes.txt").write_text(" cat \n\n\tdog\n")
    assert read_annotations(root).classes == ("cat", "dog")
    (root / "classes.txt").write_text("cat\ncat\n")
    with pytest.raises(CompanionError, match="names in classes.txt: got .*'cat' stands twice"):
        read_annotations(root)


def test_a_name_in_a_list_that_is_not_utf_8_is_a_problem_and_the_others_count(tmp_path):
    voc = voc_in_folders(tmp_path / "voc", train="a\nLöwe\n".encode("latin-1"), test=b"b\n")
    found, problems = reported(voc)
    what = r"L\xf6we (not UTF-8), which a list names"
    assert problems == [("image without annotation", "ImageSets/Main", what)]
    assert found.part_counts() == {"train": 1, "test": 1}
    root = yolo(tmp_path / "yolo", yaml="names: [cat]\ntrain: t.txt\n")
    (root / "t.txt").write_bytes("images/ö.png\nimages/a.png\n".encode("latin-1"))
    found, problems = reported(root)
    assert problems == [("annotation without image", "t.txt", r"no images/\xf6.png (not UTF-8)")]
    assert len(found.images) == 1


@pytest.mark.parametrize("broken", ["utf-16", "folder", "link"])
def test_a_list_that_cannot_be_read_is_refused_as_nobody_knows_the_parts_then(tmp_path, broken):
    voc = voc_in_folders(tmp_path / "voc", test="a\n".encode("utf-16"))
    path = voc / "ImageSets" / "Main" / "test.txt"
    if broken != "utf-16":
        path.unlink()
        path.mkdir() if broken == "folder" else path.symlink_to("nowhere")
    got = {"utf-16": "a byte 0", "folder": "", "link": "No such file"}[broken]
    with pytest.raises(CompanionError, match=rf"test.txt: got {got}.*expected a text file, one"):
        read_annotations(voc, on_problem="report")


def test_an_image_where_a_list_is_expected_is_refused(tmp_path):
    root = yolo(tmp_path / "in", yaml="names: [cat]\ntrain: images/a.png\n")
    with pytest.raises(CompanionError, match="a.png: got a byte 0, as in images"):
        read_annotations(root, on_problem="report")


def test_a_label_file_that_is_not_utf_8_is_a_problem(tmp_path):
    root = yolo(tmp_path / "in")
    (root / "labels" / "a.txt").write_bytes(b"0 0.5 0.5 \xf6 1\n")
    _, ((kind, file, detail),) = reported(root)
    assert (kind, file) == ("annotation that cannot be read", "labels/a.txt")
    assert detail == "byte 0xf6 at position 10, which is not UTF-8"


def test_json_of_two_bytes_a_letter_is_read_and_other_bytes_are_a_problem(tmp_path):
    root = coco(tmp_path / "in")
    text = (root / "all.json").read_text().replace('"cat"', '"Löwe"')
    (root / "all.json").write_bytes(text.encode("utf-16"))
    assert read_annotations(root).class_counts() == {"Löwe": 1}
    (root / "all.json").write_bytes(text.encode("latin-1"))
    _, ((kind, file, detail),) = reported(root)
    assert (kind, file) == ("annotation that cannot be read", "all.json")
    assert detail.startswith("byte 0xf6 at position") and detail.endswith("not UTF-8")


# Entries of the yaml file


@pytest.mark.parametrize(
    "entry", ["5", "0", "true", "[5]", "[null]", "{a: b}", "[[images]]", "' '"]
)
@pytest.mark.parametrize("key", ["train", "test", "path"])
def test_an_entry_that_is_no_path_is_refused(tmp_path, key, entry):
    root = yolo(tmp_path / "in", yaml=f"names: [cat]\n{key}: {entry}\n")
    with pytest.raises(CompanionError, match=rf"^{key} in the yaml file: got .*expected a folder"):
        read_annotations(root, on_problem="report")


def test_an_entry_that_is_empty_names_nothing_and_a_list_names_several(tmp_path):
    root = yolo(tmp_path / "in", yaml="names: [cat]\ntrain: [images]\nval: []\ntest:\npath: ''\n")
    assert read_annotations(root).part_counts() == {"": 1}
    (root / "data.yaml").write_text(f"names: [cat]\ntrain: {'x' * 5000}\n")
    _, ((kind, file, detail),) = reported(root)
    assert (kind, file) == ("annotation without image", ".") and "xx, which is not in" in detail


@pytest.mark.parametrize(
    ("names", "stands"),
    [
        ("[yes, 'no']", "True"),
        ("[cat, null]", "None"),
        ("[[cat]]", r"\['cat'\]"),
        ("{0: {a: b}}", "{'a': 'b'}"),
        ("[1.5]", "1.5"),
        ("[2020-01-01]", "datetime.date"),
        ("['']", "''"),
        ('["a\\nb"]', r"'a\\nb'"),
        ("[cat, dog, ' cat']", "'cat' stands twice"),
    ],
)
def test_a_name_that_is_none_is_refused(tmp_path, names, stands):
    root = yolo(tmp_path / "in", yaml=f"names: {names}\n")
    with pytest.raises(CompanionError, match=rf"names in the yaml file: got .*where {stands}"):
        read_annotations(root, on_problem="report")


@pytest.mark.parametrize(
    "names", ["5", "{-1: cat}", "{0.5: cat}", "{true: cat}", "{0: cat, '0': dog}", "!!set {cat}"]
)
def test_numbers_of_classes_that_are_none_are_refused(tmp_path, names):
    root = yolo(tmp_path / "in", yaml=f"names: {names}\n")
    with pytest.raises(CompanionError, match="names in the yaml file: got .*; expected a list"):
        read_annotations(root, on_problem="report")


def test_names_may_be_numbers_and_have_blanks_around_them(tmp_path):
    root = yolo(tmp_path / "in", yaml="names: {1: 7, '0': ' cat '}\n")
    assert read_annotations(root).class_counts() == {"cat": 1, "7": 0}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data.yaml", "", "data.yaml: got no names; expected yaml with the names"),
        ("data.yaml", "[names]", "data.yaml: got no names"),
        ("data.yaml", "names: " + "[" * 3000, "data.yaml: got lists within lists without end"),
        ("data.yaml", "names: [L\udcf6we]", "data.yaml: got byte 0xf6 at position 9, which is not"),
        ("mine.yaml", "names: [cat", "mine.yaml: got while parsing .*; expected yaml with the na"),
    ],
)
def test_a_yaml_file_that_says_nothing_is_named(tmp_path, name, content, message):
    root = yolo(tmp_path / "in")
    (root / "data.yaml").unlink()
    (root / name).write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(CompanionError, match=message):
        read_annotations(root)


# Folders and links with the names of files


@pytest.mark.parametrize(
    ("name", "kind"),
    [("x.yaml", "folder"), ("x.json", "folder"), ("x.xml", "folder")]
    + [("x.yaml", "link"), ("x.json", "link")],
)
def test_what_only_looks_like_a_file_is_passed_over(tmp_path, name, kind):
    root = yolo(tmp_path / "in")
    (root / name).mkdir() if kind == "folder" else (root / name).symlink_to("nowhere")
    assert recognise(root) == ("yolo",)
    assert len(read_annotations(root).images) == 1


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_a_data_yaml_that_is_no_file_is_named(tmp_path, kind):
    root = yolo(tmp_path / "in")
    (root / "data.yaml").unlink()
    path = root / "data.yaml"
    path.mkdir() if kind == "folder" else path.symlink_to("nowhere")
    with pytest.raises(CompanionError, match="data.yaml: got .*; expected yaml in UTF-8"):
        read_annotations(root)


def test_a_broken_data_yaml_does_not_matter_to_who_names_another_format(tmp_path):
    write_voc(tmp_path, {"a": voc_xml(WHOLE)})
    (tmp_path / "data.yaml").write_text("names: [cat")
    with pytest.raises(CompanionError, match="data.yaml: got"):
        read_annotations(tmp_path)
    assert read_annotations(tmp_path, format="voc").class_counts() == {"cat": 1}


def test_links_to_nothing_are_problems_where_annotations_are_looked_for(tmp_path):
    write_voc(tmp_path / "voc", {"b": voc_xml(WHOLE)}, images=("a", "b"))
    (tmp_path / "voc" / "a.xml").symlink_to("nowhere")
    _, problems = reported(tmp_path / "voc")
    assert problems == [("annotation that cannot be read", "a.xml", "No such file or directory")]
    root = coco(tmp_path / "coco")
    (root / "test.json").symlink_to("nowhere")
    _, problems = reported(root)
    assert problems == [("annotation that cannot be read", "test.json", "a link to nothing")]


def test_a_link_that_leads_back_up_is_not_followed(tmp_path):
    root = yolo(tmp_path / "in")
    (root / "images" / "again").symlink_to(root / "images")
    assert len(read_annotations(root).images) == 1


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    root = yolo(tmp_path / "in")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("images"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("companion.boxes.checking.os.scandir", refuse)
    with pytest.raises(CompanionError, match="images: got Permission denied; expected a folder th"):
        read_annotations(root)


# Sizes


@pytest.mark.parametrize("width", ["inf", "nan", "-40", "1e400", "forty", "", "0"])
def test_a_size_that_is_none_is_said_as_it_stands(tmp_path, width):
    size = f"<width>{width}</width><height>30</height>"
    write_voc(tmp_path, {"a": voc_xml(WHOLE, size=size), "b": voc_xml(WHOLE)}, images=("a", "b"))
    found, problems = reported(tmp_path)
    what = f"{width or 'nothing'} x 30 for a.png, which is 40 x 30"
    assert problems == [("size that is not the image's", "a.xml", what)]
    assert [image.name for image in found.images] == ["b"]


@pytest.mark.parametrize("width", [float("inf"), float("nan"), True, -40, "x", [40], {}])
def test_a_size_of_coco_that_is_none_leaves_out_its_image_alone(tmp_path, width):
    rows = [{"id": n, "file_name": f"{c}.png", "height": 30} for n, c in enumerate("ab", 1)]
    root = coco(tmp_path / "in", images=[rows[0] | {"width": width}, rows[1] | {"width": 40.0}])
    found, problems = reported(root)
    what = f"{width} x 30 for a.png, which is 40 x 30"
    assert problems == [("size that is not the image's", "all.json", what)]
    assert [image.name for image in found.images] == ["b"]


# COCO's ids and rows


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"categories": [{"id": 4, "name": "a"}, {"id": "5", "name": "b"}]}, "numbers and texts"),
        ({"categories": [{"id": 4, "name": "a"}, {"id": 4, "name": "b"}]}, "4 is called a and b"),
        ({"categories": [{"id": None, "name": "a"}]}, "None is the id of a category"),
        ({"categories": [{"id": True, "name": "a"}]}, "True is the id of a category"),
        ({"categories": [{"id": float("nan"), "name": "a"}]}, "nan is the id of a category"),
        ({"categories": [{"id": [4], "name": "a"}]}, "[4] is the id of a category"),
        ({"categories": [{"id": 4, "name": None}]}, "category 4 is called None, which is no name"),
        ({"categories": [{"id": 4, "name": " "}]}, "category 4 is called '', which is no name"),
        ({"categories": [{"id": 4, "name": "\ud800"}]}, "which is no name"),
        ({"categories": {"4": "cat"}}, "categories holds {'4': 'cat'}, where a list"),
        ({"annotations": ["x"]}, "annotations holds 'x', where a list of tables is expected"),
        ({"annotations": None}, "annotations holds None, where a list of tables is expected"),
        ({"images": [{"id": [1], "file_name": "a.png"}]}, "[1] is the id of an image"),
        ({"images": [{"id": 1}, {"id": 1}]}, "two images with the same id 1"),
    ],
)
def test_a_coco_file_whose_ids_mean_nothing_is_a_problem(tmp_path, changes, detail):
    root = coco(tmp_path / "in", **changes)
    found, ((kind, file, said),) = reported(root)
    assert (kind, file) == ("annotation that cannot be read", "all.json") and detail in said
    assert found.images == ()


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100000 + '"images" "annotations" "categories"',
        '["images", "annotations", "categories"]',
    ],
)
def test_json_that_is_no_table_is_a_problem(tmp_path, content):
    root = coco(tmp_path / "in")
    (root / "all.json").write_text(content)
    _, ((kind, file, _),) = reported(root)
    assert (kind, file) == ("annotation that cannot be read", "all.json")


def test_categories_that_are_said_twice_or_share_a_name_are_one_class(tmp_path):
    names = [{"id": 4, "name": "cat"}, {"id": 4, "name": "cat "}, {"id": 5, "name": "cat"}]
    assert read_annotations(coco(tmp_path / "in", categories=names)).class_counts() == {"cat": 1}


@pytest.mark.parametrize(
    ("row", "kind", "detail"),
    [
        ({"image_id": 99}, "annotation without image", "7 of image 99, which is not listed"),
        ({"image_id": "1"}, "annotation without image", "7 of image '1', which is not listed"),
        ({"image_id": True}, "annotation without image", "7 of image True, which is not listed"),
        ({"image_id": [1]}, "annotation without image", "7 of image [1], which is not listed"),
        ({"category_id": "4"}, "unknown label", "category '4' [x, y, w, h] [1, 2, 12, 15]"),
        ({"category_id": [4]}, "unknown label", "category [4] [x, y, w, h] [1, 2, 12, 15]"),
        ({"category_id": None}, "unknown label", "category None"),
    ],
)
def test_a_row_that_refers_to_nothing_is_left_out_alone(tmp_path, row, kind, detail):
    found, ((found_kind, file, said),) = reported(coco_row(**row)(tmp_path / "in"))
    assert (found_kind, file) == (kind, "all.json") and detail in said
    assert len(found.images) == 2 and found.class_counts() == {"cat": 0}


@pytest.mark.parametrize("name", [None, 5, ["a.png"]])
def test_an_image_without_a_file_name_is_left_out_alone(tmp_path, name):
    rows = [{"id": 1, "file_name": name}, {"id": 2, "file_name": "b.png"}]
    found, problems = reported(coco(tmp_path / "in", images=rows, annotations=[]))
    what = f"image 1 has the file_name {name!r}"
    assert problems == [("annotation that cannot be read", "all.json", what)]
    assert len(found.images) == 1


@pytest.mark.parametrize("name", ["x" * 5000 + ".png", "a\0.png", "\ud800.png"])
def test_an_image_that_no_file_can_be_is_a_problem(tmp_path, name):
    rows = [{"id": 1, "file_name": name}]
    _, ((kind, _, detail),) = reported(coco(tmp_path / "in", images=rows, annotations=[]))
    assert kind == "annotation without image" and detail == f"no {readable(name)}"


# Parts


def yolo_of(root, num_images, yaml):
    """Images with one box each, under a yaml file."""
    yolo(root, yaml=yaml)
    for number in range(num_images - 1):
        draw_image(root / "images" / f"{number}.png", (40, 30), number + 1)
        (root / "labels" / f"{number}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    return root


ALONE = r"parts of .*: got none for train alone: images in two parts: 4, such as .*leave val out"


def test_train_and_val_in_the_same_folder_are_refused_with_advice(tmp_path, capsys):
    root = yolo_of(tmp_path / "in", 4, "names: [cat]\ntrain: images\nval: images\n")
    with pytest.warns(UserWarning), pytest.raises(CompanionError, match=ALONE):
        load_dataset("boxes", path=root)
    assert main(["boxes", "check", str(root)]) == 1
    assert "images/0.png (train and val)" in capsys.readouterr().err
    (root / "data.yaml").write_text("names: [cat]\ntrain: images\n")
    assert len(load_dataset("boxes", path=root).val) > 0, "the advice is good"


def test_lists_of_voc_that_are_the_same_are_refused_with_advice(tmp_path):
    voc = voc_in_folders(tmp_path, train=b"a\nb\n", val=b"a\nb\n")
    with pytest.warns(UserWarning), pytest.raises(CompanionError, match="in two parts: 2, such as"):
        read_annotations(voc, on_problem="report")


def test_an_image_in_val_and_in_test_says_nothing_of_train(tmp_path):
    voc = voc_in_folders(tmp_path, test=b"a\n", val=b"a\nb\n")
    found, ((kind, _, _),) = reported(voc)
    assert kind == "image listed twice" and found.part_counts() == {"val": 1, "test": 1}


def test_paths_with_backslashes_are_paths(tmp_path):
    root = yolo(tmp_path / "in", yaml="names: [cat]\ntrain: ..\\images\ntest: t.txt\n")
    draw_image(root / "more" / "b.png", (40, 30), 1)
    (root / "more" / "b.txt").write_text("")
    (root / "t.txt").write_text(".\\more\\b.png\n")
    assert read_annotations(root).part_counts() == {"train": 1, "test": 1}


def test_two_images_cannot_share_a_label_file(tmp_path):
    root = yolo(tmp_path / "in")
    draw_image(root / "images" / "a.tif", (40, 30), 5)
    found, problems = reported(root)
    assert problems == [("image without annotation", "images/a.tif", "a.png has its name")]
    assert [image.path.name for image in found.images] == ["a.png"]


def test_label_files_without_any_image_are_problems(tmp_path, capsys):
    root = yolo(tmp_path / "in")
    (root / "images" / "a.png").unlink()
    _, problems = reported(root)
    assert problems == [("annotation without image", "labels/a.txt", "no image a")]


# Labels and names


def test_a_label_has_no_blanks_around_it_and_no_controls_in_it(tmp_path):
    labels = (" \n cat\t", "ca\u0085t", "a\x7fb", "c\n d", "e\u2028f")
    first = voc_xml("LABEL 1 2 13 17")
    head, tail = first[: first.index("<object>")], "</annotation>"
    objects = first[first.index("<object>") : first.index(tail)]
    text = head + "".join(objects.replace("LABEL", label) for label in labels) + tail
    write_voc(tmp_path, {})
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    draw_image(tmp_path / "a.png", (40, 30))
    found, problems = reported(tmp_path)
    assert found.class_counts() == {"cat": 1}
    said = [detail.split(" 1,2")[0] for _, _, detail in problems]
    assert said == [r"ca\x85t", r"a\x7fb", r"c\x0a d", r"e\u2028f"]
    assert {kind for kind, _, _ in problems} == {"unknown label"}


@pytest.mark.parametrize("name", ["", " cat", "cat\n", "c\0t", "\udcf6"])
def test_a_class_with_a_name_that_no_format_reads_again_is_not_written(tmp_path, name):
    wild = replace(made(tmp_path / "made"), classes=(*CLASSES, name))
    with pytest.raises(CompanionError, match="name of a class: got .*; expected letters, without"):
        write_annotations(wild, tmp_path / "out", format="coco")


def test_files_with_names_that_are_not_utf_8_are_read_and_written_anew(tmp_path, capsys):
    root = yolo(tmp_path / "in", yaml="names: [cat]\ntrain: t.txt\n")
    path = called_in_bytes(root / "images", b"L\xf6we.png")
    draw_image(root / "images" / "b.png", (40, 30), 3).rename(path)
    (root / "labels" / path.with_suffix(".txt").name).write_text("0 0.5 0.5 0.5 0.5\n")
    (root / "t.txt").write_bytes(b"images/L\xf6we.png\nimages/a.png\n")
    found = read_annotations(root)
    assert {image.path.name for image in found.images} == {path.name, "a.png"}
    for format in FORMATS:
        convert(root, tmp_path / format, format=format)
        images = read_annotations(tmp_path / format).images
        assert [image.name for image in images] == ["L_we", "a"]
    (root / "labels" / path.with_suffix(".txt").name).write_text("9 0.5 0.5 0.5 0.5\n")
    assert main(["boxes", "check", str(root)]) == 1
    assert r"labels/L\xf6we.txt: line 1" in capsys.readouterr().out


def test_a_problem_holds_nothing_that_moves_the_cursor(tmp_path):
    write_voc(tmp_path, {"a": voc_xml(WHOLE)})
    draw_image(tmp_path / "b\x1b[31m.png", (40, 30))
    _, ((_, file, detail),) = reported(tmp_path)
    assert (file, detail) == (r"b\x1b[31m.png", r"no b\x1b[31m.xml")


def test_what_is_readable_and_what_is_a_label():
    assert readable("Löwe 猫") == "Löwe 猫" and readable("\ud800\t") == r"\ud800\x09"
    assert is_label("bird & fish") and is_label("猫")
    assert not any(map(is_label, ("", " a", "a\u00a0", "a\tb", None, 5)))


def test_a_reason_is_one_line_without_a_path():
    assert reason(FileNotFoundError(2, "No such file", "/home/x")) == "No such file"
    assert reason(KeyError("id")) == "no 'id'" and reason(ValueError()) == "ValueError"
    assert reason(ValueError("a\n  b")) == "a b"


def test_the_lines_of_a_list_are_as_files_are_called(tmp_path):
    (tmp_path / "t.txt").write_bytes(b"\xef\xbb\xbfa b\r\n\r\n  \xf6.png \n")
    assert read_listed(tmp_path / "t.txt") == ["a b", os.fsdecode(b"\xf6.png")]


# Nothing to write, nothing to read


@pytest.mark.parametrize("format", FORMATS)
def test_a_folder_without_images_is_not_written(tmp_path, format):
    with pytest.raises(CompanionError, match="images to write: got nothing; .*boxes check"):
        write_annotations(Annotations((), CLASSES), tmp_path / "out", format=format)
    assert not (tmp_path / "out").exists()


def test_convert_of_what_is_left_out_whole_is_one_error(tmp_path, capsys):
    root = yolo(tmp_path / "in")
    (root / "labels" / "a.txt").unlink()
    words = ["boxes", "convert", str(root), str(tmp_path / "out"), "--format", "voc"]
    assert main([*words, "--leave-out"]) == 1
    assert "error: images to write: got nothing" in capsys.readouterr().err


def test_annotations_of_no_image_are_not_well(tmp_path, capsys):
    root = coco(tmp_path / "in", images=[], annotations=[])
    assert main(["boxes", "check", str(root)]) == 1
    assert capsys.readouterr().out.endswith("\nThere are annotations, but no images.\n")


# The command line


def damaged_zip(path):
    """A zip whose one member cannot be decompressed, although all of its lists are whole."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", "some text " * 100)
    data = bytearray(path.read_bytes())
    data[35] |= 0b111  # a kind of block that does not exist
    path.write_bytes(data)
    with pytest.raises(zlib.error), zipfile.ZipFile(path) as archive:
        archive.read("a.txt")
    return path


def test_a_zip_that_is_damaged_within_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "cache"))
    archive = str(damaged_zip(tmp_path / "in.zip"))
    for words in (["boxes", "check", archive], ["finetune", archive, "--device", "cpu"]):
        monkeypatch.chdir(tmp_path)
        assert main(words) == 1
        assert "in.zip: got Error -3 while decompressing" in capsys.readouterr().err
    assert kinds.recognise(archive) is kinds.BOXES


@pytest.mark.parametrize("command", [["boxes", "check"], ["finetune", "--device", "cpu"]])
def test_a_file_out_of_the_folder_is_told_from_the_folder(tmp_path, capsys, monkeypatch, command):
    root = coco(tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    assert main([*command, str(root / "all.json")]) == 1
    error = capsys.readouterr().err
    assert (
        "all.json: got no whole zip file; expected a folder" in error and "name the folder" in error
    )


def test_a_link_to_nothing_is_no_place_to_write(tmp_path):
    (tmp_path / "out").symlink_to(tmp_path / "nowhere")
    with pytest.raises(CompanionError, match="out: got something that is there already"):
        write_annotations(made(tmp_path / "made"), tmp_path / "out", format="voc")


def test_a_name_that_the_terminal_cannot_show_is_printed_as_its_code(tmp_path, monkeypatch):
    root = coco(tmp_path / "in", categories=[{"id": 4, "name": "猫"}])
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="ascii"))
    assert main(["boxes", "check", str(root)]) == 0
    sys.stdout.flush()
    assert rb"\u732b" in printed.getvalue()
