"""Writes safetensors files: the small checkpoint of the project and those of the tests.

The header's layout is fixed (tensors in the order given, padded to 8 bytes with blanks), so the same
tensors make the same bytes. Not for large models: every tensor is in memory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kleinbild.checkpoint.safetensors import STORAGE

WRITABLE_DTYPES = ("BF16", "F16", "F32", "I64")


def write_safetensors(path: Path, tensors: Mapping[str, tuple[str, npt.NDArray[Any]]]) -> None:
    """Writes `tensors`, name -> (dtype, array), aside and renames the result to `path`; makes the folder.

    dtype is one of WRITABLE_DTYPES (ValueError otherwise). Floats are rounded to nearest even.
    """
    stored = {name: (dtype, _encode(dtype, array)) for name, (dtype, array) in tensors.items()}
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}  # transformers refuses a file without it
    offset = 0
    for name, (dtype, array) in stored.items():
        end = offset + array.nbytes
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [offset, end]}
        offset = end
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(len(head).to_bytes(8, "little") + head)
            for _, array in stored.values():
                file.write(array.tobytes())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _encode(dtype: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
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
