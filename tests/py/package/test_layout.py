"""The byte layout of parts, decoded here by plain loops that share nothing with the encoder."""

from __future__ import annotations

import math
import struct

import numpy as np
import numpy.typing as npt
import pytest

from kleinbild.errors import KleinbildError
from kleinbild.package.layout import PIECE_BYTES, Storage, encode_part
from kleinbild.weights import Q4, Dense, FloatArray, Weight, dequantise


def encoded(kind: str, weight: Weight, row_start: int, row_count: int) -> bytes:
    """The part's bytes, in a buffer of exactly their number."""
    out = np.zeros(Storage.of(kind, weight).part_bytes(row_count), np.uint8)
    encode_part(kind, weight, row_start, row_count, out)
    return out.tobytes()


def random(shape: tuple[int, ...], dtype: str) -> FloatArray:
    values: FloatArray = np.random.default_rng(len(shape)).standard_normal(shape).astype(dtype)
    return values


def random_q4(rows: int, columns: int, block: int, zero_points: bool, scale_type: str = "float16") -> Q4:
    generator = np.random.default_rng(rows * columns + block)
    blocks = math.ceil(columns / block)
    codes = generator.integers(0, 256, (rows, blocks, block // 2), np.uint8)
    scales = generator.uniform(0.01, 1, (rows, blocks)).astype(scale_type)
    zeros = generator.integers(0, 256, (rows, math.ceil(blocks / 2)), np.uint8) if zero_points else None
    return Q4((rows, columns), block, codes, scales, zeros)


def nibble(data: bytes, index: int) -> int:
    return data[index // 2] >> (4 * (index % 2)) & 15


def decode_q4(data: bytes, rows: int, columns: int, block: int, zero_points: bool) -> npt.NDArray[np.float32]:
    """Every value of a part, padding columns included, from the words of the contract."""
    blocks = math.ceil(columns / block)
    width = blocks * block
    stride = math.ceil(rows / 8) * 8
    scales_at = math.ceil(stride * width / 2 / 256) * 256
    zeros_at = math.ceil((scales_at + stride * blocks * 2) / 256) * 256
    end = zeros_at + stride * blocks // 2 if zero_points else scales_at + stride * blocks * 2
    assert len(data) == end
    values = np.empty((rows, width), np.float32)
    for n in range(rows):
        for k in range(width):
            (word,) = struct.unpack_from("<I", data, 4 * ((k // 8 * (stride // 4) + n // 4) * 4 + k % 8 // 2))
            code = word >> (16 * (k % 2) + 4 * (n % 4)) & 15
            (scale,) = struct.unpack_from("<e", data, scales_at + 2 * (k // block * stride + n))
            zero = nibble(data[zeros_at:], k // block * stride + n) if zero_points else 8
            values[n, k] = np.float32(code - zero) * np.float32(scale)
    return values


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_vector_is_float32(dtype: str) -> None:
    weight = Dense(random((37,), dtype))
    assert Storage.of("vector", weight) == Storage("vector", (37,), "f32", 0, False)
    data = encoded("vector", weight, 0, 37)
    assert struct.unpack("<37f", data) == tuple(weight.array.astype(np.float32))
    assert Storage.of("vector", weight).part_bytes(37) == len(data) == 148


@pytest.mark.parametrize(("dtype", "letter", "format_"), [("float32", "f", "f32"), ("float16", "e", "f16")])
@pytest.mark.parametrize("count", [1, 7, 8, 13])
def test_linear_has_k_outermost_and_columns_padded_to_eight(
    dtype: str, letter: str, format_: str, count: int
) -> None:
    weight = Dense(random((count + 2, 5), dtype))
    storage = Storage.of("linear", weight)
    assert storage.format == format_
    data = encoded("linear", weight, 1, count)
    stride = math.ceil(count / 8) * 8
    assert len(data) == storage.part_bytes(count) == 5 * stride * struct.calcsize(letter)
    values = struct.unpack(f"<{5 * stride}{letter}", data)
    for k in range(5):
        row = values[k * stride : (k + 1) * stride]
        assert row == (*weight.array[1 : count + 1, k], *[0] * (stride - count))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_linear_that_lies_with_k_outermost_gives_the_same_bytes(dtype: str) -> None:
    array = random((67, 5), dtype)
    lying = Dense(np.asfortranarray(array))
    for start, count in ((0, 67), (3, 40)):
        assert encoded("linear", lying, start, count) == encoded("linear", Dense(array), start, count)


@pytest.mark.parametrize("shape", [(4, 3, 3, 3), (2, 16, 1, 1), (1, 5, 2, 4)])
def test_convolution_has_taps_outermost(shape: tuple[int, int, int, int]) -> None:
    weight = Dense(random(shape, "float32"))
    out_channels, in_channels, height, width = shape
    data = encoded("conv", weight, 0, out_channels)
    stride = math.ceil(height * width * in_channels / 8) * 8
    assert len(data) == Storage.of("conv", weight).part_bytes(out_channels) == 4 * out_channels * stride
    for o, i, y, x in np.ndindex(shape):
        k = (y * width + x) * in_channels + i
        assert struct.unpack_from("<f", data, 4 * (o * stride + k)) == (weight.array[o, i, y, x],)


def test_embedding_rows_are_not_padded() -> None:
    weight = Dense(random((6, 5), "float16"))
    data = encoded("embedding", weight, 2, 3)
    assert data == weight.array[2:5].astype("<f2").tobytes()
    assert Storage.of("embedding", weight).part_bytes(3) == len(data) == 30


@pytest.mark.parametrize("zero_points", [True, False])
@pytest.mark.parametrize(
    ("rows", "columns", "block"),
    [(3, 64, 32), (5, 70, 16), (2, 33, 16), (1, 16, 16), (4, 300, 128), (9, 144, 16), (7, 257, 64)],
)
def test_q4_sections(rows: int, columns: int, block: int, zero_points: bool) -> None:
    weight = random_q4(rows, columns, block, zero_points)
    data = encoded("linear", weight, 0, rows)
    assert Storage.of("linear", weight).part_bytes(rows) == len(data)
    values = decode_q4(data, rows, columns, block, zero_points)
    np.testing.assert_array_equal(values[:, :columns], dequantise(weight))
    assert not values[:, columns:].any(), "padding weighs something"


def test_codes_of_many_pieces_are_where_those_of_one_are() -> None:
    """Rows are rearranged piece by piece; here the last piece is short and no multiple of four rows."""
    columns = PIECE_BYTES // 8
    rows = 2 * 16 + 11
    weight = random_q4(rows, columns, 128, zero_points=False)
    words = np.frombuffer(encoded("linear", weight, 0, rows), "<u4", columns * 48 // 8)
    codes = np.stack([weight.codes & 15, weight.codes >> 4], -1).reshape(rows, columns)
    n, k = np.mgrid[:rows, :columns]
    found = words.reshape(-1, 12, 4)[k // 8, n // 4, k % 8 // 2] >> (16 * (k % 2) + 4 * (n % 4)) & 15
    np.testing.assert_array_equal(found, codes)


@pytest.mark.parametrize("zero_points", [True, False])
def test_q4_row_splits_hold_their_rows(zero_points: bool) -> None:
    weight = random_q4(11, 50, 16, zero_points)
    whole = dequantise(weight)
    for start, count in [(0, 4), (4, 6), (10, 1)]:
        data = encoded("linear", weight, start, count)
        values = decode_q4(data, count, 50, 16, zero_points)
        np.testing.assert_array_equal(values[:, :50], whole[start : start + count])


def test_encoding_leaves_the_weight_alone() -> None:
    weight = random_q4(3, 33, 16, zero_points=True)
    before = weight.codes.copy()
    encoded("linear", weight, 0, 3)
    np.testing.assert_array_equal(weight.codes, before)


def test_zero_points_beyond_the_last_block_are_left_out() -> None:
    weight = random_q4(1, 48, 16, zero_points=True)
    zeros = np.array([[0x21, 0xF3]], np.uint8)
    data = encoded("linear", Q4(weight.shape, 16, weight.codes, weight.scales, zeros), 0, 1)
    assert data[256:][256:] == b"".join(bytes([zero, 0, 0, 0]) for zero in (1, 2, 3))


def test_float32_scales_become_float16() -> None:
    weight = random_q4(2, 32, 32, zero_points=False, scale_type="float32")
    data = encoded("linear", weight, 0, 2)
    assert data[256:] == np.pad(weight.scales.astype("<f2").T, ((0, 0), (0, 6))).tobytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(bad: float) -> None:
    for kind, shape in [("vector", (4,)), ("linear", (2, 2)), ("embedding", (2, 2)), ("conv", (1, 1, 1, 1))]:
        with pytest.raises(KleinbildError, match="holds NaN"):
            encoded(kind, Dense(np.full(shape, bad, np.float32)), 0, shape[0])


def test_scales_beyond_float16_are_refused() -> None:
    weight = random_q4(1, 16, 16, zero_points=False)
    large = Q4(weight.shape, 16, weight.codes, np.full((1, 1), 1e6, np.float32), None)
    with pytest.raises(KleinbildError, match="too large for float16"):
        encoded("linear", large, 0, 1)


def test_types_without_a_format_are_refused() -> None:
    with pytest.raises(KleinbildError, match="float64"):
        Storage.of("linear", Dense(np.zeros((2, 2))))
    with pytest.raises(KleinbildError, match="embedding in 4 bits"):
        Storage.of("embedding", random_q4(2, 16, 16, zero_points=False))
