"""Spellings of one computation become one value; what is not understood says why and spoils nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from kleinbild.bundle.expression import Expressions, Value
from kleinbild.bundle.flux2_config import GraphFile
from kleinbild.bundle.graph import Graph
from kleinbild.bundle.lower import input_shape, lower
from kleinbild.errors import KleinbildError

SHAPE = (1, 4, 6)
Node = tuple[Any, ...]  # operator, inputs (names or numbers), output, attributes


class Lowering:
    """Lowers little graphs of one input x into one set of expressions."""

    def __init__(self, folder: Path, shape: tuple[int, ...] = SHAPE) -> None:
        self.folder = folder
        self.e = Expressions()
        self.x = self.e.input("x", shape)
        self.count = 0

    def __call__(self, *nodes: Node) -> Value:
        self.count += 1
        path = self.folder / f"{self.count}.onnx"
        protos: list[onnx.NodeProto] = []
        stored: list[TensorProto] = []
        for op, inputs, output, *more in nodes:
            names = []
            for value in inputs:
                if not isinstance(value, str):
                    array = np.asarray(value, np.int64 if np.asarray(value).dtype.kind == "i" else np.float32)
                    stored.append(numpy_helper.from_array(array, f"c{len(stored)}"))
                    value = stored[-1].name  # noqa: PLW2901
                names.append(value)
            attributes = more[0] if more else {}
            outputs = output if isinstance(output, list) else [output]
            domain = attributes.pop("domain", "") if attributes else ""
            protos.append(helper.make_node(op, names, outputs, domain=domain, **attributes))
        ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("x", "y")]
        graph = helper.make_graph(protos, "g", ends[:1], ends[1:], stored)
        onnx.save(helper.make_model(graph), path)
        return lower(self.e, Graph(GraphFile("k", path, ())), {"x": self.x})["y"]


@pytest.fixture
def lowering(tmp_path: Path) -> Lowering:
    return Lowering(tmp_path)


ROOT: list[Node] = [
    ("Mul", ["x", "x"], "s"),
    ("ReduceMean", ["s", [-1]], "m"),
    ("Add", ["m", 1e-6], "a"),
    ("Sqrt", ["a"], "r"),
]
CENTRED: list[Node] = [
    ("ReduceMean", ["x", [-1]], "u"),
    ("Sub", ["x", "u"], "d"),
    ("Pow", ["d", 2.0], "s"),
    ("ReduceMean", ["s"], "m", {"axes": [-1]}),
    ("Add", [1e-6, "m"], "a"),
    ("Sqrt", ["a"], "r"),
]
ONES, ZEROS, WEIGHT = np.ones(6), np.zeros(6), np.arange(6) / 7
MATRIX = (np.arange(30) / 9).reshape(6, 5)

SAME: dict[str, list[list[Node]]] = {
    "rms norm": [
        [*ROOT, ("Div", ["x", "r"], "n"), ("Mul", ["n", WEIGHT], "y")],
        [*ROOT, ("Reciprocal", ["r"], "i"), ("Mul", ["i", "x"], "n"), ("Mul", [WEIGHT, "n"], "y")],
        [*ROOT, ("Div", [1.0, "r"], "i"), ("Mul", ["x", "i"], "n"), ("Mul", ["n", WEIGHT], "y")],
        [*ROOT[:3], ("Pow", ["a", -0.5], "i"), ("Mul", ["x", "i"], "n"), ("Mul", ["n", WEIGHT], "y")],
        [*ROOT[:3], ("Pow", ["a", 0.5], "q"), ("Div", ["x", "q"], "n"), ("Mul", ["n", WEIGHT], "y")],
        [("RMSNormalization", ["x", WEIGHT], "y", {"epsilon": 1e-6})],
        [("SimplifiedLayerNormalization", ["x", WEIGHT], "y", {"epsilon": 1e-6, "domain": "com.microsoft"})],
    ],
    "layer norm": [
        [("LayerNormalization", ["x", ONES, ZEROS], "y", {"epsilon": 1e-6})],
        [("LayerNormalization", ["x", ONES], "y", {"epsilon": 1e-6, "axis": 2})],
        [*CENTRED, ("Div", ["d", "r"], "y")],
    ],
    "silu": [
        [("Sigmoid", ["x"], "g"), ("Mul", ["g", "x"], "y")],
        [("Swish", ["x"], "y")],
        [("QuickGelu", ["x"], "y", {"alpha": 1.0, "domain": "com.microsoft"})],
        [("Neg", ["x"], "n"), ("Exp", ["n"], "e"), ("Add", ["e", 1.0], "p"), ("Div", ["x", "p"], "y")],
    ],
    "linear": [
        [("MatMul", ["x", MATRIX], "y")],
        [("Transpose", [MATRIX.T.copy()], "w", {"perm": [1, 0]}), ("MatMul", ["x", "w"], "y")],
        [("Identity", [MATRIX], "w"), ("Cast", ["w"], "v", {"to": 1}), ("MatMul", ["x", "v"], "y")],
        [("MatMul", ["x", MATRIX.reshape(1, 6, 5)], "y")],
        [("Gemm", ["x", MATRIX.T.copy()], "y", {"transB": 1})],
    ],
    "some columns": [
        [("Slice", ["x", [2], [5], [-1]], "y")],
        [("Slice", ["x", [0, 2], [1, 5], [0, 2], [1, 1]], "y")],
        [("Split", ["x", [2, 3, 1]], ["a", "y", "b"], {"axis": -1})],
        [("Gather", ["x", [2, 3, 4]], "y", {"axis": 2})],
        [
            ("Split", ["x"], ["a", "b"], {"axis": 2, "num_outputs": 2}),
            *[
                ("Slice", ["x", [2], [5], [2]], "y"),
            ],
        ],
    ],
    "one column": [
        [("Gather", ["x", 3], "y", {"axis": -1})],
        [("Slice", ["x", [3], [4], [2]], "s"), ("Squeeze", ["s", [2]], "y")],
    ],
    "computed shape": [
        [("Reshape", ["x", [1, 4, 2, 3]], "y")],
        [
            ("Shape", ["x"], "s"),
            ("Slice", ["s", [0], [2]], "h"),
            ("Gather", ["s", 2], "n"),
            ("Div", ["n", 2], "q"),
            ("Unsqueeze", ["q", [0]], "u"),
            ("Concat", ["h", [2], "u"], "z", {"axis": 0}),
            ("Reshape", ["x", "z"], "y"),
        ],
        [("Unsqueeze", ["x", [-1]], "u"), ("Reshape", ["u", [0, 0, 2, -1]], "y")],
    ],
    "negated difference": [
        [("Sub", ["x", WEIGHT], "y")],
        [("Neg", [WEIGHT], "n"), ("Add", ["n", "x"], "y")],
    ],
    "nothing": [
        [("Identity", ["x"], "y")],
        [("Mul", ["x", 1.0], "y")],
        [("Add", [0.0, "x"], "y")],
        [("Cast", ["x"], "h", {"to": 10}), ("Cast", ["h"], "y", {"to": 1})],
        [("Clip", ["x", -65504.0, 65504.0], "y")],
        [("Dropout", ["x"], "y")],
        [("IsNaN", ["x"], "n"), ("Where", ["n", 0.0, "x"], "y")],
    ],
}


@pytest.mark.parametrize("case", SAME)
def test_spellings_of_one_computation_are_one_value(lowering: Lowering, case: str) -> None:
    first, *others = (lowering(*nodes) for nodes in SAME[case])
    assert first.op != "opaque"
    for i, other in enumerate(others, 1):
        assert other is first, f"spelling {i}: {other.describe()}, not {first.describe()}"


DIFFERENT: dict[str, tuple[list[Node], list[Node]]] = {
    "another axis": (
        [("ReduceMean", ["x", [-1]], "y")],
        [("ReduceMean", ["x", [1]], "y")],
    ),
    "a norm's weights": (
        [("LayerNormalization", ["x", ONES], "y")],
        [("LayerNormalization", ["x", WEIGHT], "y")],
    ),
    "another eps": (
        [("LayerNormalization", ["x", ONES], "y", {"epsilon": 1e-6})],
        [("LayerNormalization", ["x", ONES], "y", {"epsilon": 1e-5})],
    ),
    "the sigmoid of something else": (
        [("Sigmoid", ["x"], "g"), ("Mul", ["g", "x"], "y")],
        [("Neg", ["x"], "n"), ("Sigmoid", ["n"], "g"), ("Mul", ["g", "x"], "y")],
    ),
    "a clip that bites": (
        [("Identity", ["x"], "y")],
        [("Clip", ["x", -1.0, 1.0], "y")],
    ),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_other_computations_are_other_values(lowering: Lowering, case: str) -> None:
    one, other = (lowering(*nodes) for nodes in DIFFERENT[case])
    assert one is not other


REFUSED: dict[str, tuple[list[Node], str]] = {
    "softmax over tokens": ([("Softmax", ["x"], "y", {"axis": 1})], "another axis than the last"),
    "scaled Gemm": ([("Gemm", ["x", MATRIX], "y", {"alpha": 2.0})], "no plain linear"),
    "unknown operator": ([("Loop", ["x"], "y")], "'Loop' that is not understood"),
    "unknown domain": ([("Add", ["x", "x"], "y", {"domain": "evil"})], "'Add' that is not understood"),
    "reshape by an input": ([("Reshape", ["x", "x"], "y")], "no constant of whole numbers"),
    "shapes do not fit": ([("Add", ["x", [1, 2]], "y")], "do not fit"),
    "split too long": ([("Split", ["x", [4, 4]], ["y", "z"], {"axis": 2})], "a split of 6"),
    "huge": ([("Expand", ["x", [1 << 40, 4, 6]], "y")], "the shape"),
    "huge range": ([("Range", [0, 1 << 60, 1], "y")], "a range of"),
    "division by zero": ([("Div", [[1], [0]], "z"), ("Reshape", ["x", "z"], "y")], "."),
    "attribute of another type": ([("Transpose", ["x"], "y", {"perm": 1})], "another type"),
    "left out": ([("Add", ["x", ""], "y")], "input 1 is left out"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_understood_says_why(lowering: Lowering, case: str) -> None:
    nodes, reason = REFUSED[case]
    value = lowering(*nodes)
    assert value.op == "opaque"
    assert reason in value.origin


def test_a_cause_is_handed_on_and_a_mask_is_no_cause(lowering: Lowering) -> None:
    lost = lowering(("Loop", ["x"], "a"), ("Cos", ["a"], "b"), ("Transpose", ["b"], "y"))
    assert lost.op == "opaque" and "'Loop'" in lost.origin
    masked = lowering(("Loop", ["x"], "a"), ("Add", ["x", "a"], "b"), ("Transpose", ["b"], "y"))
    assert (masked.op, masked.shape) == ("transpose", SHAPE[::-1])


def test_group_norm_and_patches(tmp_path: Path) -> None:
    lowering = Lowering(tmp_path, (1, 8, 4, 6))
    weight = np.arange(8) / 5
    one = lowering(
        ("Reshape", ["x", [0, 2, -1]], "r"),
        ("InstanceNormalization", ["r", np.ones(2), np.zeros(2)], "n", {"epsilon": 1e-6}),
        ("Shape", ["x"], "s"),
        ("Reshape", ["n", "s"], "b"),
        ("Mul", ["b", weight.reshape(8, 1, 1)], "m"),
        ("Add", ["m", weight.reshape(8, 1, 1)], "y"),
    )
    settings = {"num_groups": 2, "epsilon": 1e-6}
    assert lowering(("GroupNormalization", ["x", weight, weight], "y", settings)) is one
    patches = lowering(
        ("Reshape", ["x", [1, 2, 2, 2, 4, 6]], "a"),
        ("Transpose", ["a"], "b", {"perm": [0, 1, 4, 2, 5, 3]}),
        ("Reshape", ["b", [1, 2, 8, 12]], "y"),
    )
    assert lowering(("DepthToSpace", ["x"], "y", {"blocksize": 2, "mode": "CRD"})) is patches
    assert lowering(("DepthToSpace", ["x"], "y", {"blocksize": 2})) is not patches


def test_inputs_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "g.onnx"
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "n", 7]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
    ]
    node = helper.make_node("Identity", ["x"], ["y"])
    onnx.save(helper.make_model(helper.make_graph([node], "g", ends[:1], ends[1:])), path)
    graph = Graph(GraphFile("k", path, ()))
    assert input_shape(graph, "x", (2, 3, 4)) == (1, 3, 7)
    with pytest.raises(KleinbildError, match="has no input 'z'; its inputs are 'x'"):
        input_shape(graph, "z", (1,))
    with pytest.raises(KleinbildError, match="input 'x' has 3 sizes, not 1"):
        input_shape(graph, "x", (1,))
    with pytest.raises(KleinbildError, match=r"input 'x' has the shape \[1, 0, 7\]"):
        input_shape(graph, "x", (1, 0, 1))
    with pytest.raises(KleinbildError, match="takes the input 'x', expected 'other'"):
        lower(Expressions(), graph, {"other": Expressions().input("other", (1,))})
