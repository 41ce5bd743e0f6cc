"""The output folder: built aside, swapped in when whole, and never anybody else's.

A site folder is replaced only if everything in it is listed in its own SHA256SUMS, so that no stranger's file
is ever deleted. While the new site is built in `<out>.part` the old one stays as it is; a failed build leaves
no trace. One build at a time may write to one folder.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kleinbild.errors import KleinbildError
from kleinbild.package.files import files_below, read_bytes, sha256_of, write_bytes

SUMS = "SHA256SUMS"
SUMS_MAX_BYTES = 16 * 1024 * 1024
_MARKER = ".kleinbild-build"
_SUMS_LINE = re.compile(r"([0-9a-f]{64})  ([^\n]+)")


def read_sums(root: Path) -> dict[str, str]:
    """Path -> SHA-256 as SHA256SUMS of the site `root` lists them; raises KleinbildError when it cannot."""
    path = root / SUMS
    result: dict[str, str] = {}
    for line in read_bytes(path, SUMS_MAX_BYTES).decode("utf-8", "replace").splitlines():
        match = _SUMS_LINE.fullmatch(line)
        if not match or match[2] in result:
            raise KleinbildError(f"{path}: line {len(result) + 1} is damaged; build the site again")
        result[match[2]] = match[1]
    return result


@contextmanager
def staged_folder(out: Path) -> Iterator[Path]:
    """Gives an empty folder that takes the place of `out`, with a SHA256SUMS, when the block ends well.

    Raises KleinbildError before the block when `out` holds anything that is not a site, or cannot be written;
    an OSError of the block becomes one, too.
    """
    out = Path(os.path.abspath(out))  # noqa: PTH100 (Path.resolve would follow a link instead of replacing it)
    part, replaced = out.with_name(out.name + ".part"), out.with_name(out.name + ".replaced")
    try:
        _make_way(out, part, replaced)
        part.mkdir(parents=True)
        (part / _MARKER).touch()
        try:
            yield part
            _write_sums(part)
            (part / _MARKER).unlink()
            _swap(out, part, replaced)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise KleinbildError(
            f"{error.filename or out}: {error.strerror or error}; give another --out or make room"
        ) from error


def _make_way(out: Path, part: Path, replaced: Path) -> None:
    if replaced.exists():
        _refuse_strangers(replaced)
        if out.exists():
            shutil.rmtree(replaced)
        else:
            replaced.rename(out)
    if out.is_symlink() or out.exists():
        _refuse_strangers(out)
    if part.exists():
        if not (part / _MARKER).is_file():
            _refuse_strangers(part)
        shutil.rmtree(part)


def _refuse_strangers(folder: Path) -> None:
    """Raises KleinbildError unless `folder` is empty or a site with nothing added to it."""
    if folder.is_symlink() or not folder.is_dir():
        raise KleinbildError(f"{folder}: not a folder; give another --out or move it away")
    if not any(folder.iterdir()):
        return
    if not (folder / SUMS).is_file():
        raise KleinbildError(f"{folder}: not empty and no site of build.py; give another --out")
    listed = read_sums(folder)
    for path in files_below(folder):
        name = path.relative_to(folder).as_posix()
        if name != SUMS and name not in listed:
            raise KleinbildError(f"{path}: not written by build.py; move it away or give another --out")


def _write_sums(root: Path) -> None:
    paths = [path for path in files_below(root) if path != root / _MARKER]
    lines = [f"{sha256_of(path)}  {path.relative_to(root).as_posix()}\n" for path in paths]
    write_bytes(root / SUMS, "".join(lines).encode())


def _swap(out: Path, part: Path, replaced: Path) -> None:
    if out.exists():
        out.rename(replaced)
    try:
        part.rename(out)
    except OSError:
        if replaced.exists():
            replaced.rename(out)
        raise
    shutil.rmtree(replaced, ignore_errors=True)
