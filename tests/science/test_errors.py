"""Error statistics against values worked out by hand."""

import numpy as np
import pytest

from aiida_surfbench.science import errors

ALL = (errors.root_mean_square_error, errors.mean_absolute_error, errors.bias, errors.r_squared, errors.slope)

REFERENCE = np.array([1.0, 2.0, 3.0, 6.0])
PREDICTED = np.array([2.0, 2.0, 1.0, 7.0])  # errors 1, 0, -2, 1


def test_by_hand():
    assert errors.root_mean_square_error(REFERENCE, PREDICTED) == pytest.approx(1.5**0.5)  # (1 + 0 + 4 + 1)/4
    assert errors.mean_absolute_error(REFERENCE, PREDICTED) == 1.0  # (1 + 0 + 2 + 1)/4
    assert errors.bias(REFERENCE, PREDICTED) == 0.0  # (1 + 0 - 2 + 1)/4
    # mean 3; SS_tot = 4 + 1 + 0 + 9 = 14; SS_res = 6; 1 - 6/14 = 4/7
    assert errors.r_squared(REFERENCE, PREDICTED) == pytest.approx(4 / 7)
    # means 3, 3; Σ dx dy = (-2)(-1) + (-1)(-1) + 0 + 3·4 = 15; Σ dx² = 14
    assert errors.slope(REFERENCE, PREDICTED) == pytest.approx(15 / 14)


def test_r_squared_is_not_the_squared_correlation():
    # perfectly correlated, shifted by 10: SS_res = 4·100, SS_tot = 14
    assert errors.r_squared(REFERENCE, REFERENCE + 10.0) == pytest.approx(1 - 400 / 14)
    assert errors.slope(REFERENCE, REFERENCE + 10.0) == pytest.approx(1.0)


def test_no_values():
    empty = np.array([])
    assert [statistic(empty, empty) for statistic in ALL] == [None] * 5


def test_one_value():
    one = [statistic(np.array([1.0]), np.array([3.0])) for statistic in ALL]
    assert one == [2.0, 2.0, 2.0, None, None]


@pytest.mark.parametrize("value", [0.0, 0.1, -1e6])
def test_equal_references_have_neither_r_squared_nor_slope(value):
    reference = np.full(3, value)  # 0.1 + 0.1 + 0.1 over 3 is not 0.1: a test for zero variance must allow for that
    predicted = reference + np.array([0.0, 1.0, 2.0])
    assert errors.r_squared(reference, predicted) is None
    assert errors.slope(reference, predicted) is None
    assert errors.bias(reference, predicted) == pytest.approx(1.0)


def test_slope_keeps_its_digits_beside_a_large_common_energy():
    x = np.array([0.0, 1.0, 2.0]) * 1e-3
    assert errors.slope(x - 1e4, 0.5 * x - 1e4) == pytest.approx(0.5, rel=1e-6)
