"""How much a page downloads: by stage, until its first picture, and in all. Counts bytes as transferred.

What a first picture needs of the embedding depends on the prompt. The estimate here is the shards of the
template's tokens and of the pad token, and as many further ones as a prompt of PROMPT_SHARDS different words
reaches, the largest. Nothing here opens a shard.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from kleinbild.canonical import EMBEDDING
from kleinbild.package.manifest import Manifest, Shard
from kleinbild.package.report import size_text
from kleinbild.package.vocabulary import byte_level_text

PROMPT_SHARDS = 32


@dataclass(frozen=True)
class StageSize:
    """What a stage holds: counts, plain bytes, and bytes as transferred."""

    name: str
    load: str
    tensors: int
    shards: int
    bytes: int
    transfer_bytes: int


@dataclass(frozen=True)
class SizeReport:
    """The sizes of a site with one model; embedding_shards and _bytes are the estimate for a prompt."""

    stages: tuple[StageSize, ...]
    shell_bytes: int
    manifest_bytes: int
    tokenizer_bytes: int
    embedding_shards: int
    embedding_bytes: int
    shards_bytes: int

    @property
    def first_picture_bytes(self) -> int:
        """Bytes as transferred before the first picture."""
        start = sum(stage.transfer_bytes for stage in self.stages if stage.load == "start")
        return self._page_bytes + start + self.embedding_bytes

    @property
    def all_bytes(self) -> int:
        """Bytes as transferred until everything is on the device."""
        return self._page_bytes + self.shards_bytes

    @property
    def _page_bytes(self) -> int:
        return self.shell_bytes + self.manifest_bytes + self.tokenizer_bytes

    def lines(self) -> list[str]:
        """The report for people."""
        first = self.first_picture_bytes
        row = "  {:<13} {:<7} {:>7} {:>7} {:>11} {:>12}".format
        return [
            row("stage", "load", "tensors", "shards", "bytes", "transferred").rstrip(),
            *(
                row(s.name, s.load, s.tensors, s.shards, size_text(s.bytes), size_text(s.transfer_bytes))
                for s in self.stages
            ),
            f"  page {size_text(self.shell_bytes)}, manifest {size_text(self.manifest_bytes)}, "
            f"tokenizer {size_text(self.tokenizer_bytes)}",
            f"bytes to first picture: {first:,} ({size_text(first)}): page, manifest, tokenizer, stages of "
            f'load "start", and, as an estimate, {size_text(self.embedding_bytes)} of the embedding: the '
            f"shards of template and pad token and up to {PROMPT_SHARDS} more, "
            f"{self.embedding_shards} together",
            f"bytes in all: {self.all_bytes:,} ({size_text(self.all_bytes)})",
        ]


def size_report(
    manifest: Manifest, vocabulary: dict[str, Any], *, shell_bytes: int, manifest_bytes: int
) -> SizeReport:
    """The sizes of the model of `manifest`, a checked one, whose vocabulary file holds `vocabulary`."""
    stages = []
    for stage in manifest.stages:
        shards = [manifest.shards[i] for i in stage.shards]
        tensors = sum(tensor.stage == stage.name for tensor in manifest.tensors)
        plain = sum(shard.bytes for shard in shards)
        stages.append(StageSize(stage.name, stage.load, tensors, len(shards), plain, _transfer_bytes(shards)))
    needed = prompt_shards(manifest, fixed_tokens(vocabulary))
    return SizeReport(
        stages=tuple(stages),
        shell_bytes=shell_bytes,
        manifest_bytes=manifest_bytes,
        tokenizer_bytes=manifest.tokenizer.transfer_bytes,
        embedding_shards=len(needed),
        embedding_bytes=_transfer_bytes(needed),
        shards_bytes=_transfer_bytes(manifest.shards),
    )


def prompt_shards(manifest: Manifest, ids: set[int]) -> list[Shard]:
    """The embedding shards with the rows `ids`, and the PROMPT_SHARDS largest of the others."""
    (table,) = (tensor for tensor in manifest.tensors if tensor.name == EMBEDDING)
    fixed: list[Shard] = []
    others: list[Shard] = []
    for part in table.parts:
        holds = any(part.row_start <= id_ < part.row_start + part.row_count for id_ in ids)
        (fixed if holds else others).append(manifest.shards[part.shard])
    others.sort(key=lambda shard: -shard.transfer_bytes)
    return fixed + list(islice(others, PROMPT_SHARDS))


def fixed_tokens(vocabulary: dict[str, Any]) -> set[int]:
    """Ids in every prompt: the pad token, and the template cut into added tokens and longest known pieces.

    The page merges pairs by rank instead; for a template of whole words both come to the same.
    """
    added = {token["content"]: token["id"] for token in vocabulary["added"]}
    ids = {token: id_ for id_, token in enumerate(vocabulary["tokens"])}
    found = {vocabulary["pad_id"]}
    pattern = re.compile("|".join(re.escape(content) for content in sorted(added, key=len, reverse=True)))
    for text in vocabulary["template"].values():
        found.update(added[content] for content in (pattern.findall(text) if added else ()))
        for piece in pattern.split(text) if added else [text]:
            found.update(_longest_pieces(byte_level_text(piece), ids))
    return found


def _longest_pieces(text: str, ids: dict[str, int]) -> Iterable[int]:
    start = 0
    while start < len(text):
        end = next((end for end in range(len(text), start, -1) if text[start:end] in ids), None)
        if end is not None:
            yield ids[text[start:end]]
        start = start + 1 if end is None else end


def _transfer_bytes(shards: Iterable[Shard]) -> int:
    """What `shards` take on the way, each content once."""
    return sum({shard.sha256: shard.transfer_bytes for shard in shards}.values())
