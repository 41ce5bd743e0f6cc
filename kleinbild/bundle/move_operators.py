"""ONNX operators that move elements, or tell and make sizes, in normal form.

A function takes the node and gives its outputs; it raises UnsupportedError for a use that it does not
understand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from onnx import AttributeProto, TensorProto, numpy_helper

from kleinbild.bundle import layout
from kleinbild.bundle.expression import FOLD_ELEMENTS, Expressions, UnsupportedError, Value, broadcast
from kleinbild.bundle.node import Node, Operator


def _shape(e: Expressions, node: Node) -> list[Value]:
    sizes = node.input(0).sizes
    start, end = node.attribute("start", 0), node.attribute("end", len(sizes))
    return [e.constant(np.array(sizes[start:end], np.int64))]


def _size(e: Expressions, node: Node) -> list[Value]:
    return [e.constant(np.array(math.prod(node.input(0).sizes), np.int64))]


def _gather(e: Expressions, node: Node) -> list[Value]:
    x, indices = node.input(0), node.input(1)
    axis = layout.normal_axis(node.attribute("axis", 0), len(x.sizes))
    if indices.array is not None and indices.array.dtype.kind in "iu":
        return [layout.take(e, x, axis, indices.array.astype(np.int64))]
    shape = (*x.sizes[:axis], *indices.sizes, *x.sizes[axis + 1 :])
    return [e.make("gather", [x, indices], shape, (axis,))]


def _concat(e: Expressions, node: Node) -> list[Value]:
    parts = [node.input(i) for i in range(len(node.inputs))]
    return [layout.concat(e, parts, node.attribute("axis", 0))]


def _split(e: Expressions, node: Node) -> list[Value]:
    x = node.input(0)
    axis = layout.normal_axis(node.attribute("axis", 0), len(x.sizes))
    size, count = x.sizes[axis], len(node.proto.output)
    if node.optional(1) is not None:
        sizes = node.integers(1)
    else:
        each = -(-size // node.attribute("num_outputs", count))
        sizes = node.attribute("split", []) or [min(each, size - i * each) for i in range(count)]
    if sum(sizes) != size or min(sizes) < 0 or len(sizes) != count:
        raise UnsupportedError(f"a split of {size} into {sizes[:8]}")
    ends = np.cumsum(sizes).tolist()
    return [layout.slice_(e, x, axis, end - part, end) for part, end in zip(sizes, ends, strict=True)]


def _slice(e: Expressions, node: Node) -> list[Value]:
    x = node.input(0)
    if len(node.inputs) > 1:
        starts, ends = node.integers(1), node.integers(2)
        axes = node.integers(3) if node.optional(3) is not None else list(range(len(starts)))
        steps = node.integers(4) if node.optional(4) is not None else [1] * len(starts)
    else:
        starts, ends = node.attribute("starts", []), node.attribute("ends", [])
        axes, steps = node.attribute("axes", list(range(len(starts)))), [1] * len(starts)
    for given, start, end, step in zip(axes, starts, ends, steps, strict=True):
        axis = layout.normal_axis(given, len(x.sizes))
        size = x.sizes[axis]
        if step == 1:
            x = layout.slice_(e, x, axis, *slice(start, end).indices(size)[:2])
        elif size <= FOLD_ELEMENTS and step != 0:
            x = layout.take(e, x, axis, np.arange(size, dtype=np.int64)[slice(start, end, step)])
        else:
            raise UnsupportedError(f"steps of {step}")
    return [x]


def _reshape(e: Expressions, node: Node) -> list[Value]:
    x, sizes = node.input(0), node.integers(1)
    if not node.attribute("allowzero", 0):
        sizes = [x.sizes[i] if size == 0 else size for i, size in enumerate(sizes)]
    return [layout.reshape(e, x, _without_minus_one(sizes, math.prod(x.sizes)))]


def _without_minus_one(sizes: Sequence[int], total: int) -> tuple[int, ...]:
    known = math.prod(size for size in sizes if size != -1)
    if sizes.count(-1) > 1 or (-1 in sizes and (known <= 0 or total % known)):
        raise UnsupportedError(f"{total} elements in the shape {list(sizes)[:8]}")
    return tuple(total // known if size == -1 else size for size in sizes)


def _transpose(e: Expressions, node: Node) -> list[Value]:
    x = node.input(0)
    return [layout.transpose(e, x, node.attribute("perm", list(range(len(x.sizes)))[::-1]))]


def _squeeze(e: Expressions, node: Node) -> list[Value]:
    x = node.input(0)
    axes = node.axes(1, len(x.sizes)) or [i for i, size in enumerate(x.sizes) if size == 1]
    return [layout.reshape(e, x, tuple(size for i, size in enumerate(x.sizes) if i not in axes))]


def _unsqueeze(e: Expressions, node: Node) -> list[Value]:
    x = node.input(0)
    axes = node.integers(1) if node.optional(1) is not None else node.attribute("axes", [])
    rank = len(x.sizes) + len(axes)
    places = {layout.normal_axis(axis, rank) for axis in axes}
    if len(places) != len(axes):
        raise UnsupportedError("an axis twice")
    left = iter(x.sizes)
    return [layout.reshape(e, x, tuple(1 if i in places else next(left) for i in range(rank)))]


def _flatten(e: Expressions, node: Node) -> list[Value]:
    x = node.input(0)
    axis = node.attribute("axis", 1)
    axis = axis + len(x.sizes) if axis < 0 else axis
    return [layout.reshape(e, x, (math.prod(x.sizes[:axis]), math.prod(x.sizes[axis:])))]


def _expand(e: Expressions, node: Node) -> list[Value]:
    x = node.input(0)
    shape = broadcast(x.sizes, tuple(node.integers(1)))
    return [layout.expand(e, x, shape)]


def _tile(e: Expressions, node: Node) -> list[Value]:
    x = node.input(0)
    for axis, count in enumerate(node.integers(1)):
        if not 1 <= count * x.sizes[axis] <= FOLD_ELEMENTS:
            raise UnsupportedError(f"{count} tiles")
        if count > 1:
            x = layout.take(e, x, axis, np.tile(np.arange(x.sizes[axis], dtype=np.int64), count))
    return [x]


def _range(e: Expressions, node: Node) -> list[Value]:
    start, limit, delta = (node.input(i) for i in range(3))
    numbers = [value.scalar for value in (start, limit, delta)]
    if None in numbers or not numbers[2]:
        raise UnsupportedError("a range that is not constant")
    first, last, step = (float(number or 0) for number in numbers)
    count = max(0, math.ceil((last - first) / step))
    if count > FOLD_ELEMENTS:
        raise UnsupportedError(f"a range of {count}")
    whole = start.array is not None and start.array.dtype.kind in "iu"
    return [e.constant((first + step * np.arange(count)).astype(np.int64 if whole else np.float64))]


def _constant_of_shape(e: Expressions, node: Node) -> list[Value]:
    shape = tuple(node.integers(0))
    if min(shape, default=1) < 0 or math.prod(shape) > FOLD_ELEMENTS:
        raise UnsupportedError(f"a constant of the shape {list(shape)[:8]}")
    found = [a.t for a in node.proto.attribute if a.name == "value" and a.type == AttributeProto.TENSOR]
    if found and (math.prod(found[0].dims) != 1 or found[0].data_location == TensorProto.EXTERNAL):
        raise UnsupportedError("a value of more than one element")
    value = numpy_helper.to_array(found[0]).reshape(()) if found else np.zeros((), np.float32)
    return [e.constant(np.full(shape, value))]


def _depth_to_space(e: Expressions, node: Node) -> list[Value]:
    x, size = node.input(0), node.attribute("blocksize", 0)
    batch, channels, height, width = x.sizes
    if size < 1 or channels % (size * size):
        raise UnsupportedError(f"blocks of {size} in {channels} channels")
    left = channels // (size * size)
    if node.attribute("mode", b"DCR") == b"CRD":
        x = layout.reshape(e, x, (batch, left, size, size, height, width))
        x = layout.transpose(e, x, [0, 1, 4, 2, 5, 3])
    else:
        x = layout.reshape(e, x, (batch, size, size, left, height, width))
        x = layout.transpose(e, x, [0, 3, 4, 1, 5, 2])
    return [layout.reshape(e, x, (batch, left, height * size, width * size))]


MOVE_OPERATORS: dict[str, Operator] = {
    "Shape": _shape,
    "Size": _size,
    "Gather": _gather,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Flatten": _flatten,
    "Expand": _expand,
    "Tile": _tile,
    "Range": _range,
    "ConstantOfShape": _constant_of_shape,
    "DepthToSpace": _depth_to_space,
}
