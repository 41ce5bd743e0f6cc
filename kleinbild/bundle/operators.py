"""ONNX operators that compute, in normal form: what attributes and inputs each may have, what it becomes.

Only what exporters of this model's parts emit is here. A function takes the node and gives its outputs; it
raises UnsupportedError for a use that it does not understand.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from kleinbild.bundle import arithmetic, layout, linear
from kleinbild.bundle.expression import Expressions, UnsupportedError, Value, foldable
from kleinbild.bundle.move_operators import MOVE_OPERATORS
from kleinbild.bundle.node import Node, Operator

FLOAT_TYPES = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)
INTEGER_TYPES = (TensorProto.INT64, TensorProto.INT32)
FLOAT16_RANGE = 6e4


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
        return [x] if to in FLOAT_TYPES else [e.make("cast", [x], x.sizes, (to,))]
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
    return [e.make("clip", [x], x.sizes, tuple(bounds))]


def _where(e: Expressions, node: Node) -> list[Value]:
    choice, zero, x = (node.input(i) for i in range(3))
    if choice.op == "is_nan" and choice.inputs[0] is x and zero.scalar == 0:
        return [x]  # a softmax kept from rows without any key
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
    return [e.make("softmax", [x], x.sizes)]


def _layer_norm(e: Expressions, node: Node) -> list[Value]:
    x = node.input(0)
    _require_last_axis(x, node)
    normed = e.make("layer_norm", [x], x.sizes, (node.epsilon(1e-5),))
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
    normed = e.make("instance_norm", [x], x.sizes, (node.epsilon(1e-5),))
    column = (scale.sizes[0], *[1] * (len(x.sizes) - 2))
    parts = (layout.reshape(e, part, column) for part in (scale, bias))
    return [arithmetic.with_weights(e, normed, *parts)]


def _group_norm(e: Expressions, node: Node) -> list[Value]:
    x, scale, bias = (node.input(i) for i in range(3))
    groups = node.attribute("num_groups", 0)
    if groups < 1 or x.sizes[1] % groups or scale.sizes != (x.sizes[1],):
        raise UnsupportedError(f"{groups} groups of {list(x.sizes)}")
    rows = layout.reshape(e, x, (x.sizes[0], groups, math.prod(x.sizes[1:]) // groups))
    normed = e.make("instance_norm", [rows], rows.sizes, (node.epsilon(1e-5),))
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
    coordinates = node.attribute("coordinate_transformation_mode", b"half_pixel")
    if node.attribute("mode", b"nearest") != b"nearest" or coordinates == b"align_corners":
        raise UnsupportedError("a resize that interpolates")
    return [e.make("double", [x], tuple(sizes))]


def _slope_one(default: float) -> Operator:
    """x sigmoid(alpha x) with alpha 1."""

    def apply(e: Expressions, node: Node) -> list[Value]:
        if node.attribute("alpha", default) != 1:
            raise UnsupportedError("a sigmoid of another slope than 1")
        return [e.make("silu", [node.input(0)], node.input(0).sizes)]

    return apply


OPERATORS: dict[str, Operator] = {
    **MOVE_OPERATORS,
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
}

CONTRIB_OPERATORS: dict[str, Operator] = {
    "MatMulNBits": _matmul_nbits,
    "QuickGelu": _slope_one(1.702),
    "SimplifiedLayerNormalization": _rms_norm,
}
