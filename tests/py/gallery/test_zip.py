"""The gallery's ZIP archives as Python's zipfile reads them, short records and ZIP64."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import zipfile
import zlib
from pathlib import Path

import pytest

CLI = Path(__file__).parents[3] / "tests/js/support/zip_cli.js"
TIME_MS = 1_764_264_612_345  # 2025-11-27 17:30:12 UTC
FILES = {
    "a.png": b"one",
    "caf\u00e9 \u6771\u4eac.png": bytes(range(256)) * 300,
    "empty.png": b"",
    "d.png": b"\0",
}


def archive(files: dict[str, bytes], most: int | None = None) -> bytes:
    """What zip_cli.js writes."""
    asked = [
        {"name": name, "data": base64.b64encode(data).decode(), "crc": zlib.crc32(data), "time": TIME_MS}
        for name, data in files.items()
    ]
    options = {} if most is None else {"most": most}
    result = subprocess.run(
        ["node", CLI],
        input=json.dumps({"files": asked, **options}).encode(),
        stdout=subprocess.PIPE,
        env={**os.environ, "TZ": "UTC"},
        check=True,
        timeout=120,
    )
    return result.stdout


@pytest.mark.parametrize("most", [None, 0, 100, 77_000])
def test_every_file_comes_back(most: int | None) -> None:
    data = archive(FILES, most)
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert opened.testzip() is None
        assert {name: opened.read(name) for name in opened.namelist()} == FILES
        assert opened.namelist() == list(FILES)
        assert {one.compress_type for one in opened.infolist()} == {zipfile.ZIP_STORED}
        assert {one.date_time for one in opened.infolist()} == {(2025, 11, 27, 17, 30, 12)}
    assert (b"PK\x06\x06" in data) == (most is not None)


def test_an_empty_archive_is_one() -> None:
    with zipfile.ZipFile(io.BytesIO(archive({}))) as opened:
        assert opened.namelist() == []
