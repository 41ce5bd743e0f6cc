"""The 4-bit layout, by examples written out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from kleinbild.weights import CACHED_ELEMENTS, Q4, Dense, all_finite, dequantise


def test_low_nibble_is_the_even_column_and_zero_point_8_the_default() -> None:
    codes = np.array([[[0x10, 0x32, 0x54, 0x76, 0x98, 0xBA, 0xDC, 0xFE]]], np.uint8)
    q4 = Q4((1, 16), 16, codes, np.array([[0.5]], np.float16), None)
    assert dequantise(q4).tolist() == [[(k - 8) * 0.5 for k in range(16)]]


def test_zero_points_scales_and_a_short_last_block() -> None:
    codes = np.full((2, 3, 8), 0x21, np.uint8)  # 1 in even columns, 2 in odd ones
    scales = np.array([[1, 2, -4], [0.25, 0, 8]], np.float32)
    zero_points = np.array([[0xF0, 0x81], [0x21, 0x8F]], np.uint8)  # rows 0,15,1 and 1,2,15
    values = dequantise(Q4((2, 36), 16, codes, scales, zero_points))
    assert values.dtype == np.float32
    assert values.shape == (2, 36)
    assert values[0].tolist() == [1, 2] * 8 + [-28, -26] * 8 + [0, -4] * 2
    assert values[1].tolist() == [0, 0.25] * 8 + [0] * 16 + [-112, -104] * 2


def test_dense_shape() -> None:
    assert Dense(np.zeros((4, 3, 1, 1), np.float16)).shape == (4, 3, 1, 1)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_one_value_that_is_not_finite_is_found_wherever_it_lies(dtype: type[np.floating]) -> None:
    array = np.full((7, CACHED_ELEMENTS // 5), np.finfo(dtype).max, dtype)
    array[::2] = np.finfo(dtype).smallest_subnormal
    array[1] *= -1
    views = (array, array.T, array[:, ::3], array[2:5].T, array[:0], np.array(dtype(-0.0)))
    assert all(all_finite(view) for view in views)
    for bad in (np.nan, np.inf, -np.inf):
        for at in (0, CACHED_ELEMENTS - 1, CACHED_ELEMENTS, array.size - 1):
            damaged = array.copy()
            damaged.reshape(-1)[at] = bad
            assert not all_finite(damaged) and not all_finite(damaged.T)
    assert not all_finite(np.array(np.nan, dtype))
