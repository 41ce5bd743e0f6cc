"""What the recognisers of the three stages look for: one function a pattern, each told what it is for.

Everything here reads expressions in normal form. A function either finds what it looks for or raises
KleinbildError with the stage, the role that is missing and what was found instead.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kleinbild.bundle import layout
from kleinbild.bundle.expression import UnsupportedError, Value
from kleinbild.bundle.places import Place, Rows, whole
from kleinbild.errors import KleinbildError

MAX_SEARCH = 1 << 14
MAX_FACTORS = 32
SCALE_TOLERANCE = 1e-2


@dataclass(frozen=True)
class Role:
    """What is being looked for: `stage` and the canonical tensor or part, for messages."""

    stage: str
    name: str

    def of(self, name: str) -> Role:
        """The role `name` of the same stage."""
        return Role(self.stage, name)

    def within(self, part: str) -> Role:
        """The role of `part` of what this one is."""
        return Role(self.stage, f"{part} of {self.name}")

    def missing(self, expected: str, found: Value | str, at: Value | None = None) -> KleinbildError:
        """An error to raise: `expected` was not there, `found` was; `at`: where, if `found` is words."""
        text = found if isinstance(found, str) else found.describe()
        where = found if isinstance(found, Value) else at
        cause = None if where is None else _not_understood(where)
        if cause is None:
            hint = "the bundle is of another model, or of an exporter that is not understood"
        else:
            hint = f"not understood on the way there: {cause.origin}"
        return KleinbildError(
            f"{self.stage}: cannot find {self.name}: expected {expected}, found {text}; {hint}"
        )


def from_the_end(kind: str, index: int) -> str:
    """Words for the layer or block that is found as number `index` when going backwards."""
    return f"the last {kind}" if index == 0 else f"the {kind} {index} before the last"


def _not_understood(x: Value) -> Value | None:
    """The opaque value nearest to `x` on its way from the inputs, if one is near at all."""
    left, seen = deque([x]), {x.id}
    while left and len(seen) < MAX_SEARCH:
        value = left.popleft()
        if value.op == "opaque":
            return value
        for before in value.inputs:
            if before.id not in seen:
                seen.add(before.id)
                left.append(before)
    return None


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
        raise role.missing(
            "all rows of a linear", f"rows {rows.start}:{rows.stop} of {source.linear.describe()}"
        )
    return source.x, whole(rows.weight)


def moved(x: Value, source: Value, axes: Sequence[int], role: Role, at: Sequence[int] = ()) -> list[int]:
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
        if normed.op == "rms" and weight.constant and weight.sizes:
            ready = (1,) * (len(weight.sizes) - 1) + normed.sizes[-1:]
            if weight.sizes == ready:
                return Norm(x, normed.inputs[0], weight, normed.attributes[0])
    return None


def vector(weight: Value) -> Place:
    """A vector [n], whatever sizes of 1 are around it."""
    return whole(weight, (math.prod(weight.sizes),))


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
    scores, scale = _scores(softmax.inputs[0])
    if scores.op != "matmul":
        raise role.missing("the product of queries and keys", scores)
    q, k = scores.inputs
    scale *= without_factors(q)[1] * without_factors(k)[1]
    expected = q.sizes[-1] ** -0.5
    if abs(scale - expected) > SCALE_TOLERANCE * expected:
        raise role.missing(f"scores scaled by {expected:g}", f"a scale of {scale:g} at {scores.describe()}")
    return Attention(product, q, k, v, _tokens(x, product, role))


def _tokens(x: Value, product: Value, role: Role) -> range:
    """The tokens of `product` [.., heads, S, d] in `x` [.., tokens, heads * d], heads side by side."""
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


def without_factors(x: Value) -> tuple[Value, float]:
    """`x` without moves and constant factors, and the factors' product."""
    factor = 1.0
    for _ in range(MAX_FACTORS):
        if x.op == "multiply":
            found = next(((a, b.scalar) for a, b in pairs(x) if b.scalar is not None), None)
            if found is None:
                break
            x, factor = found[0], factor * (found[1] or 0.0)
        elif x.op in layout.MOVES:
            x = x.inputs[0]
        else:
            break
    return x, factor


def _scores(x: Value) -> tuple[Value, float]:
    """What enters a softmax without factors and one mask, added or chosen by, and the factors' product."""
    x, factor = without_factors(x)
    if x.op in ("add", "where"):
        for value in x.inputs[-2:]:
            inner, more = without_factors(value)
            if inner.op == "matmul":
                return inner, factor * more
    return x, factor


def gated(x: Value, role: Role) -> tuple[Value, Value]:
    """(gate, up) of silu(gate) up."""
    if x.op == "multiply":
        for gate, up in pairs(x):
            if gate.op == "silu":
                return gate.inputs[0], up
    raise role.missing("silu(gate) up", x)
