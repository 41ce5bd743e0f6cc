"""The pixels of a PNG file as our own encoder writes it (src_js/image/png.js): RGB, 8 bits, not interlaced.

No general reader: check_png (generate/messages.py) has seen the file before, and anything else is refused.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from kleinbild.errors import KleinbildError

CHANNELS = 3
_SIGNATURE_BYTES = 8

Pixels = NDArray[np.uint8]


def read_pixels(png: bytes) -> Pixels:
    """The picture of a file that check_png accepted, [height, width, 3]. Raises KleinbildError."""
    width, height = struct.unpack_from(">II", png, _SIGNATURE_BYTES + 8)
    stride = width * CHANNELS
    data = _inflate(png, height * (stride + 1))
    rows = np.frombuffer(data, np.uint8).reshape(height, stride + 1)
    above = np.zeros(stride, np.uint8)
    pixels = np.empty((height, stride), np.uint8)
    for y, row in enumerate(rows):
        above = pixels[y] = _unfilter(int(row[0]), row[1:], above)
    return pixels.reshape(height, width, CHANNELS)


def _inflate(png: bytes, size: int) -> bytes:
    """All IDAT chunks, which must hold `size` bytes and not one more."""
    packed = bytearray()
    at = _SIGNATURE_BYTES
    while at < len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        if kind == b"IDAT":
            packed += png[at + 8 : at + 8 + length]
        at += 12 + length
    try:
        data = zlib.decompressobj().decompress(bytes(packed), size + 1)
    except zlib.error:
        data = b""
    if len(data) != size:
        raise KleinbildError("the preview is damaged")
    return data


def _unfilter(kind: int, row: Pixels, above: Pixels) -> Pixels:
    """One row without its filter; kinds as in ISO/IEC 15948, 9.2."""
    if kind == 0:
        return row
    if kind == 1:  # each pixel less the one before it
        sums = np.cumsum(row.reshape(-1, CHANNELS), axis=0, dtype=np.uint32)
        return (sums & 255).astype(np.uint8).reshape(-1)
    if kind == 2:
        return row + above
    if kind not in (3, 4):
        raise KleinbildError("the preview is damaged")
    guess = _average if kind == 3 else _paeth
    out = [0] * len(row)
    for i, (value, b) in enumerate(zip(row.tolist(), above.tolist(), strict=True)):
        a = out[i - CHANNELS] if i >= CHANNELS else 0
        c = int(above[i - CHANNELS]) if i >= CHANNELS else 0
        out[i] = (value + guess(a, b, c)) & 255
    return np.array(out, np.uint8)


def _average(left: int, above: int, _: int) -> int:
    return (left + above) // 2


def _paeth(left: int, above: int, corner: int) -> int:
    """Whichever neighbour is nearest to left + above - corner."""
    guess = left + above - corner
    distances = (abs(guess - left), abs(guess - above), abs(guess - corner))
    return (left, above, corner)[distances.index(min(distances))]
