"""Rotary positions: halves in the text encoder, interleaved pairs on four axes in the transformer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def half_table(length: int, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """cos, sin [length, head_dim], f32, of Qwen3's layout: element i turns with element i + head_dim / 2."""
    frequencies = theta ** -(torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    angles = torch.arange(length, dtype=torch.float32)[:, None] * frequencies
    angles = torch.cat([angles, angles], -1)
    return angles.cos(), angles.sin()


def rotate_halves(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """x [..., length, head_dim] turned by `half_table`; same dtype as x."""
    a, b = x.chunk(2, -1)
    return (x * table[0] + torch.cat([-b, a], -1) * table[1]).to(x.dtype)


def joint_table(
    text_seq_len: int, rows: int, columns: int, axes: Sequence[int], theta: float
) -> tuple[Tensor, Tensor]:
    """cos, sin [text_seq_len + rows * columns, head_dim / 2], f32, of the sequence text, picture.

    A text token l stands at (0, 0, 0, l), a picture token at (0, row, column, 0).
    """
    text = torch.zeros(text_seq_len, 4, dtype=torch.float64)
    text[:, 3] = torch.arange(text_seq_len)
    picture = torch.zeros(rows, columns, 4, dtype=torch.float64)
    picture[..., 1] = torch.arange(rows)[:, None]
    picture[..., 2] = torch.arange(columns)[None]
    places = torch.cat([text, picture.reshape(-1, 4)])
    angles = torch.cat(
        [
            places[:, i : i + 1] * theta ** -(torch.arange(0, axis, 2, dtype=torch.float64) / axis)
            for i, axis in enumerate(axes)
        ],
        -1,
    )
    return angles.cos().float(), angles.sin().float()


def rotate_pairs(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """x [..., length, head_dim] whose pairs (2i, 2i + 1) are turned by `joint_table`; same dtype as x."""
    cos, sin = table
    a, b = torch.unflatten(x, -1, (-1, 2)).unbind(-1)
    return torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2).to(x.dtype)
