"""What an export reads from, and what it may be asked for.

`WeightSource` is the part of a checkpoint that the exporter needs, so that it depends on no file format of
weights; `Checkpoint` satisfies it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from kleinbild.config import ModelConfig
from kleinbild.errors import KleinbildError
from kleinbild.notice import Notice
from kleinbild.suggestions import Suggestions
from kleinbild.weights import BLOCK_SIZES

FLOAT32_MAX = float(np.finfo(np.float32).max)

Variant = Literal["q4", "f16", "f32"]


class TensorSource(Protocol):
    """Canonical tensors in float32 (kleinbild.canonical)."""

    @property
    def config(self) -> ModelConfig:
        """The model's numbers."""
        ...

    def tensor(self, stage: str, name: str) -> npt.NDArray[np.float32]:
        """One canonical tensor; a linear is [N out, K in]."""
        ...

    def rows(self, stage: str, name: str, first: int, count: int) -> npt.NDArray[np.float32]:
        """Rows [first, first + count) of one canonical tensor that is no vector."""
        ...


class WeightSource(TensorSource, Protocol):
    """A model to export. Several threads may read its tensors at once."""

    @property
    def name(self) -> str:
        """The model's name, for people."""
        ...

    @property
    def notice(self) -> Notice:
        """What a user must be told about the model; {} when nothing."""
        ...

    @property
    def suggestions(self) -> Suggestions:
        """Prompts and sizes that suit the model."""
        ...

    @property
    def tokenizer_folder(self) -> Path:
        """The folder whose files are the tokenizer."""
        ...

    def check(self) -> None:
        """Raises KleinbildError when a tensor is missing or of the wrong shape."""
        ...

    def stored_bytes(self, stage: str, name: str) -> int:
        """Bytes that one canonical tensor takes where it is stored."""
        ...

    def identity(self) -> dict[str, object]:
        """What tells this source from a changed one without reading its weights, as JSON values."""
        ...


@dataclass(frozen=True)
class Options:
    """How weights are stored; block_size, symmetric and all_q4 count for q4 alone.

    all_q4: the transformer's linears outside its blocks too. context_clip: largest magnitude of the text
    encoder's output, 0 for any.
    """

    weights: Variant = "q4"
    block_size: int = 16
    symmetric: bool = False
    all_q4: bool = False
    context_clip: float = 0.0

    @property
    def activation(self) -> int:
        """TensorProto's type of what enters a matmul."""
        return TensorProto.FLOAT if self.weights == "f32" else TensorProto.FLOAT16

    def __post_init__(self) -> None:
        """Raises KleinbildError for a value that no bundle can have."""
        if self.weights not in get_args(Variant):
            raise KleinbildError(f"weights {self.weights!r}: expected one of {', '.join(get_args(Variant))}")
        if self.block_size not in BLOCK_SIZES:
            sizes = ", ".join(map(str, BLOCK_SIZES))
            raise KleinbildError(f"block size {self.block_size!r}: expected one of {sizes}")
        if self.all_q4 and self.weights != "q4":
            raise KleinbildError(f"all linears in 4 bits go with weights 'q4', not {self.weights!r}")
        if not 0 <= self.context_clip <= FLOAT32_MAX:
            raise KleinbildError(f"context clip {self.context_clip!r}: expected a number, 0 for none")
