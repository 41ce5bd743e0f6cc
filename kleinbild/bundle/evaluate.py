"""The numbers of a value that depends on little: constants, and inputs for which the caller gives numbers.

Used for what the page computes itself, to see that the graph means the same: angles of the rotary embedding
and of the timestep embedding. Weights are not read here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from kleinbild.bundle.expression import FOLD_ELEMENTS, UnsupportedError, Value

Array = npt.NDArray[np.float64]
MAX_DEPTH = 64


def evaluate(x: Value, inputs: Mapping[Value, Array]) -> Array:
    """`x` in float64 with `inputs` given; raises UnsupportedError when it depends on more."""
    return _evaluate(x, dict(inputs), 0)


def _evaluate(x: Value, known: dict[Value, Array], depth: int) -> Array:
    if x in known:
        return known[x]
    if x.array is not None:
        return x.array.astype(np.float64)
    if depth > MAX_DEPTH or x.op not in _OPERATORS or math.prod(x.sizes) > FOLD_ELEMENTS:
        raise UnsupportedError(f"it depends on {x.describe()}")
    values = [_evaluate(value, known, depth + 1) for value in x.inputs]
    known[x] = np.asarray(_OPERATORS[x.op](x, *values), np.float64)
    return known[x]


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
    "linear": lambda x, a, b: a @ b.T,
    "matmul": lambda x, a, b: a @ b,
    "reshape": lambda x, a: a.reshape(x.sizes),
    "transpose": lambda x, a: a.transpose(x.attributes),
    "slice": _slice,
    "take": _take,
    "expand": lambda x, a: np.broadcast_to(a, x.sizes),
    "concat": lambda x, *parts: np.concatenate(parts, x.attributes[0]),
}
