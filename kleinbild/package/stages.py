"""The stages of a manifest: which there are, when the page fetches each, and which tensors each holds.

The canonical stages (kleinbild/canonical.py) follow the model's parts; these follow what a picture needs. The
embedding is read a row at a time, and the linears that depend on the timestep alone are needed only for
timesteps that the modulation table (modulation_table.py) does not hold, so both have stages of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from kleinbild.canonical import EMBEDDING, TIMESTEP_LINEARS, TensorSpec, expected_tensors, modulation_columns
from kleinbild.config import ModelConfig

Load = Literal["start", "needed"]

# "start": fetched before the first picture. "needed": fetched when a picture needs it, otherwise in the
# background.
STAGES: dict[str, Load] = {
    "text_encoder": "start",
    "embedding": "needed",
    "transformer": "start",
    "modulation": "needed",
    "vae_decoder": "start",
}
# Most bytes of a stage's shards, where smaller than usual: a prompt needs few rows of the embedding.
EMBEDDING_SHARD_BYTES = 1024 * 1024
SMALL_SHARDS = {"embedding": EMBEDDING_SHARD_BYTES}
MODULATION_TABLE = "modulation_table"
TABLE_STAGE = "transformer"


def stage_tensors(config: ModelConfig) -> Iterator[tuple[str, str, str, TensorSpec]]:
    """(manifest stage, canonical stage, name, spec) of every canonical tensor, in the order of the shards."""
    placed: dict[str, list[tuple[str, str, str, TensorSpec]]] = {stage: [] for stage in STAGES}
    for source, specs in expected_tensors(config).items():
        for name, spec in specs.items():
            stage = _stage_of(source, name)
            placed[stage].append((stage, source, name, spec))
    for tensors in placed.values():
        yield from tensors


def table_spec(config: ModelConfig, rows: int) -> TensorSpec:
    """What the modulation table of `rows` timesteps must be."""
    return TensorSpec("table", (rows, modulation_columns(config.transformer)))


def _stage_of(source: str, name: str) -> str:
    if name == EMBEDDING:
        return "embedding"
    return "modulation" if name in TIMESTEP_LINEARS else source
