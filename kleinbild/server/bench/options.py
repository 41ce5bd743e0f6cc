"""What may be asked of serve.py bench, checked before a browser starts.

The page checks the same again (src_js/bench_protocol.js); here a mistake is one line that names the option.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kleinbild.errors import KleinbildError

SIZE_STEP = 16
MIN_SIZE, MAX_SIZE = 16, 2048
MAX_SIZES = 8
MAX_STEPS = 100
MODELS = ("auto", "klein4b", "small")
FAMILIES = ("auto", "plain", "matrix")
FORMATS = ("q4", "f16", "f32")
PRECISIONS = ("auto", "f16", "f32")
BLOCK_SIZES = (16, 32, 64, 128)
DEFAULT_BLOCK_SIZE = 32
_SIZES = re.compile(r"[0-9]{1,5}(,[0-9]{1,5})*")


@dataclass(frozen=True)
class BenchOptions:
    """The command line as given; sizes None and steps None stand for the model's usual ones."""

    sizes: str | None
    steps: int | None
    precision: str
    adapter: str
    model: str
    family: str
    weights: str
    block_size: int
    zero_points: bool
    quick: bool
    json: Path | None
    verbose: bool


def make_job(options: BenchOptions) -> dict[str, Any]:
    """The message that asks the page for it. Raises KleinbildError naming a wrong option."""
    steps = 0 if options.steps is None else options.steps
    if options.steps is not None and not 1 <= steps <= MAX_STEPS:
        raise KleinbildError(f"--steps {steps}: must be 1 to {MAX_STEPS}")
    return {
        "type": "job",
        "precision": options.precision,
        "model": options.model,
        "family": options.family,
        "format": options.weights,
        "blockSize": options.block_size,
        "zeroPoints": options.zero_points,
        "sizes": [] if options.sizes is None else _sizes(options.sizes),
        "steps": steps,
        "quick": options.quick,
    }


def _sizes(text: str) -> list[int]:
    sizes = [int(size) for size in text.split(",")] if _SIZES.fullmatch(text) else []
    if not 1 <= len(sizes) <= MAX_SIZES:
        raise KleinbildError(f"--sizes {text}: must be 1 to {MAX_SIZES} numbers like 256,512,1024")
    for size in sizes:
        if not MIN_SIZE <= size <= MAX_SIZE or size % SIZE_STEP:
            raise KleinbildError(
                f"--sizes {text}: {size} is no multiple of {SIZE_STEP} from {MIN_SIZE} to {MAX_SIZE}"
            )
    return sizes
