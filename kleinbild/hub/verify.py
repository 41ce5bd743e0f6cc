"""The content hash that the hub lists for a file, computed over the file that was fetched.

The hub names an LFS file by its SHA-256 and every other file by git's blob hash, which is SHA-1 over a short
header and the content.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

SHA256_DIGITS = 64
_CHUNK_BYTES = 4 << 20


class Advance(Protocol):
    """Is told how far a job is, as progress.Progress.advance."""

    def __call__(self, count: int, note: str = "") -> None:
        """`count` more bytes are done; `note` says what is being done now, if that changed."""


def ignore(count: int, note: str = "") -> None:
    """The Advance of whoever tells nobody how far it is."""


def content_hash(path: Path, digits: int, advance: Advance = ignore) -> str:
    """The hash of the file `path`, hexadecimal: its SHA-256 for 64 digits, else git's blob hash.

    `advance` is told the bytes as they are read.
    """
    if digits == SHA256_DIGITS:
        digest = hashlib.sha256()
    else:
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            advance(len(chunk))
    return digest.hexdigest()
