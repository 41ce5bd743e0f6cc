"""Shards: bounded, content-addressed, cut only on rows, linked from an earlier site."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from kleinbild.errors import KleinbildError
from kleinbild.package.layout import encode_part
from kleinbild.package.shards import FileStore, ShardWriter
from kleinbild.weights import Dense


def linear(rows: int, columns: int, seed: int = 0) -> Dense:
    return Dense(np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32))


def test_parts_are_where_the_tensors_say(tmp_path: Path) -> None:
    writer = ShardWriter(FileStore(tmp_path), 4096)
    weights = {
        "a": ("vector", Dense(np.arange(10, dtype=np.float32))),
        "b": ("linear", linear(20, 24)),
        "c": ("linear", linear(100, 40)),
        "d": ("embedding", linear(50, 33)),
        "e": ("conv", Dense(np.ones((4, 3, 3, 3), np.float16))),
    }
    writer.begin_stage("transformer")
    for name, (kind, weight) in weights.items():
        writer.add(name, kind, weight)
    writer.finish()

    assert [tensor.name for tensor in writer.tensors] == list(weights)
    for tensor in writer.tensors:
        kind, weight = weights[tensor.name]
        assert tensor.shape == weight.shape
        covered = 0
        for part in tensor.parts:
            data = (tmp_path / writer.shards[part.shard].path).read_bytes()
            assert part.offset % 256 == 0
            expected = encode_part(kind, weight, part.row_start, part.row_count)
            assert data[part.offset : part.offset + part.length] == expected
            assert part.row_start == covered
            covered += part.row_count
        assert covered == weight.shape[0]
    parts = {tensor.name: len(tensor.parts) for tensor in writer.tensors}
    # of c 24 rows fit a shard: they are stored in whole eights
    assert parts == {"a": 1, "b": 1, "c": 5, "d": 2, "e": 1}
    for shard in writer.shards:
        data = (tmp_path / shard.path).read_bytes()
        assert hashlib.sha256(data).hexdigest() == shard.sha256
        assert shard.path == f"w/{shard.sha256}.bin"
        assert len(data) == shard.bytes <= 4096
        assert len(data) % 256 == 0
    assert not list(tmp_path.rglob("*.part"))


def test_a_tensor_that_fits_a_shard_is_not_cut(tmp_path: Path) -> None:
    writer = ShardWriter(FileStore(tmp_path), 4096)
    writer.begin_stage("transformer")
    writer.add("a", "linear", linear(64, 8, 1))
    writer.add("b", "linear", linear(100, 8, 2))
    writer.finish()
    assert [len(tensor.parts) for tensor in writer.tensors] == [1, 1]
    assert [shard.bytes for shard in writer.shards] == [2048, 3328]


def test_large_tensors_are_cut_into_whole_tiles(tmp_path: Path) -> None:
    writer = ShardWriter(FileStore(tmp_path), 300 * 32)
    writer.begin_stage("transformer")
    writer.add("a", "linear", linear(700, 8))
    writer.finish()
    assert [part.row_count for part in writer.tensors[0].parts] == [256, 256, 188]


def test_every_stage_has_shards_of_its_own(tmp_path: Path) -> None:
    writer = ShardWriter(FileStore(tmp_path), 4096)
    for seed, stage in enumerate(["text_encoder", "embedding", "vae_decoder"]):
        writer.begin_stage(stage)
        writer.add(f"{stage}.weight", "linear", linear(4, 8, seed))
    writer.finish()
    assert [(stage.name, stage.shards) for stage in writer.stages] == [
        ("text_encoder", (0,)),
        ("embedding", (1,)),
        ("vae_decoder", (2,)),
    ]
    assert [tensor.stage for tensor in writer.tensors] == ["text_encoder", "embedding", "vae_decoder"]


def test_rows_or_vectors_larger_than_a_shard_are_refused(tmp_path: Path) -> None:
    writer = ShardWriter(FileStore(tmp_path), 256)
    writer.begin_stage("transformer")
    with pytest.raises(KleinbildError, match=r"transformer: wide of shape \[2, 65\] does not fit"):
        writer.add("wide", "linear", linear(2, 65))
    with pytest.raises(KleinbildError, match="transformer: long of shape"):
        writer.add("long", "vector", Dense(np.zeros(65, np.float32)))


def test_broken_values_name_the_tensor(tmp_path: Path) -> None:
    writer = ShardWriter(FileStore(tmp_path))
    writer.begin_stage("vae_decoder")
    with pytest.raises(KleinbildError, match=r"vae_decoder: bn\.scale holds NaN"):
        writer.add("bn.scale", "vector", Dense(np.full(3, np.nan, np.float32)))


def test_files_of_an_earlier_site_are_linked(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    file = FileStore(old).put(b"x" * 256, "bin")
    again = FileStore(new, old).put(b"x" * 256, "bin")
    assert again == file
    assert (new / file.path).samefile(old / file.path)


def test_damaged_files_of_an_earlier_site_are_not_linked(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    file = FileStore(old).put(b"x" * 256, "bin")
    (old / file.path).write_bytes(b"x" * 255 + b"y")
    FileStore(new, old).put(b"x" * 256, "bin")
    assert (new / file.path).read_bytes() == b"x" * 256
    assert (old / file.path).read_bytes() == b"x" * 255 + b"y"
