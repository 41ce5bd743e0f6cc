"""How files of a site are stored for the way to the page: gzip where it saves enough.

4-bit codes are far from evenly distributed (3.4 to 3.9 bits each), and so are the exponents of float16, but
nothing in them repeats: only gzip's Huffman coding gains, and igzip does that several times faster than zlib.
The header holds no time and no name, so the same bytes give the same file on one machine. A file is named and
checked by its plain bytes, whichever gzip made it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from isal import igzip_lib, isal_zlib

from kleinbild.errors import KleinbildError

Buffer = bytes | bytearray | memoryview

GZIP = "gzip"
PLAIN = ""
SUFFIX = {PLAIN: "", GZIP: ".gz"}
LEAST_SAVING = 0.03
_LEVEL = 1
# Text repeats itself, weights do not: looking no further back is faster, and not a byte larger.
TEXT_HISTORY_BITS = 15
WEIGHTS_HISTORY_BITS = 9
_GZIP_WINDOW_BITS = 31
_CHUNK_BYTES = 1 << 20
_IgzipError = cast("type[Exception]", isal_zlib.error)


def compressed(data: Buffer, history_bits: int = TEXT_HISTORY_BITS) -> bytes | None:
    """`data` as one gzip member, or None where that saves less than LEAST_SAVING of it.

    `history_bits`: repetitions are looked for in so many bits of bytes.
    """
    packed = igzip_lib.compress(
        data,
        _LEVEL,
        igzip_lib.COMP_GZIP,
        mem_level=igzip_lib.MEM_LEVEL_EXTRA_LARGE,
        hist_bits=history_bits,
    )
    return packed if worthwhile(len(data), len(packed)) else None


def worthwhile(plain: int, packed: int) -> bool:
    """Whether a file of `plain` bytes is stored as the gzip of `packed` bytes."""
    return packed <= plain * (1 - LEAST_SAVING)


def plain_bytes(path: Path, encoding: str, limit: int) -> bytes:
    """The plain bytes of the file `path`, which is stored as `encoding` says.

    Never more than `limit` bytes and a piece are unpacked. Raises KleinbildError for a file that is not
    exactly one gzip member, or whose plain bytes are more than `limit`; OSError when it cannot be read.
    """
    pieces = []
    left = limit
    for piece in _plain_pieces(path, encoding):
        left -= len(piece)
        if left < 0:
            raise KleinbildError(f"{path}: holds more than {limit} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def _plain_pieces(path: Path, encoding: str) -> Iterator[bytes]:
    """The plain bytes of the file `path` in pieces of at most 1 MiB, however much a byte unpacks to."""
    with path.open("rb") as file:
        if encoding == PLAIN:
            while piece := file.read(_CHUNK_BYTES):
                yield piece
            return
        unpacker = isal_zlib.decompressobj(_GZIP_WINDOW_BITS)
        while not unpacker.eof:
            packed = unpacker.unconsumed_tail or file.read(_CHUNK_BYTES)
            try:
                piece = unpacker.decompress(packed, _CHUNK_BYTES)
            except _IgzipError as error:
                raise KleinbildError(f"{path}: is no gzip ({error})") from None
            if piece:
                yield piece
            elif not packed and not unpacker.eof:
                raise KleinbildError(f"{path}: ends before its gzip does")
        if unpacker.unused_data or file.read(1):
            raise KleinbildError(f"{path}: holds more than one gzip member")
