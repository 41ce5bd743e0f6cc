"""What may be asked of serve.py generate, as given on the command line; request.py checks it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT_SEED = 123


@dataclass(frozen=True)
class GenerateOptions:
    """The command line as given; None stands for "not given"."""

    prompt: str
    output: Path | None  # one of output and batch is given, and output_dir with the latter
    batch: Path | None
    output_dir: Path | None
    width: int | None
    height: int | None
    seed: int
    steps: int | None
    latents: Path | None
    precision: str
    adapter: str
    dump: Path | None
    memory_budget: float | None  # GB
    preview: bool  # whether the terminal shows what the pictures look like so far
    server: bool  # whether a running server may be used
    json: bool
    verbose: bool
