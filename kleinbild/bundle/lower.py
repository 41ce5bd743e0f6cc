"""A graph's nodes as expressions, with every size known: dynamic ones are given by the caller.

Sizes are computed, not looked up: what exporters write as Shape, Gather, Concat and Reshape comes out as one
reshape. A node that is not understood gives opaque values, which matter only if a weight's role depends on
them; unused copies of anything are never looked at.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from kleinbild.bundle.expression import Expressions, Shape, UnsupportedError, Value
from kleinbild.bundle.graph import ONNX_DOMAINS, Graph
from kleinbild.bundle.node import Node
from kleinbild.bundle.operators import CONTRIB_OPERATORS, OPERATORS
from kleinbild.errors import KleinbildError

CONTRIB_DOMAIN = "com.microsoft"
MAX_INPUT_SIZE = 1 << 20


def lower(e: Expressions, graph: Graph, inputs: Mapping[str, Value]) -> dict[str, Value]:
    """The outputs of `graph` by name, given the values of its inputs.

    Raises KleinbildError when an input or output is missing, or a small constant's bytes are not there.
    """
    values: dict[str, Value] = {}
    for expected in graph.inputs:
        if expected.name not in inputs:
            raise KleinbildError(
                f"{graph.where}: takes the input {expected.name[:120]!r}, "
                f"expected {', '.join(repr(name[:120]) for name in inputs)}"
            )
        values[expected.name] = inputs[expected.name]
    constants: dict[str, Value] = {}

    def value(name: str) -> Value | None:
        if not name:
            return None
        if name in values:
            return values[name]
        if name not in constants:
            tensor = graph.tensors.get(name)
            if tensor is None:
                e.origin = graph.where
                return e.opaque(f"no node computes {name[:80]!r}")
            e.origin = str(tensor)
            constants[name] = e.stored(tensor)
        return constants[name]

    for proto in graph.nodes:
        found = [value(name) for name in proto.input]
        e.origin = f"{proto.op_type[:40]!r} {proto.name[:120]!r} in {graph.where}"
        for name, result in zip(proto.output, _apply(e, proto, found), strict=False):
            if name:
                values[name] = result
    outputs = {name: value(name) for name in graph.outputs}
    return {name: result for name, result in outputs.items() if result is not None}


def input_shape(graph: Graph, name: str, wanted: Shape) -> Shape:
    """The shape of the graph input `name`: as declared, dynamic sizes as in `wanted`.

    Raises KleinbildError when there is no such input or it declares another number of sizes.
    """
    declared = next((value.dims for value in graph.inputs if value.name == name), None)
    if declared is None:
        names = ", ".join(repr(value.name[:80]) for value in graph.inputs[:8])
        raise KleinbildError(f"{graph.where}: has no input {name[:120]!r}; its inputs are {names or 'none'}")
    if len(declared) != len(wanted):
        raise KleinbildError(
            f"{graph.where}: input {name[:120]!r} has {len(declared)} sizes, not {len(wanted)}"
        )
    shape = tuple(want if size is None else size for size, want in zip(declared, wanted, strict=True))
    if any(not 1 <= size <= MAX_INPUT_SIZE for size in shape):
        raise KleinbildError(f"{graph.where}: input {name[:120]!r} has the shape {list(shape)}")
    return shape


def _apply(e: Expressions, proto: onnx.NodeProto, inputs: list[Value | None]) -> list[Value]:
    table = {**dict.fromkeys(ONNX_DOMAINS, OPERATORS), CONTRIB_DOMAIN: CONTRIB_OPERATORS}
    operator = table.get(proto.domain, {}).get(proto.op_type)
    count = len(proto.output)
    if operator is None:
        return [e.opaque(f"an operator {proto.op_type[:40]!r} that is not understood")] * count
    try:
        return operator(e, Node(proto, inputs))
    except (UnsupportedError, ValueError, TypeError, IndexError, ArithmeticError) as error:
        # What a hostile or foreign node asks for may fail anywhere in numpy; the node is not understood then.
        cause = next((value for value in inputs if value is not None and value.op == "opaque"), None)
        if cause is not None:
            return [cause] * count
        shape = error.shape if isinstance(error, UnsupportedError) else None
        return [e.opaque(str(error)[:200], shape)] * count
