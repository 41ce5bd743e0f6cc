"""One ONNX file of a bundle as a table of weights: initializers, who uses them, and their bytes on demand.

Nothing is executed. External data is read only from the shards that the graph's manifest lists, and only
within them; sizes are checked when the file is opened, so that a truncated download is noticed before any
work.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto, numpy_helper

from kleinbild.bundle.flux2_config import GraphFile, base_name
from kleinbild.errors import KleinbildError

GRAPH_MAX_BYTES = 1 << 30
MAX_RANK = 8
ELEMENT_TYPES: dict[int, np.dtype[Any]] = {
    TensorProto.FLOAT: np.dtype("<f4"),
    TensorProto.FLOAT16: np.dtype("<f2"),
    TensorProto.UINT8: np.dtype("u1"),
}


@dataclass(frozen=True)
class Use:
    """One place where a value enters a node."""

    node: onnx.NodeProto
    position: int


class Graph:
    """An opened graph; `where` names it in messages."""

    def __init__(self, file: GraphFile) -> None:
        """Reads the graph, not the weights. Raises KleinbildError when it is damaged or no ONNX file."""
        self.where = str(file.path)
        self._shards = {shard.name: shard for shard in file.shards}
        graph = _load(file.path)
        self._initializers: dict[str, TensorProto] = {}
        for tensor in graph.initializer:
            if tensor.name in self._initializers:
                raise KleinbildError(f"{self.where}: holds the tensor {tensor.name!r} twice")
            self._initializers[tensor.name] = tensor
        self._uses: dict[str, list[Use]] = {}
        for node in graph.node:
            for position, name in enumerate(node.input):
                self._uses.setdefault(name, []).append(Use(node, position))

    def __contains__(self, name: str) -> bool:
        return name in self._initializers

    def uses(self, name: str) -> list[Use]:
        """Where the value `name` is used; a cast in between is looked through."""
        found = []
        for use in self._uses.get(name, []):
            cast = use.node.op_type == "Cast" and use.node.output
            found += self._uses.get(use.node.output[0], []) if cast else [use]
        return found

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of the initializer `name`."""
        return tuple(self._initializers[name].dims)

    def check(self, name: str) -> None:
        """Raises KleinbildError when the initializer is of no weight's type or its bytes are not there."""
        tensor = self._initializers[name]
        dtype = ELEMENT_TYPES.get(tensor.data_type)
        if dtype is None:
            kind = TensorProto.DataType.Name(tensor.data_type) if tensor.data_type else "of no type"
            raise KleinbildError(f"{self._named(name)} is {kind}; expected FLOAT, FLOAT16 or UINT8")
        if len(tensor.dims) > MAX_RANK or any(size < 1 for size in tensor.dims):
            raise KleinbildError(f"{self._named(name)} has the shape {list(tensor.dims)[:MAX_RANK]}")
        if tensor.data_location == TensorProto.EXTERNAL:
            self._range(name)

    def read(self, name: str) -> npt.NDArray[Any]:
        """The initializer `name` as float32, float16 or uint8, to be `check`ed before.

        Raises KleinbildError when its bytes cannot be read or do not fill its shape.
        """
        tensor = self._initializers[name]
        if tensor.data_location != TensorProto.EXTERNAL:
            try:
                return numpy_helper.to_array(tensor)
            except (ValueError, TypeError) as error:
                raise KleinbildError(
                    f"{self._named(name)}: its data does not fill its shape ({error})"
                ) from error
        path, offset, length = self._range(name)
        try:
            with path.open("rb") as file:
                file.seek(offset)
                data = file.read(length)
        except OSError as error:
            raise KleinbildError(f"cannot read {path}: {error.strerror}") from error
        if len(data) != length:
            raise KleinbildError(f"{path}: ends inside the tensor {name!r}; fetch the file again")
        return np.frombuffer(data, ELEMENT_TYPES[tensor.data_type]).reshape(tuple(tensor.dims))

    def _range(self, name: str) -> tuple[Path, int, int]:
        """(shard, offset, length) of an external tensor, inside the shard and as long as its shape asks."""
        tensor = self._initializers[name]
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = base_name(entries.get("location"), f"{self._named(name)}, location of its data")
        path = self._shards.get(location)
        if path is None:
            raise KleinbildError(
                f"{self._named(name)} lies in {location!r}, which the graph's manifest does not list"
            )
        size = path.stat().st_size
        needed = math.prod(tensor.dims) * ELEMENT_TYPES[tensor.data_type].itemsize
        offset = self._number(name, entries.get("offset", "0"))
        length = self._number(name, entries.get("length", str(max(0, size - offset))))
        if length != needed:
            raise KleinbildError(
                f"{self._named(name)} is {list(tensor.dims)}, {needed} bytes, but {length} are recorded"
            )
        if offset + length > size:
            raise KleinbildError(
                f"{path}: ends after {size} bytes, tensor {name!r} at {offset + length}; fetch the file again"
            )
        return path, offset, length

    def _number(self, name: str, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise KleinbildError(f"{self._named(name)}: {text[:40]!r} is no offset or length of its data")
        return int(text)

    def _named(self, name: str) -> str:
        return f"{self.where}: tensor {name!r}"


def _load(path: Path) -> onnx.GraphProto:
    try:
        size = path.stat().st_size
        if size > GRAPH_MAX_BYTES:
            raise KleinbildError(f"{path}: {size} bytes; a graph of a bundle has at most {GRAPH_MAX_BYTES}")
        model = onnx.ModelProto.FromString(path.read_bytes())
    except OSError as error:
        raise KleinbildError(f"cannot read {path}: {error.strerror}") from error
    except DecodeError as error:
        raise KleinbildError(f"{path}: not a whole ONNX file; fetch it again") from error
    if not model.graph.node:
        raise KleinbildError(f"{path}: holds no graph; fetch it again")
    graph: onnx.GraphProto = model.graph
    return graph
