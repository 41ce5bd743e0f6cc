"""Result files, written aside and renamed: a name that exists is whole, whatever interrupted the run."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from kleinbild.errors import KleinbildError


def write_whole(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write `data` to `path` in one visible step; `private`: for the user's eyes alone.

    Raises KleinbildError when folder or disk refuse.
    """
    try:
        handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                os.fchmod(file.fileno(), 0o600 if private else 0o666 & ~_umask())
                file.write(data)
            Path(aside).replace(path)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise KleinbildError(f"{path}: cannot be written ({error.strerror})") from None


def check_writable(path: Path) -> None:
    """Raise KleinbildError unless `write_whole(path)` can work: found out before minutes of computing."""
    if path.is_dir():
        raise KleinbildError(f"{path}: is a folder; name a file")
    if not path.parent.is_dir():
        raise KleinbildError(f"{path.parent}: no such folder")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise KleinbildError(f"{path.parent}: nothing can be written there ({error.strerror})") from None


def _umask() -> int:
    # mkstemp makes private files; a result gets the permissions any other file of the user would get.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
