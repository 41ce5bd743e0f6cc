"""ONNX Runtime's own 4-bit quantiser and what a grid costs: what kleinbild.quantise is held against."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from onnxruntime.capi._pybind_state import quantize_matmul_4bits

from kleinbild.quantise.plain import plain_grid
from kleinbild.weights import Q4, dequantise

Float32 = npt.NDArray[np.float32]


def heavy_tailed(rows: int, columns: int, seed: int = 0) -> Float32:
    """Weights with outliers (Student t, 4 degrees of freedom)."""
    return np.random.default_rng(seed).standard_t(4, (rows, columns)).astype(np.float32)


def onnxruntime_q4(weight: Float32, block_size: int, symmetric: bool) -> Q4:
    """`weight` by ONNX Runtime's quantiser, its float32 scales then rounded to float16."""
    rows, columns = weight.shape
    blocks = -(-columns // block_size)
    codes = np.zeros((rows, blocks, block_size // 2), np.uint8)
    scales = np.zeros(rows * blocks, np.float32)
    zeros = np.zeros(rows * ((blocks + 1) // 2), np.uint8)
    transposed = np.ascontiguousarray(weight.T)
    quantize_matmul_4bits(codes, transposed, scales, zeros, block_size, rows, columns, symmetric)
    zero_points = None if symmetric else zeros.reshape(rows, -1)
    return Q4(
        (rows, columns), block_size, codes, scales.reshape(rows, blocks).astype(np.float16), zero_points
    )


def in_blocks(weight: npt.NDArray[np.floating], block_size: int) -> npt.NDArray[np.float64]:
    """`weight` [N, K], zeros past K, as [N, blocks, block_size] in float64."""
    rows, columns = weight.shape
    padded = np.zeros((rows, -(-columns // block_size) * block_size))
    padded[:, :columns] = weight
    return padded.reshape(rows, -1, block_size)


def block_errors(weight: Float32, q4: Q4) -> npt.NDArray[np.float64]:
    """Squared error of each block, [rows, blocks]."""
    difference = dequantise(q4).astype(np.float64) - weight
    errors: npt.NDArray[np.float64] = (in_blocks(difference, q4.block_size) ** 2).sum(-1)
    return errors


def plain_errors(weight: Float32, block_size: int, symmetric: bool) -> npt.NDArray[np.float64]:
    """Squared error of each block by the plain rule: its grid as stored, and the nearest codes under it."""
    blocks = in_blocks(weight, block_size)
    columns = np.ascontiguousarray(blocks.reshape(-1, block_size).T.astype(np.float32))
    grid = plain_grid(columns, symmetric).stored()
    scale, zero = (
        value.astype(np.float64).reshape(*blocks.shape[:2], 1, 1) for value in (grid.scale, grid.zero)
    )
    values = scale * (np.arange(16) - zero)
    errors: npt.NDArray[np.float64] = ((values - blocks[..., None]) ** 2).min(-1).sum(-1)
    return errors


def relative_rms(weight: Float32, q4: Q4) -> float:
    """Root mean square error over root mean square value."""
    square = np.square(weight, dtype=np.float64).sum()
    return float(np.sqrt(block_errors(weight, q4).sum() / square))
