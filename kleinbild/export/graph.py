"""Building one ONNX graph node by node, with weights that are named now and read later.

Initializers of a graph are its model weights and nothing else; every other number is a Constant node. A
weight is declared by dtype and shape together with a function that makes its arrays, so that a graph of
gigabytes is built without reading one of them; `inline_weights` or external_data.write_shards fills them in.
Names follow the order of building alone: the same calls give the same bytes. No operator's meaning is
known here (layers.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 18
IR_VERSION = 8  # of opset 18; every onnxruntime that knows MatMulNBits loads it
MICROSOFT_DOMAIN = "com.microsoft"
PRODUCER = "kleinbild"

Array = npt.NDArray[Any]
Dims = Sequence[int | str]


@dataclass(frozen=True)
class DeferredWeight:
    """Initializers whose data comes from one call of `load`: one array for each, in order."""

    tensors: tuple[TensorProto, ...]
    load: Callable[[], tuple[Array, ...]]


class GraphBuilder:
    """Collects nodes, inputs, outputs and weights of one graph; `real` is the dtype of its activations."""

    def __init__(self, name: str, real: npt.DTypeLike) -> None:
        self.name = name
        self.real = np.dtype(real)
        self.weights: list[DeferredWeight] = []
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._names: dict[str, int] = {}
        self._scopes: list[str] = []

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Puts `name` before the names of the nodes made inside."""
        self._scopes.append(name)
        try:
            yield
        finally:
            self._scopes.pop()

    def input(self, name: str, dtype: npt.DTypeLike, dims: Dims) -> str:
        """Declares a graph input; a text in `dims` is a symbolic size."""
        self._inputs.append(helper.make_tensor_value_info(name, _element_type(dtype), list(dims)))
        return name

    def output(self, value: str, name: str, dtype: npt.DTypeLike, dims: Dims) -> str:
        """Makes `value`, the one result of the newest node, the graph output `name`; returns `name`."""
        node = self._nodes[-1]
        if list(node.output) != [value]:
            raise ValueError(f"{value} is not the result of the newest node")
        node.output[0] = name
        self._outputs.append(helper.make_tensor_value_info(name, _element_type(dtype), list(dims)))
        return name

    def op(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node with one output; the name of that output."""
        return self.op_multiple(op_type, 1, *inputs, **attributes)[0]

    def op_multiple(
        self, op_type: str, outputs: int, *inputs: str, domain: str = "", **attributes: Any
    ) -> list[str]:
        """Adds a node with `outputs` outputs; their names. An empty input name is an absent input."""
        name = self._unique("/" + "/".join([*self._scopes, op_type]))
        results = [f"{name}_output_{i}" for i in range(outputs)]
        self._nodes.append(
            helper.make_node(op_type, list(inputs), results, name=name, domain=domain, **attributes)
        )
        return results

    def constant(self, value: npt.ArrayLike, dtype: npt.DTypeLike) -> str:
        """A Constant node of `value`; equal constants are one node."""
        array = np.array(value, dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = self._unique("/constant")
            node = helper.make_node(
                "Constant", [], [name], name=name, value=numpy_helper.from_array(array)
            )
            self._nodes.append(node)
            self._constants[key] = name
        return self._constants[key]

    def f32(self, value: float | Sequence[float] | npt.NDArray[np.floating[Any]]) -> str:
        """A float32 constant."""
        return self.constant(value, np.float32)

    def i64(self, value: int | Sequence[int]) -> str:
        """An int64 constant."""
        return self.constant(value, np.int64)

    def weight(
        self,
        names: Sequence[str],
        kinds: Sequence[tuple[npt.DTypeLike, Sequence[int]]],
        load: Callable[[], tuple[Array, ...]],
    ) -> None:
        """Declares initializers `names` of the dtypes and shapes `kinds`, whose data `load` gives."""
        tensors = tuple(
            TensorProto(name=name, data_type=_element_type(dtype), dims=shape)
            for name, (dtype, shape) in zip(names, kinds, strict=True)
        )
        self.weights.append(DeferredWeight(tensors, load))

    def inline_weights(self) -> None:
        """Reads every weight into the graph itself."""
        for weight in self.weights:
            for tensor, array in zip(weight.tensors, weight.load(), strict=True):
                tensor.raw_data = stored_bytes(tensor, array)

    def model(self) -> onnx.ModelProto:
        """The finished model; its weights must have been written or inlined."""
        graph = helper.make_graph(
            self._nodes,
            self.name,
            self._inputs,
            self._outputs,
            [tensor for weight in self.weights for tensor in weight.tensors],
        )
        opsets = [helper.make_opsetid("", OPSET)]
        if any(node.domain == MICROSOFT_DOMAIN for node in self._nodes):
            opsets.append(helper.make_opsetid(MICROSOFT_DOMAIN, 1))
        return helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name=PRODUCER
        )

    def _unique(self, name: str) -> str:
        count = self._names.get(name, 0)
        self._names[name] = count + 1
        return f"{name}_{count}" if count else name


def stored_bytes(tensor: TensorProto, array: Array) -> bytes:
    """`array` as the little-endian data of `tensor`; it must have the dtype and shape declared there."""
    if _element_type(array.dtype) != tensor.data_type or array.shape != tuple(tensor.dims):
        raise ValueError(f"{tensor.name}: declared {tuple(tensor.dims)}, got {array.dtype} {array.shape}")
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()


def _element_type(dtype: npt.DTypeLike) -> int:
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
