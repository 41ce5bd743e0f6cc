"""The rotary embedding as numbers read back from a graph: theta, and which channels are turned together.

A graph holds theta^(-2i/d), perhaps rounded to float16 by an exporter that halved everything. The page
computes them itself, so they must be of that form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from kleinbild.bundle.evaluate import evaluate
from kleinbild.bundle.expression import UnsupportedError, Value
from kleinbild.bundle.match import Role, without_factors

Array = npt.NDArray[np.float64]
Rotation = Callable[[Array], Array]
ROTATION_TOLERANCE = 1e-2
EXACT = 2e-5
MAX_DIGITS = 6


def rope_theta(axes: Sequence[Array], role: Role) -> float:
    """theta of `axes`, each the frequencies of one axis from the first, which is 1, downwards.

    1.0, which is as good as any, when no axis has a second frequency. Raises KleinbildError when they are
    not theta^(-2i/d) for one theta, exactly or rounded to float16.
    """
    telling = [axis for axis in axes if len(axis) > 1]
    candidates = [theta for axis in telling for theta in _candidates(axis)] if telling else [1.0]
    for fits in (_fits_exactly, _fits_in_float16):
        for theta in candidates:
            if all(fits(axis, theta) for axis in axes):
                return theta
    found = ", ".join(f"{number:.6g}" for number in (telling or list(axes))[0][:4])
    raise role.missing("frequencies theta^(-2i/d) of one theta", f"{found}, ...")


def check_rotation(
    query: Value, normed: Sequence[Value], inputs: Mapping[Value, Array], expected: Rotation, role: Role
) -> None:
    """Computes `query`, made of the norms `normed`, for one and the same head everywhere.

    `expected` gives what a head must become. A graph that turns heads in ways that cannot be computed here is
    not refused for that.
    """
    head = np.cos(np.arange(query.sizes[-1]) * 1.7) + 0.5
    given = {value: np.broadcast_to(head, value.sizes) for value in normed}
    try:
        found = evaluate(query, {**given, **inputs})
    except UnsupportedError:
        return
    factor = without_factors(query)[1]
    tokens = found.reshape(-1, *query.sizes[-2:])[0]
    if not np.allclose(tokens, factor * expected(head), atol=ROTATION_TOLERANCE * factor):
        raise role.missing("the rotation of the channels that the page turns", "another one", query)


def half_layout(frequencies: Array, positions: int) -> Rotation:
    """Channel i is turned with channel i + d/2 by position * frequencies[i]."""
    angles = np.arange(positions)[:, None] * frequencies

    def rotation(head: Array) -> Array:
        first, second = np.split(head, 2)
        turned = _turn(first, second, angles)
        return np.concatenate(turned, -1)

    return rotation


def pair_layout(angles: Array) -> Rotation:
    """Channel 2i is turned with channel 2i + 1 by angles[i], at every token."""

    def rotation(head: Array) -> Array:
        return np.stack(_turn(head[0::2], head[1::2], angles), -1).reshape(head.shape)

    return rotation


def _turn(first: Array, second: Array, angles: Array) -> tuple[Array, Array]:
    cos, sin = np.cos(angles), np.sin(angles)
    return first * cos - second * sin, second * cos + first * sin


def _candidates(axis: Array) -> list[float]:
    """What theta may be, the roundest first."""
    count = len(axis)
    estimates = []
    for i in (count - 1, max(1, count // 2), 1):
        if 0 < axis[i] < 1:
            exponent = count / i
            if -math.log(axis[i]) * exponent < 60:
                estimates.append(axis[i] ** -exponent)
    result = [float(f"{theta:.{digits}g}") for digits in range(1, MAX_DIGITS + 1) for theta in estimates]
    return [*result, *(float(theta) for theta in estimates)]


def _powers(count: int, theta: float) -> Array:
    return np.asarray(theta ** -(np.arange(count) / count), np.float64)


def _fits_exactly(axis: Array, theta: float) -> bool:
    return bool((np.abs(axis / _powers(len(axis), theta) - 1) < EXACT).all())


def _fits_in_float16(axis: Array, theta: float) -> bool:
    rounded = _powers(len(axis), theta).astype(np.float16)
    return bool((rounded == axis.astype(np.float16)).all() and (axis.astype(np.float16) == axis).all())
