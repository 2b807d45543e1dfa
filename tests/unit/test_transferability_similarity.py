"""Linear CKA: its formula, what it does not see, what it does, and its errors."""

import numpy as np
import pytest
import torch

from companion.checks import CompanionError
from companion.transferability import linear_cka

RNG = np.random.default_rng(0)
FIRST = RNG.standard_normal((30, 4)) + 5
SECOND = FIRST @ RNG.standard_normal((4, 6)) + RNG.standard_normal((30, 6))


def kernel_alignment(first, second):
    """The definition by kernels: HSIC of centred Gram matrices, normalised."""
    num = len(first)
    centre = np.eye(num) - np.ones((num, num)) / num
    grams = [centre @ (rows @ rows.T) @ centre for rows in (first, second)]
    hsic = [np.trace(a @ b) for a, b in ((grams[0], grams[1]), (grams[0],) * 2, (grams[1],) * 2)]
    return hsic[0] / np.sqrt(hsic[1] * hsic[2])


@pytest.mark.parametrize("num_items", [30, 5, 2])
def test_it_is_the_normalised_hsic_of_linear_kernels(num_items):
    first, second = FIRST[:num_items], SECOND[:num_items]
    assert linear_cka(first, second) == pytest.approx(kernel_alignment(first, second), abs=1e-10)


def test_in_one_dimension_it_is_the_squared_correlation():
    expected = np.corrcoef(FIRST[:, 0], SECOND[:, 1])[0, 1] ** 2
    assert linear_cka(FIRST[:, :1], SECOND[:, 1:2]) == pytest.approx(expected)


def test_rotation_shift_unit_and_order_of_the_two_do_not_matter():
    rotation = np.linalg.qr(RNG.standard_normal((6, 6)))[0]
    whole = linear_cka(FIRST, SECOND)
    assert linear_cka(FIRST, 1e-4 * SECOND @ rotation + 7) == pytest.approx(whole)
    assert linear_cka(SECOND, FIRST) == pytest.approx(whole)
    assert linear_cka(torch.tensor(FIRST), torch.tensor(SECOND)) == pytest.approx(whole)
    assert linear_cka(FIRST, FIRST) == pytest.approx(1)


def test_other_linear_maps_and_the_order_of_items_matter():
    whole = linear_cka(FIRST, SECOND)
    assert abs(linear_cka(FIRST, SECOND * np.arange(1, 7)) - whole) > 1e-3
    assert linear_cka(FIRST, SECOND[::-1]) < whole - 0.1


def test_bad_features_are_refused():
    with pytest.raises(CompanionError, match=r"items of both sets"):
        linear_cka(FIRST, SECOND[:-1])
    with pytest.raises(CompanionError, match=r"first: got features that are the same"):
        linear_cka(np.full((30, 3), 0.1), SECOND)
    with pytest.raises(CompanionError, match=r"second: got 1 item"):
        linear_cka(FIRST, SECOND[:1])
    with pytest.raises(CompanionError, match=r"a NaN or an infinity"):
        linear_cka(FIRST * np.nan, SECOND)


def test_it_never_passes_one():
    generator = np.random.default_rng(0)
    for items in range(3, 40):
        features = generator.normal(size=(items, 5))
        assert linear_cka(features, features) <= 1.0
