"""What tells the transformer time and place: the timestep embedding, and the rotary embedding of token ids.

The page computes the angles of both itself; here the graph's are read back as numbers, by computing them for
a timestep of 1 and for ids that are 1 along one axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kleinbild.bundle import layout
from kleinbild.bundle.evaluate import evaluate
from kleinbild.bundle.expression import UnsupportedError, Value
from kleinbild.bundle.match import Role, upstream, whole_linear
from kleinbild.bundle.places import Place
from kleinbild.bundle.rotary import check_rotation, pair_layout, rope_theta

Array = npt.NDArray[np.float64]
MAX_PERIOD = 10000.0
TOLERANCE = 1e-3
EMBEDDER = "time_guidance_embed.timestep_embedder"


@dataclass(frozen=True)
class Timestep:
    """The timestep embedder: its tensors, channels of its sinusoids, timesteps in a sigma of 1."""

    places: dict[str, Place]
    channels: int
    scale: float


def read_timestep(vector: Value, timesteps: Value, role: Role) -> Timestep:
    """The embedder of `timesteps` that makes `vector`."""
    places = {}
    h, places[f"{EMBEDDER}.linear_2.weight"] = whole_linear(vector, role.of(f"{EMBEDDER}.linear_2"))
    role = role.of(f"{EMBEDDER}.linear_1")
    h = layout.unmoved(h)
    if h.op != "silu":
        raise role.missing("silu of a linear", h)
    x, places[f"{EMBEDDER}.linear_1.weight"] = whole_linear(h.inputs[0], role)
    channels = x.sizes[-1]
    x = layout.unmoved(x)
    parts = [layout.unmoved(part) for part in x.inputs] if x.op == "concat" else []
    if [part.op for part in parts] != ["cos", "sin"] or parts[0].inputs[0] is not parts[1].inputs[0]:
        raise role.missing("cosines, then sines of the same angles", x)
    angles = _angles(parts[0].inputs[0], {timesteps: np.ones(timesteps.sizes)}, role)
    half = channels // 2
    scale = float(angles[0]) if angles.size else 0.0
    expected = scale * MAX_PERIOD ** -(np.arange(half) / max(1, half))
    if angles.size != half or scale <= 0 or not np.allclose(angles, expected, rtol=TOLERANCE):
        raise role.missing(f"{half} frequencies {MAX_PERIOD:g}^(-i/{half})", f"{angles[:4].tolist()}, ...")
    return Timestep(places, channels, scale)


def read_rotary(
    query: Value, heads: Sequence[Value], ids: Sequence[Value], role: Role
) -> tuple[tuple[int, ...], float]:
    """(sizes of the axes, theta) of the rotary embedding that makes `query` of the norms `heads`.

    `ids`: the inputs of token ids, [1, n, axes] each.
    """
    head_dim = query.sizes[-1]
    cosines = upstream(query, lambda value: value.op == "cos", role)
    frequencies = []
    for axis in range(ids[0].sizes[-1]):
        unit = {value: np.zeros(value.sizes) for value in ids}
        for array in unit.values():
            array[..., axis] = 1
        found: set[float] = set()
        for cosine in cosines:
            found |= set(_angles(cosine.inputs[0], unit, role).tolist()) - {0.0}
        frequencies.append(np.array(sorted(found, reverse=True), np.float64))
    sizes = tuple(2 * len(axis) for axis in frequencies)
    if 0 in sizes or sum(sizes) != head_dim:
        raise role.missing(f"axes that make up {head_dim}", f"axes of {list(sizes)}")
    place = np.arange(1, len(sizes) + 1) / 2
    angles = np.concatenate([at * axis for at, axis in zip(place, frequencies, strict=True)])
    given = {value: np.broadcast_to(place, value.sizes) for value in ids}
    check_rotation(query, heads, given, pair_layout(angles), role)
    return sizes, rope_theta(frequencies, role)


def _angles(x: Value, inputs: dict[Value, Array], role: Role) -> Array:
    try:
        return evaluate(x, inputs).reshape(-1)
    except UnsupportedError as error:
        raise role.missing("angles that depend on nothing else", str(error)) from error
