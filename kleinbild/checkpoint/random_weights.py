"""Deterministic weights for models of any size: the same numbers everywhere, from the tensor's name alone.

Value i of a tensor is the top 24 bits of splitmix64(fnv1a64(name) + i), as a number in [-1, 1); no state,
no library generator. The ranges keep activations of an untrained model sane. These weights have learned
nothing.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

FNV_OFFSET = 0xCBF29CE484222325
FNV_PRIME = 0x100000001B3
SPLITMIX_STEP = 0x9E3779B97F4A7C15
UINT64_MAX = (1 << 64) - 1
CHUNK_ELEMENTS = 1 << 16  # what a core's cache holds


def fnv1a64(text: str) -> int:
    """The 64-bit FNV-1a hash of `text` in UTF-8."""
    value = FNV_OFFSET
    for byte in text.encode():
        value = ((value ^ byte) * FNV_PRIME) & UINT64_MAX
    return value


def uniform(name: str, count: int, first: int = 0) -> npt.NDArray[np.float32]:
    """Numbers first .. first + count - 1 in [-1, 1), float32, that depend on `name` alone (splitmix64,
    Steele et al. 2014).
    """
    values = np.empty(count, np.float32)
    steps = np.arange(min(count, CHUNK_ELEMENTS), dtype=np.uint64) * np.uint64(SPLITMIX_STEP)
    for start in range(0, count, CHUNK_ELEMENTS):
        seed = (fnv1a64(name) + (first + start + 1) * SPLITMIX_STEP) & UINT64_MAX
        z = steps[: count - start] + np.uint64(seed)  # an array's overflow wraps
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
        part = values[start : start + len(z)]
        part[:] = z >> np.uint64(40)  # 24 bits, which float32 holds exactly
        part *= np.float32(2.0**-23)
        part -= np.float32(1)
    return values


def random_weight(seed: str, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """The weight `name` (diffusers key) of the model `seed`, float32; its range follows from what the name
    says it is.
    """
    return random_values(seed, name, shape, 0, math.prod(shape)).reshape(shape)


def random_values(
    seed: str, name: str, shape: tuple[int, ...], first: int, count: int
) -> npt.NDArray[np.float32]:
    """Values first .. first + count - 1 of that weight, in the order of its elements."""
    values = uniform(f"{seed}/{name}", count, first)
    if name.endswith("running_mean"):
        return np.float32(0.4) * values
    if name.endswith("running_var"):
        return np.float32(1.5) + values
    if name.endswith(".bias"):
        return np.float32(0.2) * values
    if len(shape) == 1:  # the gain of a norm
        return np.float32(1) + np.float32(0.35) * values
    if name.endswith("embed_tokens.weight"):
        return np.float32(1.7) * values
    return np.float32(_gain(name) * math.sqrt(3.0 / math.prod(shape[1:]))) * values


def _gain(name: str) -> float:
    if "modulation" in name or "norm_out.linear" in name:
        return 0.6
    if "timestep_embedder" in name:
        return 2.0
    return 0.45 if name == "decoder.conv_out.weight" else 1.0
