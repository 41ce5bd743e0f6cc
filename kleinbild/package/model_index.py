"""models/index.json of a site: which models it offers, in order, and which of them the page opens.

The page reads it before any manifest, so it says what a list of models must: names, sizes, where the manifest
is. It follows from the manifests alone; src_js/model_index.js has the same fields (a test keeps them equal).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from kleinbild.errors import KleinbildError
from kleinbild.notice import Notice
from kleinbild.package.files import read_json, write_bytes
from kleinbild.package.manifest import (
    MANIFEST_MAX_BYTES,
    Manifest,
    manifest_from_json,
    manifest_text,
    read_record,
)
from kleinbild.package.manifest_checks import check_manifest

SCHEMA = 1
FOLDER = "models"
INDEX = f"{FOLDER}/index.json"
INDEX_MAX_BYTES = 1024 * 1024
MAX_MODELS = 64


@dataclass(frozen=True)
class ModelEntry:
    """One model of a site; `bytes` on the device, `transfer_bytes` on the way there, each content once."""

    id: str
    name: str
    revision: str
    weights: str
    bytes: int
    transfer_bytes: int
    notice: Notice
    manifest: str
    default: bool


@dataclass(frozen=True)
class ModelIndex:
    """The models of a site in the order in which they were given; exactly one is the page's default."""

    schema: int
    models: tuple[ModelEntry, ...]


def manifest_path(model_id: str) -> str:
    """Where the manifest of a model lies, relative to the site's root."""
    return f"{FOLDER}/{model_id}.json"


def manifest_files(root: Path) -> list[Path]:
    """The manifests of the site `root`, by name: everything in models/ but the index."""
    return [path for path in sorted((root / FOLDER).glob("*.json")) if path != root / INDEX]


def model_index(manifests: Sequence[Manifest]) -> ModelIndex:
    """The index of a site with the models of `manifests`, the default first.

    Raises KleinbildError for none and for more than a page will list.
    """
    if not 1 <= len(manifests) <= MAX_MODELS:
        raise KleinbildError(f"{len(manifests)} models for one site; give 1 to {MAX_MODELS}")
    return ModelIndex(SCHEMA, tuple(_entry(m, default=m is manifests[0]) for m in manifests))


def write_models(root: Path, manifests: Sequence[Manifest]) -> None:
    """Writes the index of `manifests`, the default first, and every manifest that is not below `root` yet."""
    index = model_index(manifests)
    for manifest in manifests:
        path = root / manifest_path(manifest.id)
        if not path.exists():
            write_bytes(path, manifest_text(manifest).encode())
    write_bytes(root / INDEX, (json.dumps(asdict(index), separators=(",", ":")) + "\n").encode())


def read_index(root: Path) -> ModelIndex:
    """The index of the site `root`; raises KleinbildError when it is missing or contradicts itself."""
    path = root / INDEX
    index: ModelIndex = read_record(ModelIndex, read_json(path, INDEX_MAX_BYTES), str(path))
    if index.schema != SCHEMA:
        raise KleinbildError(f"{path}: schema is {index.schema}; this version reads {SCHEMA}")
    if sum(entry.default for entry in index.models) != 1 or not index.models[0].default:
        raise KleinbildError(f"{path}: not the first model, and no other, is the default")
    return index


def read_manifests(root: Path) -> list[Manifest]:
    """The checked manifests of the site `root`, the default first; its index must say the same.

    Raises KleinbildError naming the file otherwise.
    """
    manifests = []
    for entry in read_index(root).models:
        path = root / manifest_path(entry.id)
        if path.parent != root / FOLDER:
            raise KleinbildError(f"{root / INDEX}: {entry.id[:80]!r} is no model id")
        manifest = manifest_from_json(read_json(path, MANIFEST_MAX_BYTES), str(path))
        check_manifest(manifest, str(path))
        manifests.append(manifest)
    if read_index(root) != model_index(manifests):
        raise KleinbildError(f"{root / INDEX}: does not say what the manifests say; build the site again")
    return manifests


def replaces(new: Manifest, old: Manifest) -> bool:
    """Whether `new` is another revision of the model `old`: it has its name and its weights' format."""
    return (new.name, new.weights) == (old.name, old.weights)


def _entry(manifest: Manifest, *, default: bool) -> ModelEntry:
    return ModelEntry(
        id=manifest.id,
        name=manifest.name,
        revision=manifest.revision,
        weights=manifest.weights,
        bytes=sum(file.bytes for file in manifest.files),
        transfer_bytes=sum(file.transfer_bytes for file in manifest.files),
        notice=manifest.notice,
        manifest=f"/{manifest_path(manifest.id)}",
        default=default,
    )
