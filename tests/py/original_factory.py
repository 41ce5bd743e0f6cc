"""Writes a diffusers checkpoint again with the original key names, as the reference code saves it.

The way there is written down block by block, and shares nothing with the reader's own table.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kleinbild.checkpoint.checkpoint import WEIGHT_FILES
from kleinbild.checkpoint.safetensors import SafetensorsFile
from kleinbild.checkpoint.safetensors_writer import write_safetensors

Tensors = dict[str, tuple[str, npt.NDArray[Any]]]

VAE_NAMES = (
    ("decoder.mid_block.resnets.0", "decoder.mid.block_1"),
    ("decoder.mid_block.resnets.1", "decoder.mid.block_2"),
    ("mid_block.attentions.0.group_norm", "mid.attn_1.norm"),
    ("mid_block.attentions.0.to_q", "mid.attn_1.q"),
    ("mid_block.attentions.0.to_k", "mid.attn_1.k"),
    ("mid_block.attentions.0.to_v", "mid.attn_1.v"),
    ("mid_block.attentions.0.to_out.0", "mid.attn_1.proj_out"),
    ("decoder.up_blocks.0.", "decoder.up.3."),
    ("decoder.up_blocks.1.", "decoder.up.2."),
    ("decoder.up_blocks.2.", "decoder.up.1."),
    ("decoder.up_blocks.3.", "decoder.up.0."),
    ("upsamplers.0.conv", "upsample.conv"),
    ("conv_shortcut", "nin_shortcut"),
    ("conv_norm_out", "norm_out"),
)


def write_original(
    diffusers: Path, out: Path, *, transformer: str = "klein.safetensors", vae: str = "ae.safetensors"
) -> Path:
    """Writes to `out`: text_encoder/ and tokenizer/ as they are, and one file each for the other two.

    Returns `out`. `transformer` and `vae` are paths in it.
    """
    for part in ("text_encoder", "tokenizer"):
        shutil.copytree(diffusers / part, out / part)
    write_safetensors(out / transformer, original_transformer(stored(diffusers, "transformer")))
    write_safetensors(out / vae, original_vae(stored(diffusers, "vae_decoder")))
    return out


def stored(diffusers: Path, stage: str) -> Tensors:
    """The tensors of a stage, name -> (dtype, array)."""
    part, stem = WEIGHT_FILES[stage]
    file = SafetensorsFile.open(diffusers / part / f"{stem}.safetensors")
    return {name: (entry.dtype, file.read(name)) for name, entry in file.entries.items()}


def original_transformer(tensors: Tensors, prefix: str = "") -> Tensors:
    """The transformer's tensors under the reference code's names."""
    left = dict(tensors)
    result: Tensors = {}

    def move(old: str, new: str) -> None:
        result[new] = left.pop(old)

    def fuse(olds: list[str], new: str) -> None:
        parts = [left.pop(old) for old in olds]
        result[new] = parts[0][0], np.concatenate([array for _, array in parts])

    move("x_embedder.weight", "img_in.weight")
    move("context_embedder.weight", "txt_in.weight")
    move("time_guidance_embed.timestep_embedder.linear_1.weight", "time_in.in_layer.weight")
    move("time_guidance_embed.timestep_embedder.linear_2.weight", "time_in.out_layer.weight")
    move("proj_out.weight", "final_layer.linear.weight")
    dtype, scale_shift = left.pop("norm_out.linear.weight")
    scale, shift = np.split(scale_shift, 2)
    result["final_layer.adaLN_modulation.1.weight"] = dtype, np.concatenate([shift, scale])
    for name in ("double_stream_modulation_img", "double_stream_modulation_txt", "single_stream_modulation"):
        move(f"{name}.linear.weight", f"{name}.lin.weight")
    for i in range(count_of(left, r"transformer_blocks\.(\d+)\.")):
        old, new = f"transformer_blocks.{i}", f"double_blocks.{i}"
        fuse([f"{old}.attn.to_{part}.weight" for part in "qkv"], f"{new}.img_attn.qkv.weight")
        fuse([f"{old}.attn.add_{part}_proj.weight" for part in "qkv"], f"{new}.txt_attn.qkv.weight")
        move(f"{old}.attn.norm_q.weight", f"{new}.img_attn.norm.query_norm.scale")
        move(f"{old}.attn.norm_k.weight", f"{new}.img_attn.norm.key_norm.scale")
        move(f"{old}.attn.norm_added_q.weight", f"{new}.txt_attn.norm.query_norm.scale")
        move(f"{old}.attn.norm_added_k.weight", f"{new}.txt_attn.norm.key_norm.scale")
        move(f"{old}.attn.to_out.0.weight", f"{new}.img_attn.proj.weight")
        move(f"{old}.attn.to_add_out.weight", f"{new}.txt_attn.proj.weight")
        for ff, stream in (("ff", "img"), ("ff_context", "txt")):
            move(f"{old}.{ff}.linear_in.weight", f"{new}.{stream}_mlp.0.weight")
            move(f"{old}.{ff}.linear_out.weight", f"{new}.{stream}_mlp.2.weight")
    for i in range(count_of(left, r"single_transformer_blocks\.(\d+)\.")):
        old, new = f"single_transformer_blocks.{i}.attn", f"single_blocks.{i}"
        move(f"{old}.to_qkv_mlp_proj.weight", f"{new}.linear1.weight")
        move(f"{old}.to_out.weight", f"{new}.linear2.weight")
        move(f"{old}.norm_q.weight", f"{new}.norm.query_norm.scale")
        move(f"{old}.norm_k.weight", f"{new}.norm.key_norm.scale")
    assert not left, sorted(left)
    return {prefix + name: value for name, value in result.items()}


def original_vae(tensors: Tensors) -> Tensors:
    """The VAE's decoder and batch norm under the reference code's names (its encoder stays out)."""
    result: Tensors = {}
    for name, (dtype, array) in tensors.items():
        if name.startswith(("encoder.", "quant_conv.")):
            continue
        new, values = name.replace("post_quant_conv", "decoder.post_quant_conv"), array
        for old, original in VAE_NAMES:
            new = new.replace(old, original)
        new = re.sub(r"\.resnets\.(\d+)\.", r".block.\1.", new)
        if ".attn_1." in new and array.ndim == 2:
            values = array[:, :, None, None]
        result[new] = dtype, values
    return result


def count_of(tensors: Tensors, pattern: str) -> int:
    """How many blocks of a kind there are."""
    return len({found[1] for name in tensors if (found := re.match(pattern, name))})
