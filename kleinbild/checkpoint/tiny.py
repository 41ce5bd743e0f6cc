"""The model of the tests: models/tiny holds its configs and tokenizer, this makes its weights.

The weights are random and the same everywhere, so every picture can be compared. It draws colour patterns,
not what the prompt says; models/mini is the one that has learned to.
"""

from __future__ import annotations

from pathlib import Path

from kleinbild.checkpoint.synthetic import MODELS, copy_configs, write_random_weights

TINY_FOLDER = MODELS / "tiny"
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
    copy_configs(TINY_FOLDER, out)
    write_random_weights(out, SEEDS)
