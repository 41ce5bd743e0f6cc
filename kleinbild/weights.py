"""A weight on its way from checkpoint to shard: dense, or 4-bit in ONNX Runtime's MatMulNBits layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
ByteArray = npt.NDArray[np.uint8]

BLOCK_SIZES = (16, 32, 64, 128)
SYMMETRIC_ZERO_POINT = 8
HALF_MAGNITUDE, HALF_INFINITY = np.uint16(0x7FFF), 0x7C00
CACHED_ELEMENTS = 1 << 17


@dataclass(frozen=True)
class Dense:
    """An array in float32 or float16; a linear is [N out, K in], a convolution [O, I, kh, kw]."""

    array: FloatArray

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        return self.array.shape


@dataclass(frozen=True)
class Q4:
    """A linear [N, K] in 4 bits: value[n, k] = (code - zero point) * scale, one scale a row and block of K.

    With B = ceil(K/block): codes uint8 [N, B, block/2], low nibble = even k; scales float16 or float32
    [N, B]; zero_points uint8 [N, ceil(B/2)], low nibble = even block, or None: 8 everywhere.
    """

    shape: tuple[int, int]
    block_size: int
    codes: ByteArray
    scales: FloatArray
    zero_points: ByteArray | None


Weight = Dense | Q4


def all_finite(array: FloatArray) -> bool:
    """Whether no value of a float16 or float32 array is NaN or infinite."""
    flat = array.ravel(order="K")  # in the order of memory, so that it is no copy
    pieces = (flat[start : start + CACHED_ELEMENTS] for start in range(0, flat.size, CACHED_ELEMENTS))
    if flat.dtype == np.float16:
        # by the bits: numpy's own test of halves is eight times slower
        return all(int((piece.view(np.uint16) & HALF_MAGNITUDE).max()) < HALF_INFINITY for piece in pieces)
    return all(bool(np.isfinite(piece).all()) for piece in pieces)


def dequantise(weight: Q4) -> npt.NDArray[np.float32]:
    """`weight` as float32 [N, K] (the arithmetic of ONNX Runtime's MatMulNBits)."""
    rows, columns = weight.shape
    blocks = weight.codes.shape[1]
    codes = np.stack([weight.codes & 15, weight.codes >> 4], -1).reshape(rows, blocks, weight.block_size)
    if weight.zero_points is None:
        zeros = np.full((rows, blocks), SYMMETRIC_ZERO_POINT, np.float32)
    else:
        nibbles = np.stack([weight.zero_points & 15, weight.zero_points >> 4], -1).reshape(rows, -1)
        zeros = nibbles[:, :blocks].astype(np.float32)
    values = (codes.astype(np.float32) - zeros[:, :, None]) * weight.scales.astype(np.float32)[:, :, None]
    return np.ascontiguousarray(values.reshape(rows, -1)[:, :columns])
