"""Pixels of PNG files against a writer of our own that takes any filter; damaged files are refused."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from kleinbild.errors import KleinbildError
from kleinbild.server.generate.messages import check_png
from kleinbild.server.make.pixels import read_pixels

RNG = np.random.default_rng(20)


def filtered(rows: np.ndarray, kinds: list[int]) -> bytes:
    """Rows [height, width * 3] behind their filters, by the standard's formulas."""
    out = bytearray()
    above = np.zeros(rows.shape[1], int)
    for row, kind in zip(rows.astype(int), kinds, strict=True):
        left = np.concatenate([np.zeros(3, int), row[:-3]])
        corner = np.concatenate([np.zeros(3, int), above[:-3]])
        guess = left + above - corner
        near = np.stack([abs(guess - left), abs(guess - above), abs(guess - corner)]).argmin(axis=0)
        paeth = np.choose(near, [left, above, corner])
        guesses = [0 * row, left, above, (left + above) // 2, paeth]
        out += bytes([kind]) + ((row - guesses[kind]) % 256).astype(np.uint8).tobytes()
        above = row
    return bytes(out)


def png_of(width: int, height: int, data: bytes, pieces: int = 1) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packed = zlib.compress(data)
    cut = -(-len(packed) // pieces)
    parts = b"".join(chunk(b"IDAT", packed[at : at + cut]) for at in range(0, len(packed), cut))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + parts + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 5), (16, 20)])
def test_every_filter_gives_the_pixels_back(width: int, height: int) -> None:
    pixels = RNG.integers(0, 256, (height, width, 3), np.uint8)
    for first in range(5):
        kinds = [(first + y) % 5 for y in range(height)]
        png = png_of(width, height, filtered(pixels.reshape(height, -1), kinds), pieces=3)
        check_png(png, width, height)
        assert np.array_equal(read_pixels(png), pixels)


def test_damaged_files_are_refused() -> None:
    rows = filtered(np.zeros((2, 6), np.uint8), [0, 0])
    for data in (rows[:-1], rows + b"\0", b"\x05" + rows[1:], bytes(1 << 20)):
        with pytest.raises(KleinbildError, match="damaged"):
            read_pixels(png_of(2, 2, data))
    with pytest.raises(KleinbildError, match="damaged"):
        read_pixels(png_of(2, 2, rows).replace(zlib.compress(rows)[:8], b"notzlib!"))
