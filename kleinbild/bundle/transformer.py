"""Finds the transformer's weights and numbers in what its graph computes.

It goes from `pred` back to the inputs: the output layer, the single stream blocks, the place where the two
streams were joined, the double stream blocks, the embedders. Streams are told apart by the inputs that they
come from, gate and up by the Sigmoid, scale and shift by the addition of 1.
"""

from __future__ import annotations

from dataclasses import dataclass

from kleinbild.bundle import layout
from kleinbild.bundle.expression import Value
from kleinbild.bundle.match import (
    Attention,
    Role,
    as_norm,
    attention,
    from_the_end,
    gated,
    moved,
    norm,
    pairs,
    source_rows,
    upstream,
    vector,
    whole_linear,
)
from kleinbild.bundle.modulation import Modulated, Modulations, modulated
from kleinbild.bundle.places import Place, Rows, rows
from kleinbild.bundle.time_and_place import read_rotary, read_timestep
from kleinbild.config import TransformerConfig

STAGE = "transformer"
MAX_BLOCKS = 1 << 8
INPUTS = ("x", "x_ids", "timesteps", "ctx", "ctx_ids")


@dataclass(frozen=True)
class TransformerInputs:
    """The graph's inputs as values."""

    x: Value
    x_ids: Value
    timesteps: Value
    ctx: Value
    ctx_ids: Value


@dataclass(frozen=True)
class FoundTransformer:
    """What find_transformer finds; timestep_scale: how many timesteps a sigma of 1 is."""

    config: TransformerConfig
    places: dict[str, Place]
    timestep_scale: float


def find_transformer(pred: Value, inputs: TransformerInputs) -> FoundTransformer:
    """The numbers of the transformer that gives `pred` [1, S, channels], and every canonical tensor.

    Raises KleinbildError naming the role that is missing and what was found instead.
    """
    return _Transformer(pred, inputs).find()


@dataclass(frozen=True)
class _Half:
    """One stream's half of a double stream block: its places by canonical name, and the stream before."""

    places: dict[str, Place]
    before: Value
    attention: Attention


class _Transformer:
    def __init__(self, pred: Value, inputs: TransformerInputs) -> None:
        self.pred = pred
        self.inputs = inputs
        self.role = Role(STAGE, "")
        self.modulations = Modulations(STAGE)
        self.query: Value | None = None
        self.heads: list[Value] = []

    def find(self) -> FoundTransformer:
        role = self.role.of("proj_out")
        h, proj_out = whole_linear(self.pred, role)
        out = modulated(h, self.role.of("norm_out"))
        self.modulations.eps(out.eps, role)
        places = {
            "proj_out.weight": proj_out,
            "norm_out.linear.weight": rows([out.scale.rows, out.shift.rows], f"{STAGE}: norm_out"),
        }
        stream = layout.unmoved(out.state)
        single: list[dict[str, Place]] = []
        while stream.op == "add":
            self._limit(single)
            found, stream = self._single_block(
                stream, self.role.of(from_the_end("single block", len(single)))
            )
            single.append(found)
        picture, text = self._streams(stream, out.state)
        double: list[dict[str, Place]] = []
        while layout.unmoved(picture).op != "linear":
            self._limit(double)
            found, text, picture = self._double_block(
                text, picture, self.role.of(from_the_end("double block", len(double)))
            )
            double.append(found)
        for name, blocks in (("single_transformer_blocks", single), ("transformer_blocks", double)):
            for i, block in enumerate(reversed(blocks)):
                places |= {f"{name}.{i}.{part}": place for part, place in block.items()}
        places |= self._embedders(text, picture)
        places |= self.modulations.places()
        vector_ = self.modulations.vector(out, self.role.of("norm_out"))
        timestep = read_timestep(vector_, self.inputs.timesteps, self.role)
        places |= timestep.places
        return FoundTransformer(
            self._config(places, len(double), len(single), timestep.channels), places, timestep.scale
        )

    def _limit(self, blocks: list[dict[str, Place]]) -> None:
        if len(blocks) == MAX_BLOCKS:
            raise self.role.of("the blocks").missing(f"at most {MAX_BLOCKS} of them", "more")

    def _config(self, places: dict[str, Place], double: int, single: int, channels: int) -> TransformerConfig:
        if not double or not single or self.query is None:
            raise self.role.of("the blocks").missing(
                "blocks of both kinds", f"{double} double, {single} single"
            )
        head_dim = places["transformer_blocks.0.attn.norm_q.weight"].shape[0]
        axes, theta = read_rotary(
            self.query,
            self.heads,
            (self.inputs.x_ids, self.inputs.ctx_ids),
            self.role.of("the rotary embedding"),
        )
        hidden = places["x_embedder.weight"].shape[0]
        return TransformerConfig(
            in_channels=places["x_embedder.weight"].shape[1],
            out_channels=places["proj_out.weight"].shape[0],
            hidden_size=hidden,
            num_layers=double,
            num_single_layers=single,
            num_attention_heads=hidden // head_dim,
            attention_head_dim=head_dim,
            joint_attention_dim=places["context_embedder.weight"].shape[1],
            mlp_hidden_size=places["transformer_blocks.0.ff.linear_in.weight"].shape[0] // 2,
            timestep_channels=channels,
            axes_dims_rope=axes,
            rope_theta=theta,
            eps=self.modulations.one_eps(self.role.of("the norms")),
        )

    def _embedders(self, text: Value, picture: Value) -> dict[str, Place]:
        places = {}
        for name, value, source in (
            ("context_embedder", text, self.inputs.ctx),
            ("x_embedder", picture, self.inputs.x),
        ):
            role = self.role.of(name)
            x, places[f"{name}.weight"] = whole_linear(value, role)
            if layout.unmoved(x) is not source:
                raise role.missing(f"a linear of the input {source.attributes[0]!r}", x)
        return places

    def _streams(self, joined: Value, state: Value) -> tuple[Value, Value]:
        """(picture, text) before they were joined; `state`, which the output layer takes, is the picture."""
        role = self.role.of("the end of the double blocks")
        if joined.op != "concat" or len(joined.inputs) != 2 or joined.attributes[0] != len(joined.sizes) - 2:
            raise role.missing("two streams joined", joined)
        axis = joined.attributes[0]
        first, second = joined.inputs
        # `state` is some tokens of a later stream, which has the same ones.
        tokens = moved(state, layout.unmoved(state), [axis], role)
        cut = first.sizes[axis]
        for picture, text, numbers in (
            (first, second, range(cut)),
            (second, first, range(cut, joined.sizes[axis])),
        ):
            if tokens == list(numbers):
                return picture, text
        raise role.missing("the picture's tokens at the output layer", state)

    def _added(self, x: Value, role: Role) -> tuple[Value, Rows, Value]:
        """(what a linear gives, the gate's rows, the stream before) of the stream `x`."""
        if x.op == "add":
            before, added = sorted(x.inputs, key=lambda value: value.id)
            for change, gate in pairs(added) if added.op == "multiply" else ():
                origin = layout.unmoved(gate)
                if origin.op == "linear" and origin.inputs[0].op == "silu":
                    source = source_rows(gate, role.within("the gate"))
                    self.modulations.same_vector(source, role)
                    return change, source.rows, before
        raise role.missing("gate times a linear's output, added to the stream", x)

    def _single_block(self, after: Value, role: Role) -> tuple[dict[str, Place], Value]:
        change, gate_rows, before = self._added(after, role.within("attn.to_out"))
        h, to_out = whole_linear(change, role.within("attn.to_out"))
        if h.op != "concat" or len(h.inputs) != 2 or h.attributes[0] != len(h.sizes) - 1:
            raise role.within("attn.to_out").missing("attention and MLP side by side", h)
        attended, hidden = h.inputs
        found = attention(attended, role.within("the attention"))
        gate, up = gated(hidden, role.within("the MLP"))
        norms = {}
        for name, value in (("q", found.q), ("k", found.k)):
            part = role.within(f"attn.norm_{name}")
            heads = upstream(value, lambda v: as_norm(v) is not None, part)
            if len(heads) != 1:
                raise part.missing("one norm of each head", f"{len(heads)} before {value.describe()}", value)
            norms[name] = norm(heads[0], part)
            self.modulations.eps(norms[name].eps, part)
        part = role.within("attn.to_qkv_mlp_proj")
        sources = [source_rows(value, part) for value in (norms["q"].x, norms["k"].x, found.v, gate, up)]
        for source in sources:
            if source.x is not sources[0].x:
                raise part.missing("one value entering q, k, v, gate and up", source.x)
        entered = modulated(sources[0].x, part)
        self._entered(entered, before, part)
        self.modulations.use("single_stream_modulation", [entered, gate_rows], role)
        self.query, self.heads = found.q, [norms["q"].value]
        return {
            "attn.to_qkv_mlp_proj.weight": rows([s.rows for s in sources], f"{STAGE}: {part.name}"),
            "attn.norm_q.weight": vector(norms["q"].weight),
            "attn.norm_k.weight": vector(norms["k"].weight),
            "attn.to_out.weight": to_out,
        }, before

    def _double_block(self, text: Value, picture: Value, role: Role) -> tuple[dict[str, Place], Value, Value]:
        """Places of a block, and the streams before it, text first."""
        halves = {
            "txt": self._half(text, "ff_context", "attn.to_add_out", "txt", role),
            "img": self._half(picture, "ff", "attn.to_out.0", "img", role),
        }
        found = halves["img"].attention
        if found.value is not halves["txt"].attention.value:
            raise role.missing("one attention of both streams", halves["txt"].attention.value)
        places = halves["txt"].places | halves["img"].places
        befores = {stream: half.before for stream, half in halves.items()}
        entries: dict[str, Value] = {}
        for name, value in (("q", found.q), ("k", found.k)):
            part = role.within(f"attn.norm_{name} and attn.norm_added_{name}")
            heads = [norm(v, part) for v in upstream(value, lambda v: as_norm(v) is not None, part)]
            streams = {}
            for head in heads:
                self.modulations.eps(head.eps, part)
                source = source_rows(head.x, role.within(f"{name} projections"))
                stream = self._stream_of(source.x, befores, part)
                streams[stream] = head
                entries.setdefault(stream, source.x)
                if entries[stream] is not source.x:
                    raise part.missing("one value entering q, k and v", source.x)
                canonical = f"attn.to_{name}" if stream == "img" else f"attn.add_{name}_proj"
                places[f"{canonical}.weight"] = rows([source.rows], f"{STAGE}: {canonical} of {role.name}")
            if len(heads) != 2 or len(streams) != 2:
                raise part.missing("a norm for each stream", f"{len(heads)} before {value.describe()}", value)
            places[f"attn.norm_{name}.weight"] = vector(streams["img"].weight)
            places[f"attn.norm_added_{name}.weight"] = vector(streams["txt"].weight)
        places |= self._values(found.v, entries, {s: h.attention.tokens for s, h in halves.items()}, role)
        return places, befores["txt"], befores["img"]

    def _half(self, after: Value, ff: str, projection: str, stream: str, role: Role) -> _Half:
        part = role.within(f"{ff}.linear_out")
        change, gate_after, middle = self._added(after, part)
        h, linear_out = whole_linear(change, part)
        gate, up = gated(h, part)
        part = role.within(f"{ff}.linear_in")
        sources = [source_rows(value, part) for value in (gate, up)]
        if sources[0].x is not sources[1].x:
            raise part.missing("one value entering gate and up", sources[1].x)
        mlp_entered = modulated(sources[0].x, part)
        self._entered(mlp_entered, middle, part)
        part = role.within(f"{projection}")
        change, gate_before, before = self._added(middle, part)
        attended, out = whole_linear(change, part)
        name = f"double_stream_modulation_{stream}"
        self.modulations.use(name, [gate_before, mlp_entered, gate_after], role, before=before)
        places = {
            f"{ff}.linear_in.weight": rows(
                [s.rows for s in sources], f"{STAGE}: {ff}.linear_in of {role.name}"
            ),
            f"{ff}.linear_out.weight": linear_out,
            f"{projection}.weight": out,
        }
        return _Half(places, before, attention(attended, role.within("the attention")))

    def _stream_of(self, entered: Value, befores: dict[str, Value], role: Role) -> str:
        """The stream whose modulated norm `entered` is."""
        found = modulated(entered, role)
        self.modulations.eps(found.eps, role)
        for stream, before in befores.items():
            if found.state is before:
                self.modulations.enter(f"double_stream_modulation_{stream}", found, role)
                return stream
        raise role.missing("the norm of one of the two streams", found.state)

    def _values(
        self, v: Value, entries: dict[str, Value], tokens: dict[str, range], role: Role
    ) -> dict[str, Place]:
        part = role.within("attn.to_v and attn.add_v_proj")
        joined = layout.unmoved(v)
        if joined.op != "concat" or len(joined.inputs) != 2:
            raise part.missing("the values of two streams joined", joined)
        axis, start, places = joined.attributes[0], 0, {}
        for value in joined.inputs:
            source = source_rows(value, part)
            stream = next((s for s, entered in entries.items() if entered is source.x), None)
            taken = range(start, start + value.sizes[axis])
            start = taken.stop
            if stream is None or tokens[stream] != taken:
                raise part.missing("the values of each stream's own tokens", source.linear)
            canonical = "attn.to_v" if stream == "img" else "attn.add_v_proj"
            places[f"{canonical}.weight"] = rows([source.rows], f"{STAGE}: {canonical} of {role.name}")
        return places

    def _entered(self, entered: Modulated, state: Value, role: Role) -> None:
        self.modulations.eps(entered.eps, role)
        if entered.state is not state:
            raise role.missing("the norm of the stream that is added to", entered.state)
