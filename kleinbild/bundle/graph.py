"""One ONNX file of a bundle: its nodes in an order in which they could run, its stored tensors, its ends.

Nothing is executed. Constant nodes become stored tensors, too, wherever their data lies. The order of nodes
in the file is not trusted: another exporter, or an optimiser, may leave any.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import AttributeProto, TensorProto, helper

from kleinbild.bundle.flux2_config import GraphFile
from kleinbild.bundle.stored import StoredTensor
from kleinbild.errors import KleinbildError

GRAPH_MAX_BYTES = 1 << 30
MAX_NODES = 1 << 18
MAX_EDGES = 1 << 20
ONNX_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True)
class GraphInput:
    """An input that is not stored; `dims` holds None for a dynamic size."""

    name: str
    dims: tuple[int | None, ...]


class Graph:
    """An opened graph; `where` names it in messages."""

    def __init__(self, file: GraphFile) -> None:
        """Reads the graph, not its shards. Raises KleinbildError when it is damaged or no ONNX file."""
        self.where = str(file.path)
        self._shards = {shard.name: shard for shard in file.shards}
        graph = _load(file.path)
        edges = sum(len(node.input) + len(node.output) for node in graph.node)
        if len(graph.node) > MAX_NODES or edges > MAX_EDGES:
            raise KleinbildError(
                f"{self.where}: {len(graph.node)} nodes with {edges} inputs and outputs; "
                f"a graph of a bundle has at most {MAX_NODES} and {MAX_EDGES}"
            )
        self.tensors: dict[str, StoredTensor] = {}
        for tensor in graph.initializer:
            self._store(tensor.name, tensor)
        nodes = [node for node in graph.node if not self._is_stored_constant(node)]
        self.inputs = [
            GraphInput(value.name, _dims(value)) for value in graph.input if value.name not in self.tensors
        ]
        self.outputs = [value.name for value in graph.output]
        self.nodes = self._in_running_order(nodes)

    def _store(self, name: str, tensor: TensorProto) -> None:
        if name in self.tensors:
            raise KleinbildError(f"{self.where}: holds the tensor {name[:120]!r} twice")
        self.tensors[name] = StoredTensor(self.where, name, tensor, self._shards)

    def _is_stored_constant(self, node: onnx.NodeProto) -> bool:
        """Whether `node` is a Constant; its value is stored then."""
        if node.op_type != "Constant" or node.domain not in ONNX_DOMAINS or len(node.output) != 1:
            return False
        for attribute in node.attribute:
            if attribute.name == "value" and attribute.type == AttributeProto.TENSOR:
                self._store(node.output[0], attribute.t)
                return True
            tensor = _plain_constant(attribute)
            if tensor is not None:
                self._store(node.output[0], tensor)
                return True
        return False

    def _in_running_order(self, nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
        """`nodes` so that each comes after those that it takes values from."""
        known = {*self.tensors, *(value.name for value in self.inputs)}
        producer: dict[str, int] = {}
        for index, node in enumerate(nodes):
            for name in filter(None, node.output):
                if name in producer or name in known:
                    raise KleinbildError(f"{self.where}: the value {name[:120]!r} is computed twice")
                producer[name] = index
        waiting = []
        followers: dict[int, list[int]] = defaultdict(list)
        for index, node in enumerate(nodes):
            sources = {producer[name] for name in node.input if name in producer}
            waiting.append(len(sources))
            for source in sources:
                followers[source].append(index)
        ready = [index for index, count in enumerate(waiting) if not count]
        order = []
        while ready:
            index = ready.pop()
            order.append(nodes[index])
            for follower in followers[index]:
                waiting[follower] -= 1
                if not waiting[follower]:
                    ready.append(follower)
        if len(order) != len(nodes):
            raise KleinbildError(
                f"{self.where}: {len(nodes) - len(order)} nodes wait for each other (a cycle)"
            )
        return order


def _plain_constant(attribute: AttributeProto) -> TensorProto | None:
    """The value of a Constant node that is written as numbers, not as a tensor."""
    name = attribute.name
    if name == "value_float":
        return helper.make_tensor("", TensorProto.FLOAT, [], [attribute.f])
    if name == "value_int":
        return helper.make_tensor("", TensorProto.INT64, [], [attribute.i])
    if name == "value_floats":
        return helper.make_tensor("", TensorProto.FLOAT, [len(attribute.floats)], attribute.floats)
    if name == "value_ints":
        return helper.make_tensor("", TensorProto.INT64, [len(attribute.ints)], attribute.ints)
    return None


def _dims(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    shape = value.type.tensor_type.shape
    return tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in shape.dim)


def _load(path: Path) -> onnx.GraphProto:
    try:
        size = path.stat().st_size
        if size > GRAPH_MAX_BYTES:
            raise KleinbildError(f"{path}: {size} bytes; a graph of a bundle has at most {GRAPH_MAX_BYTES}")
        model = onnx.ModelProto.FromString(path.read_bytes())
    except OSError as error:
        raise KleinbildError(f"cannot read {path}: {error.strerror}") from error
    except DecodeError as error:
        raise KleinbildError(f"{path}: not a whole ONNX file; fetch it again") from error
    if not model.graph.node:
        raise KleinbildError(f"{path}: holds no graph; fetch it again")
    graph: onnx.GraphProto = model.graph
    return graph
