"""Folders of pictures: the newest are found, links and others are not, and what is kept stays bounded."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from server.fake_site import png

from kleinbild.errors import KleinbildError
from kleinbild.server.kiosk import picture_folder
from kleinbild.server.kiosk.picture_folder import MAX_SHOWN, keep_picture, list_pictures, read_picture


def test_the_newest_come_first(tmp_path: Path) -> None:
    for number in range(MAX_SHOWN + 3):
        path = tmp_path / f"{number:02} ü.PNG"
        path.write_bytes(png(16, 16))
        os.utime(path, (number, number))
    names = list(list_pictures(tmp_path).values())
    assert names == [f"{number:02} ü.PNG" for number in range(MAX_SHOWN + 2, 2, -1)]
    opaque = next(iter(list_pictures(tmp_path)))
    found = read_picture(tmp_path, opaque)
    assert found is not None
    assert (found.data, found.kind) == (png(16, 16), "image/png")


def test_only_pictures_and_no_links(tmp_path: Path) -> None:
    folder, outside = tmp_path / "shown", tmp_path / "secret.png"
    folder.mkdir()
    outside.write_bytes(png(16, 16))
    (folder / "link.png").symlink_to(outside)
    (folder / ".hidden.png").write_bytes(png(16, 16))
    (folder / "notes.txt").write_text("x")
    (folder / "empty.png").touch()
    os.mkfifo(folder / "pipe.png")
    assert list_pictures(folder) == {}
    (folder / "script.png").write_text("<svg onload=alert(1)>")
    (opaque,) = list_pictures(folder)
    assert read_picture(folder, opaque) is None
    assert read_picture(folder, "../secret.png") is None
    assert list_pictures(tmp_path / "nowhere") == {}


def test_keeping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_folder, "MAX_KEPT", 3)
    folder = tmp_path / "a" / "b"
    keep_picture(folder, b"0")
    (folder / "mine.png").write_bytes(b"x")
    first = next(path for path in folder.iterdir() if path.name != "mine.png")
    first.rename(folder / "20000101-000000-00000000.png")
    for _ in range(3):
        keep_picture(folder, b"1")
    names = {path.name for path in folder.iterdir()}
    assert len(names) == 4
    assert "mine.png" in names
    assert "20000101-000000-00000000.png" not in names


def test_a_full_disk_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free=1 << 20))
    with pytest.raises(KleinbildError, match="less than 1 GiB are free"):
        keep_picture(tmp_path, b"0")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KleinbildError, match="cannot be kept there"):
        keep_picture(Path("/dev/null/x"), b"0")
