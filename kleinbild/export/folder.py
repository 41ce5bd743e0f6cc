"""Writing a bundle's folder as a whole: it is made aside and takes its name only when it is complete.

A folder that is there already is replaced only if it is a bundle; whatever else the user named by mistake
stays. What an interrupted export leaves for the next one is kleinbild.part_folder's.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kleinbild.errors import KleinbildError
from kleinbild.part_folder import MARKER, RECORDS, keep_finished, part_folder


@contextmanager
def new_folder(out: Path, marker: str, *, resumable: bool = False) -> Iterator[Path]:
    """Gives `<out>.part` to write to and renames it to `out` at the end; on an error nothing is left.

    `marker` is the file that a folder must hold to be replaced. The folder holds the finished steps of an
    interrupted run, and nothing else; an interrupt leaves those of this one. With `resumable` the records of
    the steps stay in `out`: renamed back to `<out>.part`, it is what an interrupted run leaves. Raises
    KleinbildError when `out` is something else, when another export is writing it, or when the disk does not
    take the files.
    """
    _refuse_other(out, marker)
    try:
        with part_folder(out, keep_finished) as part:
            yield part
            _refuse_other(out, marker)
            if not resumable:
                shutil.rmtree(part / RECORDS, ignore_errors=True)
            _take_place(part, out)
            if not resumable:
                (out / MARKER).unlink()
    except OSError as error:
        where = error.filename or out
        raise KleinbildError(
            f"cannot write {where}: {error.strerror or error}; make room or choose another --out"
        ) from error


def _take_place(part: Path, out: Path) -> None:
    """Renames `part` to `out`; the folder that is there goes only once the new one stands."""
    if not out.exists():
        part.rename(out)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    out.rename(aside / out.name)
    try:
        part.rename(out)
    except BaseException:
        if not out.exists():
            (aside / out.name).rename(out)
            aside.rmdir()
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _refuse_other(out: Path, marker: str) -> None:
    if not out.name:
        raise KleinbildError(f"{out}: not a folder that can be written; name a new one")
    if out.is_dir():
        if not (out / marker).is_file() and any(out.iterdir()):
            raise KleinbildError(
                f"{out}: is not empty and no bundle (no {marker} in it); choose another folder"
            )
    elif out.exists() or out.is_symlink():
        raise KleinbildError(f"{out}: is there already and no folder; choose another name")
