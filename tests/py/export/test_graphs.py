"""The graph changes that the published bundle's card lists, each on the exported graphs themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_numpy import make_small_checkpoint
from graph_types import TypedGraph
from onnx import NodeProto, TensorProto

from kleinbild.canonical import expected_tensors
from kleinbild.checkpoint.checkpoint import Checkpoint
from kleinbild.config import ModelConfig
from kleinbild.export import export_bundle

HALF, FLOAT = TensorProto.FLOAT16, TensorProto.FLOAT
CLIP = 7.5
BLOCKS = ("model.layers.", "transformer_blocks.", "single_transformer_blocks.")
LARGE = ("text_encoder", "transformer")
KINDS: dict[str, dict[str, Any]] = {
    "q4": {"weights": "q4", "block_size": 32},
    "q4 symmetric": {"weights": "q4", "block_size": 64, "symmetric": True},
    "all q4": {"weights": "q4", "all_q4": True, "context_clip": CLIP},
    "f16": {"weights": "f16"},
}
Q4_KINDS = [kind for kind in KINDS if KINDS[kind]["weights"] == "q4"]


class Exported:
    """A bundle and its graphs."""

    def __init__(self, folder: Path, config: ModelConfig) -> None:
        self.json = json.loads((folder / "flux2-config.json").read_text())
        self.config = config
        self.graphs = {key: TypedGraph(folder / m["file"]) for key, m in self.json["models"].items()}

    def heads(self, stage: str) -> int:
        """Size of a head of the stage's attention."""
        text, transformer = self.config.text_encoder, self.config.transformer
        return text.head_dim if stage == "text_encoder" else transformer.attention_head_dim

    def layers(self, stage: str) -> int:
        """Attentions of the stage."""
        text, transformer = self.config.text_encoder, self.config.transformer
        return (
            text.num_layers
            if stage == "text_encoder"
            else transformer.num_layers + transformer.num_single_layers
        )


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exported]:
    """The same small checkpoint in every kind."""
    folder = tmp_path_factory.mktemp("graphs")
    checkpoint = Checkpoint.open(make_small_checkpoint(folder / "checkpoint"))
    for kind, options in KINDS.items():
        export_bundle(checkpoint, folder / kind, **options)
    return {kind: Exported(folder / kind, checkpoint.config) for kind in KINDS}


def attributes(node: NodeProto) -> dict[str, int]:
    return {attribute.name: attribute.i for attribute in node.attribute}


@pytest.mark.parametrize("kind", Q4_KINDS)
@pytest.mark.parametrize("stage", LARGE)
def test_block_size_and_accuracy_level_are_recorded(
    exported: dict[str, Exported], kind: str, stage: str
) -> None:
    bundle = exported[kind]
    record = bundle.json["models"][stage]["quantization"]
    assert record["accuracy_level"] == 4
    assert record["block_size"] == KINDS[kind].get("block_size", 16)
    assert record["is_symmetric"] == KINDS[kind].get("symmetric", False)
    assert record["op"] == "MatMulNBits"
    graph = bundle.graphs[stage]
    nodes = graph.of("MatMulNBits")
    for node in nodes:
        found = attributes(node)
        assert {name: found[name] for name in ("bits", "block_size", "accuracy_level")} == {
            name: record[name] for name in ("bits", "block_size", "accuracy_level")
        }
        assert len(node.input) == (3 if record["is_symmetric"] else 4)
    linears = {n for n, spec in expected_tensors(bundle.config)[stage].items() if spec.kind == "linear"}
    every = stage == "text_encoder" or kind == "all q4"
    assert record["layers"] == ("all" if every else "blocks")
    inside = {name for name in linears if every or "transformer_blocks." in name}
    assert {node.input[1].removesuffix("_Q4") for node in nodes} == inside
    assert linears & graph.initializers.keys() == linears - inside


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stage", LARGE)
def test_what_enters_and_leaves_a_linear_of_a_block_is_float16(
    exported: dict[str, Exported], kind: str, stage: str
) -> None:
    graph = exported[kind].graphs[stage]
    blocks = [
        node
        for node in graph.graph.node
        if node.op_type in ("MatMul", "MatMulNBits") and node.input[1].startswith(BLOCKS)
    ]
    bundle = exported[kind]
    text = 7 * bundle.config.text_encoder.num_layers
    assert len(blocks) == (text if stage == "text_encoder" else 12 + 2)
    for node in blocks:
        assert [graph.types[name] for name in (node.input[0], node.output[0])] == [HALF, HALF], node.name
        if node.op_type == "MatMulNBits":
            assert graph.types[node.input[2]] == HALF, "scales"
    record = bundle.json["models"][stage]
    assert record["activation_dtype"] == "float16"
    floats = {graph.types[name] for name in (*record["inputs"], *record["outputs"])} - {TensorProto.INT64}
    assert floats == ({HALF} if stage == "text_encoder" else {HALF, FLOAT})  # the positions are float32


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stage", [*LARGE, "vae_decoder_attn_chunk"])
def test_scores_and_softmax_are_float32_and_probabilities_are_cast_back(
    exported: dict[str, Exported], kind: str, stage: str
) -> None:
    graph = exported[kind].graphs[stage]
    softmaxes = graph.of("Softmax")
    assert len(softmaxes) == (exported[kind].layers(stage) if stage in LARGE else 1)
    for softmax in softmaxes:
        scores = graph.maker[softmax.input[0]]
        if scores.op_type == "Add":  # the text encoder's mask
            scores = graph.maker[scores.input[0]]
        assert scores.op_type == "MatMul"
        assert [graph.types[name] for name in (*scores.input, *scores.output)] == [FLOAT] * 3
        assert graph.types[softmax.output[0]] == FLOAT
        (cast,) = graph.users[softmax.output[0]]
        assert (cast.op_type, graph.types[cast.output[0]]) == ("Cast", HALF)
        (values,) = graph.users[cast.output[0]]
        assert values.op_type == "MatMul"
        assert [graph.types[name] for name in (*values.input, *values.output)] == [HALF] * 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stage", LARGE)
def test_the_attention_scale_is_one_fixed_float32_scalar(
    exported: dict[str, Exported], kind: str, stage: str
) -> None:
    bundle = exported[kind]
    graph, expected = bundle.graphs[stage], np.float32(bundle.heads(stage) ** -0.25)
    scales = set()
    for softmax in graph.of("Softmax"):
        scores = graph.maker[softmax.input[0]]
        scores = graph.maker[scores.input[0]] if scores.op_type == "Add" else scores
        for factor in scores.input:
            scaled = graph.maker[factor]
            assert scaled.op_type == "Mul"
            scales.add(scaled.input[1])
    (scale,) = scales
    value = graph.constant(scale)
    assert value is not None
    assert value.dtype == np.float32
    assert value.shape == ()
    assert value == expected
    if stage == "transformer":
        assert bundle.json["models"][stage]["attention_split_scale"] == pytest.approx(float(expected))
    # No scalar is computed from shapes: each root is that of a norm, over an axis.
    for root in graph.of("Sqrt"):
        assert graph.maker[graph.maker[root.input[0]].input[0]].op_type == "ReduceMean"
    assert not graph.of("Shape")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stage", LARGE)
def test_positions_and_rotary_embedding_are_float32(
    exported: dict[str, Exported], kind: str, stage: str
) -> None:
    graph = exported[kind].graphs[stage]
    waves = [node for op in ("Cos", "Sin") for node in graph.of(op) if "/rotary/" in node.name]
    assert len(waves) == 2
    for node in waves:
        behind = [node]
        while behind:  # everything that makes the angles
            step = behind.pop()
            floats = [n for n in (*step.input, *step.output) if graph.types[n] in (HALF, FLOAT)]
            assert floats, step.name
            assert all(graph.types[name] == FLOAT for name in floats), step.name
            behind += [graph.maker[name] for name in step.input if name in graph.maker]
        turns = graph.users[node.output[0]]
        assert len(turns) == 4 * exported[kind].layers(stage)  # both halves of q and of k
        assert {turn.op_type for turn in turns} == {"Mul"}
        assert all(graph.types[name] == FLOAT for turn in turns for name in (*turn.input, *turn.output))


@pytest.mark.parametrize("kind", KINDS)
def test_the_context_is_clipped_as_recorded(exported: dict[str, Exported], kind: str) -> None:
    bundle = exported[kind]
    limit = KINDS[kind].get("context_clip", 0)
    assert bundle.json["context_clip"] == limit
    assert bundle.json["kleinbild"]["config"]["prompt"]["context_clip"] == limit
    graph = bundle.graphs["text_encoder"]
    (clip,) = graph.of("Clip")
    low, high = (graph.constant(name) for name in clip.input[1:])
    assert (low, high) == (-(limit or 65504), limit or 65504)
    (cast,) = graph.users[clip.output[0]]
    assert list(cast.output) == ["ctx"]


def test_a_float32_context_is_clipped_only_when_asked(tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(make_small_checkpoint(tmp_path / "checkpoint"))
    for limit in (0, CLIP):
        export_bundle(checkpoint, tmp_path / str(limit), weights="f32", context_clip=limit)
        graph = Exported(tmp_path / str(limit), checkpoint.config).graphs["text_encoder"]
        assert len(graph.of("Clip")) == bool(limit)
        assert set(graph.types.values()) <= {FLOAT, TensorProto.INT64, TensorProto.BOOL}


@pytest.mark.parametrize("kind", KINDS)
def test_the_decoder_is_float16_with_nothing_quantised(exported: dict[str, Exported], kind: str) -> None:
    for key, graph in exported[kind].graphs.items():
        if key.startswith("vae_decoder"):
            assert not graph.of("MatMulNBits")
            assert {graph.types[value.name] for value in (*graph.graph.input, *graph.graph.output)} == {HALF}
            assert {graph.types[tensor] for conv in graph.of("Conv") for tensor in conv.input} <= {HALF}
