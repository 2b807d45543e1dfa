"""companion.datasets.glyphs: letters without digits, seeded distortion, held-out faces."""

import string
import unicodedata
from collections import defaultdict

import numpy as np
import pytest
import torch
from torch.nn import functional

from companion import load_dataset
from companion.checks import CompanionError
from companion.datasets import glyphs

FACE = {face.name: face for face in glyphs.FACES}
SCRIPTS = ("LATIN", "GREEK", "CYRILLIC")
LIKE_A_DIGIT = 0.93


@pytest.fixture(scope="module")
def drawings():
    return glyphs.render_letters()


@pytest.fixture(scope="module")
def some(drawings):
    """One drawing in twenty."""
    return drawings.images[::20]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


# the alphabet


def test_the_alphabet_holds_letters_of_three_scripts_and_no_digit():
    characters = "".join(glyphs.LETTERS)
    assert len(glyphs.LETTERS) == 77 and len(characters) == 139
    for character in characters:
        assert unicodedata.category(character) in ("Lu", "Ll"), character
        assert unicodedata.numeric(character, None) is None, character
        assert not character.isdigit(), character
        assert unicodedata.name(character).split()[0] in SCRIPTS, character


def test_no_character_stands_in_two_classes():
    characters = "".join(glyphs.LETTERS)
    assert len(set(characters)) == len(characters)


def test_what_is_drawn_from_a_mathematical_alphabet_is_the_letter_it_is_called():
    alphabets = [face for face in glyphs.FACES if face.alphabet is not None]
    assert len(alphabets) == 9
    for face in alphabets:
        for number, letter in enumerate(string.ascii_uppercase + string.ascii_lowercase):
            drawn = chr(face.alphabet + number)
            if unicodedata.name(drawn, None):
                assert unicodedata.normalize("NFKC", drawn) == letter


def test_letters_that_look_like_a_digit_are_left_out():
    left_out = set("".join(glyphs.LOOKALIKES.values()))
    assert set("OoОоΟοIl") <= left_out
    assert not left_out & set("".join(glyphs.LETTERS))


def shape_of(image):
    """The ink, stretched to one square, blurred, of length one: width and place do not count."""
    rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    ink = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    square = functional.interpolate(torch.tensor(ink)[None, None].float(), (24, 24), mode="area")
    blurred = functional.avg_pool2d(square, 3, 1, 1)
    return functional.normalize(blurred.flatten(), dim=0)


def test_no_letter_that_stayed_has_the_shape_of_a_digit(monkeypatch):
    from companion.datasets.glyphs import drawings as module

    letters = tuple("".join([*glyphs.LETTERS, *glyphs.LOOKALIKES.values()]))
    found = defaultdict(list)
    faces = [face for face in glyphs.FACES if face.alphabet is None and face.name[:3] != "cms"]
    faces = [face for face in faces if face.name != "cmmi10"]  # its digits are of another style
    assert len(faces) == 20
    for face in faces:
        shapes = {c: shape_of(image) for c, image in module._draw_face(face, letters)}
        for digit, image in module._draw_face(face, tuple(string.digits)):
            for letter, shape in shapes.items():
                found[letter, digit].append(float(shape @ shape_of(image)))
    likeness = {pair: float(np.mean(values)) for pair, values in found.items()}
    too_like = {letter for (letter, _), value in likeness.items() if value >= LIKE_A_DIGIT}
    assert not too_like & set("".join(glyphs.LETTERS))
    assert set("OoΟοОоΘθЗзб") <= too_like


def test_no_digit_is_drawn():
    from companion.datasets.glyphs import drawings as module

    codes = {module._code_point(f, c) for f in glyphs.FACES for c in "".join(glyphs.LETTERS)}
    drawn = [chr(code) for code in codes if code is not None]
    assert len(drawn) > 400
    assert all(unicodedata.numeric(character, None) is None for character in drawn)


# render_letters


def test_drawings_are_centred_and_fill_their_box(drawings):
    assert drawings.images.shape == (len(drawings), 1, 48, 48)
    for image in drawings.images[::50, 0]:
        rows, columns = image.any(1).nonzero()[:, 0], image.any(0).nonzero()[:, 0]
        sides = [int(span[-1] - span[0]) + 1 for span in (rows, columns)]
        assert max(sides) in (glyphs.BOX_SIZE - 1, glyphs.BOX_SIZE)
        assert all(abs(int(span[0] + span[-1]) - 47) <= 2 for span in (rows, columns))


def test_each_label_is_the_class_of_the_character(drawings):
    for character, label in zip(drawings.characters, drawings.labels.tolist(), strict=True):
        assert character in glyphs.LETTERS[label]


def test_every_class_is_drawn_by_pool_and_held_out_faces(drawings):
    counts = defaultdict(set)
    for face, label in zip(drawings.faces, drawings.labels.tolist(), strict=True):
        counts[label, face in glyphs.HELD_OUT_FACES].add(face)
    for label in range(len(glyphs.LETTERS)):
        assert len(counts[label, False]) >= 14 and len(counts[label, True]) >= 2


def test_a_face_is_drawn_the_same_alone_or_among_others(drawings):
    alone = glyphs.render_letters([FACE["cmr10"]])
    rows = [number for number, face in enumerate(drawings.faces) if face == "cmr10"]
    assert torch.equal(drawings.images[rows], alone.images)
    assert alone.characters == tuple(c for c in alone.characters if c in string.ascii_letters)


def test_capitals_only_faces_draw_no_small_letter():
    assert all(c.isupper() for c in glyphs.render_letters([FACE["cmsy10"]]).characters)


# distort


def test_pictures_are_fractions_of_32_pixels(some):
    pictures = glyphs.distort(some, generator=generator())
    assert pictures.shape == (len(some), 1, 32, 32) and pictures.dtype == torch.float32
    assert 0 <= pictures.min() and pictures.max() <= 1


def test_distortion_follows_its_generator_and_nothing_else(some):
    before = torch.random.get_rng_state()
    first = glyphs.distort(some, generator=generator())
    assert torch.equal(glyphs.distort(some, generator=generator()), first)
    assert not torch.equal(glyphs.distort(some, generator=generator(1)), first)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_drawings_are_not_changed_in_place(some):
    copy = some.clone()
    glyphs.distort(some, generator=generator())
    assert torch.equal(some, copy)


STILL = {
    "rotation": 0.0,
    "shear": 0.0,
    "stretch": 0.0,
    "fill": (34 / 48, 34 / 48),
    "shift": 0.0,
    "bend": 0.0,
    "thin": 0,
    "thicken": 0,
    "resolutions": (32,),
    "noise": 0.0,
}


def extents(pictures):
    """Mean width and height of the ink, in pixels."""
    ink = pictures[:, 0] > 0.3
    return ink.any(1).sum(1).float().mean().item(), ink.any(2).sum(1).float().mean().item()


def test_without_distortion_the_letter_stays_where_it_is(some):
    still = glyphs.distort(some, generator=generator(), distortion=glyphs.Distortion(**STILL))
    plain = functional.interpolate(some.float() / 255, (32, 32), mode="bilinear")
    cosine = functional.cosine_similarity(still.flatten(1), plain.flatten(1))
    assert cosine.min() > 0.9


def test_fill_is_the_share_of_the_picture_that_the_box_spans(some):
    big = glyphs.Distortion(**(STILL | {"fill": (1.0, 1.0)}))
    pictures = glyphs.distort(some, generator=generator(), distortion=big)
    still = glyphs.distort(some, generator=generator(), distortion=glyphs.Distortion(**STILL))
    for after, before in zip(extents(pictures), extents(still), strict=True):
        assert after / before == pytest.approx(48 / 34, rel=0.06)


@pytest.mark.parametrize("amount", ["thin", "thicken"])
def test_strokes_change_their_width(some, amount):
    changed = glyphs.Distortion(**(STILL | {amount: 2}))
    ink = glyphs.distort(some, generator=generator(), distortion=changed).mean()
    still = glyphs.distort(some, generator=generator(), distortion=glyphs.Distortion(**STILL))
    assert (ink > 1.1 * still.mean()) if amount == "thicken" else (ink < 0.95 * still.mean())


@pytest.mark.parametrize(
    ("amount", "value"), [("rotation", 20.0), ("shear", 0.5), ("stretch", 0.5), ("bend", 0.1)]
)
def test_each_amount_moves_the_ink(some, amount, value):
    moved = glyphs.Distortion(**(STILL | {amount: value}))
    pictures = glyphs.distort(some, generator=generator(), distortion=moved)
    still = glyphs.distort(some, generator=generator(), distortion=glyphs.Distortion(**STILL))
    cosine = functional.cosine_similarity(pictures.flatten(1), still.flatten(1))
    assert cosine.median() < 0.95


def test_a_low_resolution_picture_has_no_detail_below_its_pixels(some):
    coarse = glyphs.Distortion(**(STILL | {"resolutions": (8,)}))
    pictures = glyphs.distort(some, generator=generator(), distortion=coarse)
    steps = (pictures[..., 1:] - pictures[..., :-1]).abs().amax()
    assert steps < 0.5
    fine = glyphs.distort(some, generator=generator(), distortion=glyphs.Distortion(**STILL))
    assert (fine[..., 1:] - fine[..., :-1]).abs().amax() > 0.7


# the dataset


@pytest.fixture(scope="module")
def source():
    return glyphs.load()


def test_no_face_is_in_pool_and_test(source):
    assert set(source.test.groups) == set(glyphs.HELD_OUT_FACES)
    assert set(source.pool.groups) == set(FACE) - set(glyphs.HELD_OUT_FACES)


def test_pictures_are_bytes_with_one_id_each(source):
    for split in (source.pool, source.test):
        assert split.inputs.shape == (len(split), 1, 32, 32) and split.inputs.dtype == torch.uint8
        assert len(set(split.ids)) == len(split)
        assert min(split.class_counts().values()) >= 4
        assert all(split.classes[label] in glyphs.CARD.classes for label in split.labels[:5])


def test_the_same_pictures_come_every_time(source):
    again = glyphs.load()
    assert torch.equal(again.pool.inputs, source.pool.inputs)
    assert again.pool.ids == source.pool.ids


def test_load_dataset_draws_a_labelled_budget():
    drawn = load_dataset("glyphs", labels_per_class=5)
    assert len(drawn.train) == 4 * 77 and drawn.val is not None and len(drawn.val) == 77
    assert drawn.card.seen_by == ("glyphnet",)


def test_glyphs_take_no_path(tmp_path):
    with pytest.raises(CompanionError, match="path of the dataset 'glyphs': got"):
        glyphs.load(tmp_path)
