"""Which tensors of a bundle are which canonical ones, told by what its graphs compute; names play no part.

The only names that count are those of the bundle's interface: the graphs' inputs and outputs, by which
programs hand tensors on. What comes out is the model's numbers and a place for every canonical tensor, or a
refusal that names the stage, the role that is missing and what was found instead.
"""

from __future__ import annotations

from dataclasses import dataclass

from kleinbild.bundle.expression import Expressions, Shape, UnsupportedError, Value
from kleinbild.bundle.flux2_config import BundleRecord, GraphFile
from kleinbild.bundle.graph import Graph
from kleinbild.bundle.lower import input_shape, lower
from kleinbild.bundle.places import Place
from kleinbild.bundle.text_encoder import find_text_encoder
from kleinbild.bundle.transformer import INPUTS, FoundTransformer, TransformerInputs, find_transformer
from kleinbild.bundle.vae_chain import VaeGraph, chain
from kleinbild.bundle.vae_decoder import find_vae_decoder
from kleinbild.config import TextEncoderConfig, VaeDecoderConfig
from kleinbild.errors import KleinbildError

PIXELS_PER_TOKEN = 16
MAX_SIDE_TOKENS = 64
POSITION_AXES = 4


@dataclass(frozen=True)
class Recognised:
    """The numbers that the graphs of a bundle tell, and stage -> canonical name -> place."""

    text_encoder: TextEncoderConfig
    transformer: FoundTransformer
    vae_decoder: VaeDecoderConfig
    context_clip: float
    places: dict[str, dict[str, Place]]


def recognise(record: BundleRecord) -> Recognised:
    """Reads all graphs of `record`, and no weights but small ones.

    Raises KleinbildError naming the graph, or the stage and the role that is missing and what was found.
    """
    tokens = tuple(
        min(max(size // PIXELS_PER_TOKEN, 2), MAX_SIDE_TOKENS)
        for size in (record.default_height, record.default_width)
    )
    try:
        transformer = _transformer(record, tokens[0] * tokens[1])
        vae_decoder, vae_places = _vae_decoder(record, (tokens[0], tokens[1]))
        text_encoder, text_places, clip = _text_encoder(record)
    except (UnsupportedError, LookupError, ValueError) as error:
        # Roles are looked for in the ranks that they have in such a model; other graphs may have any.
        raise KleinbildError(
            f"{record.folder}: the graphs are of no such model, or of an exporter that is not understood "
            f"({str(error)[:200]!r})"
        ) from error
    places = {"text_encoder": text_places, "transformer": transformer.places, "vae_decoder": vae_places}
    return Recognised(text_encoder, transformer, vae_decoder, clip, places)


def _text_encoder(record: BundleRecord) -> tuple[TextEncoderConfig, dict[str, Place], float]:
    (file,) = record.stages["text_encoder"]
    shape = (1, record.text_seq_len)
    inputs, outputs = _lowered(file, {"input_ids": shape, "attention_mask": shape})
    ctx, clip = _unclipped(file, _only(file, outputs))
    return *find_text_encoder(ctx, inputs["input_ids"]), clip


def _unclipped(file: GraphFile, ctx: Value) -> tuple[Value, float]:
    """(`ctx` before a clip at the end of the graph, the clip's limit); 0: there is none."""
    if ctx.op != "clip":
        return ctx, 0.0
    low, high = (*ctx.attributes, None, None)[:2]
    if low is None or high is None or not 0 < high == -low:
        raise KleinbildError(f"{file.path}: the output is clipped to {low}..{high}; expected -limit..limit")
    return ctx.inputs[0], float(high)


def _transformer(record: BundleRecord, picture_tokens: int) -> FoundTransformer:
    (file,) = record.stages["transformer"]
    shapes: dict[str, Shape] = {
        "x": (1, picture_tokens, 0),
        "x_ids": (1, picture_tokens, POSITION_AXES),
        "timesteps": (1,),
        "ctx": (1, record.text_seq_len, 0),
        "ctx_ids": (1, record.text_seq_len, POSITION_AXES),
    }
    inputs, outputs = _lowered(file, shapes)
    return find_transformer(
        _only(file, outputs), TransformerInputs(**{name: inputs[name] for name in INPUTS})
    )


def _vae_decoder(
    record: BundleRecord, latent_sizes: tuple[int, int]
) -> tuple[VaeDecoderConfig, dict[str, Place]]:
    pre, chunk, *post = (_vae_graph(file) for file in record.stages["vae_decoder"])
    found = chain(Expressions(), pre, chunk, post, latent_sizes)
    return find_vae_decoder(found.image, found.z)


def _vae_graph(file: GraphFile) -> VaeGraph:
    """A graph with the order of its tensors as flux2-config.json gives it, else its own."""
    graph = Graph(file)
    inputs = file.inputs or tuple(value.name for value in graph.inputs)
    return VaeGraph(graph, inputs, file.outputs or tuple(graph.outputs))


def _lowered(file: GraphFile, shapes: dict[str, Shape]) -> tuple[dict[str, Value], dict[str, Value]]:
    """(inputs, outputs) of a graph, inputs by the format's names for them, which are the keys of `shapes`.

    Sizes in `shapes` are for where the graph leaves them open. A graph that calls its inputs something else
    has them in the format's order in flux2-config.json.
    """
    graph, e = Graph(file), Expressions()
    known = {value.name for value in graph.inputs}
    own = file.inputs if len(file.inputs) == len(shapes) and not known >= shapes.keys() else tuple(shapes)
    inputs = {
        name: e.input(name, input_shape(graph, called, shape))
        for (name, shape), called in zip(shapes.items(), own, strict=True)
    }
    outputs = lower(e, graph, dict(zip(own, inputs.values(), strict=True)))
    return inputs, outputs


def _only(file: GraphFile, outputs: dict[str, Value]) -> Value:
    if len(outputs) != 1:
        raise KleinbildError(f"{file.path}: has {len(outputs)} outputs, expected one")
    return next(iter(outputs.values()))
