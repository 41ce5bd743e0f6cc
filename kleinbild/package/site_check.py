"""Whether a site is whole: every file as SHA256SUMS says, every manifest true of the files it names.

Each file is read once for its digest. Then shards are unpacked where they are compressed, and of what they
hold vectors, tables and the vocabulary are looked into. All problems are collected, so that one run says
everything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from kleinbild.errors import KleinbildError
from kleinbild.package.compression import GZIP, PLAIN, SUFFIX, plain_bytes
from kleinbild.package.files import files_below, parse_json, read_json, sha256_of
from kleinbild.package.manifest import (
    MANIFEST_MAX_BYTES,
    FileRef,
    Manifest,
    Shard,
    Tensor,
    manifest_from_json,
)
from kleinbild.package.manifest_checks import check_manifest
from kleinbild.package.model_index import INDEX, manifest_files, read_index, read_manifests
from kleinbild.package.output import SUMS, read_sums
from kleinbild.package.report import Report, size_text
from kleinbild.package.shards import THREADS
from kleinbild.package.shell import TEMPLATES
from kleinbild.package.size_report import size_report
from kleinbild.package.vocabulary import SCHEMA

WATCHED_KINDS = ("vector", "table")


def check_site(root: Path, report: Report) -> None:
    """Adds what there is to say about the site `root` to `report`."""
    with report.collecting():
        _check_digests(root, report)
    paths = manifest_files(root)
    if not paths:
        report.problems.append(f"{root / 'models'}: no model in it; build the site again")
        return
    manifests = []
    for path in paths:
        with report.collecting():
            manifests.append(_check_model(root, path, report))
    if not report.problems:  # it follows from the rest
        with report.collecting():
            _check_index(root, manifests, report)


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
        elif name.startswith("w/") and path.suffix != SUFFIX[GZIP] and path.stem != digest:
            report.problems.append(f"{path}: its name is not its SHA-256")


def _check_index(root: Path, manifests: list[Manifest], report: Report) -> None:
    listed = [entry.id for entry in read_index(root).models]
    if sorted(listed) != sorted(manifest.id for manifest in manifests):
        raise KleinbildError(f"{root / INDEX}: does not list the manifests beside it; build the site again")
    read_manifests(root)
    if len(manifests) > 1:
        files = {file.path: file.transfer_bytes for manifest in manifests for file in manifest.files}
        apart = sum(file.transfer_bytes for manifest in manifests for file in manifest.files)
        together = sum(files.values())
        report.say(
            f"{len(manifests)} models, the page opens {listed[0]}: together {size_text(together)}, "
            f"of which {size_text(apart - together)} serve more than one"
        )


def _check_model(root: Path, path: Path, report: Report) -> Manifest:
    manifest = manifest_from_json(read_json(path, MANIFEST_MAX_BYTES), str(path))
    check_manifest(manifest, str(path))
    if path.name != f"{manifest.id}.json":
        raise KleinbildError(f"{path}: describes the model {manifest.id}")
    report.say(f"model {manifest.id}: {manifest.name}, {manifest.weights} weights")
    with report.collecting():
        vocabulary = _read_vocabulary(root, manifest)
        shell = sum(
            file.stat().st_size
            for file in files_below(root)
            if file.relative_to(root).parts[0] not in ("w", "models", SUMS)
        )
        sizes = size_report(manifest, vocabulary, shell_bytes=shell, manifest_bytes=path.stat().st_size)
        for line in sizes.lines():
            report.say(line)
    with ThreadPoolExecutor(THREADS) as pool:
        for problems in pool.map(lambda job: _shard_problems(root, *job), _shard_contents(manifest)):
            report.problems += problems
    return manifest


def _shard_contents(manifest: Manifest) -> Iterator[tuple[Shard, list[Tensor]]]:
    """Every shard, and the tensors in it that are looked into; a shard that is listed twice comes once."""
    watched: dict[str, list[Tensor]] = {}
    shards = {shard.sha256: shard for shard in manifest.shards}
    for tensor in manifest.tensors:
        if tensor.kind in WATCHED_KINDS:
            watched.setdefault(manifest.shards[tensor.parts[0].shard].sha256, []).append(tensor)
    for digest, shard in shards.items():
        yield shard, watched.get(digest, [])


def _shard_problems(root: Path, shard: Shard, watched: list[Tensor]) -> list[str]:
    report = Report()
    with report.collecting():
        data = _plain_bytes(root, shard)
        for tensor in watched:
            part = tensor.parts[0]
            if not np.isfinite(np.frombuffer(data, "<f4", part.length // 4, part.offset)).all():
                report.problems.append(
                    f"{root / shard.path}: tensor {tensor.name} holds NaN or infinite values"
                )
    return report.problems


def _plain_bytes(root: Path, file: FileRef) -> bytes:
    """What `file` holds, unpacked; raises KleinbildError unless it is what the manifest says."""
    path = root / file.path
    size = path.stat().st_size if path.is_file() else None
    if size != file.transfer_bytes:
        found = "missing" if size is None else f"{size} bytes"
        raise KleinbildError(f"{path}: {found}; the manifest asks for {file.transfer_bytes} bytes")
    data = plain_bytes(path, file.encoding, file.bytes)
    if len(data) != file.bytes:
        raise KleinbildError(f"{path}: unpacks to {len(data)} bytes; the manifest asks for {file.bytes}")
    if file.encoding != PLAIN and hashlib.sha256(data).hexdigest() != file.sha256:
        raise KleinbildError(f"{path}: unpacks to other bytes than its name says")
    return data


def _read_vocabulary(root: Path, manifest: Manifest) -> dict[str, Any]:
    path, config = root / manifest.tokenizer.path, manifest.config
    value = parse_json(_plain_bytes(root, manifest.tokenizer), str(path))
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
    names = [*tokens, *(token.get("content") for token in added)]
    if not all(isinstance(name, str) for name in names):
        raise KleinbildError(f"{path}: a token is no text")
    return value
