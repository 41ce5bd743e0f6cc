"""How fast `quantise` is: weights a second, and bytes of bfloat16 input a second, alone on this machine.

Compared with the least an export must do anyway, which is to read bfloat16 as float32, and with reading the
4-bit weights back. `python tests/bench/quantise.py [--block-size 16] [--symmetric] [--threads N]`
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from kleinbild.quantise import quantise_measured
from kleinbild.weights import BLOCK_SIZES, dequantise

ROWS, COLUMNS = 9216, 3072
BFLOAT16_BYTES = 2


def main() -> None:
    """Prints the best of some rounds of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--block-size", type=int, choices=BLOCK_SIZES, default=16)
    parser.add_argument("--symmetric", action="store_true")
    parser.add_argument("--threads", type=int, help="as many as this process may use")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    weight = np.random.default_rng(0).standard_normal((ROWS, COLUMNS), np.float32)
    bits = (weight.view(np.uint32) >> 16).astype(np.uint16)
    quantised = quantise_measured(weight, options.block_size, options.symmetric)
    error = (quantised.squared_error / quantised.squared_norm) ** 0.5
    print(f"[{ROWS}, {COLUMNS}] Gaussian, blocks of {options.block_size}, error {error:.4%}")

    def widen() -> None:
        wide = bits.astype(np.uint32)
        wide <<= 16

    def run() -> None:
        quantise_measured(weight, options.block_size, options.symmetric, options.threads)

    def read_back() -> None:
        dequantise(quantised.weight)

    measure("read bfloat16", options.rounds, widen)
    measure("quantise", options.rounds, run)
    measure("dequantise", options.rounds, read_back)


def measure(name: str, rounds: int, work: Callable[[], None]) -> None:
    """Prints the rates of the fastest round, by the clock and by the time that cores worked."""
    times = [timed(work) for _ in range(rounds)]
    rate, core_rate = (ROWS * COLUMNS / min(kind) / 1e6 for kind in zip(*times, strict=True))
    print(
        f"{name:14} {rate:8.1f} M weights/s = {rate * BFLOAT16_BYTES:8.1f} MB/s of bfloat16, "
        f"{core_rate:8.1f} M weights/s a core"
    )


def timed(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds that `work` takes, and seconds of all cores."""
    start, start_cores = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - start_cores


if __name__ == "__main__":
    main()
