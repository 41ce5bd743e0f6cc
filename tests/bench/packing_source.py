"""A model that costs nothing to read: true shapes, weights cut from one pool of quantised random numbers.

For measuring how fast weights are packaged and how small they become, without a disk and without quantising
billions of them. The pool's blocks are those of real quantising, in an order that repeats nothing within the
reach of gzip; dense weights are rounded to bfloat16 first, as published ones are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kleinbild.canonical import expected_tensors
from kleinbild.config import ModelConfig
from kleinbild.notice import Notice
from kleinbild.quantise import quantise
from kleinbild.suggestions import Suggestions
from kleinbild.weights import Q4, Dense, Weight

DISTRIBUTIONS = ("gauss", "laplace", "t5")
# Linears that an export keeps in 4 bits: those of layers and blocks.
_QUANTISED = re.compile(r"(model\.layers|transformer_blocks|single_transformer_blocks)\.")
# A prime: however a tensor is transposed, what is cut from the pool repeats itself nowhere near.
_DRAWN = 2_097_143
_DEVIATION = 0.02

Float32 = npt.NDArray[np.float32]


@dataclass
class PackingSource:
    """What package_model asks of a model; the same tensors for the same arguments, in the order of asking."""

    config: ModelConfig
    tokenizer_folder: Path
    distribution: str
    block_size: int
    symmetric: bool
    name: str = "Packing benchmark"
    notice: Notice = field(default_factory=dict)
    suggestions: Suggestions = field(default_factory=Suggestions)
    weights_kind: str = "q4"
    read_bytes: int = 0
    _cursor: int = 0
    _dense: npt.NDArray[np.float16] = field(init=False)
    _pool: Q4 = field(init=False)

    def __post_init__(self) -> None:
        values = random_weights(self.distribution)
        self._dense = values.astype(np.float16)
        rows = values[: len(values) // self.block_size * self.block_size].reshape(-1, self.block_size)
        blocks = quantise(rows, self.block_size, self.symmetric)
        specs = [spec for specs in expected_tensors(self.config).values() for spec in specs.values()]
        largest = max(math.prod(spec.shape) for spec in specs if spec.kind == "linear")
        count = 2 * (largest // self.block_size + 1)
        order = np.random.default_rng(1).integers(0, len(blocks.codes), count)
        points = blocks.zero_points
        self._pool = Q4(
            (count, self.block_size),
            self.block_size,
            blocks.codes[order, 0],
            blocks.scales[order, 0],
            None if points is None else (points[order[0::2], 0] & 15) | points[order[1::2], 0] << 4,
        )

    def tensor(self, stage: str, name: str) -> Weight:
        """A weight of the right shape, cut from the pool at another place each time."""
        spec = expected_tensors(self.config)[stage][name]
        if spec.kind == "linear" and _QUANTISED.match(name):
            weight = self._quantised(spec.shape[0], spec.shape[1])
            points = 0 if weight.zero_points is None else weight.zero_points.nbytes
            self.read_bytes += weight.codes.nbytes + weight.scales.nbytes + points
            return weight
        self._cursor += 12_345
        size = math.prod(spec.shape)
        start = self._cursor % max(1, _DRAWN - size)
        array = np.resize(self._dense[start : start + min(size, _DRAWN)], spec.shape)
        self.read_bytes += array.nbytes
        return Dense(array)

    def _quantised(self, rows: int, columns: int) -> Q4:
        blocks = -(-columns // self.block_size)
        count = rows * blocks
        self._cursor = (self._cursor + 9_876) % (len(self._pool.codes) - count) // 2 * 2
        cut = slice(self._cursor, self._cursor + count)
        points = self._pool.zero_points
        if points is not None:
            start = self._cursor // 2
            points = np.resize(points[start : start + rows * -(-blocks // 2)], (rows, -(-blocks // 2)))
        return Q4(
            (rows, columns),
            self.block_size,
            self._pool.codes[cut].reshape(rows, blocks, -1),
            self._pool.scales[cut].reshape(rows, blocks),
            points,
        )


def random_weights(distribution: str) -> Float32:
    """Float32 [_DRAWN], rounded to bfloat16, drawn from one of DISTRIBUTIONS."""
    generator = np.random.default_rng(0)
    draw: dict[str, Callable[[], npt.NDArray[np.float64]]] = {
        "gauss": lambda: generator.standard_normal(_DRAWN),
        "laplace": lambda: generator.laplace(size=_DRAWN),
        "t5": lambda: generator.standard_t(5, _DRAWN),
    }
    bits = (draw[distribution]() * _DEVIATION).astype(np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return rounded.view(np.float32)
