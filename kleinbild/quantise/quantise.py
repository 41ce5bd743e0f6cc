"""A whole linear in 4-bit blocks: chunks that fit a core's cache, a few threads, ONNX Runtime's packing.

numpy lets go of the interpreter inside its operations, so threads share the work. A chunk's place follows
from the weight's shape alone and blocks do not touch each other: any number of threads gives the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kleinbild.errors import KleinbildError
from kleinbild.quantise.blocks import Float32
from kleinbild.quantise.search import choose_grid
from kleinbild.weights import BLOCK_SIZES, Q4, SYMMETRIC_ZERO_POINT, ByteArray

# Four float32 arrays of this many values lie in a core's share of the cache; smaller ones cost calls.
CHUNK_ELEMENTS = 1 << 17
# What one thread takes at a time.
TASK_ELEMENTS = 1 << 20
MAX_THREADS = 8


@dataclass(frozen=True)
class Quantised:
    """A weight in 4 bits and what was lost: the sums of the squared errors and of the squared values."""

    weight: Q4
    squared_error: float
    squared_norm: float


def quantise(weight: Float32, block_size: int, symmetric: bool) -> Q4:
    """`quantise_measured` without the measure."""
    return quantise_measured(weight, block_size, symmetric).weight


def quantise_measured(
    weight: Float32, block_size: int, symmetric: bool, threads: int | None = None
) -> Quantised:
    """`weight`, finite float32 [N, K], in blocks of `block_size` along K; the last block may be short.

    Codes past K dequantise to zero. `threads`: as many as this process may use, if not given. Raises
    ValueError for an empty weight, another rank or block size, KleinbildError when a block is too large for
    a float16 scale.
    """
    if weight.ndim != 2 or 0 in weight.shape or block_size not in BLOCK_SIZES:
        raise ValueError(f"cannot quantise {weight.shape} in blocks of {block_size}")
    target = _Target.empty(weight.shape, block_size)
    rows = max(1, TASK_ELEMENTS // (target.blocks * block_size))
    starts = range(0, weight.shape[0], rows)
    workers = min(threads or _available_threads(), len(starts))

    def run(start: int) -> tuple[float, float]:
        return target.fill(weight, slice(start, min(start + rows, weight.shape[0])), symmetric)

    if workers == 1:
        sums: Sequence[tuple[float, float]] = [run(start) for start in starts]
    else:
        with ThreadPoolExecutor(workers) as pool:
            sums = list(pool.map(run, starts))
    errors, norms = zip(*sums, strict=True)
    return Quantised(target.weight(symmetric), sum(errors), sum(norms))


@dataclass(frozen=True)
class _Target:
    """The arrays of a Q4 in the making; zeros uint8 [N, blocks, and one more if odd], a byte each."""

    shape: tuple[int, int]
    block_size: int
    codes: ByteArray
    scales: npt.NDArray[np.float16]
    zeros: ByteArray

    @staticmethod
    def empty(shape: tuple[int, ...], block_size: int) -> _Target:
        rows, columns = shape
        blocks = -(-columns // block_size)
        return _Target(
            shape=(rows, columns),
            block_size=block_size,
            codes=np.empty((rows, blocks, block_size // 2), np.uint8),
            scales=np.empty((rows, blocks), np.float16),
            # An odd number of blocks leaves a nibble over; it holds 8, as in ONNX Runtime.
            zeros=np.full((rows, blocks + blocks % 2), SYMMETRIC_ZERO_POINT, np.uint8),
        )

    @property
    def blocks(self) -> int:
        """Blocks of a row."""
        return -(-self.shape[1] // self.block_size)

    def weight(self, symmetric: bool) -> Q4:
        """The finished weight."""
        zeros = None if symmetric else _pack(self.zeros)
        return Q4(self.shape, self.block_size, self.codes, self.scales, zeros)

    def fill(self, weight: Float32, rows: slice, symmetric: bool) -> tuple[float, float]:
        """Quantises `rows` of `weight`; the sums of squared errors and values."""
        size, columns = self.block_size, self.shape[1]
        values = weight[rows]
        if columns % size:
            values = np.pad(values, ((0, 0), (0, -columns % size)))
        values = values.reshape(-1, size)
        codes = self.codes[rows].reshape(len(values), -1)
        scales = self.scales[rows].reshape(-1)
        zeros = np.empty(len(values), np.uint8)
        error = norm = 0.0
        for first in range(0, len(values), CHUNK_ELEMENTS // size):
            part = slice(first, first + CHUNK_ELEMENTS // size)
            blocks = values[part].T.copy(order="C")
            chosen = choose_grid(blocks, symmetric)
            scales[part] = _float16(chosen.grid.scale)
            zeros[part] = chosen.grid.zero
            steps = chosen.steps
            steps += chosen.grid.zero
            codes[part] = _pack(steps.astype(np.uint8).T)
            error += float(chosen.errors.sum(dtype=np.float64))
            norm += float(np.square(blocks, out=blocks).sum(0).sum(dtype=np.float64))
        self.zeros[rows, : self.blocks] = zeros.reshape(-1, self.blocks)
        return error, norm


def _float16(scales: Float32) -> npt.NDArray[np.float16]:
    if not np.isfinite(scales).all():
        raise KleinbildError(
            "a block of weights needs a scale that float16 cannot hold; export with --weights f32"
        )
    return scales.astype(np.float16)


def _pack(nibbles: ByteArray) -> ByteArray:
    """Two 4-bit values a byte along the last axis, low nibble first."""
    packed: ByteArray = nibbles[..., 0::2] | (nibbles[..., 1::2] << np.uint8(4))
    return packed


def _available_threads() -> int:
    return min(len(os.sched_getaffinity(0)), MAX_THREADS)
