"""The small model of the project: models/tiny holds its configs and tokenizer, this makes its weights.

The weights are random and the same everywhere, so a build needs no download and every picture can be
compared. It draws colour patterns, not what the prompt says; it stands in where a trained model of this
size would.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from kleinbild.checkpoint.checkpoint import WEIGHT_FILES
from kleinbild.checkpoint.random_weights import random_weight
from kleinbild.checkpoint.safetensors_writer import write_safetensors
from kleinbild.checkpoint.stored import BATCH_COUNT, stored_shapes
from kleinbild.errors import KleinbildError

TINY_FOLDER = Path(__file__).resolve().parents[2] / "models" / "tiny"
# Stage -> seed of its weights; the names are those of the golden data that was made with these weights.
SEEDS = {
    "text_encoder": "tiny-hd32/text_encoder",
    "transformer": "tiny-hd32/transformer",
    "vae_decoder": "tiny/vae",
}


def write_tiny_checkpoint(out: Path) -> None:
    """Writes the tiny checkpoint to the folder `out` (5 MB, diffusers layout, bf16), over what is there.

    Raises KleinbildError when models/tiny is not beside the package.
    """
    if not (TINY_FOLDER / "model_index.json").is_file():
        raise KleinbildError(f"{TINY_FOLDER}: no config files of the tiny model; use a whole source tree")
    shutil.copytree(TINY_FOLDER, out, dirs_exist_ok=True)
    shapes = stored_shapes(out)
    for stage, (part, stem) in WEIGHT_FILES.items():
        tensors = {
            name: ("I64", np.zeros((), np.int64))
            if name == BATCH_COUNT
            else ("BF16", random_weight(SEEDS[stage], name, shape))
            for name, shape in sorted(shapes[stage].items())
        }
        write_safetensors(out / part / f"{stem}.safetensors", tensors)
