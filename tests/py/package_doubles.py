"""A model that packaging can read without a bundle: a checkpoint's tensors, dense or crudely quantised."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from kleinbild.canonical import expected_tensors
from kleinbild.checkpoint.checkpoint import Checkpoint
from kleinbild.config import ModelConfig
from kleinbild.notice import Notice
from kleinbild.suggestions import Suggestions
from kleinbild.weights import Q4, Dense, Weight

Q4_BLOCK = 16


SUGGESTIONS = Suggestions(("a fox & <b>",), ((128, 128), (256, 128)))


@dataclass(frozen=True)
class ModelDouble:
    """`checkpoint` in float16, linears of the transformer in q4; `changed` replaces single tensors."""

    checkpoint: Checkpoint
    config: ModelConfig
    tokenizer_folder: Path
    changed: dict[str, Weight]
    name: str = "Tiny FLUX.2 Klein"
    notice: Notice = field(default_factory=lambda: {"en": "Draws patterns <only> & nothing else."})
    suggestions: Suggestions = SUGGESTIONS
    weights_kind: str = "q4"

    def tensor(self, stage: str, name: str) -> Weight:
        """The tensor in the format that its stage and kind call for."""
        if name in self.changed:
            return self.changed[name]
        array = self.checkpoint.tensor(stage, name)
        if stage == "transformer" and expected_tensors(self.config)[stage][name].kind == "linear":
            return crude_q4(array.shape[0], array.shape[1], float(np.abs(array).max()))
        return Dense(array.astype(np.float16))

    def but(self, **changed: Weight) -> ModelDouble:
        """The same model with other tensors; "__" stands for a dot."""
        return replace(self, changed={name.replace("__", "."): w for name, w in changed.items()})


def crude_q4(rows: int, columns: int, scale: float) -> Q4:
    """Codes that count up, one scale, no zero points: packaging looks at none of them."""
    blocks = -(-columns // Q4_BLOCK)
    codes = np.arange(rows * blocks * Q4_BLOCK // 2).astype(np.uint8).reshape(rows, blocks, Q4_BLOCK // 2)
    return Q4((rows, columns), Q4_BLOCK, codes, np.full((rows, blocks), scale, np.float16), None)


def model_double(checkpoint_folder: Path) -> ModelDouble:
    """The double of the checkpoint in `checkpoint_folder`."""
    checkpoint = Checkpoint.open(checkpoint_folder)
    return ModelDouble(checkpoint, checkpoint.config, checkpoint.tokenizer_folder, {})
