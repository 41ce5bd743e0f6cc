"""Rewrites a bundle as another exporter might have written it, without changing what it computes.

`rewrite` copies a bundle and applies changes to its graphs; each change is a function on one opened graph.
All but `dense` keep every stored number, so the rewritten bundle must package to the same shards.
"""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from kleinbild.weights import Q4, dequantise

Array = npt.NDArray[Any]
INT64_MAX = (1 << 63) - 1


class Graph:
    """An opened graph with its weights, and what a change needs to edit it."""

    def __init__(self, model: onnx.ModelProto, rng: Random) -> None:
        self.model = model
        self.graph = model.graph
        self.rng = rng
        self._count = 0

    @property
    def initializers(self) -> dict[str, TensorProto]:
        return {tensor.name: tensor for tensor in self.graph.initializer}

    @property
    def producers(self) -> dict[str, NodeProto]:
        return {name: node for node in self.graph.node for name in node.output}

    @property
    def consumers(self) -> dict[str, list[NodeProto]]:
        found: dict[str, list[NodeProto]] = defaultdict(list)
        for node in self.graph.node:
            for name in set(node.input):
                found[name].append(node)
        return found

    @property
    def ends(self) -> set[str]:
        return {value.name for value in [*self.graph.input, *self.graph.output]}

    def fresh(self) -> str:
        self._count += 1
        return f"rewritten_{self._count}"

    def store(self, array: Array) -> str:
        name = self.fresh()
        self.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def constant(self, name: str) -> Array | None:
        """The numbers of an initializer or a Constant node's output, None for what is computed."""
        tensor = self.initializers.get(name)
        node = self.producers.get(name)
        if tensor is None and node is not None and node.op_type == "Constant":
            tensor = next((a.t for a in node.attribute if a.name == "value"), None)
        return None if tensor is None else numpy_helper.to_array(tensor)

    def replace(self, old: Iterable[NodeProto], new: Sequence[NodeProto]) -> None:
        gone = [node.SerializeToString() for node in old]
        kept = [node for node in self.graph.node if node.SerializeToString() not in gone]
        assert len(kept) == len(self.graph.node) - len(gone)
        del self.graph.node[:]
        self.graph.node.extend([*kept, *new])


Change = Callable[[Graph], None]


def rewrite(source: Path, out: Path, changes: Sequence[Change], seed: int = 0, keys: str = "") -> Path:
    """Copies the bundle `source` to `out` with `changes` made to the graphs whose key contains `keys`."""
    shutil.copytree(source, out)
    models = json.loads((out / "flux2-config.json").read_text())["models"]
    for key, model in sorted(models.items()):
        if keys in key:
            path = out / model["file"]
            graph = Graph(onnx.load(path), Random(f"{seed} {key}"))
            for change in changes:
                change(graph)
            path.write_bytes(graph.model.SerializeToString())
    return out


def opaque(g: Graph) -> None:
    """Numbers for names, and any order; only inputs and outputs keep theirs."""
    graph = g.graph
    names: dict[str, str] = {name: name for name in ["", *g.ends]}

    def rename(name: str) -> str:
        if name not in names:
            names[name] = f"t{len(names) * 7919 % 1000003}"
        return names[name]

    for lists in (graph.node, graph.initializer):
        items = list(lists)
        g.rng.shuffle(items)
        del lists[:]
        lists.extend(items)
    for tensor in graph.initializer:
        tensor.name = rename(tensor.name)
    for number, node in enumerate(graph.node):
        node.name = f"n{number}" if g.rng.random() < 0.5 else ""
        node.doc_string = ""
        node.input[:] = [rename(name) for name in node.input]
        node.output[:] = [rename(name) for name in node.output]
    del graph.value_info[:]
    graph.name, graph.doc_string, g.model.producer_name = "g", "", "another"


def constants_as_initializers(g: Graph) -> None:
    """Every other Constant node becomes an initializer."""
    for node in list(g.graph.node):
        if node.op_type == "Constant" and g.rng.random() < 0.5 and node.attribute[0].name == "value":
            tensor = TensorProto()
            tensor.CopyFrom(node.attribute[0].t)
            tensor.name = node.output[0]
            g.graph.initializer.append(tensor)
            g.graph.node.remove(node)


def initializers_as_constants(g: Graph) -> None:
    """Every other initializer becomes a Constant node."""
    for tensor in list(g.graph.initializer):
        if g.rng.random() < 0.5:
            node = helper.make_node("Constant", [], [tensor.name], value=tensor)
            node.attribute[0].t.name = ""
            g.graph.node.append(node)
            g.graph.initializer.remove(tensor)


def merged_initializers(g: Graph) -> None:
    """Equal initializers are kept once, the others become Identity nodes; so do some that are used twice."""
    first: dict[bytes, str] = {}
    for tensor in list(g.graph.initializer):
        content = tensor.SerializeToString().replace(tensor.name.encode(), b"")
        kept = first.setdefault(content, tensor.name)
        if kept != tensor.name:
            g.graph.node.append(helper.make_node("Identity", [kept], [tensor.name]))
            g.graph.initializer.remove(tensor)
        elif g.rng.random() < 0.3:
            old, tensor.name = tensor.name, g.fresh()
            first[content] = tensor.name
            g.graph.node.append(helper.make_node("Identity", [tensor.name], [old]))


def reciprocals(g: Graph) -> None:
    """Divisions by roots become products with reciprocals, and squares powers."""
    producers = g.producers
    for node in list(g.graph.node):
        if node.op_type == "Div" and getattr(producers.get(node.input[1]), "op_type", "") == "Sqrt":
            inverse = g.fresh()
            new = [helper.make_node("Reciprocal", [node.input[1]], [inverse])]
            new.append(helper.make_node("Mul", [inverse, node.input[0]], list(node.output)))
            g.replace([node], new)
        elif node.op_type == "Mul" and node.input[0] == node.input[1]:
            two = g.store(np.array(2, np.float32))
            g.replace([node], [helper.make_node("Pow", [node.input[0], two], list(node.output))])


def splits_as_slices(g: Graph) -> None:
    """Each Split becomes Slices."""
    for node in list(g.graph.node):
        sizes = g.constant(node.input[1]) if node.op_type == "Split" and len(node.input) > 1 else None
        if sizes is None:
            continue
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        ends = np.cumsum(sizes)
        new = []
        for i, (output, size) in enumerate(zip(node.output, sizes, strict=True)):
            end = INT64_MAX if i == len(sizes) - 1 else ends[i]
            bounds = [g.store(np.array([n], np.int64)) for n in (ends[i] - size, end, axis)]
            new.append(helper.make_node("Slice", [node.input[0], *bounds], [output]))
        g.replace([node], new)


def transposed_weights(g: Graph) -> None:
    """Dense matrices are stored the other way round, behind a Transpose."""
    for node in list(g.graph.node):
        weight = g.constant(node.input[1]) if node.op_type == "MatMul" else None
        if weight is not None and weight.ndim == 2:
            turned = g.fresh()
            g.graph.node.append(helper.make_node("Transpose", [g.store(weight.T)], [turned], perm=[1, 0]))
            node.input[1] = turned


def gemms(g: Graph) -> None:
    """A MatMul with a dense matrix on a matrix becomes a Gemm of the transposed matrix."""
    inferred = onnx.shape_inference.infer_shapes(g.model)
    ranks = {v.name: len(v.type.tensor_type.shape.dim) for v in inferred.graph.value_info}
    casts = {n.output[0]: n.input[0] for n in g.graph.node if n.op_type == "Cast"}
    for node in list(g.graph.node):
        if node.op_type == "MatMul" and ranks.get(node.input[0]) == 2:
            name = casts.get(node.input[1], node.input[1])
            weight = g.constant(name)
            if weight is None:
                continue
            stored, new = g.store(weight.T), []
            if name != node.input[1]:
                stored_name, stored = stored, g.fresh()
                new.append(helper.make_node("Cast", [stored_name], [stored], to=TensorProto.FLOAT))
            new.append(helper.make_node("Gemm", [node.input[0], stored], list(node.output), transB=1))
            g.replace([node], new)


def no_opset_import(g: Graph) -> None:
    """The import of com.microsoft's operators is forgotten."""
    kept = [opset for opset in g.model.opset_import if opset.domain != "com.microsoft"]
    del g.model.opset_import[:]
    g.model.opset_import.extend(kept)


def attributes(node: NodeProto) -> dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def fused(g: Graph) -> None:
    """MatMulNBits of one input become one, its rows in any order, and a Split."""
    groups: dict[str, list[NodeProto]] = defaultdict(list)
    for node in g.graph.node:
        if node.op_type == "MatMulNBits":
            groups[node.input[0]].append(node)
    for value, nodes in groups.items():
        if len(nodes) < 2:
            continue
        g.rng.shuffle(nodes)
        rows = [attributes(node)["N"] for node in nodes]
        parts = []
        for i in range(1, len(nodes[0].input)):
            arrays = [g.constant(node.input[i]) for node in nodes]
            shaped = [a.reshape(n, -1) for a, n in zip(arrays, rows, strict=True) if a is not None]
            joined = np.concatenate(shaped)
            shape = (len(joined), -1, attributes(nodes[0])["block_size"] // 2) if i == 1 else (-1,)
            parts.append(g.store(joined.reshape(shape)))
        output = g.fresh()
        settings = attributes(nodes[0]) | {"N": sum(rows)}
        new = [
            helper.make_node("MatMulNBits", [value, *parts], [output], domain="com.microsoft", **settings),
            helper.make_node(
                "Split", [output, g.store(np.array(rows, np.int64))], [n.output[0] for n in nodes], axis=-1
            ),
        ]
        g.replace(nodes, new)


def unfused(g: Graph) -> None:
    """A linear whose output is only split becomes one linear for each part."""
    for node in list(g.graph.node):
        if node.op_type not in ("MatMulNBits", "MatMul"):
            continue
        users = g.consumers[node.output[0]]
        sizes = g.constant(users[0].input[1]) if len(users) == 1 and users[0].op_type == "Split" else None
        weights = [g.constant(name) for name in node.input[1:]]
        if sizes is None or any(weight is None for weight in weights):
            continue
        ends = np.cumsum(sizes)
        new = []
        for output, size, end in zip(users[0].output, sizes, ends, strict=True):
            cut = slice(int(end - size), int(end))
            if node.op_type == "MatMul":
                (weight,) = weights
                assert weight is not None
                new.append(helper.make_node("MatMul", [node.input[0], g.store(weight[:, cut])], [output]))
                continue
            rows = attributes(node)["N"]
            parts = [
                g.store(
                    w.reshape(rows, -1)[cut].reshape((size, *w.shape[1:]) if w.ndim == 3 else (-1,))
                )
                for w in weights
                if w is not None
            ]
            settings = attributes(node) | {"N": int(size)}
            new.append(
                helper.make_node("MatMulNBits", [node.input[0], *parts], [output], domain="com.microsoft", **settings)
            )
        g.replace([node, users[0]], new)


def dense(g: Graph) -> None:
    """Every third MatMulNBits becomes a MatMul with float16 numbers, as a tool leaves what it cannot do."""
    nodes = [node for node in g.graph.node if node.op_type == "MatMulNBits"]
    for node in nodes[::3]:
        settings = attributes(node)
        rows, columns, block = (int(settings[name]) for name in ("N", "K", "block_size"))
        codes, scales, *zeros = (g.constant(name) for name in node.input[1:])
        assert codes is not None and scales is not None
        zero_points = zeros[0].reshape(rows, -1) if zeros and zeros[0] is not None else None
        weight = Q4(
            (rows, columns), block, codes.reshape(rows, -1, block // 2), scales.reshape(rows, -1), zero_points
        )
        stored = g.store(dequantise(weight).T.astype(np.float16))
        g.replace([node], [helper.make_node("MatMul", [node.input[0], stored], list(node.output))])
