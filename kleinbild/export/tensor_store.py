"""Where a graph's weights go: into shards beside the graph (external data), or into the graph itself.

Each array is written as it is handed over, so that no more than one weight is in memory at a time. A shard
holds whole tensors in the order of use and is at most SHARD_BYTES, as the published bundle's shards are: a
browser can hold no larger ArrayBuffer.
"""

from __future__ import annotations

import json
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


class TensorStore(Protocol):
    """Takes arrays and gives the TensorProto that stands for each."""

    def add(self, name: str, array: npt.NDArray[Any]) -> TensorProto:
        """Stores `array`; the proto carries `name`, type, shape and the place of the bytes."""
        ...


class InlineStore:
    """Keeps the bytes in the graph."""

    def add(self, name: str, array: npt.NDArray[Any]) -> TensorProto:
        """The whole tensor as one proto."""
        proto = _header(name, array)
        proto.raw_data = _little_endian(array).tobytes()
        return proto


class ShardStore:
    """Appends to `<stem>-00001.onnx_data`, `-00002`, ... in `folder`; `names` lists the shards so far."""

    def __init__(self, folder: Path, stem: str, shard_bytes: int = SHARD_BYTES) -> None:
        self._folder = folder
        self._stem = stem
        self._shard_bytes = shard_bytes
        self._file: BufferedWriter | None = None
        self.names: list[str] = []

    def add(self, name: str, array: npt.NDArray[Any]) -> TensorProto:
        """Appends the bytes to the current shard, or to a new one when they do not fit.

        Raises KleinbildError for a tensor larger than a shard.
        """
        data = _little_endian(array)
        if data.nbytes > self._shard_bytes:
            raise KleinbildError(
                f"tensor {name!r} has {data.nbytes} bytes, a shard holds {self._shard_bytes}; "
                "export with smaller weights"
            )
        offset = self._begin(data.nbytes)
        assert self._file is not None
        self._file.write(data.data)
        proto = _header(name, data)
        proto.data_location = TensorProto.EXTERNAL
        for key, value in (("location", self.names[-1]), ("offset", offset), ("length", data.nbytes)):
            entry = proto.external_data.add()
            entry.key, entry.value = key, str(value)
        return proto

    def _begin(self, length: int) -> int:
        """Makes the current shard ready for `length` bytes and returns their offset in it."""
        if self._file is not None:
            padding = -self._file.tell() % ALIGNMENT_BYTES
            if self._file.tell() + padding + length <= self._shard_bytes:
                self._file.write(bytes(padding))
                return self._file.tell()
            self._file.close()
        self.names.append(f"{self._stem}-{len(self.names) + 1:05}.onnx_data")
        self._file = (self._folder / self.names[-1]).open("wb")
        return 0

    def write_manifest(self, path: Path) -> None:
        """Closes the last shard and writes the list of shards to `path`."""
        self.close()
        path.write_text(json.dumps(self.names, indent=2) + "\n", encoding="utf-8")

    def close(self) -> None:
        """Closes the last shard; does nothing the second time."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _header(name: str, array: npt.NDArray[Any]) -> TensorProto:
    return TensorProto(
        name=name, data_type=onnx.helper.np_dtype_to_tensor_dtype(array.dtype), dims=array.shape
    )


def _little_endian(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
