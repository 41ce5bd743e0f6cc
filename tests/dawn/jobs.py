"""What the tests of this folder ask for and get: pictures' jobs, and arrays of each boundary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Job:
    """One picture: a packaged site, what to draw, and in which float type."""

    site: Path
    precision: str = "f32"
    prompt: str = "a photo of a small ceramic robot on a wooden workbench"
    width: int = 64
    height: int = 64
    seed: int = 0
    steps: int = 4
    latents: npt.NDArray[np.float32] | None = None


Draw = Callable[[Sequence[Job]], list[Arrays]]
