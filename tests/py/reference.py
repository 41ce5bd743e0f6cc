"""The reference, tests/golden/klein_numpy.py, run on any checkpoint, and how results are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import klein_numpy
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


def reference_trace(
    checkpoint: Path, *, prompt: str, width: int, height: int, steps: int, latents: FloatArray
) -> dict[str, Any]:
    """Everything that klein_numpy.generate notes down, and its "image". latents: [128, H/16, W/16]."""
    trace: dict[str, Any] = {}
    model = klein_numpy.load(str(checkpoint))
    trace["image"] = klein_numpy.generate(model, prompt, height, width, latents, steps=steps, trace=trace)
    return trace


def boundaries(trace: dict[str, Any]) -> dict[str, Any]:
    """The boundaries in a trace, named as `serve.py generate --dump` names its files."""
    result = {
        name: trace[name] for name in ("input_ids", "attention_mask", "prompt_embeds", "sigmas", "image")
    }
    result |= {f"latents_{i}": step for i, step in enumerate(trace["latents_steps"])}
    return result | {"decoded": trace["vae_out"]}


def largest_residual(trace: dict[str, Any]) -> float:
    """Largest magnitude that any transformer block's output reaches."""
    return max(float(np.abs(x).max()) for blocks in trace["blocks"] for x in blocks.values())


def relative_error(actual: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    """Root mean square of the difference over that of `expected`; shapes must agree."""
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    difference = actual.astype(np.float64) - expected.astype(np.float64)
    return float(np.sqrt((difference**2).mean() / (expected.astype(np.float64) ** 2).mean()))


def off_by_more_than_one(actual: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    """Share of 8-bit values that differ by more than one level."""
    assert actual.shape == expected.shape
    return float((np.abs(actual.astype(int) - expected.astype(int)) > 1).mean())
