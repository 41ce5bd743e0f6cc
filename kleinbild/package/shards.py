"""Collects the parts of tensors into content-addressed shard files of bounded size.

A shard is put together in memory, so its digest is known before a byte is written: a shard that an earlier
site already holds is linked instead of written again. Memory stays at one shard plus the tensor in hand. This
file knows sizes and files; what the bytes mean is layout.py's.
"""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_right
from pathlib import Path

from kleinbild.errors import KleinbildError
from kleinbild.package.layout import SECTION_BYTES, Storage, encode_part, round_up
from kleinbild.package.manifest import FileRef, Shard, Stage, Tensor, TensorPart
from kleinbild.weights import Weight

SHARD_BYTES = 64 * 1024 * 1024
ROW_GRAIN = 128
SPLITTABLE = ("linear", "embedding")


class FileStore:
    """The folder `w/` of a site: files named by the SHA-256 of their bytes."""

    def __init__(self, root: Path, previous: Path | None = None) -> None:
        """Writes below `root`/w; files that the site `previous` already holds are linked, not written."""
        self._folder = root / "w"
        self._previous = None if previous is None else previous / "w"
        self._folder.mkdir(parents=True, exist_ok=True)

    def put(self, data: bytes | bytearray, suffix: str) -> FileRef:
        """Stores `data` and returns its path (relative to the site), digest and size."""
        digest = hashlib.sha256(data).hexdigest()
        name = f"{digest}.{suffix}"
        target = self._folder / name
        if not target.exists() and not self._link(name, data):
            part = target.with_name(name + ".part")
            part.write_bytes(data)
            part.rename(target)
        return FileRef(path=f"w/{name}", sha256=digest, bytes=len(data))

    def _link(self, name: str, data: bytes | bytearray) -> bool:
        """Takes the file over from the earlier site when it is there and whole."""
        if self._previous is None:
            return False
        old = self._previous / name
        try:
            if old.is_symlink() or old.stat().st_size != len(data) or old.read_bytes() != data:
                return False
            os.link(old, self._folder / name)
        except OSError:
            return False
        return True


class ShardWriter:
    """Lays tensors into shards, in the order in which they come; every stage begins a shard of its own."""

    def __init__(self, store: FileStore, limit: int = SHARD_BYTES) -> None:
        """`limit`: most bytes of one shard, a multiple of 256."""
        self._store = store
        self._limit = limit
        self._buffer = bytearray()
        self._stage = ""
        self._stage_shards: list[int] = []
        self.shards: list[Shard] = []
        self.stages: list[Stage] = []
        self.tensors: list[Tensor] = []

    def begin_stage(self, name: str) -> None:
        """Ends the stage before and starts stage `name`."""
        self.finish()
        self._stage = name

    def add(self, name: str, kind: str, weight: Weight) -> None:
        """Stores `weight`, cut into blocks of rows only where it is larger than a shard.

        Raises KleinbildError naming the tensor when it cannot be stored.
        """
        try:
            self._add(name, kind, weight)
        except KleinbildError as error:
            raise KleinbildError(f"{self._stage}: {name} {error}") from None

    def finish(self) -> None:
        """Writes the open shard and ends the stage."""
        self._close_shard()
        if self._stage:
            self.stages.append(Stage(name=self._stage, shards=tuple(self._stage_shards)))
        self._stage = ""
        self._stage_shards = []

    def _add(self, name: str, kind: str, weight: Weight) -> None:
        storage = Storage.of(kind, weight)
        rows = step = storage.shape[0]
        if storage.part_bytes(rows) > self._limit:
            step = _rows_within(self._limit, rows, storage) if kind in SPLITTABLE else 0
            if not step:
                raise KleinbildError(
                    f"of shape {list(storage.shape)} does not fit a shard of {self._limit} bytes"
                )
        parts = []
        for start in range(0, rows, step):
            count = min(step, rows - start)
            offset = self._append(encode_part(kind, weight, start, count))
            parts.append(TensorPart(len(self.shards), start, count, offset, storage.part_bytes(count)))
        self.tensors.append(
            Tensor(
                name=name,
                stage=self._stage,
                kind=kind,
                shape=storage.shape,
                format=storage.format,
                block_size=storage.block_size,
                zero_points=storage.zero_points,
                parts=tuple(parts),
            )
        )

    def _append(self, data: bytes) -> int:
        if len(self._buffer) + len(data) > self._limit:
            self._close_shard()
        offset = len(self._buffer)
        self._buffer += data
        self._buffer += bytes(round_up(len(data), SECTION_BYTES) - len(data))
        return offset

    def _close_shard(self) -> None:
        if not self._buffer:
            return
        file = self._store.put(self._buffer, "bin")
        self._stage_shards.append(len(self.shards))
        self.shards.append(Shard(file.path, file.sha256, file.bytes))
        self._buffer = bytearray()


def _rows_within(limit: int, rows: int, storage: Storage) -> int:
    """The most rows whose part fits `limit`, in whole tiles of ROW_GRAIN if one fits; 0 if none."""
    fitting = bisect_right(range(1, rows + 1), limit, key=storage.part_bytes)
    return fitting - fitting % ROW_GRAIN if fitting > ROW_GRAIN else fitting
