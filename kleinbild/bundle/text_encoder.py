"""Finds the text encoder's weights and numbers in what its graph computes.

It goes from `ctx` back to `input_ids`: the taps are residual streams; a layer is the two additions to one,
the MLP's and the attention's. Qwen3 is what is looked for: norms by root mean square, gated MLP, norms of
each query and key head, key and value heads shared by groups of query heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kleinbild.bundle import layout
from kleinbild.bundle.evaluate import evaluate
from kleinbild.bundle.expression import UnsupportedError, Value
from kleinbild.bundle.match import (
    Norm,
    Role,
    Source,
    as_linear,
    as_norm,
    attention,
    from_the_end,
    gated,
    moved,
    norm,
    source_rows,
    upstream,
    vector,
    whole_linear,
)
from kleinbild.bundle.places import Place, Rows, rows, whole
from kleinbild.bundle.rotary import check_rotation, half_layout, rope_theta
from kleinbild.canonical import EMBEDDING
from kleinbild.config import TextEncoderConfig

STAGE = "text_encoder"
MAX_LAYERS = 1 << 8
MAX_TAPS = 16


@dataclass(frozen=True)
class _Layer:
    places: dict[str, Place]
    before: Value
    head_dim: int
    theta: float
    eps: float


def find_text_encoder(ctx: Value, input_ids: Value) -> tuple[TextEncoderConfig, dict[str, Place]]:
    """The numbers of the text encoder that gives `ctx` [1, S, taps * hidden], and every canonical tensor.

    Raises KleinbildError naming the role that is missing and what was found instead.
    """
    role = Role(STAGE, "the tapped layers")
    taps = _taps(ctx, role)
    states = [max(taps, key=lambda tap: tap.id)]
    layers: list[_Layer] = []
    while states[-1].op != "gather":
        if len(layers) == MAX_LAYERS:
            raise role.missing(f"at most {MAX_LAYERS} layers", "more")
        layers.append(_layer(states[-1], not layers, role.of(from_the_end("layer", len(layers)))))
        states.append(layers[-1].before)
    states.reverse()
    layers.reverse()
    numbers = []
    for tap in taps:
        if tap not in states:
            raise role.missing("the residual stream after a layer", tap)
        numbers.append(states.index(tap))
    if numbers != sorted(set(numbers)) or numbers[0] == 0:
        raise role.missing("layers in ascending order", f"layers {numbers}")
    return _config(layers, numbers, _embedding(states[0], input_ids, role.of(EMBEDDING)), role)


def _config(
    layers: list[_Layer], taps: list[int], embedding: Value, role: Role
) -> tuple[TextEncoderConfig, dict[str, Place]]:
    places = {EMBEDDING: whole(embedding)}
    for i, layer in enumerate(layers):
        places |= {f"model.layers.{i}.{name}": place for name, place in layer.places.items()}
        first = layers[0]
        if (layer.head_dim, layer.theta, layer.eps) != (first.head_dim, first.theta, first.eps):
            raise role.of(f"layer {i}").missing(
                f"heads of {first.head_dim}, theta {first.theta:g}, eps {first.eps:g} as in layer 0",
                f"{layer.head_dim}, {layer.theta:g}, {layer.eps:g}",
            )
    own, head_dim = layers[0].places, layers[0].head_dim
    config = TextEncoderConfig(
        vocab_size=embedding.sizes[0],
        hidden_size=embedding.sizes[1],
        intermediate_size=own["mlp.gate_proj.weight"].shape[0],
        num_layers=len(layers),
        num_attention_heads=own["self_attn.q_proj.weight"].shape[0] // head_dim,
        num_key_value_heads=own["self_attn.k_proj.weight"].shape[0] // head_dim,
        head_dim=head_dim,
        rms_norm_eps=layers[0].eps,
        rope_theta=layers[0].theta,
        tapped_layers=tuple(taps),
    )
    return config, places


def _taps(ctx: Value, role: Role) -> list[Value]:
    """The states that `ctx` joins, in the order of its channels."""
    x = layout.unmoved(ctx)
    if x.op != "concat":
        return [x]
    if len(x.inputs) > MAX_TAPS:
        raise role.missing(f"at most {MAX_TAPS} tapped layers", f"{len(x.inputs)}")
    taps = [layout.unmoved(part) for part in x.inputs]
    last = len(x.sizes) - 1
    if any(
        tap.shape is None or part.sizes[-1:] != tap.shape[-1:]
        for tap, part in zip(taps, x.inputs, strict=True)
    ):
        raise role.missing("whole residual streams side by side", x)
    # Stacked taps become channels by a transpose; each must keep its own, in order.
    axes = [last] if x.attributes[0] == last else [x.attributes[0], last]
    numbers = moved(ctx, x, axes, role)
    if numbers != list(range(sum(tap.sizes[-1] for tap in taps))):
        raise role.missing("the taps' channels one after another", x)
    return taps


def _embedding(x: Value, input_ids: Value, role: Role) -> Value:
    table, ids = x.inputs
    if (
        x.attributes != (0,)
        or len(table.sizes) != 2
        or not table.constant
        or layout.unmoved(ids) is not input_ids
    ):
        raise role.missing("rows of a table chosen by input_ids", x)
    return table


def _layer(after: Value, check: bool, role: Role) -> _Layer:
    """The layer whose output is the residual stream `after`; `check`: whether to compute its rotation."""
    down, middle = _added(after, role.within("mlp.down_proj"))
    h, down_place = whole_linear(down, role.within("mlp.down_proj"))
    gate, up = gated(h, role.within("mlp.gate_proj and mlp.up_proj"))
    sources = {
        name: source_rows(value, role.within(f"mlp.{name}"))
        for name, value in (("gate_proj", gate), ("up_proj", up))
    }
    after_norm = _shared_norm(list(sources.values()), middle, role.within("post_attention_layernorm"))
    output, before = _added(middle, role.within("self_attn.o_proj"))
    attended, output_place = whole_linear(output, role.within("self_attn.o_proj"))
    found = attention(attended, role.within("the attention"))
    q, k = (_head_norm(x, role.within(f"self_attn.{n}_norm")) for x, n in ((found.q, "q"), (found.k, "k")))
    sources |= {
        "q_proj": source_rows(q.x, role.within("self_attn.q_proj")),
        "k_proj": source_rows(k.x, role.within("self_attn.k_proj")),
    }
    heads, shared = (
        (sources[name].rows.stop - sources[name].rows.start) // q.x.sizes[-1] for name in ("q_proj", "k_proj")
    )
    part = role.within("self_attn.v_proj")
    sources["v_proj"] = _values(found.v, q.x.sizes[-1], heads, shared, part)
    before_norm = _shared_norm(
        [sources[n] for n in ("q_proj", "k_proj", "v_proj")],
        before,
        role.within("input_layernorm"),
    )
    eps = {n.eps for n in (before_norm, after_norm, q, k)}
    if len(eps) != 1:
        raise role.within("the norms").missing("one eps", f"{sorted(eps)}")
    places = {
        "input_layernorm.weight": vector(before_norm.weight),
        "self_attn.q_norm.weight": vector(q.weight),
        "self_attn.k_norm.weight": vector(k.weight),
        "self_attn.o_proj.weight": output_place,
        "post_attention_layernorm.weight": vector(after_norm.weight),
        "mlp.down_proj.weight": down_place,
    }
    for name, source in sources.items():
        module = "mlp" if name in ("gate_proj", "up_proj") else "self_attn"
        places[f"{module}.{name}.weight"] = rows([source.rows], f"{STAGE}: {name} of {role.name}")
    return _Layer(places, before, q.x.sizes[-1], _theta(found.q, q, check, role), q.eps)


def _added(x: Value, role: Role) -> tuple[Value, Value]:
    """(what a linear adds, the residual stream before) of the residual stream `x`."""
    if x.op == "add":
        # The stream before is what the other depends on, so it was made first.
        before, added = sorted(x.inputs, key=lambda value: value.id)
        if layout.unmoved(added).op == "linear":
            return added, before
    raise role.missing("a linear's output added to the residual stream", x)


def _shared_norm(sources: list[Source], state: Value, role: Role) -> Norm:
    """The norm of `state` that enters all `sources`."""
    found = norm(sources[0].x, role)
    if found.x is not state or any(source.x is not sources[0].x for source in sources):
        raise role.missing("one norm of the residual stream before the linears", sources[-1].x)
    return found


def _head_norm(x: Value, role: Role) -> Norm:
    """The norm over each head that `x` is made from, by rotary embedding and moves."""
    found = upstream(x, lambda value: as_norm(value) is not None, role)
    if len(found) != 1:
        raise role.missing("one norm of each head", f"{len(found)} of them before {x.describe()}", x)
    return norm(found[0], role)


def _values(v: Value, head_dim: int, heads: int, shared: int, role: Role) -> Source:
    """The linear of the values: `shared` heads, each for heads / shared query heads in a row."""
    linear = as_linear(v, role)
    numbers = moved(v, linear, [len(linear.sizes) - 1], role)
    start, group = min(numbers, default=0), heads // max(1, shared)
    expected = [start + head // group * head_dim + i for head in range(heads) for i in range(head_dim)]
    if numbers != expected and numbers != expected[: shared * head_dim]:
        raise role.missing(f"{shared} heads of {head_dim}, shared by {heads}", linear)
    return Source(linear.inputs[0], Rows(linear.inputs[1], start, start + shared * head_dim), linear)


def _theta(q: Value, head: Norm, check: bool, role: Role) -> float:
    """theta of the rotary embedding on the path of `q` from the norm `head`; its angles are constants."""
    head_dim = head.x.sizes[-1]
    role = role.within("the rotary embedding")
    cosines = upstream(q, lambda value: value.op == "cos", role)
    if len(cosines) != 1:
        raise role.missing("one table of cosines", f"{len(cosines)} before {q.describe()}", q)
    try:
        angles = evaluate(cosines[0].inputs[0], {})
    except UnsupportedError as error:
        raise role.missing("angles that depend on the position alone", str(error)) from error
    positions, half = q.sizes[-2], head_dim // 2
    table = np.squeeze(angles)
    if table.shape[-1:] == (positions,) and table.shape[:1] != (positions,):
        table = table.T
    if table.size not in (positions * half, positions * head_dim):
        raise role.missing(f"{half} angles for each position", f"angles of the shape {list(angles.shape)}")
    table = table.reshape(positions, -1)
    frequencies = table[min(1, positions - 1), :half]
    expected = np.arange(positions)[:, None] * np.resize(frequencies, table.shape[1])
    if not np.allclose(table, expected, rtol=1e-4, atol=1e-6):
        raise role.missing(f"{half} frequencies times the position", "other angles")
    if check:
        check_rotation(q, [head.value], {}, half_layout(frequencies, positions), role)
    return rope_theta([frequencies], role)
