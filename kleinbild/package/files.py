"""Reading files that may be anything, and writing files that are either whole or not there.

Every failure becomes a KleinbildError that names the path; what the bytes mean is the caller's business.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from kleinbild.errors import KleinbildError

_CHUNK_BYTES = 1 << 20


def read_bytes(path: Path, limit: int) -> bytes:
    """The bytes of the regular file `path`; raises KleinbildError when it is not there or above `limit`."""
    try:
        if path.exists() and not path.is_file():
            raise KleinbildError(f"{path}: not a file")
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise KleinbildError(f"{path}: cannot be read ({error.strerror})") from None
    if len(data) > limit:
        raise KleinbildError(f"{path}: larger than {limit} bytes, which no such file is")
    return data


def read_json(path: Path, limit: int) -> dict[str, Any]:
    """The JSON object in `path`; raises KleinbildError for anything else, and for keys that occur twice."""
    return parse_json(read_bytes(path, limit), str(path))


def parse_json(data: bytes, where: str) -> dict[str, Any]:
    """The JSON object in UTF-8 `data`; `where` names its place in the KleinbildError raised otherwise."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise KleinbildError(f"{where}: not valid JSON ({error})") from None
    if not isinstance(value, dict):
        raise KleinbildError(f"{where}: expected a JSON object")
    return value


def write_bytes(path: Path, data: bytes) -> None:
    """Writes `data` beside `path` and renames it, making folders as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.rename(path)


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def files_below(folder: Path) -> list[Path]:
    """Every file below `folder`, sorted by path; raises KleinbildError for links and other oddities."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise KleinbildError(f"{path}: neither a plain file nor a folder; remove it")
        if path.is_file():
            found.append(path)
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key occurs twice")
    return values


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
