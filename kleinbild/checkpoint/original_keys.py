"""Where each diffusers tensor lies in a checkpoint with the original reference code's names.

The two layouts hold the same numbers: the original fuses q, k and v, stores norm_out's shift before its
scale, keeps the VAE's attention as 1x1 convolutions and counts its up blocks from the full resolution. This
file knows names alone; files and shapes are original.py's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Some programs save the transformer under this.
PREFIX = "model.diffusion_model."
# A key that tells what a file holds.
TRANSFORMER_MARK = "double_blocks.0.img_attn.qkv.weight"
VAE_MARK = "decoder.up.0.block.0.conv1.weight"
# Only models that are not Klein have it.
GUIDANCE_MARK = "guidance_in.in_layer.weight"


@dataclass(frozen=True)
class Slice:
    """The rows of part `part` when the tensor `key` is cut into `parts` equal ones along its first axis."""

    key: str
    part: int = 0
    parts: int = 1


_OUTSIDE = {
    "x_embedder": "img_in",
    "context_embedder": "txt_in",
    "time_guidance_embed.timestep_embedder.linear_1": "time_in.in_layer",
    "time_guidance_embed.timestep_embedder.linear_2": "time_in.out_layer",
    "double_stream_modulation_img.linear": "double_stream_modulation_img.lin",
    "double_stream_modulation_txt.linear": "double_stream_modulation_txt.lin",
    "single_stream_modulation.linear": "single_stream_modulation.lin",
    "proj_out": "final_layer.linear",
}
_FUSED = {
    "attn.to_q": ("img_attn.qkv", 0),
    "attn.to_k": ("img_attn.qkv", 1),
    "attn.to_v": ("img_attn.qkv", 2),
    "attn.add_q_proj": ("txt_attn.qkv", 0),
    "attn.add_k_proj": ("txt_attn.qkv", 1),
    "attn.add_v_proj": ("txt_attn.qkv", 2),
}
_DOUBLE = {
    "attn.norm_q": "img_attn.norm.query_norm",
    "attn.norm_k": "img_attn.norm.key_norm",
    "attn.norm_added_q": "txt_attn.norm.query_norm",
    "attn.norm_added_k": "txt_attn.norm.key_norm",
    "attn.to_out.0": "img_attn.proj",
    "attn.to_add_out": "txt_attn.proj",
    "ff.linear_in": "img_mlp.0",
    "ff.linear_out": "img_mlp.2",
    "ff_context.linear_in": "txt_mlp.0",
    "ff_context.linear_out": "txt_mlp.2",
}
_SINGLE = {
    "attn.to_qkv_mlp_proj": "linear1",
    "attn.to_out": "linear2",
    "attn.norm_q": "norm.query_norm",
    "attn.norm_k": "norm.key_norm",
}
_BLOCK = re.compile(r"(single_)?transformer_blocks\.(\d+)\.(.+)\.weight")


def transformer_slices(name: str) -> tuple[Slice, ...]:
    """The rows that make the canonical transformer tensor `name`, in order."""
    if name == "norm_out.linear.weight":
        key = "final_layer.adaLN_modulation.1.weight"
        return Slice(key, 1, 2), Slice(key, 0, 2)
    block = _BLOCK.fullmatch(name)
    if block is None:
        return (Slice(f"{_OUTSIDE[name.removesuffix('.weight')]}.weight"),)
    single, number, module = block.groups()
    path = f"{'single' if single else 'double'}_blocks.{number}."
    if not single and module in _FUSED:
        fused, part = _FUSED[module]
        return (Slice(f"{path}{fused}.weight", part, 3),)
    place = (_SINGLE if single else _DOUBLE)[module]
    return (Slice(f"{path}{place}.{'scale' if place.endswith('_norm') else 'weight'}"),)


_VAE_MODULES = (
    (r"decoder\.mid_block\.resnets\.0\.", "decoder.mid.block_1."),
    (r"decoder\.mid_block\.resnets\.1\.", "decoder.mid.block_2."),
    (r"decoder\.mid_block\.attentions\.0\.group_norm\.", "decoder.mid.attn_1.norm."),
    (r"decoder\.mid_block\.attentions\.0\.to_([qkv])\.", r"decoder.mid.attn_1.\1."),
    (r"decoder\.mid_block\.attentions\.0\.to_out\.0\.", "decoder.mid.attn_1.proj_out."),
    (r"decoder\.conv_norm_out\.", "decoder.norm_out."),
    (r"post_quant_conv\.", "decoder.post_quant_conv."),
    (r"\.conv_shortcut\.", ".nin_shortcut."),
)
_UP_BLOCK = re.compile(r"decoder\.up_blocks\.(\d+)\.(resnets\.(\d+)|upsamplers\.0\.conv)\.")


def vae_slices(name: str, levels: int) -> tuple[Slice, ...]:
    """The tensor that is the decoder's `name` as diffusers stores it; `levels` up blocks in all."""

    def up_block(match: re.Match[str]) -> str:
        path = f"decoder.up.{levels - 1 - int(match[1])}."
        return path + ("upsample.conv." if match[3] is None else f"block.{match[3]}.")

    key = _UP_BLOCK.sub(up_block, name)
    for pattern, original in _VAE_MODULES:
        key = re.sub(pattern, original, key)
    return (Slice(key),)
