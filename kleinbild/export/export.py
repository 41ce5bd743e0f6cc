"""Checkpoint -> ONNX bundle folder in the format of the published q4 bundle.

Opens nothing but the source it is given and writes nothing but the folder; the same source gives the same
bytes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kleinbild.canonical import STAGES
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
from kleinbild.export.losses import Losses
from kleinbild.export.source import Options, Variant, WeightSource
from kleinbild.export.tensor_store import SHARD_BYTES, InlineStore, ShardStore
from kleinbild.export.vae_decoder import VaeGraph


def export_bundle(
    checkpoint: WeightSource,
    out: Path,
    *,
    weights: Variant,
    block_size: int = 16,
    symmetric: bool = False,
    all_q4: bool = False,
    context_clip: float = 0.0,
    shard_bytes: int = SHARD_BYTES,
) -> Losses:
    """Writes the bundle of `checkpoint` to the folder `out`, replacing a bundle that is there.

    weights: "q4" quantises the linears of the text encoder's layers and the transformer's blocks in blocks
    of `block_size`, everything else float16; "f16" is all float16; "f32" all float32. `all_q4` and
    `context_clip`: Options. Returns what the weights lost on the way. Raises
    KleinbildError, and leaves no trace, when the checkpoint is incomplete, a weight does not fit its type,
    or `out` cannot be written.
    """
    options = Options(weights, block_size, symmetric, all_q4, context_clip)
    losses = Losses()
    vae = vae_decoder.vae_graphs(checkpoint.config.vae_decoder)
    checkpoint.check()
    with new_folder(out, CONFIG_FILE) as folder:
        export = _Export(checkpoint, folder, options, shard_bytes, losses)
        export.write_stage(text_encoder.STAGE, text_encoder.build_text_encoder)
        export.write_stage(transformer.STAGE, transformer.build_transformer)
        for graph in vae:
            export.write_vae_graph(graph)
        _copy_tokenizer(checkpoint.tokenizer_folder, folder / TOKENIZER_FOLDER)
        (folder / CONFIG_FILE).write_text(config_text(checkpoint, options, vae), encoding="utf-8")
        losses.measure(folder, STAGES)
    return losses


@dataclass(frozen=True)
class _Export:
    source: WeightSource
    folder: Path
    options: Options
    shard_bytes: int
    losses: Losses

    def write_stage(self, stage: str, build: Callable[[Layers, ModelConfig], None]) -> None:
        """Writes one large stage: its graph, its shards and the list of them."""
        options = self.options
        store = ShardStore(self.folder, shard_stem(stage, options), self.shard_bytes)
        try:
            graph = GraphBuilder(stage, options.activation, store)
            build(Layers(graph, self.source, stage, options, self.losses), self.source.config)
            graph.save(self.folder / graph_name(stage, options))
            store.write_manifest(self.folder / manifest_name(stage, options))
        finally:
            store.close()

    def write_vae_graph(self, vae_graph: VaeGraph) -> None:
        """Writes one graph of the VAE decoder with its weights inside."""
        graph = GraphBuilder(vae_graph.key, self.options.activation, InlineStore())
        vae_graph.build(Layers(graph, self.source, vae_decoder.STAGE, self.options, self.losses))
        graph.save(self.folder / vae_graph_name(vae_graph, self.options))


def _copy_tokenizer(source: Path, target: Path) -> None:
    """Copies the tokenizer's files; a folder inside it is none of them."""
    if not (source / "tokenizer.json").is_file():
        raise KleinbildError(f"{source / 'tokenizer.json'}: no such file; a whole checkpoint has it")
    target.mkdir()
    for path in sorted(source.iterdir()):
        if path.is_file():
            shutil.copyfile(path, target / path.name)
