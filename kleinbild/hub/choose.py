"""Which files of a repository a build needs, and no others.

A checkpoint's are its configs, its tokenizer and the safetensors that the reader would open; a bundle's are
those that its config and its shard lists name. The small JSON files that say so are read through `read`,
which fetches them when it must. What a whole model must hold is still the readers' business.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from kleinbild.bundle.flux2_config import CONFIG_FILE as BUNDLE_CONFIG
from kleinbild.bundle.flux2_config import base_name
from kleinbild.checkpoint.checkpoint import WEIGHT_FILES
from kleinbild.checkpoint.json_file import parse_object
from kleinbild.errors import KleinbildError
from kleinbild.hub.listing import Listing, RemoteFile

CHECKPOINT_INDEX = "model_index.json"
CHECKPOINT_CONFIGS = (
    CHECKPOINT_INDEX,
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "transformer/config.json",
    "vae/config.json",
)
TOKENIZER_FOLDER = "tokenizer"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
TOKENIZER_SUFFIXES = (".json", ".txt", ".jinja")
JSON_MAX_BYTES = 64 << 20

Read = Callable[[RemoteFile], bytes]


def choose(where: str, listing: Listing, read: Read) -> list[RemoteFile]:
    """The files of `listing` that a build needs, small ones first.

    Raises KleinbildError, which begins with `where`, when the repository holds no model that this project
    reads or lacks a file of it.
    """
    choice = _Choice(where, listing, read)
    if CHECKPOINT_INDEX in listing.files:
        choice.take_checkpoint()
    elif BUNDLE_CONFIG in listing.files:
        choice.take_bundle()
    else:
        raise KleinbildError(
            f"{where}: neither a checkpoint ({CHECKPOINT_INDEX}) nor a bundle ({BUNDLE_CONFIG}) "
            "at the top of the repository; name one that is"
        )
    return sorted(choice.taken.values(), key=lambda file: (file.bytes, file.path))


class _Choice:
    """The files taken so far, by path."""

    def __init__(self, where: str, listing: Listing, read: Read) -> None:
        self.taken: dict[str, RemoteFile] = {}
        self._where = where
        self._files = listing.files
        self._read = read

    def take_checkpoint(self) -> None:
        for path in CHECKPOINT_CONFIGS:
            self._take(path)
        self._take_tokenizer(TOKENIZER_FOLDER)
        for folder, stem in WEIGHT_FILES.values():
            index = f"{folder}/{stem}.safetensors.index.json"
            if index not in self._files:
                self._take(f"{folder}/{stem}.safetensors")
                continue
            shards = self._json(index).get("weight_map")
            if not isinstance(shards, dict):
                raise KleinbildError(f'{self._where}: {index}: "weight_map" is missing; use another revision')
            for shard in sorted({name if isinstance(name, str) else "" for name in shards.values()}):
                self._take(f"{folder}/{base_name(shard, f'{self._where}: {index}')}")

    def take_bundle(self) -> None:
        config = self._json(BUNDLE_CONFIG)
        where = f"{self._where}: {BUNDLE_CONFIG}"
        self._take_tokenizer(base_name(config.get("tokenizer", TOKENIZER_FOLDER), f'{where}: "tokenizer"'))
        models = config.get("models")
        if not isinstance(models, dict) or not all(isinstance(model, dict) for model in models.values()):
            raise KleinbildError(f'{where}: "models" is missing or no list of graphs; use another revision')
        for model in models.values():
            self._take(base_name(model.get("file"), f"{where}: models"))
            if model.get("manifest") is not None:
                self._take_shards(base_name(model["manifest"], f"{where}: models"))

    def _take_shards(self, manifest: str) -> None:
        where = f"{self._where}: {manifest}"
        try:
            names = json.loads(self._bytes(manifest))
        except (ValueError, RecursionError):
            names = None
        if not isinstance(names, list):
            raise KleinbildError(f"{where}: expected a JSON list of file names; use another revision")
        for name in names:
            self._take(base_name(name, where))

    def _take_tokenizer(self, folder: str) -> None:
        for name in TOKENIZER_FILES:
            self._take(f"{folder}/{name}")
        for path in self._files:
            parent, _, name = path.rpartition("/")
            if parent == folder and name.endswith(TOKENIZER_SUFFIXES):
                self._take(path)

    def _json(self, path: str) -> dict[str, Any]:
        return parse_object(self._bytes(path), f"{self._where}: {path}")

    def _bytes(self, path: str) -> bytes:
        file = self._take(path)
        if file.bytes > JSON_MAX_BYTES:
            raise KleinbildError(
                f"{self._where}: {path} has {file.bytes} bytes, which no such file has; use another revision"
            )
        return self._read(file)

    def _take(self, path: str) -> RemoteFile:
        file = self._files.get(path)
        if file is None:
            raise KleinbildError(
                f"{self._where}: no {path} in the repository; it holds no whole model, use another revision"
            )
        self.taken[path] = file
        return file
