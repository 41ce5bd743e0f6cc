"""Bytes to first picture and in all: counted once, as transferred, with the embedding shards of a prompt."""

from __future__ import annotations

import json
from typing import Any

import pytest
from package_doubles import ModelDouble, model_double
from tokenizers import Tokenizer

from kleinbild.canonical import EMBEDDING
from kleinbild.checkpoint.tiny import write_tiny_checkpoint
from kleinbild.package import size_report as module
from kleinbild.package import stages
from kleinbild.package.compression import plain_bytes
from kleinbild.package.manifest import Manifest
from kleinbild.package.model import package_model
from kleinbild.package.size_report import fixed_tokens, prompt_shards, size_report

SMALL_SHARD_BYTES = 4096


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> ModelDouble:
    folder = tmp_path_factory.mktemp("size_report")
    write_tiny_checkpoint(folder)
    return model_double(folder)


@pytest.fixture(scope="module")
def packaged(
    double: ModelDouble, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Manifest, dict[str, Any]]:
    """A model whose embedding lies in many shards, and its vocabulary."""
    site = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(stages.SMALL_SHARDS, "embedding", SMALL_SHARD_BYTES)
        manifest = package_model(double, site, previous=None, log=lambda _: None)
    file = manifest.tokenizer
    return manifest, json.loads(plain_bytes(site / file.path, file.encoding, file.bytes))


def test_fixed_tokens_are_those_of_an_empty_prompt(
    double: ModelDouble, packaged: tuple[Manifest, dict[str, Any]]
) -> None:
    manifest, vocabulary = packaged
    prompt = manifest.config.prompt
    tokenizer = Tokenizer.from_file(str(double.tokenizer_folder / "tokenizer.json"))
    ids = tokenizer.encode(prompt.template_prefix + prompt.template_suffix).ids
    assert fixed_tokens(vocabulary) == {*ids, vocabulary["pad_id"]}


def test_a_prompt_needs_the_shards_of_its_tokens(packaged: tuple[Manifest, dict[str, Any]]) -> None:
    manifest, _ = packaged
    (table,) = (tensor for tensor in manifest.tensors if tensor.name == EMBEDDING)
    rows = table.parts[0].row_count
    assert len(table.parts) > module.PROMPT_SHARDS - 2 > 1
    needed = prompt_shards(manifest, {0, 1, rows - 1, 3 * rows})
    of_table = [manifest.shards[part.shard] for part in table.parts]
    assert needed[:2] == [of_table[0], of_table[3]]
    others = [shard.transfer_bytes for shard in of_table if shard not in needed]
    assert len(needed) == min(len(of_table), 2 + module.PROMPT_SHARDS)
    assert max(others, default=0) <= min(shard.transfer_bytes for shard in needed[2:])


def test_sizes_add_up(packaged: tuple[Manifest, dict[str, Any]]) -> None:
    manifest, vocabulary = packaged
    report = size_report(manifest, vocabulary, shell_bytes=1000, manifest_bytes=200)
    of_stage = {
        stage.name: {manifest.shards[i].sha256: manifest.shards[i].transfer_bytes for i in stage.shards}
        for stage in manifest.stages
    }
    assert {stage.name: stage.transfer_bytes for stage in report.stages} == {
        name: sum(sizes.values()) for name, sizes in of_stage.items()
    }
    assert {stage.name: stage.bytes for stage in report.stages} == {
        stage.name: sum(manifest.shards[i].bytes for i in stage.shards) for stage in manifest.stages
    }
    page = 1200 + manifest.tokenizer.transfer_bytes
    start = sum(sum(of_stage[name].values()) for name in ("text_encoder", "transformer", "vae_decoder"))
    assert 0 < report.embedding_bytes <= sum(of_stage["embedding"].values())
    assert report.first_picture_bytes == page + start + report.embedding_bytes
    every = {digest: size for sizes in of_stage.values() for digest, size in sizes.items()}
    assert report.all_bytes == page + sum(every.values())
    assert report.all_bytes > report.first_picture_bytes


def test_lines_are_a_table_and_two_sums(packaged: tuple[Manifest, dict[str, Any]]) -> None:
    manifest, vocabulary = packaged
    report = size_report(manifest, vocabulary, shell_bytes=1000, manifest_bytes=200)
    head, *rows, page, first, total = report.lines()
    assert len({len(row) for row in rows}) == 1
    assert [row.split()[:2] for row in (head, *rows)] == [
        ["stage", "load"],
        ["text_encoder", "start"],
        ["embedding", "needed"],
        ["transformer", "start"],
        ["modulation", "needed"],
        ["vae_decoder", "start"],
    ]
    assert page.startswith("  page 1.0 KB, manifest 200 bytes, tokenizer ")
    assert first.startswith(f"bytes to first picture: {report.first_picture_bytes:,} (")
    assert first.endswith(f" more, {report.embedding_shards} together")
    assert "as an estimate" in first
    assert total.startswith(f"bytes in all: {report.all_bytes:,} (")
