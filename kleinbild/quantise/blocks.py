"""What quantising in 4 bits means for many blocks at once; the rule that chooses a grid is not here.

A chunk of blocks is `Blocks`: float32 [block_size, n], a block a column, so that every operation runs along
rows of n and every sum over a block adds whole rows. A grid is a scale and a zero point a block; value
scale * u stands at step u = code - zero, -zero <= u <= 15 - zero. Sums are plain additions in the order of
the rows: the same on every machine and wherever in a chunk a block stands.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

CODE_MAX = 15

Float32 = npt.NDArray[np.float32]


class Grid:
    """Scale and zero point of each block, float32 [n]; zero points are whole numbers from 0 to 15."""

    def __init__(self, scale: Float32, zero: Float32) -> None:
        self.scale = scale
        self.zero = zero

    def stored(self) -> Grid:
        """The grid with its scales as float16 keeps them (infinite when too large for it)."""
        with np.errstate(over="ignore"):
            return Grid(self.scale.astype(np.float16).astype(np.float32), self.zero)


def nearest_steps(blocks: Float32, grid: Grid, out: Float32) -> Float32:
    """The step nearest to each value, into `out` (as `blocks`) and returned; 0 where the scale is 0."""
    # Where a scale is 0 every step stands for 0. A divisor of infinity gives step 0.
    np.divide(blocks, np.where(grid.scale == 0, np.float32(np.inf), grid.scale), out=out)
    np.rint(out, out=out)
    np.minimum(out, np.float32(CODE_MAX) - grid.zero, out=out)
    return np.maximum(out, -grid.zero, out=out)


def squared_errors(blocks: Float32, steps: Float32, scale: Float32, work: Float32) -> Float32:
    """Sum of (value - scale * step)^2 of each block, float32 [n]; `work` is overwritten.

    With a scale that float16 holds the product is exact, so a sum is off by rounding of the additions alone.
    """
    np.multiply(steps, scale, out=work)
    np.subtract(blocks, work, out=work)
    return dot(work, work, work)


def dot(a: Float32, b: Float32, work: Float32) -> Float32:
    """Sum of a * b of each block, float32 [n]; `work` is overwritten and may be `b`."""
    np.multiply(a, b, out=work)
    total: Float32 = np.add.reduce(work, axis=0)
    return total
