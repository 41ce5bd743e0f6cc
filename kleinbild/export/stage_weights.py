"""The weights of one stage as the graphs of a bundle hold them: 4 bits, float16 or float32.

A StageWeights declares canonical tensors in a GraphBuilder under their canonical names: dense linears
transposed to MatMul's [K, N], 4-bit linears as three initializers in MatMulNBits' layout, everything else in
its own shape. Each tensor is declared once. What is computed with them is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from kleinbild.canonical import TensorSpec
from kleinbild.errors import KleinbildError
from kleinbild.export.graph import MICROSOFT_DOMAIN, Array, GraphBuilder
from kleinbild.quantise import quantise

WeightFormat = Literal["q4", "f16", "f32"]

BITS = 4
ACCURACY_LEVEL = 4  # lets a runtime round activations to int8 blocks, as the published bundle does


class TensorSource(Protocol):
    """Where weights come from: an opened checkpoint."""

    @property
    def expected(self) -> dict[str, dict[str, TensorSpec]]:
        """Stage -> name -> TensorSpec."""

    def tensor(self, stage: str, name: str) -> npt.NDArray[np.float32]:
        """The canonical tensor, float32."""


@dataclass(frozen=True)
class WeightOptions:
    """How weights are stored; `block_size` and `symmetric` say something for q4 only."""

    weights: WeightFormat
    block_size: int
    symmetric: bool

    @property
    def real(self) -> np.dtype[np.floating]:  # type: ignore[type-arg]
        """dtype of activations and of every weight that is not in 4 bits."""
        return np.dtype(np.float32 if self.weights == "f32" else np.float16)


class StageWeights:
    """The tensors of `stage`, read from `source` when the graph's data is written."""

    def __init__(self, source: TensorSource, stage: str, options: WeightOptions) -> None:
        self.options = options
        self._source = source
        self._stage = stage
        self._specs = source.expected[stage]

    def declare(self, g: GraphBuilder, name: str) -> str:
        """Declares the tensor `name` in its own shape; its initializer's name."""
        shape = self._specs[name].shape
        g.weight([name], [(g.real, shape)], lambda: (self._read(g, name),))
        return name

    def matmul(self, g: GraphBuilder, x: str, name: str, *, quantisable: bool) -> str:
        """x [..., K] -> [..., N] with the linear `name`, in 4 bits where the options and `quantisable` say
        so.
        """
        rows, columns = self._specs[name].shape
        if self.options.weights == "q4" and quantisable:
            return self._matmul_q4(g, x, name, rows, columns)
        g.weight([name], [(g.real, (columns, rows))], lambda: (self._read(g, name).T,))
        return g.op("MatMul", x, name)

    def _matmul_q4(self, g: GraphBuilder, x: str, name: str, rows: int, columns: int) -> str:
        block = self.options.block_size
        blocks = -(-columns // block)
        names = [f"{name}_Q4", f"{name}_scales"]
        kinds: list[tuple[npt.DTypeLike, tuple[int, ...]]] = [
            (np.uint8, (rows, blocks, block // 2)),
            (np.float16, (rows, blocks)),
        ]
        if not self.options.symmetric:
            names.append(f"{name}_zero_points")
            kinds.append((np.uint8, (rows, -(-blocks // 2))))
        g.weight(names, kinds, lambda: self._quantise(name))
        return g.op(
            "MatMulNBits",
            x,
            *names,
            domain=MICROSOFT_DOMAIN,
            K=columns,
            N=rows,
            bits=BITS,
            block_size=block,
            accuracy_level=ACCURACY_LEVEL,
        )

    def _quantise(self, name: str) -> tuple[Array, ...]:
        weight = quantise(
            self._source.tensor(self._stage, name), self.options.block_size, self.options.symmetric
        )
        if weight.zero_points is None:
            return weight.codes, weight.scales
        return weight.codes, weight.scales, weight.zero_points

    def _read(self, g: GraphBuilder, name: str) -> Array:
        array = self._source.tensor(self._stage, name)
        with np.errstate(over="ignore"):  # refused below
            stored = array.astype(g.real, copy=False)
        largest = max(float(stored.max()), -float(stored.min()))
        if largest == np.inf:
            raise KleinbildError(
                f"tensor {name!r} of the {self._stage} holds {np.abs(array).max():g}, "
                "which float16 cannot hold; export with --weights f32"
            )
        return stored
