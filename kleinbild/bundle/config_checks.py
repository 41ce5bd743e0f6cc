"""Whether the ModelConfig recorded in a bundle, or read from its graphs, can be a model's at all.

`config_from_json` has seen to names and types; the numbers still come from whoever made the bundle. They
decide which tensors are looked for, how large, and what the page computes, so each is bounded and the
relations that the architecture implies must hold.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from kleinbild.checkpoint.configs import HEAD_DIM_STEP
from kleinbild.config import ModelConfig
from kleinbild.errors import KleinbildError

MAX_NUMBER = 1 << 20
MAX_LAYERS = 1 << 10
MAX_LIST = 64
MAX_TEXT = 4096
ZERO_IS_OFF = ("prompt.context_clip",)
IMAGE_CHANNELS = 3


def check_config(config: ModelConfig, where: str) -> None:
    """Raises KleinbildError naming the first field of `config` that cannot be; `where` names its place."""
    for field, value in _leaves(config, ""):
        problem = _problem_of_value(field, value)
        if problem is not None:
            raise KleinbildError(f"{where}.{field}: {problem}")
    for problem in _problems_of_relations(config):
        raise KleinbildError(
            f"{where}: {problem}; the numbers contradict one another, export the bundle again"
        )


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if is_dataclass(value):
        for field in fields(value):
            yield from _leaves(getattr(value, field.name), f"{path}.{field.name}" if path else field.name)
    else:
        yield path, value


def _problem_of_value(field: str, value: Any) -> str | None:
    if isinstance(value, str):
        return None if len(value) <= MAX_TEXT else f"more than {MAX_TEXT} characters"
    if isinstance(value, tuple):
        if not 1 <= len(value) <= MAX_LIST:
            return f"{len(value)} entries, expected 1 to {MAX_LIST}"
        return next((p for p in (_problem_of_value(field, v) for v in value) if p is not None), None)
    if field in ZERO_IS_OFF and value == 0:
        return None
    if isinstance(value, float):
        return None if math.isfinite(value) and value > 0 else f"{value!r}, expected a finite number above 0"
    limit = MAX_LAYERS if "layers" in field.rpartition(".")[2] else MAX_NUMBER
    return None if 1 <= value <= limit else f"{value!r}, expected a whole number from 1 to {limit}"


def _problems_of_relations(config: ModelConfig) -> Iterator[str]:
    text, tr, vae = config.text_encoder, config.transformer, config.vae_decoder
    taps = text.tapped_layers
    if list(taps) != sorted(set(taps)) or taps[-1] != text.num_layers:
        yield f"tapped_layers {list(taps)} do not ascend to num_layers {text.num_layers}"
    if text.num_attention_heads % text.num_key_value_heads:
        yield "text_encoder.num_attention_heads is no multiple of num_key_value_heads"
    for field, head_dim in (
        ("text_encoder.head_dim", text.head_dim),
        ("transformer.attention_head_dim", tr.attention_head_dim),
    ):
        if head_dim % HEAD_DIM_STEP:
            yield f"{field} {head_dim} is no multiple of {HEAD_DIM_STEP}"
    if tr.hidden_size != tr.num_attention_heads * tr.attention_head_dim:
        yield "transformer.hidden_size is not num_attention_heads times attention_head_dim"
    axes = tr.axes_dims_rope
    if len(axes) != 4 or sum(axes) != tr.attention_head_dim or any(axis % 2 for axis in axes):
        yield f"axes_dims_rope {list(axes)} are not four even parts of attention_head_dim"
    if tr.timestep_channels % 2:
        yield "transformer.timestep_channels is odd"
    if tr.joint_attention_dim != len(taps) * text.hidden_size:
        yield "transformer.joint_attention_dim is not the width of the tapped text layers"
    if not tr.in_channels == tr.out_channels == vae.latent_channels * vae.patch_size**2:
        yield "the transformer's channels are not the VAE's latent channels in patches"
    if vae.out_channels != IMAGE_CHANNELS:
        yield f"vae_decoder.out_channels is {vae.out_channels}, not {IMAGE_CHANNELS}"
    if any(width % vae.norm_num_groups for width in vae.block_out_channels):
        yield "vae_decoder.block_out_channels are no multiples of norm_num_groups"
