"""The numbers of a value that depends on little: constants, and inputs for which the caller gives numbers.

Used for what the page computes itself, to see that the graph means the same: the rotary embedding, the
angles of the timestep embedding. Weights are not read here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from kleinbild.bundle.expression import UnsupportedError, Value

Array = npt.NDArray[np.float64]
MAX_DEPTH = 64
MAX_ELEMENTS = 1 << 22
MAX_COMPUTED = 1 << 26


def evaluate(x: Value, inputs: Mapping[Value, Array]) -> Array:
    """`x` in float64 with `inputs` given; raises UnsupportedError when it depends on more."""
    return _Evaluation(inputs).run(x, 0)


class _Evaluation:
    def __init__(self, inputs: Mapping[Value, Array]) -> None:
        self._known = dict(inputs)
        self._left = MAX_COMPUTED

    def run(self, x: Value, depth: int) -> Array:
        if x in self._known:
            return self._known[x]
        if x.array is not None:
            return x.array.astype(np.float64)
        elements = math.prod(x.sizes)
        self._left -= elements
        if depth > MAX_DEPTH or x.op not in _OPERATORS or elements > MAX_ELEMENTS or self._left < 0:
            raise UnsupportedError(f"it depends on {x.describe()}")
        values = [self.run(value, depth + 1) for value in x.inputs]
        with np.errstate(all="ignore"):
            self._known[x] = np.asarray(_OPERATORS[x.op](x, *values), np.float64)
        return self._known[x]


def _take(x: Value, a: Array) -> Any:
    axis, *indices = x.attributes
    return np.take(a, indices, axis)


def _slice(x: Value, a: Array) -> Any:
    axis, start, stop = x.attributes
    return a[(slice(None),) * axis + (slice(start, stop),)]


_OPERATORS: dict[str, Any] = {
    "add": lambda x, a, b: a + b,
    "multiply": lambda x, a, b: a * b,
    "square": lambda x, a: a * a,
    "negative": lambda x, a: -a,
    "reciprocal": lambda x, a: 1 / a,
    "cos": lambda x, a: np.cos(a),
    "sin": lambda x, a: np.sin(a),
    "linear": lambda x, a, b: a @ b.T,
    "matmul": lambda x, a, b: a @ b,
    "reshape": lambda x, a: a.reshape(x.sizes),
    "transpose": lambda x, a: a.transpose(x.attributes),
    "slice": _slice,
    "take": _take,
    "expand": lambda x, a: np.broadcast_to(a, x.sizes),
    "concat": lambda x, *parts: np.concatenate(parts, x.attributes[0]),
}
