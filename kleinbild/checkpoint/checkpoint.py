"""A checkpoint of FLUX.2 Klein as canonical tensors (kleinbild.canonical) in float32.

It is a diffusers folder, or has transformer and VAE as single files with the original key names.

Opening reads every config file and every header; `check` compares names and shapes; weights are read one at
a time by `tensor`, or some rows at a time by `rows`. What the page does not use (later text layers, final
norm, lm_head, VAE encoder) is never looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kleinbild.canonical import STAGES, TensorSpec, expected_tensors
from kleinbild.checkpoint.configs import (
    INDEX_FILE,
    VAE_BLOCKS,
    ConfigFiles,
    model_config,
    read_index_notice,
    read_index_suggestions,
    read_name,
)
from kleinbild.checkpoint.json_file import ConfigFile
from kleinbild.checkpoint.original import OriginalTensors, find_transformer, find_vae
from kleinbild.checkpoint.original_configs import (
    Assumed,
    original_configs,
    transformer_config,
    vae_config,
)
from kleinbild.checkpoint.original_keys import transformer_slices, vae_slices
from kleinbild.checkpoint.safetensors import FLOAT_DTYPES, SafetensorsFile, SafetensorsFolder, TensorEntry
from kleinbild.config import ModelConfig, config_to_json
from kleinbild.errors import KleinbildError
from kleinbild.notice import Notice
from kleinbild.suggestions import Suggestions
from kleinbild.weights import all_finite

# Stage -> folder and file stem of its weights (the libraries' own names).
WEIGHT_FILES = {
    "text_encoder": ("text_encoder", "model"),
    "transformer": ("transformer", "diffusion_pytorch_model"),
    "vae_decoder": ("vae", "diffusion_pytorch_model"),
}
# The canonical batch norm tensors are made from the stored statistics.
STORED_NAMES = {"bn.scale": "bn.running_var", "bn.mean": "bn.running_mean"}

PROBLEMS_SHOWN = 5


class StoredTensors(Protocol):
    """The tensors of a stage by their diffusers names, whatever they are called in the file."""

    def __contains__(self, name: object) -> bool: ...

    def entry(self, name: str) -> TensorEntry:
        """Dtype and shape."""
        ...

    def files(self) -> set[SafetensorsFile]:
        """The files that hold the tensors."""
        ...

    def label(self, name: str) -> str:
        """File and tensor, for a message; the tensor may be missing."""
        ...

    def read(self, name: str) -> npt.NDArray[Any]:
        """The whole tensor."""
        ...

    def read_rows(self, name: str, first: int, count: int) -> npt.NDArray[Any]:
        """Rows [first, first + count)."""
        ...


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint folder; `expected` is expected_tensors(config)."""

    folder: Path
    config: ModelConfig
    name: str
    notice: Notice
    suggestions: Suggestions
    expected: dict[str, dict[str, TensorSpec]]
    # What the checkpoint left open and was taken as published, a line each, for people.
    assumed: tuple[str, ...]
    _weights: dict[str, StoredTensors]

    @staticmethod
    def open(path: Path) -> Checkpoint:
        """Opens the checkpoint `path`; reads configs and headers, no weights.

        `path` is a diffusers folder, or one that holds the transformer as a .safetensors file with the
        original key names in place of the folder transformer, or that file in such a folder. Raises
        KleinbildError naming the file (and key or tensor) that is missing, damaged or not implemented.
        """
        if path.is_file() or not (path / WEIGHT_FILES["transformer"][0]).is_dir():
            found = find_transformer(path)
            if found is not None:
                return _open_original(path, *found)
        if not (path / INDEX_FILE).is_file():
            raise KleinbildError(
                f"{path}: no {INDEX_FILE} in it, nor a transformer with the original key names; "
                "give the folder of a whole checkpoint"
            )
        return _opened(path, ConfigFiles.read(path), _stage_folders(path))

    @property
    def tokenizer_folder(self) -> Path:
        """The folder of tokenizer.json and tokenizer_config.json."""
        return self.folder / "tokenizer"

    def check(self) -> None:
        """Checks that every expected tensor is there, in its shape, without reading weights.

        Raises one KleinbildError that lists the first few that are not.
        """
        problems = [problem for stage in STAGES for problem in self._problems(stage)]
        if not (self.tokenizer_folder / "tokenizer.json").is_file():
            problems.append(f"{self.tokenizer_folder / 'tokenizer.json'}: no such file")
        if problems:
            shown = "; ".join(problems[:PROBLEMS_SHOWN])
            more = len(problems) - PROBLEMS_SHOWN
            raise KleinbildError(
                f"{self.folder}: {shown}{f'; and {more} more' if more > 0 else ''}. "
                "Fetch the whole checkpoint again, all its files from one revision"
            )

    def tensor(self, stage: str, name: str) -> npt.NDArray[np.float32]:
        """The canonical tensor `name` of `stage`, float32, in the shape `expected` gives.

        Raises KleinbildError naming it when it is missing, of another shape, or holds NaN or infinity.
        """
        weights, stored_name, where = self._stored(stage, name)
        array = _to_float32(weights.read(stored_name), where)
        if name == "bn.scale":
            if array.min() < 0:
                raise KleinbildError(f"{where} holds a variance below zero; fetch the file again")
            array = np.sqrt(array + np.float32(self.config.vae_decoder.batch_norm_eps))
        return array

    def rows(self, stage: str, name: str, first: int, count: int) -> npt.NDArray[np.float32]:
        """Rows [first, first + count) of the canonical tensor `name`, which is no vector.

        Raises KleinbildError as `tensor` does.
        """
        assert self.expected[stage][name].kind != "vector", name
        weights, stored_name, where = self._stored(stage, name)
        return _to_float32(weights.read_rows(stored_name, first, count), where)

    def stored_bytes(self, stage: str, name: str) -> int:
        """Bytes of the tensor `name` in its file; raises KleinbildError when it is missing."""
        weights, stored_name, _ = self._stored(stage, name)
        entry = weights.entry(stored_name)
        return entry.end - entry.start

    def identity(self) -> dict[str, object]:
        """What changes when the checkpoint does, as JSON values: configs, headers, size and time of files.

        No weight is read for it: a file that was changed without changing its time is not noticed.
        """
        files = {file for weights in self._weights.values() for file in weights.files()}
        tokenizer = sorted(path for path in self.tokenizer_folder.iterdir() if path.is_file())
        return {
            "name": self.name,
            "notice": self.notice,
            "suggestions": asdict(self.suggestions),
            "config": config_to_json(self.config),
            "headers": sorted(file.header_sha256 for file in files),
            "files": {
                str(path.relative_to(self.folder)): [path.stat().st_size, path.stat().st_mtime_ns]
                for path in (*sorted(file.path for file in files), *tokenizer)
            },
        }

    def _stored(self, stage: str, name: str) -> tuple[StoredTensors, str, str]:
        """Where the tensor is stored, its name there, and both for a message."""
        problem = self._problem(stage, name)
        if problem is not None:
            raise KleinbildError(f"{problem}; fetch the file again")
        stored_name = self._stored_name(stage, name)
        weights = self._weights[stage]
        return weights, stored_name, weights.label(stored_name)

    def _stored_name(self, stage: str, name: str) -> str:
        """Name of the tensor in the file: a bare Qwen3Model is saved without the leading "model."."""
        weights = self._weights[stage]
        name = STORED_NAMES.get(name, name)
        bare = name.removeprefix("model.")
        if stage == "text_encoder" and name not in weights and bare in weights:
            return bare
        return name

    def _problem(self, stage: str, name: str) -> str | None:
        spec = self.expected[stage][name]
        stored_name = self._stored_name(stage, name)
        weights = self._weights[stage]
        if stored_name not in weights:
            return f"{weights.label(stored_name)} is missing"
        entry = weights.entry(stored_name)
        where = weights.label(stored_name)
        if entry.shape != spec.shape:
            return f"{where} is {list(entry.shape)}, the config files make it {list(spec.shape)}"
        if entry.dtype not in FLOAT_DTYPES:
            return f"{where} is {entry.dtype}, expected one of {', '.join(FLOAT_DTYPES)}"
        return None

    def _problems(self, stage: str) -> Iterator[str]:
        for name in self.expected[stage]:
            problem = self._problem(stage, name)
            if problem is not None:
                yield problem


def is_checkpoint(path: Path) -> bool:
    """Whether `path` looks like a checkpoint; raises KleinbildError for a damaged .safetensors file."""
    return (path / INDEX_FILE).is_file() or find_transformer(path) is not None


def _open_original(path: Path, file: SafetensorsFile, prefix: str) -> Checkpoint:
    """The checkpoint around the transformer `file`, whose keys begin with `prefix`."""
    folder = path.parent if path.is_file() else path
    assumed = Assumed()
    transformer = transformer_config(file, prefix, assumed)
    part, stem = WEIGHT_FILES["vae_decoder"]
    vae = find_vae(folder)
    own_config = folder / part / "config.json"
    vae_file = ConfigFile.read(own_config) if own_config.is_file() or not vae else vae_config(*vae, assumed)
    configs = original_configs(folder, transformer, vae_file, assumed)
    weights: dict[str, StoredTensors] = {
        "text_encoder": SafetensorsFolder.open(folder / "text_encoder", WEIGHT_FILES["text_encoder"][1]),
        "transformer": OriginalTensors(file, prefix, transformer_slices),
        "vae_decoder": OriginalTensors(*vae, lambda name: vae_slices(name, VAE_BLOCKS))
        if vae
        else SafetensorsFolder.open(folder / part, stem),
    }
    own_name = file.path.stem if path.is_file() else None
    return _opened(folder, configs, weights, own_name, tuple(assumed.lines))


def _stage_folders(folder: Path) -> dict[str, StoredTensors]:
    return {
        stage: SafetensorsFolder.open(folder / part, stem) for stage, (part, stem) in WEIGHT_FILES.items()
    }


def _opened(
    folder: Path,
    configs: ConfigFiles,
    weights: dict[str, StoredTensors],
    own_name: str | None = None,
    assumed: tuple[str, ...] = (),
) -> Checkpoint:
    config = model_config(configs)
    return Checkpoint(
        folder=folder,
        config=config,
        name=read_name(configs.index, own_name),
        notice=read_index_notice(configs.index),
        suggestions=read_index_suggestions(configs.index),
        expected=expected_tensors(config),
        assumed=assumed,
        _weights=weights,
    )


def _to_float32(array: npt.NDArray[Any], where: str) -> npt.NDArray[np.float32]:
    """`array` as float32; raises KleinbildError when a value is NaN or infinite there."""
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinity and is refused
        values = array.astype(np.float32, copy=False)
    if not all_finite(values):
        raise KleinbildError(f"{where} holds NaN or infinity; fetch the file again")
    return values
