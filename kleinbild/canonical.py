"""The canonical tensors of a model: every name, kind and shape that follows from its ModelConfig.

A checkpoint is read into these tensors, a bundle is reduced to them, and the packager lays them out as
shards. Names are the diffusers and transformers keys; a linear is [out, in], a convolution [O, I, kh, kw].
Each stage lists its tensors in order of use, which is the order of the shards. This file holds no weights
and reads no files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from kleinbild.config import ModelConfig, TextEncoderConfig, TransformerConfig, VaeDecoderConfig

Kind = Literal["linear", "vector", "conv", "embedding", "table"]
StageName = Literal["text_encoder", "transformer", "vae_decoder"]

STAGES: tuple[StageName, ...] = ("text_encoder", "transformer", "vae_decoder")
EMBEDDING = "model.embed_tokens.weight"
TIMESTEP_EMBEDDER = (
    "time_guidance_embed.timestep_embedder.linear_1.weight",
    "time_guidance_embed.timestep_embedder.linear_2.weight",
)
# The modulation linears and how many hidden-size vectors each gives, in the order of the table's columns.
MODULATION = {
    "double_stream_modulation_img.linear.weight": 6,
    "double_stream_modulation_txt.linear.weight": 6,
    "single_stream_modulation.linear.weight": 3,
    "norm_out.linear.weight": 2,
}
# The linears whose results depend on the timestep alone.
TIMESTEP_LINEARS = (*TIMESTEP_EMBEDDER, *MODULATION)


@dataclass(frozen=True)
class TensorSpec:
    """What one canonical tensor must be: its kind says how it is used and laid out.

    A "table" is no weight of the model but computed from them by the packager, and never canonical.
    """

    kind: Kind
    shape: tuple[int, ...]


Named = Iterator[tuple[str, TensorSpec]]


def expected_tensors(config: ModelConfig) -> dict[str, dict[str, TensorSpec]]:
    """Stage name -> tensor name -> TensorSpec, stages and tensors in order of use."""
    return {
        "text_encoder": dict(_text_encoder(config.text_encoder)),
        "transformer": dict(_transformer(config.transformer)),
        "vae_decoder": dict(_vae_decoder(config.vae_decoder)),
    }


def modulation_columns(config: TransformerConfig) -> int:
    """Values that modulate one step: all hidden-size vectors of MODULATION."""
    return sum(MODULATION.values()) * config.hidden_size


def _linear(name: str, rows: int, columns: int) -> tuple[str, TensorSpec]:
    return f"{name}.weight", TensorSpec("linear", (rows, columns))


def _vector(name: str, size: int) -> tuple[str, TensorSpec]:
    return name, TensorSpec("vector", (size,))


def _conv(name: str, rows: int, channels: int, kernel: int) -> Named:
    yield f"{name}.weight", TensorSpec("conv", (rows, channels, kernel, kernel))
    yield _vector(f"{name}.bias", rows)


def _affine(name: str, size: int) -> Named:
    yield _vector(f"{name}.weight", size)
    yield _vector(f"{name}.bias", size)


def _text_encoder(c: TextEncoderConfig) -> Named:
    yield EMBEDDING, TensorSpec("embedding", (c.vocab_size, c.hidden_size))
    query_size = c.num_attention_heads * c.head_dim
    key_size = c.num_key_value_heads * c.head_dim
    for i in range(c.num_layers):
        layer = f"model.layers.{i}"
        yield _vector(f"{layer}.input_layernorm.weight", c.hidden_size)
        yield _linear(f"{layer}.self_attn.q_proj", query_size, c.hidden_size)
        yield _linear(f"{layer}.self_attn.k_proj", key_size, c.hidden_size)
        yield _linear(f"{layer}.self_attn.v_proj", key_size, c.hidden_size)
        yield _vector(f"{layer}.self_attn.q_norm.weight", c.head_dim)
        yield _vector(f"{layer}.self_attn.k_norm.weight", c.head_dim)
        yield _linear(f"{layer}.self_attn.o_proj", c.hidden_size, query_size)
        yield _vector(f"{layer}.post_attention_layernorm.weight", c.hidden_size)
        yield _linear(f"{layer}.mlp.gate_proj", c.intermediate_size, c.hidden_size)
        yield _linear(f"{layer}.mlp.up_proj", c.intermediate_size, c.hidden_size)
        yield _linear(f"{layer}.mlp.down_proj", c.hidden_size, c.intermediate_size)


def _transformer(c: TransformerConfig) -> Named:
    d, mlp, head = c.hidden_size, c.mlp_hidden_size, c.attention_head_dim
    for name, columns in zip(TIMESTEP_EMBEDDER, (c.timestep_channels, d), strict=True):
        yield name, TensorSpec("linear", (d, columns))
    for name, vectors in MODULATION.items():
        yield name, TensorSpec("linear", (vectors * d, d))
    yield _linear("context_embedder", d, c.joint_attention_dim)
    yield _linear("x_embedder", d, c.in_channels)
    for i in range(c.num_layers):
        block = f"transformer_blocks.{i}"
        for name in ("add_q_proj", "add_k_proj", "add_v_proj", "to_q", "to_k", "to_v"):
            yield _linear(f"{block}.attn.{name}", d, d)
        for name in ("norm_added_q", "norm_added_k", "norm_q", "norm_k"):
            yield _vector(f"{block}.attn.{name}.weight", head)
        yield _linear(f"{block}.attn.to_add_out", d, d)
        yield _linear(f"{block}.attn.to_out.0", d, d)
        yield _linear(f"{block}.ff.linear_in", 2 * mlp, d)
        yield _linear(f"{block}.ff.linear_out", d, mlp)
        yield _linear(f"{block}.ff_context.linear_in", 2 * mlp, d)
        yield _linear(f"{block}.ff_context.linear_out", d, mlp)
    for i in range(c.num_single_layers):
        attention = f"single_transformer_blocks.{i}.attn"
        yield _linear(f"{attention}.to_qkv_mlp_proj", 3 * d + 2 * mlp, d)
        yield _vector(f"{attention}.norm_q.weight", head)
        yield _vector(f"{attention}.norm_k.weight", head)
        yield _linear(f"{attention}.to_out", d, d + mlp)
    yield _linear("proj_out", c.out_channels, d)


def resnet_tensors(name: str, channels_in: int, channels_out: int) -> Named:
    """Tensors of one VAE residual block; its shortcut exists only where the channel count changes."""
    yield from _affine(f"{name}.norm1", channels_in)
    yield from _conv(f"{name}.conv1", channels_out, channels_in, 3)
    yield from _affine(f"{name}.norm2", channels_out)
    yield from _conv(f"{name}.conv2", channels_out, channels_out, 3)
    if channels_in != channels_out:
        yield from _conv(f"{name}.conv_shortcut", channels_out, channels_in, 1)


def mid_block_tensors(name: str, channels: int) -> Named:
    """Tensors of a VAE mid block: residual block, one-head attention, residual block."""
    yield from resnet_tensors(f"{name}.resnets.0", channels, channels)
    yield from _affine(f"{name}.attentions.0.group_norm", channels)
    for part in ("to_q", "to_k", "to_v", "to_out.0"):
        yield _linear(f"{name}.attentions.0.{part}", channels, channels)
        yield _vector(f"{name}.attentions.0.{part}.bias", channels)
    yield from resnet_tensors(f"{name}.resnets.1", channels, channels)


def _vae_decoder(c: VaeDecoderConfig) -> Named:
    packed_channels = c.latent_channels * c.patch_size**2
    yield _vector("bn.scale", packed_channels)
    yield _vector("bn.mean", packed_channels)
    yield from _conv("post_quant_conv", c.latent_channels, c.latent_channels, 1)
    widths = c.block_out_channels[::-1]
    yield from _conv("decoder.conv_in", widths[0], c.latent_channels, 3)
    yield from mid_block_tensors("decoder.mid_block", widths[0])
    for i, (before, width) in enumerate(pairwise((widths[0], *widths))):
        block = f"decoder.up_blocks.{i}"
        for j in range(c.layers_per_block + 1):
            yield from resnet_tensors(f"{block}.resnets.{j}", before if j == 0 else width, width)
        if i < len(widths) - 1:
            yield from _conv(f"{block}.upsamplers.0.conv", width, width, 3)
    yield from _affine("decoder.conv_norm_out", widths[-1])
    yield from _conv("decoder.conv_out", c.out_channels, widths[-1], 3)
