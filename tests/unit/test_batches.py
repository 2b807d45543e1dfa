"""Batches: stacking, padding, reading lazily, and augmentation that belongs to items."""

from __future__ import annotations

import math

import pytest
import torch

from companion.batches import (
    IGNORE_LABEL,
    Batch,
    BoxAugment,
    DetectionSource,
    ImageAugment,
    LazySource,
    PaddedSource,
    TensorSource,
    pad_sequences,
)
from companion.checks import CompanionError


def test_tensor_source_picks_items_in_order():
    source = TensorSource(torch.arange(12.0).reshape(6, 2), torch.arange(6) * 10)
    batch = source.batch(torch.tensor([4, 1]))
    assert batch.inputs.tolist() == [[8, 9], [2, 3]]
    assert batch.labels.tolist() == [40, 10]
    assert batch.indices.tolist() == [4, 1]
    assert batch.mask is None
    assert (len(source), len(batch), source.is_augmented) == (6, 2, False)


def test_pad_sequences_of_vectors():
    values, mask = pad_sequences([torch.ones(1, 2), torch.ones(3, 2)], padding=-1)
    assert values.shape == (2, 3, 2)
    assert values[0].tolist() == [[1, 1], [-1, -1], [-1, -1]]
    assert mask.tolist() == [[True, False, False], [True, True, True]]


def test_padded_source_pads_inputs_and_rows_of_labels():
    source = PaddedSource(
        [torch.tensor([1, 2, 3]), torch.tensor([4])], [torch.tensor([7]), torch.tensor([8, 9])]
    )
    batch = source.batch(torch.tensor([1, 0]))
    assert batch.inputs.tolist() == [[4, 0, 0], [1, 2, 3]]
    assert batch.mask.tolist() == [[True, False, False], [True, True, True]]
    assert batch.labels.tolist() == [[8, 9], [7, IGNORE_LABEL]]


def test_an_item_looks_alike_in_any_batch():
    source = PaddedSource([torch.tensor([1, 2, 3]), torch.tensor([4])], torch.tensor([0, 1]))
    alone = source.batch(torch.tensor([1]))
    assert alone.inputs.tolist() == [[4]]
    assert alone.labels.tolist() == [1]


def test_lazy_source_reads_only_what_is_asked():
    class Files(list):
        read: list[int] = []

        def __getitem__(self, index):
            self.read.append(index)
            return torch.full((1, 2, 2), float(index))

    files = Files(range(5))
    source = LazySource(files, torch.arange(5))
    batch = source.batch(torch.tensor([3, 0]))
    assert Files.read == [3, 0]
    assert batch.inputs[:, 0, 0, 0].tolist() == [3, 0]


def test_batch_to_the_same_device_is_the_same_object():
    batch = Batch(torch.zeros(1), None, torch.zeros(1).long(), torch.zeros(1).long())
    assert batch.to(torch.device("cpu")) is batch
    moved = batch.to(torch.device("meta"))
    assert moved.inputs.device.type == moved.labels.device.type == "meta"


def test_augment_is_a_function_of_seed_epoch_and_item():
    images = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    augment = ImageAugment(seed=1)
    whole = augment(images, torch.arange(6), 3)
    part = augment(images[[5, 2]], torch.tensor([5, 2]), 3)
    assert torch.allclose(whole[[5, 2]], part, atol=1e-6)
    assert not torch.equal(whole, augment(images, torch.arange(6), 4))
    assert not torch.equal(whole, ImageAugment(seed=2)(images, torch.arange(6), 3))


def test_augment_without_strength_is_the_identity():
    images = torch.rand(4, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    none = ImageAugment(seed=0, degrees=0, shift=0, zoom=0)
    assert torch.allclose(none(images, torch.arange(4), 0), images, atol=1e-6)


def test_augment_mirrors_about_half_left_to_right():
    images = torch.arange(4.0).repeat(200, 1, 4, 1)
    mirror = ImageAugment(seed=0, degrees=0, shift=0, zoom=0, mirror=True)
    changed = mirror(images, torch.arange(200), 0)
    is_flipped = torch.isclose(changed, images.flip(-1), atol=1e-5).all(dim=(1, 2, 3))
    is_same = torch.isclose(changed, images, atol=1e-5).all(dim=(1, 2, 3))
    assert bool((is_flipped ^ is_same).all())
    assert 70 < int(is_flipped.sum()) < 130


def test_augment_rotates_by_the_drawn_angle():
    """The matrix is a rotation by at most the stated degrees, with the stated zoom."""
    augment = ImageAugment(seed=0, degrees=30, shift=0.1, zoom=0.2)
    draws = torch.tensor([[1.0, 1.0, 1.0, -1.0]])
    matrix = augment._matrices(draws, torch.tensor([False]))[0]
    angle = math.radians(30)
    expected = [
        [math.cos(angle) / 1.2, -math.sin(angle) / 1.2, 0.2],
        [math.sin(angle) / 1.2, math.cos(angle) / 1.2, -0.2],
    ]
    assert torch.allclose(matrix, torch.tensor(expected), atol=1e-6)


# Boxes


def _framed(num_images=40, size=16):
    """Images with one bright rectangle each, and a box around it."""
    generator = torch.Generator().manual_seed(0)
    images, rows = torch.zeros(num_images, 3, size, size), []
    for image in images:
        x, y = torch.randint(0, size - 6, (2,), generator=generator).tolist()
        width, height = torch.randint(2, 6, (2,), generator=generator).tolist()
        image[:, y : y + height, x : x + width] = 1
        corners = [x / size, y / size, (x + width) / size, (y + height) / size]
        rows.append(torch.tensor([[1, *corners]]))
    return images, rows


def _bright_box(image):
    """Return the corners of what is bright in an image, as fractions."""
    ys, xs = (image[0] > 0.5).nonzero().unbind(dim=1)
    return [
        value / image.shape[-1]
        for value in (xs.min().item(), ys.min().item(), xs.max().item() + 1, ys.max().item() + 1)
    ]


def test_detection_source_pads_boxes_with_no_class():
    images, rows = torch.rand(3, 3, 4, 4), [torch.zeros(0, 5), torch.rand(2, 5), torch.rand(1, 5)]
    for inputs in (images, list(images)):
        source = DetectionSource(inputs, rows)
        batch = source.batch(torch.tensor([2, 0, 1]))
        assert torch.equal(batch.inputs, images[[2, 0, 1]])
        assert batch.labels.shape == (3, 2, 5)
        assert torch.equal(batch.labels[2], rows[1])
        assert torch.equal(batch.labels[0, :1], rows[2])
        assert (batch.labels[0, 1:] == IGNORE_LABEL).all()
        assert (batch.labels[1] == IGNORE_LABEL).all()
        assert source.batch(torch.tensor([0])).labels.tolist() == [[[IGNORE_LABEL] * 5]]
        assert (len(source), source.is_augmented, batch.mask) == (3, False, None)
        assert source.labels is rows


@pytest.mark.parametrize(("mirror", "flip"), [(True, False), (False, True), (True, True)])
def test_boxes_stay_around_what_they_were_around(mirror, flip):
    images, rows = _framed()
    source = DetectionSource(images, rows, BoxAugment(seed=3, mirror=mirror, flip=flip))
    batch = source.batch(torch.arange(40), epoch=1)
    kinds = set()
    for image, before, boxes, row in zip(batch.inputs, images, batch.labels, rows, strict=True):
        assert boxes[0].tolist() == pytest.approx([1, *_bright_box(image)], abs=1e-6)
        turned = [image.equal(before.flip(d)) for d in ((), (2,), (1,), (1, 2))]
        assert any(turned)
        kinds.add(turned.index(True))
        assert (boxes[0, 3:] > boxes[0, 1:3]).all()
        assert row.shape == (1, 5)
    assert kinds == {0} | ({1} if mirror else set()) | ({2} if flip else set()) | (
        {3} if mirror and flip else set()
    )


def test_an_augmented_image_with_boxes_looks_alike_in_any_batch():
    images, rows = _framed()
    rows[5] = torch.zeros(0, 5)
    augment = BoxAugment(seed=3, mirror=True, flip=True, contrast=0.5)
    source = DetectionSource(images, rows, augment)
    whole = source.batch(torch.arange(40), epoch=2)
    part = source.batch(torch.tensor([7, 5, 0]), epoch=2)
    assert torch.equal(part.inputs, whole.inputs[[7, 5, 0]])
    assert torch.equal(part.labels[[0, 2]], whole.labels[[7, 0]])
    assert part.labels[1, 0, 0] == IGNORE_LABEL, "padding must stay padding"
    others = [
        source.batch(torch.arange(40), epoch=3),
        DetectionSource(images, rows, augment.with_seed(4)).batch(torch.arange(40), epoch=2),
    ]
    for other in others:
        assert not torch.equal(other.inputs, whole.inputs)
        assert not torch.equal(other.labels, whole.labels)


def test_contrast_scales_about_zero_and_leaves_boxes():
    images, rows = _framed(200)
    changed = DetectionSource(images, rows, BoxAugment(contrast=0.3)).batch(torch.arange(200))
    factors = changed.inputs.amax(dim=(1, 2, 3))
    assert torch.allclose(changed.inputs, images * factors[:, None, None, None])
    assert 0.7 <= factors.min() < 0.75 and 1.25 < factors.max() <= 1.3
    assert torch.equal(changed.labels, torch.stack(rows))
    plain = DetectionSource(images, rows, BoxAugment()).batch(torch.arange(200))
    assert torch.equal(plain.inputs, images) and torch.equal(plain.labels, changed.labels)


def test_box_augment_without_boxes_changes_pictures_alike():
    images, rows = _framed()
    augment = BoxAugment(seed=1, mirror=True, contrast=0.2)
    expected = DetectionSource(images, rows, augment).batch(torch.arange(40), epoch=5).inputs
    assert torch.equal(augment(images, torch.arange(40), 5), expected)


def test_augmentations_that_leave_boxes_behind_are_refused():
    images, rows = _framed(2)
    with pytest.raises(
        CompanionError,
        match="augment: got ImageAugment, which moves pictures and not their boxes; expected an "
        "augmentation with `with_boxes`; use companion.batches.BoxAugment",
    ):
        DetectionSource(images, rows, ImageAugment())
    with pytest.raises(CompanionError, match="contrast: got 30; expected a fraction from 0 to 1"):
        BoxAugment(contrast=30)
