"""flux2-config.json of a bundle: what a program that runs the graphs must know about them.

The top-level keys and `models` are those that programs made for the published bundle read. "kleinbild" is
our own: the ModelConfig, so that nothing has to be guessed back from graphs.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

from kleinbild.config import config_to_json
from kleinbild.export import text_encoder, transformer
from kleinbild.export.layers import ACCURACY_LEVEL, BITS
from kleinbild.export.source import Options, WeightSource
from kleinbild.export.vae_decoder import ATTENTION, CHUNK, CHUNK_ROWS, POST_STAGES, RESIDUAL, VaeGraph

CONFIG_FILE = "flux2-config.json"
TOKENIZER_FOLDER = "tokenizer"
# File names are part of the format; they do not follow the model's name.
FILE_PREFIX = "flux2-klein-4b"
SCHEMA = 1
# How scales and zero points were chosen (kleinbild.quantise.search); no program's behaviour hangs on it.
ALGORITHM = "least_squares"


def shard_stem(stage: str, options: Options) -> str:
    """Start of the names of a stage's shards and manifest, e.g. "text-encoder-q4"."""
    return f"{stage.replace('_', '-')}-{options.weights}"


def manifest_name(stage: str, options: Options) -> str:
    """File name of a stage's list of shards."""
    return f"{shard_stem(stage, options)}-manifest.json"


def graph_name(stage: str, options: Options) -> str:
    """File name of the graph of the text encoder or the transformer."""
    return f"{FILE_PREFIX}-{shard_stem(stage, options)}.onnx"


def vae_graph_name(graph: VaeGraph, options: Options) -> str:
    """File name of one graph of the VAE decoder, which is never quantised."""
    precision = "fp32" if options.weights == "f32" else "fp16"
    return f"{FILE_PREFIX}-vae-decoder-{graph.file_part}-{precision}.onnx"


def config_text(source: WeightSource, options: Options, vae: list[VaeGraph]) -> str:
    """The whole file."""
    prompt = replace(source.config.prompt, context_clip=options.context_clip)
    config = replace(source.config, prompt=prompt)
    vae_config = config.vae_decoder
    levels = len(vae_config.block_out_channels)
    value = {
        "model_name": source.name,
        "variant": options.weights,
        "text_seq_len": config.prompt.text_seq_len,
        "context_dim": config.transformer.joint_attention_dim,
        "latent_channels": config.transformer.in_channels,
        "latent_downsample": 2 ** (levels - 1) * vae_config.patch_size,
        "default_width": config.default_width,
        "default_height": config.default_height,
        "num_steps": config.default_steps,
        "guidance": 1.0,
        "context_clip": options.context_clip or 0,
        "zero_padded_context": False,
        "tokenizer": TOKENIZER_FOLDER,
        "vae_decoder_post_stage_keys": list(POST_STAGES),
        "models": {
            "text_encoder": _large_model(
                text_encoder.STAGE, options, text_encoder.INPUTS, text_encoder.OUTPUTS
            ),
            "transformer": _large_model(transformer.STAGE, options, transformer.INPUTS, transformer.OUTPUTS)
            | {
                "attention_dtype": "float32",
                "rope_dtype": "float32",
                "attention_split_scale": config.transformer.attention_head_dim**-0.25,
            },
            **{graph.key: _vae_model(graph, options, vae_config.block_out_channels[-1]) for graph in vae},
        },
        "kleinbild": {
            "schema": SCHEMA,
            "config": config_to_json(config),
            "name": source.name,
            "notice": source.notice,
            **asdict(source.suggestions),
            "weights": options.weights,
        },
    }
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _model(file: str, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> dict[str, Any]:
    return {
        "file": file,
        "inputs": list(inputs),
        "outputs": list(outputs),
        "execution_provider": "webgpu",
        "graph_optimization_level": "all",
    }


def _large_model(
    stage: str, options: Options, inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> dict[str, Any]:
    quantization: dict[str, Any] = {"algorithm": "none", "accuracy_level": 0}
    if options.weights == "q4":
        quantization = {
            "op": "MatMulNBits",
            "bits": BITS,
            "block_size": options.block_size,
            "is_symmetric": options.symmetric,
            "accuracy_level": ACCURACY_LEVEL,
            "algorithm": ALGORITHM,
            "layers": "all" if options.all_q4 or stage == text_encoder.STAGE else "blocks",
        }
    return _model(graph_name(stage, options), inputs, outputs) | {
        "manifest": manifest_name(stage, options),
        "activation_dtype": _float_type(options),
        "quantization": quantization,
    }


def _vae_model(graph: VaeGraph, options: Options, head_dim: int) -> dict[str, Any]:
    model = _model(vae_graph_name(graph, options), graph.inputs, graph.outputs) | {
        "dtype": _float_type(options)
    }
    if graph.key == CHUNK:
        model |= {"head_dim": head_dim, "chunk_size": CHUNK_ROWS}
    if graph.key == POST_STAGES[0]:
        model |= {"residual_input": RESIDUAL, "attn_input": ATTENTION}
    return model


def _float_type(options: Options) -> str:
    return "float32" if options.weights == "f32" else "float16"
