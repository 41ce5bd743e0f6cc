"""The noise levels of the sizes that people choose: the timesteps that a modulation table is made for.

The same float32 arithmetic as src_js/pipeline/scheduler.js, bit for bit (tests/golden/sigmas_numpy.json holds
both to it): the page finds a step's row by exact equality.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from kleinbild.canonical import modulation_columns
from kleinbild.config import ModelConfig
from kleinbild.package.shards import SHARD_BYTES

Float32 = npt.NDArray[np.float32]

# Width and height in pixels of the page's buttons, where the model suggests no sizes of its own.
PAGE_SIZES = ((256, 256), (512, 512), (768, 512), (512, 768), (768, 768), (1024, 1024))
# A size has the sigmas of its turned one.
PRESET_SIZES = tuple(size for size in PAGE_SIZES if size[0] >= size[1])
MAX_TABLE_ROWS = 256

# Two straight lines in the token count, fitted at 200 and at 10 steps; beyond 4300 tokens the first alone.
_SLOPE_10_STEPS, _OFFSET_10_STEPS = 8.73809524e-5, 1.89833333
_SLOPE_200_STEPS, _OFFSET_200_STEPS = 0.00016927, 0.45666666
_MAX_INTERPOLATED_TOKENS = 4300


def empirical_mu(tokens: int, steps: int) -> float:
    """The shift of the schedule of `tokens` output tokens in `steps` steps (numerics, section 4)."""
    at_200 = _SLOPE_200_STEPS * tokens + _OFFSET_200_STEPS
    if tokens > _MAX_INTERPOLATED_TOKENS:
        return at_200
    at_10 = _SLOPE_10_STEPS * tokens + _OFFSET_10_STEPS
    slope = (at_200 - at_10) / 190
    return slope * steps + (at_200 - 200 * slope)


def sigmas(tokens: int, steps: int) -> Float32:
    """Float32 [steps + 1], from 1 down to 0; `tokens` and `steps` are at least 1."""
    one = np.float32(1)
    linear = np.linspace(1, 1 / steps, steps).astype(np.float32)
    shift = np.float32(math.exp(empirical_mu(tokens, steps)))
    return np.append(shift / (shift + (one / linear - one)), np.float32(0))


def table_sigmas(config: ModelConfig) -> tuple[float, ...]:
    """The sigmas of every step of the default and the preset sizes at the default step count, descending.

    Sizes that would make the table larger than a shard or MAX_TABLE_ROWS are left out, the last first.
    """
    most = min(MAX_TABLE_ROWS, SHARD_BYTES // (4 * modulation_columns(config.transformer)))
    sizes = [(config.default_width, config.default_height), *PRESET_SIZES]
    pixels = config.vae_decoder.patch_size * 2 ** (len(config.vae_decoder.block_out_channels) - 1)
    found: set[float] = set()
    for width, height in sizes:
        tokens = max(1, width // pixels) * max(1, height // pixels)
        with_size = found | {float(sigma) for sigma in sigmas(tokens, config.default_steps)[:-1]}
        if len(with_size) > most:
            break
        found = with_size
    return tuple(sorted(found, reverse=True))
