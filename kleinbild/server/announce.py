"""Where a running API server can be found: a note in the user's cache folder, for `serve.py generate`.

The note is a hint and no more: who reads it asks the server itself whether it is there, and what it serves.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from yarl import URL

from kleinbild.errors import KleinbildError
from kleinbild.server.generate.files import write_whole
from kleinbild.server.host import is_loopback

NAME = "api.json"
MAX_NOTE_BYTES = 4096


@contextmanager
def announced(folder: Path, url: str) -> Iterator[None]:
    """The note in `folder` that there is a server at `url`, while the context lasts."""
    path = folder / NAME
    note = json.dumps({"url": url, "pid": os.getpid()}).encode()
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(KleinbildError):  # without the note generate starts a browser of its own
        write_whole(path, note)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if path.read_bytes() == note:  # not that of a server started since
                path.unlink()


def find_announced(folder: Path) -> str | None:
    """The address in the note in `folder`; None without a note that names a server on this machine."""
    try:
        with (folder / NAME).open("rb") as file:
            record = json.loads(file.read(MAX_NOTE_BYTES))
        url = URL(record["url"])
        if url.scheme == "http" and is_loopback(url.host or "") and url.origin() == url:
            return str(url).rstrip("/")
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        pass
    return None
