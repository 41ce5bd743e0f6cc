"""The bytes of a weight as the page's kernels read them; nothing about files.

A part holds some rows of one tensor, little endian. Vectors are f32. Linears are padded to 8 elements a row,
so that a row starts on a vec4 edge in either float type; convolutions become linears with the taps outermost
in k. A q4 part has three sections (codes, scales, zero points), each starting on SECTION_BYTES. The embedding
is not padded: its rows are read one by one from the store and never reach the GPU.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kleinbild.errors import KleinbildError
from kleinbild.weights import Q4, SYMMETRIC_ZERO_POINT, ByteArray, FloatArray, Weight

SECTION_BYTES = 256
ROW_ELEMENTS = 8
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
        """How a weight is stored: vectors as f32, anything else in the type that it has.

        Raises KleinbildError (to follow the tensor's name) for a type that its kind cannot be stored in.
        """
        if isinstance(weight, Q4):
            if kind != "linear":
                raise KleinbildError(f"is a {kind} in 4 bits; only linear weights may be quantised")
            return Storage(kind, weight.shape, "q4", weight.block_size, weight.zero_points is not None)
        if kind == "vector":
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
        padded = self.kind in ("linear", "conv")
        stride = round_up(self.columns, ROW_ELEMENTS) if padded else self.columns
        return rows * stride * FLOAT_TYPES[self.format].itemsize

    def _q4_sections(self, rows: int) -> list[int]:
        blocks = -(-self.columns // self.block_size)
        sections = [rows * blocks * self.block_size // 2, rows * round_up(blocks, 2) * 2]
        return [*sections, rows * round_up(blocks, 8) // 2] if self.zero_points else sections


def encode_part(kind: str, weight: Weight, row_start: int, row_count: int) -> bytes:
    """The bytes of rows [row_start, row_start + row_count) of `weight`.

    Raises KleinbildError (to follow the tensor's name) for NaN, infinities, and scales too large for float16.
    """
    rows = slice(row_start, row_start + row_count)
    if isinstance(weight, Q4):
        return _encode_q4(weight, rows)
    dtype = FLOAT_TYPES[Storage.of(kind, weight).format]
    values = _finite(weight.array[rows])
    if kind in ("vector", "embedding"):
        return bytes(values.astype(dtype).data)
    if kind == "conv":
        values = values.transpose(0, 2, 3, 1)
    values = values.reshape(row_count, -1)
    return _pad_columns(values.astype(dtype, copy=False), round_up(values.shape[1], ROW_ELEMENTS))


def _encode_q4(weight: Q4, rows: slice) -> bytes:
    codes, scales = weight.codes[rows], _finite(weight.scales[rows])
    blocks = scales.shape[1]
    with np.errstate(over="ignore"):
        half = _finite(scales.astype("<f2"))
    zeros = None if weight.zero_points is None else weight.zero_points[rows]
    codes = _neutral_padding(codes, zeros, weight.shape[1] % weight.block_size)
    sections = [codes.tobytes(), _pad_columns(half, round_up(blocks, 2))]
    if zeros is not None:
        if blocks % 2:
            zeros = zeros.copy()
            zeros[:, -1] &= 15
        sections.append(_pad_columns(zeros, round_up(blocks, 8) // 2))
    head = b"".join(s + bytes(round_up(len(s), SECTION_BYTES) - len(s)) for s in sections[:-1])
    return head + sections[-1]


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


def _pad_columns(values: npt.NDArray[np.generic], columns: int) -> bytes:
    padded = np.zeros((len(values), columns), values.dtype)
    padded[:, : values.shape[1]] = values
    return padded.tobytes()


def _finite(array: FloatArray) -> FloatArray:
    if not np.isfinite(array).all():
        raise KleinbildError("holds NaN or infinite values, or scales too large for float16")
    return array
