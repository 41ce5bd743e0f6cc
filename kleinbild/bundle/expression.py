"""What a graph computes, as expressions: one object for equal computations, whatever they are called.

An `Expressions` makes values and never makes the same one twice, so that identity means equality: a shared
Sigmoid and two copies of it are one value. Small constants hold their numbers, large ones say where theirs
are stored. What the operators mean, and their normal form, is in arithmetic.py, linear.py and layout.py.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from kleinbild.bundle.stored import StoredTensor
from kleinbild.errors import KleinbildError

Shape = tuple[int, ...]

MAX_VALUES = 1 << 20
MAX_RANK = 8
MAX_ELEMENTS = 1 << 40
# Constants up to this size are computed with while a graph is read: masks and tables of 512 tokens fit.
FOLD_ELEMENTS = 1 << 19
# Stored constants up to this size are read at once: norms, biases, sizes.
SMALL_ELEMENTS = 1 << 14
# A graph may compute with this many elements in all, so that none can keep a machine busy.
BUDGET_ELEMENTS = 1 << 25


class UnsupportedError(Exception):
    """An operator, or a use of one, that is not understood; its results become opaque values.

    shape: what the result has all the same, None when that is not known either.
    """

    def __init__(self, reason: str, shape: Shape | None = None) -> None:
        super().__init__(reason)
        self.shape = shape


class Value:
    """A value of an expression; made by Expressions alone.

    op: its operator in normal form; inputs; attributes: what else the operator needs, hashable; shape: None
    when unknown, which only opaque ones are; array: its numbers when it is a small constant; stored: the
    tensor when it is one; constant: whether no graph input has a part in it; origin: its node, for messages.
    """

    __slots__ = ("array", "attributes", "constant", "id", "inputs", "op", "origin", "shape", "stored")

    def __init__(
        self,
        id_: int,
        op: str,
        inputs: tuple[Value, ...],
        *,
        attributes: tuple[Any, ...],
        shape: Shape | None,
        origin: str,
        array: npt.NDArray[Any] | None = None,
        stored: StoredTensor | None = None,
    ) -> None:
        self.id = id_
        self.op = op
        self.inputs = inputs
        self.attributes = attributes
        self.shape = shape
        self.origin = origin
        self.array = array
        self.stored = stored
        self.constant: bool = op == "constant" or (
            bool(inputs) and op != "opaque" and all(value.constant for value in inputs)
        )

    def __repr__(self) -> str:
        return f"{self.op}{list(self.shape) if self.shape is not None else '[?]'}"

    @property
    def sizes(self) -> Shape:
        """Its shape; raises UnsupportedError when it is not known."""
        if self.shape is None:
            raise UnsupportedError(f"the shape of {self.op} is not known")
        return self.shape

    @property
    def scalar(self) -> float | None:
        """Its number when it is a constant of one element."""
        if self.array is None or self.array.size != 1 or self.array.dtype.kind not in "fiub":
            return None
        return float(self.array.reshape(-1)[0])

    def describe(self) -> str:
        """What it is, in words for a message."""
        if self.op == "opaque":
            return "something else"
        shape = "" if self.shape is None else f" {list(self.shape)}"
        return f"{self.op.replace('_', ' ')}{shape}" + (f" ({self.origin})" if self.origin else "")


class Expressions:
    """Makes values; `origin` says which node the next ones come from."""

    def __init__(self) -> None:
        self.origin = ""
        self._values: dict[tuple[Any, ...], Value] = {}
        self._budget = BUDGET_ELEMENTS

    def spend(self, elements: int) -> None:
        """Notes that `elements` were computed; raises KleinbildError when it is too much for one graph."""
        self._budget -= elements
        if self._budget < 0:
            raise KleinbildError(
                f"{self.origin}: the graph computes with more than {BUDGET_ELEMENTS} constants"
            )

    def make(self, op: str, inputs: Sequence[Value], shape: Shape, attributes: tuple[Any, ...] = ()) -> Value:
        """The value of `op` on `inputs`; raises KleinbildError when there are too many values."""
        if len(shape) > MAX_RANK or math.prod(shape) > MAX_ELEMENTS:
            raise UnsupportedError(f"the shape {list(shape)[:MAX_RANK]}")
        key = (op, tuple(value.id for value in inputs), attributes)
        return self._once(key, op, tuple(inputs), attributes=attributes, shape=shape)

    def input(self, name: str, shape: Shape) -> Value:
        """The graph input `name`."""
        return self._once(("input", name), "input", (), attributes=(name,), shape=shape)

    def opaque(self, reason: str, shape: Shape | None = None) -> Value:
        """A value of which nothing is known but why, and its shape perhaps."""
        key = ("opaque", len(self._values))
        value = self._once(key, "opaque", (), attributes=(reason,), shape=shape)
        value.origin = f"{value.origin}: {reason}" if value.origin else reason
        return value

    def constant(self, array: npt.NDArray[Any]) -> Value:
        """A computed constant."""
        return self._array(array, None)

    def stored(self, tensor: StoredTensor) -> Value:
        """A tensor as it is stored. Raises KleinbildError when it is small and its bytes are not there."""
        if not tensor.sane_shape:
            return self.opaque(f"tensor {tensor.name[:80]!r} of the shape {list(tensor.shape)[:MAX_RANK]}")
        if tensor.dtype is not None and math.prod(tensor.shape) <= SMALL_ELEMENTS:
            return self._array(tensor.read(), tensor)
        key = ("stored", tensor.where, tensor.name)
        return self._once(key, "constant", (), attributes=(), shape=tensor.shape, stored=tensor)

    def _array(self, array: npt.NDArray[Any], tensor: StoredTensor | None) -> Value:
        self.spend(array.size + 1)
        content = hashlib.sha256(array.tobytes()).digest()
        key: tuple[Any, ...] = ("array", array.dtype.str, array.shape, content)
        return self._once(key, "constant", (), attributes=(), shape=array.shape, array=array, stored=tensor)

    def _once(
        self,
        key: tuple[Any, ...],
        op: str,
        inputs: tuple[Value, ...],
        *,
        attributes: tuple[Any, ...],
        shape: Shape | None,
        array: npt.NDArray[Any] | None = None,
        stored: StoredTensor | None = None,
    ) -> Value:
        found = self._values.get(key)
        if found is None:
            if len(self._values) >= MAX_VALUES:
                raise KleinbildError(f"{self.origin}: the graph computes more than {MAX_VALUES} values")
            found = Value(
                len(self._values),
                op,
                inputs,
                attributes=attributes,
                shape=shape,
                origin=self.origin,
                array=array,
                stored=stored,
            )
            self._values[key] = found
        return found


def broadcast(*shapes: Shape) -> Shape:
    """The shape of an elementwise operator on `shapes`; raises UnsupportedError when they do not fit."""
    rank = max((len(shape) for shape in shapes), default=0)
    result = [1] * rank
    for shape in shapes:
        for axis, size in enumerate(shape, rank - len(shape)):
            if size != 1 and result[axis] not in (1, size):
                raise UnsupportedError(f"shapes {', '.join(str(list(s)) for s in shapes)} do not fit")
            if size != 1:
                result[axis] = size
    return tuple(result)


def foldable(*values: Value, shape: Shape) -> bool:
    """Whether all are small constants, and a result of `shape` would be one."""
    return all(value.array is not None for value in values) and math.prod(shape) <= FOLD_ELEMENTS
