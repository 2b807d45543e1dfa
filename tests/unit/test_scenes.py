"""companion.datasets.scenes: tight boxes, test digits in test scenes, letters without digits."""

import string
from collections import Counter

import numpy as np
import pytest
import torch
from torch.nn import functional
from torchvision.ops import box_iou

from companion.checks import CompanionError
from companion.datasets import digits, glyphs, scenes
from companion.datasets.scenes import composing, digit_ink, draw_scenes, letter_ink
from companion.datasets.scenes import ink as module


@pytest.fixture(scope="module")
def drawn():
    """As many scenes of digits of the pool as the dataset has."""
    return draw_scenes(240, digit_ink("pool"), seed=3)


def rng(seed=0):
    return np.random.default_rng(seed)


# form


def test_scenes_have_the_form_of_detection(drawn):
    images, labels, sources = drawn
    assert images.shape == (240, 3, 128, 128) and images.dtype == torch.uint8
    assert images.is_contiguous() and len(labels) == len(sources) == 240
    for boxes, rows in zip(labels, sources, strict=True):
        assert boxes.dtype == torch.float32 and boxes.shape == (len(rows), 5)
        assert 1 <= len(boxes) <= 6
        assert 0 <= boxes[:, 1:].min() and boxes[:, 1:].max() <= 1
        assert (boxes[:, 1:3] < boxes[:, 3:]).all()
    assert set(map(len, labels)) == {1, 2, 3, 4, 5, 6}


def test_the_same_seed_gives_the_same_bits(drawn):
    images, labels, sources = draw_scenes(20, letter_ink("test", 0), seed=3)
    again = draw_scenes(20, letter_ink.__wrapped__("test", 0), seed=3)
    assert torch.equal(images, again[0]) and sources == again[2]
    assert all(torch.equal(a, b) for a, b in zip(labels, again[1], strict=True))


def test_a_shorter_draw_is_the_beginning_of_a_longer_one(drawn):
    images, labels, sources = draw_scenes(7, digit_ink("pool"), seed=3)
    assert torch.equal(images, drawn[0][:7]) and sources == drawn[2][:7]
    assert torch.equal(labels[6], drawn[1][6])


def test_no_two_scenes_are_equal(drawn):
    others = draw_scenes(20, digit_ink("pool"), seed=4)[0]
    every = [image.numpy().tobytes() for image in torch.cat([drawn[0], others])]
    assert len(set(every)) == len(every)


def test_a_scene_may_have_another_size():
    images, labels, _ = draw_scenes(8, digit_ink("pool"), seed=0, size=64)
    assert images.shape == (8, 3, 64, 64)
    pixels = torch.cat(labels)[:, 1:] * 64
    assert torch.equal(pixels, pixels.round())


# boxes against pixels


@pytest.mark.parametrize("seed", range(12))
def test_a_box_is_tight_around_the_ink(seed):
    picture = np.full((128, 128, 3), 0.5, np.float32)
    (box,) = composing._write(picture, digit_ink("test").images[[37 * seed]], rng(seed))
    changed = np.abs(picture - 0.5).max(2)
    is_ink = changed >= 0.4999 * changed.max()
    rows, columns = np.flatnonzero(is_ink.any(1)), np.flatnonzero(is_ink.any(0))
    assert box == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)


def test_ink_that_is_nearly_white_or_black_stays_in_the_box():
    """Outside of a box a digit leaves a soft edge at most."""
    for seed in range(20):
        picture = np.full((128, 128, 3), 0.5, np.float32)
        ((left, top, right, low),) = composing._write(
            picture, digit_ink("pool").images[[seed]], rng(seed)
        )
        changed = np.abs(picture - 0.5).max(2)
        full = changed.max()
        changed[top:low, left:right] = 0
        assert changed.max() < 0.51 * full


def test_characters_are_between_the_smallest_and_the_largest_side(drawn):
    boxes = torch.cat(drawn[1])
    sides = (boxes[:, 3:] - boxes[:, 1:3]).amax(1)
    assert 0.1 < sides.min() and sides.max() < 0.57
    assert sides.max() > 2.5 * sides.min()


def test_characters_hardly_cover_each_other(drawn):
    for boxes in drawn[1]:
        corners = boxes[:, 1:]
        assert box_iou(corners, corners).fill_diagonal_(0).max() <= 0.2
        low = torch.maximum(corners[:, None, :2], corners[:, :2])
        high = torch.minimum(corners[:, None, 2:], corners[:, 2:])
        both = (high - low).clamp(min=0).prod(2).fill_diagonal_(0)
        areas = (corners[:, 2:] - corners[:, :2]).prod(1)
        assert (both <= 0.2 * areas + 1e-6).all()


def test_a_character_without_room_is_left_out():
    picture = np.full((32, 32, 3), 0.5, np.float32)
    crowd = digit_ink("pool").images[:40]
    found = composing._write(picture, crowd, rng())
    assert found[0] is not None and None in found


def test_ink_stands_out_from_the_ground():
    for seed in range(20):
        ground = rng(seed).uniform(0, 1, (10, 10, 3))
        colour = composing._ink_colour(ground, rng(seed))
        grey = [float(np.dot(c, [0.299, 0.587, 0.114])) for c in (colour, ground.mean((0, 1)))]
        assert abs(grey[0] - grey[1]) > 0.3


def test_grounds_are_plain_graded_and_cluttered():
    grounds = [composing._ground(64, rng(seed)) for seed in range(60)]
    assert all(0 <= g.min() and g.max() <= 1 and g.dtype == np.float32 for g in grounds)
    plain = [g for g in grounds if np.ptp(g, axis=(0, 1)).max() == 0]
    edges = [np.abs(np.diff(g, axis=1)).max() for g in grounds]
    graded = [e for e in edges if 0 < e < 0.02]
    cluttered = [e for e in edges if e > 0.05]
    assert min(len(plain), len(graded), len(cluttered)) >= 10


# which characters


@pytest.mark.parametrize("part", ["pool", "test"])
def test_scenes_hold_digits_of_their_part_only(part):
    ink, source = digit_ink(part), digits.load()
    split = source.pool if part == "pool" else source.test
    assert np.array_equal(ink.images, split.inputs[:, 0].numpy())
    _, labels, rows = draw_scenes(60, ink, seed=1)
    for boxes, used in zip(labels, rows, strict=True):
        assert boxes[:, 0].tolist() == split.labels[list(used)].tolist()


def test_what_is_in_the_scene_are_the_digits_that_it_names():
    """Cut out and made small again, a digit is nearest to the sample that it came from."""
    source = digits.load()
    every = torch.cat([source.pool.inputs, source.test.inputs])[:, 0]
    ink = digit_ink("test")
    shapes = torch.stack([shape_of(image, image > 0.3) for image in every])
    hits = 0
    for row in range(0, 400, 20):
        picture = np.full((128, 128, 3), 0.5, np.float32)
        composing._write(picture, ink.images[[row]], rng(row))
        found = torch.tensor(np.abs(picture - 0.5).max(2))
        likeness = shapes @ shape_of(found, found > 0.5 * found.max())
        hits += int(likeness.argmax()) >= len(source.pool)
    assert hits >= 18


def shape_of(image, is_ink):
    """The ink in its box, in one size, without its mean and of length one."""
    rows, columns = is_ink.any(1).nonzero()[:, 0], is_ink.any(0).nonzero()[:, 0]
    ink = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    flat = functional.interpolate(ink[None, None], (12, 8), mode="bilinear").flatten()
    return functional.normalize(flat - flat.mean(), dim=0)


def test_no_digit_is_in_two_scenes_before_all_were_used(drawn):
    used = [row for scene in drawn[2] for row in scene]
    assert len(set(used)) == len(used) > 700
    small = scenes.Ink(digit_ink("pool").images[:10], digit_ink("pool").labels[:10], scenes.DIGITS)
    counts = Counter(row for scene in draw_scenes(40, small, seed=0)[2] for row in scene)
    assert set(counts) == set(range(10)) and max(counts.values()) <= 1.7 * min(counts.values())


def test_the_ten_digits_are_balanced(drawn):
    counts = torch.cat(drawn[1])[:, 0].long().bincount(minlength=10)
    assert counts.min() > 0.75 * counts.float().mean()
    assert counts.max() < 1.3 * counts.float().mean()


def test_letters_are_latin_and_none_looks_like_a_digit():
    assert set(scenes.LETTERS) <= set(string.ascii_letters)
    assert len(set(scenes.LETTERS)) == len(scenes.LETTERS) == 39
    assert not set(scenes.LETTERS) & set("".join(glyphs.LOOKALIKES.values()))


def test_letters_are_those_of_glyphs_with_their_latin_class():
    faces = [face for face in glyphs.FACES if face.name in ("cmsy10", "DejaVuSans", "STIX script")]
    images, labels = module._letters(faces)
    drawings = glyphs.render_letters(faces)
    rows = [row for row, letter in enumerate(drawings.characters) if letter in string.ascii_letters]
    assert torch.equal(images, drawings.images[rows])
    for row, label in zip(rows, labels, strict=True):
        assert drawings.characters[row] in (scenes.LETTERS[label], scenes.LETTERS[label].lower())


def test_letters_of_the_test_are_of_faces_that_are_held_out(monkeypatch):
    seen = []

    def faces_only(faces):
        seen.append({face.name for face in faces})
        return torch.zeros(1, 1, 48, 48, dtype=torch.uint8), np.zeros(1, np.int64)

    monkeypatch.setattr(module, "_letters", faces_only)
    for part in ("pool", "test"):
        letter_ink.__wrapped__(part, seed=0)
    assert seen[1] == set(glyphs.HELD_OUT_FACES)
    assert not seen[0] & seen[1] and seen[0] | seen[1] == {face.name for face in glyphs.FACES}


def test_letter_scenes_are_drawn_by_the_same_composer():
    ink = letter_ink("test", seed=0)
    assert ink.images.shape[1:] == (32, 32) and ink.classes == scenes.LETTERS
    assert set(ink.labels.tolist()) == set(range(39))
    images, labels, rows = draw_scenes(24, ink, seed=0)
    assert images.shape == (24, 3, 128, 128)
    for boxes, used in zip(labels, rows, strict=True):
        assert boxes[:, 0].tolist() == ink.labels[list(used)].tolist()
        assert (boxes[:, 1:3] < boxes[:, 3:]).all() and boxes[:, 1:].max() <= 1


def test_another_seed_distorts_letters_otherwise():
    first, second = (letter_ink("test", seed=seed) for seed in (0, 1))
    assert np.array_equal(first.labels, second.labels)
    assert not np.array_equal(first.images, second.images)


# mistakes


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda: digit_ink("val"), "part: got 'val'; expected one of 'pool', 'test'"),
        (lambda: letter_ink("train", 0), "part: got 'train'; expected one of 'pool', 'test'"),
        (lambda: draw_scenes(0, digit_ink("pool"), seed=0), "number of scenes: got 0"),
        (lambda: draw_scenes(1, digit_ink("pool"), seed=-1), "seed: got -1"),
        (
            lambda: draw_scenes(1, digit_ink("pool"), seed=0, size=16),
            "size of a scene: got 16; expected 32 or more",
        ),
    ],
)
def test_mistakes_are_told(mistake, message):
    with pytest.raises(CompanionError, match=message):
        mistake()
