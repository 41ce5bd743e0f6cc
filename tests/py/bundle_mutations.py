"""Damages bundles at random, in bytes and in structure: what a fuzz of the reader feeds it.

`mutate` changes one file of a bundle folder in place, the same way for the same seed, and says how. Paths and
names are hostile on purpose; numbers are huge, negative or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import onnx
from onnx import AttributeProto, ModelProto, TensorProto, helper

HOSTILE_NAMES = [
    "../../escaped",
    "/tmp/escaped.bin",
    "..\\escaped",
    "a\nb\x1b[31m",
    "\0",
    "",
    ".",
    "con:stream",
    "x" * 5000,
    "transformer-q4-00001.onnx_data",
    "flux2-config.json",
    "file:///etc/passwd",
]
HOSTILE_NUMBERS = [0, -1, 1, 2, 3, 7, 1 << 20, 1 << 31, 1 << 40, (1 << 63) - 1, -(1 << 63)]
OPERATORS = [
    "Add",
    "Mul",
    "Reshape",
    "Slice",
    "Split",
    "Gather",
    "Concat",
    "Transpose",
    "MatMul",
    "Gemm",
    "Expand",
]


def mutate(folder: Path, file: str, seed: int) -> str:
    """Changes `file` in `folder` and returns what was done."""
    rng = Random(f"{file} {seed}")
    path = folder / file
    if path.suffix == ".json":
        return _mutate_json(path, rng)
    if path.suffix != ".onnx" or rng.random() < 0.25:
        return _mutate_bytes(path, rng)
    model = onnx.load(path, load_external_data=False)
    done = [rng.choice(MUTATIONS)(model, rng) for _ in range(rng.choice([1, 1, 1, 2, 5]))]
    path.write_bytes(model.SerializeToString())
    return ", ".join(done)


def _mutate_bytes(path: Path, rng: Random) -> str:
    data = bytearray(path.read_bytes())
    kind = rng.choice(["flip", "cut", "insert", "delete", "repeat", "empty"])
    at = rng.randrange(len(data))
    if kind == "flip":
        for _ in range(rng.choice([1, 4, 64])):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del data[at:]
    elif kind == "insert":
        data[at:at] = rng.randbytes(rng.choice([1, 16, 1000]))
    elif kind == "delete":
        del data[at : at + rng.choice([1, 16, 1000])]
    elif kind == "repeat":
        data += data[at : at + 10000]
    else:
        data.clear()
    path.write_bytes(data)
    return f"{kind} at {at}"


def _mutate_json(path: Path, rng: Random) -> str:
    value = json.loads(path.read_text())
    places = list(_places(value))
    holder, key = rng.choice(places)
    hostile: list[Any] = [*HOSTILE_NAMES, *HOSTILE_NUMBERS, None, True, [], {}, 1e308, "1", ["x"], [[]]]
    if rng.random() < 0.2:
        del holder[key]
        done = f"delete {key!r}"
    else:
        holder[key] = rng.choice(hostile)
        done = f"{key!r} = {str(holder[key])[:40]!r}"
    path.write_text(json.dumps(value))
    return done


def _places(value: Any) -> Any:
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def _node(model: ModelProto, rng: Random) -> onnx.NodeProto:
    found: onnx.NodeProto = rng.choice(model.graph.node)
    return found


def _tensors(model: ModelProto) -> list[TensorProto]:
    constants = [a.t for n in model.graph.node for a in n.attribute if a.type == AttributeProto.TENSOR]
    # A graph without any gets one that nothing uses.
    return [*model.graph.initializer, *constants] or [model.graph.initializer.add(name="unused")]


def remove_node(model: ModelProto, rng: Random) -> str:
    node = _node(model, rng)
    model.graph.node.remove(node)
    return f"remove {node.op_type}"


def swap_inputs(model: ModelProto, rng: Random) -> str:
    a, b = _node(model, rng), _node(model, rng)
    if a.input and b.input:
        i, j = rng.randrange(len(a.input)), rng.randrange(len(b.input))
        a.input[i], b.input[j] = b.input[j], a.input[i]
    return f"swap inputs of {a.op_type} and {b.op_type}"


def close_a_circle(model: ModelProto, rng: Random) -> str:
    early, late = model.graph.node[rng.randrange(len(model.graph.node) // 2)], model.graph.node[-1]
    early.input.append(late.output[0])
    return f"circle at {early.op_type}"


def change_operator(model: ModelProto, rng: Random) -> str:
    node = _node(model, rng)
    old, node.op_type = node.op_type, rng.choice([*OPERATORS, "Loop", "\n", ""])
    return f"{old} becomes {node.op_type!r}"


def change_attribute(model: ModelProto, rng: Random) -> str:
    nodes = [node for node in model.graph.node if node.attribute and node.op_type != "Constant"]
    if not nodes:
        return "nothing"
    attribute = rng.choice(rng.choice(nodes).attribute)
    if attribute.type == AttributeProto.INT:
        attribute.i = rng.choice(HOSTILE_NUMBERS)
    elif attribute.type == AttributeProto.INTS and attribute.ints:
        attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(HOSTILE_NUMBERS)
    elif attribute.type == AttributeProto.FLOAT:
        attribute.f = rng.choice([float("nan"), float("inf"), -1.0, 0.0, 1e30])
    else:
        attribute.type = rng.choice([AttributeProto.FLOAT, AttributeProto.GRAPH, AttributeProto.TENSOR])
    return f"attribute {attribute.name}"


def change_shape(model: ModelProto, rng: Random) -> str:
    tensor = rng.choice(_tensors(model))
    if tensor.dims and rng.random() < 0.8:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(HOSTILE_NUMBERS)
    else:
        tensor.dims.extend([1] * rng.choice([1, 3, 300]))
    return f"shape of {tensor.name!r}"


def change_type(model: ModelProto, rng: Random) -> str:
    tensor = rng.choice(_tensors(model))
    tensor.data_type = rng.choice([0, 1, 2, 7, 8, 9, 10, 11, 16, 22, 99, -5])
    return f"type of {tensor.name!r}"


def change_location(model: ModelProto, rng: Random) -> str:
    external = [tensor for tensor in _tensors(model) if tensor.external_data]
    tensor = rng.choice(external or _tensors(model))
    tensor.data_location = TensorProto.EXTERNAL
    key = rng.choice(["location", "location", "offset", "length"])
    value = rng.choice(HOSTILE_NAMES) if key == "location" else str(rng.choice(HOSTILE_NUMBERS))
    for entry in list(tensor.external_data):
        if entry.key == key:
            tensor.external_data.remove(entry)
    tensor.external_data.add(key=key, value=value)
    return f"{key} of {tensor.name!r}"


def change_numbers(model: ModelProto, rng: Random) -> str:
    integers = [t for t in _tensors(model) if t.data_type == TensorProto.INT64 and t.raw_data]
    if integers:
        tensor = rng.choice(integers)
        numbers = [rng.choice(HOSTILE_NUMBERS) for _ in range(len(tensor.raw_data) // 8)]
        tensor.raw_data = b"".join(number.to_bytes(8, "little", signed=True) for number in numbers)
    return "integers"


def rename(model: ModelProto, rng: Random) -> str:
    name = rng.choice(HOSTILE_NAMES)
    tensor = rng.choice(_tensors(model))
    for node in model.graph.node:
        node.input[:] = [name if value == tensor.name else value for value in node.input]
    tensor.name = name
    return f"rename to {name[:20]!r}"


def store_twice(model: ModelProto, rng: Random) -> str:
    tensor = rng.choice(_tensors(model))
    model.graph.initializer.add().CopyFrom(tensor)
    return f"{tensor.name!r} twice"


def insert_chain(model: ModelProto, rng: Random) -> str:
    """A long chain of operators in front of a node, doubling what it computes or moving it about."""
    node = _node(model, rng)
    if not node.input:
        return "nothing"
    value, length = node.input[0], rng.choice([10, 100, 2000])
    kind = rng.choice(["Add", "Concat", "Transpose", "Neg", "Identity"])
    for i in range(length):
        inputs = [value] * (2 if kind in ("Add", "Concat") else 1)
        value = f"chain_{node.output[0]}_{i}"
        node_added = helper.make_node(kind, inputs, [value])
        if kind == "Concat":
            node_added.attribute.append(helper.make_attribute("axis", 0))
        model.graph.node.append(node_added)
    node.input[0] = value
    return f"{length} x {kind} before {node.op_type}"


def change_ends(model: ModelProto, rng: Random) -> str:
    end = rng.choice([*model.graph.input, *model.graph.output])
    if rng.random() < 0.5:
        end.name = rng.choice(HOSTILE_NAMES)
    else:
        for dim in end.type.tensor_type.shape.dim:
            dim.dim_value = rng.choice(HOSTILE_NUMBERS)
    return f"end {end.name[:20]!r}"


MUTATIONS: list[Callable[[ModelProto, Random], str]] = [
    remove_node,
    swap_inputs,
    close_a_circle,
    change_operator,
    change_attribute,
    change_shape,
    change_type,
    change_location,
    change_numbers,
    rename,
    store_twice,
    insert_chain,
    change_ends,
]
