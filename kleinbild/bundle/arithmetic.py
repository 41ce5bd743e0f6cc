"""Operators that compute, in the normal form in which the recognisers look for them.

Casts between float types are gone. Division is a product with a reciprocal, subtraction a sum with a
negative, a power of a half a root. Chains that make up one known operator become it: silu(x), rms(x; eps) =
x / sqrt(mean(x^2) + eps) over the last axis, layer_norm(x; eps) without weights. So the recognisers see one
spelling of each, and what has none stays under its ONNX name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from kleinbild.bundle.expression import Expressions, UnsupportedError, Value, broadcast, foldable

Array = npt.NDArray[Any]


def computed(array: Array) -> Array:
    """`array` in the one float type, or the one integer type, that constants are computed in."""
    if array.dtype.kind == "f":
        return array.astype(np.float64)
    return array.astype(np.int64) if array.dtype.kind in "iu" else array


def elementwise(e: Expressions, op: str, fold: Callable[..., Array] | None, *values: Value) -> Value:
    """`op` on broadcast `values`, computed with `fold` when all are small constants.

    A value of unknown shape, such as a mask made in ways not understood, is taken to fit the activations
    beside it.
    """
    known = [value for value in values if value.shape is not None]
    if len(known) < len(values) and not any(_is_activation(value) for value in known):
        raise UnsupportedError(f"the shape of {op} is not known")
    shape = broadcast(*(value.sizes for value in known))
    if fold is not None and foldable(*values, shape=shape):
        with np.errstate(all="ignore"):
            return e.constant(np.asarray(fold(*(computed(v.array) for v in values if v.array is not None))))
    return e.make(op, values, shape)


def _is_activation(x: Value) -> bool:
    """Whether `x` has tokens and channels, or pixels: more than one axis of some length."""
    return not x.constant and sum(size > 1 for size in x.sizes) > 1


def add(e: Expressions, a: Value, b: Value) -> Value:
    """a + b."""
    for x, y in ((a, b), (b, a)):
        if y.scalar == 0 and x.array is None and broadcast(x.sizes, y.sizes) == x.shape:
            return x
    return elementwise(e, "add", np.add, *_sorted(a, b))


def negative(e: Expressions, x: Value) -> Value:
    """-x."""
    return x.inputs[0] if x.op == "negative" else elementwise(e, "negative", np.negative, x)


def subtract(e: Expressions, a: Value, b: Value) -> Value:
    """a - b."""
    return add(e, a, negative(e, b))


def multiply(e: Expressions, a: Value, b: Value) -> Value:
    """a b."""
    if a is b:
        return elementwise(e, "square", np.square, a)
    for x, y in ((a, b), (b, a)):
        if y.scalar == 1 and x.array is None and broadcast(x.sizes, y.sizes) == x.shape:
            return x
        if y.op == "sigmoid" and y.inputs[0] is x:
            return e.make("silu", [x], x.sizes)
        eps = _inverse_root_mean_square(x, y)
        if eps is not None:
            return rms(e, x, eps)
    return elementwise(e, "multiply", np.multiply, *_sorted(a, b))


def reciprocal(e: Expressions, x: Value) -> Value:
    """1 / x."""
    if x.op == "add":
        # 1 / (1 + exp(-x))
        for one, other in (x.inputs, x.inputs[::-1]):
            if one.scalar == 1 and other.op == "exp" and other.inputs[0].op == "negative":
                return e.make("sigmoid", [other.inputs[0].inputs[0]], x.sizes)
    return elementwise(e, "reciprocal", np.reciprocal, x)


def divide(e: Expressions, a: Value, b: Value) -> Value:
    """a / b; whole numbers are divided as sizes are, rounding towards zero."""
    if foldable(a, b, shape=broadcast(a.sizes, b.sizes)) and a.array is not None and b.array is not None:
        if a.array.dtype.kind in "iu" and b.array.dtype.kind in "iu":
            return elementwise(e, "divide", lambda x, y: np.trunc(x / y).astype(np.int64), a, b)
        return elementwise(e, "divide", np.divide, a, b)
    return reciprocal(e, b) if a.scalar == 1 else multiply(e, a, reciprocal(e, b))


def power(e: Expressions, x: Value, exponent: Value) -> Value:
    """x^exponent."""
    if x.array is None:
        if exponent.scalar == 2:
            return multiply(e, x, x)
        if exponent.scalar == 0.5:
            return square_root(e, x)
        if exponent.scalar == -0.5:
            return reciprocal(e, square_root(e, x))
    return elementwise(e, "power", lambda a, b: np.power(a.astype(np.float64), b), x, exponent)


def square_root(e: Expressions, x: Value) -> Value:
    """sqrt(x)."""
    return elementwise(e, "square_root", np.sqrt, x)


def mean(e: Expressions, x: Value, axes: list[int], keep: bool) -> Value:
    """The mean over `axes`; in normal form over the last one, which stays with size 1."""
    if keep and axes == [len(x.sizes) - 1]:
        return e.make("mean", [x], (*x.sizes[:-1], 1))
    shape = tuple(1 if i in axes else size for i, size in enumerate(x.sizes) if keep or i not in axes)
    return e.make("mean_over", [x], shape, (*axes, keep))


def rms(e: Expressions, x: Value, eps: float) -> Value:
    """x / sqrt(mean(x^2) + eps) over the last axis, or the layer norm that it is when x is centred."""
    if x.op == "add":
        for centred, minus in (x.inputs, x.inputs[::-1]):
            if (
                minus.op == "negative"
                and minus.inputs[0].op == "mean"
                and minus.inputs[0].inputs[0] is centred
            ):
                return e.make("layer_norm", [centred], centred.sizes, (eps,))
    return e.make("rms", [x], x.sizes, (eps,))


def with_weights(e: Expressions, x: Value, scale: Value | None, bias: Value | None) -> Value:
    """x scale + bias, where ones and zeros of a norm without weights vanish."""
    if scale is not None and not _all_equal(scale, 1):
        x = multiply(e, x, scale)
    if bias is not None and not _all_equal(bias, 0):
        x = add(e, x, bias)
    return x


def _all_equal(x: Value, number: float) -> bool:
    return x.array is not None and bool((x.array == number).all())


def _inverse_root_mean_square(x: Value, inverse: Value) -> float | None:
    """eps when `inverse` is 1 / sqrt(mean(x^2) + eps)."""
    if inverse.op != "reciprocal" or inverse.inputs[0].op != "square_root":
        return None
    total = inverse.inputs[0].inputs[0]
    if total.op != "add":
        return None
    for average, eps in (total.inputs, total.inputs[::-1]):
        number = decimal(eps)
        if number is not None and average.op == "mean":
            square = average.inputs[0]
            if square.op == "square" and square.inputs[0] is x:
                return number
    return None


def decimal(x: Value) -> float | None:
    """The number of a scalar constant as its author wrote it: the shortest one that its type rounds so."""
    if x.array is None or x.array.size != 1 or x.array.dtype.kind != "f":
        return x.scalar
    return float(str(x.array.reshape(-1)[0]))


def _sorted(a: Value, b: Value) -> tuple[Value, Value]:
    return (a, b) if a.id <= b.id else (b, a)
