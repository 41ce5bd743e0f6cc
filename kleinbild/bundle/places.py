"""Where a canonical tensor lies in a bundle, and how it is read from there.

A place is one constant of an expression, or rows of several joined: what a graph fuses, the canonical tensors
split, and the other way round. Stored numbers are never changed: float16 stays float16, codes stay codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kleinbild.bundle.expression import UnsupportedError, Value
from kleinbild.errors import KleinbildError
from kleinbild.weights import Q4, Dense, Weight, all_finite

Array = npt.NDArray[Any]
MAX_DEPTH = 64


@dataclass(frozen=True)
class Rows:
    """Rows start:stop of a weight: a constant, dense [N, ...] or "q4"."""

    weight: Value
    start: int
    stop: int


@dataclass(frozen=True)
class Place:
    """A canonical tensor: rows of one or more weights, one after another, in `shape`."""

    parts: tuple[Rows, ...]
    shape: tuple[int, ...]

    @property
    def quantised(self) -> bool:
        """Whether it is stored in 4 bits."""
        return self.parts[0].weight.op == "q4"


def whole(weight: Value, shape: tuple[int, ...] | None = None) -> Place:
    """All of a constant, in `shape`, its own if not given."""
    return Place((Rows(weight, 0, weight.sizes[0] if weight.sizes else 1),), shape or weight.sizes)


def rows(parts: Sequence[Rows], where: str) -> Place:
    """A linear [N, K] made of `parts`; neighbouring rows of one weight become one part.

    Raises KleinbildError when the parts are stored in ways that one tensor cannot have.
    """
    joined: list[Rows] = []
    for part in parts:
        last = joined[-1] if joined else None
        if last is not None and last.weight is part.weight and last.stop == part.start:
            joined[-1] = Rows(part.weight, last.start, part.stop)
        else:
            joined.append(part)
    kinds = {_kind(part.weight) for part in joined}
    if len(kinds) > 1:
        raise KleinbildError(
            f"{where}: its rows are stored as {' and '.join(sorted(kinds))}; one tensor has one form, "
            "so quantise all of them alike"
        )
    columns = {part.weight.sizes[1] for part in joined}
    if len(columns) > 1:
        raise KleinbildError(f"{where}: its rows have {' and '.join(map(str, sorted(columns)))} columns")
    return Place(tuple(joined), (sum(part.stop - part.start for part in joined), columns.pop()))


def _kind(weight: Value) -> str:
    if weight.op != "q4":
        return "dense numbers"
    zeros = "with" if len(weight.inputs) == 3 else "without"
    return f"4 bits in blocks of {weight.attributes[0]} {zeros} zero points"


def check_place(place: Place, where: str) -> None:
    """Raises KleinbildError when a tensor that `place` needs has another type or its bytes are not there."""
    for part in place.parts:
        try:
            for leaf in _leaves(part.weight):
                if leaf.stored is not None:
                    leaf.stored.check_weight()
        except (UnsupportedError, KleinbildError) as error:
            raise KleinbildError(f"{where}: {error}") from error


def where_stored(place: Place) -> str:
    """The graph file that holds the first stored tensor of `place`, "" when all of it is computed."""
    try:
        stored = [leaf.stored for leaf in _leaves(place.parts[0].weight)]
    except UnsupportedError:
        return ""
    return next((tensor.where for tensor in stored if tensor is not None), "")


def read_place(place: Place, where: str) -> Weight:
    """The tensor; dense in float32 or float16 as stored, or Q4. Raises KleinbildError naming `where`."""
    try:
        if place.quantised:
            return _read_q4(place, where)
        arrays = [_finite_floats(_read(part.weight), where) for part in place.parts]
    except UnsupportedError as error:
        raise KleinbildError(f"{where}: {error}") from error
    if len(arrays) == 1:
        part = place.parts[0]
        array = arrays[0] if arrays[0].ndim == 0 else arrays[0][part.start : part.stop]
        # a linear that is stored [K, N] stays as it lies in memory: shards want it so
        return Dense(
            array if array.shape == place.shape else np.ascontiguousarray(array).reshape(place.shape)
        )
    joined = [a[part.start : part.stop] for a, part in zip(arrays, place.parts, strict=True)]
    return Dense(np.ascontiguousarray(np.concatenate(joined)).reshape(place.shape))


def _read_q4(place: Place, where: str) -> Q4:
    block_size = int(place.parts[0].weight.attributes[0])
    codes, scales, zero_points = [], [], []
    for part in place.parts:
        weight, count = part.weight, part.weight.sizes[0]
        chosen = slice(part.start, part.stop)
        values = [_read(value) for value in weight.inputs]
        codes.append(_bytes(values[0], f"{where}, codes").reshape(count, -1, block_size // 2)[chosen])
        scales.append(_finite_floats(values[1], f"{where}, scales").reshape(count, -1)[chosen])
        if len(values) == 3:
            zero_points.append(_bytes(values[2], f"{where}, zero points").reshape(count, -1)[chosen])
    return Q4(
        shape=(place.shape[0], place.shape[1]),
        block_size=block_size,
        codes=_joined(codes),
        scales=_joined(scales),
        zero_points=_joined(zero_points) if zero_points else None,
    )


def _joined(parts: list[Array]) -> Array:
    return np.ascontiguousarray(parts[0] if len(parts) == 1 else np.concatenate(parts))


def _leaves(x: Value) -> list[Value]:
    """The stored tensors that a constant is made of."""
    leaves, left, seen = [], [x], set()
    while left:
        value = left.pop()
        if value.id in seen:
            continue
        seen.add(value.id)
        if value.op == "constant":
            leaves.append(value)
        elif value.op in _READERS or value.op == "q4":
            left.extend(value.inputs)
        else:
            raise UnsupportedError(f"a weight that is computed by {value.describe()}")
    return leaves


def _read(x: Value, depth: int = 0) -> Array:
    if x.array is not None:
        return x.array.astype(np.float32) if x.array.dtype == np.float64 else x.array
    if x.stored is not None:
        return x.stored.read()
    if x.op not in _READERS or depth > MAX_DEPTH:
        raise UnsupportedError(f"a weight that is computed by {x.describe()}")
    return np.asarray(_READERS[x.op](x, *(_read(value, depth + 1) for value in x.inputs)))


def _take(x: Value, a: Array) -> Any:
    axis, *indices = x.attributes
    return np.take(a, indices, axis)


_READERS: dict[str, Any] = {
    "reshape": lambda x, a: a.reshape(x.sizes),
    "transpose": lambda x, a: a.transpose(x.attributes),
    "slice": lambda x, a: a[(slice(None),) * x.attributes[0] + (slice(*x.attributes[1:]),)],
    "take": _take,
    "concat": lambda x, *parts: np.concatenate(parts, x.attributes[0]),
}


def _bytes(array: Array, where: str) -> npt.NDArray[np.uint8]:
    if array.dtype != np.uint8:
        raise KleinbildError(f"{where}: stored as {array.dtype}, only uint8 is supported")
    return array


def _finite_floats(array: Array, where: str) -> npt.NDArray[np.floating[Any]]:
    if array.dtype not in (np.float16, np.float32):
        raise KleinbildError(f"{where}: stored as {array.dtype}, expected float16 or float32")
    if not all_finite(array):
        raise KleinbildError(f"{where}: holds NaN or infinity; fetch the bundle again")
    return array
