"""A diffusers folder of FLUX.2 Klein as canonical tensors (kleinbild.canonical) in float32.

Opening reads every config file and every header; `check` compares names and shapes; weights are read one at
a time by `tensor`. What the page does not use (later text layers, final norm, lm_head, VAE encoder) is
never looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kleinbild.canonical import STAGES, TensorSpec, expected_tensors
from kleinbild.checkpoint.configs import read_model_config, read_name, read_notice
from kleinbild.checkpoint.safetensors import FLOAT_DTYPES, SafetensorsFolder
from kleinbild.config import ModelConfig
from kleinbild.errors import KleinbildError

# Stage -> folder and file stem of its weights (the libraries' own names).
WEIGHT_FILES = {
    "text_encoder": ("text_encoder", "model"),
    "transformer": ("transformer", "diffusion_pytorch_model"),
    "vae_decoder": ("vae", "diffusion_pytorch_model"),
}
# The canonical batch norm tensors are made from the stored statistics.
STORED_NAMES = {"bn.scale": "bn.running_var", "bn.mean": "bn.running_mean"}

PROBLEMS_SHOWN = 5
FINITE_CHUNK_ELEMENTS = 1 << 22


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint folder; `expected` is expected_tensors(config)."""

    folder: Path
    config: ModelConfig
    name: str
    notice: str
    expected: dict[str, dict[str, TensorSpec]]
    _weights: dict[str, SafetensorsFolder]

    @staticmethod
    def open(folder: Path) -> Checkpoint:
        """Opens the diffusers folder `folder`; reads configs and headers, no weights.

        Raises KleinbildError naming the file (and key or tensor) that is missing, damaged or not implemented.
        """
        if not (folder / "model_index.json").is_file():
            raise KleinbildError(
                f"{folder}: no model_index.json in it; give the folder of a whole diffusers checkpoint"
            )
        config = read_model_config(folder)
        return Checkpoint(
            folder=folder,
            config=config,
            name=read_name(folder),
            notice=read_notice(folder),
            expected=expected_tensors(config),
            _weights={
                stage: SafetensorsFolder.open(folder / part, stem)
                for stage, (part, stem) in WEIGHT_FILES.items()
            },
        )

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
        problem = self._problem(stage, name)
        if problem is not None:
            raise KleinbildError(f"{problem}; fetch the file again")
        stored_name = self._stored_name(stage, name)
        weights = self._weights[stage]
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinity and is refused below
            array = weights.read(stored_name).astype(np.float32, copy=False)
        where = f"{weights.path(stored_name)}: tensor {stored_name!r}"
        if not _all_finite(array):
            raise KleinbildError(f"{where} holds NaN or infinity; fetch the file again")
        if name == "bn.scale":
            if array.min() < 0:
                raise KleinbildError(f"{where} holds a variance below zero; fetch the file again")
            array = np.sqrt(array + np.float32(self.config.vae_decoder.batch_norm_eps))
        return array

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
            return f"{self.folder / WEIGHT_FILES[stage][0]}: tensor {stored_name!r} is missing"
        entry = weights.entry(stored_name)
        where = f"{weights.path(stored_name)}: tensor {stored_name!r}"
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


def _all_finite(array: npt.NDArray[np.float32]) -> bool:
    """Whether no value is NaN or infinite, in chunks: the embedding table alone has 389 million values."""
    flat = array.reshape(-1)
    chunks = range(0, flat.size, FINITE_CHUNK_ELEMENTS)
    return all(bool(np.isfinite(flat[i : i + FINITE_CHUNK_ELEMENTS]).all()) for i in chunks)
