"""Whether a site is whole: every file as SHA256SUMS says, every manifest true of the files it names.

Each file is read once for its digest; then only vectors and the vocabulary are looked into. All problems
are collected, so that one run says everything.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kleinbild.config import ModelConfig
from kleinbild.errors import KleinbildError
from kleinbild.package.files import files_below, read_json, sha256_of
from kleinbild.package.manifest import MANIFEST_MAX_BYTES, FileRef, Manifest, manifest_from_json
from kleinbild.package.manifest_checks import check_manifest
from kleinbild.package.output import SUMS, read_sums
from kleinbild.package.report import Report, size_text
from kleinbild.package.shell import TEMPLATES
from kleinbild.package.vocabulary import SCHEMA, TOKENIZER_MAX_BYTES


def check_site(root: Path, report: Report) -> None:
    """Adds what there is to say about the site `root` to `report`."""
    with report.collecting():
        _check_digests(root, report)
    manifests = sorted((root / "models").glob("*.json"))
    if not manifests:
        report.problems.append(f"{root / 'models'}: no model in it; build the site again")
    for path in manifests:
        with report.collecting():
            _check_model(root, path, report)


def _check_digests(root: Path, report: Report) -> None:
    listed = read_sums(root)
    found = {path.relative_to(root).as_posix(): path for path in files_below(root)}
    found.pop(SUMS, None)
    for name in (*TEMPLATES, *listed):
        if name not in found:
            report.problems.append(f"{root / name}: missing")
    for name, path in found.items():
        if name not in listed:
            report.problems.append(f"{path}: not in {SUMS}, so not written by build.py")
            continue
        digest = sha256_of(path)
        if digest != listed[name]:
            report.problems.append(f"{path}: damaged (its SHA-256 is not the one in {SUMS})")
        elif name.startswith("w/") and path.stem != digest:
            report.problems.append(f"{path}: its name is not its SHA-256")


def _check_model(root: Path, path: Path, report: Report) -> None:
    manifest = manifest_from_json(read_json(path, MANIFEST_MAX_BYTES), str(path))
    check_manifest(manifest, str(path))
    if path.name != f"{manifest.id}.json":
        raise KleinbildError(f"{path}: describes the model {manifest.id}")
    report.say(f"model {manifest.id}: {manifest.name}, {manifest.weights} weights")
    whole = True
    for stage in manifest.stages:
        shards = [manifest.shards[i] for i in stage.shards]
        tensors = sum(tensor.stage == stage.name for tensor in manifest.tensors)
        size = size_text(sum(shard.bytes for shard in shards))
        report.say(f"  {stage.name}: tensors {tensors}, shards {len(shards)}, {size}")
        whole = all([_has_size(root, shard, report) for shard in shards]) and whole
    if _has_size(root, manifest.tokenizer, report):
        with report.collecting():
            _check_vocabulary(root / manifest.tokenizer.path, manifest.config)
    if whole:
        _check_vectors(root, manifest, report)


def _has_size(root: Path, file: FileRef, report: Report) -> bool:
    path = root / file.path
    size = path.stat().st_size if path.is_file() else None
    if size == file.bytes:
        return True
    found = "missing" if size is None else f"{size} bytes"
    report.problems.append(f"{path}: {found}; the manifest asks for {file.bytes} bytes")
    return False


def _check_vocabulary(path: Path, config: ModelConfig) -> None:
    value = read_json(path, TOKENIZER_MAX_BYTES)
    expected: dict[str, Any] = {
        "schema": SCHEMA,
        "max_length": config.prompt.text_seq_len,
        "template": {"prefix": config.prompt.template_prefix, "suffix": config.prompt.template_suffix},
    }
    for key, wanted in expected.items():
        if value.get(key) != wanted:
            raise KleinbildError(f"{path}: {key} is not what the manifest's config says")
    tokens, added = value.get("tokens"), value.get("added")
    if not isinstance(tokens, list) or not isinstance(added, list):
        raise KleinbildError(f"{path}: tokens or added is no list")
    ids = [len(tokens) - 1, value.get("pad_id")]
    ids += [token.get("id") if isinstance(token, dict) else None for token in added]
    if not all(type(id_) is int and 0 <= id_ < config.text_encoder.vocab_size for id_ in ids):
        raise KleinbildError(f"{path}: an id lies outside the embedding table")


def _check_vectors(root: Path, manifest: Manifest, report: Report) -> None:
    for tensor in manifest.tensors:
        if tensor.kind == "vector":
            part = tensor.parts[0]
            path = root / manifest.shards[part.shard].path
            values = np.fromfile(path, "<f4", part.length // 4, offset=part.offset)
            if len(values) != tensor.shape[0] or not np.isfinite(values).all():
                report.problems.append(f"{path}: tensor {tensor.name} holds NaN or infinite values")
