"""The search for the grid of least squared error, block by block.

Given the steps u of a block w, the best scale is <w, u> / <u, u>, and it leaves |w|^2 - <w, u>^2 / <u, u>. So
each candidate scale around the plain rule's is tried by the second term alone, and the best candidate's
least-squares scale is kept. Asymmetric grids also try the zero point that puts the middle of the block's
range in the middle of the grid. The result is what float16 stores, and it replaces the plain rule's grid
only where it leaves less, by more than rounding can feign.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kleinbild.quantise.blocks import (
    CODE_MAX,
    Float32,
    Grid,
    dot,
    nearest_steps,
    squared_errors,
)
from kleinbild.quantise.plain import plain_grid

# A symmetric block's largest value stands at step -8 by the plain rule; here at -8 over these factors.
SYMMETRIC_FACTORS = tuple(8 / d for d in np.linspace(5, 10, 12))
# Against the plain rule's scale; below 1 the ends of the range are clipped.
ASYMMETRIC_FACTORS = tuple(np.linspace(0.7, 1.06, 12))
# Below half of float16's smallest number a scale is stored as 0.
SCALE_MIN = np.float32(2.0**-25)
# Sums of up to 128 squares are good to 128 * 2^-24; a smaller gain is none.
LEAST_GAIN = np.float32(1 - 2.0**-14)


@dataclass
class Chosen:
    """The grid of each block, stored as float16 holds it, its steps [block_size, n] and squared error [n]."""

    grid: Grid
    steps: Float32
    errors: Float32


def choose_grid(blocks: Float32, symmetric: bool) -> Chosen:
    """The best grid found for each of `blocks`, finite float32 [block_size, n].

    Scales that float16 cannot hold come out infinite, with useless steps.
    """
    plain = plain_grid(blocks, symmetric)
    work, other = np.empty_like(blocks), np.empty_like(blocks)
    stored = plain.stored()
    with np.errstate(over="ignore", invalid="ignore"):
        steps = nearest_steps(blocks, stored, work)
        errors = squared_errors(blocks, steps, stored.scale, other)
        found = _search(blocks, plain, symmetric, work, other).stored()
        steps = nearest_steps(blocks, found, work)
        better = squared_errors(blocks, steps, found.scale, other) < errors * LEAST_GAIN
        grid = Grid(np.where(better, found.scale, stored.scale), np.where(better, found.zero, stored.zero))
        steps = nearest_steps(blocks, grid, work)
        return Chosen(grid, steps, squared_errors(blocks, steps, grid.scale, other))


def _search(blocks: Float32, plain: Grid, symmetric: bool, steps: Float32, work: Float32) -> Grid:
    """The candidate that explains most of each block, with its least-squares scale refitted once."""
    best = Grid(np.zeros_like(plain.scale), plain.zero)
    most = np.zeros_like(plain.scale)
    for tried in _symmetric(plain) if symmetric else _asymmetric(blocks, plain):
        fitted, explained = _fit(blocks, nearest_steps(blocks, tried, steps), work)
        better = explained > most
        np.copyto(most, explained, where=better)
        best = Grid(np.where(better, fitted, best.scale), np.where(better, tried.zero, best.zero))
    fitted, _ = _fit(blocks, nearest_steps(blocks, best, steps), work)
    return Grid(fitted, best.zero)


def _fit(blocks: Float32, steps: Float32, work: Float32) -> tuple[Float32, Float32]:
    """The least-squares scale of each block for `steps` (overwritten), and what it explains of |w|^2."""
    along = dot(blocks, steps, work)
    length: Float32 = np.maximum(dot(steps, steps, steps), np.float32(1))  # whole numbers: 0 or at least 1
    scale: Float32 = along / length
    return scale, along * scale


def _symmetric(plain: Grid) -> Iterator[Grid]:
    for factor in SYMMETRIC_FACTORS:
        yield Grid(plain.scale * np.float32(factor), plain.zero)


def _asymmetric(blocks: Float32, plain: Grid) -> Iterator[Grid]:
    middle = (np.maximum(blocks.max(0), 0) + np.minimum(blocks.min(0), 0)) / 2
    for factor in ASYMMETRIC_FACTORS:
        scale = np.maximum(plain.scale * np.float32(factor), SCALE_MIN)
        yield Grid(scale, np.clip(np.rint(np.float32(CODE_MAX / 2) - middle / scale), 0, CODE_MAX))
