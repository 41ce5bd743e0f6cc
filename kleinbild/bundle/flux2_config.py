"""Reads flux2-config.json and the shard lists of a bundle folder, trusting neither.

Gives the files of every stage by base name, inside the folder and nowhere else, what the file says about the
model as a whole, and the ModelConfig that our own exporter records. What is in the graphs is not looked at
here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kleinbild.bundle.config_checks import check_config
from kleinbild.config import ModelConfig, config_from_json
from kleinbild.errors import KleinbildError
from kleinbild.notice import Notice, read_notice
from kleinbild.suggestions import Suggestions, read_suggestions

CONFIG_FILE = "flux2-config.json"
SCHEMA = 1
JSON_MAX_BYTES = 1 << 20
NAME_MAX_LENGTH = 255
MAX_SHARDS = 256
MAX_POST_STAGES = 64
WEIGHTS_KINDS = ("q4", "f16", "f32")
FLOAT32_MAX = float(np.finfo(np.float32).max)
TOKENIZER_FOLDER = "tokenizer"
MODEL_NAME_MAX_LENGTH = 100
MAX_TEXT_LENGTH = 1 << 14
MAX_SIDE_PIXELS = 1 << 14
MAX_STEPS = 1 << 10
MAX_CLAIM = 1 << 20
MAX_TENSORS = 16
TENSOR_NAME_MAX_LENGTH = 1024
CLAIMS = ("context_dim", "latent_channels", "latent_downsample")
# Keys that change what is computed, with the value under which nothing changes.
NEUTRAL_KEYS: dict[str, object] = {"guidance": 1.0, "zero_padded_context": False}


@dataclass(frozen=True)
class GraphFile:
    """One graph of the bundle, the shards that it may read, and its tensors' names for who runs it."""

    key: str
    path: Path
    shards: tuple[Path, ...]
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class OwnRecord:
    """What our exporter notes down beside what the graphs tell."""

    config: ModelConfig
    name: str
    notice: Notice
    suggestions: Suggestions
    weights_kind: str


@dataclass(frozen=True)
class BundleRecord:
    """What the JSON files of a bundle say; `stages`: canonical stage -> its graphs in running order.

    `own` is None for a bundle of another exporter. `claims` are numbers that the graphs tell better, to be
    compared: context_dim, latent_channels, latent_downsample, each only if the file has it. `context_clip`:
    what runs the graphs brings the text encoder's output into this range; 0: does not.
    """

    folder: Path
    own: OwnRecord | None
    name: str
    text_seq_len: int
    default_width: int
    default_height: int
    num_steps: int
    context_clip: float
    claims: dict[str, int]
    tokenizer_folder: Path
    stages: dict[str, list[GraphFile]]


def read_record(folder: Path) -> BundleRecord:
    """The record of the bundle `folder`; raises KleinbildError naming the file and key or shard at fault."""
    path = folder / CONFIG_FILE
    value = _read_json(path, "a bundle folder has it")
    if not isinstance(value, dict):
        raise KleinbildError(f"{path}: expected a JSON object")
    for key, allowed in NEUTRAL_KEYS.items():
        if key in value and value[key] != allowed:
            raise KleinbildError(
                f'{path}: "{key}" is {str(value[key])[:80]!r}; only {allowed} is implemented'
            )
    models = _object(path, value, "models", "it lists the graphs")
    post = value.get("vae_decoder_post_stage_keys")
    if not isinstance(post, list) or not 1 <= len(post) <= MAX_POST_STAGES:
        raise KleinbildError(f'{path}: "vae_decoder_post_stage_keys" is not a list of 1 to {MAX_POST_STAGES}')
    stage_keys = {
        "text_encoder": ["text_encoder"],
        "transformer": ["transformer"],
        "vae_decoder": ["vae_decoder_pre", "vae_decoder_attn_chunk", *post],
    }
    own = _own_record(path, value) if "kleinbild" in value else None
    return BundleRecord(
        folder=folder,
        own=own,
        name=own.name if own else _model_name(folder, value),
        text_seq_len=_number(path, value, "text_seq_len", MAX_TEXT_LENGTH),
        default_width=_number(path, value, "default_width", MAX_SIDE_PIXELS),
        default_height=_number(path, value, "default_height", MAX_SIDE_PIXELS),
        num_steps=_number(path, value, "num_steps", MAX_STEPS),
        context_clip=_context_clip(path, value),
        claims={key: _number(path, value, key, MAX_CLAIM) for key in CLAIMS if key in value},
        tokenizer_folder=folder / base_name(value.get("tokenizer", TOKENIZER_FOLDER), f'{path}: "tokenizer"'),
        stages={
            stage: [_graph_file(folder, path, models, key) for key in keys]
            for stage, keys in stage_keys.items()
        },
    )


def _own_record(path: Path, value: dict[str, Any]) -> OwnRecord:
    own = _object(path, value, "kleinbild", "our exporter writes one")
    if own.get("schema") != SCHEMA:
        raise KleinbildError(
            f'{path}: "kleinbild.schema" is {own.get("schema")!r}, this version reads {SCHEMA}; '
            "export the bundle again"
        )
    recorded = _with_context_clip(own.get("config"), _context_clip(path, value))
    config = config_from_json(recorded, f"{path}: kleinbild.config")
    check_config(config, f"{path}: kleinbild.config")
    weights = _text(path, own, "weights", NAME_MAX_LENGTH)
    if weights not in WEIGHTS_KINDS:
        raise KleinbildError(f'{path}: "weights" is {weights!r}, expected one of {", ".join(WEIGHTS_KINDS)}')
    name = _text(path, own, "name", NAME_MAX_LENGTH)
    suggestions = read_suggestions(own.get("examples", []), own.get("sizes", []), f"{path}: kleinbild")
    notice = read_notice(own.get("notice", ""), f"{path}: kleinbild")
    return OwnRecord(config, name, notice, suggestions, weights)


def _model_name(folder: Path, value: dict[str, Any]) -> str:
    """The name that another exporter gives the model, else the folder's."""
    for name in (value.get("model_name"), folder.resolve().name):
        if isinstance(name, str) and 0 < len(name.strip()) <= MODEL_NAME_MAX_LENGTH and name.isprintable():
            return name.strip()
    return "FLUX.2 Klein"


def _number(path: Path, value: dict[str, Any], key: str, limit: int) -> int:
    found = value.get(key)
    if type(found) is not int or not 1 <= found <= limit:
        shown = "missing" if key not in value else f"{str(found)[:80]!r}"
        raise KleinbildError(f'{path}: "{key}" is {shown}; expected a whole number from 1 to {limit}')
    return found


def _context_clip(path: Path, value: dict[str, Any]) -> float:
    clip = value.get("context_clip", 0)
    if type(clip) not in (int, float) or not 0 <= clip <= FLOAT32_MAX:
        raise KleinbildError(f'{path}: "context_clip" is {str(clip)[:80]}; expected a number, 0 for none')
    return float(clip)


def _with_context_clip(config: object, clip: float) -> object:
    """The recorded `config` as JSON, with the format's own "context_clip", which is the one that counts."""
    if isinstance(config, dict) and isinstance(config.get("prompt"), dict):
        return config | {"prompt": config["prompt"] | {"context_clip": clip}}
    return config


def base_name(value: object, where: str) -> str:
    """`value` if it names something right in a folder; raises KleinbildError for paths and other values."""
    if not isinstance(value, str) or not 0 < len(value) <= NAME_MAX_LENGTH:
        raise KleinbildError(f"{where}: expected a file name, found {str(value)[:80]!r}")
    if value in (".", "..") or not value.isprintable() or any(c in value for c in "/\\:"):
        raise KleinbildError(
            f"{where}: {value!r} is not a plain file name; a bundle's files lie in its folder"
        )
    return value


def _graph_file(folder: Path, path: Path, models: dict[str, Any], key: object) -> GraphFile:
    where = f"{path}: models.{str(key)[:80]}"
    model = models.get(key) if isinstance(key, str) else None
    if not isinstance(model, dict):
        raise KleinbildError(f"{where}: is missing; the bundle lacks a graph")
    file = folder / base_name(model.get("file"), f"{where}.file")
    if not file.is_file():
        raise KleinbildError(f"{file}: no such file, {path.name} names it; fetch the whole bundle")
    shards: tuple[Path, ...] = ()
    if model.get("manifest") is not None:
        shards = _shards(folder, folder / base_name(model["manifest"], f"{where}.manifest"))
    return GraphFile(
        str(key),
        file,
        shards,
        _tensor_names(model, "inputs", where),
        _tensor_names(model, "outputs", where),
    )


def _tensor_names(model: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    names = model.get(key, [])
    if (
        not isinstance(names, list)
        or len(names) > MAX_TENSORS
        or not all(isinstance(name, str) and len(name) <= TENSOR_NAME_MAX_LENGTH for name in names)
        or len(set(names)) != len(names)
    ):
        raise KleinbildError(f"{where}.{key}: expected a list of at most {MAX_TENSORS} names of tensors")
    return tuple(names)


def _shards(folder: Path, manifest: Path) -> tuple[Path, ...]:
    """The shards that `manifest` lists, each an existing file."""
    names = _read_json(manifest, "it lists the shards of a graph")
    if not isinstance(names, list) or len(names) > MAX_SHARDS:
        raise KleinbildError(f"{manifest}: expected a JSON list of at most {MAX_SHARDS} file names")
    shards = tuple(folder / base_name(name, str(manifest)) for name in names)
    if len(set(shards)) != len(shards):
        raise KleinbildError(f"{manifest}: lists a shard twice")
    for shard in shards:
        if not shard.is_file():
            raise KleinbildError(f"{shard}: no such file, {manifest.name} lists it; fetch the whole bundle")
    return shards


def _read_json(path: Path, why: str) -> Any:
    if not path.is_file():
        raise KleinbildError(f"{path}: no such file; {why}")
    try:
        with path.open("rb") as file:
            data = file.read(JSON_MAX_BYTES + 1)
    except OSError as error:
        raise KleinbildError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > JSON_MAX_BYTES:
        raise KleinbildError(f"{path}: larger than {JSON_MAX_BYTES} bytes; it is no such file of a bundle")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise KleinbildError(f"{path}: not valid JSON ({error}); fetch the file again") from error


def _object(path: Path, value: dict[str, Any], key: str, why: str) -> dict[str, Any]:
    found = value.get(key)
    if not isinstance(found, dict):
        raise KleinbildError(f'{path}: "{key}" is missing or no object; {why}')
    return found


def _text(path: Path, value: dict[str, Any], key: str, limit: int) -> str:
    found = value.get(key)
    if not isinstance(found, str) or len(found) > limit:
        raise KleinbildError(f'{path}: "kleinbild.{key}" is not a text of at most {limit} characters')
    return found
