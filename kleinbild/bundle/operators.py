"""ONNX operators in normal form: for each, the attributes and inputs that it may have, and what it becomes.

Only what exporters of this model's parts emit is here. A function takes the node and gives its outputs; it
raises UnsupportedError for a use that it does not understand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import AttributeProto, TensorProto, numpy_helper

from kleinbild.bundle import arithmetic, layout, linear
from kleinbild.bundle.expression import (
    FOLD_ELEMENTS,
    Expressions,
    UnsupportedError,
    Value,
    broadcast,
    foldable,
)

FLOAT_TYPES = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)
INTEGER_TYPES = (TensorProto.INT64, TensorProto.INT32)
FLOAT16_RANGE = 6e4


@dataclass(frozen=True)
class Node:
    """A node with the values of its inputs, None for one left out."""

    proto: onnx.NodeProto
    inputs: list[Value | None]

    def input(self, index: int) -> Value:
        """An input that must be there."""
        value = self.optional(index)
        if value is None:
            raise UnsupportedError(f"input {index} is left out")
        return value

    def optional(self, index: int) -> Value | None:
        """An input that may be left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def integers(self, index: int) -> list[int]:
        """An input that must be a small constant of whole numbers."""
        array = self.input(index).array
        if array is None or array.dtype.kind not in "iu" or array.size > 1 << 16:
            raise UnsupportedError(f"input {index} is no constant of whole numbers")
        return [int(number) for number in array.reshape(-1)]

    def attribute(self, name: str, default: Any) -> Any:
        """An attribute of the type of `default`; a list for lists."""
        for found in self.proto.attribute:
            if found.name != name:
                continue
            kinds = {
                AttributeProto.INT: (int, found.i),
                AttributeProto.FLOAT: (float, found.f),
                AttributeProto.STRING: (bytes, found.s),
                AttributeProto.INTS: (list, list(found.ints)),
            }
            kind, value = kinds.get(found.type, (None, None))
            if kind is None or (default is not None and kind is not type(default)):
                raise UnsupportedError(f"attribute {name} is of another type")
            return value
        return default

    def epsilon(self, default: float) -> float:
        """The attribute epsilon as its author wrote it."""
        return float(str(np.float32(self.attribute("epsilon", default))))

    def axes(self, index: int, rank: int) -> list[int]:
        """Axes given as an attribute or, since opset 13, as an input; [] when they are left out."""
        if self.optional(index) is not None:
            axes = self.integers(index)
        else:
            axes = self.attribute("axes", [])
        return sorted(layout.normal_axis(axis, rank) for axis in axes)


Operator = Callable[[Expressions, Node], list[Value]]


def _binary(function: Callable[[Expressions, Value, Value], Value]) -> Operator:
    return lambda e, node: [function(e, node.input(0), node.input(1))]


def _unary(function: Callable[[Expressions, Value], Value]) -> Operator:
    return lambda e, node: [function(e, node.input(0))]


def _generic(op: str, fold: Callable[..., npt.NDArray[Any]] | None, count: int) -> Operator:
    def apply(e: Expressions, node: Node) -> list[Value]:
        return [arithmetic.elementwise(e, op, fold, *(node.input(i) for i in range(count)))]

    return apply


def _same(e: Expressions, node: Node) -> list[Value]:
    return [node.input(0)]


def _cast(e: Expressions, node: Node) -> list[Value]:
    x, to = node.input(0), node.attribute("to", 0)
    if x.array is None:
        # Only rounding is lost: nothing in these graphs casts an activation to whole numbers and back.
        return [x] if to in FLOAT_TYPES else [e.make("cast", [x], x.shape, (to,))]
    if to in FLOAT_TYPES:
        return [x if x.array.dtype.kind == "f" else e.constant(x.array.astype(np.float64))]
    kind = np.dtype(np.int64) if to in INTEGER_TYPES else np.dtype(bool)
    if to not in (*INTEGER_TYPES, TensorProto.BOOL):
        raise UnsupportedError(f"a cast to type {to}")
    with np.errstate(all="ignore"):
        return [e.constant(x.array.astype(kind))]


def _clip(e: Expressions, node: Node) -> list[Value]:
    """A clip to float16's range changes nothing that the model means."""
    x = node.input(0)
    bounds = [value.scalar for value in (node.optional(1), node.optional(2)) if value is not None]
    if len(bounds) == 2 and None not in bounds and min(abs(bound or 0) for bound in bounds) >= FLOAT16_RANGE:
        return [x]
    return [e.make("clip", [x], x.shape)]


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
    return [
        layout.slice_(e, x, axis, end - part, end) for part, end in zip(sizes, ends, strict=True)
    ]


def _slice(e: Expressions, node: Node) -> list[Value]:
    x = node.input(0)
    if len(node.inputs) > 1:
        starts, ends = node.integers(1), node.integers(2)
        axes = node.integers(3) if node.optional(3) is not None else list(range(len(starts)))
        steps = node.integers(4) if node.optional(4) is not None else [1] * len(starts)
    else:
        starts, ends = node.attribute("starts", []), node.attribute("ends", [])
        axes, steps = node.attribute("axes", list(range(len(starts)))), [1] * len(starts)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        axis = layout.normal_axis(axis, len(x.sizes))
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
    assert shape is not None
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


def _where(e: Expressions, node: Node) -> list[Value]:
    return [arithmetic.elementwise(e, "where", np.where, *(node.input(i) for i in range(3)))]


def _einsum(e: Expressions, node: Node) -> list[Value]:
    """An outer product only: the last axis of the result is the second factor's."""
    equation = node.attribute("equation", b"").decode("utf-8", "replace").replace(" ", "")
    terms, _, result = equation.partition("->")
    left, _, right = terms.partition(",")
    a, b = node.input(0), node.input(1)
    if len(right) != 1 or right in left or result != left + right or len(b.sizes) != 1:
        raise UnsupportedError(f"the einsum {equation[:40]!r}")
    return [arithmetic.multiply(e, layout.reshape(e, a, (*a.sizes, 1)), b)]


def _matmul(e: Expressions, node: Node) -> list[Value]:
    a, b = node.input(0), node.input(1)
    if len(a.sizes) >= 2 and len(b.sizes) >= 2:
        shape = (*a.sizes[:-1], b.sizes[-1])
        if foldable(a, b, shape=shape) and a.array is not None and b.array is not None:
            return [e.constant(np.matmul(arithmetic.computed(a.array), arithmetic.computed(b.array)))]
    return [linear.matmul(e, a, b)]


def _gemm(e: Expressions, node: Node) -> list[Value]:
    return [
        linear.gemm(
            e,
            node.inputs,
            alpha=node.attribute("alpha", 1.0),
            beta=node.attribute("beta", 1.0),
            trans_a=node.attribute("transA", 0),
            trans_b=node.attribute("transB", 0),
        )
    ]


def _matmul_nbits(e: Expressions, node: Node) -> list[Value]:
    numbers = {name: node.attribute(name, 0) for name in ("N", "K", "block_size")}
    return [linear.matmul_nbits(e, node.inputs, numbers | {"bits": node.attribute("bits", 4)})]


def _reduce_mean(e: Expressions, node: Node) -> list[Value]:
    x = node.input(0)
    axes = node.axes(1, len(x.sizes)) or list(range(len(x.sizes)))
    return [arithmetic.mean(e, x, axes, bool(node.attribute("keepdims", 1)))]


def _softmax(e: Expressions, node: Node) -> list[Value]:
    x = node.input(0)
    if layout.normal_axis(node.attribute("axis", -1), len(x.sizes)) != len(x.sizes) - 1:
        raise UnsupportedError("a softmax over another axis than the last")
    return [e.make("softmax", [x], x.shape)]


def _layer_norm(e: Expressions, node: Node) -> list[Value]:
    x = node.input(0)
    _require_last_axis(x, node)
    normed = e.make("layer_norm", [x], x.shape, (node.epsilon(1e-5),))
    return [arithmetic.with_weights(e, normed, node.optional(1), node.optional(2))]


def _rms_norm(e: Expressions, node: Node) -> list[Value]:
    x = node.input(0)
    _require_last_axis(x, node)
    return [arithmetic.multiply(e, arithmetic.rms(e, x, node.epsilon(1e-5)), node.input(1))]


def _require_last_axis(x: Value, node: Node) -> None:
    if layout.normal_axis(node.attribute("axis", -1), len(x.sizes)) != len(x.sizes) - 1:
        raise UnsupportedError("a norm over more than the last axis")
    if len(node.proto.output) > 1:
        raise UnsupportedError("a norm of several outputs")


def _instance_norm(e: Expressions, node: Node) -> list[Value]:
    x, scale, bias = (node.input(i) for i in range(3))
    normed = e.make("instance_norm", [x], x.shape, (node.epsilon(1e-5),))
    column = (scale.sizes[0], *[1] * (len(x.sizes) - 2))
    parts = (layout.reshape(e, part, column) for part in (scale, bias))
    return [arithmetic.with_weights(e, normed, *parts)]


def _group_norm(e: Expressions, node: Node) -> list[Value]:
    x, scale, bias = (node.input(i) for i in range(3))
    groups = node.attribute("num_groups", 0)
    if groups < 1 or x.sizes[1] % groups or scale.sizes != (x.sizes[1],):
        raise UnsupportedError(f"{groups} groups of {list(x.sizes)}")
    rows = layout.reshape(e, x, (x.sizes[0], groups, math.prod(x.sizes[1:]) // groups))
    normed = e.make("instance_norm", [rows], rows.shape, (node.epsilon(1e-5),))
    column = (scale.sizes[0], *[1] * (len(x.sizes) - 2))
    parts = (layout.reshape(e, part, column) for part in (scale, bias))
    return [arithmetic.with_weights(e, layout.reshape(e, normed, x.sizes), *parts)]


def _conv(e: Expressions, node: Node) -> list[Value]:
    """A convolution that keeps height and width."""
    x, weight = node.input(0), node.input(1)
    rows, channels, height, width = weight.sizes
    same = [height // 2, width // 2] * 2
    pads, automatic = node.attribute("pads", [0] * 4), node.attribute("auto_pad", b"NOTSET")
    if (
        len(x.sizes) != 4
        or x.sizes[1] != channels
        or not height == width
        or height % 2 == 0
        or (pads != same and automatic not in (b"SAME_UPPER", b"SAME_LOWER"))
        or node.attribute("strides", [1, 1]) != [1, 1]
        or node.attribute("dilations", [1, 1]) != [1, 1]
        or node.attribute("group", 1) != 1
        or not weight.constant
    ):
        raise UnsupportedError(f"a convolution of {list(weight.sizes)} on {list(x.sizes)} that is not plain")
    result = e.make("conv", [x, weight], (x.sizes[0], rows, *x.sizes[2:]))
    bias = node.optional(2)
    if bias is None:
        return [result]
    return [arithmetic.add(e, result, layout.reshape(e, bias, (rows, 1, 1)))]


def _resize(e: Expressions, node: Node) -> list[Value]:
    """Doubling by nearest neighbour only."""
    x = node.input(0)
    scales = node.optional(2)
    if scales is not None and scales.array is not None and scales.array.size == len(x.sizes):
        sizes = [int(size * scale) for size, scale in zip(x.sizes, scales.array.tolist(), strict=True)]
    else:
        sizes = node.integers(3)
    if len(x.sizes) != 4 or sizes != [*x.sizes[:2], 2 * x.sizes[2], 2 * x.sizes[3]]:
        raise UnsupportedError(f"a resize from {list(x.sizes)} to {sizes[:8]}")
    if node.attribute("mode", b"nearest") != b"nearest":
        raise UnsupportedError("a resize that interpolates")
    return [e.make("double", [x], tuple(sizes))]


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


def _slope_one(default: float) -> Operator:
    """x sigmoid(alpha x) with alpha 1."""

    def apply(e: Expressions, node: Node) -> list[Value]:
        if node.attribute("alpha", default) != 1:
            raise UnsupportedError("a sigmoid of another slope than 1")
        return [e.make("silu", [node.input(0)], node.input(0).shape)]

    return apply


OPERATORS: dict[str, Operator] = {
    "Identity": _same,
    "Dropout": _same,
    "Cast": _cast,
    "CastLike": _same,
    "Add": _binary(arithmetic.add),
    "Sub": _binary(arithmetic.subtract),
    "Mul": _binary(arithmetic.multiply),
    "Div": _binary(arithmetic.divide),
    "Pow": _binary(arithmetic.power),
    "Neg": _unary(arithmetic.negative),
    "Reciprocal": _unary(arithmetic.reciprocal),
    "Sqrt": _unary(arithmetic.square_root),
    "Sigmoid": _generic("sigmoid", None, 1),
    "Swish": _slope_one(1.0),
    "Exp": _generic("exp", np.exp, 1),
    "Cos": _generic("cos", None, 1),
    "Sin": _generic("sin", None, 1),
    "Not": _generic("not", np.logical_not, 1),
    "And": _generic("and", np.logical_and, 2),
    "Or": _generic("or", np.logical_or, 2),
    "Equal": _generic("equal", np.equal, 2),
    "Less": _generic("less", np.less, 2),
    "LessOrEqual": _generic("less_or_equal", np.less_equal, 2),
    "Greater": _generic("greater", np.greater, 2),
    "GreaterOrEqual": _generic("greater_or_equal", np.greater_equal, 2),
    "Min": _generic("min", np.minimum, 2),
    "Max": _generic("max", np.maximum, 2),
    "Floor": _generic("floor", np.floor, 1),
    "Ceil": _generic("ceil", np.ceil, 1),
    "Abs": _generic("abs", np.abs, 1),
    "IsNaN": _generic("is_nan", None, 1),
    "Clip": _clip,
    "Where": _where,
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
    "Einsum": _einsum,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "ReduceMean": _reduce_mean,
    "Softmax": _softmax,
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _rms_norm,
    "SimplifiedLayerNormalization": _rms_norm,
    "InstanceNormalization": _instance_norm,
    "GroupNormalization": _group_norm,
    "Conv": _conv,
    "Resize": _resize,
    "DepthToSpace": _depth_to_space,
}

CONTRIB_OPERATORS: dict[str, Operator] = {
    "MatMulNBits": _matmul_nbits,
    "QuickGelu": _slope_one(1.702),
    "SimplifiedLayerNormalization": _rms_norm,
}
