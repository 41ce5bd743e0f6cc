"""A .safetensors file with the original key names, read under diffusers' names.

It offers what SafetensorsFolder does, so a Checkpoint need not know which of them it has. Also here: finding
such files in a folder, by what they hold, not by how they are called.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kleinbild.checkpoint.original_keys import PREFIX, TRANSFORMER_MARK, VAE_MARK, Slice
from kleinbild.checkpoint.safetensors import STORAGE, SafetensorsFile, TensorEntry
from kleinbild.errors import KleinbildError

MAX_FILES = 64  # of a folder are looked into

Slices = Callable[[str], tuple[Slice, ...]]


class OriginalTensors:
    """The tensors of `file` under diffusers' names; `slices` says which rows make one of them."""

    def __init__(self, file: SafetensorsFile, prefix: str, slices: Slices) -> None:
        self._file = file
        self._prefix = prefix
        self._slices = slices

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and all(self._key(s) in self._file.entries for s in self._slices(name))

    def entry(self, name: str) -> TensorEntry:
        """Dtype and shape; start and end are those of its bytes if they stood alone.

        Raises KleinbildError for a tensor that cannot be cut into its parts.
        """
        slices = self._slices(name)
        stored = self._file.entries[self._key(slices[0])]
        rows, *rest = stored.shape or (0,)
        if rows % slices[0].parts:
            raise KleinbildError(
                f"{self.label(name)} has {rows} rows, which are not {slices[0].parts} equal parts; "
                "fetch the file again"
            )
        if ".attentions." in name and rest[1:] == [1, 1]:
            del rest[1:]  # a 1x1 convolution where diffusers has a linear
        shape = (len(slices) * (rows // slices[0].parts), *rest)
        return TensorEntry(stored.dtype, shape, 0, math.prod(shape) * STORAGE[stored.dtype].itemsize)

    def files(self) -> set[SafetensorsFile]:
        """The one file."""
        return {self._file}

    def label(self, name: str) -> str:
        """File and key of the tensor, for a message."""
        return f"{self._file.path}: tensor {self._key(self._slices(name)[0])!r}"

    def read(self, name: str) -> npt.NDArray[Any]:
        """The tensor in its diffusers shape (SafetensorsFile.read)."""
        return self.read_rows(name, 0, self.entry(name).shape[0])

    def read_rows(self, name: str, first: int, count: int) -> npt.NDArray[Any]:
        """Rows [first, first + count) of it."""
        shape = self.entry(name).shape
        slices = self._slices(name)
        length = shape[0] // len(slices)
        parts = []
        for i, part in enumerate(slices):
            start, end = max(first, i * length), min(first + count, (i + 1) * length)
            if start < end:
                offset = part.part * length - i * length
                parts.append(self._file.read_rows(self._key(part), start + offset, end - start))
        rows = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return rows.reshape(count, *shape[1:])

    def _key(self, part: Slice) -> str:
        return self._prefix + part.key


def find_file(paths: list[Path], mark: str) -> tuple[SafetensorsFile, str] | None:
    """The one of `paths` that holds the key `mark`, and the prefix of its keys; None when none does.

    Raises KleinbildError when several do, or when one of them is no safetensors file.
    """
    found = []
    for path in paths[:MAX_FILES]:
        file = SafetensorsFile.open(path)
        prefix = next((prefix for prefix in ("", PREFIX) if prefix + mark in file.entries), None)
        if prefix is not None:
            found.append((file, prefix))
    if len(found) > 1:
        names = " and ".join(str(file.path) for file, _ in found)
        what = "a transformer" if mark == TRANSFORMER_MARK else "a VAE"
        raise KleinbildError(f"{names} each hold {what}; name the file to use, or leave one in the folder")
    return found[0] if found else None


def weight_files(folder: Path) -> list[Path]:
    """The .safetensors files right in `folder`, by name; none when there is no such folder."""
    return sorted(path for path in folder.glob("*.safetensors") if path.is_file())


def find_transformer(path: Path) -> tuple[SafetensorsFile, str] | None:
    """The transformer of the folder `path`, or the file `path` itself, if it has original key names."""
    return find_file([path] if path.is_file() else weight_files(path), TRANSFORMER_MARK)


def find_vae(folder: Path) -> tuple[SafetensorsFile, str] | None:
    """The VAE with original key names in the folder vae of `folder`, or, where that has none, beside it."""
    return find_file(weight_files(folder / "vae") or weight_files(folder), VAE_MARK)
