"""A node of a graph with the values of its inputs: typed access to what it may have.

Everything asked for may be missing or of another type; UnsupportedError says so, and the node is not
understood then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto

from kleinbild.bundle import layout
from kleinbild.bundle.expression import Expressions, UnsupportedError, Value

MAX_LIST = 1 << 10


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
        if array is None or array.dtype.kind not in "iu" or array.size > MAX_LIST:
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
        axes = self.attribute("axes", []) if self.optional(index) is None else self.integers(index)
        return sorted(layout.normal_axis(axis, rank) for axis in axes)


Operator = Callable[[Expressions, Node], list[Value]]
