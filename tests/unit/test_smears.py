"""companion.datasets.smears: exact boxes, patients as groups, scanners that do what they say."""

from collections import Counter
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from companion import load_dataset
from companion.checks import CompanionError
from companion.datasets import smears
from companion.datasets.smears import SCANNERS, draw_cells, draw_smears
from companion.datasets.smears.fields import PLATELETS, RBC, WBC, Field, Patient
from companion.datasets.smears.scanner import scan

FLAT = replace(SCANNERS["b"], spread=0, noise=0, blur=0)
"""A scanner without chance: what is not the empty field is a cell."""

CROWD = Patient(radius=12.8, crowd=100, pale=0.5, gap=0.8, platelets=1.0)


@pytest.fixture(scope="module")
def drawn():
    """Sixty-four smears of eight patients."""
    return draw_smears(64, seed=5)


@pytest.fixture(scope="module")
def cells():
    """Four hundred cells of twenty patients, half of them sick."""
    return draw_cells(400, seed=5, sick=0.5)


def pixels_of(labels, size=(120, 160)):
    """Boxes in pixels, (cells, 4)."""
    height, width = size
    return labels[:, 1:] * torch.tensor([width, height, width, height])


# draw_smears: form


def test_smears_have_the_form_of_detection(drawn):
    images, labels, patients = drawn
    assert images.shape == (64, 3, 120, 160) and images.dtype == torch.uint8
    assert len(labels) == len(patients) == 64
    for boxes in labels:
        assert boxes.dtype == torch.float32 and boxes.shape[1] == 5
        assert set(boxes[:, 0].tolist()) <= {0.0, 1.0, 2.0}
        assert 0 <= boxes[:, 1:].min() and boxes[:, 1:].max() <= 1
        assert (boxes[:, 1:3] < boxes[:, 3:]).all()


def test_the_same_seed_gives_the_same_bits(drawn):
    images, labels, patients = draw_smears(64, seed=5)
    assert torch.equal(images, drawn[0]) and patients == drawn[2]
    assert all(torch.equal(a, b) for a, b in zip(labels, drawn[1], strict=True))


def test_a_shorter_draw_is_the_beginning_of_a_longer_one(drawn):
    images, labels, patients = draw_smears(11, seed=5)
    assert torch.equal(images, drawn[0][:11]) and patients == drawn[2][:11]
    assert torch.equal(labels[10], drawn[1][10])


def test_no_two_smears_are_equal(drawn):
    assert len({image.numpy().tobytes() for image in drawn[0]}) == 64
    others = {image.numpy().tobytes() for image in draw_smears(16, seed=6)[0]}
    assert not others & {image.numpy().tobytes() for image in drawn[0]}


def test_each_patient_has_eight_smears_one_after_another(drawn):
    patients = drawn[2]
    assert list(Counter(patients).values()) == [8] * 8
    assert patients == tuple(sorted(patients))
    assert not set(patients) & set(draw_smears(16, seed=6)[2])
    assert len(set(draw_smears(9, seed=5, smears_per_patient=3)[2])) == 3


def test_a_slide_looks_more_like_itself_than_like_others(drawn):
    light = drawn[0].float().flatten(2).quantile(0.9, dim=2).view(8, 8, 3)
    assert light.std(1).mean() < 0.5 * light.mean(1).std(0).mean()


# draw_smears: what is in the field of view


def test_numbers_and_sizes_of_cells_resemble_real_smears(drawn):
    """The ranges hold what the 205 training pictures of BCCD show, scaled to 160 x 120."""
    sides = {kind: [] for kind in (RBC, WBC, PLATELETS)}
    numbers = {kind: [] for kind in sides}
    for boxes in drawn[1]:
        corners = pixels_of(boxes)
        is_whole = ((corners > 0) & (corners < torch.tensor([160, 120, 160, 120]))).all(1)
        for kind in sides:
            is_kind = boxes[:, 0] == kind
            numbers[kind].append(int(is_kind.sum()))
            sides[kind] += (corners[:, 2:] - corners[:, :2])[is_kind & is_whole].mean(1).tolist()
    assert 5 <= min(numbers[RBC]) and max(numbers[RBC]) <= 25
    assert max(numbers[WBC]) <= 3 and max(numbers[PLATELETS]) <= 5
    assert Counter(numbers[WBC]).most_common(1)[0][0] == 1
    assert 24 <= np.median(sides[RBC]) <= 27.5
    assert 38 <= np.median(sides[WBC]) <= 54
    assert 8.5 <= np.median(sides[PLATELETS]) <= 11


def test_red_cells_do_not_lie_on_white_cells(drawn):
    for boxes in drawn[1]:
        corners = pixels_of(boxes)
        middles = (corners[:, :2] + corners[:, 2:]) / 2
        for white in corners[boxes[:, 0] == WBC]:
            touches_border = (white == 0).any() or white[2] == 160 or white[3] == 120
            if not touches_border:
                offsets = (middles[boxes[:, 0] == RBC] - (white[:2] + white[2:]) / 2).abs()
                inside = (offsets / ((white[2:] - white[:2]) / 2)).square().sum(1) < 1
                assert not inside.any()


def test_more_room_holds_more_cells():
    small = draw_smears(8, seed=1)[1]
    large = draw_smears(8, seed=1, size=(120, 320))[1]
    assert 1.5 < sum(map(len, large)) / sum(map(len, small)) < 2.5


def test_cells_grow_with_the_height_of_the_picture():
    small, large = (draw_smears(8, seed=1, size=size)[1] for size in ((120, 160), (240, 320)))
    assert 0.8 < sum(map(len, large)) / sum(map(len, small)) < 1.25
    sides = [torch.cat(x)[:, 3].sub(torch.cat(x)[:, 1]).median() for x in (small, large)]
    assert abs(float(sides[0] / sides[1]) - 1) < 0.1


# boxes against the pixels of one cell on an empty field


def one_cell(kind, seed):
    """A field with one cell, or with none if chance wants it so."""
    field = Field((120, 160), np.random.default_rng(seed))
    if kind == "red":
        field.add_red(CROWD, 1 / 25, 1.0)
    elif kind == "platelet":
        field.add_platelets(CROWD, 1.0, 1.0)
    else:
        field.add_white(kind, 1.0)
    return field


def found_box(density):
    """Corners of the pixels that are clearly darker than the empty field."""
    rng = np.random.default_rng(0)
    picture, empty = (
        scan(stain, FLAT, rng, scale=1).astype(float) for stain in (density, 0 * density)
    )
    darker = (empty - picture).max(0)
    rows, columns = (np.flatnonzero((darker > 8).any(axis)) for axis in (1, 0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


@pytest.mark.parametrize("kind", ["red", "platelet", *smears.CELL_TYPES])
def test_a_box_is_tight_around_what_is_seen_of_a_cell(kind):
    fields = [field for field in (one_cell(kind, s) for s in range(60)) if len(field.boxes) == 1]
    assert len(fields) >= 15
    errors = np.array([found_box(field.density) - field.boxes[0, 1:] for field in fields])
    assert np.abs(errors).max() <= 2
    outwards = (errors * np.array([-1, -1, 1, 1])).mean()
    assert abs(outwards) < 0.75 and np.abs(errors.mean(0)).max() < 0.75


def test_cells_at_the_border_are_cut():
    fields = [one_cell("red", seed) for seed in range(60)]
    corners = torch.tensor(np.concatenate([field.boxes[:, 1:] for field in fields]))
    assert corners.min() == 0 and corners[:, 2].max() == 160 and corners[:, 3].max() == 120


@pytest.mark.parametrize(("kind", "label"), [("red", RBC), ("platelet", PLATELETS), ("blast", WBC)])
def test_a_box_names_the_class_of_its_cell(kind, label):
    boxes = np.concatenate([one_cell(kind, seed).boxes for seed in range(5)])
    assert len(boxes) and set(boxes[:, 0]) == {label}
    assert smears.CELLS == ("RBC", "WBC", "Platelets")


def test_stains_that_overlap_add_up():
    field = Field((120, 160), np.random.default_rng(0))
    patient = replace(CROWD, gap=0.3, pale=0.0)
    field.add_red(patient, 1.0, 1.0)
    overlap = box_iou(torch.tensor(field.boxes[:, 1:]), torch.tensor(field.boxes[:, 1:]))
    assert (overlap.fill_diagonal_(0) > 0.2).any()
    assert field.density[0].max() > 1.6 and field.density[1:].max() == 0


# scanners


@pytest.mark.parametrize(
    "change",
    [
        {"noise": 0.1},
        {"contrast": 0.6},
        {"resolution": 0.4},
        {"blur": 2.0},
        {"stain": SCANNERS["a"].stain},
    ],
)
def test_another_scanner_sees_the_same_cells_otherwise(change, drawn):
    images, labels, _ = draw_smears(16, seed=5, scanner=replace(SCANNERS["b"], **change))
    assert all(torch.equal(a, b) for a, b in zip(labels, drawn[1], strict=False))
    difference = (images.float() - drawn[0][:16].float()).abs()
    assert difference.mean() > 0.5 and len({len(boxes) for boxes in labels}) > 1


@pytest.mark.parametrize("stain", [0, 1, 2])
def test_light_is_absorbed_exponentially(stain):
    density = np.zeros((3, 30, 40), np.float32)
    density[stain] = 0.7
    picture = scan(density, replace(FLAT, contrast=1.3), np.random.default_rng(0), scale=1)
    expected = np.array(FLAT.light) * np.exp(-1.3 * 0.7 * np.array(FLAT.stain[stain])) * 255
    assert np.abs(picture.mean((1, 2)) - expected).max() <= 0.5
    assert picture.std((1, 2)).max() == 0


def test_noise_has_the_size_that_is_asked_for():
    empty = np.zeros((3, 120, 160), np.float32)
    picture = scan(empty, replace(FLAT, noise=0.03), np.random.default_rng(0), scale=1)
    assert abs((picture / 255).std((1, 2)).mean() - 0.03) < 0.001


def test_blur_and_resolution_take_the_fine_detail():
    density = (np.random.default_rng(0).uniform(size=(3, 120, 160)) < 0.5).astype(np.float32)

    def detail(**change):
        picture = scan(density, replace(FLAT, **change), np.random.default_rng(0), scale=1)
        return np.abs(np.diff(picture.astype(float), axis=2)).mean()

    assert detail(blur=1) < 0.5 * detail() and detail(blur=2) < 0.6 * detail(blur=1)
    assert detail(resolution=0.5) < 0.5 * detail()
    assert detail(resolution=0.25) < 0.6 * detail(resolution=0.5)


def test_blur_is_in_pixels_of_120_rows():
    step = np.zeros((3, 60, 80), np.float32)
    step[:, :, 40:] = 1
    rng = np.random.default_rng(0)
    small = scan(step, replace(FLAT, blur=4), rng, scale=0.5)
    assert np.array_equal(small, scan(step, replace(FLAT, blur=2), rng, scale=1))


def test_zoom_makes_cells_larger():
    def side(zoom):
        boxes = torch.cat(draw_smears(16, seed=2, scanner=replace(SCANNERS["b"], zoom=zoom))[1])
        return float((boxes[:, 3] - boxes[:, 1])[boxes[:, 0] == RBC].median())

    assert 1.2 < side(1.2) / side(0.9) < 1.5


def test_the_scanners_of_the_course_differ():
    first, second = (draw_smears(40, seed=3, scanner=name)[0].float() for name in "ab")
    means = [images.mean((0, 2, 3)) for images in (first, second)]
    assert (means[0] - means[1]).abs().max() > 10
    assert SCANNERS["a"].spread > SCANNERS["b"].spread
    with pytest.raises(FrozenInstanceError):
        SCANNERS["a"].noise = 0.5


# draw_cells


def test_cells_have_the_form_of_classification(cells):
    images, labels, patients = cells
    assert images.shape == (400, 3, 32, 32) and images.dtype == torch.uint8
    assert labels.dtype == torch.int64 and set(labels.tolist()) == set(range(5))
    assert list(Counter(patients).values()) == [20] * 20
    again = draw_cells(30, seed=5, sick=0.5)
    assert torch.equal(again[0], images[:30]) and torch.equal(again[1], labels[:30])
    assert len({image.numpy().tobytes() for image in images}) == 400
    assert draw_cells(2, seed=0, size=48)[0].shape == (2, 3, 48, 48)


def test_only_sick_patients_have_blasts(cells):
    _, labels, patients = cells
    blasts = Counter(p for p, label in zip(patients, labels.tolist(), strict=True) if label == 4)
    assert smears.CELL_TYPES[4] == "blast"
    assert 5 <= len(blasts) <= 15
    assert 2 < np.mean(list(blasts.values())) < 10
    assert (draw_cells(200, seed=5, sick=0)[1] != 4).all()
    sick = draw_cells(400, seed=5, sick=1)
    assert 0.15 < float((sick[1] == 4).float().mean()) < 0.45
    assert len({p for p, label in zip(sick[2], sick[1].tolist(), strict=True) if label == 4}) >= 18


def test_the_nucleus_tells_the_types_apart():
    none, all_equal = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    azure = replace(FLAT, stain=(none, all_equal, none), light=(0.9, 0.9, 0.9))
    eosin = replace(azure, stain=(none, none, all_equal))

    def density(scanner):
        images, labels, _ = draw_cells(300, seed=9, sick=1, scanner=scanner)
        amount = -(images.float().clamp(min=1) / int(images.max())).log().mean(1)
        return [amount[labels == number] for number in range(5)]

    nuclei = [float((amount > 0.65).float().mean()) for amount in density(azure)]
    area = dict(zip(smears.CELL_TYPES, nuclei, strict=True))
    assert area["blast"] > 1.3 * area["lymphocyte"] > area["lymphocyte"] > area["eosinophil"]
    granules = [float(amount.mean()) for amount in density(eosin)]
    orange = dict(zip(smears.CELL_TYPES, granules, strict=True))
    assert orange["eosinophil"] > 2 * orange["neutrophil"] > 0
    assert orange["blast"] == orange["lymphocyte"] == orange["monocyte"] == 0


# datasets


def test_smear_cells_are_parted_by_patient():
    splits = load_dataset("smear_cells", labels_per_class=20, seed=1)
    parts = [set(splits.train.groups), set(splits.val.groups)]
    source = smears.load_cells()
    assert (len(source.pool), len(source.test)) == (1200, 800)
    assert (len(set(source.pool.groups)), len(set(source.test.groups))) == (60, 40)
    assert not set(source.pool.groups) & set(source.test.groups)
    assert not parts[0] & parts[1] and parts[0] | parts[1] <= set(source.pool.groups)
    assert splits.grouped and splits.card.classes == smears.CELL_TYPES


def test_blasts_are_rare_but_enough_of_them_in_both_parts():
    for part in (smears.load_cells().pool, smears.load_cells().test):
        counts = part.class_counts()
        assert 0.04 < counts["blast"] / len(part) < 0.15 and counts["blast"] >= 50
        assert min(counts.values()) == counts["blast"]
        sick = {p for p, label in zip(part.groups, part.labels.tolist(), strict=True) if label == 4}
        assert 0.15 < len(sick) / len(set(part.groups)) < 0.45


@pytest.mark.parametrize("card", [smears.SMEARS, smears.SMEARS_A, smears.SMEAR_CELLS])
def test_the_cards_say_that_these_are_drawings(card):
    assert "Drawings, not medical data" in card.notes and "simulated" in card.notes
    assert "Nothing here is medical data" in smears.__doc__


# mistakes


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda: draw_smears(0, seed=0), "number of smears: got 0; expected a positive integer"),
        (lambda: draw_smears(1, seed=-1), "seed: got -1; expected an integer of at least 0"),
        (lambda: draw_smears(1, seed=0, scanner="c"), "scanner: got 'c'; expected one of 'a', 'b'"),
        (lambda: draw_smears(1, seed=0, size=(0, 9)), "size of smears: got 0"),
        (lambda: draw_smears(1, seed=0, smears_per_patient=0), "smears_per_patient: got 0"),
        (lambda: draw_cells(1, seed=0, sick=1.5), "sick: got 1.5; expected a fraction"),
        (lambda: draw_cells(1, seed=0, size=0), "size of cells: got 0"),
        (lambda: replace(FLAT, noise=-0.1), "noise of the scanner: got -0.1"),
        (lambda: replace(FLAT, contrast=0), "contrast of the scanner: got 0"),
        (lambda: replace(FLAT, resolution=2), "resolution of the scanner: got 2"),
        (lambda: replace(FLAT, stain=((1, 1, 1),)), "stain of the scanner: got .*three rows"),
    ],
)
def test_mistakes_are_told(mistake, message):
    with pytest.raises(CompanionError, match=message):
        mistake()
