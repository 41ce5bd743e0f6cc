"""The dist/ folder as the server sees it: which build, which models, and whether all of it is there.

It only reads what the packager wrote and trusts none of it: sizes are bounded, names must be names of the
published layout. It is no verifier of contents (that is `build.py check`): shards are counted and measured,
not hashed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from kleinbild.errors import KleinbildError

MAX_INDEX_BYTES = 1 << 20
MAX_MANIFEST_BYTES = 32 << 20
MANIFEST_SCHEMA = 4
MODEL_INDEX = "index.json"  # beside the manifests; the page's list of models
_MANIFEST_PATH = re.compile(r"/models/[A-Za-z0-9_][A-Za-z0-9._-]*\.json")
_BUILD_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_WEIGHT_PATH = re.compile(r"w/[0-9a-f]{64}\.(bin|json)(\.gz)?")


@dataclass(frozen=True)
class ModelShape:
    """The numbers of a model that the command line needs before it starts a browser."""

    latent_channels: int  # channels of the packed latents (transformer.in_channels)
    text_seq_len: int
    prompt_width: int  # columns of prompt_embeds (transformer.joint_attention_dim)
    default_width: int
    default_height: int
    default_steps: int


@dataclass(frozen=True)
class Site:
    """A whole dist/ folder."""

    root: Path
    build: str
    models: tuple[str, ...]
    model_id: str  # of the manifest that the page opens
    model: ModelShape  # of the same


class _PageFacts(HTMLParser):
    """Collects the text of <script type="application/json" id="kleinbild">."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag == "script" and dict(attrs).get("id") == "kleinbild"

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.text += data


def open_site(root: Path) -> Site:
    """The site in `root`. Raises KleinbildError saying what is missing or broken."""
    if not root.is_dir():
        raise KleinbildError(
            f"{root}: no such folder; write the site with `python build.py site SOURCE --out {root}`"
        )
    facts = _PageFacts()
    facts.feed(_read(root / "index.html", MAX_INDEX_BYTES))
    page = _json(facts.text, root / "index.html")
    build = _string(page, "build", _BUILD_ID, root / "index.html")
    manifest_path = _string(page, "manifest", _MANIFEST_PATH, root / "index.html")
    if not (root / "v" / build).is_dir():
        raise KleinbildError(f"{root}/v/{build}: the page's scripts are missing; write the site again")
    models: dict[str, ModelShape] = {}
    for path in sorted((root / "models").glob("*.json")):
        if path.name == MODEL_INDEX:
            continue
        models[path.name.removesuffix(".json")] = _check_manifest(root, path)
    current = manifest_path.removeprefix("/models/").removesuffix(".json")
    if current not in models:
        raise KleinbildError(f"{root}{manifest_path}: the page's model is missing; write the site again")
    return Site(root, build, tuple(models), current, models[current])


def _check_manifest(root: Path, path: Path) -> ModelShape:
    manifest = _json(_read(path, MAX_MANIFEST_BYTES), path)
    if manifest.get("schema") != MANIFEST_SCHEMA:
        raise KleinbildError(
            f"{path}: schema {manifest.get('schema')!r}, this server reads {MANIFEST_SCHEMA}; "
            "package the model again"
        )
    shards = manifest.get("shards")
    if not isinstance(shards, list):
        raise KleinbildError(f"{path}: shards is no list")
    for file in [manifest.get("tokenizer"), *shards]:
        if not isinstance(file, dict):
            raise KleinbildError(f"{path}: a file entry is no object")
        name = _string(file, "path", _WEIGHT_PATH, path)
        try:
            size = (root / name).stat().st_size
        except OSError:
            raise KleinbildError(
                f"{root}/{name}: this part of the model is missing; write the site again"
            ) from None
        expected = file.get("transfer_bytes")
        if size != expected:
            raise KleinbildError(f"{root}/{name}: {size} bytes, the manifest says {expected}")
    config: Any = manifest.get("config")
    try:
        return ModelShape(
            latent_channels=_count(config["transformer"]["in_channels"]),
            text_seq_len=_count(config["prompt"]["text_seq_len"]),
            prompt_width=_count(config["transformer"]["joint_attention_dim"]),
            default_width=_count(config["default_width"]),
            default_height=_count(config["default_height"]),
            default_steps=_count(config["default_steps"]),
        )
    except (KeyError, TypeError, ValueError):
        raise KleinbildError(
            f"{path}: config is not as the packager writes it; write the site again"
        ) from None


def _count(value: object) -> int:
    if type(value) is not int or not 0 < value < 1 << 24:
        raise ValueError(value)
    return value


def _read(path: Path, limit: int) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise KleinbildError(f"{path}: missing; is this folder a site written by build.py?") from None
    except OSError as error:
        raise KleinbildError(f"{path}: cannot be read ({error.strerror})") from None
    if len(data) > limit:
        raise KleinbildError(f"{path}: larger than {limit} bytes, which no site of ours is")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise KleinbildError(f"{path}: not UTF-8") from None


def _json(text: str, where: Path) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise KleinbildError(f"{where}: no valid JSON; write the site again") from None
    if not isinstance(value, dict):
        raise KleinbildError(f"{where}: no JSON object; write the site again")
    return value


def _string(record: dict[str, Any], key: str, pattern: re.Pattern[str], where: Path) -> str:
    value = record.get(key)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise KleinbildError(f"{where}: {key} is {value!r}; write the site again")
    return value
