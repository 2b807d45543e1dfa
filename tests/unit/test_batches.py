"""Batches: stacking, padding, reading lazily, and augmentation that belongs to items."""

from __future__ import annotations

import math

import torch

from companion.batches import (
    IGNORE_LABEL,
    Batch,
    ImageAugment,
    LazySource,
    PaddedSource,
    TensorSource,
    pad_sequences,
)


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
