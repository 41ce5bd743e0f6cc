"""The sigmas of FlowMatchEulerDiscreteScheduler with the pipeline's shift, as the page computes them."""

from __future__ import annotations

import math

import numpy as np


def shift_mu(tokens: int, steps: int) -> float:
    """compute_empirical_mu of the pipeline, for a picture of `tokens` tokens."""
    a1, b1, a2, b2 = 8.73809524e-05, 1.89833333, 0.00016927, 0.45666666
    at_200 = a2 * tokens + b2
    if tokens > 4300:
        return at_200
    slope = (at_200 - (a1 * tokens + b1)) / 190.0
    return slope * steps + at_200 - 200.0 * slope


def shifted(times: np.ndarray, mu: float) -> np.ndarray:
    """Times in (0, 1] moved towards 1 by the shift mu."""
    e = math.exp(mu)
    return e / (e + (1 / times - 1))


def sigmas(tokens: int, steps: int) -> list[float]:
    """steps + 1 numbers from 1 to 0, each a float32."""
    times = np.linspace(1.0, 1 / steps, steps).astype(np.float32)
    return [float(s) for s in shifted(times, shift_mu(tokens, steps)).astype(np.float32)] + [0.0]
