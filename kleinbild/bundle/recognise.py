"""Which initializer of which graph is which canonical tensor, for bundles that carry canonical names.

`recognise` is the seam: it is given opened graphs and the expected tensors, and answers with a place for
each. This one goes by name and then checks what the name promises: the operator that uses the tensor and
its shape. Telling the weights of other exporters' graphs apart by data flow would be another function of
the same kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import onnx

from kleinbild.bundle.graph import Graph, Use
from kleinbild.canonical import TensorSpec
from kleinbild.errors import KleinbildError
from kleinbild.weights import BLOCK_SIZES


@dataclass(frozen=True)
class DenseSource:
    """A dense initializer; `transposed` when a linear is stored [K, N]."""

    graph: Graph
    name: str
    transposed: bool


@dataclass(frozen=True)
class Q4Source:
    """The three initializers of a MatMulNBits; zero_points is None when the node has none."""

    graph: Graph
    codes: str
    scales: str
    zero_points: str | None
    block_size: int


WeightPlace = DenseSource | Q4Source


def recognise(
    graphs: Sequence[Graph], expected: Mapping[str, TensorSpec], stage: str
) -> dict[str, WeightPlace]:
    """Canonical name -> where its weight is, for every expected tensor of `stage`.

    Raises KleinbildError naming the tensor that is missing, used by an unexpected operator or of another
    shape.
    """
    return {name: _find(graphs, name, spec, stage) for name, spec in expected.items()}


def _find(graphs: Sequence[Graph], name: str, spec: TensorSpec, stage: str) -> WeightPlace:
    codes = f"{name}_Q4"
    for graph in graphs:
        where = f"{graph.where}: {stage} tensor {name!r}"
        if name in graph:
            return _dense(graph, name, spec, where)
        if codes in graph and spec.kind == "linear":
            return _q4(graph, codes, spec, where)
    files = ", ".join(graph.where for graph in graphs)
    raise KleinbildError(
        f"{stage} tensor {name!r} {list(spec.shape)} is missing: no tensor of that name in {files}; "
        "the bundle is of another model or exporter"
    )


def _dense(graph: Graph, name: str, spec: TensorSpec, where: str) -> DenseSource:
    transposed = spec.kind == "linear"
    shape, expected = graph.shape(name), spec.shape[::-1] if transposed else spec.shape
    # A vector may be stored with sizes of 1 around it, ready to be broadcast.
    same = (
        prod(shape) == prod(spec.shape) == max(shape, default=0)
        if spec.kind == "vector"
        else shape == expected
    )
    if not same:
        raise KleinbildError(f"{where} is {list(shape)}, expected {list(expected)}")
    operator, position = {"linear": ("MatMul", 1), "conv": ("Conv", 1), "embedding": ("Gather", 0)}.get(
        spec.kind, ("", -1)
    )
    uses = graph.uses(name)
    if not uses:
        raise KleinbildError(f"{where} is used by no operator")
    if operator and any(use.node.op_type != operator or use.position != position for use in uses):
        raise KleinbildError(f"{where} is used by {_operators(uses)}, expected {operator}")
    graph.check(name)
    return DenseSource(graph, name, transposed)


def _q4(graph: Graph, codes: str, spec: TensorSpec, where: str) -> Q4Source:
    uses = graph.uses(codes)
    if len(uses) != 1 or uses[0].node.op_type != "MatMulNBits" or uses[0].position != 1:
        raise KleinbildError(f"{where} is used by {_operators(uses)}, expected one MatMulNBits")
    node = uses[0].node
    attributes = {a.name: a.i for a in node.attribute if a.type == onnx.AttributeProto.INT}
    rows, columns = spec.shape
    block = attributes.get("block_size", 0)
    if (attributes.get("N"), attributes.get("K")) != (rows, columns):
        raise KleinbildError(
            f"{where} is a MatMulNBits of N {attributes.get('N')}, K {attributes.get('K')}; "
            f"expected N {rows}, K {columns}"
        )
    if attributes.get("bits", 4) != 4 or block not in BLOCK_SIZES:
        raise KleinbildError(
            f"{where} has {attributes.get('bits', 4)} bits in blocks of {block}; "
            f"only 4 bits in blocks of {', '.join(map(str, BLOCK_SIZES))} are supported"
        )
    inputs = [*node.input, "", "", "", ""]
    scales, zero_points, order, bias = inputs[2:6]
    if order or bias:
        raise KleinbildError(f"{where} has a group order or a bias, which the page does not implement")
    blocks = -(-columns // block)
    sizes = {codes: rows * blocks * (block // 2), scales: rows * blocks}
    if zero_points:
        sizes[zero_points] = rows * (-(-blocks // 2))
    for name, size in sizes.items():
        if name not in graph:
            raise KleinbildError(f"{where}: {name!r} is not stored in the graph")
        if prod(graph.shape(name)) != size:
            raise KleinbildError(f"{where}: {name!r} is {list(graph.shape(name))}, expected {size} elements")
        graph.check(name)
    return Q4Source(graph, codes, scales, zero_points or None, block)


def _operators(uses: Sequence[Use]) -> str:
    return ", ".join(sorted({f"{use.node.op_type} (input {use.position})" for use in uses})) or "no operator"
