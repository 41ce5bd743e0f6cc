"""Small random checkpoints of any shape, for the tests of export, bundle, package and page.

`make_checkpoint` starts from the config files of models/tiny, applies overrides and writes deterministic
weights, the same for the same arguments. Sizes that follow from one another (joint_attention_dim,
axes_dims_rope) follow unless they are overridden too. Nothing stops a test from asking for a checkpoint
that must be refused: weights are left out then (`weights=False`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kleinbild.checkpoint.checkpoint import WEIGHT_FILES
from kleinbild.checkpoint.random_weights import random_weight
from kleinbild.checkpoint.safetensors_writer import write_safetensors
from kleinbild.checkpoint.stored import BATCH_COUNT, stored_shapes
from kleinbild.checkpoint.tiny import TINY_FOLDER

REMOVE = object()  # an override with this value removes the key

Overrides = Mapping[str, Any]
NONE: Overrides = {}


def make_checkpoint(
    folder: Path,
    *,
    te: Overrides = NONE,
    transformer: Overrides = NONE,
    vae: Overrides = NONE,
    scheduler: Overrides = NONE,
    tokenizer: Overrides = NONE,
    model_index: Overrides = NONE,
    name: str = "test",
    dtype: str = "BF16",
    shards: int = 1,
    weights: bool = True,
) -> Path:
    """Writes a diffusers folder to `folder` and returns it.

    The overrides replace keys of text_encoder/config.json, transformer/config.json, and so on (REMOVE takes
    one away); without any, the sizes are those of models/tiny (text 28 layers x 32, transformer 2 heads x
    32, VAE 32,32,64,64). dtype: "BF16", "F16" or "F32"; shards > 1 spreads each model over that many files
    behind an index; `name` is the model's name and seeds its weights.
    """
    shutil.copytree(TINY_FOLDER, folder, dirs_exist_ok=True)
    text_config = _override(folder / "text_encoder" / "config.json", {"layer_types": REMOVE} | dict(te))
    head_dim = transformer.get("attention_head_dim", 32)
    tapped = model_index.get("text_encoder_out_layers", (9, 18, 27))
    implied = {
        "joint_attention_dim": len(tapped) * text_config.get("hidden_size", 32),
        "axes_dims_rope": [head_dim // 4] * 4,
    }
    _override(folder / "transformer" / "config.json", implied | dict(transformer))
    _override(folder / "vae" / "config.json", vae)
    _override(folder / "scheduler" / "scheduler_config.json", scheduler)
    _override(folder / "tokenizer" / "tokenizer_config.json", tokenizer)
    _override(folder / "model_index.json", {"name": name, "kleinbild_notice": REMOVE} | dict(model_index))
    if weights:
        shapes = stored_shapes(folder)
        for stage, (part, stem) in WEIGHT_FILES.items():
            tensors = {
                key: _stored(f"{name}/{part}", key, shape, dtype) for key, shape in shapes[stage].items()
            }
            write_model(folder / part, stem, tensors, shards)
    return folder


def write_model(
    folder: Path, stem: str, tensors: Mapping[str, tuple[str, npt.NDArray[Any]]], shards: int = 1
) -> None:
    """Writes `tensors`, name -> (dtype, array), as <stem>.safetensors or as `shards` files behind an
    index.
    """
    if shards == 1:
        write_safetensors(folder / f"{stem}.safetensors", tensors)
        return
    names = list(tensors)
    weight_map = {}
    for i in range(shards):
        file = f"{stem}-{i + 1:05}-of-{shards:05}.safetensors"
        part = names[i * len(names) // shards : (i + 1) * len(names) // shards]
        write_safetensors(folder / file, {key: tensors[key] for key in part})
        weight_map.update(dict.fromkeys(part, file))
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / f"{stem}.safetensors.index.json").write_text(json.dumps(index))


def _stored(seed: str, key: str, shape: tuple[int, ...], dtype: str) -> tuple[str, npt.NDArray[Any]]:
    if key == BATCH_COUNT:
        return "I64", np.zeros((), np.int64)
    return dtype, random_weight(seed, key, shape)


def _override(path: Path, values: Overrides) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(path.read_text())
    config.update(values)
    config = {key: value for key, value in config.items() if value is not REMOVE}
    path.write_text(json.dumps(config, indent=2))
    return config
