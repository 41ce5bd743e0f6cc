"""Shards: bounded, content-addressed, cut only on rows, in the order of the tensors."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kleinbild.errors import KleinbildError
from kleinbild.package.compression import Buffer, plain_bytes
from kleinbild.package.layout import Storage, encode_part
from kleinbild.package.manifest import FileRef
from kleinbild.package.shards import ShardWriter
from kleinbild.package.store import FileStore
from kleinbild.weights import Dense, Weight


def linear(rows: int, columns: int, seed: int = 0) -> Dense:
    return Dense(np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32))


def encoded(kind: str, weight: Weight, start: int, count: int) -> bytes:
    out = np.zeros(Storage.of(kind, weight).part_bytes(count), np.uint8)
    encode_part(kind, weight, start, count, out)
    return out.tobytes()


Named = list[tuple[str, str, Weight]]


def written(root: Path, tensors: Named, limit: int, stage: str = "transformer") -> ShardWriter:
    """The writer after it has stored `tensors` as one stage below `root`."""
    with ShardWriter(FileStore(root), limit) as writer:
        writer.begin_stage(stage)
        for name, kind, weight in tensors:
            writer.add(name, kind, weight)
        writer.finish()
    return writer


def assert_parts_hold(root: Path, writer: ShardWriter, tensors: Named) -> None:
    """Every tensor's bytes are where the writer says, and every shard is what its entry says."""
    assert [tensor.name for tensor in writer.tensors] == [name for name, _, _ in tensors]
    plain = [plain_bytes(root / s.path, s.encoding, s.bytes) for s in writer.shards]
    for tensor, (_, kind, weight) in zip(writer.tensors, tensors, strict=True):
        assert (tensor.kind, tensor.shape) == (kind, weight.shape)
        covered = 0
        for part in tensor.parts:
            assert part.offset % 256 == 0
            expected = encoded(kind, weight, part.row_start, part.row_count)
            assert plain[part.shard][part.offset : part.offset + part.length] == expected
            assert part.row_start == covered
            covered += part.row_count
        assert covered == weight.shape[0]
    for shard, data in zip(writer.shards, plain, strict=True):
        assert hashlib.sha256(data).hexdigest() == shard.sha256
        assert len(data) == shard.bytes
        assert len(data) % 256 == 0
        assert (root / shard.path).stat().st_size == shard.transfer_bytes
        assert shard.path == f"w/{shard.sha256}.bin" + (".gz" if shard.encoding else "")
    assert not list(root.rglob("*.part"))


def test_parts_are_where_the_tensors_say(tmp_path: Path) -> None:
    tensors: Named = [
        ("a", "vector", Dense(np.arange(10, dtype=np.float32))),
        ("b", "linear", linear(20, 24)),
        ("c", "linear", linear(100, 40)),
        ("d", "embedding", linear(50, 33)),
        ("e", "conv", Dense(np.ones((4, 3, 3, 3), np.float16))),
        ("f", "table", linear(3, 17)),
    ]
    writer = written(tmp_path, tensors, 4096)
    assert_parts_hold(tmp_path, writer, tensors)
    # of c 24 rows fit a shard: they are stored in whole eights
    parts = {tensor.name: len(tensor.parts) for tensor in writer.tensors}
    assert parts == {"a": 1, "b": 1, "c": 5, "d": 2, "e": 1, "f": 1}
    assert all(shard.bytes <= 4096 for shard in writer.shards)


@given(
    rows=st.integers(1, 700),
    columns=st.integers(1, 40),
    before=st.integers(1, 600),
    limit=st.integers(2, 40).map(lambda number: number * 256),
    kind=st.sampled_from(["linear", "embedding"]),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_tensor_is_cut_into_whole_rows(
    rows: int, columns: int, before: int, limit: int, kind: str
) -> None:
    tensors: Named = [
        ("a", "vector", Dense(np.ones(min(before, limit // 4), np.float32))),
        ("b", kind, linear(rows, columns)),
        ("c", "vector", Dense(np.ones(1, np.float32))),
    ]
    row_bytes = 4 * columns * (8 if kind == "linear" else 1)
    with TemporaryDirectory() as folder:
        root = Path(folder)
        if row_bytes > limit:
            with pytest.raises(KleinbildError, match="transformer: b of shape"):
                written(root, tensors, limit)
            return
        writer = written(root, tensors, limit)
        assert_parts_hold(root, writer, tensors)
        assert all(shard.bytes <= limit for shard in writer.shards)
        assert sorted(i for stage in writer.stages for i in stage.shards) == list(range(len(writer.shards)))
        parts = writer.tensors[1].parts
        whole = writer.tensors[1].parts[0].row_count
        assert all(part.row_count == whole for part in parts[:-1]), "cut more often than it must be"


def test_the_embedding_has_small_shards(tmp_path: Path) -> None:
    table = Dense(np.zeros((3000, 256), np.float32))
    tensors: Named = [("e", "embedding", table)]
    writer = written(tmp_path, tensors, 1 << 26, "embedding")
    assert [part.row_count for part in writer.tensors[0].parts] == [1024, 1024, 952]
    assert [shard.bytes for shard in writer.shards] == [1 << 20, 1 << 20, 952 * 1024]
    assert [len(tensor.parts) for tensor in written(tmp_path, tensors, 1 << 26).tensors] == [1]


def test_a_tensor_that_fits_a_shard_is_not_cut(tmp_path: Path) -> None:
    writer = written(tmp_path, [("a", "linear", linear(64, 8, 1)), ("b", "linear", linear(100, 8, 2))], 4096)
    assert [len(tensor.parts) for tensor in writer.tensors] == [1, 1]
    assert [shard.bytes for shard in writer.shards] == [2048, 3328]


def test_large_tensors_are_cut_into_whole_tiles(tmp_path: Path) -> None:
    writer = written(tmp_path, [("a", "linear", linear(700, 8))], 300 * 32)
    assert [part.row_count for part in writer.tensors[0].parts] == [256, 256, 188]


def test_every_stage_has_shards_of_its_own(tmp_path: Path) -> None:
    names = ["text_encoder", "embedding", "transformer", "modulation", "vae_decoder"]
    with ShardWriter(FileStore(tmp_path), 4096) as writer:
        for seed, stage in enumerate(names):
            writer.begin_stage(stage)
            writer.add(f"{stage}.weight", "linear", linear(4, 8, seed))
        writer.finish()
    assert [(stage.name, stage.load, stage.shards) for stage in writer.stages] == [
        ("text_encoder", "start", (0,)),
        ("embedding", "needed", (1,)),
        ("transformer", "start", (2,)),
        ("modulation", "needed", (3,)),
        ("vae_decoder", "start", (4,)),
    ]
    assert [tensor.stage for tensor in writer.tensors] == names


def test_a_shard_can_be_ended_early(tmp_path: Path) -> None:
    with ShardWriter(FileStore(tmp_path)) as writer:
        writer.begin_stage("transformer")
        writer.add("a", "table", linear(2, 8))
        writer.end_shard()
        writer.end_shard()
        writer.add("b", "linear", linear(4, 8))
        writer.finish()
    assert [tensor.parts[0].shard for tensor in writer.tensors] == [0, 1]
    assert [tensor.parts[0].offset for tensor in writer.tensors] == [0, 0]


def test_many_shards_come_out_in_order_and_equal(tmp_path: Path) -> None:
    """More shards than threads, of very different work: order and bytes do not depend on who is first."""
    tensors: Named = [(f"t{i}", "linear", linear(8 + 997 * (i % 3), 16, i)) for i in range(24)]
    first, second = (written(tmp_path / name, tensors, 1 << 16) for name in "ab")
    assert_parts_hold(tmp_path / "a", first, tensors)
    assert first.shards == second.shards
    assert len(first.shards) > 20
    for shard in first.shards:
        assert (tmp_path / "a" / shard.path).read_bytes() == (tmp_path / "b" / shard.path).read_bytes()


def test_equal_shards_are_stored_once(tmp_path: Path) -> None:
    tensors: Named = [(f"t{i}", "linear", linear(64, 64)) for i in range(12)]
    writer = written(tmp_path, tensors, 1 << 14)
    assert_parts_hold(tmp_path, writer, tensors)
    assert len(writer.shards) == 12
    assert len(set(writer.shards)) == len(list((tmp_path / "w").iterdir())) == 1


def test_rows_or_vectors_larger_than_a_shard_are_refused(tmp_path: Path) -> None:
    with pytest.raises(KleinbildError, match=r"transformer: wide of shape \[2, 65\] does not fit"):
        written(tmp_path, [("wide", "linear", linear(2, 65))], 256)
    with pytest.raises(KleinbildError, match="transformer: long of shape"):
        written(tmp_path, [("long", "vector", Dense(np.zeros(65, np.float32)))], 256)


def test_broken_values_name_the_first_tensor(tmp_path: Path) -> None:
    tensors: Named = [
        (name, "vector", Dense(np.full(64, value, np.float32)))
        for name, value in [("a", 0), ("bn.scale", np.nan), ("c", np.inf), ("d", 0), ("e", 0), ("f", 0)]
    ]
    for limit in (256, 4096):
        with pytest.raises(KleinbildError, match=r"vae_decoder: bn\.scale holds NaN"):
            written(tmp_path, tensors, limit, "vae_decoder")


def test_memory_stays_at_a_few_shards(tmp_path: Path) -> None:
    """No more shards are in the making than threads and one more, however many tensors come."""
    store = CountingStore(tmp_path)
    with ShardWriter(store, 1 << 12, threads=2) as writer:
        writer.begin_stage("transformer")
        for i in range(20):
            writer.add(f"t{i}", "linear", linear(64, 16, i))
            assert i + 1 - store.stored <= 4
        writer.finish()
    assert store.stored == 20


class CountingStore(FileStore):
    """Counts the shards that are whole; each takes a while."""

    stored = 0

    def put(self, data: Buffer, suffix: str) -> FileRef:
        time.sleep(0.01)
        file = super().put(data, suffix)
        self.stored += 1
        return file
