"""The peer's graphs compute what they are taken for: onnxruntime on the CPU against the numpy reference."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import klein_numpy as klein
import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from onnx_oracle import Graph as Session
from peer_graphs import SEED_FORMAT, Format, shared_name, write_attention, write_chain, write_step
from peer_shapes import quick_shapes
from reference import relative_error

from kleinbild.canonical import expected_tensors
from kleinbild.errors import KleinbildError
from kleinbild.weights import Q4, dequantise

# Two float32 implementations with the same weights.
TOLERANCE = 1e-5
FORMATS = [
    SEED_FORMAT,
    Format(32, symmetric=True, accuracy_level=4),
    Format(32, symmetric=True, accuracy_level=0),
]
Float32 = npt.NDArray[np.float32]

# Two blocks of each kind at least, so that sharing shows.
SMALL = quick_shapes().model
MODEL = replace(SMALL, transformer=replace(SMALL.transformer, num_layers=2, num_single_layers=3))

rng = np.random.default_rng()


def stored_tensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Every initializer of a graph, its shards included."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}


def linear(stored: dict[str, npt.NDArray[Any]], name: str, shape: tuple[int, int]) -> Float32:
    """The weight [N, K] that the codes `<name>_Q4` and their scales stand for."""
    codes = stored[f"{name}_Q4"]
    scales = stored[f"{name}_scales"].reshape(shape[0], -1)
    zero_points = stored.get(f"{name}_zero_points")
    zeros = None if zero_points is None else zero_points.reshape(shape[0], -1)
    return dequantise(Q4(shape, codes.shape[2] * 2, codes, scales, zeros))


def normals(*shape: int) -> Float32:
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("element", [TensorProto.FLOAT, TensorProto.FLOAT16])
@pytest.mark.parametrize("weight_format", FORMATS, ids=lambda f: f.label)
def test_a_chain_multiplies_by_its_dequantised_weights(
    weight_format: Format, element: int, tmp_path: Path
) -> None:
    graph = write_chain(tmp_path, "chain", (64, 160, 64, 160), weight_format, element)
    stored = stored_tensors(tmp_path / graph.file)
    up, down = linear(stored, "w160x64", (160, 64)), linear(stored, "w64x160", (64, 160))
    x = normals(7, 64)
    (y,) = Session(tmp_path / graph.file, twin=True).run(x=x[None]).values()
    assert relative_error(y[0], x @ up.T @ down.T @ up.T) < TOLERANCE
    # Random weights must keep the activations' size, or a long chain leaves float16.
    assert 0.5 < np.abs(y).std() / np.abs(x).std() < 2


@pytest.mark.parametrize("fused", [False, True])
def test_attention(fused: bool, tmp_path: Path) -> None:
    graph = write_attention(tmp_path, "attention", MODEL, TensorProto.FLOAT16, fused=fused)
    q, k, v = normals(3, 11, MODEL.transformer.hidden_size)
    (y,) = Session(tmp_path / graph.file, twin=True).run(q=q[None], k=k[None], v=v[None]).values()
    expected = klein.unheads(
        klein.attend(*(klein.heads(x, MODEL.transformer.attention_head_dim) for x in (q, k, v)))
    )
    assert relative_error(y[0], expected) < TOLERANCE


def test_the_step_is_the_model_with_one_set_of_block_weights(tmp_path: Path) -> None:
    c, text = MODEL.transformer, MODEL.prompt.text_seq_len
    graph = write_step(tmp_path, "step", MODEL, SEED_FORMAT, TensorProto.FLOAT16)
    stored = stored_tensors(tmp_path / graph.file)
    weights = {}
    for name, spec in expected_tensors(MODEL)["transformer"].items():
        source = shared_name(name)
        weights[name] = (
            stored[source]
            if spec.kind == "vector"
            else linear(stored, source, (spec.shape[0], spec.shape[1]))
        )

    rows, columns, sigma = 3, 5, 0.75
    x, ctx = normals(rows * columns, c.in_channels), normals(text, c.joint_attention_dim)
    ids = klein.text_ids(text), klein.grid_ids(rows, columns)
    (pred,) = (
        Session(tmp_path / graph.file, twin=True)
        .run(x=x[None], x_ids=ids[1][None], timesteps=np.array([sigma]), ctx=ctx[None], ctx_ids=ids[0][None])
        .values()
    )
    table = klein.rope_table(np.concatenate(ids), c.axes_dims_rope, c.rope_theta)
    context = klein.lin(ctx, weights["context_embedder.weight"])
    modulation = klein.modulation(weights, sigma)
    expected = klein.transformer(asdict(c), weights, x, context, modulation, table)
    assert relative_error(pred[0], expected) < TOLERANCE


def test_the_step_stores_one_block_of_each_kind_and_only_4_bit_linears(tmp_path: Path) -> None:
    graph = write_step(tmp_path, "step", MODEL, SEED_FORMAT, TensorProto.FLOAT16)
    nodes = onnx.load(tmp_path / graph.file, load_external_data=False).graph.node
    linears = [name for name, spec in expected_tensors(MODEL)["transformer"].items() if spec.kind == "linear"]
    products = [node for node in nodes if node.op_type == "MatMulNBits"]
    assert len(products) == len(linears)
    codes = {node.input[1] for node in products}
    assert codes == {f"{shared_name(name)}_Q4" for name in linears}
    assert len(codes) < len(linears)
    # What is left as MatMul: scores and weighted values of each block, and the rotary table's angles.
    c = MODEL.transformer
    assert sum(node.op_type == "MatMul" for node in nodes) == 2 * (c.num_layers + c.num_single_layers) + 1


def test_a_width_that_is_no_whole_number_of_blocks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KleinbildError, match="w8x40: 40 columns"):
        write_chain(tmp_path, "odd", (40, 8), FORMATS[1], TensorProto.FLOAT)


def test_the_half_precision_step_runs_as_it_is_written(tmp_path: Path) -> None:
    graph = write_step(tmp_path, "step", MODEL, SEED_FORMAT, TensorProto.FLOAT16)
    c, text = MODEL.transformer, MODEL.prompt.text_seq_len
    inputs = {
        "x": normals(1, 6, c.in_channels),
        "x_ids": klein.grid_ids(2, 3)[None],
        "timesteps": np.array([0.5]),
        "ctx": normals(1, text, c.joint_attention_dim),
        "ctx_ids": klein.text_ids(text)[None],
    }
    half, single = (Session(tmp_path / graph.file, twin=twin).run(**inputs)["pred"] for twin in (False, True))
    assert half.dtype == np.float16
    # 8-bit activations on the CPU, in every linear.
    assert relative_error(half, single) < 0.1
