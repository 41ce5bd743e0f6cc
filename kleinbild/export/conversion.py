"""The weights of one stage in the type in which a graph stores them, converted in blocks of rows.

A tensor above LARGE_BYTES (the embedding table) is never whole in memory: it is read by rows and handed on as
Blocks. What a conversion loses is counted on the way. Quantising is kleinbild.quantise's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from kleinbild.canonical import expected_tensors
from kleinbild.errors import KleinbildError
from kleinbild.export.losses import Losses, layer_group
from kleinbild.export.source import TensorSource
from kleinbild.export.tensor_store import Blocks
from kleinbild.quantise import Quantised
from kleinbild.weights import all_finite

LARGE_BYTES = 512 << 20
BLOCK_BYTES = 16 << 20

Float32 = npt.NDArray[np.float32]


class ConvertedWeights:
    """The tensors of `stage` of `source` as `dtype`, float32 or float16; `losses` counts what that loses.

    Every method raises KleinbildError when a value does not fit the type.
    """

    def __init__(self, source: TensorSource, stage: str, dtype: np.dtype[Any], losses: Losses) -> None:
        self.stage = stage
        self._source = source
        self._dtype = dtype
        self._losses = losses
        self._specs = expected_tensors(source.config)[stage]

    def float32(self, name: str) -> Float32:
        """The whole tensor `name`, unconverted, to be quantised: count_q4 counts it."""
        return self._source.tensor(self.stage, name)

    def count_q4(self, name: str, quantised: Quantised) -> None:
        """Counts what quantising the tensor `name` lost."""
        self._losses.add_q4(self._group(name), quantised)

    def vector(self, name: str) -> Float32:
        """The vector `name`, which stays float32."""
        array = self.float32(name)
        self._losses.add_dense(self._group(name), array, array)
        return array

    def stored(self, name: str) -> npt.NDArray[Any] | Blocks:
        """The tensor `name`."""
        shape = self._specs[name].shape
        if is_large(shape):
            return Blocks(shape, self._dtype, self._row_blocks(name))
        return self._convert(self.float32(name), name)

    def transposed(self, name: str) -> npt.NDArray[Any]:
        """The linear `name` [N, K] as [K, N]."""
        array = self.float32(name)
        rows, columns = array.shape
        result = np.empty((columns, rows), self._dtype)
        step = _rows_of(BLOCK_BYTES, columns)
        for first in range(0, rows, step):
            result[:, first : first + step] = self._convert(array[first : first + step], name).T
        return result

    def _row_blocks(self, name: str) -> Iterator[npt.NDArray[Any]]:
        rows, *rest = self._specs[name].shape
        step = _rows_of(BLOCK_BYTES, math.prod(rest))
        for first in range(0, rows, step):
            block = self._source.rows(self.stage, name, first, min(step, rows - first))
            yield self._convert(block, name)

    def _convert(self, array: Float32, name: str) -> npt.NDArray[Any]:
        if self._dtype == np.float32:
            self._losses.add_dense(self._group(name), array, array)
            return array
        with np.errstate(over="ignore"):
            rounded = array.astype(self._dtype)
        if not all_finite(rounded):
            raise KleinbildError(
                f"{self.stage}: tensor {name!r} holds {np.abs(array).max():g}, which float16 cannot hold; "
                "export with --weights f32"
            )
        self._losses.add_dense(self._group(name), array, rounded)
        return rounded

    def _group(self, name: str) -> str:
        return layer_group(self.stage, name, self._specs[name].kind)


def float32_bytes(shape: tuple[int, ...]) -> int:
    """Bytes of a tensor of `shape` in memory."""
    return 4 * math.prod(shape)


def is_large(shape: tuple[int, ...]) -> bool:
    """Whether a tensor of `shape` is never to be whole in memory."""
    return float32_bytes(shape) > LARGE_BYTES


def _rows_of(size: int, columns: int) -> int:
    """How many float32 rows of `columns` make `size` bytes, at least one."""
    return max(1, size // float32_bytes((columns,)))
