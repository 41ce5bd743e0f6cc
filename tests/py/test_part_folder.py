"""The folder of a build on its way: its lock, its records, and what is swept out of it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kleinbild.errors import KleinbildError
from kleinbild.part_folder import (
    MARKER,
    RECORDS,
    is_finished,
    keep_finished,
    part_folder,
    record_finished,
)

KEY = {"options": ("q4", 32), "source": {"a": 1}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which the step "stage" made a/shard and list."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "shard").write_bytes(b"12345")
    (tmp_path / "list").write_bytes(b"1")
    record_finished(tmp_path, "stage", KEY, [tmp_path / "a" / "shard", tmp_path / "list"])
    return tmp_path


def test_a_step_is_finished_for_its_key_alone(folder: Path) -> None:
    assert is_finished(folder, "stage", KEY)
    assert not is_finished(folder, "stage", KEY | {"source": {"a": 2}})
    assert not is_finished(folder, "other", KEY)


def test_files_that_changed_are_not_finished(folder: Path) -> None:
    stat = (folder / "list").stat()
    (folder / "list").write_bytes(b"2")
    os.utime(folder / "list", ns=(0, stat.st_mtime_ns))
    assert is_finished(folder, "stage", KEY)  # same size and time: the price of not reading gigabytes
    os.utime(folder / "list", ns=(0, stat.st_mtime_ns + 1))
    assert not is_finished(folder, "stage", KEY)


def test_a_record_ends_with_the_system_that_wrote_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kleinbild.part_folder._boot", lambda: "another")
    assert not is_finished(folder, "stage", KEY)


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"key": 1, "boot": "BOOT", "files": 7}',
        b'{"key": 1, "boot": "BOOT", "files": ["x"]}',
        b'{"key": 1, "boot": "BOOT", "files": {"x": 1}}',
        b"\xff",
    ],
)
def test_a_damaged_record_is_none(folder: Path, record: bytes) -> None:
    boot = json.loads((folder / RECORDS / "stage.json").read_text())["boot"]
    (folder / RECORDS / "stage.json").write_bytes(record.replace(b"BOOT", boot.encode()))
    assert not is_finished(folder, "stage", KEY)
    keep_finished(folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "a/../../outside"])
def test_records_do_not_reach_outside(folder: Path, name: str) -> None:
    outside = folder.parent / "outside"
    outside.write_bytes(b"1")
    stat = outside.stat()
    path = folder / RECORDS / "stage.json"
    record = json.loads(path.read_text()) | {"files": {name: [stat.st_size, stat.st_mtime_ns]}}
    path.write_text(json.dumps(record))
    assert not is_finished(folder, "stage", KEY)
    keep_finished(folder)
    assert outside.exists()
    outside.unlink()


def test_sweeping_keeps_what_a_record_vouches_for(folder: Path) -> None:
    for name in ("half", "a/half"):
        (folder / name).touch()
    (folder / "empty").mkdir()
    (folder / "link").symlink_to(folder.parent)
    (folder / MARKER).touch()
    keep_finished(folder)
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    assert files == [f"{RECORDS}/stage.json", MARKER, "a/shard", "list"]
    assert sorted(path.name for path in folder.iterdir()) == sorted([RECORDS, MARKER, "a", "list"])
    (folder / "list").unlink()
    keep_finished(folder)
    assert [path.name for path in folder.iterdir()] == [MARKER]


def test_an_error_leaves_nothing_and_an_interrupt_what_is_finished(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for error in (KeyboardInterrupt, KeyError):
        with pytest.raises(error), part_folder(out, keep_finished) as part:
            (part / "done").touch()
            (part / "half").touch()
            record_finished(part, "step", {}, [part / "done"])
            raise error
        left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
        assert left == ([MARKER, "done", "step.json"] if error is KeyboardInterrupt else [])
    assert list(tmp_path.iterdir()) == []


def test_the_lock_ends_with_the_build(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with part_folder(out, keep_finished) as part:
        with pytest.raises(KleinbildError, match="another build is writing it"), part_folder(out, print):
            raise AssertionError
        part.rename(out)
    with part_folder(out, keep_finished):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.part"]


def test_a_folder_of_somebody_else_is_not_touched(tmp_path: Path) -> None:
    part = tmp_path / "out.part"
    part.mkdir()
    (part / "thesis").touch()
    with pytest.raises(KleinbildError, match=r"out\.part: not written by build\.py"):
        part_folder(tmp_path / "out", keep_finished).__enter__()
    assert [path.name for path in part.iterdir()] == ["thesis"]
    (part / "thesis").unlink()
    part.rmdir()
    part.symlink_to(tmp_path)
    with pytest.raises(KleinbildError, match="in the way and no folder"):
        part_folder(tmp_path / "out", keep_finished).__enter__()
