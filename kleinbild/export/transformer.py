"""The transformer's graph: x, x_ids, timesteps, ctx, ctx_ids -> pred, the velocity of every picture token.

As diffusers' Flux2Transformer2DModel: double stream blocks, then single stream blocks, every block modulated
by the same vectors of its kind. The timestep path runs in float32; the linears outside the blocks are few
and sensitive (5 % of the weights, most of the error), so they are quantised only when all are asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from kleinbild.config import ModelConfig, TransformerConfig
from kleinbild.export.layers import Layers

STAGE = "transformer"
INPUTS = ("x", "x_ids", "timesteps", "ctx", "ctx_ids")
OUTPUTS = ("pred",)
TIMESTEP_SCALE = 1000.0
MAX_PERIOD = 10000.0
INT64_MAX = (1 << 63) - 1
TIMESTEP_EMBEDDER = "time_guidance_embed.timestep_embedder"


@dataclass(frozen=True)
class Modulation:
    """One (shift, 1 + scale, gate), each float32 [1, hidden]."""

    shift: str
    scale: str
    gate: str


def build_transformer(layers: Layers, config: ModelConfig) -> None:
    """Adds the whole graph; S picture tokens, T = text_seq_len text tokens.

    x [1, S, in_channels], x_ids float32 [1, S, 4], timesteps [1] (sigma, 0..1), ctx [1, T,
    joint_attention_dim], ctx_ids float32 [1, T, 4] -> pred [1, S, out_channels].
    """
    _Transformer(layers, config.transformer, config.prompt.text_seq_len).build()


class _Transformer:
    def __init__(self, layers: Layers, config: TransformerConfig, text_length: int) -> None:
        self.layers = layers
        self.g = layers.graph
        self.c = config
        self.text_length = text_length

    def build(self) -> None:
        g, c, layers = self.g, self.c, self.layers
        x = g.input("x", g.activation, [1, "image_seq", c.in_channels])
        x_ids = g.input("x_ids", TensorProto.FLOAT, [1, "image_seq", 4])
        timesteps = g.input("timesteps", g.activation, [1])
        ctx = g.input("ctx", g.activation, [1, self.text_length, c.joint_attention_dim])
        ctx_ids = g.input("ctx_ids", TensorProto.FLOAT, [1, self.text_length, 4])
        with g.scope("time_guidance_embed"):
            vector = self._timestep_vector(timesteps)
        with g.scope("modulation"):
            img = self._modulations(vector, "double_stream_modulation_img", 2)
            txt = self._modulations(vector, "double_stream_modulation_txt", 2)
            (single,) = self._modulations(vector, "single_stream_modulation", 1)
            # diffusers stores this one scale first.
            out_scale, out_shift = self._vectors(vector, "norm_out", 2)
            out_scale = self._plus_one(out_scale)
        with g.scope("rotary"):
            self.cos, self.sin = self._rotary_table(g.node("Concat", ctx_ids, x_ids, axis=1))
        streams = (
            g.to_float32(layers.outer_linear(ctx, "context_embedder")),
            g.to_float32(layers.outer_linear(x, "x_embedder")),
        )
        for i in range(c.num_layers):
            name = f"transformer_blocks.{i}"
            with g.scope(f"{name}/attn"):
                streams = self._joint_attention(f"{name}.attn", streams, txt[0], img[0])
            with g.scope(f"{name}/ff"):
                picture = self._feed_forward(f"{name}.ff", streams[1], img[1])
            with g.scope(f"{name}/ff_context"):
                streams = self._feed_forward(f"{name}.ff_context", streams[0], txt[1]), picture
        stream = g.node("Concat", *streams, axis=1)
        for i in range(c.num_single_layers):
            with g.scope(f"single_transformer_blocks.{i}"):
                stream = self._single_block(f"single_transformer_blocks.{i}.attn", stream, single)
        _, picture = self._split_text(stream)
        pred = layers.outer_linear(self._modulate(picture, out_shift, out_scale), "proj_out")
        g.output(g.node("Identity", pred, output="pred"), g.activation, [1, "image_seq", c.out_channels])

    def _timestep_vector(self, timesteps: str) -> str:
        """silu of the timestep embedding, [1, hidden], in the activations' type; float32 until then."""
        g, half, silu = self.g, self.c.timestep_channels // 2, self.layers.silu
        exponents = np.arange(half, dtype=np.float32) / np.float32(half)
        frequencies = np.exp(np.float32(-math.log(MAX_PERIOD)) * exponents).astype(np.float32)
        scaled = g.node("Mul", g.to_float32(g.reshape(timesteps, [1, 1])), g.scalar(TIMESTEP_SCALE))
        angles = g.node("Mul", scaled, g.constant(frequencies))
        h = g.node("Concat", g.node("Cos", angles), g.node("Sin", angles), axis=-1)
        h = silu(self.layers.float32_linear(h, f"{TIMESTEP_EMBEDDER}.linear_1"))
        return g.to_activation(silu(self.layers.float32_linear(h, f"{TIMESTEP_EMBEDDER}.linear_2")))

    def _modulations(self, vector: str, name: str, count: int) -> list[Modulation]:
        parts = self._vectors(vector, name, 3 * count)
        return [
            Modulation(shift, self._plus_one(scale), gate)
            for shift, scale, gate in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
        ]

    def _vectors(self, vector: str, name: str, count: int) -> list[str]:
        """`count` vectors float32 [1, hidden] out of the linear `name`."""
        joined = self.g.to_float32(self.layers.outer_linear(vector, f"{name}.linear"))
        return self.g.split(joined, [self.c.hidden_size] * count, axis=-1)

    def _plus_one(self, value: str) -> str:
        return self.g.node("Add", value, self.g.scalar(1.0))

    def _rotary_table(self, ids: str) -> tuple[str, str]:
        """cos, sin float32 [1, T + S, 1, d/2, 1]: each axis of `ids` [1, T + S, 4] turns its own pairs."""
        c, g = self.c, self.g
        frequencies, start = np.zeros((len(c.axes_dims_rope), c.attention_head_dim // 2)), 0
        for axis, size in enumerate(c.axes_dims_rope):
            frequencies[axis, start : start + size // 2] = c.rope_theta ** -(np.arange(0, size, 2) / size)
            start += size // 2
        # Only one number of each column is not zero, so the product is exact.
        angles = g.node("MatMul", ids, g.constant(frequencies.astype(np.float32)))
        angles = g.reshape(angles, [0, 0, 1, c.attention_head_dim // 2, 1])
        return g.node("Cos", angles), g.node("Sin", angles)

    def _joint_attention(
        self, name: str, streams: tuple[str, str], txt: Modulation, img: Modulation
    ) -> tuple[str, str]:
        """Attention half of a double stream block on (text, picture), float32 [1, T, hidden], [1, S, ..]."""
        g, layers = self.g, self.layers
        h = self._modulate(streams[0], txt.shift, txt.scale)
        text = {part: layers.block_linear(h, f"{name}.add_{part}_proj") for part in "qkv"}
        h = self._modulate(streams[1], img.shift, img.scale)
        picture = {part: layers.block_linear(h, f"{name}.to_{part}") for part in "qkv"}
        q, k = (
            g.node(
                "Concat",
                self._head_norm(text[part], f"{name}.norm_added_{part}.weight"),
                self._head_norm(picture[part], f"{name}.norm_{part}.weight"),
                axis=1,
            )
            for part in "qk"
        )
        attended = self._attend(q, k, g.node("Concat", text["v"], picture["v"], axis=1))
        text_out, picture_out = self._split_text(attended)
        return (
            self._add(streams[0], layers.block_linear(text_out, f"{name}.to_add_out"), txt.gate),
            self._add(streams[1], layers.block_linear(picture_out, f"{name}.to_out.0"), img.gate),
        )

    def _feed_forward(self, name: str, x: str, modulation: Modulation) -> str:
        h = self._modulate(x, modulation.shift, modulation.scale)
        h = self.layers.block_linear(h, f"{name}.linear_in")
        gate, up = self.g.split(h, [self.c.mlp_hidden_size] * 2, axis=-1)
        h = self.g.node("Mul", self.layers.silu(gate), up)
        return self._add(x, self.layers.block_linear(h, f"{name}.linear_out"), modulation.gate)

    def _single_block(self, name: str, x: str, modulation: Modulation) -> str:
        g, c = self.g, self.c
        h = self._modulate(x, modulation.shift, modulation.scale)
        joined = self.layers.block_linear(h, f"{name}.to_qkv_mlp_proj")
        q, k, v, gate, up = g.split(joined, [c.hidden_size] * 3 + [c.mlp_hidden_size] * 2, axis=-1)
        q = self._head_norm(q, f"{name}.norm_q.weight")
        k = self._head_norm(k, f"{name}.norm_k.weight")
        attended = self._attend(q, k, v)
        h = g.node("Concat", attended, g.node("Mul", self.layers.silu(gate), up), axis=-1)
        return self._add(x, self.layers.block_linear(h, f"{name}.to_out"), modulation.gate)

    def _attend(self, q: str, k: str, v: str) -> str:
        """q, k float32 [1, T + S, heads, d] before the rotary embedding, v [1, T + S, hidden]."""
        g = self.g
        kt = g.node("Transpose", self._rotary(k), perm=[0, 2, 3, 1])
        v = g.node("Transpose", self._heads(v), perm=[0, 2, 1, 3])
        return self.layers.attention(self._rotary(q), kt, v, self.c.attention_head_dim)

    def _heads(self, x: str) -> str:
        return self.g.reshape(x, [0, 0, self.c.num_attention_heads, self.c.attention_head_dim])

    def _head_norm(self, x: str, norm: str) -> str:
        """RMSNorm of each head: [1, n, hidden] -> float32 [1, n, heads, d]."""
        return self.layers.rms_norm(self.g.to_float32(self._heads(x)), norm, self.c.eps)

    def _rotary(self, x: str) -> str:
        """The rotary embedding of the interleaved pairs (2i, 2i + 1) of x [1, n, heads, d]."""
        g, dim = self.g, self.c.attention_head_dim
        first, second = g.split(g.reshape(x, [0, 0, 0, dim // 2, 2]), [1, 1], axis=-1)
        turned = g.node("Concat", *self.layers.rotate(first, second, self.cos, self.sin), axis=-1)
        return g.reshape(turned, [0, 0, 0, dim])

    def _modulate(self, x: str, shift: str, scale: str) -> str:
        """LayerNorm(x), which has no weights, * scale + shift; float32 in, the activations' type out."""
        g = self.g
        ones = g.constant(np.ones(self.c.hidden_size, np.float32))
        h = g.node("LayerNormalization", x, ones, axis=-1, epsilon=self.c.eps)
        return g.to_activation(g.node("Add", g.node("Mul", h, scale), shift))

    def _add(self, x: str, change: str, gate: str) -> str:
        """The residual stream x plus gate * change, float32."""
        return self.g.node("Add", x, self.g.node("Mul", self.g.to_float32(change), gate))

    def _split_text(self, x: str) -> tuple[str, str]:
        """x [1, T + S, n] -> text rows, picture rows."""
        g = self.g
        axis, start = g.integers([1]), g.integers([0])
        cut, end = g.integers([self.text_length]), g.integers([INT64_MAX])
        return g.node("Slice", x, start, cut, axis), g.node("Slice", x, cut, end, axis)
