"""The VAE decoder as a chain of graphs: before the attention, one chunk of attention, four stages after it.

The cuts and the names of the tensors at them are those of the published bundle (the reference decoder's own
module paths): programs that run it hand tensors on by name. Attention is cut into chunks of query rows
because the scores of a large picture would fill the memory at once. Weights stay inside the graphs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from kleinbild.config import VaeDecoderConfig
from kleinbild.errors import KleinbildError
from kleinbild.export.layers import Layers
from kleinbild.export.vae_layers import VaeLayers

STAGE = "vae_decoder"
PRE, CHUNK = "vae_decoder_pre", "vae_decoder_attn_chunk"
POST_STAGES = tuple(f"vae_decoder_post_stage{i}" for i in range(4))
CHUNK_ROWS = 1024

RESIDUAL = "/decoder/block_1/Add_output_0"
QUERY = "/decoder/attn_1/Mul_6_output_0"
KEY = "/decoder/attn_1/Mul_7_output_0"
VALUE = "/decoder/attn_1/Reshape_2_output_0"
ATTENTION = "/decoder/attn_1/MatMul_1_output_0"
IMAGE = "image"

UNKNOWN = ("height", "width")
RESIZE = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


@dataclass(frozen=True)
class VaeGraph:
    """One graph of the chain: its key in flux2-config.json, its tensors, and how to build it."""

    key: str
    file_part: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    build: Callable[[Layers], None]


def vae_graphs(c: VaeDecoderConfig) -> list[VaeGraph]:
    """The graphs in running order. Raises KleinbildError for a decoder that has not got the cut points."""
    levels, resnets = len(c.block_out_channels), c.layers_per_block + 1
    if levels < 2 or resnets < 2 or c.patch_size != 2:
        raise KleinbildError(
            f"a VAE decoder of {levels} levels with {resnets} residual blocks and patches of {c.patch_size} "
            "cannot be cut into the stages of a bundle; it needs two levels, two blocks, patches of 2"
        )
    cuts = [
        RESIDUAL,
        resnet_output(levels - 2, resnets - 1),
        resnet_output(levels - 1, 0),
        resnet_output(levels - 1, resnets - 1),
        IMAGE,
    ]
    steps = list(_steps(c))
    ends = [i for i, step in enumerate(steps) if step.output in cuts[1:]]
    graphs = [
        VaeGraph(PRE, "pre-attn", ("z",), (RESIDUAL, QUERY, KEY, VALUE), lambda layers: _pre(layers, c)),
        VaeGraph(
            CHUNK, "attn-chunk", ("q_chunk", "kt", "v"), ("attn_chunk",), lambda layers: _chunk(layers, c)
        ),
    ]
    for i, key in enumerate(POST_STAGES):
        part = steps[ends[i - 1] + 1 if i else 0 : ends[i] + 1]
        inputs = (RESIDUAL, ATTENTION) if i == 0 else (cuts[i],)
        channels = c.block_out_channels[::-1][0] if i == 0 else steps[ends[i - 1]].channels
        build = _post_builder(c, part, inputs, channels)
        graphs.append(VaeGraph(key, f"post-stage{i}", inputs, (cuts[i + 1],), build))
    return graphs


def resnet_output(block: int, resnet: int) -> str:
    """Output of up_blocks.<block>.resnets.<resnet>, named as the reference decoder numbers its paths."""
    suffix = f"_{block}" if block else ""
    return f"/decoder/block.{resnet}{suffix}/Add_output_0"


@dataclass(frozen=True)
class _Step:
    """One module of the decoder after the mid block's attention; `channels` leave it."""

    kind: str
    name: str
    channels: int
    output: str = ""


def _steps(c: VaeDecoderConfig) -> Iterator[_Step]:
    widths = c.block_out_channels[::-1]
    yield _Step("attention_out", "decoder.mid_block.attentions.0", widths[0])
    yield _Step("resnet", "decoder.mid_block.resnets.1", widths[0])
    for i, width in enumerate(widths):
        for j in range(c.layers_per_block + 1):
            yield _Step("resnet", f"decoder.up_blocks.{i}.resnets.{j}", width, resnet_output(i, j))
        if i < len(widths) - 1:
            yield _Step("upsample", f"decoder.up_blocks.{i}.upsamplers.0.conv", width)
    yield _Step("out", "decoder", c.out_channels, IMAGE)


def _pre(layers: Layers, c: VaeDecoderConfig) -> None:
    """z [1, 4 * latent, H/16, W/16] -> residual [1, C, H/8, W/8], q [1, 1, T, C], kt [1, 1, C, T], v as q."""
    g, vae = layers.graph, VaeLayers(layers, c)
    width = c.block_out_channels[-1]
    packed = c.latent_channels * c.patch_size**2
    z = g.input("z", g.activation, [1, packed, *UNKNOWN])
    z = g.node("Add", g.node("Mul", z, vae.per_channel("bn.scale")), vae.per_channel("bn.mean"))
    # Channel c * 4 + dy * 2 + dx is pixel (dy, dx) of the 2x2 patch, which is DepthToSpace's CRD order.
    x = g.node("DepthToSpace", z, blocksize=c.patch_size, mode="CRD")
    x = vae.conv(vae.conv(x, "post_quant_conv"), "decoder.conv_in")
    x = vae.resnet(x, "decoder.mid_block.resnets.0", width, width, RESIDUAL)
    name = "decoder.mid_block.attentions.0"
    with g.scope(name):
        h = g.reshape(vae.group_norm(x, f"{name}.group_norm"), [1, width, -1])
        h = g.node("Transpose", h, perm=[0, 2, 1])
        q, k, v = (vae.linear(h, f"{name}.to_{part}") for part in "qkv")
        # The scale of the scores, split over both factors; float16 has not got it exactly.
        scale = g.scalar(width**-0.25)
        q = g.node("Mul", g.to_float32(g.reshape(q, [1, 1, -1, width])), scale)
        g.node("Cast", q, to=g.activation, output=QUERY)
        kt = g.node("Transpose", g.reshape(k, [1, 1, -1, width]), perm=[0, 1, 3, 2])
        kt = g.node("Mul", g.to_float32(kt), scale)
        g.node("Cast", kt, to=g.activation, output=KEY)
        g.node("Reshape", v, g.integers([1, 1, -1, width]), output=VALUE)
    g.output(RESIDUAL, g.activation, [1, width, *UNKNOWN])
    g.output(QUERY, g.activation, [1, 1, "rows", width])
    g.output(KEY, g.activation, [1, 1, width, "rows"])
    g.output(VALUE, g.activation, [1, 1, "rows", width])


def _chunk(layers: Layers, c: VaeDecoderConfig) -> None:
    """softmax(q_chunk kt) v for some rows of q; scores and softmax are float32."""
    g, width = layers.graph, c.block_out_channels[-1]
    q = g.to_float32(g.input("q_chunk", g.activation, [1, 1, "chunk_rows", width]))
    kt = g.to_float32(g.input("kt", g.activation, [1, 1, width, "rows"]))
    v = g.input("v", g.activation, [1, 1, "rows", width])
    weights = g.to_activation(g.node("Softmax", g.node("MatMul", q, kt), axis=-1))
    g.output(g.node("MatMul", weights, v, output="attn_chunk"), g.activation, [1, 1, "chunk_rows", width])


def _post_builder(
    c: VaeDecoderConfig, steps: list[_Step], inputs: tuple[str, ...], channels: int
) -> Callable[[Layers], None]:
    def build(layers: Layers) -> None:
        g, vae = layers.graph, VaeLayers(layers, c)
        x, before = g.input(inputs[0], g.activation, [1, channels, *UNKNOWN]), channels
        for step in steps:
            if step.kind == "attention_out":
                attended = g.input(inputs[1], g.activation, [1, 1, "rows", channels])
                x = vae.attention_out(x, attended, step.name, channels)
            elif step.kind == "resnet":
                x = vae.resnet(x, step.name, before, step.channels, step.output)
            elif step.kind == "upsample":
                scales = g.constant(np.array([1, 1, 2, 2], np.float32))
                x = g.node("Resize", x, "", scales, mode="nearest", **RESIZE)
                x = vae.conv(x, step.name)
            else:
                h = layers.silu(vae.group_norm(x, "decoder.conv_norm_out"))
                x = vae.conv(h, "decoder.conv_out", step.output)
            before = step.channels
        g.output(x, g.activation, [1, before, *(f"out_{size}" for size in UNKNOWN)])

    return build
