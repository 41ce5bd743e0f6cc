"""Folders of pictures: those that the screen shows while nobody is there, and those that the operator keeps.

What lies in a folder is taken for a picture by its first bytes, never followed through a link, and bounded in
number and size; a page gets it under an opaque name.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from kleinbild.errors import KleinbildError
from kleinbild.server.generate.files import write_whole

MAX_SHOWN = 24
MAX_LISTED = 10_000
MAX_PICTURE_BYTES = 32 << 20
MAX_KEPT = 2000
MIN_FREE_BYTES = 1 << 30
KINDS = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"WEBP", 8, "image/webp"),
)
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_OURS = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{8}\.png")


@dataclass(frozen=True)
class Picture:
    """The bytes of a picture file and its MIME type."""

    data: bytes
    kind: str


def list_pictures(folder: Path) -> dict[str, str]:
    """Opaque name -> file name of the newest pictures in `folder`; empty when it cannot be read."""
    found: list[tuple[float, str]] = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for count, entry in enumerate(entries):
            if count >= MAX_LISTED:
                break
            if not entry.name.lower().endswith(_SUFFIXES) or entry.name.startswith("."):
                continue
            with contextlib.suppress(OSError):
                info = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(info.st_mode) and 0 < info.st_size <= MAX_PICTURE_BYTES:
                    found.append((info.st_mtime, entry.name))
    found.sort(reverse=True)
    return {_opaque(name): name for _, name in found[:MAX_SHOWN]}


def read_picture(folder: Path, opaque: str) -> Picture | None:
    """The picture in `folder` that `opaque` stands for now; None when there is none such."""
    name = list_pictures(folder).get(opaque)
    if name is None:
        return None
    try:
        file = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(file, "rb") as stream:
            data = stream.read(MAX_PICTURE_BYTES + 1)
    except OSError:
        return None
    if len(data) > MAX_PICTURE_BYTES:
        return None
    kind = next((kind for magic, at, kind in KINDS if data[at : at + len(magic)] == magic), None)
    return Picture(data, kind) if kind else None


def keep_picture(folder: Path, png: bytes) -> None:
    """Write `png` into `folder` under a name of its time. The oldest of ours go; a full disk is left alone.

    Raises KleinbildError when nothing can be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(folder).free < MIN_FREE_BYTES:
            raise KleinbildError(
                f"{folder}: less than {MIN_FREE_BYTES >> 30} GiB are free; nothing more is kept"
            )
        ours = sorted(path for path in folder.iterdir() if _OURS.fullmatch(path.name))
        for path in ours[: max(0, len(ours) + 1 - MAX_KEPT)]:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise KleinbildError(f"{folder}: pictures cannot be kept there ({error.strerror})") from None
    write_whole(folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}.png", png)


def _opaque(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:24]
