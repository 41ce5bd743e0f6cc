"""`<out>.part`: where a long build works, one at a time, and what an interrupted one leaves for the next.

A build that ends well moves the folder into place itself. One that fails leaves no trace. One that is
interrupted leaves its finished steps, each vouched for by a record that is written last; half-made files go.
What the steps are, and when a folder may be replaced, is the caller's business.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from kleinbild.errors import KleinbildError

# Says that the folder is ours, and is locked as long as a build works in it.
MARKER = ".kleinbild-build"
RECORDS = ".finished"
RECORD_MAX_BYTES = 1 << 22


@contextmanager
def part_folder(out: Path, sweep: Callable[[Path], None]) -> Iterator[Path]:
    """Gives the locked folder `<out>.part`; the block renames it when it is whole, marker and all.

    `sweep` removes from the folder all that is not finished, before the block and after an interrupt in it.
    Raises KleinbildError when another build works in the folder, or when it is somebody else's.
    """
    part = part_path(out)
    lock = _lock(part)
    try:
        sweep(part)
        yield part
    except KeyboardInterrupt:
        if part.is_dir():
            sweep(part)
            if all(path.name == MARKER for path in part.iterdir()):
                shutil.rmtree(part)
        raise
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    finally:
        lock.close()


def part_path(out: Path) -> Path:
    """The folder in which `out` is built."""
    return out.with_name(out.name + ".part")


def record_finished(folder: Path, step: str, key: Mapping[str, object], files: Iterable[Path]) -> None:
    """Records that `step` made `files`, below `folder` and whole, out of what `key` says."""
    stats = {path.relative_to(folder).as_posix(): path.stat() for path in files}
    record = {
        "key": key,
        "boot": _boot(),
        "files": {name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()},
    }
    path = folder / RECORDS / f"{step}.json"
    path.parent.mkdir(exist_ok=True)
    aside = path.with_name(path.name + ".part")
    aside.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    aside.rename(path)


def is_finished(folder: Path, step: str, key: Mapping[str, object]) -> bool:
    """Whether a run finished `step` out of the same `key` and all its files are still as they were."""
    record = _read_record(folder / RECORDS / f"{step}.json")
    # Through JSON, as the record went: tuples become lists.
    return record is not None and record[0] == json.loads(json.dumps(key)) and _whole(folder, record[1])


def keep_finished(folder: Path) -> None:
    """Removes from `folder` all but the marker and the files of finished steps."""
    kept = {folder / MARKER}
    for path in (folder / RECORDS).glob("*.json"):
        record = _read_record(path)
        if record is not None and _whole(folder, record[1]):
            kept |= {path, *(folder / name for name in record[1])}
    remove_all_but(folder, kept)


def remove_all_but(folder: Path, kept: set[Path]) -> None:
    """Removes what is in `folder` and not in `kept`, files or whole folders; links are not followed."""
    for path in folder.iterdir():
        if path in kept:
            continue
        if path.is_dir() and not path.is_symlink():
            remove_all_but(path, kept)
            if not any(path.iterdir()):
                path.rmdir()
        else:
            path.unlink()


def _lock(part: Path) -> TextIOWrapper:
    marker = part / MARKER
    if part.is_symlink() or (part.exists() and not part.is_dir()):
        raise KleinbildError(f"{part}: in the way and no folder; move it away or give another --out")
    part.mkdir(parents=True, exist_ok=True)
    if not marker.is_file() and any(part.iterdir()):
        raise KleinbildError(f"{part}: not written by build.py; move it away or give another --out")
    file = marker.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held the lock may have moved the folder into place since the file was opened.
        if os.path.samestat(os.fstat(file.fileno()), marker.stat()):
            return file
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        file.close()
        raise
    file.close()
    raise KleinbildError(f"{part}: another build is writing it; wait for its end or give another --out")


def _read_record(path: Path) -> tuple[object, dict[str, list[int]]] | None:
    """(key, name -> [size, mtime]) of a record, None when it is not one."""
    try:
        if path.stat().st_size > RECORD_MAX_BYTES:
            return None
        record = json.loads(path.read_bytes())
        files = record["files"]
        if record["boot"] != _boot() or any(
            Path(name).is_absolute() or ".." in Path(name).parts for name in files
        ):
            return None
        return record["key"], dict(files)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _boot() -> str:
    """Which start of the system this is: files are not forced to the disk, so a crash voids all records."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _whole(folder: Path, files: Mapping[str, list[int]]) -> bool:
    try:
        stats = {name: (folder / name).lstat() for name in files}
    except OSError:
        return False
    return all([stat.st_size, stat.st_mtime_ns] == files[name] for name, stat in stats.items())
