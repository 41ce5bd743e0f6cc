"""What the recognisers of the three stages look for: one function a pattern, each told what it is for.

Everything here reads expressions in normal form. A function either finds what it looks for or raises
KleinbildError with the stage, the role that is missing and what was found instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kleinbild.bundle import layout
from kleinbild.bundle.expression import UnsupportedError, Value
from kleinbild.bundle.places import Place, Rows, whole
from kleinbild.errors import KleinbildError

MAX_SEARCH = 1 << 14
SCALE_TOLERANCE = 1e-2


@dataclass(frozen=True)
class Role:
    """What is being looked for: `stage` and the canonical tensor or part, for messages."""

    stage: str
    name: str

    def of(self, name: str) -> Role:
        """The role `name` of the same stage."""
        return Role(self.stage, name)

    def missing(self, expected: str, found: Value | str) -> KleinbildError:
        """An error to raise: `expected` was not there, `found` was."""
        text = found if isinstance(found, str) else found.describe()
        return KleinbildError(
            f"{self.stage}: cannot find {self.name}: expected {expected}, found {text}; "
            "the bundle is of another model, or of an exporter that is not understood"
        )


@dataclass(frozen=True)
class Norm:
    """rms(x) weight, over heads or the hidden size."""

    value: Value
    x: Value
    weight: Value
    eps: float


@dataclass(frozen=True)
class Attention:
    """softmax(q k^T) v: the values that enter the two products, and which tokens of the result are used."""

    value: Value
    q: Value
    k: Value
    v: Value
    tokens: range


@dataclass(frozen=True)
class Source:
    """Consecutive output rows of a linear, `rows`, and the value that enters it, `x`."""

    x: Value
    rows: Rows
    linear: Value


def pairs(x: Value) -> list[tuple[Value, Value]]:
    """The two inputs of `x` both ways round."""
    a, b = x.inputs
    return [(a, b), (b, a)]


def as_linear(x: Value, role: Role) -> Value:
    """The linear whose output `x` is, some of it perhaps, however laid out."""
    found = layout.unmoved(x)
    if found.op != "linear":
        raise role.missing("a linear", found)
    return found


def source_rows(x: Value, role: Role) -> Source:
    """The linear that makes `x` and which of its rows, which must be consecutive and in order."""
    linear = as_linear(x, role)
    numbers = moved(x, linear, [len(linear.sizes) - 1], role)
    start = numbers[0] if numbers else 0
    if not numbers or numbers != list(range(start, start + len(numbers))):
        raise role.missing("consecutive rows of a linear", f"other rows of {linear.describe()}")
    return Source(linear.inputs[0], Rows(linear.inputs[1], start, start + len(numbers)), linear)


def whole_linear(x: Value, role: Role) -> tuple[Value, Place]:
    """The value that enters the linear which makes all of `x`, and its weight."""
    source = source_rows(x, role)
    rows = source.rows
    if (rows.start, rows.stop) != (0, rows.weight.sizes[0]):
        raise role.missing("all rows of a linear", f"rows {rows.start}:{rows.stop} of {source.linear.describe()}")
    return source.x, whole(rows.weight)


def moved(
    x: Value, source: Value, axes: Sequence[int], role: Role, at: Sequence[int] = ()
) -> list[int]:
    """layout.order, as KleinbildError when it cannot tell."""
    try:
        return layout.order(x, source, axes, at)
    except UnsupportedError as error:
        raise role.missing("the elements in their places", f"{source.describe()} and {error}") from error


def norm(x: Value, role: Role) -> Norm:
    """rms(y) weight."""
    found = as_norm(x)
    if found is None:
        raise role.missing("a root mean square norm with weights", layout.unmoved(x))
    return found


def as_norm(x: Value) -> Norm | None:
    """The norm that `x` is, or None."""
    if x.op != "multiply":
        return None
    for normed, weight in pairs(x):
        if normed.op == "rms" and weight.constant and normed.shape is not None:
            size = normed.shape[-1]
            if weight.shape is not None and weight.shape[-1:] == (size,) and max(weight.shape) == size:
                if all(n == 1 for n in weight.shape[:-1]):
                    return Norm(x, normed.inputs[0], weight, normed.attributes[0])
    return None


def vector(weight: Value) -> Place:
    """A vector [n], whatever sizes of 1 are around it."""
    size = 1
    for n in weight.sizes:
        size *= n
    if weight.array is not None:
        return Place((Rows(weight, 0, weight.sizes[0] if weight.sizes else 1),), (size,))
    return whole(weight, (size,))


def upstream(x: Value, found: Callable[[Value], bool], role: Role) -> list[Value]:
    """The values nearest to `x` on each path towards the inputs for which `found` holds, first made first.

    Linears end a path as well. Raises KleinbildError when the search grows without end.
    """
    left, seen, result = [x], {x.id}, []
    while left:
        value = left.pop()
        if found(value):
            result.append(value)
        elif value.op != "linear" or value is x:
            for before in value.inputs:
                if before.id not in seen:
                    seen.add(before.id)
                    left.append(before)
        if len(seen) > MAX_SEARCH:
            raise role.missing("a part of a model", f"an expression of more than {MAX_SEARCH} values")
    return sorted(result, key=lambda value: value.id)


def attention(x: Value, role: Role) -> Attention:
    """The attention that makes `x`; its scale must be 1 / sqrt(d), d the last size of q."""
    product = layout.unmoved(x)
    if product.op != "matmul" or product.inputs[0].op != "softmax":
        raise role.missing("an attention", product)
    softmax, v = product.inputs
    scores, scale = _scaled(softmax.inputs[0])
    if scores.op != "matmul":
        raise role.missing("the product of queries and keys", scores)
    q, k = scores.inputs
    scale *= _scaled(q)[1] * _scaled(k)[1]
    expected = q.sizes[-1] ** -0.5
    if abs(scale - expected) > SCALE_TOLERANCE * expected:
        raise role.missing(f"scores scaled by {expected:g}", f"a scale of {scale:g} at {scores.describe()}")
    return Attention(product, q, k, v, _tokens(x, product, role))


def _tokens(x: Value, product: Value, role: Role) -> range:
    """The tokens of `product` [.., heads, S, d] that `x` [.., tokens, heads * d] holds, heads side by side."""
    rank = len(product.sizes)
    tokens = moved(x, product, [rank - 2], role)
    start = tokens[0] if tokens else 0
    at = [0] * rank
    at[rank - 2] = start
    axes = [axis for axis in range(rank) if axis != rank - 2]
    channels = moved(x, product, axes, role, at)
    if tokens != list(range(start, start + len(tokens))) or channels != list(range(x.sizes[-1])):
        raise role.missing("tokens in order, heads side by side", f"another order of {product.describe()}")
    return range(start, start + len(tokens))


def _scaled(x: Value) -> tuple[Value, float]:
    """`x` without constant factors, moves and masks, and the factors' product."""
    factor = 1.0
    while True:
        if x.op in layout.MOVES or x.op in ("clip", "cast"):
            x = x.inputs[0]
        elif x.op == "multiply" and any(value.scalar is not None for value in x.inputs):
            number, x = next((b.scalar, a) for a, b in pairs(x) if b.scalar is not None)
            factor *= number if number is not None else 1.0
        elif x.op == "add" and any(_is_scores(value) for value in x.inputs):
            x = next(value for value in x.inputs if _is_scores(value))
        else:
            return x, factor


def _is_scores(x: Value) -> bool:
    while x.op in layout.MOVES or (x.op == "multiply" and any(v.scalar is not None for v in x.inputs)):
        x = x.inputs[0] if x.op in layout.MOVES else next(a for a, b in pairs(x) if b.scalar is not None)
    return x.op == "matmul"


def gated(x: Value, role: Role) -> tuple[Value, Value]:
    """(gate, up) of silu(gate) up."""
    if x.op == "multiply":
        for gate, up in pairs(x):
            if gate.op == "silu":
                return gate.inputs[0], up
            moved_gate = layout.unmoved(gate)
            if moved_gate.op == "silu" and gate.op != "linear":
                raise role.missing("silu(gate) up", f"a silu that is moved: {gate.describe()}")
    raise role.missing("silu(gate) up", x)
