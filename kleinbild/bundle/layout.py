"""Operators that move elements and change none: in normal form, and followed exactly.

reshape(shape), transpose(perm), slice(axis, start, stop), concat(axis), expand(shape), take(axis, indices).
Everything that exporters spell otherwise (Split, Squeeze, Flatten, Gather of fixed places, DepthToSpace) is
one of these. `order` follows single elements through them, which tells which rows of a fused matrix a value
holds, and whether heads, patches and taps lie where the page expects them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kleinbild.bundle.expression import Expressions, Shape, UnsupportedError, Value, foldable

Positions = npt.NDArray[np.int64]

MOVES = ("reshape", "transpose", "slice", "expand", "take")
MAX_CONSTANT_ELEMENTS = 1 << 29
MAX_FOLLOWED = 1 << 18
MAX_CHAIN = 32


def reshape(e: Expressions, x: Value, shape: Shape) -> Value:
    """`x` in another shape of as many elements."""
    if math.prod(x.sizes) != math.prod(shape):
        raise UnsupportedError(f"{list(x.sizes)} cannot be reshaped to {list(shape)}")
    if x.array is not None:
        return x if x.shape == shape else e.constant(x.array.reshape(shape))
    if x.op == "reshape":
        x = x.inputs[0]
    return x if x.shape == shape else e.make("reshape", [x], shape, shape)


def transpose(e: Expressions, x: Value, perm: Sequence[int]) -> Value:
    """`x` with its axes in another order."""
    if sorted(perm) != list(range(len(x.sizes))):
        raise UnsupportedError(f"axes {list(perm)[:8]} of {list(x.sizes)}")
    if x.op == "transpose":
        perm = [x.attributes[axis] for axis in perm]
        x = x.inputs[0]
    if list(perm) == list(range(len(perm))):
        return x
    shape = tuple(x.sizes[axis] for axis in perm)
    if x.array is not None:
        return e.constant(x.array.transpose(perm))
    return e.make("transpose", [x], shape, tuple(perm))


def slice_(e: Expressions, x: Value, axis: int, start: int, stop: int) -> Value:
    """x[start:stop] along `axis`, 0 <= start <= stop <= size."""
    axis = normal_axis(axis, len(x.sizes))
    size = x.sizes[axis]
    start, stop = min(max(start, 0), size), min(max(stop, 0), size)
    stop = max(start, stop)
    if (start, stop) == (0, size):
        return x
    shape = (*x.sizes[:axis], stop - start, *x.sizes[axis + 1 :])
    if x.array is not None:
        return e.constant(x.array[(slice(None),) * axis + (slice(start, stop),)])
    if x.op == "slice" and x.attributes[0] == axis:
        first = x.attributes[1]
        return slice_(e, x.inputs[0], axis, first + start, first + stop)
    if x.op == "concat" and x.attributes[0] == axis:
        first = 0
        for part in x.inputs:
            if first <= start and stop <= first + part.sizes[axis]:
                return slice_(e, part, axis, start - first, stop - first)
            first += part.sizes[axis]
    return e.make("slice", [x], shape, (axis, start, stop))


def concat(e: Expressions, parts: Sequence[Value], axis: int) -> Value:
    """`parts` joined along `axis`."""
    rank = len(parts[0].sizes)
    axis = normal_axis(axis, rank)
    for part in parts:
        if len(part.sizes) != rank or any(
            a != b for i, (a, b) in enumerate(zip(part.sizes, parts[0].sizes, strict=True)) if i != axis
        ):
            raise UnsupportedError(f"{list(parts[0].sizes)} and {list(part.sizes)} cannot be joined")
    if len(parts) == 1:
        return parts[0]
    shape = (*parts[0].sizes[:axis], sum(part.sizes[axis] for part in parts), *parts[0].sizes[axis + 1 :])
    if foldable(*parts, shape=shape):
        return e.constant(np.concatenate([part.array for part in parts if part.array is not None], axis))
    if all(part.constant for part in parts) and math.prod(shape) > MAX_CONSTANT_ELEMENTS:
        raise UnsupportedError(f"a constant of the shape {list(shape)}")
    return e.make("concat", parts, shape, (axis,))


def expand(e: Expressions, x: Value, shape: Shape) -> Value:
    """`x` repeated along its axes of size 1 to `shape`, which broadcasting has already made whole."""
    if x.shape == shape:
        return x
    lead = len(shape) - len(x.sizes)
    if lead:
        x = reshape(e, x, (1,) * lead + x.sizes)
    if any(a not in (1, b) for a, b in zip(x.sizes, shape, strict=True)):
        raise UnsupportedError(f"{list(x.sizes)} cannot be expanded to {list(shape)}")
    if foldable(x, shape=shape) and x.array is not None:
        return e.constant(np.broadcast_to(x.array, shape))
    if x.constant and math.prod(shape) > MAX_CONSTANT_ELEMENTS:
        raise UnsupportedError(f"a constant of the shape {list(shape)}")
    return x if x.shape == shape else e.make("expand", [x], shape, shape)


def take(e: Expressions, x: Value, axis: int, indices: npt.NDArray[np.int64]) -> Value:
    """x[indices] along `axis`; the shape of `indices` takes the place of the axis."""
    axis = normal_axis(axis, len(x.sizes))
    size = x.sizes[axis]
    if indices.size and (indices.min() < -size or indices.max() >= size):
        raise UnsupportedError(f"an index outside of {size} elements")
    e.spend(indices.size)
    flat = [int(index) % size for index in indices.reshape(-1)]
    shape = (*x.sizes[:axis], *indices.shape, *x.sizes[axis + 1 :])
    if x.array is not None and foldable(x, shape=shape):
        return e.constant(np.take(x.array, indices, axis))
    if flat and flat == list(range(flat[0], flat[0] + len(flat))):
        return reshape(e, slice_(e, x, axis, flat[0], flat[0] + len(flat)), shape)
    if x.constant and math.prod(shape) > MAX_CONSTANT_ELEMENTS:
        raise UnsupportedError(f"a constant of the shape {list(shape)}")
    row = (*x.sizes[:axis], len(flat), *x.sizes[axis + 1 :])
    return reshape(e, e.make("take", [x], row, (axis, *flat)), shape)


def normal_axis(axis: int, rank: int) -> int:
    """`axis` counted from the front; raises UnsupportedError when there is none such."""
    if not -rank <= axis < rank:
        raise UnsupportedError(f"axis {axis} of {rank}")
    return axis % rank


def unmoved(x: Value) -> Value:
    """The value whose elements `x` holds, all or some of them, in whatever order.

    Where moves do not end, it is one of them.
    """
    for _ in range(MAX_CHAIN):
        if x.op not in MOVES:
            break
        x = x.inputs[0]
    return x


def order(x: Value, source: Value, axes: Sequence[int], at: Sequence[int] = ()) -> list[int]:
    """Which elements of `source` the value `x` holds, in the order in which they lie in `x`.

    Only elements at index `at`, 0 if not given, of all axes of `source` but `axes` count; they are numbered
    in C order. Raises UnsupportedError when `x` is no mere rearrangement of `source`.
    """
    chain: list[Value] = []
    while x is not source:
        if x.op not in MOVES or len(chain) >= MAX_CHAIN:
            raise UnsupportedError(f"{x.op} between the two")
        chain.append(x)
        x = x.inputs[0]
    shape = source.sizes
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    first = sum(index * stride for index, stride in zip(at, strides, strict=False))
    positions: Positions = np.full(1, first, np.int64)
    for axis in axes:
        steps = np.arange(shape[axis], dtype=np.int64) * strides[axis]
        if positions.size * steps.size > MAX_FOLLOWED:
            raise UnsupportedError(f"{list(shape)} is too large to follow")
        positions = (positions[:, None] + steps).reshape(-1)
    numbers: Positions = np.arange(positions.size, dtype=np.int64)
    for step in reversed(chain):
        positions, numbers = _STEPS[step.op](step, positions, numbers)
        if positions.size > MAX_FOLLOWED:
            raise UnsupportedError(f"{list(step.sizes)} is too large to follow")
    result: list[int] = numbers[np.argsort(positions, kind="stable")].tolist()
    return result


def _follow_reshape(_: Value, positions: Positions, numbers: Positions) -> tuple[Positions, Positions]:
    return positions, numbers


def _follow_transpose(step: Value, positions: Positions, numbers: Positions) -> tuple[Positions, Positions]:
    places = np.unravel_index(positions, step.inputs[0].sizes)
    return _ravel([places[axis] for axis in step.attributes], step.sizes), numbers


def _follow_slice(step: Value, positions: Positions, numbers: Positions) -> tuple[Positions, Positions]:
    axis, start, stop = step.attributes
    places = list(np.unravel_index(positions, step.inputs[0].sizes))
    kept = (places[axis] >= start) & (places[axis] < stop)
    places = [place[kept] for place in places]
    places[axis] = places[axis] - start
    return _ravel(places, step.sizes), numbers[kept]


def _follow_expand(step: Value, positions: Positions, numbers: Positions) -> tuple[Positions, Positions]:
    # Each copy counts as an element of its own, except along axes that the whole value is repeated along:
    # these are batch or token axes and hold index 0 only.
    before = step.inputs[0].sizes
    places = list(np.unravel_index(positions, before))
    for axis, (old, new) in enumerate(zip(before, step.sizes, strict=True)):
        if old == new:
            continue
        if positions.size * new > MAX_FOLLOWED:
            raise UnsupportedError(f"{list(step.sizes)} is too large to follow")
        places = [np.repeat(place, new) for place in places]
        places[axis] = np.tile(np.arange(new, dtype=np.int64), positions.size)
        numbers = np.repeat(numbers, new)
        positions = numbers
    return _ravel(places, step.sizes), numbers


def _follow_take(step: Value, positions: Positions, numbers: Positions) -> tuple[Positions, Positions]:
    axis, *indices = step.attributes
    places = np.unravel_index(positions, step.inputs[0].sizes)
    all_positions, all_numbers = [], []
    for index, source in enumerate(indices):
        kept = places[axis] == source
        if kept.any():
            moved: list[Any] = [place[kept] for place in places]
            moved[axis] = np.full(int(kept.sum()), index, np.int64)
            all_positions.append(_ravel(moved, step.sizes))
            all_numbers.append(numbers[kept])
    if not all_positions:
        return positions[:0], numbers[:0]
    return np.concatenate(all_positions), np.concatenate(all_numbers)


def _ravel(places: Sequence[Any], shape: Shape) -> Positions:
    if 0 in shape:
        return np.zeros(0, np.int64)
    return np.asarray(np.ravel_multi_index(tuple(places), shape), np.int64)


_STEPS = {
    "reshape": _follow_reshape,
    "transpose": _follow_transpose,
    "slice": _follow_slice,
    "expand": _follow_expand,
    "take": _follow_take,
}
