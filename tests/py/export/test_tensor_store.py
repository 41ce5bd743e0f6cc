"""Shards written behind the caller's back: the same bytes, bounded waiting, and errors that are not lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from onnx import TensorProto, numpy_helper

from kleinbild.errors import KleinbildError
from kleinbild.export import tensor_store
from kleinbild.export.tensor_store import Blocks, InlineStore, ShardStore


def array(rows: int, seed: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((rows, 5)).astype(np.float32)


def blocks(values: npt.NDArray[np.float32], step: int) -> Blocks:
    parts = [values[i : i + step] for i in range(0, len(values), step)]
    return Blocks(values.shape, values.dtype, parts)


def places(proto: TensorProto) -> tuple[str, int, int]:
    entries = {entry.key: entry.value for entry in proto.external_data}
    return entries["location"], int(entries["offset"]), int(entries["length"])


@pytest.mark.parametrize("waiting", [0, 1000, 1 << 20])
def test_arrays_and_blocks_lie_where_the_protos_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waiting: int
) -> None:
    monkeypatch.setattr(tensor_store, "WAITING_BYTES", waiting)
    store, stored = ShardStore(tmp_path, "s", 1000), {}
    for i, rows in enumerate([3, 20, 7, 50, 1, 1]):
        values = array(rows, i)
        given = blocks(values, 4) if i % 2 else values
        stored[f"t{i}"] = (store.add(f"t{i}", given), values)
    store.write_manifest(tmp_path / "list.json")
    assert store.names == ["s-00001.onnx_data", "s-00002.onnx_data", "s-00003.onnx_data"]
    for proto, values in stored.values():
        location, offset, length = places(proto)
        data = (tmp_path / location).read_bytes()
        assert offset % 64 == 0
        assert data[offset : offset + length] == values.tobytes()
        assert tuple(proto.dims) == values.shape
        assert len(data) <= 1000


def test_blocks_may_go_into_the_graph() -> None:
    values = array(10, 1)
    np.testing.assert_array_equal(numpy_helper.to_array(InlineStore().add("x", blocks(values, 3))), values)


def test_a_tensor_larger_than_a_shard_is_refused(tmp_path: Path) -> None:
    store = ShardStore(tmp_path, "s", 100)
    with pytest.raises(KleinbildError, match="'x' has 200 bytes, a shard holds 100"):
        store.add("x", array(10, 1))
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_no_more_than_the_bound_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_store, "WAITING_BYTES", 3 * 2000 + 100)
    gate = threading.Event()
    store, taken = ShardStore(tmp_path, "s"), list[int]()

    def slowly() -> Iterator[npt.NDArray[np.float32]]:
        for i in range(10):
            taken.append(i)
            if i == 3:
                gate.set()
            yield array(100, i)

    store.add("first", array(1, 0))
    # The writer stands still until three blocks wait and the fourth is asked for.
    store._writer.submit(gate.wait, 10)
    store.add("x", Blocks((1000, 5), np.dtype(np.float32), slowly()))
    store.close()
    assert taken == list(range(10))
    assert gate.is_set()
    assert (tmp_path / "s-00001.onnx_data").stat().st_size == 64 + 20_000


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    (tmp_path / "s-00001.onnx_data").symlink_to("/dev/full")
    store = ShardStore(tmp_path, "s")
    with pytest.raises(OSError, match="No space left"):
        for i in range(4):
            store.add(f"t{i}", array(100_000, i))
        store.close()
    store.close()
