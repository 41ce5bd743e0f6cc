"""Checkpoint -> ONNX bundle folder in the format of the published q4 bundle.

Opens nothing but the source it is given and writes nothing but the folder; the same source gives the same bytes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from onnx import TensorProto

from kleinbild.config import ModelConfig
from kleinbild.errors import KleinbildError
from kleinbild.export import text_encoder, transformer, vae_decoder
from kleinbild.export.builder import GraphBuilder
from kleinbild.export.flux2_config import (
    CONFIG_FILE,
    TOKENIZER_FOLDER,
    config_text,
    graph_name,
    manifest_name,
    shard_stem,
    vae_graph_name,
)
from kleinbild.export.folder import new_folder
from kleinbild.export.layers import Layers
from kleinbild.export.source import Options, Variant, WeightSource
from kleinbild.export.tensor_store import SHARD_BYTES, InlineStore, ShardStore


def export_bundle(
    checkpoint: WeightSource,
    out: Path,
    *,
    weights: Variant,
    block_size: int = 16,
    symmetric: bool = False,
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Writes the bundle of `checkpoint` to the folder `out`, replacing a bundle that is there.

    weights: "q4" quantises the linears of the text encoder's layers and the transformer's blocks in blocks of
    `block_size`, everything else float16; "f16" is all float16; "f32" all float32. Raises KleinbildError, and leaves
    no trace, when the checkpoint is incomplete, a weight does not fit its type, or `out` cannot be written.
    """
    options = Options(weights, block_size, symmetric)
    vae = vae_decoder.vae_graphs(checkpoint.config.vae_decoder)
    checkpoint.check()
    with new_folder(out, CONFIG_FILE) as folder:
        for stage, build in (
            (text_encoder.STAGE, text_encoder.build_text_encoder),
            (transformer.STAGE, transformer.build_transformer),
        ):
            _write_stage(checkpoint, folder, stage, build, options, shard_bytes)
        for vae_graph in vae:
            builder = GraphBuilder(vae_graph.key, _activation(options), InlineStore())
            vae_graph.build(Layers(builder, checkpoint, vae_decoder.STAGE, options))
            builder.save(folder / vae_graph_name(vae_graph, options))
        _copy_tokenizer(checkpoint.tokenizer_folder, folder / TOKENIZER_FOLDER)
        (folder / CONFIG_FILE).write_text(config_text(checkpoint, options, vae), encoding="utf-8")


def _write_stage(
    source: WeightSource,
    folder: Path,
    stage: str,
    build: Callable[[Layers, ModelConfig], None],
    options: Options,
    shard_bytes: int,
) -> None:
    store = ShardStore(folder, shard_stem(stage, options), shard_bytes)
    try:
        builder = GraphBuilder(stage, _activation(options), store)
        build(Layers(builder, source, stage, options), source.config)
        builder.save(folder / graph_name(stage, options))
        store.write_manifest(folder / manifest_name(stage, options))
    finally:
        store.close()


def _activation(options: Options) -> int:
    return TensorProto.FLOAT if options.weights == "f32" else TensorProto.FLOAT16


def _copy_tokenizer(source: Path, target: Path) -> None:
    """Copies the tokenizer's files; a folder inside it is none of them."""
    if not (source / "tokenizer.json").is_file():
        raise KleinbildError(f"{source / 'tokenizer.json'}: no such file; a whole checkpoint has it")
    target.mkdir()
    for path in sorted(source.iterdir()):
        if path.is_file():
            shutil.copyfile(path, target / path.name)
