"""The ModelConfig of a bundle: from its graphs and flux2-config.json, compared with what both claim.

Another exporter's bundle tells every number by its graphs; what they cannot tell (the prompt's template) is
fixed for FLUX.2 Klein, as it is for a checkpoint. Our own bundles record the ModelConfig, which must agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from math import isclose
from typing import Any

from kleinbild.bundle.config_checks import check_config
from kleinbild.bundle.flux2_config import CONFIG_FILE, BundleRecord
from kleinbild.bundle.recognise import Recognised
from kleinbild.checkpoint.configs import PROMPT, VAE_BLOCKS
from kleinbild.config import ModelConfig, SchedulerConfig
from kleinbild.errors import KleinbildError

TIMESTEPS = 1000
# Not in the graphs: the batch norm is folded, and a rotary axis of one frequency tells no theta.
UNTOLD = ("vae_decoder.batch_norm_eps",)
SINGLE_FREQUENCY = 2


def model_config(record: BundleRecord, found: Recognised) -> ModelConfig:
    """The ModelConfig; raises KleinbildError naming the number that contradicts another."""
    where = str(record.folder / CONFIG_FILE)
    scale = found.transformer.timestep_scale
    if not isclose(scale, TIMESTEPS, rel_tol=1e-3):
        raise KleinbildError(
            f"{where}: the transformer counts {scale:g} timesteps; only {TIMESTEPS} is implemented"
        )
    config = ModelConfig(
        text_encoder=found.text_encoder,
        transformer=found.transformer.config,
        vae_decoder=found.vae_decoder,
        scheduler=SchedulerConfig(num_train_timesteps=TIMESTEPS),
        prompt=replace(PROMPT, text_seq_len=record.text_seq_len, context_clip=_context_clip(record, found)),
        default_width=record.default_width,
        default_height=record.default_height,
        default_steps=record.num_steps,
    )
    levels = len(config.vae_decoder.block_out_channels)
    if levels != VAE_BLOCKS:
        raise KleinbildError(f"{where}: a VAE decoder of {levels} levels; only {VAE_BLOCKS} is implemented")
    told = {
        "context_dim": config.transformer.joint_attention_dim,
        "latent_channels": config.transformer.in_channels,
        "latent_downsample": 2 ** (levels - 1) * config.vae_decoder.patch_size,
    }
    for key, claim in record.claims.items():
        if claim != told[key]:
            raise KleinbildError(f'{where}: "{key}" is {claim}, but the graphs have {told[key]}')
    check_config(config, f"{record.folder}: the graphs' numbers")
    if record.own is None:
        return config
    clip = config.prompt.context_clip
    for name, recorded, derived in _differences(asdict(record.own.config), asdict(config), ""):
        if name not in _untold(config):
            raise KleinbildError(
                f"{where}: kleinbild.config.{name} is {recorded}, but the graphs have {derived}; "
                "the record contradicts the graphs, export the bundle again"
            )
    return replace(record.own.config, prompt=replace(record.own.config.prompt, context_clip=clip))


def _context_clip(record: BundleRecord, found: Recognised) -> float:
    """The narrower of what the graph clips to and what is to be clipped to after it; 0: neither does."""
    return min((limit for limit in (record.context_clip, found.context_clip) if limit), default=0.0)


def _untold(config: ModelConfig) -> set[str]:
    names = set(UNTOLD)
    if max(config.transformer.axes_dims_rope) <= SINGLE_FREQUENCY:
        names.add("transformer.rope_theta")
    if config.text_encoder.head_dim <= SINGLE_FREQUENCY:
        names.add("text_encoder.rope_theta")
    # The template is no number of a graph's; what a user sets by default may be changed by hand. The context
    # is clipped to what the file says now, or narrower.
    return names | {"prompt.template_prefix", "prompt.template_suffix", "prompt.context_clip"}


def _differences(
    recorded: dict[str, Any], derived: dict[str, Any], path: str
) -> Iterator[tuple[str, Any, Any]]:
    for key, value in recorded.items():
        name = f"{path}{key}"
        if isinstance(value, dict):
            yield from _differences(value, derived[key], f"{name}.")
        elif isinstance(value, float):
            if not isclose(value, derived[key], rel_tol=1e-3):
                yield name, value, derived[key]
        elif value != derived[key]:
            yield name, value, derived[key]
