"""The bytes of a weight as the page's kernels read them; nothing about files.

A part holds some rows of one tensor, little endian. Vectors are f32. A linear [N, K] is stored with k
outermost, so that a kernel's loads run along its columns n, padded to ROW_ELEMENTS columns: dense, a row of
columns for each k; q4, three sections, each starting on SECTION_BYTES: codes, one word for two k and four
columns (`_write_code_words`); scales (f16) and zero points (nibbles), a row of columns for each block of k. A
convolution is stored by rows, the taps outermost in k, a row padded to ROW_ELEMENTS. The embedding and tables
are not padded: their rows are read one by one from the store and are never weights of a kernel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kleinbild.errors import KleinbildError
from kleinbild.weights import Q4, SYMMETRIC_ZERO_POINT, ByteArray, FloatArray, Weight, all_finite

SECTION_BYTES = 256
ROW_ELEMENTS = 8
# Codes are rearranged in pieces of this size, so that what one step writes the next still finds in cache.
PIECE_BYTES = 768 * 1024
# Rows that are transposed at a time: a cache line of each column is then written at once.
TRANSPOSED_ROWS = 32
FLOAT_TYPES: dict[str, np.dtype[np.floating]] = {"f32": np.dtype("<f4"), "f16": np.dtype("<f2")}


def round_up(value: int, step: int) -> int:
    """The smallest multiple of `step` that is at least `value`."""
    return -(-value // step) * step


@dataclass(frozen=True)
class Storage:
    """How a tensor is stored; `shape` is canonical, its first axis is the rows that parts are cut along."""

    kind: str
    shape: tuple[int, ...]
    format: str
    block_size: int
    zero_points: bool

    @staticmethod
    def of(kind: str, weight: Weight) -> Storage:
        """How a weight is stored: vectors and tables as f32, anything else in the type that it has.

        Raises KleinbildError (to follow the tensor's name) for a type that its kind cannot be stored in.
        """
        if isinstance(weight, Q4):
            if kind != "linear":
                raise KleinbildError(f"is a {kind} in 4 bits; only linear weights may be quantised")
            return Storage(kind, weight.shape, "q4", weight.block_size, weight.zero_points is not None)
        if kind in ("vector", "table"):
            return Storage(kind, weight.shape, "f32", 0, False)
        for name, dtype in FLOAT_TYPES.items():
            if weight.array.dtype == dtype:
                return Storage(kind, weight.shape, name, 0, False)
        raise KleinbildError(f"has type {weight.array.dtype}; expected float32 or float16")

    @property
    def columns(self) -> int:
        """Elements of a row, without padding: kh*kw*I of a convolution, 1 of a vector."""
        return math.prod(self.shape[1:])

    def part_bytes(self, rows: int) -> int:
        """Bytes of a part of `rows` rows."""
        if self.format == "q4":
            *head, last = self._q4_sections(rows)
            return sum(round_up(section, SECTION_BYTES) for section in head) + last
        itemsize = FLOAT_TYPES[self.format].itemsize
        if self.kind == "linear":
            return self.columns * round_up(rows, ROW_ELEMENTS) * itemsize
        stride = round_up(self.columns, ROW_ELEMENTS) if self.kind == "conv" else self.columns
        return rows * stride * itemsize

    def _q4_sections(self, rows: int) -> list[int]:
        blocks = -(-self.columns // self.block_size)
        stride = round_up(rows, ROW_ELEMENTS)
        sections = [blocks * self.block_size * stride // 2, blocks * stride * 2]
        return [*sections, blocks * stride // 2] if self.zero_points else sections


def encode_part(kind: str, weight: Weight, row_start: int, row_count: int, out: ByteArray) -> None:
    """Writes rows [row_start, row_start + row_count) of `weight` to `out`.

    `out`: zeros, as many as Storage.part_bytes says. Raises KleinbildError (to follow the tensor's name) for
    NaN, infinities, and scales too large for float16.
    """
    rows = slice(row_start, row_start + row_count)
    if isinstance(weight, Q4):
        _encode_q4(weight, rows, out)
        return
    target = out.view(FLOAT_TYPES[Storage.of(kind, weight).format])
    values = _finite(weight.array[rows])
    if kind == "conv":
        values = values.transpose(0, 2, 3, 1)
    values = values.reshape(row_count, -1)
    if kind != "linear":
        target.reshape(row_count, -1)[:, : values.shape[1]] = values
        return
    columns = target.reshape(values.shape[1], -1)
    step = row_count if values.strides[0] == values.itemsize else TRANSPOSED_ROWS
    for first in range(0, row_count, step):
        piece = values[first : first + step]
        columns[:, first : first + len(piece)] = piece.T


def _encode_q4(weight: Q4, rows: slice, out: ByteArray) -> None:
    codes = weight.codes[rows]
    with np.errstate(over="ignore"):
        half = _finite(weight.scales[rows].astype("<f2"))
    zeros = None if weight.zero_points is None else weight.zero_points[rows]
    codes = _neutral_padding(codes, zeros, weight.shape[1] % weight.block_size)
    count, blocks = half.shape
    stride = round_up(count, ROW_ELEMENTS)
    end = codes[0].size * stride
    _write_code_words(codes.reshape(count, -1), out[:end])
    start = round_up(end, SECTION_BYTES)
    end = start + blocks * stride * 2
    out[start:end].view("<f2").reshape(blocks, stride)[:, :count] = half.T
    if zeros is not None:
        nibbles = np.zeros((blocks, stride), np.uint8)
        nibbles[0::2, :count] = (zeros & 15).T
        nibbles[1::2, :count] = (zeros >> 4).T[: blocks // 2]
        out[round_up(end, SECTION_BYTES) :] = (nibbles[:, 0::2] | nibbles[:, 1::2] << 4).reshape(-1)


def _write_code_words(codes: ByteArray, out: ByteArray) -> None:
    """Writes codes [n, k / 2] bytes, low nibble = even k, to `out` as words [k / 8, n / 4, 4].

    Word i of an octet of k and a quad of columns holds k = 2i in bits 0..15 and k = 2i + 1 in bits
    16..31, four bits a column: one shift and one mask give a kernel the two k of a column as the last
    bits of two halves.
    """
    count, pairs = codes.shape
    quads = round_up(count, ROW_ELEMENTS) // 4
    words = out.view("<u4").reshape(pairs // 4, quads, 4)
    step = max(1, PIECE_BYTES // (4 * pairs))
    for first in range(0, -(-count // 4), step):
        piece = codes[4 * first : 4 * (first + step)]
        if len(piece) % 4:
            piece = np.concatenate([piece, np.zeros((-len(piece) % 4, pairs), np.uint8)])
        columns = piece.reshape(-1, 4, pairs)
        bytes_of_word = np.empty((len(columns), pairs, 4), np.uint8)
        for byte, (one, two) in enumerate([(columns[:, 0], columns[:, 1]), (columns[:, 2], columns[:, 3])]):
            bytes_of_word[..., byte] = (one & 15) | two << 4
            bytes_of_word[..., byte + 2] = one >> 4 | (two & 240)
        octets = bytes_of_word.view("<u4").reshape(len(columns), pairs // 4, 4)
        words[:, first : first + len(columns)] = octets.transpose(1, 0, 2)


def _neutral_padding(codes: ByteArray, zeros: ByteArray | None, used: int) -> ByteArray:
    """`codes` with those past the last column equal to their block's zero point, so that they weigh nothing.

    `used`: columns in the last block, 0 when it is full.
    """
    if not used:
        return codes
    zero: ByteArray = np.full(len(codes), SYMMETRIC_ZERO_POINT, np.uint8)
    if zeros is not None:
        last = codes.shape[1] - 1
        zero = (zeros[:, last // 2] >> (4 * (last % 2))) & 15
    codes = codes.copy()
    if used % 2:
        codes[:, -1, used // 2] = (codes[:, -1, used // 2] & 15) | (zero << 4)
    codes[:, -1, (used + 1) // 2 :] = (zero | (zero << 4))[:, None]
    return codes


def _finite(array: FloatArray) -> FloatArray:
    if not all_finite(array):
        raise KleinbildError("holds NaN or infinite values, or scales too large for float16")
    return array
