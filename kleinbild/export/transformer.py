"""The transformer's graph: one denoising step of FLUX.2 Klein.

x [1, S, in_channels], x_ids float32 [1, S, 4], timesteps [1] (sigma, 0..1), ctx [1, T, joint_attention_dim],
ctx_ids float32 [1, T, 4] -> pred [1, S, out_channels], the velocity. S is free, T the fixed length of the
prompt; text rows come first wherever both streams are joined, and pads are attended. Arithmetic: diffusers'
Flux2Transformer2DModel. Only the linears of the blocks may be in 4 bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kleinbild.config import ModelConfig, TransformerConfig
from kleinbild.export.graph import GraphBuilder
from kleinbild.export.layers import attention, reshape, rms_norm, rows, silu, split, to_f32, to_real
from kleinbild.export.rotary import rotate, rotation
from kleinbild.export.stage_weights import StageWeights

MAX_PERIOD = 10000.0  # of the timestep embedding's slowest wave


def build_transformer(config: ModelConfig, weights: StageWeights) -> GraphBuilder:
    """The graph of the transformer; its weights are declared, not read."""
    c, length = config.transformer, config.prompt.text_seq_len
    g = GraphBuilder("transformer", weights.options.real)
    x = g.input("x", g.real, [1, "image_seq", c.in_channels])
    x_ids = g.input("x_ids", np.float32, [1, "image_seq", 4])
    timesteps = g.input("timesteps", g.real, [1])
    ctx = g.input("ctx", g.real, [1, length, c.joint_attention_dim])
    ctx_ids = g.input("ctx_ids", np.float32, [1, length, 4])
    with g.scope("transformer"):
        pred = _Transformer(g, c, weights, length).run(
            x, ctx, timesteps, g.op("Concat", ctx_ids, x_ids, axis=1), config.scheduler.num_train_timesteps
        )
    g.output(pred, "pred", g.real, [1, "image_seq", c.out_channels])
    return g


@dataclass
class _Transformer:
    """What every part of the graph refers to; `text_rows` is T."""

    g: GraphBuilder
    c: TransformerConfig
    weights: StageWeights
    text_rows: int

    def run(self, x: str, ctx: str, timesteps: str, ids: str, num_train_timesteps: int) -> str:
        """The velocity, of dtype `real`."""
        g = self.g
        table = rotation(g, self.c, ids)
        vector = self._timestep(timesteps, num_train_timesteps)
        image_modulation = self._modulation(vector, "double_stream_modulation_img", 6)
        text_modulation = self._modulation(vector, "double_stream_modulation_txt", 6)
        single_modulation = self._modulation(vector, "single_stream_modulation", 3)
        scale, shift = self._modulation(vector, "norm_out", 2)
        image = to_f32(g, self._linear(x, "x_embedder"))
        text = to_f32(g, self._linear(ctx, "context_embedder"))
        for i in range(self.c.num_layers):
            with g.scope(f"transformer_blocks.{i}"):
                image, text = self._double_block(
                    f"transformer_blocks.{i}", image, text, image_modulation, text_modulation, table
                )
        joint = g.op("Concat", text, image, axis=1)
        for i in range(self.c.num_single_layers):
            with g.scope(f"single_transformer_blocks.{i}"):
                joint = self._single_block(
                    f"single_transformer_blocks.{i}.attn", joint, single_modulation, table
                )
        image = rows(g, joint, self.text_rows)
        normed = self._modulated_norm(image, shift, scale)
        return self._linear(normed, "proj_out")

    def _linear(self, x: str, name: str, *, in_block: bool = False) -> str:
        return self.weights.matmul(self.g, x, f"{name}.weight", quantisable=in_block)

    def _timestep(self, timesteps: str, num_train_timesteps: int) -> str:
        """silu of the timestep embedding, [1, hidden_size] of dtype `real`; waves in float32."""
        g, half = self.g, self.c.timestep_channels // 2
        exponents = np.arange(half, dtype=np.float32) * np.float32(-math.log(MAX_PERIOD)) / np.float32(half)
        with g.scope("time_guidance_embed"):
            t = g.op("Mul", to_f32(g, timesteps), g.f32(float(num_train_timesteps)))
            angles = g.op("Mul", g.op("Unsqueeze", t, g.i64([1])), g.f32(np.exp(exponents)))
            waves = to_real(g, g.op("Concat", g.op("Cos", angles), g.op("Sin", angles), axis=-1))
            hidden = silu(g, self._linear(waves, "time_guidance_embed.timestep_embedder.linear_1"))
            return silu(g, self._linear(hidden, "time_guidance_embed.timestep_embedder.linear_2"))

    def _modulation(self, vector: str, name: str, parts: int) -> list[str]:
        """`parts` vectors [1, 1, hidden_size], float32, the same for all blocks."""
        g = self.g
        with g.scope(name):
            joined = g.op("Unsqueeze", to_f32(g, self._linear(vector, f"{name}.linear")), g.i64([1]))
            return split(g, joined, [self.c.hidden_size] * parts)

    def _modulated_norm(self, x: str, shift: str, scale: str) -> str:
        """LayerNorm(x) * (1 + scale) + shift in float32, given as dtype `real`."""
        g = self.g
        ones = g.f32(np.ones(self.c.hidden_size, np.float32))
        normed = g.op("LayerNormalization", x, ones, axis=-1, epsilon=self.c.eps)
        scaled = g.op("Mul", normed, g.op("Add", scale, g.f32(1.0)))
        return to_real(g, g.op("Add", scaled, shift))

    def _heads(self, x: str) -> str:
        """[1, N, hidden_size] -> [1, heads, N, head_dim]."""
        g = self.g
        return g.op("Transpose", reshape(g, x, 0, 0, -1, self.c.attention_head_dim), perm=[0, 2, 1, 3])

    def _normed_heads(self, x: str, name: str) -> str:
        """Queries or keys x of dtype `real`, in heads, normed, float32."""
        weight = self.weights.declare(self.g, f"{name}.weight")
        return rms_norm(self.g, self._heads(to_f32(self.g, x)), weight, self.c.eps)

    def _attention(self, q: str, k: str, v: str, table: tuple[str, str]) -> str:
        g, c = self.g, self.c
        q = rotate(g, q, table, c.num_attention_heads, c.attention_head_dim)
        k = rotate(g, k, table, c.num_attention_heads, c.attention_head_dim)
        return attention(g, q, k, v, c.attention_head_dim)

    def _gated(self, x: str) -> str:
        """silu(first half) * second half."""
        gate, up = split(self.g, x, [self.c.mlp_hidden_size] * 2)
        return self.g.op("Mul", silu(self.g, gate), up)

    def _gated_add(self, x: str, gate: str, delta: str) -> str:
        """x + gate * delta; x and gate float32, delta of dtype `real`."""
        g = self.g
        return g.op("Add", x, g.op("Mul", gate, to_f32(g, delta)))

    def _double_block(
        self,
        name: str,
        image: str,
        text: str,
        image_modulation: list[str],
        text_modulation: list[str],
        table: tuple[str, str],
    ) -> tuple[str, str]:
        """Two residual streams, float32 [1, S, d] and [1, T, d], that meet in the attention."""
        g = self.g

        def linear(x: str, part: str) -> str:
            return self._linear(x, f"{name}.{part}", in_block=True)

        def norm(x: str, part: str) -> str:
            return self._normed_heads(x, f"{name}.attn.{part}")

        def join(of_text: str, of_image: str) -> str:
            return g.op("Concat", of_text, of_image, axis=2)

        shift, scale, image_gate, mlp_shift, mlp_scale, image_mlp_gate = image_modulation
        text_shift, text_scale, text_gate, text_mlp_shift, text_mlp_scale, text_mlp_gate = text_modulation
        h_text = self._modulated_norm(text, text_shift, text_scale)
        h_image = self._modulated_norm(image, shift, scale)
        q_text, k_text, v_text = (linear(h_text, f"attn.add_{n}_proj") for n in "qkv")
        q_image, k_image, v_image = (linear(h_image, f"attn.to_{n}") for n in "qkv")
        attended = self._attention(
            join(norm(q_text, "norm_added_q"), norm(q_image, "norm_q")),
            join(norm(k_text, "norm_added_k"), norm(k_image, "norm_k")),
            join(self._heads(v_text), self._heads(v_image)),
            table,
        )
        of_text, of_image = rows(g, attended, 0, self.text_rows), rows(g, attended, self.text_rows)
        text = self._gated_add(text, text_gate, linear(of_text, "attn.to_add_out"))
        image = self._gated_add(image, image_gate, linear(of_image, "attn.to_out.0"))
        h = self._modulated_norm(image, mlp_shift, mlp_scale)
        h = linear(self._gated(linear(h, "ff.linear_in")), "ff.linear_out")
        image = self._gated_add(image, image_mlp_gate, h)
        h = self._modulated_norm(text, text_mlp_shift, text_mlp_scale)
        h = linear(self._gated(linear(h, "ff_context.linear_in")), "ff_context.linear_out")
        return image, self._gated_add(text, text_mlp_gate, h)

    def _single_block(self, name: str, x: str, modulation: list[str], table: tuple[str, str]) -> str:
        """One residual stream x, float32 [1, T+S, d]; attention and feed-forward side by side."""
        g, d = self.g, self.c.hidden_size
        shift, scale, gate = modulation
        h = self._modulated_norm(x, shift, scale)
        h = self._linear(h, f"{name}.to_qkv_mlp_proj", in_block=True)
        q, k, v, mlp = split(g, h, [d, d, d, 2 * self.c.mlp_hidden_size])
        attended = self._attention(
            self._normed_heads(q, f"{name}.norm_q"),
            self._normed_heads(k, f"{name}.norm_k"),
            self._heads(v),
            table,
        )
        h = g.op("Concat", attended, self._gated(mlp), axis=-1)
        return self._gated_add(x, gate, self._linear(h, f"{name}.to_out", in_block=True))
