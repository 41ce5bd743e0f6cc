"""The rotary embedding's frequencies, as numbers read back from a graph: theta, and the size of each axis.

A graph holds theta^(-2i/d), perhaps rounded to float16 by an exporter that halved everything. The page
computes them itself, so they must be of that form.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kleinbild.bundle.match import Role

Array = npt.NDArray[np.float64]
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
