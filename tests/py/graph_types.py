"""The element type of every value of an exported graph, and who makes and uses it.

onnx's own inference stops at operators of other domains; the few rules here cover every operator that the
exporter writes, and refuse one that mixes types where the operator allows none.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, numpy_helper

BOOLEAN = {"And", "LessOrEqual"}
# Operators whose float inputs must all have one type, which is the result's.
UNIFORM = {
    *("Add", "Sub", "Mul", "Div", "MatMul", "Concat", "Clip", "Conv", "MatMulNBits"),
    *("LayerNormalization", "InstanceNormalization"),
}
FIRST = {
    *("Reshape", "Transpose", "Softmax", "Sigmoid", "Sqrt", "ReduceMean", "Split", "Slice", "Gather", "Cos"),
    *("Sin", "Identity", "Resize", "DepthToSpace"),
}
FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16}


class TypedGraph:
    """A graph without its external data; `types` has the element type of each value."""

    def __init__(self, path: Path) -> None:
        self.graph = onnx.load(path, load_external_data=False).graph
        self.initializers = {tensor.name: tensor for tensor in self.graph.initializer}
        self.types = {name: tensor.data_type for name, tensor in self.initializers.items()}
        self.types |= {value.name: value.type.tensor_type.elem_type for value in self.graph.input}
        self.maker: dict[str, NodeProto] = {}
        self.users: dict[str, list[NodeProto]] = defaultdict(list)
        for node in self.graph.node:
            for name in node.input:
                self.users[name].append(node)
            for name in node.output:
                self.maker[name] = node
                self.types[name] = self._type(node)
        for value in self.graph.output:
            assert self.types[value.name] == value.type.tensor_type.elem_type, value.name

    def of(self, op: str) -> list[NodeProto]:
        """The nodes of operator `op`, in order."""
        return [node for node in self.graph.node if node.op_type == op]

    def constant(self, name: str) -> npt.NDArray[np.generic] | None:
        """The value of an initializer that is kept in the graph; None for anything else."""
        tensor = self.initializers.get(name)
        if tensor is None or tensor.data_location == TensorProto.EXTERNAL:
            return None
        return numpy_helper.to_array(tensor)

    def _type(self, node: NodeProto) -> int:
        inputs: list[int] = [self.types[name] for name in node.input if name]
        if node.op_type == "Cast":
            return next(int(a.i) for a in node.attribute if a.name == "to")
        if node.op_type == "Shape":
            return int(TensorProto.INT64)
        if node.op_type in BOOLEAN:
            return int(TensorProto.BOOL)
        if node.op_type == "Where":
            assert inputs[1] == inputs[2], node.name
            return inputs[1]
        if node.op_type in UNIFORM:
            assert len({t for t in inputs if t in FLOATS}) <= 1, f"{node.name} mixes float types"
        else:
            assert node.op_type in FIRST, node.op_type
        return inputs[0]
