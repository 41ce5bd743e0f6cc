"""The output folder: built aside, swapped in when whole, and never anybody else's.

A site folder is replaced only if everything in it is listed in its own SHA256SUMS, so that no stranger's file
is ever deleted. While the new site is built in `<out>.part` the old one stays as it is; a failed build leaves
no trace. An interrupted one leaves in `<out>.part` what is whole and was long to make: shards, and folders of
kleinbild.part_folder's kind below WORK. One build at a time may write to one folder.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from kleinbild.errors import KleinbildError
from kleinbild.package.files import files_below, read_bytes, sha256_of, write_bytes
from kleinbild.part_folder import MARKER, part_folder, remove_all_but

SUMS = "SHA256SUMS"
SUMS_MAX_BYTES = 16 * 1024 * 1024
SHARDS = "w"
# In the folder that is being built: what is needed on the way, and the shards of an interrupted run.
WORK = ".work"
KEPT = ".kept"
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
    """Gives a folder that takes the place of `out`, with a SHA256SUMS, when the block ends well.

    The folder is empty but for WORK and `reusable`, which do not become part of the site. Raises
    KleinbildError before the block when `out` holds anything that is not a site, or cannot be written; an
    OSError of the block becomes one, too.
    """
    out = Path(os.path.abspath(out))  # noqa: PTH100 (Path.resolve would follow a link instead of replacing it)
    replaced = out.with_name(out.name + ".replaced")
    try:
        if out.is_symlink() or out.exists():
            _refuse_strangers(out)
        with part_folder(out, _sweep) as part:
            _undo_half_swap(out, replaced)
            yield part
            for folder in (WORK, KEPT):
                if (part / folder).exists():
                    shutil.rmtree(part / folder)
            _write_sums(part)
            _swap(out, part, replaced)
            (out / MARKER).unlink()
    except OSError as error:
        raise KleinbildError(
            f"{error.filename or out}: {error.strerror or error}; give another --out or make room"
        ) from error


def reusable(part: Path, out: Path) -> Path:
    """The folder whose w/ has the shards that the build in `part` may take over once it has compared them.

    They are those of the site `out`, and those of an interrupted run where it left any.
    """
    kept = part / KEPT / SHARDS
    if not kept.is_dir():
        return out
    with suppress(OSError):  # no site there, or a file system without links: less is taken over
        for path in (out / SHARDS).iterdir():
            if not (kept / path.name).exists():
                os.link(path, kept / path.name)
    return part / KEPT


def _sweep(part: Path) -> None:
    """Removes all but whole shards, which go to KEPT, and the folders of finished steps in WORK."""
    kept, work = part / KEPT / SHARDS, part / WORK
    if (part / SHARDS).is_dir():
        kept.mkdir(parents=True, exist_ok=True)
        for path in (part / SHARDS).iterdir():
            if path.suffix != ".part":
                path.replace(kept / path.name)
    if work.is_dir():
        remove_all_but(work, {path for path in work.iterdir() if (path / MARKER).is_file()})
    remove_all_but(part, {part / MARKER, part / KEPT, part / WORK})
    for folder in (kept, part / KEPT, work):
        with suppress(OSError):
            folder.rmdir()


def _undo_half_swap(out: Path, replaced: Path) -> None:
    """Puts back the old site of a build that was cut off between its two renames."""
    if replaced.exists():
        _refuse_strangers(replaced)
        if out.exists():
            shutil.rmtree(replaced)
        else:
            replaced.rename(out)


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
        if name not in (SUMS, MARKER) and name not in listed:
            raise KleinbildError(f"{path}: not written by build.py; move it away or give another --out")


def _write_sums(root: Path) -> None:
    paths = [path for path in files_below(root) if path != root / MARKER]
    with ThreadPoolExecutor() as pool:  # hashing lets go of the interpreter
        digests = pool.map(sha256_of, paths)
        lines = [
            f"{digest}  {path.relative_to(root).as_posix()}\n"
            for digest, path in zip(digests, paths, strict=True)
        ]
    write_bytes(root / SUMS, "".join(lines).encode())


def _swap(out: Path, part: Path, replaced: Path) -> None:
    if out.exists():
        out.rename(replaced)
    try:
        part.rename(out)
    except BaseException:
        if replaced.exists() and not out.exists():
            replaced.rename(out)
        raise
    shutil.rmtree(replaced, ignore_errors=True)
