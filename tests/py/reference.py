"""The reference pipeline of tests/golden/klein_numpy.py, run on any checkpoint or on replaced weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import klein_numpy
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


def reference_picture(
    checkpoint: Path,
    *,
    prompt: str,
    width: int,
    height: int,
    steps: int,
    latents: FloatArray,
    replace: Callable[[str, str, FloatArray], FloatArray] | None = None,
) -> dict[str, Any]:
    """Every boundary of the picture, named as `serve.py generate --dump` names its files.

    latents: [128, H/16, W/16]. `replace(part, key, array)` may change each weight, part "te", "tr" or "vae".
    """
    model = klein_numpy.load(str(checkpoint))
    if replace:
        for part in ("te", "tr", "vae"):
            _, weights = model[part]
            for key in list(weights.st.at):
                weights[key] = replace(part, key, weights[key])
    trace: dict[str, Any] = {}
    image = klein_numpy.generate(model, prompt, height, width, latents, steps=steps, trace=trace)
    result = {name: trace[name] for name in ("input_ids", "attention_mask", "prompt_embeds", "sigmas")}
    result |= {f"latents_{i}": step for i, step in enumerate(trace["latents_steps"])}
    return result | {"decoded": trace["vae_out"], "image": image}


def relative_error(actual: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    """Root mean square of the difference over that of `expected`; shapes must agree."""
    assert actual.shape == expected.shape
    difference = actual.astype(np.float64) - expected.astype(np.float64)
    return float(np.sqrt((difference**2).mean() / (expected.astype(np.float64) ** 2).mean()))


def off_by_more_than_one(actual: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    """Share of 8-bit values that differ by more than one level."""
    assert actual.shape == expected.shape
    return float((np.abs(actual.astype(int) - expected.astype(int)) > 1).mean())
