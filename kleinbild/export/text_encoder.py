"""The text encoder's graph: the first layers of a Qwen3 decoder, tapped along the way.

input_ids, attention_mask int64 [1, S] -> ctx [1, S, taps * hidden_size], the residual stream after each
tapped layer side by side, without the final norm. S is the fixed length of the padded prompt. Arithmetic:
transformers' Qwen3Model.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from kleinbild.canonical import EMBEDDING
from kleinbild.config import ModelConfig, TextEncoderConfig
from kleinbild.export.graph import GraphBuilder
from kleinbild.export.layers import as_real, attention, reshape, rms_norm, silu, split, to_f32, to_real
from kleinbild.export.stage_weights import StageWeights


def build_text_encoder(config: ModelConfig, weights: StageWeights) -> GraphBuilder:
    """The graph of the text encoder; its weights are declared, not read."""
    c, length = config.text_encoder, config.prompt.text_seq_len
    g = GraphBuilder("text_encoder", weights.options.real)
    ids = g.input("input_ids", np.int64, [1, length])
    mask = g.input("attention_mask", np.int64, [1, length])
    with g.scope("model"):
        bias = _attention_bias(g, mask, length)
        rotation = _rotation(g, c, length)
        x = to_f32(g, g.op("Gather", weights.declare(g, EMBEDDING), ids))
        taps = []
        for i in range(c.num_layers):
            with g.scope(f"layers.{i}"):
                x = _layer(g, c, weights, f"model.layers.{i}", x, bias, rotation)
            if i + 1 in c.tapped_layers:
                taps.append(x)
        ctx = as_real(g, g.op("Concat", *taps, axis=-1))
    g.output(ctx, "ctx", g.real, [1, length, len(c.tapped_layers) * c.hidden_size])
    return g


def _attention_bias(g: GraphBuilder, mask: str, length: int) -> str:
    """[1, 1, S, S]: 0 where key j <= query i is no padding, the lowest float32 elsewhere.

    Not minus infinity: a row without any visible key must not become NaN.
    """
    keys, queries = g.i64(range(length)), g.op("Unsqueeze", g.i64(range(length)), g.i64([1]))
    causal = g.op("LessOrEqual", keys, queries)
    visible = g.op("Unsqueeze", g.op("Cast", mask, to=TensorProto.BOOL), g.i64([1, 2]))
    allowed = g.op("And", causal, visible)
    return g.op("Where", allowed, g.f32(0.0), g.f32(float(np.finfo(np.float32).min)))


def _rotation(g: GraphBuilder, c: TextEncoderConfig, length: int) -> tuple[str, str]:
    """Cosines and sines [S, head_dim/2] of position * theta^(-2i/head_dim), for every head."""
    exponents = np.arange(0, c.head_dim, 2, dtype=np.float32) / np.float32(c.head_dim)
    frequencies = np.float32(1) / np.float32(c.rope_theta) ** exponents
    positions = g.f32(np.arange(length, dtype=np.float32)[:, None])
    angles = g.op("Mul", positions, g.f32(frequencies))
    return g.op("Cos", angles), g.op("Sin", angles)


def _rotate(g: GraphBuilder, x: str, rotation: tuple[str, str], head_dim: int) -> str:
    """Rotary embedding of x [1, heads, S, head_dim], float32; pairs are (i, i + head_dim/2)."""
    cos, sin = rotation
    first, second = split(g, x, [head_dim // 2, head_dim // 2])
    return g.op(
        "Concat",
        g.op("Sub", g.op("Mul", first, cos), g.op("Mul", second, sin)),
        g.op("Add", g.op("Mul", second, cos), g.op("Mul", first, sin)),
        axis=-1,
    )


def _layer(
    g: GraphBuilder,
    c: TextEncoderConfig,
    weights: StageWeights,
    name: str,
    x: str,
    bias: str,
    rotation: tuple[str, str],
) -> str:
    """One decoder layer on the float32 residual stream x [1, S, hidden_size]."""

    def linear(value: str, part: str) -> str:
        return weights.matmul(g, value, f"{name}.{part}.weight", quantisable=True)

    def norm(value: str, part: str) -> str:
        return rms_norm(g, value, weights.declare(g, f"{name}.{part}.weight"), c.rms_norm_eps)

    def heads(value: str, count: int) -> str:
        return g.op("Transpose", reshape(g, value, 0, 0, count, c.head_dim), perm=[0, 2, 1, 3])

    groups = c.num_attention_heads // c.num_key_value_heads

    def repeat(value: str) -> str:
        """Each key-value head once for every query head that reads it."""
        if groups == 1:
            return value
        repeated = g.op("Expand", g.op("Unsqueeze", value, g.i64([2])), g.i64([1, 1, groups, 1, 1]))
        return reshape(g, repeated, 0, c.num_attention_heads, -1, c.head_dim)

    h = to_real(g, norm(x, "input_layernorm"))
    q = heads(to_f32(g, linear(h, "self_attn.q_proj")), c.num_attention_heads)
    k = heads(to_f32(g, linear(h, "self_attn.k_proj")), c.num_key_value_heads)
    v = heads(linear(h, "self_attn.v_proj"), c.num_key_value_heads)
    q = _rotate(g, norm(q, "self_attn.q_norm"), rotation, c.head_dim)
    k = _rotate(g, norm(k, "self_attn.k_norm"), rotation, c.head_dim)
    attended = attention(g, q, repeat(k), repeat(v), c.head_dim, bias)
    x = g.op("Add", x, to_f32(g, linear(attended, "self_attn.o_proj")))
    h = to_real(g, norm(x, "post_attention_layernorm"))
    gated = g.op("Mul", silu(g, linear(h, "mlp.gate_proj")), linear(h, "mlp.up_proj"))
    return g.op("Add", x, to_f32(g, linear(gated, "mlp.down_proj")))
