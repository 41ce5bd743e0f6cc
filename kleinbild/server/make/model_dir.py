"""--model-dir: a model's folder in place of a site, packaged once and kept in the user's cache folder.

Packaging is passed in: the server knows no checkpoint and no bundle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from kleinbild.errors import KleinbildError
from kleinbild.server.generate.files import write_whole

DIGEST_CHARS = 16
KEY_SUFFIX = ".key"

Log = Callable[[str], None]


@dataclass(frozen=True)
class Packager:
    """build(source, out, log) packages a model's folder; `page` are the folders that the page is made of."""

    build: Callable[[Path, Path, Log], object]
    page: tuple[Path, ...]


def site_of(source: Path, cache: Path, packager: Packager, log: Log) -> Path:
    """The site of the model in `source`: `source` itself when it is one, else a packaged one below `cache`.

    It is packaged again when a file of model or page has changed. Raises KleinbildError.
    """
    if (source / "index.html").is_file():
        return source
    if not source.is_dir():
        raise KleinbildError(f"--model-dir {source}: no such folder")
    where = hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:DIGEST_CHARS]
    out = cache / "sites" / where
    note = out.with_suffix(KEY_SUFFIX)
    key = _fingerprint((source, *packager.page))
    if out.is_dir() and _read(note) == key:
        return out
    log(f"packaging {source}, once")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        note.unlink(missing_ok=True)
    except OSError as error:
        raise KleinbildError(f"{out.parent}: cannot be written ({error.strerror})") from None
    packager.build(source, out, log)
    write_whole(note, key)
    return out


def _fingerprint(folders: Iterable[Path]) -> bytes:
    """A digest of names, sizes and times of all files below `folders`: their contents may be gigabytes."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                info = path.stat()
                digest.update(f"{path.relative_to(folder)}\0{info.st_size}\0{info.st_mtime_ns}\n".encode())
    return digest.hexdigest().encode()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
