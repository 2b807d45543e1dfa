"""companion.datasets: real digits, the reader's own folder, public sets without a network."""

import gzip
import hashlib
import io
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from companion import load_dataset
from companion.assets import RemoteFile
from companion.checks import CompanionError
from companion.datasets import (
    LOADERS,
    Source,
    base,
    digits,
    fashion_mnist,
    folder,
    image_files,
    register_dataset,
)
from companion.registry import DATASETS, DatasetCard
from companion.splits import fresh_readings


def picture(number, *, size=(12, 10)):
    """An image that no other number has."""
    pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def make_class(root, name, num_images, *, start=0, suffix=".png"):
    (root / name).mkdir(parents=True)
    for number in range(start, start + num_images):
        picture(number).save(root / name / f"{number:03d}{suffix}")


@pytest.fixture
def flowers(tmp_path):
    """Ten roses and fifteen tulips."""
    root = tmp_path / "flowers"
    make_class(root, "rose", 10)
    make_class(root, "tulip", 15, start=100)
    return root


# load_dataset


def test_every_loader_has_its_card():
    assert tuple(LOADERS) == DATASETS.names()
    assert {"digits", "glyphs", "folder", "fashion_mnist", "pets"} <= set(LOADERS)


def test_an_unknown_dataset_lists_near_matches():
    with pytest.raises(CompanionError, match=r"dataset: got 'Digit'.*did you mean 'digits'"):
        load_dataset("Digit")


def test_a_new_dataset_is_a_card_and_a_loader(monkeypatch):
    monkeypatch.setattr(DATASETS, "_cards", dict(DATASETS._cards))
    monkeypatch.setattr(base, "LOADERS", LOADERS)
    monkeypatch.setitem(LOADERS, "toy", None)
    card = DatasetCard("toy", "Toy", "vision", "classification", ("a", "b"), "MIT", "here")
    register_dataset(card, lambda path: base.stand_in(card, (1, 4, 4)))
    assert len(load_dataset("toy", labels_per_class=5).train) == 8
    with pytest.raises(CompanionError, match="dataset name: got 'toy', which is taken"):
        register_dataset(card, lambda path: base.stand_in(card, (1, 4, 4)))


# digits


def test_digits_are_scikit_learns_in_their_official_order():
    from sklearn.datasets import load_digits

    source, raw = digits.load(), load_digits()
    assert (len(source.pool), len(source.test)) == (1000, 797)
    images = torch.cat([source.pool.inputs, source.test.inputs])
    assert np.array_equal((images[:, 0] * 16).numpy(), raw.images)
    assert torch.cat([source.pool.labels, source.test.labels]).tolist() == raw.target.tolist()
    assert images.shape == (1797, 1, 8, 8) and images.dtype == torch.float32
    assert (float(images.min()), float(images.max())) == (0.0, 1.0)
    assert source.pool.ids[0] == "digits/0000" and source.test.ids[-1] == "digits/1796"


def test_digits_draws():
    drawn = load_dataset("digits", labels_per_class=10, seed=0)
    assert (len(drawn.train), len(drawn.val), len(drawn.test)) == (80, 20, 797)
    assert load_dataset("digits", labels_per_class=10, seed=0).train.ids == drawn.train.ids
    assert load_dataset("digits", labels_per_class=10, seed=1).train.ids != drawn.train.ids
    assert load_dataset("digits", labels_per_class=1).val is None


def test_loading_digits_again_does_not_forget_who_read_them():
    with fresh_readings():
        load_dataset("digits", seed=0).test.open("a reading")
        assert load_dataset("digits", seed=1).test.readings == ("a reading",)


@pytest.mark.parametrize("name", ["digits", "fashion_mnist"])
def test_datasets_that_know_their_place_refuse_a_path(name, tmp_path):
    with pytest.raises(CompanionError, match=f"path of the dataset '{name}': got .*leave it out"):
        load_dataset(name, path=tmp_path)


# folder


def test_a_folder_becomes_splits(flowers):
    drawn = load_dataset("folder", path=str(flowers))
    assert drawn.card.classes == ("rose", "tulip") and drawn.card.title == "flowers"
    assert len(drawn.test) == 2 + 3
    assert drawn.val.class_counts() == {"rose": 2, "tulip": 2}
    assert drawn.train.class_counts() == {"rose": 6, "tulip": 10}
    for name, label in zip(drawn.train.ids, drawn.train.labels, strict=True):
        assert name.startswith(("flowers/rose/", "flowers/tulip/")[label])


def test_images_are_decoded_when_asked_for_with_their_own_pixels(flowers):
    drawn = load_dataset("folder", path=flowers)
    number = int(Path(drawn.train.ids[0]).stem)
    image = drawn.train.inputs[0]
    assert image.shape == (3, 10, 12) and image.dtype == torch.float32
    expected = np.asarray(picture(number)).transpose(2, 0, 1)
    assert np.array_equal((image * 255).round().numpy().astype(np.uint8), expected)


def test_the_test_set_does_not_depend_on_seed_names_or_order(flowers, tmp_path):
    first = load_dataset("folder", path=flowers, seed=0)
    assert set(load_dataset("folder", path=flowers, seed=9).test.ids) == set(first.test.ids)
    renamed = tmp_path / "renamed"
    shutil.copytree(flowers, renamed)
    for path in sorted((renamed / "rose").iterdir()):
        path.rename(path.with_name(f"z{9999 - int(path.stem)}.png"))
    again = load_dataset("folder", path=renamed)

    def contents(split, root):
        files = [root.parent / name for name in split.ids]
        return {hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    assert contents(again.test, renamed) == contents(first.test, flowers)


def with_parts(root, *, val=True, test=True):
    make_class(root / "train", "rose", 10)
    make_class(root / "train", "tulip", 12, start=100)
    if val:
        make_class(root / "val", "rose", 4, start=200)
        make_class(root / "val", "tulip", 4, start=300)
    if test:
        make_class(root / "test", "rose", 3, start=400)
        make_class(root / "test", "tulip", 3, start=500)
    return root


def test_two_folders_with_equal_names_are_two_test_sets(tmp_path):
    first, second = (with_parts(tmp_path / name / "flowers") for name in ("here", "there"))
    for path in (second / "test").rglob("*.png"):
        picture(int(path.stem) + 5000).save(path)
    with fresh_readings():
        read = load_dataset("folder", path=first).test
        read.open("a reading")
        assert load_dataset("folder", path=first).test.num_readings == 1
        other = load_dataset("folder", path=second).test
        assert other.ids == read.ids and other.num_readings == 0


def test_parts_of_a_folder_are_respected(tmp_path):
    root = with_parts(tmp_path / "flowers")
    drawn = load_dataset("folder", path=root)
    assert (len(drawn.train), len(drawn.val), len(drawn.test)) == (22, 8, 6)
    assert all(name.startswith("flowers/val/") for name in drawn.val.ids)
    few = load_dataset("folder", path=root, labels_per_class=10, seed=3)
    assert few.train.class_counts() == {"rose": 8, "tulip": 8}
    assert few.val.class_counts() == {"rose": 2, "tulip": 2}
    assert set(few.val.ids) < set(drawn.val.ids) and few.test.ids == drawn.test.ids


@pytest.mark.parametrize("val", [True, False])
def test_without_a_test_folder_a_fifth_of_train_is_test(tmp_path, val):
    drawn = load_dataset("folder", path=with_parts(tmp_path / "flowers", val=val, test=False))
    assert len(drawn.test) == 4
    assert all(name.startswith("flowers/train/") for name in drawn.test.ids)
    assert len(drawn.train) + len(drawn.val) + len(drawn.test) == 22 + 8 * val


def test_what_systems_leave_behind_is_passed_over(flowers):
    (flowers / ".git").mkdir()
    (flowers / "README.md").write_text("roses and tulips")
    (flowers / "rose" / ".DS_Store").write_bytes(b"x")
    (flowers / "rose" / "Thumbs.db").write_bytes(b"x")
    assert len(folder.load(flowers).pool) == 20


def test_names_that_are_no_utf8_are_spelled_out(flowers):
    try:
        os.rename(flowers / "rose", os.fsencode(flowers / "ros") + b"\xe9")
        for path in (flowers / "tulip").iterdir():
            os.rename(
                path, os.fsencode(path.parent / "tulip\u00e9 ") + b"\xff" + os.fsencode(path.name)
            )
    except OSError as error:
        pytest.skip(f"file names that are not UTF-8 cannot be made here ({error})")
    splits = load_dataset("folder", path=flowers)
    assert splits.train.classes == (r"ros\xe9", "tulip")
    ids = {*splits.train.ids, *splits.test.ids}
    assert any(name.startswith(r"flowers/ros\xe9/0") for name in ids)
    assert any(name.startswith("flowers/tulip/tulip\u00e9 " + r"\xff1") for name in ids)
    assert splits.train.fingerprint() and splits.test.fingerprint
    assert splits.train.inputs[0].shape[0] == 3


def test_two_spellings_of_one_accented_name_are_one_class(flowers):
    composed, decomposed = "ros\u00e9", "rose\u0301"
    (flowers / "rose").rename(flowers / composed)
    (flowers / decomposed).mkdir()
    if len(list(flowers.iterdir())) == 2:
        pytest.skip("this file system takes both spellings for one name")
    (flowers / composed / "000.png").rename(flowers / decomposed / "apart.png")
    pool, test = (part := folder.load(flowers)).pool, part.test
    assert pool.classes == (composed, "tulip")
    assert f"flowers/{composed}/apart.png" in {*pool.ids, *test.ids}
    assert len(pool) + len(test) == 25


def test_copies_are_used_once_and_warned_of(flowers):
    shutil.copy(flowers / "rose/000.png", flowers / "rose/copy of 000.png")
    with pytest.warns(UserWarning, match=r"1 images are used once .*copy of 000.png is a copy of"):
        source = folder.load(flowers)
    assert len(source.pool) + len(source.test) == 25


def test_a_clean_folder_warns_of_nothing(flowers):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_dataset("folder", path=flowers)


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def big_jpeg(path):
    picture(1, size=(200, 150)).save(path)


def test_a_truncated_jpeg_is_named(flowers):
    path = flowers / "rose" / "photo.jpg"
    big_jpeg(path)
    assert len(folder.load(flowers).pool) == 21
    truncate(path)
    with pytest.raises(CompanionError, match=r"image .*photo\.jpg: got .*truncated.*whole image"):
        folder.load(flowers)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".gif", ".webp", ".tif", ".jpg"])
def test_every_truncated_kind_is_named(flowers, suffix):
    path = flowers / "rose" / f"photo{suffix}"
    big_jpeg(path)
    folder.load(flowers)
    truncate(path)
    with pytest.raises(CompanionError, match=rf"image .*photo\{suffix}: got a file that cannot"):
        folder.load(flowers)


def test_an_image_that_breaks_after_loading_is_named(flowers):
    drawn = load_dataset("folder", path=flowers)
    truncate(flowers.parent / drawn.train.ids[0])
    with pytest.raises(CompanionError, match=r"image .*\.png: got a file that cannot be read"):
        drawn.train.inputs[0]


def test_missing_read_permission_is_named(flowers, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(image_files.runtime, "sha256_file", refuse)
    with pytest.raises(CompanionError, match=r"image .*\(Permission denied\).*have permission"):
        folder.load(flowers)


def empty(root):
    shutil.rmtree(root)
    root.mkdir()


def one_class(root):
    shutil.rmtree(root / "tulip")


def an_empty_class(root):
    (root / "aster").mkdir()


def a_text_file(root):
    (root / "rose" / "notes.txt").write_text("a rose")


def text_called_png(root):
    (root / "rose" / "notes.png").write_text("a rose")


def loose_image(root):
    picture(1).save(root / "loose.png")


def same_file_in_two_classes(root):
    shutil.copy(root / "rose/000.png", root / "tulip/000.png")


def single_image(root):
    make_class(root, "aster", 1, start=900)


def parts_without_train(root):
    (root / "rose").rename(root / "test")


def same_file_in_two_parts(root):
    empty(root)
    with_parts(root)
    shutil.copy(root / "train/rose/000.png", root / "test/rose/000.png")


def empty_val(root):
    empty(root)
    with_parts(root, val=False)
    (root / "val").mkdir()


def unknown_class_in_test(root):
    empty(root)
    with_parts(root)
    make_class(root / "test", "aster", 2, start=900)


def unknown_part(root):
    empty(root)
    with_parts(root)
    make_class(root / "validation", "rose", 2, start=900)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shutil.rmtree, r"folder of images: got .*flowers, which does not exist"),
        (empty, r"folder .*flowers: got no images; expected a folder of images for each class"),
        (one_class, r"classes in .*: got one class only, 'rose'; expected at least two"),
        (an_empty_class, r"classes in .*: got no image in 'aster'"),
        (a_text_file, r"file .*notes\.txt: got a file that is no image among the images"),
        (text_called_png, r"image .*notes\.png: got a file that cannot be read"),
        (loose_image, r"image .*loose\.png: got no class folder around it"),
        (same_file_in_two_classes, r"images .*rose/000\.png and .*: got the same file in two cl"),
        (single_image, r"class 'aster': got 1 image; expected at least 2"),
        (parts_without_train, r"got a folder 'test' without 'train' beside it"),
        (same_file_in_two_parts, r"images .* and .*: got the same file in two parts"),
        (empty_val, r"folder .*val: got no images"),
        (unknown_class_in_test, r"class 'aster' in test: got no such class in train"),
        (unknown_part, r"folder .*validation: got a folder beside 'train'"),
    ],
)
def test_a_folder_is_refused(flowers, spoil, message):
    spoil(flowers)
    with pytest.raises(CompanionError, match=message):
        load_dataset("folder", path=flowers)


def test_a_class_with_fewer_images_than_k(flowers):
    with pytest.raises(CompanionError, match=r"class 'rose' of split 'pool': got 8 items.* 10"):
        load_dataset("folder", path=flowers, labels_per_class=10)


def test_a_folder_needs_a_path():
    with pytest.raises(CompanionError, match=r"path of the dataset 'folder': got None"):
        load_dataset("folder")


# image files


def saved(tmp_path, image, name="image.png", **options):
    image.save(tmp_path / name, **options)
    return image_files.decode(tmp_path / name)


def test_decode_turns_photographs_upright(tmp_path):
    image = Image.new("RGB", (4, 2), "black")
    image.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held turned: the top row belongs on the right
    decoded = saved(tmp_path, image, exif=exif)
    assert decoded.shape == (3, 4, 2)
    assert decoded[:, 0, 1].tolist() == [1, 1, 1] and float(decoded.sum()) == 3


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (2, 2), 51), 0.2),
        (Image.new("1", (2, 2), 1), 1.0),
        (Image.new("RGBA", (2, 2), (0, 0, 0, 0)), 1.0),
        (Image.new("LA", (2, 2), (0, 255)), 0.0),
        (Image.fromarray(np.full((2, 2), 256 * 51, dtype=np.uint16)), 0.2),
    ],
    ids=["grey", "black-white", "transparent", "grey-opaque", "16-bit"],
)
def test_decode_brings_every_mode_to_colour(tmp_path, image, expected):
    decoded = saved(tmp_path, image)
    assert decoded.shape == (3, 2, 2)
    assert torch.allclose(decoded, torch.tensor(expected))


def test_a_palette_with_a_transparent_colour_is_laid_on_white(tmp_path):
    image = Image.new("P", (2, 2), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((0, 0), 1)
    decoded = saved(tmp_path, image, transparency=0)
    assert decoded[:, 0, 0].tolist() == [0, 1, 0]
    assert decoded[:, 1, 1].tolist() == [1, 1, 1]


def test_fingerprints_are_of_the_bytes_in_order(flowers):
    paths = image_files.find_images(flowers)
    assert len(paths) == 25
    expected = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert image_files.fingerprints(paths) == expected


def test_image_files_know_their_length_and_slices(flowers):
    files = image_files.ImageFiles(image_files.find_images(flowers))
    assert len(files) == 25 and len(files[:4]) == 4
    assert torch.equal(files[3:][0], files[3])


# FashionMNIST, without its files


def tiny_idx(values):
    values = np.asarray(values, dtype=np.uint8)
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    return bytes([0, 0, 8, values.ndim]) + sizes + values.tobytes()


@pytest.fixture
def tiny_fashion(tmp_path, monkeypatch):
    """Two items of each class to train on and ten to test, in the four files' form."""
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "cache"))
    labels = np.arange(40) % 10
    images = np.random.default_rng(0).integers(0, 256, (40, 28, 28))
    contents = [images[:30], labels[:30], images[30:], labels[30:]]
    files = []
    for file, content in zip(fashion_mnist.FILES, contents, strict=True):
        buffer = io.BytesIO()
        with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed:
            packed.write(tiny_idx(content))
        path = tmp_path / "data" / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(buffer.getvalue())
        sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
        files.append(RemoteFile(file.name, file.url, sha256, path.stat().st_size, file.licence))
    monkeypatch.setattr(fashion_mnist, "FILES", tuple(files))
    return images, labels


def test_fashion_mnist_is_read_from_companion_data_and_unpacked_once(tiny_fashion, tmp_path):
    images, labels = tiny_fashion
    drawn = load_dataset("fashion_mnist", labels_per_class=2)
    assert (len(drawn.train), len(drawn.pool), len(drawn.test)) == (20, 30, 10)
    assert drawn.pool.inputs.dtype == torch.uint8
    assert np.array_equal(drawn.pool.inputs[:, 0].numpy(), images[:30])
    assert drawn.pool.labels.tolist() == labels[:30].tolist()
    assert drawn.test.ids[3] == "fashion_mnist/test/00003"
    shutil.rmtree(tmp_path / "data" / "vision")
    assert len(load_dataset("fashion_mnist").pool) == 30


def test_a_corrupted_fashion_mnist_file_is_named(tiny_fashion, tmp_path):
    path = tmp_path / "data" / fashion_mnist.FILES[2].name
    path.write_bytes(b"\0" + path.read_bytes()[1:])
    with pytest.raises(CompanionError, match=rf"file {path}: got SHA-256"):
        load_dataset("fashion_mnist")


def test_the_rehearsal_needs_no_files(monkeypatch, tmp_path):
    monkeypatch.setenv("COMPANION_SCALE", "rehearsal")
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path))
    for name, shape in (("fashion_mnist", (1, 28, 28)), ("pets", (3, 64, 64))):
        drawn = load_dataset(name, labels_per_class=20)
        assert drawn.train.inputs.shape[1:] == shape and drawn.train.inputs.dtype == torch.uint8
        assert len(drawn.test) == 8
        assert torch.equal(load_dataset(name, labels_per_class=20).train.inputs, drawn.train.inputs)
    assert list(tmp_path.iterdir()) == []


# pets, without its files


def tiny_pets(root):
    """Three cats and three dogs in each of the two parts, in the archives' form."""
    (root / "images").mkdir(parents=True)
    (root / "annotations").mkdir()
    number = 0
    for part in ("trainval", "test"):
        rows = []
        for species, breed in ((1, "Abyssinian"), (2, "beagle")) * 3:
            number += 1
            picture(number).save(root / "images" / f"{breed}_{number}.jpg")
            rows.append(f"{breed}_{number} {species} {species} 1")
        (root / "annotations" / f"{part}.txt").write_text("\n".join(rows))


@pytest.mark.parametrize("place", ["data", "cache", "path"])
def test_pets_are_found_where_they_lie(tmp_path, monkeypatch, place):
    for name in ("data", "cache", "path"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "cache"))
    root = tmp_path / place if place == "path" else tmp_path / place / "vision"
    tiny_pets(root / "oxford-iiit-pet")
    drawn = load_dataset("pets", path=root if place == "path" else None)
    assert drawn.card.classes == ("cat", "dog")
    assert drawn.pool.class_counts() == {"cat": 3, "dog": 3} and len(drawn.test) == 6
    for name, label in zip(drawn.pool.ids, drawn.pool.labels.tolist(), strict=True):
        assert ("Abyssinian", "beagle")[label] in name
    assert drawn.train.inputs[0].shape == (3, 10, 12)


def test_sources_are_not_grouped_unless_they_say_so():
    assert Source(digits.load().pool, digits.load().test, digits.CARD).grouped is False
