"""Qwen3 decoder used as a text encoder: [B, S] token ids -> [B, S, taps * hidden_size].

Rows of pads are computed as any other and see the prompt's tokens alone, as in the exported graph.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.config import TextEncoderSizes
from training.model.rotary import half_table, rotate_halves


class Attention(nn.Module):
    """Grouped-query attention with a norm on queries and keys."""

    def __init__(self, sizes: TextEncoderSizes) -> None:
        super().__init__()
        self.sizes = sizes
        width, head = sizes.hidden_size, sizes.head_dim
        self.q_proj = nn.Linear(width, sizes.num_attention_heads * head, bias=False)
        self.k_proj = nn.Linear(width, sizes.num_key_value_heads * head, bias=False)
        self.v_proj = nn.Linear(width, sizes.num_key_value_heads * head, bias=False)
        self.o_proj = nn.Linear(sizes.num_attention_heads * head, width, bias=False)
        self.q_norm = nn.RMSNorm(head, sizes.rms_norm_eps)
        self.k_norm = nn.RMSNorm(head, sizes.rms_norm_eps)

    def forward(self, x: Tensor, table: tuple[Tensor, Tensor], visible: Tensor) -> Tensor:
        head = self.sizes.head_dim
        q = self.q_norm(self.q_proj(x).unflatten(-1, (-1, head))).transpose(1, 2)
        k = self.k_norm(self.k_proj(x).unflatten(-1, (-1, head))).transpose(1, 2)
        v = self.v_proj(x).unflatten(-1, (-1, head)).transpose(1, 2)
        groups = self.sizes.num_attention_heads // self.sizes.num_key_value_heads
        q, k = rotate_halves(q, table), rotate_halves(k, table)
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
        out = F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v, attn_mask=visible)
        return self.o_proj(out.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class Mlp(nn.Module):
    """SwiGLU."""

    def __init__(self, sizes: TextEncoderSizes) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(sizes.hidden_size, sizes.intermediate_size, bias=False)
        self.up_proj = nn.Linear(sizes.hidden_size, sizes.intermediate_size, bias=False)
        self.down_proj = nn.Linear(sizes.intermediate_size, sizes.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))  # type: ignore[no-any-return]


class Layer(nn.Module):
    """One decoder layer."""

    def __init__(self, sizes: TextEncoderSizes) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(sizes.hidden_size, sizes.rms_norm_eps)
        self.self_attn = Attention(sizes)
        self.post_attention_layernorm = nn.RMSNorm(sizes.hidden_size, sizes.rms_norm_eps)
        self.mlp = Mlp(sizes)

    def forward(self, x: Tensor, table: tuple[Tensor, Tensor], visible: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), table, visible)
        return x + self.mlp(self.post_attention_layernorm(x))  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """Embedding and layers up to the last tap."""

    def __init__(self, sizes: TextEncoderSizes) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(sizes.vocab_size, sizes.hidden_size)
        self.layers = nn.ModuleList(Layer(sizes) for _ in range(sizes.num_layers))


class TextEncoder(nn.Module):
    """The whole part; its state dict has the keys of Qwen3ForCausalLM up to the last tapped layer."""

    cos: Tensor
    sin: Tensor

    def __init__(self, sizes: TextEncoderSizes, text_seq_len: int) -> None:
        super().__init__()
        self.sizes = sizes
        self.model = Decoder(sizes)
        cos, sin = half_table(text_seq_len, sizes.head_dim, sizes.rope_theta)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                nn.init.normal_(weight, std=1.0 if "embed" in name else weight.shape[1] ** -0.5)
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                with torch.no_grad():
                    weight.mul_((2 * sizes.num_layers) ** -0.5)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids [B, S] int64, lengths [B] (tokens that are no pads) -> [B, S, taps * hidden_size]."""
        length = ids.shape[1]
        place = torch.arange(length, device=ids.device)
        visible = (place[None, :] <= place[:, None])[None] & (place[None, None, :] < lengths[:, None, None])
        table = (self.cos[:length], self.sin[:length])
        x = self.model.embed_tokens(ids)
        states = []
        for number, layer in enumerate(self.model.layers, 1):
            x = layer(x, table, visible[:, None])
            if number in self.sizes.tapped_layers:
                states.append(x)
        return torch.cat(states, -1)
