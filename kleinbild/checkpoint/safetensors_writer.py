"""Writes safetensors files: the made-up checkpoints of the project and those of the tests.

The header's layout is fixed (tensors in the order given, padded to 8 bytes with blanks), so the same
tensors make the same bytes. Tensors may come in blocks: a file may be larger than the memory.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kleinbild.checkpoint.safetensors import STORAGE

WRITABLE_DTYPES = ("BF16", "F16", "F32", "I64")


@dataclass(frozen=True)
class BlockedTensor:
    """A tensor whose elements come in consecutive blocks, each already encoded (`encode`)."""

    dtype: str
    shape: tuple[int, ...]
    blocks: Callable[[], Iterable[npt.NDArray[Any]]]

    @property
    def nbytes(self) -> int:
        """Bytes of the whole tensor in a file."""
        return math.prod(self.shape) * STORAGE[self.dtype].itemsize


def write_safetensors(path: Path, tensors: Mapping[str, tuple[str, npt.NDArray[Any]]]) -> None:
    """Writes `tensors`, name -> (dtype, array), as `write_blocked` does.

    dtype is one of WRITABLE_DTYPES (ValueError otherwise). Floats are rounded to nearest even.
    """
    write_blocked(path, {name: _whole(dtype, array) for name, (dtype, array) in tensors.items()})


def write_blocked(path: Path, tensors: Mapping[str, BlockedTensor]) -> None:
    """Writes `tensors` aside, in their order, and renames the result to `path`; makes the folder.

    Raises ValueError when the blocks of a tensor do not make its size.
    """
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}  # transformers refuses a file without it
    offset = 0
    for name, tensor in tensors.items():
        end = offset + tensor.nbytes
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(len(head).to_bytes(8, "little") + head)
            for name, tensor in tensors.items():
                written = sum(file.write(block.tobytes()) for block in tensor.blocks())
                if written != tensor.nbytes:
                    raise ValueError(f"{name}: {written} bytes of {tensor.nbytes}")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def encode(dtype: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """`array` as a file stores `dtype`, one of WRITABLE_DTYPES (ValueError otherwise)."""
    if dtype not in WRITABLE_DTYPES:
        raise ValueError(f"cannot write dtype {dtype}, only {', '.join(WRITABLE_DTYPES)}")
    if dtype == "BF16":
        return bfloat16_bits(np.asarray(array, np.float32))
    return np.ascontiguousarray(array).astype(STORAGE[dtype]).reshape(array.shape)


def bfloat16_bits(array: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """The bfloat16 bits nearest to `array` (ties to even); NaN stays NaN."""
    bits = np.ascontiguousarray(array).view(np.uint32).reshape(array.shape)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1)).astype(np.uint32)) >> 16
    return np.where(np.isnan(array), np.uint32(0x7FC0), rounded).astype(np.uint16)


def _whole(dtype: str, array: npt.NDArray[Any]) -> BlockedTensor:
    encoded = encode(dtype, array)
    return BlockedTensor(dtype, encoded.shape, lambda: [encoded])
