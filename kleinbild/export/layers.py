"""The parts that text encoder, transformer and VAE decoder share, as ONNX nodes.

The rule for precision in every function: linears and convolutions run in the graph's own dtype (`real`,
float16 or float32); residual streams, norm statistics, rotations, attention scores and softmax are float32.
`to_f32` and `to_real` are the only casts between the two, and in a float32 graph they add nothing.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from kleinbild.export.graph import GraphBuilder

INT64_MAX = (1 << 63) - 1


def to_f32(g: GraphBuilder, x: str) -> str:
    """`x`, of dtype `real`, as float32."""
    return x if g.real == np.float32 else g.op("Cast", x, to=TensorProto.FLOAT)


def to_real(g: GraphBuilder, x: str) -> str:
    """`x`, float32, as dtype `real`."""
    return x if g.real == np.float32 else g.op("Cast", x, to=TensorProto.FLOAT16)


def as_real(g: GraphBuilder, x: str) -> str:
    """A node that gives `x`, float32, as dtype `real`: what can be made a graph output."""
    return g.op("Identity", x) if g.real == np.float32 else to_real(g, x)


def silu(g: GraphBuilder, x: str) -> str:
    """x * sigmoid(x)."""
    return g.op("Mul", x, g.op("Sigmoid", x))


def rms_norm(g: GraphBuilder, x: str, weight: str, eps: float) -> str:
    """x / sqrt(mean(x^2) + eps) * weight over the last axis; x and result float32, weight of dtype `real`."""
    square = g.op("Pow", x, g.f32(2.0))
    variance = g.op("ReduceMean", square, g.i64([-1]), keepdims=1)
    root = g.op("Sqrt", g.op("Add", variance, g.f32(eps)))
    return g.op("Mul", g.op("Div", x, root), to_f32(g, weight))


def reshape(g: GraphBuilder, x: str, *dims: int) -> str:
    """`x` in the shape `dims`: 0 keeps a size, -1 takes what is left."""
    return g.op("Reshape", x, g.i64(dims))


def split(g: GraphBuilder, x: str, sizes: list[int], axis: int = -1) -> list[str]:
    """`x` cut into parts of `sizes` along `axis`."""
    return g.op_multiple("Split", len(sizes), x, g.i64(sizes), axis=axis)


def rows(g: GraphBuilder, x: str, start: int, stop: int = INT64_MAX) -> str:
    """x[:, start:stop]."""
    return g.op("Slice", x, g.i64([start]), g.i64([stop]), g.i64([1]))


def attention(g: GraphBuilder, q: str, k: str, v: str, head_dim: int, bias: str | None = None) -> str:
    """softmax(q k^T / sqrt(head_dim) + bias) v.

    q [1, heads, Sq, head_dim], k [1, heads, Sk, head_dim] and bias are float32, v [1, heads, Sk, head_dim] of
    dtype `real`; so is the result [1, Sq, heads*head_dim]. Each side of the product carries half of the
    scale, one float32 scalar.
    """
    scale = g.f32(head_dim**-0.25)
    kt = g.op("Transpose", k, perm=[0, 1, 3, 2])
    scores = g.op("MatMul", g.op("Mul", q, scale), g.op("Mul", kt, scale))
    if bias is not None:
        scores = g.op("Add", scores, bias)
    probabilities = to_real(g, g.op("Softmax", scores, axis=-1))
    result = g.op("Transpose", g.op("MatMul", probabilities, v), perm=[0, 2, 1, 3])
    return reshape(g, result, 0, 0, -1)
