"""Pixels as sixels, the graphics of DEC's terminals that many of today's show: bands of six rows, a pass for
each colour of a band, runs counted.

Colours are those of a fixed cube, dithered in a fixed pattern: a preview changes every second, and needs no
palette of its own.
"""

from __future__ import annotations

from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from kleinbild.server.make.pixels import Pixels

LEVELS = (6, 7, 6)  # of red, green, blue: 252 colours, and terminals have 256
BAND = 6
_FIRST = ord("?")  # a sixel without a dot; bit i above it is row i
# Bayer's pattern: thresholds that neighbours do not share.
_BAYER = (np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) + 0.5) / 16


def sixel_sequence(pixels: Pixels) -> str:
    """What shows `pixels` [height, width, 3] at the cursor."""
    height, width, _ = pixels.shape
    codes = _codes(pixels)
    colours = [f"#{code};2;{red};{green};{blue}" for code, red, green, blue in _palette(np.unique(codes))]
    bands = "-".join(_band(codes[top : top + BAND]) for top in range(0, height, BAND))
    return f'\x1bPq"1;1;{width};{height}{"".join(colours)}{bands}\x1b\\'


def _codes(pixels: Pixels) -> NDArray[np.int64]:
    """Each pixel's colour in the cube, [height, width]."""
    height, width, _ = pixels.shape
    thresholds = np.tile(_BAYER, (-(-height // 4), -(-width // 4)))[:height, :width]
    code = np.zeros((height, width), np.int64)
    for channel, levels in enumerate(LEVELS):
        exact = pixels[..., channel] / 255 * (levels - 1)
        code = code * levels + np.minimum(np.floor(exact + thresholds), levels - 1).astype(np.int64)
    return code


def _palette(codes: NDArray[np.int64]) -> list[tuple[int, int, int, int]]:
    """Code, and red, green, blue in per cent, of each of `codes`."""
    _, greens, blues = LEVELS
    parts = (codes // (greens * blues), codes // blues % greens, codes % blues)
    shares = [
        np.rint(part * 100 / (levels - 1)).astype(int) for part, levels in zip(parts, LEVELS, strict=True)
    ]
    return [(int(c), int(r), int(g), int(b)) for c, r, g, b in zip(codes, *(s for s in shares), strict=True)]


def _band(codes: NDArray[np.int64]) -> str:
    """Up to six rows: a line of sixels for each colour in them, each from the left edge."""
    bits = 1 << np.arange(len(codes))[:, None]
    lines = []
    for code in np.unique(codes):
        sixels = (np.where(codes == code, bits, 0).sum(axis=0) + _FIRST).tolist()
        lines.append(f"#{code}" + "".join(_run(chr(value), len(list(run))) for value, run in groupby(sixels)))
    return "$".join(lines)


def _run(sixel: str, count: int) -> str:
    return f"!{count}{sixel}" if count > 3 else sixel * count
