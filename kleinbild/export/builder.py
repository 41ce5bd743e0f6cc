"""A small writer of ONNX graphs: nodes with path-like names, constants stored once, weights by reference.

Values are plain strings, the names of tensors. The builder knows ONNX and its two float types (the
activations' and float32), nothing of the model; nothing here runs or optimises a graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from kleinbild import __version__
from kleinbild.export.tensor_store import Blocks, InlineStore, TensorStore

OPSET = 18
IR_VERSION = 8
CONTRIB_DOMAIN = "com.microsoft"
CONTRIB_VERSION = 1


class GraphBuilder:
    """Collects one graph. `activation` is TensorProto.FLOAT16 or FLOAT: the type of matmul inputs."""

    def __init__(self, name: str, activation: int, store: TensorStore) -> None:
        self.activation = activation
        self._name = name
        self._store = store
        self._scope = ""
        self._uses: dict[str, int] = {}
        self._constants: dict[tuple[bytes, str, tuple[int, ...]], str] = {}
        self._weights: dict[str, tuple[int, ...]] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, element_type: int, shape: Sequence[int | str]) -> str:
        """Declares a graph input; a string in `shape` is a dynamic size."""
        self._inputs.append(helper.make_tensor_value_info(name, element_type, shape))
        return name

    def output(self, name: str, element_type: int, shape: Sequence[int | str]) -> None:
        """Declares the value `name` as a graph output."""
        self._outputs.append(helper.make_tensor_value_info(name, element_type, shape))

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Puts nodes made inside under the path `name`."""
        outer = self._scope
        self._scope = f"{outer}/{name}"
        try:
            yield
        finally:
            self._scope = outer

    def node(self, op: str, *inputs: str, output: str = "", domain: str = "", **attributes: Any) -> str:
        """Adds a node of one output and returns that output, called `output` if given."""
        name = self._unique(op)
        output = output or f"{name}_output_0"
        self._nodes.append(helper.make_node(op, inputs, [output], name=name, domain=domain, **attributes))
        return output

    def split(self, value: str, sizes: Sequence[int], axis: int) -> list[str]:
        """`value` cut along `axis` into parts of `sizes`."""
        name = self._unique("Split")
        outputs = [f"{name}_output_{i}" for i in range(len(sizes))]
        inputs = [value, self.integers(sizes)]
        self._nodes.append(helper.make_node("Split", inputs, outputs, name=name, axis=axis))
        return outputs

    def constant(self, array: npt.NDArray[Any]) -> str:
        """A small constant kept in the graph; equal ones are stored once."""
        key = (array.tobytes(), array.dtype.str, array.shape)
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._constants[key] = name
            self._initializers.append(InlineStore().add(name, array))
        return self._constants[key]

    def integers(self, values: Sequence[int]) -> str:
        """A constant int64 [len(values)]."""
        return self.constant(np.array(values, np.int64))

    def scalar(self, value: float) -> str:
        """A constant float32 scalar."""
        return self.constant(np.array(value, np.float32))

    def weight(self, name: str, array: npt.NDArray[Any] | Blocks) -> str:
        """Stores `array` as the initializer `name`; each name once a graph."""
        assert name not in self._weights, name
        self._weights[name] = array.shape
        self._initializers.append(self._store.add(name, array))
        return name

    def weight_shape(self, name: str) -> tuple[int, ...]:
        """Shape of the stored weight `name`."""
        return self._weights[name]

    def to_float32(self, value: str) -> str:
        """`value`, of the activations' type, as float32."""
        return self._cast(value, TensorProto.FLOAT)

    def to_activation(self, value: str) -> str:
        """`value`, float32, in the activations' type."""
        return self._cast(value, self.activation)

    def reshape(self, value: str, shape: Sequence[int]) -> str:
        """`value` in another shape; -1 is the size that is left."""
        return self.node("Reshape", value, self.integers(shape))

    def save(self, path: Path) -> None:
        """Writes the graph; the same calls give the same bytes."""
        graph = helper.make_graph(self._nodes, self._name, self._inputs, self._outputs, self._initializers)
        opsets = [helper.make_opsetid("", OPSET)]
        if any(node.domain == CONTRIB_DOMAIN for node in self._nodes):
            opsets.append(helper.make_opsetid(CONTRIB_DOMAIN, CONTRIB_VERSION))
        model = helper.make_model(
            graph,
            opset_imports=opsets,
            ir_version=IR_VERSION,
            producer_name="kleinbild",
            producer_version=__version__,
        )
        path.write_bytes(model.SerializeToString(deterministic=True))

    def _cast(self, value: str, to: int) -> str:
        # The only two types a float value can have are the activations' and float32.
        return value if self.activation == TensorProto.FLOAT else self.node("Cast", value, to=to)

    def _unique(self, op: str) -> str:
        name = f"{self._scope}/{op}"
        count = self._uses.get(name, 0)
        self._uses[name] = count + 1
        return f"{name}_{count}" if count else name
