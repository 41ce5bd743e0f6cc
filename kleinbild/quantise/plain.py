"""ONNX Runtime's own round-to-nearest rule for the grid of a block, which a search starts from.

Symmetric: the value of largest magnitude over -8 with zero point 8, so scales may be negative. Asymmetric:
the range, widened to hold 0, in 15 steps, with a 4-bit zero point.
"""

from __future__ import annotations

import numpy as np

from kleinbild.quantise.blocks import CODE_MAX, Float32, Grid
from kleinbild.weights import SYMMETRIC_ZERO_POINT


def plain_grid(blocks: Float32, symmetric: bool) -> Grid:
    """The grid of `blocks`, float32 [block_size, n], before its scales are stored as float16."""
    low = np.minimum(blocks.min(0), 0)
    high = np.maximum(blocks.max(0), 0)
    if symmetric:
        scale = np.where(high > -low, high, low) / np.float32(-SYMMETRIC_ZERO_POINT)
        # + 0: the scale of a block of zeros is not -0
        return Grid(scale + np.float32(0), np.full_like(scale, SYMMETRIC_ZERO_POINT))
    with np.errstate(over="ignore"):  # a range beyond float32 is refused as too large for float16
        scale = (high - low) / np.float32(CODE_MAX)
    zero = np.zeros_like(scale)
    np.divide(-low, scale, out=zero, where=scale != 0)
    # C's roundf, which ONNX Runtime uses: halves away from zero.
    return Grid(scale, np.minimum(np.floor(zero + np.float32(0.5)), np.float32(CODE_MAX)))
