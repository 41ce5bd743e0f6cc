"""The folder `w/` of a site: files named by the SHA-256 of their plain bytes, compressed where it pays.

A file that an earlier site already holds, byte for byte, is linked instead of written, so that what a site
holds never depends on what was there before. Several threads may store files at once. What the bytes mean is
others' business.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from pathlib import Path

from kleinbild.package.compression import (
    GZIP,
    PLAIN,
    SUFFIX,
    TEXT_HISTORY_BITS,
    WEIGHTS_HISTORY_BITS,
    Buffer,
    compressed,
)
from kleinbild.package.manifest import FileRef


class FileStore:
    """Writes below one site's w/."""

    def __init__(self, root: Path, previous: Path | None = None) -> None:
        """Writes below `root`/w; files that the site `previous` already holds are linked, not written."""
        self._folder = root / "w"
        self._previous = None if previous is None else previous / "w"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._numbers = itertools.count()

    def put(self, data: Buffer, suffix: str) -> FileRef:
        """Stores `data` and returns its path (relative to the site), digest, sizes and how it is stored."""
        digest = hashlib.sha256(data).hexdigest()
        packed = compressed(data, WEIGHTS_HISTORY_BITS if suffix == "bin" else TEXT_HISTORY_BITS)
        encoding, content = (PLAIN, data) if packed is None else (GZIP, packed)
        target = self._folder / f"{digest}.{suffix}{SUFFIX[encoding]}"
        if not target.exists() and not self._link(target, content):
            part = target.with_name(f"{target.name}.{next(self._numbers)}.part")
            part.write_bytes(content)
            part.rename(target)
        return FileRef(f"w/{target.name}", digest, len(data), encoding, len(content))

    def _link(self, target: Path, content: Buffer) -> bool:
        """Takes the file over from the earlier site when it is there and whole."""
        if self._previous is None:
            return False
        old = self._previous / target.name
        try:
            if old.is_symlink() or old.stat().st_size != len(content) or old.read_bytes() != content:
                return False
            os.link(old, target)
        except FileExistsError:
            return True  # another thread stored the same bytes
        except OSError:
            return False
        return True
