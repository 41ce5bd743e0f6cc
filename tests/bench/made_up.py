"""The numbers that the page makes up on the GPU (src_js/engine/synthetic/), worked out in numpy.

A reference can so compute with the very weights of a model that no file holds. Nothing is shared with the
page but its manifest; a test holds both equal.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from math import ceil, prod, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Words = npt.NDArray[np.uint32]
Entry = dict[str, Any]

# engine/synthetic/weights.js
MOST_PARTS, MOST_SECTIONS = 64, 4
CODE_SQUARE, ZERO_SQUARE, SPREAD_SQUARE = 17.5, 0.5, 1 / 3
SCALE_SPREAD, VECTOR_SPREAD = 0.25, 0.1
# engine/synthetic/inputs.js
DRAWN, LEAST_EXPONENT, PLACE_STEP = 999_996, 12, 2 * 4099
MULTIPLIER, INCREMENT = 1664525, 1013904223
# bench/synthetic_prompt.js
EMBEDDING_MULTIPLIER, EMBEDDING_EXPONENT, SIGN_AND_FRACTION = 0x9E3779B1, 9 << 10, 0x83FF
# tensor_layout.js
ROW_ELEMENTS = 8


def _mix(x: Words) -> Words:
    """mix_bits of kernels/random.wgsl."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def random_words(seed: int, count: int) -> Words:
    """Words 0..count-1 of `seed` (random_word of kernels/random.wgsl)."""
    with np.errstate(over="ignore"):
        return _mix(np.arange(count, dtype=np.uint32) ^ _mix(np.array([seed], np.uint32)))


def random_floats(seed: int, count: int, center: float, spread: float) -> Float32:
    """Numbers of kernels/random_floats.wgsl, before any rounding to halves."""
    even = (random_words(seed, count) >> np.uint32(8)).astype(np.float32) / np.float32(8388608)
    return np.float32(center) + np.float32(spread) * (even - np.float32(1))


def random_codes(seed: int, words: int, narrow: bool) -> npt.NDArray[np.uint8]:
    """Codes of kernels/random_codes.wgsl, [words, 8], the one in the lowest bits first."""
    word = random_words(seed, words)
    drawn = np.stack([(word >> np.uint32(4 * i)) & np.uint32(15) for i in range(8)], -1).astype(np.uint8)
    if narrow:
        return 7 + (drawn & 1) + ((drawn >> 1) & 1)
    drawn[drawn == 0] = 8
    return drawn


def stage_weights(manifest: dict[str, Any], stage: str) -> dict[str, Float32]:
    """Every tensor of `stage` as fillStage (seed 0) makes it: float32 in its canonical shape."""
    entries = [entry for entry in manifest["tensors"] if entry["stage"] == stage]
    with ThreadPoolExecutor() as pool:
        made = pool.map(_tensor, entries, range(len(entries)))
        return {entry["name"]: array for entry, array in zip(entries, made, strict=True)}


def _tensor(entry: Entry, index: int) -> Float32:
    parts = [
        _part(entry, part["row_count"], _seeds(index, number)) for number, part in enumerate(entry["parts"])
    ]
    values = np.concatenate(parts)
    if entry["kind"] != "conv":
        return values.reshape(entry["shape"])
    rows, channels, *kernel = entry["shape"]
    return np.ascontiguousarray(values.reshape(rows, *kernel, channels).transpose(0, 3, 1, 2))


def _seeds(index: int, part: int) -> range:
    """The seeds of the sections of one part of a stage's tensor number `index`."""
    first = (index * MOST_PARTS + part) * MOST_SECTIONS
    return range(first, first + MOST_SECTIONS)


def _part(entry: Entry, rows: int, seeds: range) -> Float32:
    """Rows of a tensor as a matrix [rows, everything else]; a convolution's taps outermost."""
    columns = prod(entry["shape"][1:])
    if entry["format"] == "q4":
        return _q4_part(entry, rows, columns, seeds)
    linear = entry["kind"] == "linear"
    padded = {"linear": _up(rows), "conv": _up(columns)}.get(entry["kind"], columns)
    stored = (columns, padded) if linear else (rows, padded)
    center, spread = 0.0, 1 / sqrt(columns * SPREAD_SQUARE)
    if entry["kind"] == "vector":
        center, spread = (0.0 if entry["name"].endswith((".bias", ".mean")) else 1.0), VECTOR_SPREAD
    values = random_floats(seeds[0], prod(stored), center, spread)
    if entry["format"] == "f16":
        values = values.astype(np.float16).astype(np.float32)
    values = values.reshape(stored)
    return np.ascontiguousarray(values[:, :rows].T) if linear else values[:, :columns]


def _q4_part(entry: Entry, rows: int, columns: int, seeds: range) -> Float32:
    block, stride = entry["block_size"], _up(rows)
    blocks = ceil(columns / block)
    inner = blocks * block
    words = random_codes(seeds[0], inner * stride // 8, narrow=False)
    # word [k / 8, n / 4, pair of k] holds the codes [odd k, column of the quad]
    codes = words.reshape(inner // 8, stride // 4, 4, 2, 4).transpose(1, 4, 0, 2, 3).reshape(stride, inner)
    zeros: npt.NDArray[Any] = np.full((blocks, stride), 8, np.uint8)
    mean = 1 / sqrt(columns * (CODE_SQUARE + (ZERO_SQUARE if entry["zero_points"] else 0)))
    scales = random_floats(seeds[1], blocks * stride, mean, SCALE_SPREAD * mean).astype(np.float16)
    if entry["zero_points"]:
        zeros = random_codes(seeds[2], blocks * stride // 8, narrow=True)
    values = codes[:rows].reshape(rows, blocks, block).astype(np.float32)
    values -= zeros.reshape(blocks, stride).T[:rows, :, None]
    values *= scales.reshape(blocks, stride).T[:rows, :, None].astype(np.float32)
    return np.ascontiguousarray(values.reshape(rows, inner)[:, :columns])


def _up(count: int) -> int:
    return ceil(count / ROW_ELEMENTS) * ROW_ELEMENTS


def embedding_rows(manifest: dict[str, Any], ids: npt.NDArray[Any]) -> Float32:
    """Rows of the table that readMadeUp stands for, float32 [ids, hidden]; halves, as the table is f16."""
    (table,) = (entry for entry in manifest["tensors"] if entry["kind"] == "embedding")
    hidden = table["shape"][1]
    rows = np.empty((len(ids), hidden), np.float32)
    for i, token in enumerate(ids):
        part = next(p for p in table["parts"] if 0 <= token - p["row_start"] < p["row_count"])
        first = (part["offset"] + (int(token) - part["row_start"]) * hidden * 2) // 2
        with np.errstate(over="ignore"):
            mixed = np.arange(first, first + hidden, dtype=np.uint32) * np.uint32(EMBEDDING_MULTIPLIER)
        fraction = (mixed ^ (mixed >> np.uint32(15))) & np.uint32(SIGN_AND_FRACTION)
        rows[i] = (fraction | np.uint32(EMBEDDING_EXPONENT)).astype(np.uint16).view(np.float16)
    return rows


@cache
def _drawn() -> Float32:
    halves = np.empty(DRAWN, np.uint16)
    state = 1
    for i in range(DRAWN):
        state = (state * MULTIPLIER + INCREMENT) & 0xFFFFFFFF
        bits = state >> 14
        halves[i] = (bits & 0x8000) | ((LEAST_EXPONENT + ((bits >> 10) & 3)) << 10) | (bits & 1023)
    return halves.view(np.float16).astype(np.float32)


def random_inputs(shape: tuple[int, int], seed: int) -> Float32:
    """What fillRandom puts into a tensor of this shape; halves hold the values exactly."""
    at = (np.arange(prod(shape)) + PLACE_STEP * seed % DRAWN) % DRAWN
    return _drawn()[at].reshape(shape)
