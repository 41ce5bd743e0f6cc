"""The config files that a checkpoint with original key names lacks, made up from what its tensors are.

Sizes are the tensors' shapes; the few numbers that no shape shows are FLUX.2 Klein 4B's as published, and
each of them is told. The result is what diffusers' files would be, so it passes the same checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

from kleinbild.checkpoint.configs import COMPONENTS, INDEX_FILE, MAX_LAYERS, VAE_BLOCKS, ConfigFiles
from kleinbild.checkpoint.json_file import ConfigFile
from kleinbild.checkpoint.original_keys import GUIDANCE_MARK
from kleinbild.checkpoint.safetensors import SafetensorsFile
from kleinbild.errors import KleinbildError

ROPE_AXES = 4
# FLUX.2 Klein 4B's, where neither a shape nor a config file tells.
ROPE_THETA = 2000
NORM_EPS = 1e-6
VAE_GROUPS = 32
BATCH_NORM_EPS = 1e-4
INDEX = {
    "_class_name": "Flux2KleinPipeline",
    "is_distilled": True,
    **{part: ["", classes[0]] for part, classes in COMPONENTS.items()},
}
SCHEDULER = {
    "_class_name": "FlowMatchEulerDiscreteScheduler",
    "use_dynamic_shifting": True,
    "time_shift_type": "exponential",
    "num_train_timesteps": 1000,
}


class Assumed:
    """Collects what was not in the checkpoint, a line each."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def config(self, path: Path, values: dict[str, Any], what: str) -> ConfigFile:
        """The config file at `path`, or `values` where there is none."""
        if path.is_file():
            return ConfigFile.read(path)
        self.lines.append(f"{path}: not there; {what} as published for FLUX.2 Klein 4B")
        return ConfigFile(path, values)


def transformer_config(file: SafetensorsFile, prefix: str, assumed: Assumed) -> ConfigFile:
    """transformer/config.json for the tensors of `file`; a config.json beside it may give the rope and eps.

    Raises KleinbildError naming a tensor that is missing or of another rank.
    """
    keys = _Shapes(file, prefix)
    if keys.has(GUIDANCE_MARK):
        raise KleinbildError(
            f"{file.path}: has the tensor {GUIDANCE_MARK!r}, so it is of another model than FLUX.2 Klein; "
            "use Klein's file"
        )
    hidden, in_channels = keys.shape("img_in.weight", 2)
    (head_dim,) = keys.shape("double_blocks.0.img_attn.norm.query_norm.scale", 1)
    mlp = keys.shape("double_blocks.0.img_mlp.2.weight", 2)[1]
    if hidden < 1 or head_dim < 1 or hidden % head_dim:
        raise KleinbildError(
            f"{file.path}: img_in has {hidden} rows, which are no heads of {head_dim}; fetch the file again"
        )
    given = _given(file.path.parent / "config.json")
    for key, value in (("axes_dims_rope", [head_dim // ROPE_AXES] * ROPE_AXES), ("rope_theta", ROPE_THETA)):
        if key not in given:
            assumed.lines.append(f'{file.path}: "{key}" is in no config.json; taken as published: {value}')
            given[key] = value
    values = given | {
        "_class_name": COMPONENTS["transformer"][0],
        "guidance_embeds": False,
        "in_channels": in_channels,
        "out_channels": keys.shape("final_layer.linear.weight", 2)[0],
        "num_attention_heads": hidden // head_dim,
        "attention_head_dim": head_dim,
        "num_layers": keys.blocks("double_blocks.{}.img_attn.qkv.weight"),
        "num_single_layers": keys.blocks("single_blocks.{}.linear1.weight"),
        "joint_attention_dim": keys.shape("txt_in.weight", 2)[1],
        "mlp_ratio": mlp / hidden,
        "timestep_guidance_channels": keys.shape("time_in.in_layer.weight", 2)[1],
    }
    return ConfigFile(file.path, {"eps": NORM_EPS} | values)


def vae_config(file: SafetensorsFile, prefix: str, assumed: Assumed) -> ConfigFile:
    """vae/config.json for the tensors of `file`; raises KleinbildError as transformer_config does."""
    keys = _Shapes(file, prefix)
    assumed.lines.append(
        f"{file.path}: no config.json tells the VAE's norms; taken as published: "
        f"{VAE_GROUPS} groups, batch norm eps {BATCH_NORM_EPS}"
    )
    values = {
        "_class_name": COMPONENTS["vae"][0],
        "latent_channels": keys.shape("decoder.conv_in.weight", 4)[1],
        "block_out_channels": [
            keys.shape(f"decoder.up.{level}.block.0.conv1.weight", 4)[0] for level in range(VAE_BLOCKS)
        ],
        # The decoder has one residual block a level more than the config says.
        "layers_per_block": keys.blocks("decoder.up.0.block.{}.conv1.weight") - 1,
        "norm_num_groups": VAE_GROUPS,
        "batch_norm_eps": BATCH_NORM_EPS,
    }
    return ConfigFile(file.path, values)


def original_configs(folder: Path, transformer: ConfigFile, vae: ConfigFile, assumed: Assumed) -> ConfigFiles:
    """All config files of a checkpoint in `folder` whose transformer has original key names."""
    return ConfigFiles(
        index=assumed.config(folder / INDEX_FILE, dict(INDEX), "the pipeline"),
        tokenizer=ConfigFile.read(folder / "tokenizer" / "tokenizer_config.json"),
        text_encoder=ConfigFile.read(folder / "text_encoder" / "config.json"),
        transformer=transformer,
        vae=vae,
        scheduler=assumed.config(
            folder / "scheduler" / "scheduler_config.json", dict(SCHEDULER), "the scheduler"
        ),
    )


def _given(path: Path) -> dict[str, Any]:
    """What a config.json beside the file says of the numbers that no shape shows."""
    if not path.is_file():
        return {}
    values = ConfigFile.read(path).values
    return {key: values[key] for key in ("axes_dims_rope", "rope_theta", "eps") if key in values}


class _Shapes:
    """Shapes of the tensors of a file, and counts of numbered ones."""

    def __init__(self, file: SafetensorsFile, prefix: str) -> None:
        self._file = file
        self._prefix = prefix

    def has(self, key: str) -> bool:
        return self._prefix + key in self._file.entries

    def shape(self, key: str, rank: int) -> Sequence[int]:
        if not self.has(key):
            raise KleinbildError(f"{self._file.path}: tensor {key!r} is missing; fetch the file again")
        shape = self._file.entries[self._prefix + key].shape
        if len(shape) != rank:
            raise KleinbildError(
                f"{self._file.path}: tensor {key!r} is {list(shape)}, expected {rank} axes; fetch it again"
            )
        return shape

    def blocks(self, key: str) -> int:
        """How many of key.format(0), key.format(1), ... there are, at most one too many."""
        return next(i for i in count() if i > MAX_LAYERS or not self.has(key.format(i)))
