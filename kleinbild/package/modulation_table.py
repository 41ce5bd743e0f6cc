"""What modulates the transformer at given timesteps, computed once by the packager instead of in every page.

Modulation depends on the timestep alone (numerics, 9.4), so a table of the usual timesteps stands for 170
million weights. It is computed in float64 from the weights as they are stored, dequantised where they are
quantised, and rounded once, to float32; the timestep embedding is the float32 arithmetic of
src_js/pipeline/timestep.js.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from kleinbild.canonical import MODULATION, TIMESTEP_EMBEDDER
from kleinbild.weights import Q4, Weight, dequantise

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

_CHUNK_ELEMENTS = 1 << 22


def timestep_embedding(sigma: float, channels: int) -> Float32:
    """Float32 [channels]: the cosines, then the sines, of the timestep 1000 `sigma`; `channels` is even."""
    half = channels // 2
    thousand = np.float32(1000)
    timestep = np.float32(sigma) * thousand / thousand * thousand
    exponents = np.float32(-math.log(10000)) * np.arange(half, dtype=np.float32) / np.float32(half)
    frequencies = np.exp(exponents.astype(np.float64)).astype(np.float32)
    angles = (timestep * frequencies).astype(np.float64)
    return np.concatenate([np.cos(angles), np.sin(angles)]).astype(np.float32)


def modulation_table(sigmas: Sequence[float], channels: int, weight: Callable[[str], Weight]) -> Float32:
    """Float32 [len(sigmas), modulation_columns]: a row of all modulation vectors for each sigma.

    `channels`: timestep_channels of the transformer. `weight`: a linear by its canonical name; one at a time
    is asked for and kept.
    """
    values = np.stack([timestep_embedding(sigma, channels) for sigma in sigmas]).astype(np.float64)
    for name in TIMESTEP_EMBEDDER:
        values = _silu(_linear(values, weight(name)))
    return np.concatenate([_linear(values, weight(name)) for name in MODULATION], axis=1).astype(np.float32)


def _silu(values: Float64) -> Float64:
    with np.errstate(over="ignore"):  # exp of a large number is infinity, and the quotient then rightly 0
        result: Float64 = values / (1 + np.exp(-values))
    return result


def _linear(values: Float64, weight: Weight) -> Float64:
    """`values` [rows, K] times `weight` [N, K] transposed; some rows of the weight at a time in float64."""
    count, columns = weight.shape
    result = np.empty((len(values), count))
    step = max(1, _CHUNK_ELEMENTS // columns)
    for first in range(0, count, step):
        part = _rows(weight, slice(first, first + step))
        result[:, first : first + step] = values @ part.T
    return result


def _rows(weight: Weight, rows: slice) -> Float64:
    if not isinstance(weight, Q4):
        return weight.array[rows].astype(np.float64)
    codes, scales = weight.codes[rows], weight.scales[rows].astype(np.float16)  # what layout.py stores
    zeros = None if weight.zero_points is None else weight.zero_points[rows]
    shape = (len(codes), weight.shape[1])
    return dequantise(Q4(shape, weight.block_size, codes, scales, zeros)).astype(np.float64)
