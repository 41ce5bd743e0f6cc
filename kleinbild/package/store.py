"""The folder `w/` of a site: files named by the SHA-256 of their plain bytes, compressed where it pays.

A file that an earlier site already holds is linked, not written again, whoever compressed it. Several threads
may store files at once. What the bytes mean is others' business.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from dataclasses import replace
from pathlib import Path

from kleinbild.errors import KleinbildError
from kleinbild.package.compression import GZIP, PLAIN, SUFFIX, Buffer, compressed, plain_digest, worthwhile
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
        plain = FileRef("", hashlib.sha256(data).hexdigest(), len(data), PLAIN, len(data))
        found = self._found(plain, suffix, GZIP)
        if found:
            return found
        packed = compressed(data)
        if packed is not None:
            return self._write(plain, suffix, GZIP, packed)
        return self._found(plain, suffix, PLAIN) or self._write(plain, suffix, PLAIN, data)

    def _found(self, plain: FileRef, suffix: str, encoding: str) -> FileRef | None:
        """The file if it is there already, or can be taken over whole from the earlier site."""
        file = _stored_as(plain, suffix, encoding)
        path = self._folder / Path(file.path).name
        if not path.exists():
            if self._previous is None:
                return None
            old = self._previous / path.name
            try:
                if old.is_symlink() or not _whole(old, plain, encoding):
                    return None
                os.link(old, path)
            except FileExistsError:
                pass  # another thread stores the same bytes
            except (OSError, KleinbildError):
                return None
        return replace(file, transfer_bytes=path.stat().st_size)

    def _write(self, plain: FileRef, suffix: str, encoding: str, content: Buffer) -> FileRef:
        file = _stored_as(plain, suffix, encoding)
        target = self._folder / Path(file.path).name
        part = target.with_name(f"{target.name}.{next(self._numbers)}.part")
        part.write_bytes(content)
        part.rename(target)
        return replace(file, transfer_bytes=len(content))


def _stored_as(plain: FileRef, suffix: str, encoding: str) -> FileRef:
    return replace(plain, path=f"w/{plain.sha256}.{suffix}{SUFFIX[encoding]}", encoding=encoding)


def _whole(path: Path, plain: FileRef, encoding: str) -> bool:
    """Whether the file `path` holds those plain bytes, and in a size that it would be stored in."""
    if encoding == GZIP and not worthwhile(plain.bytes, path.stat().st_size):
        return False
    return plain_digest(path, encoding, plain.bytes) == (plain.bytes, plain.sha256)
