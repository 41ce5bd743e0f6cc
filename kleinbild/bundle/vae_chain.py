"""The VAE decoder's graphs as one expression from latents to picture.

The attention between them is a graph of its own that is run in chunks; it is checked for being that, and
becomes one value of the expression.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kleinbild.bundle import layout
from kleinbild.bundle.expression import Expressions, Value
from kleinbild.bundle.graph import Graph
from kleinbild.bundle.lower import input_shape, lower
from kleinbild.bundle.match import Role
from kleinbild.errors import KleinbildError

STAGE = "vae_decoder"
MAX_LATENT_SIDE = 64
PATCH = 2


@dataclass(frozen=True)
class VaeGraph:
    """One graph and the names by which its tensors are handed on, in the order of the config."""

    graph: Graph
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class VaeChain:
    """The expression: z [1, packed channels, h, w] -> image."""

    z: Value
    image: Value


def chain(
    e: Expressions, pre: VaeGraph, chunk: VaeGraph, post: Sequence[VaeGraph], latent_sizes: tuple[int, int]
) -> VaeChain:
    """Joins the graphs; `latent_sizes`: height and width of z where the graph leaves them open.

    Raises KleinbildError naming the graph whose inputs or outputs do not fit.
    """
    (name,) = _names(pre, "inputs", 1)
    z = e.input(name, input_shape(pre.graph, name, (1, 0, *latent_sizes)))
    outputs = lower(e, pre.graph, {name: z})
    residual, q, kt, v = (_output(pre, outputs, name) for name in _names(pre, "outputs", 4))
    _check_chunk(e, chunk)
    attended = e.make("chunked_attention", [q, kt, v], v.sizes)
    handed = {pre.outputs[0]: residual}
    for i, stage in enumerate(post):
        inputs: dict[str, Value] = {}
        for name in stage.inputs:
            inputs[name] = handed.get(name, attended)
            if name not in handed and i > 0:
                raise KleinbildError(
                    f"{stage.graph.where}: takes {name[:120]!r}, which the stage before does not give"
                )
        if i == 0 and (len(inputs) != 2 or attended not in inputs.values()):
            raise KleinbildError(
                f"{stage.graph.where}: takes {str(list(inputs))[:200]!r}, expected the residual "
                f"{pre.outputs[0][:120]!r} and the attention's output"
            )
        outputs = lower(e, stage.graph, inputs)
        handed = {name: _output(stage, outputs, name) for name in _names(stage, "outputs", 1)}
    (image,) = handed.values()
    return VaeChain(z, image)


def _names(stage: VaeGraph, side: str, count: int) -> tuple[str, ...]:
    names: tuple[str, ...] = getattr(stage, side)
    if len(names) != count:
        raise KleinbildError(f"{stage.graph.where}: has {len(names)} {side}, expected {count}")
    return names


def _output(stage: VaeGraph, outputs: dict[str, Value], name: str) -> Value:
    if name not in outputs:
        raise KleinbildError(f"{stage.graph.where}: has no output {name[:120]!r}")
    return outputs[name]


def _check_chunk(e: Expressions, chunk: VaeGraph) -> None:
    """The graph must be softmax(q_chunk kt) v of its inputs in this order."""
    rows, channels, count = 3, 16, 5
    names = _names(chunk, "inputs", 3)
    declared = input_shape(chunk.graph, names[1], (1, 1, channels, count))
    channels, count = declared[2], declared[3]
    shapes = ((1, 1, rows, channels), (1, 1, channels, count), (1, 1, count, channels))
    q, kt, v = (
        e.input(f"attention chunk {name}", input_shape(chunk.graph, name, shape))
        for name, shape in zip(names, shapes, strict=True)
    )
    outputs = lower(e, chunk.graph, dict(zip(names, (q, kt, v), strict=True)))
    result = layout.unmoved(_output(chunk, outputs, *_names(chunk, "outputs", 1)))
    role = Role(STAGE, "the attention's graph")
    if result.op == "matmul" and result.inputs[0].op == "softmax" and result.inputs[1] is v:
        scores = result.inputs[0].inputs[0]
        if scores.op == "matmul" and scores.inputs == (q, kt):
            return
    raise role.missing("softmax(q_chunk kt) v", result)
