"""Rotary position embedding of the transformer: four position axes, interleaved pairs, all float32.

An id is (t, h, w, l). Each axis turns its own share of a head's pairs by position * theta^(-2i/d), d the
share's width (diffusers' Flux2PosEmbed, which makes the angles in float64; ids stay small enough for
float32).
"""

from __future__ import annotations

import numpy as np

from kleinbild.config import TransformerConfig
from kleinbild.export.graph import GraphBuilder
from kleinbild.export.layers import reshape, split


def rotation(g: GraphBuilder, c: TransformerConfig, ids: str) -> tuple[str, str]:
    """Cosines and sines [1, 1, N, head_dim/2, 1] of ids, float32 [1, N, 4]."""
    angles = []
    for axis, width in enumerate(c.axes_dims_rope):
        position = g.op("Gather", ids, g.i64([axis]), axis=2)
        frequencies = c.rope_theta ** -(np.arange(0, width, 2, dtype=np.float64) / width)
        angles.append(g.op("Mul", position, g.f32(frequencies)))
    angle = g.op("Unsqueeze", g.op("Concat", *angles, axis=-1), g.i64([1, 4]))
    return g.op("Cos", angle), g.op("Sin", angle)


def rotate(g: GraphBuilder, x: str, table: tuple[str, str], heads: int, head_dim: int) -> str:
    """x [1, heads, N, head_dim], float32, with each pair (2i, 2i+1) turned by its angle in `table`."""
    cos, sin = table
    pairs = reshape(g, x, 0, 0, -1, head_dim // 2, 2)
    even, odd = split(g, pairs, [1, 1])
    turned = g.op(
        "Concat",
        g.op("Sub", g.op("Mul", even, cos), g.op("Mul", odd, sin)),
        g.op("Add", g.op("Mul", odd, cos), g.op("Mul", even, sin)),
        axis=-1,
    )
    return reshape(g, turned, 0, heads, -1, head_dim)
