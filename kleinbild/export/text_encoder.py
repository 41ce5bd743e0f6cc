"""The text encoder's graph: input_ids, attention_mask -> ctx, the residual stream after each tapped layer.

Qwen3, as in transformers' Qwen3Model: RMSNorm before attention and before the MLP, RMSNorm of each query and
key head before the rotary embedding in half layout, grouped key/value heads, causal mask and key mask. Layers
after the last tap, the final norm and the output projection are not part of it.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from kleinbild.canonical import EMBEDDING
from kleinbild.config import ModelConfig, TextEncoderConfig
from kleinbild.export.layers import Layers

STAGE = "text_encoder"
INPUTS = ("input_ids", "attention_mask")
OUTPUTS = ("ctx",)
FLOAT16_MAX = 65504.0


def build_text_encoder(layers: Layers, config: ModelConfig) -> None:
    """Adds the whole graph: int64 [1, S] x2 -> ctx [1, S, taps * hidden_size], S = text_seq_len."""
    _TextEncoder(layers, config.text_encoder, config.prompt.text_seq_len).build()


class _TextEncoder:
    def __init__(self, layers: Layers, config: TextEncoderConfig, length: int) -> None:
        self.layers = layers
        self.g = layers.graph
        self.c = config
        self.length = length

    def build(self) -> None:
        g, c = self.g, self.c
        ids = g.input("input_ids", TensorProto.INT64, [1, self.length])
        mask = g.input("attention_mask", TensorProto.INT64, [1, self.length])
        x = g.to_float32(g.node("Gather", self.layers.dense(EMBEDDING), ids, axis=0))
        with g.scope("rotary"):
            self.cos, self.sin = self._rotary_table()
        with g.scope("mask"):
            self.bias = self._mask_bias(mask)
        taps = []
        for i in range(c.num_layers):
            name = f"model.layers.{i}"
            with g.scope(f"{name}/self_attn"):
                x = self._attention(name, x)
            with g.scope(f"{name}/mlp"):
                x = self._mlp(name, x)
            if i + 1 in c.tapped_layers:
                taps.append(x)
        ctx = g.node("Concat", *taps, axis=-1)
        # The tapped states are un-normed residuals: what float16 cannot hold saturates, not becomes inf.
        half = g.activation == TensorProto.FLOAT16
        limits = [limit for limit in (FLOAT16_MAX * half, self.layers.options.context_clip) if limit]
        if limits:
            ctx = g.node("Clip", ctx, g.scalar(-min(limits)), g.scalar(min(limits)))
        g.output(
            g.node("Cast", ctx, to=g.activation, output="ctx"),
            g.activation,
            [1, self.length, len(taps) * c.hidden_size],
        )

    def _rotary_table(self) -> tuple[str, str]:
        """cos, sin float32 [S, 1, head_dim/2] of position * theta^(-2i/head_dim)."""
        g, c = self.g, self.c
        exponents = np.arange(0, c.head_dim, 2, dtype=np.float32) / np.float32(c.head_dim)
        frequencies = (np.float32(1) / np.float32(c.rope_theta) ** exponents).astype(np.float32)
        positions = np.arange(self.length, dtype=np.float32).reshape(self.length, 1, 1)
        angles = g.node("Mul", g.constant(positions), g.constant(frequencies))
        return g.node("Cos", angles), g.node("Sin", angles)

    def _mask_bias(self, mask: str) -> str:
        """float32 [1, 1, S, S]: 0 where key j <= query i is a real token, else float32's lowest number.

        Not minus infinity: a row that sees no key at all must not become NaN.
        """
        g, positions = self.g, np.arange(self.length)
        causal = g.node("LessOrEqual", g.constant(positions), g.constant(positions.reshape(-1, 1)))
        real = g.node("Cast", g.reshape(mask, [1, 1, 1, self.length]), to=TensorProto.BOOL)
        lowest = float(np.finfo(np.float32).min)
        return g.node("Where", g.node("And", causal, real), g.scalar(0.0), g.scalar(lowest))

    def _attention(self, name: str, x: str) -> str:
        """Attention half of a layer on the residual stream x float32 [1, S, hidden_size]."""
        g, c, layers, attn = self.g, self.c, self.layers, f"{name}.self_attn"
        h = g.to_activation(layers.rms_norm(x, f"{name}.input_layernorm.weight", c.rms_norm_eps))
        q, k, v = (layers.block_linear(h, f"{attn}.{part}_proj") for part in "qkv")
        q = self._head_norm_rotary(q, f"{attn}.q_norm.weight")
        k = self._head_norm_rotary(k, f"{attn}.k_norm.weight")
        kt = g.node("Transpose", k, perm=[0, 2, 3, 1])
        v = g.node("Transpose", g.reshape(v, [0, 0, -1, c.head_dim]), perm=[0, 2, 1, 3])
        if c.num_key_value_heads != c.num_attention_heads:
            group = c.num_attention_heads // c.num_key_value_heads
            shared = g.integers([head // group for head in range(c.num_attention_heads)])
            kt, v = g.node("Gather", kt, shared, axis=1), g.node("Gather", v, shared, axis=1)
        o = layers.block_linear(layers.attention(q, kt, v, c.head_dim, self.bias), f"{attn}.o_proj")
        return g.node("Add", x, g.to_float32(o))

    def _mlp(self, name: str, x: str) -> str:
        """MLP half of a layer on the residual stream x."""
        g, layers = self.g, self.layers
        norm = layers.rms_norm(x, f"{name}.post_attention_layernorm.weight", self.c.rms_norm_eps)
        h = g.to_activation(norm)
        gate = layers.block_linear(h, f"{name}.mlp.gate_proj")
        up = layers.block_linear(h, f"{name}.mlp.up_proj")
        h = g.node("Mul", layers.silu(gate), up)
        return g.node("Add", x, g.to_float32(layers.block_linear(h, f"{name}.mlp.down_proj")))

    def _head_norm_rotary(self, x: str, norm: str) -> str:
        """x [1, S, heads * d] -> RMSNorm of each head, rotary embedding: float32 [1, S, heads, d]."""
        g, c = self.g, self.c
        heads = g.to_float32(g.reshape(x, [0, 0, -1, c.head_dim]))
        normed = self.layers.rms_norm(heads, norm, c.rms_norm_eps)
        first, second = g.split(normed, [c.head_dim // 2] * 2, axis=-1)
        return g.node("Concat", *self.layers.rotate(first, second, self.cos, self.sin), axis=-1)
