"""The safetensors format, read as hostile input.

A file is an 8-byte little-endian header length, a JSON header, and the bytes of the tensors, which must
fill the rest exactly: no overlap, no hole (the format's own rule; a cut download fails here). Tensors are
read and converted on demand, whole or by rows, a chunk at a time, from any thread; nothing is memory-mapped,
since mapped pages of a file larger than the memory count as the process's own. This module knows tensors by
name and shape, not what they mean.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kleinbild.checkpoint.json_file import open_binary, parse_object, read_bytes
from kleinbild.errors import KleinbildError

# A header of FLUX.2 Klein 4B has 0.1 MB. The format allows 100 MB, which JSON can blow up to gigabytes.
HEADER_MAX_BYTES = 8 << 20
INDEX_MAX_BYTES = 8 << 20
MAX_RANK = 8
BASE_NAME_MAX_LENGTH = 200

# Storage type of each dtype; bfloat16, unknown to numpy, is held as its bits.
STORAGE: dict[str, np.dtype[Any]] = {
    "BF16": np.dtype("<u2"),
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "U8": np.dtype("u1"),
}
FLOAT_DTYPES = ("BF16", "F16", "F32", "F64")
# Small enough to stay in a core's cache between reading and converting.
CHUNK_ELEMENTS = 1 << 18


@dataclass(frozen=True)
class TensorEntry:
    """Where one tensor lies: dtype as the header spells it, and its bytes [start, end) of the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


class SafetensorsFile:
    """One .safetensors file; `entries` lists its tensors by name, `header_sha256` is their list's digest."""

    def __init__(self, path: Path, entries: dict[str, TensorEntry], header_sha256: str) -> None:
        self.path = path
        self.entries = entries
        self.header_sha256 = header_sha256

    @staticmethod
    def open(path: Path) -> SafetensorsFile:
        """Reads and checks the header of `path`; raises KleinbildError naming file and tensor."""
        if not path.is_file():
            raise KleinbildError(f"{path}: no such file; fetch the whole checkpoint again")
        size = path.stat().st_size
        with open_binary(path) as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(HEADER_MAX_BYTES, size - 8):
                raise KleinbildError(
                    f"{path}: not a safetensors file, or a cut one "
                    f"(its header would have {length} of {size} bytes); fetch it again"
                )
            head = file.read(length)
        header = parse_object(head, f"{path}: header")
        header.pop("__metadata__", None)
        entries = {
            name: _entry(f"{path}: tensor {name!r}", entry, 8 + length) for name, entry in header.items()
        }
        _check_filled(path, entries, 8 + length, size)
        return SafetensorsFile(path, entries, hashlib.sha256(head).hexdigest())

    def read(self, name: str) -> npt.NDArray[Any]:
        """The tensor in native byte order; bfloat16 comes as the same values in float32.

        Raises KleinbildError when the file was cut since it was opened.
        """
        entry = self.entries[name]
        return self._read(name, 0, math.prod(entry.shape)).reshape(entry.shape)

    def read_rows(self, name: str, first: int, count: int) -> npt.NDArray[Any]:
        """Rows [first, first + count) of the tensor's first axis, as `read` gives them."""
        rows, *rest = self.entries[name].shape
        assert 0 <= first <= first + count <= rows, (name, first, count)
        columns = math.prod(rest)
        return self._read(name, first * columns, count * columns).reshape(count, *rest)

    def _read(self, name: str, first: int, count: int) -> npt.NDArray[Any]:
        entry = self.entries[name]
        stored = STORAGE[entry.dtype]
        bfloat16 = entry.dtype == "BF16"
        values = np.empty(count, np.float32 if bfloat16 else stored.newbyteorder("="))
        chunk = np.empty(min(count, CHUNK_ELEMENTS), stored)
        with open_binary(self.path) as file:
            file.seek(entry.start + first * stored.itemsize)
            for start in range(0, count, CHUNK_ELEMENTS):
                part = chunk[: count - start]
                if file.readinto(part.view(np.uint8).data) != part.nbytes:
                    raise KleinbildError(
                        f"{self.path}: ends inside the tensor {name!r}; fetch the file again"
                    )
                target = values[start : start + len(part)]
                if bfloat16:
                    bits = target.view(np.uint32)
                    bits[:] = part
                    bits <<= 16
                else:
                    target[:] = part
        return values


class SafetensorsFolder:
    """The tensors of one model: a single file <stem>.safetensors, or shards behind
    <stem>.safetensors.index.json.
    """

    def __init__(self, folder: Path, files: dict[str, SafetensorsFile]) -> None:
        self._folder = folder
        self._files = files

    @staticmethod
    def open(folder: Path, stem: str) -> SafetensorsFolder:
        """Opens the model `stem` in `folder`; the index counts where both kinds exist.

        Raises KleinbildError naming a missing shard, and a tensor that its shard does not hold.
        """
        index = folder / f"{stem}.safetensors.index.json"
        if not index.exists():
            single = SafetensorsFile.open(folder / f"{stem}.safetensors")
            return SafetensorsFolder(folder, dict.fromkeys(single.entries, single))
        weight_map = parse_object(read_bytes(index, INDEX_MAX_BYTES), str(index)).get("weight_map")
        if not isinstance(weight_map, dict):
            raise KleinbildError(f'{index}: "weight_map" is missing; fetch the file again')
        shards: dict[str, SafetensorsFile] = {}
        files = {}
        for name, shard in weight_map.items():
            if not _is_base_name(shard):
                raise KleinbildError(
                    f"{index}: tensor {name!r} lies in {shard!r}, which is no plain .safetensors name; "
                    "fetch the file again"
                )
            if shard not in shards:
                shards[shard] = SafetensorsFile.open(folder / shard)
            if name not in shards[shard].entries:
                raise KleinbildError(
                    f"{folder / shard}: tensor {name!r} is not in it, though {index.name} says so; "
                    "fetch the shard again"
                )
            files[name] = shards[shard]
        return SafetensorsFolder(folder, files)

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def entry(self, name: str) -> TensorEntry:
        """Dtype and shape of the tensor `name`."""
        return self._files[name].entries[name]

    def files(self) -> set[SafetensorsFile]:
        """The files that hold the tensors."""
        return set(self._files.values())

    def label(self, name: str) -> str:
        """File and name of the tensor `name`, which may be missing, for a message."""
        where = self._files[name].path if name in self._files else self._folder
        return f"{where}: tensor {name!r}"

    def read(self, name: str) -> npt.NDArray[Any]:
        """The tensor `name` (SafetensorsFile.read)."""
        return self._files[name].read(name)

    def read_rows(self, name: str, first: int, count: int) -> npt.NDArray[Any]:
        """Some rows of the tensor `name` (SafetensorsFile.read_rows)."""
        return self._files[name].read_rows(name, first, count)


def _is_base_name(value: object) -> bool:
    return (
        isinstance(value, str)
        and value.endswith(".safetensors")
        and len(value) <= BASE_NAME_MAX_LENGTH
        and value.isascii()
        and value.isprintable()
        and not value.startswith(".")
        and not any(c in value for c in "/\\:")
    )


def _entry(where: str, value: object, data_start: int) -> TensorEntry:
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        raise KleinbildError(f"{where}: expected dtype, shape and data_offsets; fetch the file again")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in STORAGE:
        raise KleinbildError(
            f"{where}: dtype {dtype!r} is not implemented; use a checkpoint in BF16, F16 or F32"
        )
    if not _is_counts(shape) or len(shape) > MAX_RANK:
        raise KleinbildError(f"{where}: bad shape {shape!r}; fetch the file again")
    if not _is_counts(offsets) or len(offsets) != 2:
        raise KleinbildError(f"{where}: bad data_offsets {offsets!r}; fetch the file again")
    start, end = offsets
    size = math.prod(shape) * STORAGE[dtype].itemsize
    if end - start != size:
        raise KleinbildError(
            f"{where}: data_offsets {offsets} cover {end - start} bytes, "
            f"{dtype} {shape} takes {size}; fetch the file again"
        )
    return TensorEntry(dtype, tuple(shape), data_start + start, data_start + end)


def _is_counts(value: object) -> bool:
    return isinstance(value, list) and all(type(v) is int and 0 <= v < 1 << 48 for v in value)


def _check_filled(path: Path, entries: Mapping[str, TensorEntry], data_start: int, size: int) -> None:
    """Tensors must lie end to end from `data_start` to the end of the file."""
    expected = data_start
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].end)):
        if entry.start != expected:
            fault = "overlaps the one before it" if entry.start < expected else "leaves a gap before it"
            raise KleinbildError(f"{path}: tensor {name!r} {fault}; fetch the file again")
        expected = entry.end
    if expected != size:
        raise KleinbildError(
            f"{path}: has {size} bytes, its tensors need {expected}: cut or padded; fetch it again"
        )
