"""Where a graph's weights go: into shards beside the graph (external data), or into the graph itself.

Each array is written as it is handed over, by a thread of the store's own, so that the next one can be worked
on; only WAITING_BYTES of them wait. A shard holds whole tensors in the order of use and is at most
SHARD_BYTES, as the published bundle's shards are: a browser can hold no larger ArrayBuffer.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto

from kleinbild.errors import KleinbildError

SHARD_BYTES = 1 << 31
# An offset on this boundary can be viewed as any element type, and by any vector unit, without a copy.
ALIGNMENT_BYTES = 64
WAITING_BYTES = 256 << 20


@dataclass(frozen=True)
class Blocks:
    """An array too large to be held whole: consecutive blocks along its first axis, to be taken once."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    blocks: Iterable[npt.NDArray[Any]]

    @property
    def nbytes(self) -> int:
        """Bytes of the whole array."""
        return math.prod(self.shape) * self.dtype.itemsize


class TensorStore(Protocol):
    """Takes arrays, which must not change any more, and gives the TensorProto that stands for each."""

    def add(self, name: str, array: npt.NDArray[Any] | Blocks) -> TensorProto:
        """Stores `array`; the proto carries `name`, type, shape and the place of the bytes."""
        ...


class InlineStore:
    """Keeps the bytes in the graph."""

    def add(self, name: str, array: npt.NDArray[Any] | Blocks) -> TensorProto:
        """The whole tensor as one proto."""
        proto = _header(name, array)
        proto.raw_data = b"".join(_little_endian(block).tobytes() for block in _blocks(array))
        return proto


class ShardStore:
    """Appends to `<stem>-00001.onnx_data`, `-00002`, ... in `folder`; `names` lists the shards so far."""

    def __init__(self, folder: Path, stem: str, shard_bytes: int = SHARD_BYTES) -> None:
        self._folder = folder
        self._stem = stem
        self._shard_bytes = shard_bytes
        self._file: BufferedWriter | None = None
        self._files: list[BufferedWriter] = []
        self._length = 0
        self._writer = ThreadPoolExecutor(1)
        self._waiting: deque[tuple[Future[object], int]] = deque()
        self.names: list[str] = []

    def add(self, name: str, array: npt.NDArray[Any] | Blocks) -> TensorProto:
        """Appends the bytes to the current shard, or to a new one when they do not fit.

        Raises KleinbildError for a tensor larger than a shard, and OSError when an earlier one could not be
        written.
        """
        if array.nbytes > self._shard_bytes:
            raise KleinbildError(
                f"tensor {name!r} has {array.nbytes} bytes, a shard holds {self._shard_bytes}; "
                "export with smaller weights"
            )
        offset = self._begin(array.nbytes)
        for block in _blocks(array):
            self._write(_little_endian(block).data)
        assert self._length == offset + array.nbytes, name
        proto = _header(name, array)
        proto.data_location = TensorProto.EXTERNAL
        for key, value in (("location", self.names[-1]), ("offset", offset), ("length", array.nbytes)):
            entry = proto.external_data.add()
            entry.key, entry.value = key, str(value)
        return proto

    def write_manifest(self, path: Path) -> None:
        """Closes the store and writes the list of shards to `path`."""
        self.close()
        path.write_text(json.dumps(self.names, indent=2) + "\n", encoding="utf-8")

    def close(self) -> None:
        """Waits until all shards are written; raises OSError when they could not be written.

        Does nothing the second time.
        """
        try:
            self._end_shard()
            self._wait(0)
        finally:
            self._waiting.clear()
            self._writer.shutdown(cancel_futures=True)
            for file in self._files:
                with suppress(OSError):  # told already
                    file.close()

    def _begin(self, length: int) -> int:
        """Makes the current shard ready for `length` bytes and returns their offset in it."""
        if self._file is not None:
            padding = -self._length % ALIGNMENT_BYTES
            if self._length + padding + length <= self._shard_bytes:
                self._write(memoryview(bytes(padding)))
                return self._length
            self._end_shard()
        self.names.append(f"{self._stem}-{len(self.names) + 1:05}.onnx_data")
        self._file = (self._folder / self.names[-1]).open("wb")
        self._files.append(self._file)
        self._length = 0
        return 0

    def _write(self, data: memoryview) -> None:
        assert self._file is not None
        self._length += data.nbytes
        self._waiting.append((self._writer.submit(self._file.write, data), data.nbytes))
        self._wait(WAITING_BYTES)

    def _end_shard(self) -> None:
        if self._file is not None:
            self._waiting.append((self._writer.submit(self._file.close), 0))
            self._file = None

    def _wait(self, limit: int) -> None:
        """Waits until at most `limit` bytes (0: nothing) wait; raises the OSError of a failed write."""
        waiting = sum(size for _, size in self._waiting)
        while self._waiting and (waiting > limit or limit == 0):
            future, size = self._waiting.popleft()
            waiting -= size
            future.result()


def _blocks(array: npt.NDArray[Any] | Blocks) -> Iterable[npt.NDArray[Any]]:
    return array.blocks if isinstance(array, Blocks) else [array]


def _header(name: str, array: npt.NDArray[Any] | Blocks) -> TensorProto:
    return TensorProto(
        name=name, data_type=onnx.helper.np_dtype_to_tensor_dtype(array.dtype), dims=array.shape
    )


def _little_endian(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
