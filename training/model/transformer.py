"""Flux2 transformer: picture tokens, prompt embeddings and a time -> velocity.

Text and picture attend to one another without a mask, pads of the text too; all double blocks share one
modulation and all single blocks another.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.config import TransformerSizes
from training.model.rotary import joint_table, rotate_pairs

Table = tuple[Tensor, Tensor]


def modulate(x: Tensor, shift: Tensor, scale: Tensor, eps: float) -> Tensor:
    """LayerNorm without affine, scaled and shifted. x [B, S, D]; shift, scale [B, 1, D]."""
    return F.layer_norm(x, x.shape[-1:], eps=eps) * (1 + scale) + shift


def attend(q: Tensor, k: Tensor, v: Tensor, table: Table) -> Tensor:
    """[B, S, H, d] three times -> [B, S, H * d]; q and k are turned by `table`."""
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    q, k = rotate_pairs(q, table).to(v.dtype), rotate_pairs(k, table).to(v.dtype)
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class Modulation(nn.Module):
    """silu(time embedding) -> `count` vectors [B, 1, D]."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.count = count
        self.linear = nn.Linear(width, count * width, bias=False)

    def forward(self, time: Tensor) -> tuple[Tensor, ...]:
        return self.linear(F.silu(time))[:, None].chunk(self.count, -1)  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    """SwiGLU whose gate is the first half of linear_in's output."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.linear_in = nn.Linear(width, 2 * hidden, bias=False)
        self.linear_out = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.linear_in(x).chunk(2, -1)
        return self.linear_out(F.silu(gate) * up)  # type: ignore[no-any-return]


class JointAttention(nn.Module):
    """Attention of a double block: two streams, each with projections of its own."""

    to_q: nn.Linear
    to_k: nn.Linear
    to_v: nn.Linear
    add_q_proj: nn.Linear
    add_k_proj: nn.Linear
    add_v_proj: nn.Linear
    to_add_out: nn.Linear
    norm_q: nn.RMSNorm
    norm_k: nn.RMSNorm
    norm_added_q: nn.RMSNorm
    norm_added_k: nn.RMSNorm

    def __init__(self, sizes: TransformerSizes) -> None:
        super().__init__()
        width, self.head = sizes.hidden_size, sizes.attention_head_dim
        for name in ("to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out"):
            setattr(self, name, nn.Linear(width, width, bias=False))
        self.to_out = nn.ModuleList([nn.Linear(width, width, bias=False)])
        for name in ("norm_q", "norm_k", "norm_added_q", "norm_added_k"):
            setattr(self, name, nn.RMSNorm(self.head, sizes.eps))

    def forward(self, text: Tensor, picture: Tensor, table: Table) -> tuple[Tensor, Tensor]:
        def heads(x: Tensor) -> Tensor:
            return torch.unflatten(x, -1, (-1, self.head))

        q = torch.cat(
            [self.norm_added_q(heads(self.add_q_proj(text))), self.norm_q(heads(self.to_q(picture)))], 1
        )
        k = torch.cat(
            [self.norm_added_k(heads(self.add_k_proj(text))), self.norm_k(heads(self.to_k(picture)))], 1
        )
        v = torch.cat([heads(self.add_v_proj(text)), heads(self.to_v(picture))], 1)
        out = attend(q, k, v, table)
        return self.to_add_out(out[:, : text.shape[1]]), self.to_out[0](out[:, text.shape[1] :])


class DoubleBlock(nn.Module):
    """Double stream block."""

    def __init__(self, sizes: TransformerSizes) -> None:
        super().__init__()
        self.eps = sizes.eps
        self.attn = JointAttention(sizes)
        self.ff = FeedForward(sizes.hidden_size, sizes.mlp_hidden_size)
        self.ff_context = FeedForward(sizes.hidden_size, sizes.mlp_hidden_size)

    def forward(
        self,
        text: Tensor,
        picture: Tensor,
        of_text: tuple[Tensor, ...],
        of_picture: tuple[Tensor, ...],
        table: Table,
    ) -> tuple[Tensor, Tensor]:
        shift1, scale1, gate1, shift2, scale2, gate2 = of_picture
        t_shift1, t_scale1, t_gate1, t_shift2, t_scale2, t_gate2 = of_text
        text_out, picture_out = self.attn(
            modulate(text, t_shift1, t_scale1, self.eps), modulate(picture, shift1, scale1, self.eps), table
        )
        picture = picture + gate1 * picture_out
        picture = picture + gate2 * self.ff(modulate(picture, shift2, scale2, self.eps))
        text = text + t_gate1 * text_out
        text = text + t_gate2 * self.ff_context(modulate(text, t_shift2, t_scale2, self.eps))
        return text, picture


class ParallelAttention(nn.Module):
    """Attention and feed-forward of a single block, side by side."""

    def __init__(self, sizes: TransformerSizes) -> None:
        super().__init__()
        width, self.head, self.mlp = sizes.hidden_size, sizes.attention_head_dim, sizes.mlp_hidden_size
        self.width = width
        self.to_qkv_mlp_proj = nn.Linear(width, 3 * width + 2 * self.mlp, bias=False)
        self.to_out = nn.Linear(width + self.mlp, width, bias=False)
        self.norm_q = nn.RMSNorm(self.head, sizes.eps)
        self.norm_k = nn.RMSNorm(self.head, sizes.eps)

    def forward(self, x: Tensor, table: Table) -> Tensor:
        w, m = self.width, self.mlp
        q, k, v, gate, up = self.to_qkv_mlp_proj(x).split([w, w, w, m, m], -1)
        q, k, v = (t.unflatten(-1, (-1, self.head)) for t in (q, k, v))
        out = attend(self.norm_q(q), self.norm_k(k), v, table)
        return self.to_out(torch.cat([out, F.silu(gate) * up], -1))  # type: ignore[no-any-return]


class SingleBlock(nn.Module):
    """Single stream block."""

    def __init__(self, sizes: TransformerSizes) -> None:
        super().__init__()
        self.eps = sizes.eps
        self.attn = ParallelAttention(sizes)

    def forward(self, x: Tensor, modulation: tuple[Tensor, ...], table: Table) -> Tensor:
        shift, scale, gate = modulation
        return x + gate * self.attn(modulate(x, shift, scale, self.eps), table)  # type: ignore[no-any-return]


class TimestepEmbedder(nn.Module):
    """Two linears."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(channels, width, bias=False)
        self.linear_2 = nn.Linear(width, width, bias=False)


class TimeEmbedding(nn.Module):
    """Sinusoids of 1000 sigma, through the embedder."""

    frequencies: Tensor

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.timestep_embedder = TimestepEmbedder(channels, width)
        half = channels // 2
        frequencies = torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float32) / half)
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, sigma: Tensor) -> Tensor:
        """sigma [B] f32 -> [B, width]."""
        angles = (sigma * 1000)[:, None] * self.frequencies
        waves = torch.cat([angles.cos(), angles.sin()], -1)
        embedder = self.timestep_embedder
        return embedder.linear_2(F.silu(embedder.linear_1(waves)))  # type: ignore[no-any-return]


class OutputNorm(nn.Module):
    """The last modulated norm; scale comes first here."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 2 * width, bias=False)


class Transformer(nn.Module):
    """The whole part; its state dict has the keys of Flux2Transformer2DModel."""

    def __init__(self, sizes: TransformerSizes) -> None:
        super().__init__()
        self.sizes = sizes
        width = sizes.hidden_size
        self.x_embedder = nn.Linear(sizes.in_channels, width, bias=False)
        self.context_embedder = nn.Linear(sizes.joint_attention_dim, width, bias=False)
        self.time_guidance_embed = TimeEmbedding(sizes.timestep_channels, width)
        self.double_stream_modulation_img = Modulation(width, 6)
        self.double_stream_modulation_txt = Modulation(width, 6)
        self.single_stream_modulation = Modulation(width, 3)
        self.transformer_blocks = nn.ModuleList(DoubleBlock(sizes) for _ in range(sizes.num_layers))
        self.single_transformer_blocks = nn.ModuleList(
            SingleBlock(sizes) for _ in range(sizes.num_single_layers)
        )
        self.norm_out = OutputNorm(width)
        self.proj_out = nn.Linear(width, sizes.in_channels, bias=False)
        self._initialise()

    def _initialise(self) -> None:
        """Small gates instead of zero ones: without biases a gate of zero has no gradient to leave it by."""
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                gain = 0.3 if "modulation" in name or "norm_out" in name else 1.0
                nn.init.normal_(weight, std=gain * weight.shape[1] ** -0.5)
        nn.init.normal_(self.proj_out.weight, std=0.02)

    def table(self, text_seq_len: int, rows: int, columns: int) -> Table:
        """The rotary table for a picture of rows x columns tokens, on the CPU."""
        return joint_table(text_seq_len, rows, columns, self.sizes.axes_dims_rope, self.sizes.rope_theta)

    def forward(self, tokens: Tensor, prompt_embeds: Tensor, sigma: Tensor, table: Table) -> Tensor:
        """tokens [B, N, in_channels], prompt_embeds [B, T, joint], sigma [B] f32 -> velocity like tokens."""
        with torch.autocast(tokens.device.type, enabled=False):
            time = self.time_guidance_embed(sigma.float())
            of_picture = self.double_stream_modulation_img(time)
            of_text = self.double_stream_modulation_txt(time)
            of_single = self.single_stream_modulation(time)
            scale, shift = self.norm_out.linear(F.silu(time))[:, None].chunk(2, -1)
        picture, text = self.x_embedder(tokens), self.context_embedder(prompt_embeds)
        kind = picture.dtype
        of_picture, of_text, of_single = (
            tuple(m.to(kind) for m in group) for group in (of_picture, of_text, of_single)
        )
        for block in self.transformer_blocks:
            text, picture = block(text, picture, of_text, of_picture, table)
        x = torch.cat([text, picture], 1)
        for block in self.single_transformer_blocks:
            x = block(x, of_single, table)
        x = x[:, text.shape[1] :]
        return self.proj_out(modulate(x, shift.to(kind), scale.to(kind), self.sizes.eps))  # type: ignore[no-any-return]
