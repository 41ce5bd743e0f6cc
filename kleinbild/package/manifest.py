"""The manifest of a packaged model, schema 4: the one description that packager, page and `check` share.

The dataclasses are the schema; src_js/manifest.js has the same fields (a test keeps them equal). Reading is
strict about fields and types; what the fields must be to each other is manifest_checks.py's. Nothing here
opens a shard.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from kleinbild.config import MAX_EXACT_INTEGER, ModelConfig, config_from_json
from kleinbild.errors import KleinbildError
from kleinbild.notice import Notice

SCHEMA = 4
MANIFEST_MAX_BYTES = 32 * 1024 * 1024

Record = TypeVar("Record")


@dataclass(frozen=True)
class FileRef:
    """A file of the site, named by its plain bytes; `path` is relative to the site's root.

    `sha256` and `bytes` are of the plain bytes. `encoding` is "" when the server's file holds just them,
    "gzip" when it holds them as one gzip member; `transfer_bytes` is that file's size.
    """

    path: str
    sha256: str
    bytes: int
    encoding: str
    transfer_bytes: int


@dataclass(frozen=True)
class Shard(FileRef):
    """A file of tensor parts, at most shards.SHARD_BYTES of plain bytes."""


@dataclass(frozen=True)
class Stage:
    """The shards that one part of the pipeline needs, in order of use, and when the page fetches them.

    `load` is "start" (before the first picture) or "needed" (when a picture needs it, otherwise later).
    """

    name: str
    load: str
    shards: tuple[int, ...]


@dataclass(frozen=True)
class TensorPart:
    """Rows [row_start, row_start + row_count) of a tensor: `length` bytes at `offset` of a shard."""

    shard: int
    row_start: int
    row_count: int
    offset: int
    length: int


@dataclass(frozen=True)
class Tensor:
    """A tensor under its canonical name and shape; its parts, in order, cover the rows 0 .. shape[0]."""

    name: str
    stage: str
    kind: str
    shape: tuple[int, ...]
    format: str
    block_size: int
    zero_points: bool
    parts: tuple[TensorPart, ...]


@dataclass(frozen=True)
class Manifest:
    """A model as the page downloads it; `table_sigmas` are the timesteps of the modulation table's rows.

    `notice` is what a visitor must be told, by language, `examples` are prompts that suit the model, `sizes`
    [width, height] in pixels; each may be empty.
    """

    schema: int
    id: str
    name: str
    revision: str
    notice: Notice
    examples: tuple[str, ...]
    sizes: tuple[tuple[int, ...], ...]
    weights: str
    config: ModelConfig
    tokenizer: FileRef
    table_sigmas: tuple[float, ...]
    stages: tuple[Stage, ...]
    tensors: tuple[Tensor, ...]
    shards: tuple[Shard, ...]

    @property
    def files(self) -> tuple[FileRef, ...]:
        """Every file of the model, each content once."""
        return tuple({file.sha256: file for file in (self.tokenizer, *self.shards)}.values())


def new_manifest(
    *,
    name: str,
    notice: Notice,
    examples: Iterable[str],
    sizes: Iterable[Iterable[int]],
    weights: str,
    config: ModelConfig,
    tokenizer: FileRef,
    table_sigmas: Iterable[float],
    stages: Iterable[Stage],
    tensors: Iterable[Tensor],
    shards: Iterable[Shard],
) -> Manifest:
    """A manifest whose revision is the SHA-256 of everything else in it and the source of its id.

    How files travel is left out: equal models have equal ids, whichever gzip packed them or none did, and an
    id never means two different contents.
    """
    content = {
        "schema": SCHEMA,
        "name": name,
        "notice": dict(notice),
        "examples": list(examples),
        "sizes": [list(size) for size in sizes],
        "weights": weights,
        "config": asdict(config),
        "tokenizer": asdict(tokenizer),
        "table_sigmas": list(table_sigmas),
        "stages": [asdict(stage) for stage in stages],
        "tensors": [asdict(tensor) for tensor in tensors],
        "shards": [asdict(shard) for shard in shards],
    }
    revision = hashlib.sha256(_json_text(_identity(content)).encode()).hexdigest()
    content["id"] = f"{_slug(name)}-{weights}-{revision[:8]}"
    content["revision"] = revision
    return manifest_from_json(json.loads(_json_text(content)))


def manifest_text(manifest: Manifest) -> str:
    """The manifest as JSON text: the same text for the same manifest."""
    return _json_text(asdict(manifest)) + "\n"


def manifest_from_json(value: object, where: str = "manifest") -> Manifest:
    """The manifest in parsed JSON `value`.

    Raises KleinbildError for another schema, and for a missing, unknown or wrongly typed field, naming it.
    """
    if isinstance(value, dict) and value.get("schema") in range(1, SCHEMA):
        raise KleinbildError(f"{where}: packaged by an earlier build: package the model again")
    if isinstance(value, dict) and value.get("schema") != SCHEMA:
        raise KleinbildError(
            f"{where}: schema is {_shorten(value.get('schema'))}; this version reads schema {SCHEMA}"
        )
    return read_record(Manifest, value, where)


def read_record(kind: type[Record], value: object, where: str) -> Record:
    """The dataclass `kind` in parsed JSON `value`, its fields' types checked.

    Raises KleinbildError for a missing, unknown or wrongly typed field, naming it by its path from `where`.
    """
    if not isinstance(value, dict):
        raise KleinbildError(f"{where}: expected an object, found {_shorten(value)}")
    hints = _type_hints(kind)  # type: ignore[arg-type]
    names = list(hints)
    for name in names:
        if name not in value:
            raise KleinbildError(f"{where}: field {name!r} is missing")
    for name in value:
        if name not in hints:
            raise KleinbildError(f"{where}: unknown field {_shorten(name)}")
    return kind(**{name: _read(hints[name], value[name], f"{where}.{name}") for name in names})


@cache
def _type_hints(kind: type[Any]) -> dict[str, Any]:
    """The fields of a record in order, with their types; asked for thousands of times."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _read(kind: Any, value: object, where: str) -> object:
    if kind is ModelConfig:
        return config_from_json(value, where)
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise KleinbildError(f"{where}: expected a list, found {_shorten(value)}")
        return tuple(_read(get_args(kind)[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if get_origin(kind) is dict:
        if not isinstance(value, dict):
            raise KleinbildError(f"{where}: expected an object, found {_shorten(value)}")
        return {key: _read(get_args(kind)[1], item, f"{where}.{key[:40]}") for key, item in value.items()}
    if kind is float and type(value) is int and abs(value) <= MAX_EXACT_INTEGER:
        return float(value)
    if kind not in (int, str, bool, float):
        return read_record(kind, value, where)
    if type(value) is not kind:
        raise KleinbildError(f"{where}: expected {kind.__name__}, found {_shorten(value)}")
    return value


def _identity(content: dict[str, Any]) -> dict[str, Any]:
    """`content` with its files by their plain bytes alone."""

    def plain(file: dict[str, Any]) -> dict[str, Any]:
        return {"sha256": file["sha256"], "bytes": file["bytes"]}

    return content | {
        "tokenizer": plain(content["tokenizer"]),
        "shards": [plain(shard) for shard in content["shards"]],
    }


def _json_text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _slug(name: str) -> str:
    """`name` in lower-case letters, digits and hyphens, fit for a URL and a file name."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].strip("-") or "model"


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
