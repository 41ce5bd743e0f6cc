"""Runs a bundle's graphs in onnxruntime on the CPU: what every other path is compared with.

`run_pipeline` goes from token ids to the decoded picture and keeps every boundary. By default each graph is
run as its float32 twin (same stored codes, scales and weights, float32 everywhere), because onnxruntime's
CPU runs accuracy level 4 with 8-bit activations; `twin=False` runs the graphs as they are shipped. Only for
small models: weights are held in memory.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import klein_numpy as klein
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import TensorProto, numpy_helper

Array = npt.NDArray[Any]
GOLDEN = Path(__file__).parent.parent / "golden"


def float32_twin(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of `model`, external data loaded, with every float16 made float32 and accuracy level 0."""
    twin = onnx.ModelProto()
    twin.CopyFrom(model)
    for tensor in twin.graph.initializer:
        _widen(tensor)
    for value in (*twin.graph.input, *twin.graph.output):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT16:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    del twin.graph.value_info[:]
    for node in twin.graph.node:
        for attribute in node.attribute:
            if attribute.name == "accuracy_level":
                attribute.i = 0
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.FLOAT
            if attribute.type == onnx.AttributeProto.TENSOR:
                _widen(attribute.t)
    return twin


def _widen(tensor: TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT16:
        tensor.CopyFrom(
            numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)
        )


class Graph:
    """One graph of a bundle in a session of its own; inputs are converted to the types that it declares."""

    def __init__(self, path: Path, twin: bool) -> None:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        if twin:
            model = float32_twin(onnx.load(path))
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
            source: Any = model.SerializeToString()
        else:
            # Below full optimisation the CPU's level-4 matmuls may read scales through a cast, wrongly.
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
            source = str(path)
        self._session = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])

    def run(self, **inputs: Array) -> dict[str, Array]:
        """Output name -> array. `inputs` are keyed by the graph's input names."""
        types = {"tensor(float16)": np.float16, "tensor(float)": np.float32, "tensor(int64)": np.int64}
        feeds = {i.name: inputs[i.name].astype(types[i.type]) for i in self._session.get_inputs()}
        names = [output.name for output in self._session.get_outputs()]
        return dict(zip(names, self._session.run(names, feeds), strict=True))


def run_pipeline(
    bundle_folder: Path,
    input_ids: Array,
    attention_mask: Array,
    latents: Array,
    *,
    steps: int,
    height: int,
    width: int,
    twin: bool = True,
) -> dict[str, npt.NDArray[np.float32]]:
    """Every boundary of a whole run, float32.

    input_ids, attention_mask int [512]; latents float32 [128, H/16, W/16]. Returns prompt_embeds [512, D],
    sigmas [steps + 1], latents_0 .. latents_<steps - 1> [N, 128] (after each step), decoded [3, H, W]
    before clamping.
    """
    config = json.loads((bundle_folder / "flux2-config.json").read_text())
    models = config["models"]

    def graph(key: str) -> Graph:
        return Graph(bundle_folder / models[key]["file"], twin)

    encoder = graph("text_encoder")
    ctx = encoder.run(input_ids=input_ids[None], attention_mask=attention_mask[None])["ctx"]
    result = {"prompt_embeds": ctx[0]}

    rows, columns = height // 16, width // 16
    text_ids = klein.text_ids(ctx.shape[1]).astype(np.float32)[None]
    picture_ids = klein.grid_ids(rows, columns).astype(np.float32)[None]
    sigmas = result["sigmas"] = klein.sigmas(rows * columns, steps)
    transformer = graph("transformer")
    x = klein.pack(latents.reshape(-1, rows, columns).astype(np.float32))
    for i in range(steps):
        pred = transformer.run(
            x=x[None], x_ids=picture_ids, timesteps=sigmas[i : i + 1], ctx=ctx, ctx_ids=text_ids
        )["pred"]
        x = x + (sigmas[i + 1] - sigmas[i]) * pred[0].astype(np.float32)
        result[f"latents_{i}"] = x

    values = graph("vae_decoder_pre").run(z=klein.unpack(x, rows, columns)[None])
    residual, q, kt, v = (values[name] for name in models["vae_decoder_pre"]["outputs"])
    attention = _attention(graph("vae_decoder_attn_chunk"), models["vae_decoder_attn_chunk"], q, kt, v)
    stages = config["vae_decoder_post_stage_keys"]
    values = {
        models[stages[0]]["residual_input"]: residual,
        models[stages[0]]["attn_input"]: attention,
    }
    for key in stages:
        values = graph(key).run(**values)
    result["decoded"] = values["image"][0]
    return {name: np.asarray(value, np.float32) for name, value in result.items()}


def _attention(graph: Graph, model: dict[str, Any], q: Array, kt: Array, v: Array) -> Array:
    """The attention of all query rows, a chunk at a time, the last one zero-padded."""
    chunk, count = model["chunk_size"], q.shape[2]
    parts = []
    for start in range(0, count, chunk):
        rows = q[:, :, start : start + chunk]
        padded = np.pad(rows, ((0, 0), (0, 0), (0, chunk - rows.shape[2]), (0, 0)))
        parts.append(graph.run(q_chunk=padded, kt=kt, v=v)["attn_chunk"][:, :, : rows.shape[2]])
    return np.concatenate(parts, axis=2)
