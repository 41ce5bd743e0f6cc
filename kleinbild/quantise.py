"""float32 linears [N, K] -> 4-bit blocks (weights.Q4), by ONNX Runtime's own round-to-nearest rule.

`_grid` chooses scale and zero point of each block by ONNX Runtime's rule: symmetric, the value of largest
magnitude over -8 with zero point 8 (so scales may be negative); asymmetric, the range widened to hold 0, in
15 steps, with a 4-bit zero point. One thing differs on purpose. Scales are stored as float16, and ONNX
Runtime picks the codes before that rounding; here each code is the one nearest to its value under the scale
that is stored, so no block is ever worse than the plain rule. A search for better scales (numerics: 0.4 to
0.7 dB) would replace `_grid` alone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kleinbild.errors import KleinbildError
from kleinbild.weights import BLOCK_SIZES, Q4, SYMMETRIC_ZERO_POINT, ByteArray

CODE_MAX = 15
CHUNK_ELEMENTS = 1 << 22

Float32 = npt.NDArray[np.float32]


def quantise(weight: Float32, block_size: int, symmetric: bool) -> Q4:
    """`weight`, finite float32 [N, K], in blocks of `block_size` along K; the last block may be short.

    Codes past K dequantise to zero. Raises ValueError for an empty weight, another rank or block size,
    KleinbildError when a block is too large for a float16 scale.
    """
    if weight.ndim != 2 or 0 in weight.shape or block_size not in BLOCK_SIZES:
        raise ValueError(f"cannot quantise {weight.shape} in blocks of {block_size}")
    rows, columns = weight.shape
    blocks = -(-columns // block_size)
    codes = np.empty((rows, blocks, block_size // 2), np.uint8)
    scales = np.empty((rows, blocks), np.float16)
    # An odd number of blocks leaves a nibble over; it holds 8, as in ONNX Runtime.
    zeros = np.full((rows, blocks + blocks % 2), SYMMETRIC_ZERO_POINT, np.uint8)
    step = max(1, CHUNK_ELEMENTS // (blocks * block_size))
    for first in range(0, rows, step):
        part = slice(first, min(first + step, rows))
        padded = np.zeros((part.stop - first, blocks * block_size), np.float32)
        padded[:, :columns] = weight[part]
        values = padded.reshape(-1, blocks, block_size)
        exact_scales, zeros[part, :blocks] = _grid(values, symmetric)
        scales[part] = _to_float16(exact_scales)
        codes[part] = _pack(_nearest_codes(values, scales[part].astype(np.float32), zeros[part, :blocks]))
    return Q4((rows, columns), block_size, codes, scales, None if symmetric else _pack(zeros))


def _grid(values: Float32, symmetric: bool) -> tuple[Float32, ByteArray]:
    """Scale (float32) and zero point (uint8), both [rows, blocks], of `values` [rows, blocks, block_size]."""
    low = np.minimum(values.min(-1), 0)
    high = np.maximum(values.max(-1), 0)
    if symmetric:
        scale = np.where(high > -low, high, low) / np.float32(-SYMMETRIC_ZERO_POINT)
        return scale + np.float32(0), np.full(scale.shape, SYMMETRIC_ZERO_POINT, np.uint8)
    with np.errstate(over="ignore"):  # a range beyond float32 is refused as too large for float16
        scale = (high - low) / np.float32(CODE_MAX)
    zero = np.zeros_like(scale)
    np.divide(-low, scale, out=zero, where=scale != 0)
    return scale, np.clip(_round_half_away(zero), 0, CODE_MAX).astype(np.uint8)


def _nearest_codes(values: Float32, scales: Float32, zeros: ByteArray) -> ByteArray:
    """The codes, uint8 [rows, blocks, block_size], nearest to `values` under `scales` and `zeros`."""
    steps = np.zeros_like(values)
    scale = scales[:, :, None]
    np.divide(values, scale, out=steps, where=scale != 0)
    codes: ByteArray = np.clip(_round_half_away(steps) + zeros[:, :, None], 0, CODE_MAX).astype(np.uint8)
    return codes


def _round_half_away(values: Float32) -> Float32:
    """C's roundf, which ONNX Runtime uses."""
    return np.copysign(np.floor(np.abs(values) + np.float32(0.5)), values)


def _to_float16(scales: Float32) -> npt.NDArray[np.float16]:
    with np.errstate(over="ignore"):
        rounded = scales.astype(np.float16)
    if not np.isfinite(rounded).all():
        raise KleinbildError(
            f"a block of weights needs the scale {np.abs(scales).max():g}, which float16 cannot hold; "
            "export with --weights f32"
        )
    return rounded


def _pack(nibbles: ByteArray) -> ByteArray:
    """Two 4-bit values a byte along the last axis, low nibble first."""
    packed: ByteArray = nibbles[..., 0::2] | (nibbles[..., 1::2] << np.uint8(4))
    return packed
