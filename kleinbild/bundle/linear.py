"""A linear's weight, however a graph multiplies by it: MatMul, Gemm, MatMulNBits.

linear(x, w): x [..., K], w either a constant [N, K] or a "q4" value of codes, scales and zero points. A bias
is an addition of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from kleinbild.bundle import layout
from kleinbild.bundle.arithmetic import add
from kleinbild.bundle.expression import Expressions, UnsupportedError, Value
from kleinbild.weights import BLOCK_SIZES

MAX_SIZE = 1 << 28


def matmul(e: Expressions, a: Value, b: Value) -> Value:
    """a b, a linear when b is a constant matrix."""
    if b.constant and not a.constant:
        sizes = b.sizes
        if len(sizes) > 2 and math.prod(sizes[:-2]) == 1:
            b = layout.reshape(e, b, sizes[-2:])
        if len(b.sizes) == 2:
            return linear(e, a, layout.transpose(e, b, [1, 0]))
    left, right = a.sizes, b.sizes
    if len(left) < 2 or len(right) < 2 or left[-1] != right[-2]:
        raise UnsupportedError(f"a product of {list(left)} and {list(right)}")
    lead = _broadcast_lead(left[:-2], right[:-2])
    return e.make("matmul", [a, b], (*lead, left[-2], right[-1]))


def linear(e: Expressions, x: Value, weight: Value) -> Value:
    """x weight^T, `weight` [N, K]."""
    rows, columns = weight.sizes
    if not x.sizes or x.sizes[-1] != columns:
        raise UnsupportedError(f"a linear of K {columns} on {list(x.sizes)}")
    return e.make("linear", [x, weight], (*x.sizes[:-1], rows))


def gemm(
    e: Expressions,
    inputs: Sequence[Value | None],
    *,
    alpha: float,
    beta: float,
    trans_a: int,
    trans_b: int,
) -> Value:
    """Gemm: alpha a b + beta c with optional transposes; only plain linears are understood."""
    a, b, c = (*inputs, None, None, None)[:3]
    if a is None or b is None or alpha != 1 or trans_a or (c is not None and beta != 1):
        raise UnsupportedError("a Gemm that is no plain linear")
    result = matmul(e, a, layout.transpose(e, b, [1, 0]) if trans_b else b)
    return result if c is None else add(e, result, c)


def matmul_nbits(e: Expressions, inputs: Sequence[Value | None], numbers: dict[str, int]) -> Value:
    """MatMulNBits in 4 bits; inputs x, codes, scales, zero points, group order, bias."""
    x, codes, scales, zero_points, group_order, bias = (*inputs, *[None] * 6)[:6]
    rows, columns, block = numbers.get("N", 0), numbers.get("K", 0), numbers.get("block_size", 0)
    bits = numbers.get("bits", 4)
    if x is None or not (0 < rows <= MAX_SIZE and 0 < columns <= MAX_SIZE):
        raise UnsupportedError(f"a MatMulNBits of N {rows}, K {columns}")
    if not x.sizes or x.sizes[-1] != columns:
        raise UnsupportedError(f"a MatMulNBits of N {rows}, K {columns} on {list(x.sizes)}")
    shape = (*x.sizes[:-1], rows)
    if bits != 4 or block not in BLOCK_SIZES:
        known = ", ".join(map(str, BLOCK_SIZES))
        raise UnsupportedError(f"{bits} bits in blocks of {block}; only 4 bits in blocks of {known}", shape)
    if codes is None or scales is None or group_order is not None:
        raise UnsupportedError("a MatMulNBits with a group order or without scales", shape)
    blocks = -(-columns // block)
    sizes = {"codes": rows * blocks * (block // 2), "scales": rows * blocks}
    parts = {"codes": codes, "scales": scales}
    if zero_points is not None:
        parts["zero points"], sizes["zero points"] = zero_points, rows * (-(-blocks // 2))
    for name, part in parts.items():
        if not part.constant:
            raise UnsupportedError(f"{name} that are not stored in the graph", shape)
        if math.prod(part.sizes) != sizes[name]:
            # N itself is in doubt then.
            raise UnsupportedError(f"{name} of the shape {list(part.sizes)}; expected {sizes[name]} elements")
    weight = e.make("q4", list(parts.values()), (rows, columns), (block,))
    result = e.make("linear", [x, weight], shape)
    return result if bias is None else add(e, result, bias)


def _broadcast_lead(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    rank = max(len(a), len(b))
    a, b = (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b
    if any(x != y and 1 not in (x, y) for x, y in zip(a, b, strict=True)):
        raise UnsupportedError(f"batches {list(a)} and {list(b)}")
    return tuple(max(x, y) for x, y in zip(a, b, strict=True))
