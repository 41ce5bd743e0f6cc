"""Checkpoint -> ONNX bundle folder in the format of the published q4 bundle.

Opens nothing but the source it is given and writes nothing but the folder; the same source gives the same
bytes. The weights pass once, a few at a time: one thread reads ahead, one writes, the caller's quantises.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from kleinbild import __version__
from kleinbild.canonical import STAGES, expected_tensors
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
from kleinbild.export.read_ahead import Advance, ReadAhead
from kleinbild.export.source import Options, Variant, WeightSource
from kleinbild.export.tensor_store import SHARD_BYTES, InlineStore, ShardStore
from kleinbild.export.vae_decoder import VaeGraph
from kleinbild.part_folder import RECORDS, is_finished, record_finished


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
    advance: Advance = lambda _, __: None,
    resumable: bool = False,
) -> Losses:
    """Writes the bundle of `checkpoint` to the folder `out`, replacing a bundle that is there.

    weights: "q4" quantises the linears of the text encoder's layers and the transformer's blocks in blocks
    of `block_size`, everything else float16; "f16" is all float16; "f32" all float32. `all_q4` and
    `context_clip`: Options. `advance` is told what is done, input_bytes(checkpoint) in all. Stages that an
    interrupted run finished are taken over when source and options are the same; `resumable`: new_folder.
    Returns what the weights lost on the way. Raises KleinbildError, and leaves no trace, when the checkpoint
    is incomplete, a weight does not fit its type, or `out` cannot be written.
    """
    options = Options(weights, block_size, symmetric, all_q4, context_clip)
    losses = Losses()
    vae = vae_decoder.vae_graphs(checkpoint.config.vae_decoder)
    checkpoint.check()
    key = export_key(checkpoint, options, shard_bytes)
    with new_folder(out, CONFIG_FILE, resumable=resumable) as folder:
        export = _Export(checkpoint, folder, options, shard_bytes, key, advance, losses)
        export.write_stage(text_encoder.STAGE, text_encoder.build_text_encoder)
        export.write_stage(transformer.STAGE, transformer.build_transformer)
        export.write_vae_graphs(vae)
        _copy_tokenizer(checkpoint.tokenizer_folder, folder / TOKENIZER_FOLDER)
        (folder / CONFIG_FILE).write_text(config_text(checkpoint, options, vae), encoding="utf-8")
    losses.measure(out, STAGES)
    return losses


def export_key(source: WeightSource, options: Options, shard_bytes: int = SHARD_BYTES) -> dict[str, object]:
    """What decides the bytes of a bundle, as JSON values: the same key, the same files."""
    return {
        "version": __version__,
        "options": asdict(options),
        "shard_bytes": shard_bytes,
        "source": source.identity(),
    }


def input_bytes(source: WeightSource) -> int:
    """Bytes of all the tensors that an export of `source` reads."""
    return sum(_stage_bytes(source, stage) for stage in STAGES)


@dataclass(frozen=True)
class _Export:
    source: WeightSource
    folder: Path
    options: Options
    shard_bytes: int
    key: dict[str, object]
    advance: Advance
    losses: Losses

    def write_stage(self, stage: str, build: Callable[[Layers, ModelConfig], None]) -> None:
        """Writes one large stage, its graph, its shards and the list of them, unless it is there."""
        losses, losses_path = Losses(), self.folder / RECORDS / f"{stage}.losses"
        if is_finished(self.folder, stage, self.key):
            self.losses.merge(Losses.read(losses_path))
            self.advance(_stage_bytes(self.source, stage), f"{stage} of the interrupted run")
            return
        options = self.options
        graph_path = self.folder / graph_name(stage, options)
        manifest_path = self.folder / manifest_name(stage, options)
        store = ShardStore(self.folder, shard_stem(stage, options), self.shard_bytes)
        try:
            graph = GraphBuilder(stage, options.activation, store)
            with ReadAhead(self.source, stage, self.advance) as source:
                build(Layers(graph, source, stage, options, losses), source.config)
            graph.save(graph_path)
            store.write_manifest(manifest_path)
        finally:
            store.close()
        shards = [self.folder / name for name in store.names]
        losses.write(losses_path)
        record_finished(self.folder, stage, self.key, [graph_path, manifest_path, losses_path, *shards])
        self.losses.merge(losses)

    def write_vae_graphs(self, vae_graphs: Sequence[VaeGraph]) -> None:
        """Writes the graphs of the VAE decoder, each with its weights inside."""
        stage = vae_decoder.STAGE
        with ReadAhead(self.source, stage, self.advance) as source:
            for vae_graph in vae_graphs:
                graph = GraphBuilder(vae_graph.key, self.options.activation, InlineStore())
                vae_graph.build(Layers(graph, source, stage, self.options, self.losses))
                graph.save(self.folder / vae_graph_name(vae_graph, self.options))


def remove_shards(bundle: Path, stage: str) -> None:
    """Removes the shards of `stage` from a bundle on its way that needs them no more, to make room."""
    for path in bundle.glob(f"{stage.replace('_', '-')}-*.onnx_data"):
        path.unlink()


def _stage_bytes(source: WeightSource, stage: str) -> int:
    return sum(source.stored_bytes(stage, name) for name in expected_tensors(source.config)[stage])


def _copy_tokenizer(source: Path, target: Path) -> None:
    """Copies the tokenizer's files; a folder inside it is none of them."""
    if not (source / "tokenizer.json").is_file():
        raise KleinbildError(f"{source / 'tokenizer.json'}: no such file; a whole checkpoint has it")
    target.mkdir()
    for path in sorted(source.iterdir()):
        if path.is_file():
            shutil.copyfile(path, target / path.name)
