"""The dataset "boxes": a folder or a zip with boxes becomes splits of the task detection."""

import shutil
import zipfile
from dataclasses import replace

import pytest
import torch
from boxes_folders import BOXES, CLASSES, SIZES, draw_image, made, voc_xml, write_voc

from companion import load_dataset
from companion.boxes import Annotations, Box, write_annotations
from companion.checks import CompanionError
from companion.datasets import boxes_folder
from companion.splits import fresh_readings


@pytest.fixture
def divided(tmp_path):
    """Three images to train on, one for val, two for test, as VOC."""
    return write_annotations(made(tmp_path / "made"), tmp_path / "pets", format="voc")


def opened(splits):
    with fresh_readings():
        return splits.test.open("a test")


def many(root, num_images, *, copy_of=None):
    """A folder of xml files and images side by side, one box each."""
    names = tuple(f"{number:02d}" for number in range(num_images))
    return write_voc(root, {name: voc_xml("cat 1 2 13 17") for name in names}, images=names)


def test_the_parts_of_the_folder_are_kept(divided):
    splits = load_dataset("boxes", path=divided)
    assert splits.train.ids == ("pets/a", "pets/b", "pets/d")
    assert splits.val.ids == ("pets/c",)
    assert splits.test.ids == ("pets/e", "pets/f")
    assert (splits.train.task, splits.card.task) == ("detection", "detection")
    assert splits.train.classes == splits.card.classes == CLASSES
    assert splits.card.title == "pets" and splits.card.source == str(divided.resolve())
    assert splits.train.class_counts() == {"bird & fish": 0, "cat": 1, "dog": 2}


def test_labels_are_class_and_corners_in_fractions_of_each_image(divided):
    splits = load_dataset("boxes", path=divided)
    for split in (splits.train, splits.val, opened(splits)):
        for name, image, label in zip(split.ids, split.inputs, split.labels, strict=True):
            width, height = SIZES[name[-1]]
            assert image.shape == (3, height, width), "decoded when asked for, in its own size"
            expected = [
                (
                    CLASSES.index(b.label),
                    b.x_min / width,
                    b.y_min / height,
                    b.x_max / width,
                    b.y_max / height,
                )
                for b in BOXES[name[-1]]
            ]
            assert label.dtype == torch.float32
            assert torch.allclose(label, torch.tensor(expected).reshape(-1, 5))


def test_every_format_gives_the_same_splits(divided, tmp_path):
    splits = load_dataset("boxes", path=divided)
    for format in ("coco", "yolo"):
        folder = tmp_path / format / "pets"
        write_annotations(unmarked(made(tmp_path / "made")), folder, format=format)
        other = load_dataset("boxes", path=folder)
        assert other.train.ids == splits.train.ids and other.test.ids == splits.test.ids
        pairs = zip(other.train.labels, splits.train.labels, strict=True)
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in pairs)


def unmarked(annotations):
    """Annotations without marks, which yolo cannot hold."""
    images = tuple(
        replace(image, boxes=tuple(replace(box, is_difficult=False) for box in image.boxes))
        for image in annotations.images
    )
    return replace(annotations, images=images)


def test_without_a_test_part_a_fifth_is_test_whatever_the_seed_and_the_names(tmp_path):
    root = many(tmp_path / "in", 15)
    first, second = (load_dataset("boxes", path=root, seed=seed) for seed in (0, 1))
    assert first.test.ids == second.test.ids and len(first.test) == 3
    assert first.train.ids != second.train.ids
    assert len(first.train) + len(first.val) == 12
    chosen = {image.name for image in root.iterdir() if f"in/{image.stem}" in first.test.ids}
    for path in sorted(root.iterdir()):
        path.rename(path.with_name("x" + path.name))
    again = load_dataset("boxes", path=root)
    assert {f"x{name}" for name in chosen} == {
        path.name for path in root.iterdir() if f"in/{path.stem}" in again.test.ids
    }


def test_val_of_the_folder_stays_val_when_test_is_set_aside(divided, tmp_path):
    annotations = made(tmp_path / "made")
    images = tuple(i if i.part != "test" else replace(i, part="train") for i in annotations.images)
    folder = tmp_path / "out"
    write_annotations(Annotations(images, CLASSES), folder, format="voc")
    splits = load_dataset("boxes", path=folder)
    assert splits.val.ids == ("out/c",)
    assert (len(splits.train), len(splits.test)) == (4, 1)


def test_the_budget_counts_images(tmp_path):
    splits = load_dataset("boxes", path=many(tmp_path / "in", 20), labels_per_class=10)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (8, 2, 4)
    with pytest.raises(CompanionError, match="got 16 items; expected at least 17 .*images"):
        splits.redraw(labels_per_class=17)


def test_a_zip_is_unpacked_once_into_the_cache(divided, tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "cache"))
    archive = shutil.make_archive(str(tmp_path / "pets"), "zip", tmp_path, "pets")
    splits = load_dataset("boxes", path=archive)
    assert splits.train.ids == ("pets/a", "pets/b", "pets/d")
    assert splits.train.inputs[0].shape == (3, 30, 40)
    (folder,) = (tmp_path / "cache" / "unpacked").iterdir()
    monkeypatch.setattr(zipfile.ZipFile, "extractall", lambda *_: pytest.fail("unpacked again"))
    assert load_dataset("boxes", path=archive).test.ids == splits.test.ids
    assert folder.name.startswith("pets-")


def test_a_zip_writes_nothing_outside_its_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "cache"))
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr("../../../../stray.txt", "out")
        archive.writestr("/tmp/../stray.txt", "out")
    folder = boxes_folder.unpacked(tmp_path / "in.zip")
    files = {path for path in tmp_path.rglob("*") if path.is_file()} - {tmp_path / "in.zip"}
    assert files and all(folder in path.parents for path in files)


def test_problems_are_warned_of_and_noted_on_the_card(divided):
    (divided / "Annotations" / "a.xml").write_text(voc_xml("cat 1 2 13 17", "cat 3 3 3 3"))
    with pytest.warns(UserWarning, match=r"box without area: 1 \(Annotations/a.xml\)"):
        splits = load_dataset("boxes", path=divided)
    assert len(splits.train.labels[0]) == 1
    assert splits.card.notes == (
        "Read as voc. Left out or clipped: box without area: 1 (Annotations/a.xml)."
    )


def test_difficult_boxes_count_and_crowds_do_not_and_the_card_says_so(tmp_path):
    annotations = made(tmp_path / "made")
    crowd = Box("cat", 3, 3, 9, 9, is_crowd=True)
    first = replace(annotations.images[0], boxes=(*BOXES["a"], crowd))
    images = (first, *annotations.images[1:])
    write_annotations(replace(annotations, images=images), tmp_path / "in", format="coco")
    with pytest.warns(UserWarning, match="1 boxes that stand for a crowd are left out"):
        splits = load_dataset("boxes", path=tmp_path / "in")
    assert len(splits.train.labels[0]) == 2
    assert "1 crowds are left out. 1 boxes marked difficult count" in splits.card.notes


def test_images_in_no_list_are_left_out_with_a_warning(divided):
    draw_image(divided / "JPEGImages" / "z.png", (40, 30), 99)
    (divided / "Annotations" / "z.xml").write_text(voc_xml("cat 1 2 13 17"))
    with pytest.warns(UserWarning, match="1 images are in no list of the folder"):
        splits = load_dataset("boxes", path=divided)
    assert "pets/z" not in {*splits.train.ids, *splits.val.ids, *splits.test.ids}


def copied(root, first, second, boxes="cat 1 2 13 17"):
    shutil.copy(root / f"{first}.png", root / f"{second}.png")
    (root / f"{second}.xml").write_text(voc_xml(*boxes.split(";")))


def test_a_copy_is_used_once_and_refused_with_other_boxes(tmp_path):
    root = many(tmp_path / "in", 10)
    copied(root, "00", "copy")
    with pytest.warns(UserWarning, match="1 images are used once although there are copies"):
        splits = load_dataset("boxes", path=root)
    assert len(splits.pool) + len(splits.test) == 10
    copied(root, "00", "copy", "cat 1 2 13 17;cat 2 2 9 9")
    with pytest.raises(CompanionError, match="got the same file with different boxes"):
        load_dataset("boxes", path=root)


def test_the_same_file_in_two_parts_is_refused(divided):
    shutil.copy(divided / "JPEGImages" / "e.png", divided / "JPEGImages" / "d.png")
    with pytest.raises(CompanionError, match="got the same file in two parts"):
        load_dataset("boxes", path=divided)


def test_other_pixels_are_another_test_set(divided):
    first = load_dataset("boxes", path=divided).test.fingerprint
    draw_image(divided / "JPEGImages" / "e.png", SIZES["e"], 1234)
    assert load_dataset("boxes", path=divided).test.fingerprint != first


def test_nothing_is_decoded_before_it_is_used_but_all_is_checked(divided):
    path = divided / "JPEGImages" / "b.png"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.warns(UserWarning, match=r"image that cannot be read: 1 \(JPEGImages/b.png\)"):
        splits = load_dataset("boxes", path=divided)
    assert splits.train.ids == ("pets/a", "pets/d")


def no_boxes(root):
    return write_voc(root, {"a": voc_xml(), "b": voc_xml()}, images=("a", "b"))


def nothing_to_train_on(root):
    write_annotations(made(root.parent / "made"), root, format="voc")
    for name in ("train", "trainval"):
        (root / "ImageSets" / "Main" / f"{name}.txt").unlink()
    return root


def broken_zip(root):
    root.with_suffix(".zip").write_bytes(b"PK no zip")
    return root.with_suffix(".zip")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (no_boxes, "in: got no boxes; expected at least one box"),
        (lambda root: many(root, 1), "got 1 to train on and none for test; expected at least 2"),
        (nothing_to_train_on, "got 1 in val, 2 in test, 3 in no part; expected images in train"),
        (broken_zip, "in.zip: got File is not a zip file; expected a whole zip"),
        (lambda root: root, "folder of annotations: got .*in, which does not exist"),
        (lambda root: None, "path of the dataset 'boxes': got None; expected a folder or a zip"),
    ],
)
def test_what_cannot_be_split_is_refused(tmp_path, monkeypatch, build, message):
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "cache"))
    with pytest.raises(CompanionError, match=message):
        load_dataset("boxes", path=build(tmp_path / "in"))
