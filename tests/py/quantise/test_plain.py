"""The plain rule is ONNX Runtime's, scale by scale and zero point by zero point."""

from __future__ import annotations

import numpy as np
import pytest
from quantise_oracle import Float32, heavy_tailed, in_blocks, onnxruntime_q4

from kleinbild.quantise.blocks import nearest_steps
from kleinbild.quantise.plain import plain_grid
from kleinbild.weights import BLOCK_SIZES

SYMMETRIC = pytest.mark.parametrize("symmetric", [True, False], ids=["symmetric", "asymmetric"])
BLOCK_SIZE = pytest.mark.parametrize("block_size", BLOCK_SIZES)


def columns_of(weight: Float32, block_size: int) -> Float32:
    """`weight` as kleinbild.quantise holds it, a block a column."""
    return np.ascontiguousarray(in_blocks(weight, block_size).reshape(-1, block_size).T.astype(np.float32))


def unpacked(nibbles: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], count: int) -> Float32:
    """The first `count` nibbles of each row."""
    return np.stack([nibbles & 15, nibbles >> 4], -1).reshape(len(nibbles), -1)[:, :count].astype(np.float32)


@SYMMETRIC
@BLOCK_SIZE
@pytest.mark.parametrize("columns", [128, 256, 200, 24])
def test_the_grid_is_onnxruntimes(block_size: int, symmetric: bool, columns: int) -> None:
    weight = heavy_tailed(24, columns)
    grid = plain_grid(columns_of(weight, block_size), symmetric)
    theirs = onnxruntime_q4(weight, block_size, symmetric)
    np.testing.assert_array_equal(grid.scale.astype(np.float16), theirs.scales.reshape(-1))
    if theirs.zero_points is None:
        assert (grid.zero == 8).all()
    else:
        np.testing.assert_array_equal(
            grid.zero, unpacked(theirs.zero_points, theirs.scales.shape[1]).reshape(-1)
        )


@SYMMETRIC
@BLOCK_SIZE
def test_where_float16_holds_the_scale_the_steps_are_onnxruntimes(block_size: int, symmetric: bool) -> None:
    random = np.random.default_rng(4)
    rows, blocks = 24, 512 // block_size
    scales = (random.integers(64, 128, (rows, blocks, 1)) * 2.0**-12).astype(np.float32)  # 7 bits: exact
    weight = random.uniform(-8, 7, (rows, blocks, block_size)).astype(np.float32) * scales
    weight[:, :, :1], weight[:, :, 1:2] = -8 * scales, 7 * scales
    weight = weight.reshape(rows, -1)
    values = columns_of(weight, block_size)
    grid = plain_grid(values, symmetric).stored()
    np.testing.assert_array_equal(grid.scale, scales.reshape(-1))
    codes = nearest_steps(values, grid, np.empty_like(values)) + grid.zero
    theirs = onnxruntime_q4(weight, block_size, symmetric)
    np.testing.assert_array_equal(codes.T, unpacked(theirs.codes.reshape(len(codes.T), -1), block_size))


@SYMMETRIC
def test_opposite_extremes_of_one_size(symmetric: bool) -> None:
    weight = np.array([[1, -1, 0.5, 0] * 4, [-1, 1, -0.5, 0] * 4], np.float32)
    scale = plain_grid(columns_of(weight, 16), symmetric).scale.astype(np.float16)
    np.testing.assert_array_equal(scale, onnxruntime_q4(weight, 16, symmetric).scales.reshape(-1))
    if symmetric:
        assert scale.tolist() == [0.125, 0.125]  # the negative one is kept exactly


@SYMMETRIC
def test_a_block_of_zeros_has_the_scale_zero(symmetric: bool) -> None:
    scale = plain_grid(np.zeros((16, 3), np.float32), symmetric).scale
    assert scale.tolist() == [0, 0, 0]
    assert not np.signbit(scale).any()
