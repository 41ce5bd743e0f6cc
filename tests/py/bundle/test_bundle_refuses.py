"""Hostile and damaged bundles: one KleinbildError that names the file and the tensor or key at fault."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from bundle_numpy import make_small_checkpoint
from onnx import TensorProto, numpy_helper

from kleinbild.bundle import Bundle
from kleinbild.bundle.flux2_config import base_name
from kleinbild.checkpoint.checkpoint import Checkpoint
from kleinbild.errors import KleinbildError
from kleinbild.export import export_bundle

TRANSFORMER = "flux2-klein-4b-transformer-q4.onnx"
SHARD = "transformer-q4-00001.onnx_data"
MANIFEST = "transformer-q4-manifest.json"
CONFIG = "flux2-config.json"
LINEAR = "transformer_blocks.0.attn.to_q.weight"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    checkpoint = Checkpoint.open(make_small_checkpoint(folder / "checkpoint"))
    export_bundle(checkpoint, folder / "bundle", weights="q4")
    return folder / "bundle"


@pytest.fixture
def bundle(exported: Path, tmp_path: Path) -> Path:
    return shutil.copytree(exported, tmp_path / "bundle")


def edit_config(folder: Path, change: Callable[[Any], object]) -> None:
    value = json.loads((folder / CONFIG).read_text())
    change(value)
    (folder / CONFIG).write_text(json.dumps(value))


def edit_graph(folder: Path, change: Callable[[onnx.GraphProto], object]) -> None:
    model = onnx.load(folder / TRANSFORMER, load_external_data=False)
    change(model.graph)
    onnx.save(model, folder / TRANSFORMER)


def initializer(graph: onnx.GraphProto, name: str) -> TensorProto:
    found: TensorProto = next(tensor for tensor in graph.initializer if tensor.name == name)
    return found


def external(tensor: TensorProto, key: str) -> onnx.StringStringEntryProto:
    found: onnx.StringStringEntryProto = next(e for e in tensor.external_data if e.key == key)
    return found


def set_external(name: str, key: str, value: str) -> Callable[[onnx.GraphProto], object]:
    return lambda graph: setattr(external(initializer(graph, name), key), "value", value)


def q4_node(graph: onnx.GraphProto) -> onnx.NodeProto:
    found: onnx.NodeProto = next(node for node in graph.node if f"{LINEAR}_Q4" in node.input)
    return found


def set_attribute(name: str, value: int) -> Callable[[onnx.GraphProto], object]:
    def change(graph: onnx.GraphProto) -> None:
        next(a for a in q4_node(graph).attribute if a.name == name).i = value

    return change


def put(*path: str | int, value: Any) -> Callable[[Any], object]:
    """A change of flux2-config.json: sets the value at `path`."""

    def change(root: Any) -> None:
        for key in path[:-1]:
            root = root[key]
        root[path[-1]] = value

    return change


CONFIG_CASES = {
    "traversal in file": (put("models", "transformer", "file", value="../x.onnx"), "not a plain file name"),
    "absolute file": (put("models", "transformer", "file", value="/etc/passwd"), "not a plain file name"),
    "traversal in manifest": (put("models", "transformer", "manifest", value=".."), "not a plain file name"),
    "traversal in tokenizer": (put("tokenizer", value="a/../b"), "not a plain file name"),
    "backslash": (put("tokenizer", value="..\\tokenizer"), "not a plain file name"),
    "file is a number": (put("models", "transformer", "file", value=7), "expected a file name, found '7'"),
    "no such graph": (put("models", "transformer", "file", value="x.onnx"), "x.onnx: no such file"),
    "graph missing": (lambda c: c["models"].pop("vae_decoder_pre"), "models.vae_decoder_pre: is missing"),
    "models is a list": (put("models", value=[]), '"models" is missing or no object'),
    "post stages": (put("vae_decoder_post_stage_keys", value="all"), "is not a list of 1 to 64"),
    "post stage of another type": (put("vae_decoder_post_stage_keys", value=[{}]), "is missing"),
    "no own record": (put("kleinbild", value=[]), '"kleinbild" is missing or no object'),
    "no text length": (lambda c: c.pop("text_seq_len"), '"text_seq_len" is missing; expected a whole number'),
    "steps of another type": (put("num_steps", value="4"), "\"num_steps\" is '4'; expected a whole number"),
    "another context": (put("context_dim", value=121), '"context_dim" is 121, but the graphs have 120'),
    "guidance": (put("guidance", value=3.5), "\"guidance\" is '3.5'; only 1.0 is implemented"),
    "names of tensors": (
        put("models", "vae_decoder_pre", "outputs", value=["a", "a"]),
        "vae_decoder_pre.outputs: expected a list of at most 16 names",
    ),
    "too few tensors": (
        put("models", "vae_decoder_pre", "outputs", value=["a"]),
        "vae-decoder-pre-attn-fp16.onnx: has 1 outputs, expected 4",
    ),
    "another schema": (put("kleinbild", "schema", value=2), '"kleinbild.schema" is 2, this version reads 1'),
    "weights": (put("kleinbild", "weights", value="q2"), "\"weights\" is 'q2'"),
    "name": (put("kleinbild", "name", value="n" * 256), '"kleinbild.name" is not a text of at most 255'),
    "config field missing": (lambda c: c["kleinbild"]["config"].pop("prompt"), "'prompt' is missing"),
    "context clip below zero": (put("context_clip", value=-1), '"context_clip" is -1; expected a number'),
    "context clip without end": (put("context_clip", value=float("inf")), '"context_clip" is inf'),
    "context clip as text": (put("context_clip", value="0"), '"context_clip" is 0; expected a number'),
    "config of another type": (
        put("kleinbild", "config", "transformer", "num_layers", value="5"),
        "transformer.num_layers: expected int",
    ),
    "too many layers": (
        put("kleinbild", "config", "transformer", "num_layers", value=10**9),
        r"transformer.num_layers: 1000000000, expected a whole number from 1 to 1024",
    ),
    "negative size": (
        put("kleinbild", "config", "text_encoder", "vocab_size", value=-1),
        "text_encoder.vocab_size: -1, expected a whole number",
    ),
    "infinite number": (
        put("kleinbild", "config", "transformer", "rope_theta", value=float("inf")),
        "transformer.rope_theta: inf, expected a finite number",
    ),
    "contradiction": (
        put("kleinbild", "config", "transformer", "hidden_size", value=48),
        "hidden_size is not num_attention_heads times attention_head_dim",
    ),
    "another model": (
        put("kleinbild", "config", "transformer", "num_layers", value=2),
        r"kleinbild.config.transformer.num_layers is 2, but the graphs have 1",
    ),
    "another width": (
        put("kleinbild", "config", "transformer", "mlp_hidden_size", value=80),
        "kleinbild.config.transformer.mlp_hidden_size is 80, but the graphs have 120",
    ),
}


@pytest.mark.parametrize("case", CONFIG_CASES)
def test_config(bundle: Path, case: str) -> None:
    change, message = CONFIG_CASES[case]
    edit_config(bundle, change)
    with pytest.raises(KleinbildError, match=message):
        Bundle.open(bundle)


GRAPH_CASES: dict[str, tuple[Callable[[onnx.GraphProto], object], str]] = {
    "location elsewhere": (
        set_external(f"{LINEAR}_scales", "location", "../secret"),
        "'../secret' is not a plain file name",
    ),
    "location not listed": (
        set_external(f"{LINEAR}_scales", "location", CONFIG),
        "which the graph's manifest does not list",
    ),
    "offset past the end": (
        set_external(f"{LINEAR}_scales", "offset", "999999999"),
        f"{SHARD}: ends after .* bytes, tensor '{LINEAR}_scales' at 1000000239",
    ),
    "negative offset": (set_external(f"{LINEAR}_scales", "offset", "-1"), "'-1' is no offset or length"),
    "huge offset": (set_external(f"{LINEAR}_scales", "offset", "9" * 5000), "is no offset or length"),
    "length of something else": (
        set_external(f"{LINEAR}_scales", "length", "8"),
        r"is \[120\], 240 bytes, but 8 are recorded",
    ),
    "huge shape": (
        lambda g: initializer(g, "x_embedder.weight").dims.__setitem__(0, 1 << 60),
        r"tensor 'x_embedder.weight' of the shape \[1152921504606846976, 40\]",
    ),
    "twice": (
        lambda g: g.initializer.append(initializer(g, "x_embedder.weight")),
        "holds the tensor .* twice",
    ),
    "integer scales": (
        lambda g: setattr(initializer(g, f"{LINEAR}_scales"), "data_type", TensorProto.INT16),
        "_scales' is INT16; expected FLOAT, FLOAT16 or UINT8",
    ),
    "unknown type": (
        lambda g: setattr(initializer(g, f"{LINEAR}_scales"), "data_type", 0),
        "_scales' is of no known type",
    ),
    "missing dense": (
        lambda g: setattr(initializer(g, "proj_out.weight"), "name", "val_7"),
        r"transformer: cannot find proj_out: .* no node computes 'proj_out.weight'",
    ),
    "unused": (
        lambda g: [g.node.remove(n) for n in list(g.node) if "proj_out.weight" in n.input],
        "transformer: cannot find proj_out: .* not understood on the way .* no node computes '/MatMul_2_out",
    ),
    "another operator": (
        lambda g: next(n for n in g.node if "proj_out.weight" in n.input).MergeFrom(
            onnx.NodeProto(op_type="Add")
        ),
        r"transformer: cannot find proj_out: .* not understood on the way there: 'Add' .* do not fit",
    ),
    "N": (set_attribute("N", 80), r"codes of the shape \[40, 3, 8\]; expected 1920 elements"),
    "bits": (set_attribute("bits", 8), "add_q_proj.*to_q|projections.*8 bits in blocks of 16"),
    "block size": (set_attribute("block_size", 0), "4 bits in blocks of 0; only 4 bits"),
    "another block size": (
        set_attribute("block_size", 64),
        r"codes of the shape \[40, 3, 8\]; expected 1280 elements",
    ),
    "scales of another tensor": (
        lambda g: q4_node(g).input.__setitem__(2, "proj_out.weight"),
        r"scales of the shape \[40, 128\]; expected 120 elements",
    ),
    "scales not stored": (
        lambda g: q4_node(g).input.__setitem__(2, "x"),
        "scales that are not stored in the graph",
    ),
    "group order": (lambda g: q4_node(g).input.append("x"), "a MatMulNBits with a group order"),
}


@pytest.mark.parametrize("case", GRAPH_CASES)
def test_graph(bundle: Path, case: str) -> None:
    change, message = GRAPH_CASES[case]
    edit_graph(bundle, change)
    with pytest.raises(KleinbildError, match=message):
        Bundle.open(bundle)


MANIFEST_CASES = {
    '["transformer-q4-00001.onnx_data", "transformer-q4-00002.onnx_data"]': "00002.onnx_data: no such file",
    '["../transformer-q4-00001.onnx_data"]': "not a plain file name",
    "[]": "lies in 'transformer-q4-00001.onnx_data', which the graph's manifest does not list",
    '["transformer-q4-00001.onnx_data", "transformer-q4-00001.onnx_data"]': "lists a shard twice",
    '{"shards": 1}': "expected a JSON list",
    "[1]": "expected a file name, found '1'",
    "[": "not valid JSON",
    "[" * 100_000: "not valid JSON",
    " " * (1 << 21): "larger than 1048576 bytes",
}


@pytest.mark.parametrize("text", MANIFEST_CASES, ids=range(len(MANIFEST_CASES)))
def test_manifest(bundle: Path, text: str) -> None:
    (bundle / MANIFEST).write_text(text)
    with pytest.raises(KleinbildError, match=MANIFEST_CASES[text]):
        Bundle.open(bundle)


@pytest.mark.parametrize("name", [CONFIG, MANIFEST, SHARD, TRANSFORMER, "tokenizer/tokenizer.json"])
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(KleinbildError, match=f"{name}: no such file"):
        Bundle.open(bundle)


def test_a_cut_off_shard_is_noticed_on_opening(bundle: Path) -> None:
    data = (bundle / SHARD).read_bytes()
    (bundle / SHARD).write_bytes(data[:-1])
    with pytest.raises(KleinbildError, match=f"{SHARD}: ends after {len(data) - 1} bytes, tensor 'proj_out"):
        Bundle.open(bundle)


@pytest.mark.parametrize("size", [0, 1000, -1000])
def test_a_cut_off_graph_is_refused(bundle: Path, size: int) -> None:
    data = (bundle / TRANSFORMER).read_bytes()
    (bundle / TRANSFORMER).write_bytes(data[:size])
    with pytest.raises(KleinbildError, match=f"{TRANSFORMER}: (not a whole ONNX file|holds no graph)"):
        Bundle.open(bundle)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", [f"{LINEAR}_scales", "x_embedder.weight"])
def test_nan_and_infinity_are_refused_naming_the_tensor(bundle: Path, name: str, value: float) -> None:
    def where(graph: onnx.GraphProto) -> None:
        tensor = initializer(graph, name)
        offset, length = (int(external(tensor, key).value) for key in ("offset", "length"))
        with (bundle / SHARD).open("r+b") as file:
            file.seek(offset + length - 2)
            file.write(np.float16(value).tobytes())

    edit_graph(bundle, where)
    opened = Bundle.open(bundle)
    canonical = name.removesuffix("_scales")
    message = f"transformer tensor '{canonical}'.*: holds NaN or infinity"
    with pytest.raises(KleinbildError, match=message):
        opened.tensor("transformer", canonical)
    with pytest.raises(KleinbildError, match=message):
        opened.check()


def test_inline_data_that_does_not_fill_its_shape_is_refused(bundle: Path) -> None:
    def shorten(graph: onnx.GraphProto) -> None:
        tensor = initializer(graph, "proj_out.weight")
        short = numpy_helper.from_array(np.zeros((40, 127), np.float16), tensor.name)
        short.dims[:] = [40, 128]
        tensor.CopyFrom(short)

    edit_graph(bundle, shorten)
    with pytest.raises(KleinbildError, match=r"'proj_out.weight': its data does not fill its shape"):
        Bundle.open(bundle).tensor("transformer", "proj_out.weight")


def test_dense_codes_are_refused(bundle: Path) -> None:
    """A tensor whose bytes are of a type that its use does not allow."""
    edit_graph(
        bundle,
        lambda graph: initializer(graph, f"{LINEAR}_zero_points").CopyFrom(
            numpy_helper.from_array(np.zeros(80, np.float16), f"{LINEAR}_zero_points")
        ),
    )
    with pytest.raises(KleinbildError, match="zero points: stored as float16, only uint8 is supported"):
        Bundle.open(bundle).tensor("transformer", LINEAR)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a\\b", "c:x", "a\0", "a\n", "x" * 256, None, 3, ["a"]]
)
def test_base_name_refuses(name: object) -> None:
    with pytest.raises(KleinbildError, match="here"):
        base_name(name, "here")


@pytest.mark.parametrize("name", ["a", "a.onnx_data", "a b", "..a", "ä"])
def test_base_name_accepts(name: str) -> None:
    assert base_name(name, "here") == name
