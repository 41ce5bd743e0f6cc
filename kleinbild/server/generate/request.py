"""What is asked for, checked before a browser starts: sizes, seed, steps, latents, where the results go.

Everything a user can get wrong is refused here in one line; the page may then take its job as valid.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kleinbild.errors import KleinbildError
from kleinbild.server.generate.options import GenerateOptions
from kleinbild.server.site import ModelShape

SIZE_STEP = 16  # pixels of one latent row or column
MIN_SIZE, MAX_SIZE = 16, 2048
MIN_STEPS, MAX_STEPS = 1, 100
MAX_SEED = (1 << 64) - 1
MIN_MEMORY_GB, MAX_MEMORY_GB = 0.5, 1024.0
MAX_PROMPT_CHARS = 100_000
MAX_NPY_HEADER_BYTES = 10_000

Latents = NDArray[np.float32]


@dataclass(frozen=True)
class Job:
    """One picture to make. Sizes are multiples of 16; latents is [C, height/16, width/16] or None.

    memory_budget is in bytes of GPU memory; None leaves it to the page. preview: previews are wanted, where
    time and memory allow them.
    """

    prompt: str
    width: int
    height: int
    seed: int
    steps: int
    latents: Latents | None
    memory_budget: int | None
    trace: bool
    preview: bool = False

    @property
    def rows(self) -> int:
        """Rows of the packed latents."""
        return (self.width // SIZE_STEP) * (self.height // SIZE_STEP)


def make_job(options: GenerateOptions, model: ModelShape, notice: Callable[[str], None]) -> Job:
    """The checked job. Raises KleinbildError naming a wrong option; `notice` tells what was adjusted."""
    width = _size("width", model.default_width if options.width is None else options.width, notice)
    height = _size("height", model.default_height if options.height is None else options.height, notice)
    steps = model.default_steps if options.steps is None else options.steps
    if not MIN_STEPS <= steps <= MAX_STEPS:
        raise KleinbildError(f"--num-steps {steps}: must be {MIN_STEPS} to {MAX_STEPS}")
    if not 0 <= options.seed <= MAX_SEED:
        raise KleinbildError(f"--seed {options.seed}: must be 0 to 2^64-1 ({MAX_SEED})")
    try:
        options.prompt.encode("utf-8")
    except UnicodeEncodeError:
        raise KleinbildError("--prompt: not valid UTF-8; check the terminal's encoding") from None
    if len(options.prompt) > MAX_PROMPT_CHARS:
        raise KleinbildError(f"--prompt: {len(options.prompt)} characters; at most {MAX_PROMPT_CHARS}")
    budget = memory_budget_bytes(options.memory_budget)
    latents = None
    if options.latents is not None:
        latents = read_latents(
            options.latents, (model.latent_channels, height // SIZE_STEP, width // SIZE_STEP)
        )
    return Job(
        prompt=options.prompt,
        width=width,
        height=height,
        seed=options.seed,
        steps=steps,
        latents=latents,
        memory_budget=budget,
        trace=options.dump is not None,
        preview=options.preview,
    )


def memory_budget_bytes(budget: float | None) -> int | None:
    """--memory-budget, in GB, as bytes; None when not given. Raises KleinbildError."""
    if budget is None:
        return None
    if not MIN_MEMORY_GB <= budget <= MAX_MEMORY_GB:
        raise KleinbildError(f"--memory-budget {budget:g}: must be {MIN_MEMORY_GB:g} to {MAX_MEMORY_GB:g} GB")
    return int(budget * 1e9)


def _size(name: str, value: int, notice: Callable[[str], None]) -> int:
    floored = value // SIZE_STEP * SIZE_STEP
    if not MIN_SIZE <= floored <= MAX_SIZE:
        raise KleinbildError(f"--{name} {value}: must be {MIN_SIZE} to {MAX_SIZE} pixels")
    if floored != value:
        notice(f"--{name} {value} is no multiple of {SIZE_STEP}: using {floored}")
    return floored


def read_latents(path: Path, shape: tuple[int, int, int]) -> Latents:
    """The f32 array [C, H/16, W/16] in `path` (.npy, also as [1, C, ...]), without unpickling anything.

    `shape` is what the model and the size ask for. Raises KleinbildError when the file holds anything else.
    """
    wanted = " or ".join(str(list(s)) for s in (shape, (1, *shape)))
    # Room for float64, whose refusal below says more than "too large".
    limit = int(np.prod(shape)) * 8 + MAX_NPY_HEADER_BYTES + 16
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > limit:
                raise KleinbildError(f"--latents {path}: {size} bytes, too large for {wanted} f32")
            array = np.lib.format.read_array(file, allow_pickle=False, max_header_size=MAX_NPY_HEADER_BYTES)
    except OSError as error:
        raise KleinbildError(f"--latents {path}: cannot be read ({error.strerror})") from None
    except (ValueError, EOFError, MemoryError, OverflowError, SyntaxError, TypeError):
        raise KleinbildError(f"--latents {path}: no plain .npy array (numpy.save writes one)") from None
    if array.dtype != np.float32:
        raise KleinbildError(f"--latents {path}: {array.dtype}, must be float32 (array.astype('float32'))")
    if array.shape not in (shape, (1, *shape)):
        raise KleinbildError(f"--latents {path}: shape {list(array.shape)}, must be {wanted}")
    if not np.isfinite(array).all():
        raise KleinbildError(f"--latents {path}: holds values that are not finite")
    return np.ascontiguousarray(array.reshape(shape), dtype="<f4")
