"""What the fields of a manifest must be to each other: tensors against the model, parts against their shards.

manifest.py has already checked types. Everything here is arithmetic on the manifest alone; whether the files
hold what it says is check.py's question. The page asks the same again in src_js/manifest_checks.js.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise

import numpy as np

from kleinbild.config import ModelConfig
from kleinbild.errors import KleinbildError
from kleinbild.notice import read_notice
from kleinbild.package.compression import GZIP, PLAIN, SUFFIX, worthwhile
from kleinbild.package.layout import SECTION_BYTES, Storage
from kleinbild.package.manifest import FileRef, Manifest, Tensor
from kleinbild.package.schedule import MAX_TABLE_ROWS
from kleinbild.package.shards import SHARD_BYTES, SPLITTABLE
from kleinbild.package.stages import MODULATION_TABLE, STAGES, TABLE_STAGE, stage_tensors, table_spec
from kleinbild.suggestions import read_suggestions
from kleinbild.weights import BLOCK_SIZES

FORMATS = {
    "vector": ("f32",),
    "linear": ("f32", "f16", "q4"),
    "conv": ("f32", "f16"),
    "embedding": ("f32", "f16"),
    "table": ("f32",),
}
ZERO_IS_OFF = ("context_clip",)
MAX_SHARDS = 8192
MAX_NUMBER = 1 << 24
MAX_LAYERS = 1024
MAX_LIST = 16
MAX_NAME_CHARACTERS = 200
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def check_config(config: ModelConfig) -> None:
    """Raises KleinbildError for a number so large (or not above zero) that nobody should count up to it."""
    _check_numbers(asdict(config), "config")


def check_manifest(manifest: Manifest, where: str) -> None:
    """Raises KleinbildError naming the field when the manifest contradicts itself or its model's shapes."""
    try:
        _check_head(manifest)
        check_config(manifest.config)
        _check_files(manifest)
        _check_sigmas(manifest.table_sigmas)
        _check_tensors(manifest)
    except KleinbildError as error:
        raise KleinbildError(f"{where}: {error}") from None


def _check_head(manifest: Manifest) -> None:
    if not _ID.fullmatch(manifest.id):
        raise KleinbildError(f"id {manifest.id[:120]!r} is no model id")
    if len(manifest.name) > MAX_NAME_CHARACTERS or not manifest.name.isprintable():
        raise KleinbildError(f"name is longer than {MAX_NAME_CHARACTERS} characters or not printable")
    read_notice(manifest.notice, "manifest")
    read_suggestions(manifest.examples, manifest.sizes, "manifest")
    if not _SHA256.fullmatch(manifest.revision):
        raise KleinbildError(f"revision {manifest.revision[:80]!r} is no SHA-256")
    if manifest.weights not in FORMATS["linear"]:
        raise KleinbildError(f"weights {manifest.weights[:80]!r} is none of {', '.join(FORMATS['linear'])}")


def _check_numbers(values: dict[str, object], where: str) -> None:
    for key, value in values.items():
        if isinstance(value, dict):
            _check_numbers(value, f"{where}.{key}")
            continue
        numbers = value if isinstance(value, tuple) else (value,)
        most = MAX_LAYERS if "layers" in key else MAX_NUMBER
        if not 1 <= len(numbers) <= MAX_LIST:
            raise KleinbildError(f"{where}.{key} has {len(numbers)} values")
        for number in numbers:
            if key in ZERO_IS_OFF and number == 0:
                continue
            if isinstance(number, int) and not 1 <= number <= most:
                raise KleinbildError(f"{where}.{key} is {number}; expected 1 to {most}")
            if isinstance(number, float) and not (math.isfinite(number) and number > 0):
                raise KleinbildError(f"{where}.{key} is {number}; expected a number above zero")


def _check_files(manifest: Manifest) -> None:
    _check_file(manifest.tokenizer, "json", "tokenizer")
    for i, shard in enumerate(manifest.shards):
        _check_file(shard, "bin", f"shards[{i}]")
        if shard.bytes % SECTION_BYTES:
            raise KleinbildError(f"shards[{i}].bytes is no multiple of {SECTION_BYTES}")
    if len(manifest.shards) > MAX_SHARDS:
        raise KleinbildError(f"{len(manifest.shards)} shards; expected at most {MAX_SHARDS}")
    if [(stage.name, stage.load) for stage in manifest.stages] != list(STAGES.items()):
        described = (f"{name} ({load})" for name, load in STAGES.items())
        raise KleinbildError(f"stages are not {', '.join(described)}")
    listed = [index for stage in manifest.stages for index in stage.shards]
    if sorted(listed) != list(range(len(manifest.shards))):
        raise KleinbildError("stages do not list every shard exactly once")


def _check_file(file: FileRef, suffix: str, where: str) -> None:
    if file.encoding not in SUFFIX:
        raise KleinbildError(f"{where}.encoding {file.encoding[:40]!r} is neither {PLAIN!r} nor {GZIP!r}")
    suffix += SUFFIX[file.encoding]
    if not _SHA256.fullmatch(file.sha256) or file.path != f"w/{file.sha256}.{suffix}":
        raise KleinbildError(f"{where}.path {file.path[:120]!r} is not w/<its sha256>.{suffix}")
    if not 0 < file.bytes <= SHARD_BYTES:
        raise KleinbildError(f"{where}.bytes is {file.bytes}; expected at most {SHARD_BYTES}")
    if file.encoding == PLAIN and file.transfer_bytes != file.bytes:
        raise KleinbildError(f"{where}.transfer_bytes is {file.transfer_bytes}; expected {file.bytes}")
    if file.encoding == GZIP and not _is_compressed_size(file):
        raise KleinbildError(
            f"{where}.transfer_bytes is {file.transfer_bytes}; no gzip of {file.bytes} bytes has it"
        )


def _is_compressed_size(file: FileRef) -> bool:
    return file.transfer_bytes > 0 and worthwhile(file.bytes, file.transfer_bytes)


def _check_sigmas(sigmas: Sequence[float]) -> None:
    if len(sigmas) > MAX_TABLE_ROWS:
        raise KleinbildError(f"table_sigmas has {len(sigmas)} values; expected at most {MAX_TABLE_ROWS}")
    for sigma in sigmas:
        if not 0 < sigma <= 1 or float(np.float32(sigma)) != sigma:
            raise KleinbildError(f"table_sigmas has {sigma}; expected float32 values above 0 and at most 1")
    if any(before <= after for before, after in pairwise(sigmas)):
        raise KleinbildError("table_sigmas do not descend")


def _check_tensors(manifest: Manifest) -> None:
    expected = {(stage, name): spec for stage, _, name, spec in stage_tensors(manifest.config)}
    if manifest.table_sigmas:
        expected[TABLE_STAGE, MODULATION_TABLE] = table_spec(manifest.config, len(manifest.table_sigmas))
    shards_of = {stage.name: set(stage.shards) for stage in manifest.stages}
    for tensor in manifest.tensors:
        spec = expected.pop((tensor.stage, tensor.name), None)
        where = f"tensor {tensor.name[:200]!r}"
        if spec is None:
            raise KleinbildError(
                f"{where} is listed twice or does not belong to this model's {tensor.stage[:40]}"
            )
        if (tensor.kind, tensor.shape) != (spec.kind, spec.shape):
            raise KleinbildError(
                f"{where} is {tensor.kind[:40]} {list(tensor.shape)[:8]}; "
                f"the model's config asks for {spec.kind} {list(spec.shape)}"
            )
        _check_parts(manifest, tensor, shards_of[tensor.stage], where)
    for stage, name in expected:
        raise KleinbildError(f"tensor {name!r} of the {stage} is missing")
    _check_table_shard(manifest)


def _check_table_shard(manifest: Manifest) -> None:
    """The page reads the table before the stage's weights, so no weight may share its shard."""
    of_shard = [(part.shard, tensor.kind) for tensor in manifest.tensors for part in tensor.parts]
    tables = {shard for shard, kind in of_shard if kind == "table"}
    for shard, kind in of_shard:
        if kind != "table" and shard in tables:
            raise KleinbildError(f"shard {shard} of tensor {MODULATION_TABLE!r} holds other tensors")


def _check_parts(manifest: Manifest, tensor: Tensor, shards: set[int], where: str) -> None:
    quantised = tensor.format == "q4"
    if tensor.format not in FORMATS[tensor.kind]:
        raise KleinbildError(f"{where} has format {tensor.format[:40]!r}, which no {tensor.kind} has")
    block_sizes = BLOCK_SIZES if quantised else (0,)
    if tensor.block_size not in block_sizes or (tensor.zero_points and not quantised):
        raise KleinbildError(f"{where} has a block size or zero points that do not go with {tensor.format}")
    if len(tensor.parts) != 1 and tensor.kind not in SPLITTABLE:
        raise KleinbildError(f"{where} is a {tensor.kind} of {len(tensor.parts)} parts; expected one")
    storage = Storage(tensor.kind, tensor.shape, tensor.format, tensor.block_size, tensor.zero_points)
    covered = 0
    for part in tensor.parts:
        if part.row_start != covered or part.row_count < 1:
            raise KleinbildError(f"{where} has a part at row {part.row_start}; expected row {covered}")
        covered += part.row_count
        length = storage.part_bytes(part.row_count)
        if part.length != length:
            raise KleinbildError(f"{where} has a part of {part.length} bytes; its rows take {length}")
        if part.shard not in shards:
            raise KleinbildError(f"{where} lies in shard {part.shard}, which its stage does not list")
        if part.offset < 0 or part.offset % SECTION_BYTES:
            raise KleinbildError(f"{where} has offset {part.offset}, no multiple of {SECTION_BYTES}")
        if part.offset + part.length > manifest.shards[part.shard].bytes:
            raise KleinbildError(f"{where} reaches past the end of shard {part.shard}")
    if covered != tensor.shape[0]:
        raise KleinbildError(f"{where} has {covered} of {tensor.shape[0]} rows")
