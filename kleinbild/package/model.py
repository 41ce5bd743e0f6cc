"""One model into a site folder: vocabulary, shards and the manifest that describes them.

It takes tensors one at a time from whatever can give canonical weights (a bundle, a test's double) and holds
no more of them than the shards in the making need. Where the model came from is source.py's business.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from kleinbild.config import ModelConfig
from kleinbild.errors import KleinbildError
from kleinbild.notice import Notice
from kleinbild.package.files import write_bytes
from kleinbild.package.manifest import Manifest, manifest_text, new_manifest
from kleinbild.package.manifest_checks import check_config, check_manifest
from kleinbild.package.model_index import manifest_path
from kleinbild.package.modulation_table import modulation_table
from kleinbild.package.schedule import table_sigmas
from kleinbild.package.shards import SHARD_BYTES, ShardWriter
from kleinbild.package.stages import MODULATION_TABLE, TABLE_STAGE, stage_tensors
from kleinbild.package.store import FileStore
from kleinbild.package.vocabulary import read_vocabulary, vocabulary_bytes
from kleinbild.suggestions import Suggestions
from kleinbild.weights import Dense, Weight

Log = Callable[[str], None]


class ModelSource(Protocol):
    """What packaging asks of a model; kleinbild.bundle.Bundle is one."""

    @property
    def config(self) -> ModelConfig:
        """The model's numbers."""

    @property
    def name(self) -> str:
        """The model's name as people know it."""

    @property
    def notice(self) -> Notice:
        """What the page must tell about the model, {} for nothing."""

    @property
    def suggestions(self) -> Suggestions:
        """Prompts and sizes that suit the model."""

    @property
    def weights_kind(self) -> str:
        """The format of most linear weights: "q4", "f16" or "f32"."""

    @property
    def tokenizer_folder(self) -> Path:
        """The folder of tokenizer.json and tokenizer_config.json."""

    def tensor(self, stage: str, name: str) -> Weight:
        """The weight `name` of canonical stage `stage`; raises KleinbildError when there is none."""


def package_model(
    source: ModelSource, root: Path, *, previous: Path | None, log: Log, shard_bytes: int = SHARD_BYTES
) -> Manifest:
    """Writes w/ and models/<id>.json of `source` below `root` and returns the manifest.

    Shards that the earlier site `previous` holds are linked instead of written. Raises KleinbildError naming
    the tensor or the tokenizer key that cannot be packaged.
    """
    config = source.config
    check_config(config)
    store = FileStore(root, previous)
    tokenizer = store.put(vocabulary_bytes(read_vocabulary(source.tokenizer_folder, config)), "json")
    sigmas = table_sigmas(config)
    with ShardWriter(store, shard_bytes) as writer:
        current = ""
        for stage, source_stage, name, spec in stage_tensors(config):
            if stage != current:
                log(f"packaging {stage}")
                writer.begin_stage(stage)
                current = stage
                if stage == TABLE_STAGE and sigmas:
                    _add_modulation_table(writer, source, sigmas)
            writer.add(name, spec.kind, _tensor(source, source_stage, name, spec.shape))
        writer.finish()
    manifest = new_manifest(
        name=source.name,
        notice=source.notice,
        examples=source.suggestions.examples,
        sizes=source.suggestions.sizes,
        weights=source.weights_kind,
        config=config,
        tokenizer=tokenizer,
        table_sigmas=sigmas,
        stages=writer.stages,
        tensors=writer.tensors,
        shards=writer.shards,
    )
    check_manifest(manifest, "the packaged model")
    write_bytes(root / manifest_path(manifest.id), manifest_text(manifest).encode())
    return manifest


def _add_modulation_table(writer: ShardWriter, source: ModelSource, sigmas: tuple[float, ...]) -> None:
    specs = {name: spec for _, stage, name, spec in stage_tensors(source.config) if stage == TABLE_STAGE}
    table = modulation_table(
        sigmas,
        source.config.transformer.timestep_channels,
        lambda name: _tensor(source, TABLE_STAGE, name, specs[name].shape),
    )
    writer.add(MODULATION_TABLE, "table", Dense(table))
    writer.end_shard()


def _tensor(source: ModelSource, stage: str, name: str, shape: tuple[int, ...]) -> Weight:
    weight = source.tensor(stage, name)
    if tuple(weight.shape) != shape:
        raise KleinbildError(
            f"{stage}: {name} is {list(weight.shape)}; the model's config asks for {list(shape)}"
        )
    return weight
