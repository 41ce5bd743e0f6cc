"""Collects the parts of tensors into content-addressed shard files of bounded size.

Which part lies where is decided as the tensors come, in order. Putting a shard together, hashing, compressing
and writing it is left to a few threads (numpy, SHA-256 and gzip let go of the interpreter), one shard each;
the next shard waits. So memory stays at a few shards and the tensors that they are cut from, and everything
in the manifest is in the order of the tensors. This file knows sizes and files; what the bytes mean is
layout.py's.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType

import numpy as np

from kleinbild.errors import KleinbildError
from kleinbild.package.layout import SECTION_BYTES, Storage, encode_part, round_up
from kleinbild.package.manifest import FileRef, Shard, Stage, Tensor, TensorPart
from kleinbild.package.stages import SMALL_SHARDS, STAGES
from kleinbild.package.store import FileStore
from kleinbild.weights import Weight

SHARD_BYTES = 64 * 1024 * 1024
ROW_GRAIN = 128
SPLITTABLE = ("linear", "embedding")
# More would gain little: one thread reads the tensors for them.
THREADS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class _Piece:
    """Rows of a tensor and where in their shard they go; `name` is what an error calls it."""

    name: str
    kind: str
    weight: Weight
    row_start: int
    row_count: int
    offset: int
    length: int


class ShardWriter:
    """Lays tensors into shards, in the order in which they come; every stage begins a shard of its own.

    A context manager: leaving it ends the threads. What `shards`, `stages` and `tensors` hold is whole after
    `finish`.
    """

    def __init__(self, store: FileStore, limit: int = SHARD_BYTES, threads: int = THREADS) -> None:
        """`limit`: most bytes of one shard, a multiple of 256."""
        self._store = store
        self._limit = self._stage_limit = limit
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads)
        self._running: deque[Future[FileRef]] = deque()
        self._pieces: list[_Piece] = []
        self._size = 0
        self._count = 0
        self._stage: Stage | None = None
        self.shards: list[Shard] = []
        self.stages: list[Stage] = []
        self.tensors: list[Tensor] = []

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def begin_stage(self, name: str) -> None:
        """Ends the stage before and starts stage `name`, one of STAGES."""
        self._end_stage()
        self._stage = Stage(name, STAGES[name], ())
        self._stage_limit = min(self._limit, SMALL_SHARDS.get(name, self._limit))

    def add(self, name: str, kind: str, weight: Weight) -> None:
        """Stores `weight`, cut into blocks of rows only where it is larger than a shard.

        Raises KleinbildError naming the tensor when it cannot be stored; one that turns out to be broken
        while its shard is put together is named by a later call, `finish` at the latest.
        """
        stage = self._open_stage().name
        try:
            storage = Storage.of(kind, weight)
            step = self._rows_of_a_part(storage)
        except KleinbildError as error:
            raise KleinbildError(f"{stage}: {name} {error}") from None
        rows = storage.shape[0]
        parts = []
        for start in range(0, rows, step):
            count = min(step, rows - start)
            length = storage.part_bytes(count)
            offset = self._place(length)
            self._pieces.append(_Piece(f"{stage}: {name}", kind, weight, start, count, offset, length))
            parts.append(TensorPart(self._count, start, count, offset, length))
        self.tensors.append(
            Tensor(
                name=name,
                stage=stage,
                kind=kind,
                shape=storage.shape,
                format=storage.format,
                block_size=storage.block_size,
                zero_points=storage.zero_points,
                parts=tuple(parts),
            )
        )

    def end_shard(self) -> None:
        """Lets the next tensor begin a shard of its own.

        Raises KleinbildError naming a broken tensor of this or an earlier shard.
        """
        if not self._pieces:
            return
        self._wait(self._threads)
        self._running.append(self._pool.submit(_write, self._store, tuple(self._pieces), self._size))
        stage = self._open_stage()
        self._stage = replace(stage, shards=(*stage.shards, self._count))
        self._pieces.clear()
        self._size = 0
        self._count += 1

    def finish(self) -> None:
        """Ends the last stage and waits until all shards are written.

        Raises KleinbildError naming a broken tensor, OSError when a shard cannot be written.
        """
        self._end_stage()
        self._wait(0)

    def _open_stage(self) -> Stage:
        if self._stage is None:
            raise ValueError("no stage has begun")
        return self._stage

    def _end_stage(self) -> None:
        if self._stage:
            self.end_shard()
            self.stages.append(self._stage)
        self._stage = None

    def _rows_of_a_part(self, storage: Storage) -> int:
        """The most rows that a part of the tensor may have; raises KleinbildError when none fit a shard."""
        rows = storage.shape[0]
        if storage.part_bytes(rows) <= self._stage_limit:
            return rows
        fitting = bisect_right(range(1, rows + 1), self._stage_limit, key=storage.part_bytes)
        if storage.kind not in SPLITTABLE or not fitting:
            raise KleinbildError(
                f"of shape {list(storage.shape)} does not fit a shard of {self._stage_limit} bytes"
            )
        return fitting - fitting % ROW_GRAIN if storage.kind == "linear" and fitting > ROW_GRAIN else fitting

    def _place(self, length: int) -> int:
        """The offset of `length` further bytes, in the open shard or a new one."""
        if self._size + length > self._stage_limit:
            self.end_shard()
        offset = self._size
        self._size = offset + round_up(length, SECTION_BYTES)
        return offset

    def _wait(self, most: int) -> None:
        """Takes in the oldest shards until at most `most` are being written."""
        while len(self._running) > most:
            file = self._running.popleft().result()
            self.shards.append(Shard(file.path, file.sha256, file.bytes, file.encoding, file.transfer_bytes))


def _write(store: FileStore, pieces: tuple[_Piece, ...], size: int) -> FileRef:
    """Puts a shard of `size` bytes together and stores it."""
    shard = np.zeros(size, np.uint8)
    for piece in pieces:
        try:
            encode_part(
                piece.kind,
                piece.weight,
                piece.row_start,
                piece.row_count,
                shard[piece.offset : piece.offset + piece.length],
            )
        except KleinbildError as error:
            raise KleinbildError(f"{piece.name} {error}") from None
    return store.put(shard.data, "bin")
