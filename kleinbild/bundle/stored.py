"""One tensor that a bundle stores: in the graph itself, or as external data in one of its shards.

External data is read only from the shards that the graph's manifest lists, and only within them. Nothing is
known here of what a tensor means or who uses it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, numpy_helper

from kleinbild.bundle.flux2_config import base_name
from kleinbild.errors import KleinbildError

MAX_RANK = 8
MAX_ELEMENTS = 1 << 34
ELEMENT_TYPES: dict[int, np.dtype[Any]] = {
    TensorProto.FLOAT: np.dtype("<f4"),
    TensorProto.FLOAT16: np.dtype("<f2"),
    TensorProto.DOUBLE: np.dtype("<f8"),
    TensorProto.UINT8: np.dtype("u1"),
    TensorProto.INT32: np.dtype("<i4"),
    TensorProto.INT64: np.dtype("<i8"),
    TensorProto.BOOL: np.dtype("?"),
}
WEIGHT_TYPES = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8)


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A tensor of the graph file `where`; `name` is its name there, `shards` are the graph's, by name."""

    where: str
    name: str
    proto: TensorProto
    shards: dict[str, Path]

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape as the graph states it; sizes are not checked."""
        return tuple(self.proto.dims)

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """Its element type, None for one that no graph of a bundle needs."""
        return ELEMENT_TYPES.get(self.proto.data_type)

    @property
    def sane_shape(self) -> bool:
        """Whether its shape can be a tensor's at all."""
        shape = self.shape
        return (
            len(shape) <= MAX_RANK and all(size >= 0 for size in shape) and math.prod(shape) <= MAX_ELEMENTS
        )

    def check_weight(self) -> None:
        """Raises KleinbildError when it is of no weight's type or shape, or its bytes are not there."""
        if self.proto.data_type not in WEIGHT_TYPES:
            kind = self.proto.data_type
            known = kind in TensorProto.DataType.values() and kind != 0
            text = TensorProto.DataType.Name(kind) if known else "of no known type"
            raise KleinbildError(f"{self} is {text}; expected FLOAT, FLOAT16 or UINT8")
        if not self.sane_shape or 0 in self.shape:
            raise KleinbildError(f"{self} has the shape {list(self.shape)[:MAX_RANK]}")
        if self._is_external:
            self._range()

    def read(self) -> npt.NDArray[Any]:
        """The tensor; raises KleinbildError when its bytes cannot be read or do not fill its shape."""
        dtype = self.dtype
        if dtype is None or not self.sane_shape:
            raise KleinbildError(f"{self} has the shape {list(self.shape)[:MAX_RANK]} or the type of none")
        if not self._is_external:
            return self._inline(dtype)
        path, offset, length = self._range()
        data = np.empty(self.shape, dtype)  # numpy asks for huge pages, bytes come in small ones
        try:
            with path.open("rb") as file:
                file.seek(offset)
                count = file.readinto(data.reshape(-1).view(np.uint8).data)
        except OSError as error:
            raise KleinbildError(f"cannot read {path}: {error.strerror}") from error
        if count != length:
            raise KleinbildError(f"{path}: ends inside the tensor {self._name}; fetch the file again")
        return data

    def _inline(self, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        proto = self.proto
        count = max(
            len(proto.raw_data) // dtype.itemsize,
            *(len(field) for field in (proto.float_data, proto.int32_data, proto.int64_data)),
            len(proto.double_data),
        )
        if count < math.prod(self.shape):
            raise KleinbildError(f"{self}: its data does not fill its shape ({count} elements)")
        try:
            return numpy_helper.to_array(proto)
        except (ValueError, TypeError, OverflowError) as error:
            raise KleinbildError(f"{self}: its data does not fill its shape ({error})") from error

    @property
    def _is_external(self) -> bool:
        return bool(self.proto.data_location == TensorProto.EXTERNAL)

    def _range(self) -> tuple[Path, int, int]:
        """(shard, offset, length) of external data, inside the shard and as long as the shape asks."""
        entries = {entry.key: entry.value for entry in self.proto.external_data}
        location = base_name(entries.get("location"), f"{self}, location of its data")
        path = self.shards.get(location)
        if path is None:
            raise KleinbildError(f"{self} lies in {location!r}, which the graph's manifest does not list")
        try:
            size = path.stat().st_size
        except OSError as error:
            raise KleinbildError(f"cannot read {path}: {error.strerror}") from error
        needed = math.prod(self.shape) * ELEMENT_TYPES[self.proto.data_type].itemsize
        offset = self._number(entries.get("offset", "0"))
        length = self._number(entries.get("length", str(max(0, size - offset))))
        if length != needed:
            raise KleinbildError(f"{self} is {list(self.shape)}, {needed} bytes, but {length} are recorded")
        if offset + length > size:
            raise KleinbildError(
                f"{path}: ends after {size} bytes, tensor {self._name} at {offset + length}; "
                "fetch the file again"
            )
        return path, offset, length

    def _number(self, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise KleinbildError(f"{self}: {text[:40]!r} is no offset or length of its data")
        return int(text)

    @property
    def _name(self) -> str:
        return repr(self.name[:120])

    def __str__(self) -> str:
        return f"{self.where}: tensor {self._name}"
