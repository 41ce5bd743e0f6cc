"""Rewrites a bundle as another exporter might have written it, without changing what it computes.

`rewrite` copies a bundle and applies changes to its graphs; each change is a function on one opened graph.
All but `dense` keep every stored number, so the rewritten bundle must package to the same shards.
"""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper
from onnx.external_data_helper import load_external_data_for_tensor

from kleinbild.weights import Q4, dequantise

Array = npt.NDArray[Any]
Changed = list[tuple[Sequence[NodeProto], Sequence[NodeProto]]]
CONTRIB = "com.microsoft"
INT64_MAX = (1 << 63) - 1


class Graph:
    """An opened graph in plain lists, external data where it was, and what a change needs to edit it."""

    def __init__(self, path: Path, rng: Random) -> None:
        self.path = path
        self.rng = rng
        self.model = onnx.load(path, load_external_data=False)
        self.nodes = list(self.model.graph.node)
        self.stored = {tensor.name: tensor for tensor in self.model.graph.initializer}
        graph = self.model.graph
        self.ends = {value.name for value in [*graph.input, *graph.output]}
        self._count = 0

    def save(self) -> None:
        model, graph = onnx.ModelProto(), onnx.GraphProto()
        graph.name = "another"
        graph.input.extend(self.model.graph.input)
        graph.output.extend(self.model.graph.output)
        graph.node.extend(self.nodes)
        graph.initializer.extend(self.stored.values())
        model.ir_version = self.model.ir_version
        model.opset_import.extend(self.model.opset_import)
        model.graph.CopyFrom(graph)
        self.path.write_bytes(model.SerializeToString())

    def producers(self) -> dict[str, NodeProto]:
        return {name: node for node in self.nodes for name in node.output}

    def consumers(self) -> dict[str, list[NodeProto]]:
        found: dict[str, list[NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in set(node.input):
                found[name].append(node)
        return found

    def fresh(self) -> str:
        self._count += 1
        return f"rewritten_{self._count}"

    def store(self, array: Array) -> str:
        name = self.fresh()
        self.stored[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def constants(self) -> dict[str, TensorProto]:
        """All tensors that are stored, in Constant nodes too."""
        values = {
            node.output[0]: a.t
            for node in self.nodes
            if node.op_type == "Constant"
            for a in node.attribute
            if a.name == "value"
        }
        return values | self.stored

    def array(self, tensor: TensorProto | None) -> Array | None:
        """The numbers of a stored tensor, None when there is none."""
        if tensor is None:
            return None
        if tensor.data_location == TensorProto.EXTERNAL:
            loaded = TensorProto()
            loaded.CopyFrom(tensor)
            load_external_data_for_tensor(loaded, str(self.path.parent))
            tensor = loaded
        return numpy_helper.to_array(tensor)

    def replace(self, changed: Changed) -> None:
        """Takes the first nodes of each pair out and puts the second ones in."""
        gone = {id(node) for old, _ in changed for node in old}
        self.nodes = [node for node in self.nodes if id(node) not in gone]
        for _, new in changed:
            self.nodes.extend(new)


Change = Callable[[Graph], None]


def rewrite(source: Path, out: Path, changes: Sequence[Change], seed: int = 0, keys: str = "") -> Path:
    """Copies the bundle `source` to `out` with `changes` made to the graphs whose key contains `keys`."""
    shutil.copytree(source, out)
    models = json.loads((out / "flux2-config.json").read_text())["models"]
    for key, model in sorted(models.items()):
        if keys in key:
            graph = Graph(out / model["file"], Random(f"{seed} {key}"))
            for change in changes:
                change(graph)
            graph.save()
    return out


def opaque(g: Graph) -> None:
    """Numbers for names, and any order; only inputs and outputs keep theirs."""
    names: dict[str, str] = {name: name for name in ["", *g.ends]}

    def rename(name: str) -> str:
        if name not in names:
            names[name] = f"t{len(names) * 7919 % 1000003}"
        return names[name]

    tensors = list(g.stored.values())
    g.rng.shuffle(g.nodes)
    g.rng.shuffle(tensors)
    for tensor in tensors:
        tensor.name = rename(tensor.name)
    g.stored = {tensor.name: tensor for tensor in tensors}
    for number, node in enumerate(g.nodes):
        node.name = f"n{number}" if g.rng.random() < 0.5 else ""
        node.input[:] = [rename(name) for name in node.input]
        node.output[:] = [rename(name) for name in node.output]


def constants_as_initializers(g: Graph) -> None:
    """Every other Constant node becomes an initializer."""
    changed: Changed = []
    for node in g.nodes:
        if node.op_type == "Constant" and node.attribute[0].name == "value" and g.rng.random() < 0.5:
            tensor = TensorProto()
            tensor.CopyFrom(node.attribute[0].t)
            tensor.name = node.output[0]
            g.stored[tensor.name] = tensor
            changed.append(([node], []))
    g.replace(changed)


def initializers_as_constants(g: Graph) -> None:
    """Every other initializer becomes a Constant node, external data and all."""
    for name, tensor in list(g.stored.items()):
        if g.rng.random() < 0.5:
            g.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
            del g.stored[name]


def merged_initializers(g: Graph) -> None:
    """Equal initializers are kept once, the others become Identity nodes; so do some that are used twice."""
    first: dict[bytes, str] = {}
    moved: dict[str, str] = {}
    users = g.nodes[:]
    for name, tensor in list(g.stored.items()):
        array = g.array(tensor)
        assert array is not None
        kept = first.setdefault(f"{array.dtype} {array.shape}".encode() + array.tobytes(), name)
        if kept != name:
            g.nodes.append(helper.make_node("Identity", [kept], [name]))
            del g.stored[name]
        elif g.rng.random() < 0.3:
            moved[name] = g.fresh()
            g.nodes.append(helper.make_node("Identity", [name], [moved[name]]))
    for node in users:
        node.input[:] = [moved.get(value, value) for value in node.input]


def reciprocals(g: Graph) -> None:
    """Divisions by roots become products with reciprocals, and squares powers."""
    changed: Changed = []
    producers = g.producers()
    for node in g.nodes:
        if node.op_type == "Div" and getattr(producers.get(node.input[1]), "op_type", "") == "Sqrt":
            inverse = g.fresh()
            new = [helper.make_node("Reciprocal", [node.input[1]], [inverse])]
            new.append(helper.make_node("Mul", [inverse, node.input[0]], list(node.output)))
            changed.append(([node], new))
        elif node.op_type == "Mul" and node.input[0] == node.input[1]:
            two = g.store(np.array(2, np.float32))
            changed.append(([node], [helper.make_node("Pow", [node.input[0], two], list(node.output))]))
    g.replace(changed)


def splits_as_slices(g: Graph) -> None:
    """Each Split becomes Slices."""
    changed: Changed = []
    constants = g.constants()
    for node in g.nodes:
        if node.op_type != "Split":
            continue
        sizes = g.array(constants.get(node.input[1]))
        assert sizes is not None
        axis, ends, new = attributes(node).get("axis", 0), np.cumsum(sizes), []
        for i, (output, size) in enumerate(zip(node.output, sizes, strict=True)):
            end = INT64_MAX if i == len(sizes) - 1 else ends[i]
            bounds = [g.store(np.array([n], np.int64)) for n in (ends[i] - size, end, axis)]
            new.append(helper.make_node("Slice", [node.input[0], *bounds], [output]))
        changed.append(([node], new))
    g.replace(changed)


def transposed_weights(g: Graph) -> None:
    """Dense matrices are stored the other way round, behind a Transpose."""
    constants = g.constants()
    for node in g.nodes[:]:
        weight = g.array(constants.get(node.input[1])) if node.op_type == "MatMul" else None
        if weight is not None and weight.ndim == 2:
            turned = g.fresh()
            g.nodes.append(helper.make_node("Transpose", [g.store(weight.T)], [turned], perm=[1, 0]))
            node.input[1] = turned


def gemms(g: Graph) -> None:
    """A MatMul with a dense matrix on a matrix becomes a Gemm of the transposed matrix."""
    inferred = onnx.shape_inference.infer_shapes(g.model)
    ranks = {v.name: len(v.type.tensor_type.shape.dim) for v in inferred.graph.value_info}
    casts = {n.output[0]: n.input[0] for n in g.nodes if n.op_type == "Cast"}
    changed: Changed = []
    constants = g.constants()
    for node in g.nodes:
        if node.op_type != "MatMul" or ranks.get(node.input[0]) != 2:
            continue
        name = casts.get(node.input[1], node.input[1])
        weight = g.array(constants.get(name))
        if weight is None:
            continue
        stored, new = g.store(weight.T), []
        if name != node.input[1]:
            cast = g.fresh()
            new.append(helper.make_node("Cast", [stored], [cast], to=TensorProto.FLOAT))
            stored = cast
        new.append(helper.make_node("Gemm", [node.input[0], stored], list(node.output), transB=1))
        changed.append(([node], new))
    g.replace(changed)


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
    for node in g.nodes:
        if node.op_type == "MatMulNBits":
            groups[node.input[0]].append(node)
    changed: Changed = []
    constants = g.constants()
    for value, nodes in groups.items():
        if len(nodes) < 2:
            continue
        g.rng.shuffle(nodes)
        rows = [attributes(node)["N"] for node in nodes]
        parts = []
        for i in range(1, len(nodes[0].input)):
            arrays = [g.array(constants[node.input[i]]) for node in nodes]
            shaped = [a.reshape(n, -1) for a, n in zip(arrays, rows, strict=True) if a is not None]
            joined = np.concatenate(shaped)
            shape = (len(joined), -1, attributes(nodes[0])["block_size"] // 2) if i == 1 else (-1,)
            parts.append(g.store(joined.reshape(shape)))
        output = g.fresh()
        settings = attributes(nodes[0]) | {"N": sum(rows)}
        sizes = g.store(np.array(rows, np.int64))
        new = [
            helper.make_node("MatMulNBits", [value, *parts], [output], domain=CONTRIB, **settings),
            helper.make_node("Split", [output, sizes], [node.output[0] for node in nodes], axis=-1),
        ]
        changed.append((nodes, new))
    g.replace(changed)


def unfused(g: Graph) -> None:
    """A linear whose output is only split becomes one linear for each part."""
    changed: Changed = []
    constants, consumers = g.constants(), g.consumers()
    for node in g.nodes:
        users = consumers[node.output[0]] if node.op_type in ("MatMulNBits", "MatMul") else []
        if len(users) != 1 or users[0].op_type != "Split":
            continue
        sizes, *weights = (g.array(constants.get(n)) for n in [users[0].input[1], *node.input[1:]])
        if sizes is None or any(weight is None for weight in weights):
            continue
        new = []
        for output, size, end in zip(users[0].output, sizes.tolist(), np.cumsum(sizes), strict=True):
            parts, settings = [], attributes(node)
            for weight in weights:
                assert weight is not None
                rows = weight.T if node.op_type == "MatMul" else weight.reshape(settings["N"], -1)
                part = rows[end - size : end]
                if node.op_type == "MatMul":
                    parts.append(g.store(part.T))
                else:
                    parts.append(g.store(part.reshape(-1, *weight.shape[1:])))
            if node.op_type == "MatMulNBits":
                settings["N"] = size
            inputs = [node.input[0], *parts]
            new.append(helper.make_node(node.op_type, inputs, [output], domain=node.domain, **settings))
        changed.append(([node, users[0]], new))
    g.replace(changed)


def dense(g: Graph) -> None:
    """Every third MatMulNBits becomes a MatMul with float16 numbers, as a tool leaves what it cannot do."""
    changed: Changed = []
    constants = g.constants()
    for node in [node for node in g.nodes if node.op_type == "MatMulNBits"][::3]:
        settings = attributes(node)
        rows, columns, block = (int(settings[name]) for name in ("N", "K", "block_size"))
        codes, scales, *zeros = (g.array(constants[name]) for name in node.input[1:])
        assert codes is not None and scales is not None
        zero_points = zeros[0].reshape(rows, -1) if zeros and zeros[0] is not None else None
        codes, scales = codes.reshape(rows, -1, block // 2), scales.reshape(rows, -1)
        weight = dequantise(Q4((rows, columns), block, codes, scales, zero_points))
        stored = g.store(weight.T.astype(np.float16))
        changed.append(([node], [helper.make_node("MatMul", [node.input[0], stored], list(node.output))]))
    g.replace(changed)
